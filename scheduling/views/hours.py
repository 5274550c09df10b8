"""Set-up: weekly hours, leave and breakdowns."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.clock import days_in_words
from pain_clinic.errors import DomainError
from scheduling import agenda
from scheduling import resources as verbs
from scheduling.agenda import words
from scheduling.agenda.shapes import Act, Field, FormPage, HoursDate, HoursDay, HoursPage, HoursSpan, Listing, Row, Tab
from scheduling.forms import WEEKDAYS, AbsenceForm, DateForm, HoursForm
from scheduling.models import Absence, Resource, WeeklyHours
from scheduling.views import doors
from scheduling.views.setup import form_page, key, list_page, the_resource

PER_PAGE = 50


# --- hours -----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def hours(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show and change the weekly hours of a resource at one site."""
    row = the_resource(request, public_id)
    sites = agenda.sites_of(request.user)  # type: ignore[arg-type]
    site = _site_asked(request, row, sites)
    if request.method == "GET":
        return hours_page(request, row, sites)
    form = HoursForm(request.POST)
    if not form.is_valid():
        return hours_page(request, row, sites, form=form, status=422)
    given = form.cleaned_data
    try:
        verbs.save_hours(
            resource=row,
            site=site,
            spans=given["spans"],
            valid_from=given["valid_from"],
            is_accepted=given["accept"],
            by=Actor.of(request),
            at=web.now(),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_hours", subject=row, site_id=site.pk)
        return hours_page(request, row, sites, form=form, error=error, status=error.status)
    toasts.success(request, f"The hours of {row.name} at {site.name} are saved.")
    return web.redirect_to(request, f"{reverse('scheduling:hours', args=[row.public_id])}?site={site.slug}")


def _site_asked(request: HttpRequest, row: Resource, sites: Iterable[Site]) -> Site:
    """Return the site of this user whose hours are asked for, at first the resource's own."""
    slug = request.GET.get("site")
    found = [each for each in sites if each.slug == (slug or row.site.slug)] or ([] if slug else list(sites)[:1])
    if not found:
        raise Http404
    return found[0]


def hours_page(
    request: HttpRequest,
    row: Resource,
    sites: Sequence[Site],
    *,
    form: HoursForm | None = None,
    day_form: DateForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    """Answer with the weekly hours at one site, and the dates ahead that have hours of their own."""
    site = _site_asked(request, row, sites)
    today = web.now().astimezone(ZoneInfo(site.time_zone)).date()
    rows = list(WeeklyHours.objects.filter(resource=row, site=site).order_by("valid_from", "weekday", "starts", "pk"))
    current = [
        each
        for each in rows
        if (each.valid_from is None or each.valid_from <= today) and (each.valid_until is None or each.valid_until >= today)
    ]
    url = reverse("scheduling:hours", args=[row.public_id])
    page = HoursPage(
        title=f"Hours at {site.name}",
        resource=row.name,
        site_tabs=tuple(Tab(each.name, f"{url}?site={each.slug}", each.pk == site.pk) for each in sites),
        days=tuple(HoursDay(name, _spans(current, number)) for number, name in enumerate(WEEKDAYS)),
        valid_from=today.isoformat(),
        history=_history(rows, current),
        dates=_dates(row, sites, today),
        day_form=day_form or DateForm(initial={"on": today + timedelta(days=1)}),
        day_url=reverse("scheduling:date_hours", args=[row.public_id]),
        form=form or HoursForm(initial={"valid_from": today, **_typed(current)}),
        action=f"{url}?site={site.slug}",
        back_url=reverse("scheduling:resource", args=[row.public_id]),
        refusal=_cases_refusal(error) if error else None,
    )
    return web.respond(request, "scheduling/settings/hours.html", {"page": page}, status=status)


def _cases_refusal(error: DomainError) -> Any:
    refusal = doors.refusal_of(error, kept="Nothing was saved; what you typed is still here.")
    if not isinstance(error, verbs.CasesInTheWay):
        return refusal
    zone = ZoneInfo(error.cases[0].site.time_zone)
    told = "; ".join(f"{words.stamp(case.starts_at.astimezone(zone))} {case.patient.short_name}" for case in error.cases[:8])
    more = f" and {len(error.cases) - 8} more" if len(error.cases) > 8 else ""
    return doors.Refusal(
        error.code,
        "Booked cases are in the way",
        f"{error.message} They are: {told}{more}.",
        refusal.kept,
        doors.NEXT[error.code],
    )


def _spans(rows: Iterable[WeeklyHours], weekday: int) -> tuple[HoursSpan, ...]:
    mine = [row for row in rows if row.weekday == weekday]
    breaks = [row for row in mine if row.kind == "break"]
    return tuple(
        HoursSpan(
            f"{row.starts:%H:%M}",
            f"{row.ends:%H:%M}",
            ", ".join(f"{each.starts:%H:%M}–{each.ends:%H:%M}" for each in breaks if row.starts <= each.starts < row.ends),
        )
        for row in mine
        if row.kind == "work"
    )


def _dates(row: Resource, sites: Iterable[Site], today: date) -> tuple[HoursDate, ...]:
    """Return the dates ahead with hours of their own, as they hold at the sites of this user."""
    url = reverse("scheduling:date_hours", args=[row.public_id])
    return tuple(
        HoursDate(
            on=f"{words.short_day(day.on)} {day.on.year}",
            told="; ".join(f"{site.name} {_told(day.spans[site.pk])}" for site in sites if site.pk in day.spans),
            reason=day.reason,
            url=f"{url}?on={day.on.isoformat()}",
        )
        for day in verbs.dates_ahead(row, today)
    )


def _told(spans: verbs.Spans) -> str:
    return ", ".join(f"{starts:%H:%M}–{ends:%H:%M}" for starts, ends in spans) or "closed"


def _typed(rows: Iterable[WeeklyHours]) -> dict[str, str]:
    typed: dict[str, list[str]] = {}
    for row in rows:
        typed.setdefault(f"{row.kind}_{row.weekday}", []).append(f"{row.starts:%H:%M}-{row.ends:%H:%M}")
    return {name: ", ".join(spans) for name, spans in typed.items()}


def _history(rows: Iterable[WeeklyHours], current: Iterable[WeeklyHours]) -> tuple[str, ...]:
    """Return the other stretches of validity in words, in order."""
    now = {row.pk for row in current}
    stretches: dict[tuple[date | None, date | None], list[WeeklyHours]] = {}
    for row in rows:
        if row.pk not in now:
            stretches.setdefault((row.valid_from, row.valid_until), []).append(row)
    told = []
    for (first, last), members in stretches.items():
        days = ", ".join(
            f"{WEEKDAYS[row.weekday][:3]} {row.starts:%H:%M}-{row.ends:%H:%M}" for row in members if row.kind == "work"
        )
        told.append(
            (days_in_words(f"from {first}") if first else "from the beginning")
            + (days_in_words(f" until {last}") if last else "")
            + f": {days}"
        )
    return tuple(told)


# --- leave and breakdowns --------------------------------------------------------------------------------------------


def _absences(request: HttpRequest) -> Any:
    mine = Resource.objects.visible_to(request.user)  # type: ignore[arg-type]
    return Absence.objects.filter(resource__in=mine).select_related("resource", "resource__site")


@require_GET
@requires("scheduling.manage_resources")
def absences(request: HttpRequest) -> HttpResponse:
    """List who and what is away or will be; past ones on their own tab."""
    url, is_past = reverse("scheduling:absences"), request.GET.get("when") == "past"
    over = Q(ends_at__lte=web.now()) | Q(withdrawn_at__isnull=False)
    rows = (
        _absences(request).filter(over).order_by("-starts_at", "-pk")
        if is_past
        else _absences(request).exclude(over).order_by("starts_at", "pk")
    )
    found = Paginator(rows, PER_PAGE).get_page(request.GET.get("page", "1"))
    page = Listing(
        title="Leave and breakdowns",
        hint="Nobody is offered time in which somebody or something needed is away.",
        new_url=reverse("scheduling:absence_new"),
        new_label="New leave or breakdown",
        tabs=(Tab("Now and coming", url, not is_past), Tab("Past", f"{url}?when=past", is_past)),
        heads=("Who or what", "Kind", "From", "Until", "Note"),
        rows=tuple(_absence_row(row) for row in found.object_list),
        page=words.paged(found, url, when="past" if is_past else ""),
        empty="Nobody is away and nothing is broken.",
        back_url=reverse("scheduling:settings"),
    )
    return list_page(request, page)


def _absence_row(row: Absence) -> Row:
    zone = ZoneInfo(row.resource.site.time_zone)
    cells = (row.resource.name, str(row.get_kind_display()), _dated(row.starts_at, zone), _dated(row.ends_at, zone), row.note)
    return Row(
        reverse("scheduling:absence", args=[row.public_id]),
        cells,
        row.withdrawn_at is not None,
        "withdrawn" if row.withdrawn_at else "",
    )


def _dated(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{words.stamp(local)} {local.year}"


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def absence_new(request: HttpRequest) -> HttpResponse:
    """Record leave or a breakdown; cases in the way are shown first."""
    if request.method == "GET":
        return _absence_page(request, AbsenceForm(initial=_absence_initial(request), user=request.user))
    form = AbsenceForm(request.POST, user=request.user)
    if not form.is_valid():
        return _absence_page(request, form, status=422)
    given = form.cleaned_data
    try:
        doors.act_once(
            request,
            "scheduling.add_absence",
            lambda: verbs.add_absence(
                resource=given["resource"],
                kind=given["kind"],
                starts_at=given["starts_at"],
                ends_at=given["ends_at"],
                note=given["note"],
                is_accepted=given["accept"],
                by=Actor.of(request),
                at=web.now(),
            ),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.add_absence", subject=given["resource"], site_id=given["resource"].site_id)
        return _absence_page(request, form, error=error, status=error.status)
    toasts.success(request, f"{given['resource'].name} is away then.")
    return web.redirect_to(request, "scheduling:absences")


def _absence_initial(request: HttpRequest) -> dict[str, Any]:
    wanted = request.GET.get("resource", "")
    try:
        row = the_resource(request, uuid.UUID(wanted)) if wanted else None
    except ValueError:
        row = None
    tomorrow = (row.site.day_at(web.now()) if row else web.today(request)) + timedelta(days=1)
    return {
        "resource": row.pk if row else None,
        "first_day": tomorrow,
        "last_day": tomorrow,
        "first_time": "07:00",
        "last_time": "19:00",
    }


def _absence_page(
    request: HttpRequest, form: AbsenceForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    cases = error.cases if isinstance(error, verbs.CasesInTheWay) else ()
    page = FormPage(
        title="New leave or breakdown",
        hint="Times are those of the site's own clock.",
        form=form,
        action=request.path,
        cancel_url=reverse("scheduling:absences"),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
        affected=agenda.lines_of(cases, with_patient=True) if cases else (),
        affected_title="Cases that need this time",
    )
    return form_page(request, page, status)


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def absence(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show an absence with the cases in its way; end or withdraw it."""
    row = get_object_or_404(_absences(request), public_id=public_id)
    if request.method == "GET":
        return _ending_page(request, row)
    try:
        verbs.end_absence(absence=row, by=Actor.of(request), at=web.now())
    except DomainError as error:
        web.refused(request, error, act="scheduling.end_absence", subject=row, site_id=row.resource.site_id)
        return _ending_page(request, row, error)
    toasts.success(request, f"{row.resource.name} is back.")
    return web.redirect_to(request, "scheduling:absences")


def _ending_page(request: HttpRequest, row: Absence, error: DomainError | None = None) -> HttpResponse:
    zone = ZoneInfo(row.resource.site.time_zone)
    is_over = row.withdrawn_at is not None or row.ends_at <= web.now()
    act = Field("act", "", "end", kind="hidden")
    begun = row.starts_at <= web.now()
    cases = verbs.cases_during(row.resource, max(row.starts_at, web.now()), row.ends_at) if not is_over else []
    page = {
        "title": f"{row.resource.name}: {str(row.get_kind_display()).lower()}",
        "from_": row.starts_at.astimezone(zone),
        "to": row.ends_at.astimezone(zone),
        "note": row.note,
        "state": "withdrawn" if row.withdrawn_at else "over" if is_over else "",
        "refusal": doors.refusal_of(error) if error else None,
        "danger": None
        if is_over
        else Act("end", "End it now" if begun else "Withdraw it", request.path, is_danger=True, fields=(act,)),
        "affected": agenda.lines_of(cases, with_patient=True) if cases else (),
        "back_url": reverse("scheduling:absences"),
    }
    return web.respond(request, "scheduling/settings/absence.html", {"page": page}, status=error.status if error else 200)
