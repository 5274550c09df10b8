"""Ask the rules again about cases that are booked: when a fact about the patient changed, every night, and when rules change.

Only what rules say is asked anew; time, people and rooms were settled when the case was booked or moved. Nothing is moved or
cancelled: what now speaks against a case becomes a task, and a waiver whose facts have changed ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.errors import Busy, Forbidden, Refused
from patients import facts
from patients.models import FactChange, Patient
from patients.records import FieldRefused
from procedures import rulebook
from procedures.rules import Finding, Waiver, ordered, unwaived
from scheduling import deaths, desk_tasks, readiness, waiting
from scheduling.assessing import Judged, details_row, is_fixed_ahead, judge, open_cases, wish_of
from scheduling.booking import RulesRefused, staging
from scheduling.booking.judging import OVERRIDES
from scheduling.booking.words import guarded
from scheduling.models import AWAY, BEFORE_ARRIVAL, Appointment, CaseDetails, DeskTask, RuleCheck, Status, TaskKind, TaskOutcome

BY = Actor.system("rules")
BATCH = 50  # cases that are asked about in one transaction, whose patients are locked meanwhile
AT_ONCE = 200  # changed facts that are looked at in one go
BUDGET = timedelta(seconds=45)  # for one call; the next goes on
NIGHT = time(2)
AGAIN = "recheck"  # the kind of a change that is none: the rules broke down and are asked again
NOT_ASKED = "The rules could not be asked about this case: the product broke down on what is on file. Look at it by hand."
WAITING_IN_HOUSE = frozenset({Status.ARRIVED, Status.PREPARING, Status.READY})
JOINED = ("procedure", "site", "patient", "details")
log = structlog.get_logger(__name__)


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

    Nine statements for any number of cases about which nothing new is said.
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


def look(*, appointment: Appointment, at: datetime) -> Looked:
    """Return what rules say about a booked case now, what waits by the days that were said before; keep nothing."""
    case = Appointment.objects.select_related(*JOINED).get(pk=appointment.pk)
    judged = _judging([case], at)(case)
    dues = readiness.read_said([case])[case.pk].dues()
    return Looked(readiness.dated(judged.findings + deaths.finding_of(case.patient), case, at, dues), judged.asks())


# --- what people say about a booked case -----------------------------------------------------------------------------


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
        RulesRefused: a reason is missing, or the actor may not override what was named.
        Stale: the case is no longer at `version`.
    """
    with guarded(), transaction.atomic():
        case, before = _locked(appointment, version)
        keys = {waiver.code for waiver in waivers}
        findings, prints = judge_cases([case], at)[case.pk](sorted(keys | {override.code for override in before.overrides}))
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
    """Ask again about a case whose patient is in the house, which `recheck` leaves alone, and keep what is said."""
    with guarded(), transaction.atomic():
        case, before = _locked(appointment, None)
        findings, prints = judge_cases([case], at)[case.pk](tuple(override.code for override in before.overrides))
        readiness.keep(case, findings, (), by, at, fingerprints=prints, said=before)


