"""Book what comes next in a course: one transaction, with everything that must be booked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden, Refused
from procedures import pathwaybook, rulebook
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking
from scheduling.assessing import Details
from scheduling.availability import Opening
from scheduling.booking import Target, staging
from scheduling.booking.words import guarded
from scheduling.courses import rolling
from scheduling.courses.aims import Rulebook, spot_of
from scheduling.courses.planning import plan
from scheduling.courses.words import CourseNotRunning, NothingPlanned, NotOfThisCourse, ProblemChanged, must_work
from scheduling.models import Appointment, Course, CourseStatus, Hold, PlannedSession, PlanState


class BeforeWindow(Refused):
    """The course does not want it so early."""

    def __init__(self, earliest: str) -> None:
        super().__init__("before_window", f"This session comes not before {earliest} in its course. Choose a later time.")


class RemovalMissing(Refused):
    """A trial is booked together with the removal of its leads."""

    def __init__(self) -> None:
        super().__init__("removal_missing", "A trial is booked together with the removal of its leads. Choose a time for both.")


def book_next(
    *,
    planned: PlannedSession,
    opening: Opening,
    by: Actor,
    at: datetime,
    companion: Opening | None = None,
    waivers: Sequence[Waiver] = (),
) -> Appointment:
    """Book the planned session at an opening, and what must be booked with it; all of it or nothing.

    Raises:
        Forbidden: the actor may not work on the worklist or not book.
        NothingPlanned: it is no longer what comes next, or is booked already.
        CourseNotRunning: the course has stopped.
        BeforeWindow: the opening lies before the planned window.
        RemovalMissing: something must be booked with it and no opening for that is given.
        RulesRefused, SlotTaken, Busy: as for `booking.book`.
    """
    must_work(by)
    if not by.may("scheduling.book_appointment"):
        raise Forbidden("not_allowed", "You may not book.")
    with guarded(), transaction.atomic():
        patient = staging.lock_patients([planned.course.patient_id])[planned.course.patient_id]
        rows = Course.objects.select_for_update(no_key=True, of=("self",)).filter(patient=patient).select_related("site")
        course = next(one for one in rows.order_by("pk") if one.pk == planned.course_id)
        row = _standing(planned, course)
        zone = ZoneInfo(course.site.time_zone)
        rolling.shown(row, at.astimezone(zone).date())
        if row.earliest is not None and opening.starts_at.astimezone(zone).date() < row.earliest:
            raise BeforeWindow(row.earliest.isoformat())
        if row.companion is not None:
            if companion is None:
                raise RemovalMissing
            procedure, target = what(row, course, str(row.companion["procedure"]), course.side)
            booking.book(patient=patient, procedure=procedure, target=target, opening=companion, by=by, at=at)
        procedure, target = what(row, course, row.procedure, row.side)
        case = booking.book(patient=patient, procedure=procedure, target=target, opening=opening, by=by, at=at, waivers=waivers)
        plan([course.pk], at=at)
        return case


def book_by_hand(
    *,
    course: Course,
    problem: UUID | None,
    procedure: Procedure,
    target: Target,
    opening: Opening,
    by: Actor,
    at: datetime,
    hold: Hold | None = None,
    waivers: Sequence[Waiver] = (),
) -> Appointment:
    """Book for a course what the desk chose, for the problem that the course is for; `problem` is the one that the desk saw.

    Whoever changes or stops the course locks the patient, as this does: it is read as it stands.

    Raises:
        NotOfThisCourse: it has stopped, or has no such procedure.
        ProblemChanged: it is for another problem than the desk saw.
        RulesRefused, SlotTaken, HoldEnded, Busy: as for `booking.book`.
    """
    with guarded(), transaction.atomic():
        patient = staging.lock_patients([course.patient_id])[course.patient_id]
        row = Course.objects.select_related("problem").get(pk=course.pk)
        said = ordered(course=row, procedure=procedure)
        if row.status != CourseStatus.ACTIVE or said.course_id is None:
            raise NotOfThisCourse
        if problem != (row.problem.public_id if row.problem is not None else None):
            raise ProblemChanged(row.problem.name if row.problem is not None else "")
        details = replace(target.details, course_id=row.pk, problem_id=row.problem_id)
        return booking.book(
            patient=patient,
            procedure=procedure,
            target=replace(target, details=details),
            opening=opening,
            by=by,
            at=at,
            hold=hold,
            waivers=waivers,
        )


def _standing(planned: PlannedSession, course: Course) -> PlannedSession:
    if course.status != CourseStatus.ACTIVE:
        raise CourseNotRunning("This course has stopped. Nothing was booked.")
    row = PlannedSession.objects.filter(pk=planned.pk, is_current=True, state=PlanState.PROPOSED, appointment=None).first()
    if row is None:
        raise NothingPlanned
    return row


def what(row: PlannedSession, course: Course, code: str, side: str) -> tuple[Procedure, Target]:
    """Return a procedure of a planned session, its own or the one booked with it, and its target as booking takes them."""
    procedure = Procedure.objects.get(code=code)
    spot = spot_of(procedure, side or course.side, course.levels, course.regions)
    details = _said(course, row, procedure) if code == row.procedure else Details()
    details = replace(details, course_id=course.pk, problem_id=course.problem_id)
    target = Target(
        side=spot.side, levels=spot.levels, sedation=procedure.planned_sedation, regions=spot.regions, details=details
    )
    return procedure, target


def ordered(*, course: Course, procedure: Procedure) -> Details:
    """Return what a course says of a case that the desk books for it by hand; nothing where it has no such work.

    Course and problem of any of its work; the role of the session that comes next, and of no other.
    """
    row = PlannedSession.objects.filter(course=course, is_current=True, procedure=procedure.code).first()
    if row is None and procedure.code not in course.works.values():
        return Details()
    return replace(_said(course, row, procedure), course_id=course.pk, problem_id=course.problem_id)


def fills(*, course: Course) -> Mapping[str, frozenset[str]]:
    """Return what a course may have filled in on the booking page, whichever of its sessions was meant: role, drug and reason."""
    pathway = pathwaybook.pathways().get(course.pathway)
    roles = frozenset(step.role for step in pathway.steps) if pathway is not None else frozenset()
    return {"role": roles, "drug": frozenset({course.drug}), "rationale": frozenset({course.rationale})}


def _said(course: Course, row: PlannedSession | None, procedure: Procedure) -> Details:
    """Return what the order says beyond the target, as the planner judged it: the role where there are two, drug and reason."""
    offer = Rulebook(rulebook.usable_book()).offer(procedure)
    pathway = pathwaybook.pathways().get(course.pathway)
    steps = pathway.steps if pathway is not None and offer.needs_role and row is not None else ()
    role = next((step.role for step in steps if row is not None and step.id == row.step), "")
    return Details(role=role, drug=course.drug if offer.steroid not in ("no", "") else "", rationale=course.rationale)
