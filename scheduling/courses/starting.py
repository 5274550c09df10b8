"""Start, change, stop and restart a course; put it off; write down a call. Each plans at once what it changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import FactChange, Patient, PerformedProcedure
from procedures import pathwaybook, rulebook
from procedures.levels import validate_target
from procedures.models import Procedure
from procedures.pathways import Pathway, Step
from scheduling.assessing import RulesNotAsked
from scheduling.booking import staging
from scheduling.booking.words import guarded
from scheduling.courses.aims import spot_of
from scheduling.courses.planning import plan
from scheduling.courses.words import (
    CourseNotRunning,
    CourseStale,
    ReasonMissing,
    Terms,
    TermsRefused,
    must_order,
    must_work,
)
from scheduling.models import AWAY, BEFORE_ARRIVAL, Appointment, CallOutcome, CaseDetails, Course, CourseCall, CourseStatus
from scheduling.rechecking import WAITING_IN_HOUSE, ask_alone, ask_in_house, leave, recheck

TERM_FIELDS = (
    "works", "side", "levels", "regions", "drug", "is_staged", "first_side", "physician", "problem", "diagnosis", "goal",
    "most_sessions", "not_before", "not_after", "gap_days", "wishes", "rationale",
)  # fmt: skip


def start(
    *,
    patient: Patient,
    site: Site,
    terms: Terms,
    by: Actor,
    at: datetime,
    since: date,
    started_from: PerformedProcedure | None = None,
) -> Course:
    """Start a course from a problem on record, a diagnosis in words or a performed procedure, and plan it.

    `since` is the first date whose sessions belong to it. Locks the patient, so that a booking made meanwhile either is
    seen here or leaves its cause.

    Raises:
        Forbidden: the actor may not order courses.
        TermsRefused: something that is ordered does not go together.
    """
    must_order(by)
    checked(terms)
    _check_problem(terms, patient.pk)
    if started_from is not None and started_from.patient_id != patient.pk:
        raise TermsRefused("started_from", "This procedure is another patient's.")
    with guarded(), transaction.atomic():
        staging.lock_patients([patient.pk])
        course = Course(
            patient=patient,
            site=site,
            pathway=terms.pathway,
            since=min(since, started_from.done_on) if started_from is not None else since,
            started_from=started_from,
            created_at=at,
            created_by_id=by.user_id,
        )
        _put(course, terms)
        course.save()
        _record("scheduling.start_course", course, by, details={"pathway": terms.pathway})
        plan([course.pk], at=at)
    course.refresh_from_db()
    return course


def change(*, course: Course, terms: Terms, by: Actor, at: datetime, version: int | None = None) -> Course:
    """Change what a course asks for; its pathway stays. For another problem its cases ahead are judged by that one at once.

    Raises:
        Forbidden, TermsRefused: as for `start`.
        CourseStale: it is no longer at `version`.
    """
    must_order(by)
    if terms.pathway != course.pathway:
        raise TermsRefused("pathway", "A course keeps its pathway. Stop it and start another one.")
    checked(terms, is_running=True)
    _check_problem(terms, course.patient_id)
    with guarded(), transaction.atomic():
        row = _locked(course, version)
        before = row.problem_id
        _put(row, terms)
        row.version += 1
        row.save(update_fields=[*TERM_FIELDS, "version"])
        _record("scheduling.change_course", row, by)
        if row.problem_id != before:
            _carry_problem(row, by, at)
        plan([row.pk], at=at)
    row.refresh_from_db()
    return row


def stop(*, course: Course, reason: str, by: Actor, at: datetime, version: int | None = None) -> Course:
    """Stop a course by a person's word; the planner leaves it alone until it is restarted.

    Raises:
        Forbidden: the actor may not order courses.
        ReasonMissing: no reason is given.
        CourseStale: it is no longer at `version`.
        CourseNotRunning: a person has stopped it already.
    """
    must_order(by)
    if not reason.strip():
        raise ReasonMissing
    with guarded(), transaction.atomic():
        row = _locked(course, version)
        if row.is_stopped_by_hand:
            raise CourseNotRunning("This course is stopped already.")
        row.status, row.is_stopped_by_hand, row.stopped_at = CourseStatus.STOPPED, True, at
        row.stop_code, row.stop_reason = "physician", reason.strip()
        row.snoozed_until, row.snooze_reason, row.news_at = None, "", at
        row.version += 1
        row.save(
            update_fields=[
                "status", "is_stopped_by_hand", "stopped_at", "stop_code", "stop_reason", "snoozed_until", "snooze_reason",
                "news_at", "version",
            ]
        )  # fmt: skip
        _record("scheduling.stop_course", row, by)
        plan([row.pk], at=at)  # the patient's others: what this one proposed keeps them apart no longer
    return row


def restart(*, course: Course, by: Actor, at: datetime, on: date, is_anew: bool = False, version: int | None = None) -> Course:
    """Take a course up again: where it stood, gates so far taken as open by this word, or from its first step on.

    Raises:
        Forbidden: the actor may not order courses.
        CourseStale: it is no longer at `version`.
    """
    must_order(by)
    with guarded(), transaction.atomic():
        row = _locked(course, version)
        row.status, row.is_stopped_by_hand, row.stopped_at = CourseStatus.ACTIVE, False, None
        row.stop_code, row.stop_reason = "", ""
        row.failures, row.is_parked = 0, False
        row.trusted_until = None if is_anew else on
        row.since = on if is_anew else row.since
        row.version += 1
        row.save(
            update_fields=[
                "status", "is_stopped_by_hand", "stopped_at", "stop_code", "stop_reason", "failures", "is_parked",
                "trusted_until", "since", "version",
            ]
        )  # fmt: skip
        _record("scheduling.restart_course", row, by, details={"is_anew": is_anew})
        plan([row.pk], at=at)
    row.refresh_from_db()
    return row


def snooze(*, course: Course, until: date | None, reason: str, by: Actor, at: datetime) -> Course:
    """Put a course off on the worklist until a day, with a reason; None brings it back.

    Raises:
        Forbidden: the actor may not work on the worklist.
        ReasonMissing: no reason is given.
    """
    must_work(by)
    if until is not None and not reason.strip():
        raise ReasonMissing
    with guarded(), transaction.atomic():
        row = _locked(course, None)
        row.snoozed_until, row.snooze_reason = until, reason.strip() if until is not None else ""
        row.version += 1
        row.save(update_fields=["snoozed_until", "snooze_reason", "version"])
        _record("scheduling.snooze_course", row, by, details={"until": until.isoformat() if until else ""})
        plan([row.pk], at=at)
    return row


def note_call(*, course: Course, outcome: str, note: str, by: Actor, at: datetime) -> CourseCall:
    """Write down an attempt to reach the patient about a course.

    Raises:
        Forbidden: the actor may not work on the worklist.
    """
    must_work(by)
    with transaction.atomic():
        call = CourseCall.objects.create(
            course=course, outcome=CallOutcome(outcome), note=note.strip()[:300], at=at, by_id=by.user_id
        )
        _record("scheduling.call_about_course", course, by, details={"outcome": call.outcome})
    return call


def checked(terms: Terms, *, is_running: bool = False) -> Pathway:
    """Return the pathway of some terms, when everything in them goes together; only a running course may have one that is off.

    Raises:
        TermsRefused: with the field that is wrong.
    """
    pathway = pathwaybook.pathways().get(terms.pathway)
    if pathway is None or not (pathway.is_on or is_running):
        raise TermsRefused("pathway", "Choose one of the clinic's pathways.")
    steps = {step.id: step for step in pathway.steps}
    procedures = {one.code: one for one in Procedure.objects.filter(code__in=set(terms.works.values()))}
    for name, code in terms.works.items():
        _check_work(steps.get(name), procedures.get(code), terms)
    if not terms.works:
        raise TermsRefused("works", "Say which procedure is meant in at least one step.")
    if terms.is_staged and (terms.side != "bilateral" or pathway.staging is None):
        raise TermsRefused("is_staged", "Only work on both sides can be done one side after the other.")
    if terms.not_before and terms.not_after and terms.not_after < terms.not_before:
        raise TermsRefused("not_after", "The last day lies before the first one.")
    book = rulebook.usable_book()
    if terms.drug not in ("", "none") and (book is None or terms.drug not in book.steroid_ids):
        raise TermsRefused("drug", "Choose a steroid of the clinic's table.")
    return pathway


def _check_problem(terms: Terms, patient: int) -> None:
    if terms.problem is not None and terms.problem.patient_id != patient:
        raise TermsRefused("problem", "This problem is another patient's.")


def _check_work(step: Step | None, procedure: Procedure | None, terms: Terms) -> None:
    if step is None or procedure is None or procedure.family not in step.families:
        raise TermsRefused("works", "Choose for each step a procedure of its kind.")
    spot = spot_of(procedure, terms.side, terms.levels, terms.regions)
    findings = validate_target(procedure, spot.side, spot.levels, spot.regions)
    if findings:
        raise TermsRefused("works", f"{step.name}: {findings[0].message}", findings)


def _carry_problem(course: Course, by: Actor, at: datetime) -> None:
    """Let the cases booked from a course that have not begun be for the problem that it is for now, and ask about them again."""
    cases = CaseDetails.objects.filter(course=course, appointment__is_history=False)
    ahead = cases.filter(appointment__status__in=(*BEFORE_ARRIVAL, *WAITING_IN_HOUSE, *AWAY))
    keys = list(ahead.order_by("pk").values_list("pk", flat=True))
    if keys:
        CaseDetails.objects.filter(pk__in=keys).update(problem=course.problem_id)
        ask_alone(course.patient_id, at, lambda: recheck([course.patient_id], at=at, by=by, cases=keys))
        for case in Appointment.objects.filter(pk__in=keys, status__in=WAITING_IN_HOUSE).order_by("pk"):
            try:
                ask_in_house(appointment=case, by=by, at=at)
            except RulesNotAsked:  # the problem is kept, for it may be the mend; page and board say that nobody knows
                leave([course.patient_id], at, is_last=True)
        # Who moves one of them at this moment has read it with the problem of before: the worker asks once more.
        FactChange.objects.create(patient_id=course.patient_id, kind="casedetails", at=at, planned_at=at)


def terms_of(course: Course) -> Terms:
    """Return what a course asks for as it was ordered; physician and problem are joined."""
    said: dict[str, Any] = {name: getattr(course, name) for name in TERM_FIELDS}
    said |= {name: tuple(one) for name, one in said.items() if isinstance(one, list)}
    return Terms(course.pathway, **said)


def _put(course: Course, terms: Terms) -> None:
    values: Mapping[str, Any] = {name: getattr(terms, name) for name in TERM_FIELDS}
    for name, value in values.items():
        setattr(course, name, list(value) if isinstance(value, tuple) else value)
    course.works = dict(terms.works)


def _locked(course: Course, version: int | None) -> Course:
    """Lock the patient and then all its courses, which are planned together; refuse if this one is not the one known."""
    staging.lock_patients([course.patient_id])
    rows = Course.objects.select_for_update(no_key=True, of=("self",)).filter(patient=course.patient_id)
    row = next(one for one in rows.select_related("patient", "site").order_by("pk") if one.pk == course.pk)
    if version is not None and row.version != version:
        raise CourseStale
    return row


def _record(act: str, course: Course, by: Actor, *, details: dict[str, Any] | None = None) -> None:
    trail.record(
        by=by, act=act, subject=course, patient=course.patient.public_id, site_id=course.site_id,
        details={"version": course.version, **(details or {})},
    )  # fmt: skip
