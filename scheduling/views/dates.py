"""Set-up: the hours of one date."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from scheduling import agenda
from scheduling import resources as verbs
from scheduling.agenda import words
from scheduling.agenda.shapes import Act, Field, FormPage
from scheduling.forms import DateForm, DateHoursForm, starting_hours
from scheduling.models import Resource
from scheduling.views import doors
from scheduling.views.hours import hours_page
from scheduling.views.setup import form_page, key, the_resource


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def date_hours(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show and change what holds on one date instead of the weekly hours, or let those hold again."""
    row = the_resource(request, public_id)
    sites = agenda.sites_of(request.user)  # type: ignore[arg-type]
    asked = DateForm(request.GET)
    if not asked.is_valid():
        is_asked = "on" in request.GET or request.method == "POST"
        return hours_page(request, row, sites, day_form=asked if is_asked else None, status=422 if is_asked else 200)
    on = asked.cleaned_data["on"]
    if request.method == "GET":
        return _page(request, row, sites, on)
    if request.POST.get("act") == "remove":
        return _remove(request, row, sites, on)
    form = DateHoursForm(request.POST, sites=sites)
    if not form.is_valid():
        return _page(request, row, sites, on, form=form, status=422)
    given = form.cleaned_data
    try:
        doors.act_once(
            request,
            "scheduling.save_date_hours",
            lambda: verbs.save_date_hours(
                resource=row,
                on=on,
                spans=given["spans"],
                reason=given["reason"],
                version=given["version"] or None,
                is_accepted=given["accept"],
                by=Actor.of(request),
                at=web.now(),
            ),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_date_hours", subject=row, site_id=row.site_id)
        return _page(request, row, sites, on, form=form, error=error, status=error.status)
    toasts.success(request, f"The hours of {row.name} on {_told(on)} are saved.")
    return web.redirect_to(request, reverse("scheduling:hours", args=[row.public_id]))


def _remove(request: HttpRequest, row: Resource, sites: Sequence[Site], on: date) -> HttpResponse:
    try:
        doors.act_once(
            request,
            "scheduling.remove_date_hours",
            lambda: verbs.remove_date_hours(
                resource=row,
                on=on,
                sites=sites,
                version=request.POST.get("version") or None,
                is_accepted=request.POST.get("accept") == "on",
                by=Actor.of(request),
                at=web.now(),
            ),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.remove_date_hours", subject=row, site_id=row.site_id)
        return _page(request, row, sites, on, error=error, status=error.status, is_removing=True)
    toasts.success(request, f"The weekly hours of {row.name} hold again on {_told(on)}.")
    return web.redirect_to(request, reverse("scheduling:hours", args=[row.public_id]))


def _told(on: date) -> str:
    return f"{words.short_day(on)} {on.year}"


def _page(
    request: HttpRequest,
    row: Resource,
    sites: Sequence[Site],
    on: date,
    *,
    form: DateHoursForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
    is_removing: bool = False,
) -> HttpResponse:
    found = verbs.hours_on(row, on)
    cases = error.cases if isinstance(error, verbs.CasesInTheWay) else ()
    typed: dict[str, Any] = {"version": found.version, "reason": found.reason, **starting_hours(sites, found.spans)}
    request_key = key(request, error)
    page = FormPage(
        title=f"{row.name} on {_told(on)}",
        hint="This date has hours of its own; the weekly ones do not hold."
        if found.is_own
        else "What stands here is what the week says. Saved, it holds on this date instead of the weekly hours, at every site.",
        form=form or DateHoursForm(initial=typed, sites=sites),
        action=f"{request.path}?on={on.isoformat()}",
        cancel_url=reverse("scheduling:hours", args=[row.public_id]),
        request_key=request_key,
        submit="Save the hours of this date",
        refusal=_refusal(error, is_removing=is_removing) if error else None,
        affected=agenda.lines_of(cases, with_patient=True) if cases else (),
        affected_title="Cases outside these hours",
        danger=_removal(request, on, found.version, request_key, is_accepted=bool(cases)) if found.is_own else None,
    )
    return form_page(request, page, status)


def _refusal(error: DomainError, *, is_removing: bool) -> doors.Refusal:
    refusal = doors.refusal_of(error)
    if is_removing and isinstance(error, verbs.CasesInTheWay):
        return doors.Refusal(error.code, refusal.title, error.message, refusal.kept, "Press the last button to go on anyway.")
    return refusal


def _removal(request: HttpRequest, on: date, version: str, request_key: str, *, is_accepted: bool) -> Act:
    """Return the button that lets the weekly hours hold again; once cases were shown, it accepts that they lie outside."""
    told = {"act": "remove", "version": version, "request_key": request_key, **({"accept": "on"} if is_accepted else {})}
    label = "Let the weekly hours hold anyway" if is_accepted else "Let the weekly hours hold again"
    fields = tuple(Field(name, "", value, kind="hidden") for name, value in told.items())
    return Act("remove", label, f"{request.path}?on={on.isoformat()}", is_danger=True, fields=fields)
