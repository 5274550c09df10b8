"""Several sessions of a patient together: order them, see their dates, skip or move one, book them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import Patient
from procedures import pathwaybook
from scheduling import agenda, series
from scheduling.agenda.shapes import Choice
from scheduling.forms.series import ITEMS, BookSeriesForm, ItemForm, SeriesForm, SessionDayForm, SkipForm, VersionForm
from scheduling.models import Course, CourseStatus, Series
from scheduling.series import Booked, FromCourse, Item, showing
from scheduling.views import doors
from scheduling.views.courses import physicians, site_for


@require_http_methods(["GET", "POST"])
@requires("scheduling.order_course")
def order(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Order several sessions of a patient together."""
    patient = doors.the_patient(request, public_id)
    form = SeriesForm(
        request.POST or None, courses=_courses(request, patient), physicians=physicians(request),
        chosen=request.GET.get("course", ""),
    )  # fmt: skip
    items = [ItemForm(request.POST or None, prefix=f"item{number}") for number in range(ITEMS)]
    error: DomainError | None = None
    if request.method == "POST" and all([form.is_valid(), *(one.is_valid() for one in items)]):
        given: list[FromCourse | Item] = [*form.from_courses()]
        given += [item for one in items if (item := one.item()) is not None]
        wishes = {name: form.cleaned_data[name] for name in ("physician", "not_before", "is_one_weekday")}
        try:
            made = doors.act_once(
                request,
                "scheduling.order_series",
                lambda: series.order(
                    patient=patient, site=site_for(request, patient), given=given, by=Actor.of(request), at=web.now(), **wishes
                ),
            )
        except DomainError as refusal:
            error = refusal
            web.refused(request, refusal, act="scheduling.order_series", patient=patient.public_id)
        else:
            return web.redirect_to(request, "scheduling:series", made)
    status = 200 if request.method == "GET" else 422 if error is None else web.status_of(error)
    shown = {
        "form": form, "items": items, "patient": patient, "patient_url": reverse("patients:patient", args=[patient.public_id]),
        "key": doors.key_of(request), "action": request.get_full_path(),
        "refusal": None if error is None else doors.refusal_of(error, kept="Nothing was ordered; what you typed is still here."),
    }  # fmt: skip
    return web.respond(request, "scheduling/series_form.html", shown, status=status)


@require_GET
@requires("scheduling.view_course")
def one(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a series: each session with its opening, or why there is none."""
    return _page(request, _the_series(request, public_id))


@require_POST
@requires("scheduling.work_course")
def replan(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Find the dates anew."""
    row, form = _the_series(request, public_id), VersionForm(request.POST)
    if not form.is_valid():
        return _page(request, row, status=422)
    return _changed(
        request, row, "scheduling.replan_series",
        lambda: series.replan(series=row, by=Actor.of(request), at=web.now(), version=form.cleaned_data["version"]),
    )  # fmt: skip


@require_POST
@requires("scheduling.work_course")
def skip(request: HttpRequest, public_id: uuid.UUID, number: int) -> HttpResponse:
    """Leave a session out or take it in again; the rest is planned anew."""
    row, form = _the_series(request, public_id), SkipForm(request.POST)
    if not form.is_valid():
        return _page(request, row, status=422)
    given = form.cleaned_data
    return _changed(
        request, row, "scheduling.skip_session",
        lambda: series.skip(
            series=row, number=number, is_skipped=given["skip"] == "1", by=Actor.of(request), at=web.now(),
            version=given["version"],
        ),
    )  # fmt: skip


@require_POST
@requires("scheduling.work_course")
def move(request: HttpRequest, public_id: uuid.UUID, number: int) -> HttpResponse:
    """Put a session on a chosen day; the rest is planned anew."""
    row, form = _the_series(request, public_id), SessionDayForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "Give the day.")
        return _page(request, row, status=422)
    given = form.cleaned_data
    return _changed(
        request, row, "scheduling.move_session",
        lambda: series.move(
            series=row, number=number, on=given["on"], by=Actor.of(request), at=web.now(), version=given["version"]
        ),
    )  # fmt: skip


@require_POST
@requires("scheduling.order_course")
def withdraw(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Close an order."""
    row, form = _the_series(request, public_id), VersionForm(request.POST)
    if not form.is_valid():
        return _page(request, row, status=422)
    return _changed(
        request, row, "scheduling.withdraw_series",
        lambda: series.withdraw(series=row, by=Actor.of(request), at=web.now(), version=form.cleaned_data["version"]),
    )  # fmt: skip


@require_POST
@requires("scheduling.work_course")
def book(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Book the dates proposed, all or none, or each with its own result."""
    row, form = _the_series(request, public_id), BookSeriesForm(request.POST)
    if not form.is_valid():
        return _page(request, row, status=422)
    given = form.cleaned_data
    results: list[Booked] = []

    def carry_out() -> Series:
        results.extend(
            series.book(
                series=row, by=Actor.of(request), at=web.now(), is_whole=given["how"] == "whole", version=given["version"],
                reason_code=given["reason_code"], reason=given["reason"],
            )
        )  # fmt: skip
        return row

    try:
        doors.act_once(request, "scheduling.book_series", carry_out)
    except DomainError as error:
        return _not_done(request, row, error, "scheduling.book_series")
    done = sum(one.refusal is None for one in results)
    left = len(results) - done
    if done:
        toasts.success(request, f"Booked {done} session{'' if done == 1 else 's'}.")
    if left:
        toasts.error(request, f"{left} could not be booked; each says why.")
    return web.redirect_to(request, "scheduling:series", row.public_id)


def _changed(request: HttpRequest, row: Series, act: str, verb: Callable[[], Series]) -> HttpResponse:
    try:
        verb()
    except DomainError as error:
        return _not_done(request, row, error, act)
    return web.redirect_to(request, "scheduling:series", row.public_id)


def _not_done(request: HttpRequest, row: Series, error: DomainError, act: str) -> HttpResponse:
    web.refused(request, error, act=act, subject=row, patient=row.patient.public_id, site_id=row.site_id)
    return _page(request, _the_series(request, row.public_id), status=web.status_of(error), error=error)


def _page(request: HttpRequest, row: Series, status: int = 200, error: DomainError | None = None) -> HttpResponse:
    by = Actor.of(request)
    trail.record(by=by, act="scheduling.series_read", subject=row, patient=row.patient.public_id, site_id=row.site_id)
    shown = {
        "series": showing.page(series=row, by=by, at=web.now()),
        "key": doors.new_key(),
        "reasons": [Choice(code, label) for code, label in agenda.WAIVER_REASONS.items()],
        "refusal": None if error is None else doors.refusal_of(error, kept="Nothing was changed."),
    }
    return web.respond(request, "scheduling/series.html", shown, status=status)


def _the_series(request: HttpRequest, public_id: uuid.UUID) -> Series:
    rows = Series.objects.visible_to(web.member(request)).select_related("patient", "site", "physician")
    found: Series = get_object_or_404(rows, public_id=public_id)
    return found


def _courses(request: HttpRequest, patient: Patient) -> list[tuple[Course, str]]:
    rows = Course.objects.visible_to(web.member(request)).filter(patient=patient, status=CourseStatus.ACTIVE)
    pathways = pathwaybook.pathways()
    return [(row, pathways[row.pathway].name) for row in rows.in_order() if row.pathway in pathways]
