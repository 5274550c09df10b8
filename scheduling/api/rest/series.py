"""Several sessions together: order them, read, skip, move, find dates again, book."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import Patient
from scheduling import series
from scheduling.api import series_words as words
from scheduling.api.rest.asking import one_of, procedure_of
from scheduling.api.rest.shapes import Act
from scheduling.models import Course, Kind, Resource, Series
from scheduling.series import FromCourse, Item


class AllSeries(rest.View):
    """Order several sessions of a patient together; dates for all of them are found at once."""

    required = {"POST": "scheduling.order_course"}
    act = "scheduling.order_series"

    @extend_schema(operation_id="series_order", request=words.SeriesIn, responses={201: words.SeriesOut})
    def post(self, request: Request) -> Response:
        given = words.SeriesIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        member = web.member(request)
        patient = one_of(Patient.objects.visible_to(member), "patient", values["patient"])
        site = one_of(Site.objects.visible_to(request.user), "site", values["site"])
        physicians = Resource.objects.filter(kind=Kind.PHYSICIAN, is_active=True, site__in=member.sites.all())
        physician = one_of(physicians, "physician", values["physician"]) if values["physician"] else None
        courses = Course.objects.visible_to(member).filter(patient=patient)
        wanted: list[FromCourse | Item] = [
            FromCourse(one_of(courses, "courses", one["course"]), one["count"]) for one in values["courses"]
        ]
        wanted += [_item(one) for one in values["items"]]

        def produce() -> Response:
            made = series.order(
                patient=patient, site=site, given=wanted, by=self.actor, at=web.now(), physician=physician,
                not_before=values["not_before"], is_one_weekday=values["is_one_weekday"],
            )  # fmt: skip
            return answer(made, status=201)

        return rest.once(request, "series.order", produce)  # type: ignore[return-value]


class OneSeries(rest.View):
    """Read a series; the reading is recorded."""

    required = {"GET": "scheduling.view_course"}

    @extend_schema(operation_id="series_read", responses=words.SeriesOut)
    def get(self, request: Request, public_id: str) -> Response:
        row = the_series(request, public_id)
        trail.record(by=self.actor, act="scheduling.series_read", subject=row, patient=row.patient.public_id, site_id=row.site_id)
        return answer(row)


class SeriesAct(Act[Series]):
    """An act on a series."""

    noun = "series"

    def found(self, request: Request, public_id: str) -> Series:
        return the_series(request, public_id)

    def told(self, request: Request, row: Series) -> Response:
        return answer(the_series(request, str(row.public_id)))


class PlanAct(SeriesAct):
    """An act that finds dates anew: what was sent are the words of its verb."""

    required = {"POST": "scheduling.work_course"}

    def plan(self, request: Request, public_id: str, verb: Callable[..., Series]) -> Response:
        return self.act_on(
            request, public_id,
            lambda row, values: verb(series=row, by=self.actor, at=web.now(), version=row.version, **values),
        )  # fmt: skip


class Replan(PlanAct):
    act = "scheduling.replan_series"

    @extend_schema(operation_id="series_replan", request=None, responses=words.SeriesOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.plan(request, public_id, series.replan)


class Skip(PlanAct):
    act = "scheduling.skip_session"
    given = words.SkipIn

    @extend_schema(operation_id="series_skip", request=words.SkipIn, responses=words.SeriesOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.plan(request, public_id, series.skip)


class MoveSession(PlanAct):
    act = "scheduling.move_session"
    given = words.SessionDayIn

    @extend_schema(operation_id="series_move", request=words.SessionDayIn, responses=words.SeriesOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.plan(request, public_id, series.move)


class BookSeries(SeriesAct):
    required = {"POST": "scheduling.book_appointment"}
    act = "scheduling.book_series"
    given = words.BookSeriesIn

    @extend_schema(operation_id="series_book", request=words.BookSeriesIn, responses=words.SeriesOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda row, values: series.book(
                series=row, by=self.actor, at=web.now(), is_whole=values["how"] == "whole", version=row.version,
                reason_code=values["reason_code"], reason=values["reason"],
            ),
        )  # fmt: skip


def the_series(request: Request, public_id: str) -> Series:
    """Return a series at a site of the asker; 404 otherwise."""
    rows = Series.objects.visible_to(web.member(request)).select_related("patient", "site", "physician")
    found: Series = get_object_or_404(rows, public_id=public_id)
    return found


def answer(row: Series, status: int = 200) -> Response:
    """Return a series as it is now, with the tag of its version."""
    row.shown = series.read(row)  # type: ignore[attr-defined]
    return Response(words.SeriesOut(row).data, status=status, headers={"ETag": rest.etag(row.version)})


def _item(values: dict[str, Any]) -> Item:
    return Item(
        procedure=procedure_of(values["procedure"]), side=values["side"], levels=tuple(values["levels"]),
        regions=tuple(values["regions"]), count=values["count"], least_days=values["least_days"], is_after=values["is_after"],
    )  # fmt: skip
