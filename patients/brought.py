"""What a session brought that no score tells: asked only of work of which a rule or a gate reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from patients import amending
from patients.models import Amendment, PerformedProcedure, Role
from patients.records import FieldRefused
from procedures import rulebook

FIELDS = ("function_improved", "medication_reduced", "medication_reduction", "relief_matched_agent", "lead_removed_on")
FIRST_SAID = "Said after the session; nothing was on record before."
TRIALS = frozenset({"scs_trial"})  # ended by taking the leads out, judged by relief or by less medicine
# Treatments of which a pathway of the tables reads it; payers' rules name the others themselves.
BY_FUNCTION = frozenset({"facet_rfa", "facet_rfa_cooled"})
GAINS = ("function_improved", "medication_reduced")


def family_of(performed: PerformedProcedure) -> str:
    """Return what rules count a session as."""
    return performed.procedure.family if performed.procedure is not None else performed.other_family


def asked_of(performed: PerformedProcedure) -> tuple[str, ...]:
    """Return what a rule or a gate reads of this session, in the order of `FIELDS`."""
    return asked_of_each([performed])[0]


def asked_of_each(sessions: Sequence[PerformedProcedure]) -> list[tuple[str, ...]]:
    """Return what a rule or a gate reads of each session (procedure joined), looking at the rules once."""
    held = rulebook.usable_book()
    families = {name: set(BY_FUNCTION) if name == "function_improved" else set() for name in GAINS}
    for row in held.payer_rows if held is not None else ():
        for name in (row.get("params") or {}).get("plus_any_of", ()):
            families.get(name, set()).update(row.get("applies_to", ()))
    return [_asked(one, families) for one in sessions]


def _asked(performed: PerformedProcedure, families: Mapping[str, Set[str]]) -> tuple[str, ...]:
    family, is_diagnostic = family_of(performed), performed.role == Role.DIAGNOSTIC
    found = {"relief_matched_agent"} if is_diagnostic else {name for name in GAINS if family in families[name]}
    if family in TRIALS:
        found |= {"medication_reduction", "lead_removed_on"}
    return tuple(name for name in FIELDS if name in found)


def tell(
    *, performed: PerformedProcedure, said: Mapping[str, Any], by: Actor, at: datetime, version: int, reason: str = ""
) -> Amendment:
    """Write down what a session brought; what was said otherwise before needs a reason, as every amendment does.

    Raises:
        FieldRefused: it is not of a session, cannot be, or something known changes without a reason.
        MayNotRecord, FactStale, NothingDiffers, NotAFact: as for `amending.amend`.
    """
    unknown = sorted(set(said) - set(FIELDS))
    if unknown:
        raise FieldRefused("field_unknown", unknown[0], "This is not said of a session.")
    removed: date | None = said.get("lead_removed_on")
    today = at.astimezone(ZoneInfo(performed.patient.home_site.time_zone)).date()
    if removed is not None and not performed.done_on <= removed <= today:
        raise FieldRefused("not_then", "lead_removed_on", "Give a day from the procedure until today.")
    reduction = said.get("medication_reduction")
    if reduction is not None and not -100 <= reduction <= 100:
        raise FieldRefused("out_of_range", "medication_reduction", "Give a percentage from -100 (more of it) to 100.")
    differs = [name for name, value in said.items() if getattr(performed, name) not in (None, value)]
    if differs and not reason.strip():
        raise FieldRefused("missing", "reason", "Something else was on record: say why it is different now.")
    return amending.amend(
        performed=performed, changes=said, reason=reason.strip() or FIRST_SAID, by=by, at=at, version=version
    )  # fmt: skip
