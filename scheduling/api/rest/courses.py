"""Courses through the API: start, read, change, stop, restart, put off, calls, book next; the worklist; the pathways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import Patient, PerformedProcedure, Presentation
from procedures.models import ClinicPathway
from scheduling import courses, worklist
from scheduling.api import course_words as words
from scheduling.api import words as case_words
from scheduling.api.rest.asking import answer, one_of
from scheduling.api.rest.shapes import Act, page_of
from scheduling.courses import Terms, rolling
from scheduling.courses.starting import TERM_FIELDS
from scheduling.forms.courses import default_since
from scheduling.models import Course, CourseCall, Kind, PlannedSession, Resource

MOST_CALLS = 20
CURRENT = "current_plans"


def rows(request: Request) -> QuerySet[Course]:
    """Return the courses that the asker may see, with what the answer shows."""
    plans = PlannedSession.objects.filter(is_current=True).select_related("found", "appointment")
    return (
        Course.objects.visible_to(web.member(request))
        .select_related("patient", "site", "physician", "problem")
        .prefetch_related(Prefetch("plans", queryset=plans, to_attr=CURRENT))
    )


def told(course: Course, at: datetime) -> Course:
    """Put what comes next beside a course, as of today."""
    plans = getattr(course, CURRENT)
    today = at.astimezone(ZoneInfo(course.site.time_zone)).date()
    course.current_plan = rolling.shown(plans[0], today) if plans else None  # type: ignore[attr-defined]
    return course


def _answer(request: Request, course: Course, status: int = 200) -> Response:
    """Return a course as it is now, with the tag of its version."""
    at = web.now()
    row = told(rows(request).get(pk=course.pk), at)
    row.line = courses.stops(row, row.current_plan, at=at)  # type: ignore[attr-defined]
    row.last_calls = list(CourseCall.objects.filter(course=row).order_by("-at", "-pk")[:MOST_CALLS])  # type: ignore[attr-defined]
    return Response(words.OneCourseOut(row).data, status=status, headers={"ETag": rest.etag(row.version)})


def _said(request: Request, patient: Patient, values: dict[str, Any]) -> dict[str, Any]:
    """Return those of the terms that are among some values."""
    found = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items() if name in TERM_FIELDS}
    if found.get("physician"):
        mine = Resource.objects.filter(kind=Kind.PHYSICIAN, is_active=True, site__in=web.member(request).sites.all())
        found["physician"] = one_of(mine, "physician", found["physician"])
    if found.get("problem"):
        found["problem"] = one_of(Presentation.objects.of(patient), "problem", found["problem"])
    return found


class Courses(rest.View):
    """List the courses of the asker's sites, or start one."""

    required = {"GET": "scheduling.view_course", "POST": "scheduling.order_course"}

    @extend_schema(operation_id="courses_list", parameters=[words.CoursesIn], responses=words.CourseOut(many=True))
    def get(self, request: Request) -> Response:
        given = words.CoursesIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        found = rows(request)
        if "patient" in given.validated_data:
            found = found.filter(patient__public_id=given.validated_data["patient"])
        if "status" in given.validated_data:
            found = found.filter(status=given.validated_data["status"])
        at = web.now()
        return page_of(
            self, request, found.order_by("-created_at", "-pk"), words.CourseOut, act="scheduling.courses_read",
            shown=lambda page: [told(row, at) for row in page],
        )  # fmt: skip

    @extend_schema(operation_id="courses_start", request=words.CourseIn, responses={201: words.OneCourseOut})
    def post(self, request: Request) -> Response:
        given = words.CourseIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        user = web.member(request)
        patient = one_of(Patient.objects.visible_to(user), "patient", values["patient"])
        site = one_of(Site.objects.visible_to(user), "site", values["site"])
        performed = None
        if values["started_from"]:
            performed = one_of(PerformedProcedure.objects.of(patient), "started_from", values["started_from"])
        today = web.now().astimezone(ZoneInfo(site.time_zone)).date()

        def produce() -> Response:
            made = courses.start(
                patient=patient, site=site, terms=Terms(values["pathway"], **_said(request, patient, values)), by=self.actor,
                at=web.now(), since=values.get("since") or default_since(today), started_from=performed,
            )  # fmt: skip
            return _answer(request, made, 201)

        return rest.once(request, "courses.start", produce)  # type: ignore[return-value]


class OneCourse(rest.View):
    """Read one course with its plan and the reasons; the reading is recorded."""

    required = {"GET": "scheduling.view_course"}

    @extend_schema(operation_id="courses_read", responses=words.OneCourseOut)
    def get(self, request: Request, public_id: str) -> Response:
        row = get_object_or_404(rows(request), public_id=public_id)
        trail.record(by=self.actor, act="scheduling.course_read", subject=row, patient=row.patient.public_id, site_id=row.site_id)
        return _answer(request, row)


