"""Ask the rules again about cases that are booked, and keep what they say; nothing is moved or cancelled.

Only what rules say is asked anew; time, people and rooms were settled when the case was booked or moved. What now speaks
against a case becomes a task, and a waiver whose facts have changed ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from patients import facts
from procedures.rules import Finding, ordered
from scheduling import deaths, messages, readiness, waiting
from scheduling.assessing import (
    NOT_ASKED,
    NOTHING_SAID,
    Details,
    Judged,
    RulesNotAsked,
    asking_of,
    is_fixed_ahead,
    judge,
    open_cases,
    wish_of,
)
from scheduling.booking import staging
from scheduling.models import BEFORE_ARRIVAL, Appointment, Status

BY = Actor.system("rules")
WAITING_IN_HOUSE = frozenset({Status.ARRIVED, Status.PREPARING, Status.READY})
JOINED = ("procedure", "site", "patient", "details")


@dataclass(frozen=True, slots=True)
class Asked:
    """How many cases were asked about, about how many something else is said now, and on how many patients it broke down."""

    seen: int = 0
    changed: int = 0
    failed: int = 0

    def __add__(self, other: Asked) -> Asked:
        return Asked(self.seen + other.seen, self.changed + other.changed, self.failed + other.failed)


def recheck(patients: Iterable[int], *, at: datetime, by: Actor = BY, cases: Iterable[int] | None = None) -> Asked:
    """Ask the rules about the coming cases of some patients (or only those named), and keep what they say; lock the patients.

    With it a medicine plan may be ready (again) whose notice did not leave meanwhile: that one is laid down again.
    Ten statements for any number of cases about which nothing new is said, and a few for each whose notice did not leave.
    """
    with transaction.atomic():
        people = staging.lock_patients(patients)
        coming = (
            Appointment.objects.filter(patient__in=people, status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at)
            .select_related(*JOINED)
            .order_by("pk")
        )
        rows = list(coming if cases is None else coming.filter(pk__in=list(cases)))
        if not rows:
            return Asked()
        said = readiness.read_said(rows)
        found = judge_cases(rows, at)
        changed = 0
        for case in rows:
            before = said[case.pk]
            before.findings = [row for row in before.findings if row.source != waiting.BOOKING]
            findings, prints = found[case.pk](tuple(override.code for override in before.overrides))
            changed += readiness.keep(case, findings, (), by, at, fingerprints=prints, said=before) > 0
        messages.tell_returned_plans(cases=rows, at=at)
        return Asked(len(rows), changed)


@dataclass(frozen=True)
class InHouse(Judged):
    """What the rules say of a late case whose patient waits in the house: of fasting as of now, of all else as of its slot."""

    later: Judged

    def fingerprints(self, keys: Iterable[str]) -> Mapping[str, str]:
        of_fast = {key for key in keys if _is_of_fast(key)}
        return {**Judged.fingerprints(self, set(keys) - of_fast), **self.later.fingerprints(of_fast)}


def _is_of_fast(code: str) -> bool:
    return code.startswith("fasting_")


Answer = Callable[[Sequence[str]], tuple[tuple[Finding, ...], Mapping[str, str]]]


def judge_cases(cases: Sequence[Appointment], at: datetime) -> dict[int, Answer]:
    """Return, for each case (with everything joined), what gives its findings and the fingerprints of some of them.

    Two statements for any number of cases: everything on file about their patients, and the patients' other cases.
    """
    judged_of = _judging(cases, at)

    def answer(case: Appointment, keys: Sequence[str]) -> tuple[tuple[Finding, ...], Mapping[str, str]]:
        judged = judged_of(case)
        return judged.findings + deaths.finding_of(case.patient), judged.fingerprints(keys) if keys else {}

    return {case.pk: (lambda keys, case=case: answer(case, keys)) for case in cases}  # type: ignore[misc]


def _judging(cases: Sequence[Appointment], at: datetime) -> Callable[[Appointment], Judged]:
    """Return what judges each of some cases, once what it takes is read for all of them."""
    people = {case.patient_id: case.patient for case in cases}
    held = facts.read(people.values())
    others: dict[int, list[Appointment]] = defaultdict(list)
    for other in open_cases(people, at):
        others[other.patient_id].append(other)

    def judged(case: Appointment) -> Judged:
        beside = [other for other in others[case.patient_id] if other.pk != case.pk]
        wish = replace(wish_of(case), is_booked=True, is_series=is_fixed_ahead(case, others[case.patient_id]))
        found = judge(wish, held, held.known[case.patient_id], beside, at)
        if case.status in WAITING_IN_HOUSE and at > wish.starts_at and at.astimezone(wish.zone).date() == wish.on:
            # Late: it begins not before now, by when a fast may be long enough. Holds were agreed for the time of the slot.
            later = judge(replace(wish, starts_at=at), held, held.known[case.patient_id], beside, at)
            told = [one for one in found.findings if not _is_of_fast(one.code)] + [
                one for one in later.findings if _is_of_fast(one.code)
            ]
            return InHouse(ordered(told), found.facts, found.known, found.rules, later)
        return found

    return judged


@dataclass(frozen=True, slots=True)
class Looked:
    """What rules say about a booked case now, and what may be said of it on which the answer of some rule turns."""

    findings: tuple[Finding, ...]
    asks: frozenset[str]
    said: Details = NOTHING_SAID

    @property
    def is_asked(self) -> bool:
        """Say whether the rules could be asked."""
        return NOT_ASKED not in self.findings


def look(*, appointment: Appointment, at: datetime) -> Looked:
    """Return what rules say about a booked case now, what waits by the days that were said before; keep nothing.

    Where they break down on what is on file, that is what is said, and it stands against the case.
    """
    case = Appointment.objects.select_related(*JOINED).get(pk=appointment.pk)
    try:
        with asking_of(case):
            judged, said = _judging([case], at)(case), wish_of(case).details
            asks = judged.asks()
    except RulesNotAsked:
        return Looked((NOT_ASKED, *deaths.finding_of(case.patient)), frozenset())
    dues = readiness.read_said([case])[case.pk].dues()
    return Looked(readiness.dated(judged.findings + deaths.finding_of(case.patient), case, at, dues), asks, said)
