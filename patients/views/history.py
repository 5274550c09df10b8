"""The door of the physician's page of a patient."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from patients import history
from patients.history.targets import is_level
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
    return web.respond(request, "patients/history.html", {"page": found})


def _asked(request: HttpRequest) -> history.Asked:
    what, span, side = (request.GET.get(name, "") for name in ("what", "span", "side"))
    place = request.GET.get("at", "")[:LONGEST_PLACE]
    number = request.GET.get("page", "1")
    return history.Asked(
        what=what if what in history.FILTERS else "",
        place=place if is_level(place) or place.replace("_", "").isalpha() else "",
        side=side if side in ("left", "right", "midline") else "",
        page=int(number) if number.isdecimal() and len(number) < 6 else 1,
        span=span if span in history.SPANS else history.USUAL_SPAN,
        is_table=request.GET.get("as") == "table",
    )