class CourseAct(Act[Course]):
    """An act on a course."""

    noun = "courses"

    def found(self, request: Request, public_id: str) -> Course:
        return get_object_or_404(rows(request), public_id=public_id)

    def told(self, request: Request, row: Course) -> Response:
        return _answer(request, row)


class ChangeCourse(CourseAct):
    """Change what a course asks for: what is not named stays as it is, null clears it. The pathway stays."""

    required = {"POST": "scheduling.order_course"}
    given = words.CourseChangeIn

    @extend_schema(operation_id="courses_change", request=words.CourseChangeIn, responses=words.OneCourseOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda row, values: courses.change(
                course=row,
                terms=replace(courses.terms_of(row), **_said(request, row.patient, values)),
                by=self.actor,
                at=web.now(),
                version=row.version,
            ),
        )


class StopCourse(CourseAct):
    required = {"POST": "scheduling.order_course"}
    given = words.StopIn

    @extend_schema(operation_id="courses_stop", request=words.StopIn, responses=words.OneCourseOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda row, values: courses.stop(
                course=row, reason=values["reason"], by=self.actor, at=web.now(), version=row.version
            ),
        )


class RestartCourse(CourseAct):
    required = {"POST": "scheduling.order_course"}
    given = words.RestartIn

    @extend_schema(operation_id="courses_restart", request=words.RestartIn, responses=words.OneCourseOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(row: Course, values: dict[str, Any]) -> Course:
            at = web.now()
            today = at.astimezone(ZoneInfo(row.site.time_zone)).date()
            return courses.restart(
                course=row, by=self.actor, at=at, on=today, is_anew=values["anew"], version=row.version
            )  # fmt: skip

        return self.act_on(request, public_id, verb)


class SnoozeCourse(CourseAct):
    required = {"POST": "scheduling.work_course"}
    given = words.SnoozeIn
    must_know = False

    @extend_schema(operation_id="courses_snooze", request=words.SnoozeIn, responses=words.OneCourseOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda row, values: courses.snooze(course=row, by=self.actor, at=web.now(), **values),
        )


class CallCourse(CourseAct):
    required = {"POST": "scheduling.work_course"}
    given = words.CallIn
    must_know = False

    @extend_schema(operation_id="courses_call", request=words.CallIn, responses=words.OneCourseOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda row, values: courses.note_call(course=row, by=self.actor, at=web.now(), **values),
        )


class BookNext(rest.View):
    """Book what comes next at one of the openings found for it, with everything that must be booked together."""

    required = {"POST": "scheduling.book_appointment"}

    @extend_schema(operation_id="courses_book", request=words.BookNextIn, responses={201: case_words.AppointmentOut})
    def post(self, request: Request, public_id: str) -> Response:
        row = get_object_or_404(rows(request), public_id=public_id)
        given = words.BookNextIn(data=request.data)
        given.is_valid(raise_exception=True)
        starts_at = given.validated_data.get("starts_at")

        def produce() -> Response:
            planned = PlannedSession.objects.select_related("course__patient", "course__site").filter(
                course=row, is_current=True
            ).first()  # fmt: skip
            if planned is None:
                raise courses.NothingPlanned
            opening, companion = courses.chosen(planned, starts_at, web.now())
            case = courses.book_next(planned=planned, opening=opening, companion=companion, by=self.actor, at=web.now())
            return answer(request, case, 201)

        return rest.once(request, f"courses.book:{public_id}", produce)  # type: ignore[return-value]


class Worklist(rest.View):
    """List the courses of one tab of the worklist, the most pressing first."""

    required = {"GET": "scheduling.view_course"}

    @extend_schema(operation_id="worklist_list", parameters=[words.WorklistIn], responses=words.CourseOut(many=True))
    def get(self, request: Request) -> Response:
        given = words.WorklistIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        at, user = web.now(), web.member(request)
        site = user.sites.order_by("pk").first()
        today = at.astimezone(ZoneInfo(site.time_zone if site is not None else "UTC")).date()
        listed = worklist.listed(user=user, today=today, tab=given.validated_data["tab"])

        def shown(page: Sequence[PlannedSession]) -> list[Course]:
            found = {row.pk: row for row in rows(request).filter(pk__in=[plan.course_id for plan in page])}
            return [told(found[plan.course_id], at) for plan in page]

        return page_of(self, request, listed, words.CourseOut, act="scheduling.worklist_read", shown=shown)


class Pathways(rest.View):
    """List the clinic's pathways; they are changed on their pages."""

    required = {"GET": "procedures.view_pathways"}

    @extend_schema(operation_id="pathways_list", responses=words.PathwayOut(many=True))
    def get(self, request: Request) -> Response:
        return page_of(self, request, ClinicPathway.objects.in_order(), words.PathwayOut)
