"""Doors of coverage and authorisations: see who pays, add in seconds, amend, mark as a mistake."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from patients import coverage, problems, records
from patients.forms import COVER_FORMS
from patients.models import Coverage, Patient
from patients.views import reaching
from patients.views.keeping import Shelf


@require_GET
@requires("patients.view_coverage")
def cover(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show who pays for a patient and what is authorised; opening it is a recorded act."""
    patient = reaching.the_patient(request, public_id)
    by = Actor.of(request)
    trail.record(
        by=by, act="patients.read_coverage", subject=patient, patient=patient.public_id, site_id=patient.home_site_id
    )  # fmt: skip
    context = {
        "patient": patient,
        "found": coverage.cover(patient=patient, on=reaching.today_of(request)),
        "may_change": by.may(records.ALLOWED_BY[Coverage]),
        "papers_url": reverse("patients:payer_papers", args=[patient.public_id]) if by.may(problems.KEEP) else "",
    }
    return web.respond(request, "patients/coverage.html", context)


@require_http_methods(["GET", "POST"])
@requires("patients.change_coverage")
@sensitive_post_parameters()
def new_cover(request: HttpRequest, public_id: uuid.UUID, kind: str) -> HttpResponse:
    """Write down a plan or an authorisation."""
    patient = reaching.the_patient(request, public_id)
    if kind == "authorizations" and not Coverage.objects.of(patient).exists():
        messages.info(request, "First say who pays: an authorisation belongs to a plan.")
        return web.redirect_to(request, "patients:cover_new", patient.public_id, "plans")
    return SHELF.add(request, patient, kind)


@require_http_methods(["GET", "POST"])
@requires("patients.change_coverage")
@sensitive_post_parameters()
def change_cover(request: HttpRequest, public_id: uuid.UUID, kind: str, fact: uuid.UUID) -> HttpResponse:
    """Amend a plan or an authorisation, or mark it as written down by mistake."""
    return SHELF.change(request, reaching.the_patient(request, public_id), kind, fact)


def _form(request: HttpRequest, kind: str, patient: Patient, typed: Any, row: Any) -> Any:
    return COVER_FORMS[kind](typed, patient=patient, row=row)


SHELF = Shelf("coverage", "patients:cover", coverage.KINDS, _form)
