"""One course: its own page, and its line in the patient's list."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients.models import Patient, Presentation
from procedures import pathwaybook
from procedures.models import ClinicPathway, Procedure
from scheduling.agenda import words
from scheduling.agenda.shapes import Pair
from scheduling.courses import rolling, stops
from scheduling.models import CallOutcome, Course, CourseCall, CourseStatus, PlannedSession, PlanState
from scheduling.worklist.rows import call_told, joined, pathway_name, rows_of, target_of, when_told
from scheduling.worklist.shapes import CourseLine, CourseShown

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


def course_page(*, course: Course, by: Actor, at: datetime) -> CourseShown:
    """Return one course as its page shows it; patient, site and physician are joined."""
    zone = ZoneInfo(course.site.time_zone)
    today = at.astimezone(zone).date()
    plans = list(joined(PlannedSession.objects.filter(course=course)).order_by("number"))
    planned = next((rolling.shown(row, today) for row in plans if row.is_current), None)
    calls = CourseCall.objects.filter(course=course).order_by("-at", "-pk")[:10]
    pathway = pathwaybook.pathways().get(course.pathway)
    reverse_of = {name: reverse(f"scheduling:{name}", args=[course.public_id]) for name in _COURSE_URLS}
    return CourseShown(
        key=str(course.public_id),
        title=f"{words.full_name(course.patient)}: {pathway.name if pathway else course.pathway}",
        name=pathway.name if pathway else course.pathway,
        patient=words.full_name(course.patient),
        patient_url=reverse("patients:patient", args=[course.patient.public_id]),
        status=course.status,
        status_told=_status_told(course),
        version=course.version,
        stops=stops(course, planned, at=at),
        facts=_facts(course, today, by),
        row=rows_of([planned], by=by, today=today)[0] if planned is not None else None,
        calls=tuple(call_told(call, zone) for call in calls),
        earlier=tuple(
            Pair(
                words.short_day(row.planned_at.astimezone(zone).date(), today),
                ": ".join(part for part in (row.name or row.get_state_display(), row.for_what) if part),
            )
            for row in plans
            if not row.is_current
        ),
        outcomes=tuple(Pair(value, str(label)) for value, label in CallOutcome.choices),
        may_order=by.may("scheduling.order_course"),
        may_work=by.may("scheduling.work_course"),
        may_book=by.may("scheduling.work_course") and by.may("scheduling.book_appointment"),
        pathway_url=_pathway_url(course, by),
        change_url=reverse_of["course_change"],
        stop_url=reverse_of["course_stop"],
        restart_url=reverse_of["course_restart"],
        series_url=f"{reverse('scheduling:series_order', args=[course.patient.public_id])}?course={course.public_id}",
        tomorrow=(today + timedelta(days=1)).isoformat(),
    )


_COURSE_URLS = ("course_change", "course_stop", "course_restart")


def of_patient(*, patient: Patient, user: User, today: date, stamp: pathwaybook.Stamp | None = None) -> tuple[CourseLine, ...]:
    """Return a patient's courses at the sites of this user, the running ones first.

    Who has read the pathways' stamp already hands it over, and saves a statement.
    """
    rows = joined(PlannedSession.objects.filter(is_current=True, course__patient=patient, course__site__in=user.sites.all()))
    pathways = pathwaybook.pathways(stamp)
    found = sorted(rows, key=lambda row: (row.course.status != CourseStatus.ACTIVE, row.course.created_at, row.pk))
    return tuple(
        CourseLine(
            name=pathway_name(row.course, pathways),
            what=target_of(row.course),
            told=when_told(row, today) if row.course.status == CourseStatus.ACTIVE else _status_told(row.course),
            why=_why(row) if row.course.status == CourseStatus.ACTIVE else (),
            url=reverse("scheduling:course", args=[row.course.public_id]),
            is_running=row.course.status == CourseStatus.ACTIVE,
            key=str(row.course.public_id),
        )
        for row in (rolling.shown(one, today) for one in found)
    )


def _why(row: PlannedSession) -> tuple[str, ...]:
    """Return why a session is planned as it is: what it waits for, what keeps it from being booked, or its reasons."""
    if row.state == PlanState.WAITING:
        return (row.for_what,) if row.for_what else ()
    return tuple((not row.booked_on and row.blocked_by) or row.reasons)


def _status_told(course: Course) -> str:
    if course.is_parked:
        return "Planning this course breaks down. An engineer has to look; restart it afterwards."
    if course.status == CourseStatus.STOPPED:
        who = "by a physician" if course.is_stopped_by_hand else "by itself"
        return f"Stopped {who}: {course.stop_reason}"
    return str(course.get_status_display())


def _pathway_url(course: Course, by: Actor) -> str:
    row = ClinicPathway.objects.filter(code=course.pathway).first() if by.may("procedures.view_pathways") else None
    return row.get_absolute_url() if row is not None else ""


def problem_told(row: Presentation) -> str:
    """Return a problem on record as a course and a choice say it: what, where, since when, and whether it still is one."""
    where = ", ".join(part for part in (*row.levels, row.side) if part)
    since = f"since {row.pain_since:%b %Y}" if row.pain_since else ""
    ended = "a mistake on record" if row.is_in_error else f"ended {row.ended_on:%b %Y}" if row.ended_on else ""
    return ", ".join(part for part in (row.name, row.icd10, where, since, ended) if part)


def _facts(course: Course, today: date, by: Actor) -> tuple[Pair, ...]:
    """Return what was ordered, as far as something was. Who does not read histories gets a problem by its name alone."""
    problem = course.problem
    told = "" if problem is None else problem_told(problem) if by.may("patients.view_history") else problem.name
    names = {one.code: one.name for one in Procedure.objects.filter(code__in=course.works.values()).order_by("pk")}
    bounds = [
        f"not before {words.short_day(course.not_before, today)}" if course.not_before else "",
        f"not after {words.short_day(course.not_after, today)}" if course.not_after else "",
        f"at most {course.most_sessions} sessions" if course.most_sessions else "",
        f"at least {course.gap_days} days between them" if course.gap_days else "",
    ]
    found = [
        Pair("Where", target_of(course)),
        Pair("Procedures", ", ".join(dict.fromkeys(names.get(code, code) for code in course.works.values()))),
        Pair("Steroid", course.drug.replace("_", " ")),
        Pair("Problem treated", told),
        Pair("Diagnosis", course.diagnosis),
        Pair("Goal", course.goal),
        Pair("Limits", ", ".join(bound for bound in bounds if bound)),
        Pair("Both sides", f"one after the other, {course.first_side} first" if course.is_staged else ""),
        Pair("Physician", course.physician.name if course.physician else ""),
        Pair("Since", words.short_day(course.since, today)),
        Pair("Reason written", course.rationale),
    ]
    return tuple(pair for pair in found if pair.value)
