"""Home, the board, lists and the parts of a patient's page that scheduling fills."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_POST, require_safe

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import Patient
from scheduling import agenda, messages, worklist
from scheduling.agenda.shapes import FindingPage, Pair, Tab
from scheduling.forms import FIRST_DAY, LAST_DAY, SpanForm, pairs
from scheduling.models import Message, MessageKind
from scheduling.series import showing
from scheduling.views import doors


@require_safe
@requires("accounts.view_home")
def home(request: HttpRequest) -> HttpResponse:
    """Show what this person does most, what is open, and who comes next."""
    site = web.usual_site(request)
    sites = web.sites_of(request)
    if site is not None:
        web.show_site(request, site)
        sites = (site, *(each for each in sites if each != site))
    shown = agenda.home(user=request.user, by=Actor.of(request), at=web.now(), sites=sites)  # type: ignore[arg-type]
    return web.respond(request, "scheduling/home.html", {"home": shown})


@require_safe
@requires("scheduling.view_board")
def board(request: HttpRequest) -> HttpResponse:
    """Show a site's day, week or list; a poll whose mark still holds gets 304."""
    at, by = web.now(), Actor.of(request)
    asked = _asked(request)
    if asked is None:
        return _no_site(request)
    web.show_site(request, asked.site)
    given = request.headers.get("If-None-Match", "")
    seal = doors.seal(request, asked.case)
    shown = agenda.board(asked=asked, by=by, at=at)
    selected = None
    if asked.case is not None and by.may("scheduling.view_appointment"):
        appointment = doors.the_case(request, asked.case)
        if not given.endswith(f'-{seal}"'):
            doors.read(request, appointment)
        selected = doors.shown(request, appointment)
        web.show_site(request, asked.site)
    shown = agenda.finished(shown, selected, seal)
    mark = f'"{shown.etag}"'
    if given == mark:
        response = HttpResponse(status=304)
    else:
        response = web.respond(request, "scheduling/board.html", {"board": shown})
    response["ETag"] = mark
    response["X-Clinic-Loaded"] = shown.loaded_at.isoformat()
    patch_vary_headers(response, ["HX-Request", "Cookie"])
    return response


def _no_site(request: HttpRequest) -> HttpResponse:
    """Say why there is no board, and what this person can do about it."""
    user = web.member(request)
    may_add = user.has_perm("scheduling.manage_resources")
    acts = [
        Tab("Add a site", reverse("scheduling:site_new")) if may_add else None,
        Tab("Staff", reverse("staff")) if user.has_perm("accounts.manage_staff") else None,
    ]
    return web.respond(request, "scheduling/no_site.html", {"acts": [act for act in acts if act], "may_add": may_add})


def _asked(request: HttpRequest) -> agenda.Asked | None:
    """Read the board's address; a site that is not this user's is 404, anything else unreadable its default."""
    sites, slug = web.sites_of(request), request.GET.get("site", "")
    if not sites:
        return None
    site = next((each for each in sites if each.slug == slug), None) if slug else web.usual_site(request)
    if site is None:
        raise Http404
    web.remember_site(request, site)
    today = web.now().astimezone(ZoneInfo(site.time_zone)).date()
    view, by = request.GET.get("view", "day"), request.GET.get("by", "physician")
    return agenda.Asked(
        site=site,
        sites=sites,
        day=day_of(request.GET.get("day", "")) or today,
        view=view if view in agenda.VIEWS else "day",
        by=by if by in agenda.BYS else "physician",
        case=_uuid(request.GET.get("case", "")),
    )


def day_of(text: str) -> date | None:
    """Read a day out of an address; none is named where there is nothing.

    Raises:
        BadRequest: what is there is no day, or one too far away.
    """
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest("The day in this address is none. Give it as 2026-11-26.") from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise BadRequest("The day in this address is too far away.")
    return day


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError as error:
        raise Http404 from error


def _reached(request: HttpRequest, public_id: uuid.UUID) -> Patient:
    """Return a patient whose page is open before this person, in an emergency too; cases and messages stay those of own sites."""
    rows = Patient.objects.open_to(web.member(request), web.now()).select_related("home_site")
    found: Patient = get_object_or_404(rows, public_id=public_id)
    return found


