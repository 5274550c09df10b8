"""A rule of the clinic's own: made like one of a payer, and switched off until its manager has set it and looked."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from procedures.models import RuleRow
from procedures.rulerows import CHANGE, MayNotChange, UnusableRow, book_with
from procedures.tables import clinic_book

ABOUT_SOURCE = frozenset({"notes", "note", "verified_via", "unverified_fields"})
SHAPE = re.compile(r"[a-z][a-z0-9_]{2,59}")


def may_be_copied(row: RuleRow) -> bool:
    """Say whether another rule can be made like this one: a payer's stands for itself, others are of kinds that code knows."""
    return row.table == "payer_rules" and row.section == "rules"


def copy(*, row: RuleRow, row_id: str, payer: str, by: Actor, at: datetime) -> RuleRow:
    """Make a rule like another under an id of its own, for the same payer or another, and return it.

    It is switched off, has no source and is not verified: whoever makes it has read something else than the table's author.

    Raises:
        MayNotChange: the actor may not.
        UnusableRow: the id or the payer's set cannot be, or there is such a rule; `field` names which.
    """
    if not by.may(CHANGE):
        raise MayNotChange
    if not may_be_copied(row):
        raise UnusableRow("Only payers' rules can be made like another.")
    if not SHAPE.fullmatch(row_id):
        raise UnusableRow("3 to 60 small letters, digits and underscores, a letter first.", "row_id")
    kept = {name: value for name, value in deepcopy(row.data).items() if name not in ABOUT_SOURCE}
    data: dict[str, Any] = {**kept, "id": row_id, "payer_rule_set": payer}
    new = RuleRow(
        table=row.table, section=row.section, row_id=row_id, position=row.position, data=data, severity=row.severity,
        is_enabled=False, table_values={}, owner_id=by.user_id,
    )  # fmt: skip
    with transaction.atomic():
        is_taken = RuleRow.objects.filter(row_id=row_id).exists() or row_id in clinic_book().rule_ids
        if is_taken:  # in any table: a finding is known by this word alone
            raise UnusableRow("There is a rule with this id. Choose another.", "row_id")
        if payer not in book_with([new]).payer_sets:
            raise UnusableRow("Choose one of the payers' sets of rules.", "payer")
        try:
            with transaction.atomic():
                new.save(force_insert=True)
        except IntegrityError:  # somebody else was a moment before
            raise UnusableRow("There is a rule with this id. Choose another.", "row_id") from None
        trail.record(by=by, act="procedures.copy_rule", subject=new, details={"rule": row_id, "like": row.row_id, "payer": payer})
    return new
