"""Verbs: what people say about a booked case, a waiver or what is planned; the rules are asked again at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden, Refused
from patients.models import FactChange
from patients.records import FieldRefused
from procedures import rulebook
from procedures.rules import Waiver, unwaived
from scheduling import readiness, waiting
from scheduling.assessing import asking_of, details_row
from scheduling.booking import RulesRefused, staging
from scheduling.booking.judging import OVERRIDES
from scheduling.booking.words import guarded
from scheduling.models import Appointment, CaseDetails
from scheduling.rechecking.alone import ask_alone
from scheduling.rechecking.asking import JOINED, judge_cases, recheck


class NothingToWaive(Refused):
    """None of what was named speaks against the case now."""

    def __init__(self) -> None:
        super().__init__("nothing_to_waive", "None of what you chose speaks against this case now. Look at it again.")


def waive(
    *, appointment: Appointment, waivers: Sequence[Waiver], by: Actor, at: datetime, version: int | None = None
) -> Appointment:
    """Waive findings that came to stand against a booked case, each for the facts that it rests on now.

    Raises:
        NothingToWaive: none of those named is found, or none was named.
        RulesRefused: a reason is missing, or the actor may not override what was named. RulesNotAsked: nobody knows what stands.
        Stale: the case is no longer at `version`.
    """
    with guarded(), transaction.atomic():
        case, before = _locked(appointment, version)
        keys = {waiver.code for waiver in waivers}
        with asking_of(case):
            findings, prints = judge_cases([case], at)[case.pk](sorted(keys | {one.code for one in before.overrides}))
        told = readiness.dated(findings, case, at, before.dues())
        named = tuple(finding for finding in told if finding.key in keys and finding.refuses)
        if not named:
            raise NothingToWaive
        standing = unwaived(named, waivers, lambda severity: by.may(OVERRIDES[severity]))
        if standing:
            raise RulesRefused(told, standing)
        lifted = [waiver for waiver in waivers if waiver.code in {finding.key for finding in named}]
        readiness.keep(case, findings, lifted, by, at, fingerprints=prints, said=before)
        staging.record("scheduling.waive", case, by, details={"overrides": len(lifted)})
        return case


def ask_in_house(*, appointment: Appointment, by: Actor, at: datetime) -> None:
    """Ask again about a case whose patient is in the house, or should be, which `recheck` leaves alone; keep what is said.

    Raises:
        RulesNotAsked: the rules break down on what is on file.
    """
    with guarded(), transaction.atomic():
        case, before = _locked(appointment, None)
        with asking_of(case):
            findings, prints = judge_cases([case], at)[case.pk](tuple(override.code for override in before.overrides))
        readiness.keep(case, findings, (), by, at, fingerprints=prints, said=before)


def plan_case(
    *, appointment: Appointment, changes: Mapping[str, Any], by: Actor, at: datetime, version: int | None = None
) -> CaseDetails:
    """Say what is planned for a case beyond its target; what waited for it is asked again at once.

    It is kept though the rules break down on what is on file, for it may be what mends that; a task says so then.

    Raises:
        Forbidden: the actor may not plan cases.
        FieldRefused: a value cannot be kept; the first one is named.
        Stale: the case is no longer at `version`.
    """
    if not by.may("scheduling.plan_case"):
        raise Forbidden("not_allowed", "You may not say what is planned for a case.")
    with guarded(), transaction.atomic():
        case, _ = _locked(appointment, version)
        row = details_row(case) or CaseDetails(appointment=case)
        changed = sorted(name for name, value in changes.items() if getattr(row, name) != value)
        if not changed:
            return row
        _fill(row, {name: changes[name] for name in changed})
        row.save()
        FactChange.objects.create(patient=case.patient, kind="casedetails", at=at)
        staging.record("scheduling.plan_case", case, by, details={"fields": changed})
        ask_alone(case.patient_id, at, lambda: recheck([case.patient_id], at=at, by=by, cases=[case.pk]))
        return row


def _locked(appointment: Appointment, version: int | None) -> tuple[Appointment, readiness.Said]:
    """Lock the patient and the case; return it with what rules have said about it."""
    staging.lock_patients([appointment.patient_id])
    staging.locked_case(appointment, version)
    case = Appointment.objects.select_related(*JOINED).get(pk=appointment.pk)
    before = readiness.read_said([case])[case.pk]
    before.findings = [row for row in before.findings if row.source != waiting.BOOKING]
    return case, before


def _fill(row: CaseDetails, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    book = rulebook.usable_book()
    if row.drug not in {"", "none", *(book.steroid_ids if book is not None else ())}:
        raise FieldRefused("unusable", "drug", "This is not a steroid of the clinic's table.")
    try:
        row.full_clean(exclude={"appointment"}, validate_unique=False)
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise FieldRefused("unusable", "" if field == "__all__" else field, " ".join(problems)) from error
