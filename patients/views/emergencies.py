"""Doors of emergencies: open a record past the usual rules, see which were opened, look at one; and who has seen a record."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients import access_lists, emergencies
from patients.forms import EmergencyForm, SpanForm
from patients.models import EmergencyAccess
from patients.views import reaching

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Opened:
    """One record opened in an emergency, with the zone of the patient's home site: the clock that the record itself shows."""

    row: EmergencyAccess
    zone: ZoneInfo
    may_review: bool


@require_http_methods(["GET", "POST"])
@requires("patients.break_glass")
@sensitive_post_parameters()
def break_glass(request: HttpRequest) -> HttpResponse:
    """Open a record of another site for an hour, with a reason."""
    if request.method == "GET":
        return _form(request, EmergencyForm())
    form = EmergencyForm(request.POST)
    if not form.is_valid():
        return _form(request, form, status=422)

    def produce() -> HttpResponse:
        said = form.cleaned_data
        emergencies.count_try(web.member(request))
        patient = emergencies.find(**{name: said[name] for name in ("record_number", "first_name", "last_name", "birth_date")})
        emergencies.break_glass(
            patient=patient,
            user=web.member(request),
            reason=said["reason"],
            text=said["text"],
            by=Actor.of(request),
            at=web.now(),
        )
        messages.warning(request, "Opened for an hour. The managers are told.")
        return web.redirect_to(request, "patients:patient", patient.public_id)

    try:
        return web.once(request, emergencies.BREAK, produce)
    except emergencies.NoEmergency as error:
        return web.redirect_to(request, "patients:patient", error.patient.public_id)
    except DomainError as error:
        web.refused(request, error, act=emergencies.BREAK)
        return _form(request, form, error=error, status=error.status)


@require_GET
@requires("patients.review_emergencies")
def emergency_list(request: HttpRequest) -> HttpResponse:
    """List the records opened in an emergency, those to look at first."""
    by = Actor.of(request)
    trail.record(by=by, act="patients.list_emergencies")
    rows = EmergencyAccess.objects.visible_to(web.member(request)).select_related("patient__home_site", "user", "reviewed_by")
    shown = rows.order_by("-opened_at", "-pk")[:MOST_SHOWN]
    in_order = sorted(shown, key=lambda row: row.reviewed_at is not None)
    context = {
        "rows": [
            Opened(row, ZoneInfo(row.patient.home_site.time_zone), may_review=row.user_id != request.user.pk) for row in in_order
        ],
        "now": web.now(),
        "may_open": by.may("patients.view_patient"),
        "request_key": uuid.uuid4().hex,
    }
    return web.respond(request, "patients/emergencies.html", context)


@require_POST
@requires("patients.review_emergencies")
def review(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Note that somebody has looked at an emergency."""
    access = get_object_or_404(EmergencyAccess.objects.visible_to(web.member(request)), public_id=public_id)
    try:
        emergencies.review(access=access, user=web.member(request), by=Actor.of(request), at=web.now())
    except DomainError as error:
        web.refused(request, error, act="patients.review_emergency", subject=access)
        messages.error(request, error.message)
    return web.redirect_to(request, "patients:emergencies")


@require_GET
@requires("patients.print_access_list")
def access_list(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show who has seen a record, ready to be printed for the patient."""
    patient, today = reaching.the_patient(request, public_id), reaching.today_of(request)
    form = SpanForm(request.GET, today=today)
    if not form.is_valid():
        return web.respond(request, "patients/access.html", {"patient": patient, "form": form, "found": None}, status=422)
    said = form.cleaned_data
    zone = ZoneInfo(patient.home_site.time_zone)
    found = access_lists.read(
        patient=patient, first_on=said["first_on"], last_on=said["last_on"], sort=said["sort"], by=Actor.of(request), zone=zone
    )
    start = {name: said[name] for name in ("first_on", "last_on", "sort")}
    context = {"patient": patient, "form": SpanForm(initial=start, today=today), "found": found}
    return web.respond(request, "patients/access.html", context)


def _form(
    request: HttpRequest, form: EmergencyForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:  # fmt: skip
    context = {
        "form": form,
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
    }
    return web.respond(request, "patients/emergency.html", context, status=status)