def plan_case(
    *, appointment: Appointment, changes: Mapping[str, Any], by: Actor, at: datetime, version: int | None = None
) -> CaseDetails:
    """Say what is planned for a case beyond its target; what waited for it is asked again at once.

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
        recheck([case.patient_id], at=at, by=by, cases=[case.pk])
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


# --- facts that changed ----------------------------------------------------------------------------------------------


def follow_changes(*, at: datetime, budget: timedelta = BUDGET, now: Callable[[], datetime] = clock.now) -> Asked:
    """Ask again about the cases of everybody about whom a fact has changed; one patient's failure stops no other's.

    Each patient is a transaction; one that broke down keeps its word, comes after the others and is asked again next time.
    """
    queue = FactChange.objects.filter(done_at=None).order_by("failures", "pk")[:AT_ONCE]
    ends = now() + budget
    total = Asked()
    for patient in dict.fromkeys(queue.values_list("patient_id", flat=True)):
        total += ask_alone(patient, at, lambda patient=patient: _follow(patient, at))  # type: ignore[misc]
        if now() >= ends:
            break
    return total


def _follow(patient: int, at: datetime) -> Asked:
    (locked,) = staging.lock_patients([patient]).values()
    deaths.follow(patient=locked, at=at)
    step = recheck([patient], at=at)
    FactChange.objects.filter(patient=patient, done_at=None).update(done_at=at)
    return step


def ask_alone(patient: int, at: datetime, ask: Callable[[], Asked]) -> Asked:
    """Ask about one patient in a transaction of its own; if that fails, leave the word that it is to be done again."""
    try:
        with guarded(), transaction.atomic():
            return ask()
    except Busy as error:  # somebody has the patient in hand
        log.warning("recheck_failed", code=error.code)
        with guarded(), transaction.atomic():
            _come_back(patient, at)
        return Asked()
    except Exception as error:  # one patient on whom the rules break down must not stop the others; counted and shown
        held = Patient.objects.get(pk=patient)
        log.error("recheck_broke_down", patient=str(held.public_id), exc_info=error)
        with guarded(), transaction.atomic():
            _come_back(patient, at)
            _note_failure(held, at)
        return Asked(failed=1)


def _come_back(patient: int, at: datetime) -> None:
    if not FactChange.objects.filter(patient=patient, done_at=None).exists():
        FactChange.objects.create(patient_id=patient, kind=AGAIN, at=at, planned_at=at)  # for the rules, not for the planner


def _note_failure(patient: Patient, at: datetime) -> None:
    """Count that the rules broke down on a patient, and open a task for each coming case; it closes once they can be asked."""
    FactChange.objects.filter(patient=patient, done_at=None).update(failures=F("failures") + 1)
    coming = Appointment.objects.filter(patient=patient, status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at)
    seen = Q(done_at=None) | Q(done_by__isnull=False, done_at__gt=at - waiting.AT_LEAST)  # whoever closed it is told once a day
    told = DeskTask.objects.filter(seen, kind=TaskKind.RULES, appointment=OuterRef("pk"), note__contains=NOT_ASKED)
    for case in coming.exclude(Exists(told)).select_related("site").order_by("pk"):
        due = min(at + waiting.AT_LEAST, case.arrives_at)
        desk_tasks.open_task(
            kind=TaskKind.RULES, patient=patient, appointment=case, by=BY, at=at, due_at=due, reason="not_asked", note=NOT_ASKED
        )


# --- every night -----------------------------------------------------------------------------------------------------


def check_all(*, at: datetime, budget: timedelta = BUDGET, now: Callable[[], datetime] = clock.now) -> Asked:
    """Ask about every coming case once a night, and once more when rules were changed; go on where the last call stopped.

    Batch by batch, each its own transaction with the place it came to, so a kill costs one batch and memory stays flat.
    """
    run = _under_way(at)
    ends = now() + budget
    total = Asked()
    while run is not None:
        step = _next_batch(run.pk, at)
        total += step or Asked()
        if step is None or now() >= ends:
            break
    return total


def _under_way(at: datetime) -> RuleCheck | None:
    """Return the run under way, or begin one if the night's is due or the rules are not those of the last one."""
    with transaction.atomic():
        last = RuleCheck.objects.select_for_update(skip_locked=True).order_by("-pk").first()
        if last is not None and last.done_at is None:
            return last
        if last is None and RuleCheck.objects.exists():
            return None  # another worker has it
        stamp = repr(rulebook.read_stamp())
        is_night = last is None or last.begun_at < _last_night(at)
        if last is not None and not is_night and last.stamp == stamp:
            return None
        return RuleCheck.objects.create(begun_at=at, because="night" if is_night else "rules", stamp=stamp)


def _last_night(at: datetime) -> datetime:
    site = Site.objects.active().order_by("pk").first()
    zone = ZoneInfo(site.time_zone if site is not None else "UTC")
    local = at.astimezone(zone)
    begins = datetime.combine(local.date(), NIGHT, tzinfo=zone)
    return begins if begins <= local else datetime.combine(local.date() - timedelta(days=1), NIGHT, tzinfo=zone)


def _next_batch(run: int, at: datetime) -> Asked | None:
    """Ask about the next cases of a run; None when there are none left or another worker has it."""
    with guarded(), transaction.atomic():
        row = RuleCheck.objects.select_for_update(skip_locked=True).filter(pk=run, done_at=None).first()
        if row is None:
            return None
        coming = Appointment.objects.filter(status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=at, pk__gt=row.cursor)
        batch = list(coming.order_by("pk").values_list("pk", "patient_id")[:BATCH])
        if not batch:
            row.done_at = at
            row.save(update_fields=["done_at"])
            _tidy(at)
            return None
        step = _ask_batch(batch, at)
        row.cursor = batch[-1][0]
        row.seen += step.seen
        row.changed += step.changed
        row.failed += step.failed
        row.save(update_fields=["cursor", "seen", "changed", "failed"])
        return step


def _ask_batch(batch: Sequence[tuple[int, int]], at: datetime) -> Asked:
    """Ask about cases (key and patient) at once; if that breaks down, patient by patient, and note on whom it does."""
    try:
        with transaction.atomic():
            return recheck([patient for _, patient in batch], at=at, cases=[case for case, _ in batch])
    except Exception as error:  # on one of them; on whom shows when each is asked about alone
        log.warning("recheck_batch_broke_down", count=len(batch), exc_info=error)
    cases: dict[int, list[int]] = defaultdict(list)
    for case, patient in batch:
        cases[patient].append(case)
    total = Asked()
    for patient in sorted(cases):  # in key order, as patients are locked
        total += ask_alone(patient, at, lambda patient=patient: recheck([patient], at=at, cases=cases[patient]))  # type: ignore[misc]
    return total


def _tidy(at: datetime) -> None:
    """Close what cases that are over or away still had open."""
    left = DeskTask.objects.filter(done_at=None, kind__in=waiting.READINESS)
    for over in (left.filter(appointment__status__in=AWAY), left.filter(appointment__leaves_at__lte=at)):
        DeskTask.objects.filter(pk__in=list(over.values_list("pk", flat=True))).update(outcome=TaskOutcome.NOT_NEEDED, done_at=at)