@require_GET
@requires("scheduling.view_appointment")
def patient_upcoming(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a patient's coming and past cases; the patient's page loads it by URL name."""
    patient = _reached(request, public_id)
    trail.record(by=Actor.of(request), act="scheduling.patient_dates_read", subject=patient, patient=patient.public_id)
    panel = agenda.patient_dates(
        patient=patient, user=web.member(request), by=Actor.of(request), at=web.now(), number=request.GET.get("page", "1")
    )
    user = web.member(request)
    today = web.now().astimezone(ZoneInfo(patient.home_site.time_zone)).date()
    context = {
        "panel": panel,
        "courses": worklist.of_patient(patient=patient, user=user, today=today)
        if user.has_perm("scheduling.view_course")
        else (),
        "start_url": reverse("scheduling:course_start", args=[patient.public_id])
        if user.has_perm("scheduling.order_course")
        else "",
        "series": showing.of_patient(patient=patient, user=user) if user.has_perm("scheduling.view_course") else (),
        "series_url": reverse("scheduling:series_order", args=[patient.public_id]),
    }
    return web.respond(request, "scheduling/patient_upcoming.html", context)


@require_GET
@requires("scheduling.read_patient_messages")
def patient_messages(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show what was sent to a patient."""
    patient = _reached(request, public_id)
    trail.record(by=Actor.of(request), act="scheduling.patient_messages_read", subject=patient, patient=patient.public_id)
    panel = agenda.patient_messages(
        patient=patient,
        user=web.member(request),
        by=Actor.of(request),
        number=request.GET.get("page", "1"),
        reasons=messages.reason_in_words,
    )
    return web.respond(request, "scheduling/patient_messages.html", {"panel": panel})


@require_GET
@requires("scheduling.view_messages")
def message_list(request: HttpRequest) -> HttpResponse:
    """List what was sent, and what could not be."""
    return _messages(request)


def _messages(request: HttpRequest, status: int = 200) -> HttpResponse:
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    page = agenda.messages(
        user=web.member(request),
        at=web.now(),
        state=state if state in agenda.STATES else "",
        kind=kind if kind in MessageKind.values else "",
        above=request.GET.get("above", ""),
        below=request.GET.get("below", ""),
        reasons=messages.reason_in_words,
    )
    return web.respond(request, "scheduling/messages.html", {"page": page}, status=status)


@require_POST
@requires("scheduling.view_messages")
def message_resend(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put a message that did not leave back into the queue."""
    rows = Message.objects.visible_to(request.user).select_related("patient", "appointment")  # type: ignore[arg-type]
    message = get_object_or_404(rows, public_id=public_id)
    try:
        messages.send_again(message=message, by=Actor.of(request), at=web.now())
    except DomainError as error:
        web.refused(
            request,
            error,
            act="scheduling.send_message_again",
            subject=message,
            patient=message.patient.public_id,
            site_id=message.appointment.site_id,
        )
        toasts.error(request, error.message)
        return _messages(request, status=web.status_of(error))
    toasts.success(request, "The message is in the queue again.")
    return web.redirect_to(request, "scheduling:messages")


@require_GET
@requires("scheduling.view_appointment")
def findings(request: HttpRequest) -> HttpResponse:
    """List overrides given and refusals met between two days."""
    sites = agenda.sites_of(request.user)  # type: ignore[arg-type]
    zone = ZoneInfo(sites[0].time_zone if sites else "UTC")
    today = web.now().astimezone(zone).date()
    typed = {"from_": request.GET.get("from", ""), "to": request.GET.get("to", "")}
    form = SpanForm(typed)
    if not form.is_valid():
        errors = tuple(Pair(pair.label.rstrip("_"), pair.value) for pair in pairs(form))
        page = FindingPage("Findings", typed["from_"], typed["to"], (), None, errors)
        return web.respond(request, "scheduling/findings.html", {"page": page}, status=422)
    to_on = form.cleaned_data["to"] or today
    from_on = form.cleaned_data["from_"] or to_on - timedelta(days=30)
    page = agenda.findings(
        user=web.member(request),
        by=Actor.of(request),
        from_on=from_on,
        to_on=max(to_on, from_on),
        zone=zone,
        number=request.GET.get("page", "1"),
    )
    return web.respond(request, "scheduling/findings.html", {"page": page})
