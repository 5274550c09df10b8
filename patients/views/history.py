"""The door of the physician's page of a patient."""

from __future__ import annotations

import uuid
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from pain_clinic import papers, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from patients import emergencies, history
from patients.models import Patient
from patients.views import reaching

LONGEST_PLACE = 40
VIEW = "patients.view_history"


def page(request: HttpRequest, patient: Patient) -> HttpResponse:
    """Show the history of a patient, filtered as the address says; what it asks for and is unknown is passed over."""
    found = history.open_history(
        patient=patient,
        user=web.member(request),
        by=Actor.of(request),
        today=reaching.today_of(request),
        asked=_asked(request),
    )
    emergency = emergencies.lasting(patient=patient, user=web.member(request), at=web.now())
    until = emergency.ends_at.astimezone(ZoneInfo(patient.home_site.time_zone)) if emergency else None
    return web.respond(request, "patients/history.html", {"page": found, "emergency_until": until})


@require_GET
@requires("patients.view_history")
def summary(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Give the two-page summary as a PDF; its name says nothing of the patient. Printing is a recorded act."""
    patient, user = reaching.the_patient(request, public_id), web.member(request)
    asked = history.Asked(what="procedures", per_page=history.MOST_ENTRIES)
    found = history.open_history(
        patient=patient,
        user=user,
        by=Actor.of(request),
        today=reaching.today_of(request),
        asked=asked,
        act=history.PRINT,
    )
    wall = web.now().astimezone(ZoneInfo(patient.home_site.time_zone))
    content = history.content(found, clinic=settings.CLINIC_NAME, printed_by=user.shown_name, wall=wall)
    answer = HttpResponse(papers.pdf(history.SOURCE, content, at=wall), content_type="application/pdf")
    answer["Content-Disposition"] = 'inline; filename="summary.pdf"'
    answer["Cache-Control"] = "no-store"
    return answer


def _asked(request: HttpRequest) -> history.Asked:
    what, span, side = (request.GET.get(name, "") for name in ("what", "span", "side"))
    place = request.GET.get("at", "")[:LONGEST_PLACE]
    number = request.GET.get("page", "1")
    return history.Asked(
        what=what if what in history.FILTERS else "",
        place=place if history.is_place(place) else "",
        side=side if side in ("left", "right", "midline") else "",
        page=int(number) if number.isdecimal() and len(number) < 6 else 1,
        span=span if span in history.SPANS else history.USUAL_SPAN,
        is_table=request.GET.get("as") == "table",
    )
