"""Doors of coverage and authorisations: see who pays, add in seconds, amend, mark as a mistake."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients import amending, coverage, problems, records
from patients.forms import COVER_FORMS, KxForm
from patients.models import Coverage, Patient, PerformedProcedure
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
    return _page(request, patient)


@require_POST
@requires("patients.change_coverage")
def kx(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Say whether a diagnostic block was billed with the KX flag."""
    rows = PerformedProcedure.objects.visible_to(web.member(request)).standing()
    row = get_object_or_404(rows.select_related("patient__home_site", "procedure"), public_id=public_id)
    form = KxForm(request.POST)
    if not form.is_valid():
        return _page(request, row.patient, kx_form=form, status=422)

    def produce() -> HttpResponse:
        said = form.cleaned_data
        amending.bill_kx(
            performed=row, has_kx=said["has_kx"], by=Actor.of(request), at=web.now(), version=said["version"]
        )  # fmt: skip
        messages.success(request, "Saved. The rules are asked again.")
        return web.redirect_to(request, "patients:cover", row.patient.public_id)

    try:
        return web.once(request, "patients.bill_kx", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.bill_kx", subject=row, patient=row.patient.public_id)
        return _page(request, row.patient, error=error, status=error.status)


def _page(
    request: HttpRequest,
    patient: Patient,
    *,
    kx_form: KxForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    by = Actor.of(request)
    context = {
        "patient": patient,
        "blocks": coverage.blocks(patient=patient),
        "kx_form": kx_form,
        "request_key": uuid.uuid4().hex,
        "refusal": reaching.refusal_of(error) if error else None,
        "found": coverage.cover(patient=patient, on=reaching.today_of(request)),
        "may_change": by.may(records.ALLOWED_BY[Coverage]),
        "papers_url": reverse("patients:payer_papers", args=[patient.public_id]) if by.may(problems.KEEP) else "",
    }
    return web.respond(request, "patients/coverage.html", context, status=status)


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
