"""Doors of coverage and authorisations: see who pays, add in seconds, amend, mark as a mistake."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients import coverage, records
from patients.forms import COVER_FORMS, ErrorForm
from patients.models import Coverage, Patient, Recorded
from patients.recorded import Kind
from patients.views import reaching


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
    }
    return web.respond(request, "patients/coverage.html", context)


@require_http_methods(["GET", "POST"])
@requires("patients.change_coverage")
@sensitive_post_parameters()
def new_cover(request: HttpRequest, public_id: uuid.UUID, kind: str) -> HttpResponse:
    """Write down a plan or an authorisation."""
    patient, what = reaching.the_patient(request, public_id), _kind(kind)
    if kind == "authorizations" and not Coverage.objects.of(patient).exists():
        messages.info(request, "First say who pays: an authorisation belongs to a plan.")
        return web.redirect_to(request, "patients:cover_new", patient.public_id, "plans")
    form = COVER_FORMS[kind](request.POST or None, patient=patient)
    if request.method == "GET":
        return _page(request, patient, what, form)
    if not form.is_valid():
        return _page(request, patient, what, form, status=422)

    def produce() -> HttpResponse:
        records.record(kind=what.model, patient=patient, values=form.cleaned_data, by=Actor.of(request), at=web.now())
        return _back(request, patient, "Recorded.")

    try:
        return web.once(request, f"patients.record_{what.model._meta.model_name}", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.record_coverage", subject=patient, patient=patient.public_id)
        return _page(request, patient, what, form, error=error, status=error.status)


@require_http_methods(["GET", "POST"])
@requires("patients.change_coverage")
@sensitive_post_parameters()
def change_cover(request: HttpRequest, public_id: uuid.UUID, kind: str, fact: uuid.UUID) -> HttpResponse:
    """Amend a plan or an authorisation, or mark it as written down by mistake."""
    patient, what = reaching.the_patient(request, public_id), _kind(kind)
    row = get_object_or_404(what.model._default_manager.filter(patient=patient, is_in_error=False), public_id=fact)
    if request.method == "GET":
        return _page(request, patient, what, COVER_FORMS[kind](patient=patient, row=row), row=row)
    if request.POST.get("act") == "mistake":
        return _mistake(request, patient, what, row)
    form = COVER_FORMS[kind](request.POST, patient=patient)
    version = request.POST.get("version", "")
    if not form.is_valid() or not version.isdecimal():
        return _page(request, patient, what, form, row=row, status=422)

    def produce() -> HttpResponse:
        by, at = Actor.of(request), web.now()
        kept = records.amend_fact(row=row, changes=form.cleaned_data, by=by, at=at, version=int(version))
        return _back(request, patient, "Saved." if kept.version != row.version else "Nothing was different.")

    try:
        return web.once(request, f"patients.amend_{what.model._meta.model_name}", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.amend_coverage", subject=row, patient=patient.public_id)
        return _page(request, patient, what, form, row=row, error=error, status=error.status)


def _mistake(request: HttpRequest, patient: Patient, what: Kind, row: Recorded) -> HttpResponse:
    form, shown = ErrorForm(request.POST), COVER_FORMS[what.code](patient=patient, row=row)
    if not form.is_valid():
        return _page(request, patient, what, shown, row=row, mistake=form, status=422)

    def produce() -> HttpResponse:
        said = form.cleaned_data
        records.mark_in_error(
            row=row, reason=said["error_reason"], by=Actor.of(request), at=web.now(), version=said["version"]
        )  # fmt: skip
        return _back(request, patient, "Marked as a mistake.")

    try:
        return web.once(request, f"patients.mistake_{what.model._meta.model_name}", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.mark_in_error", subject=row, patient=patient.public_id)
        return _page(request, patient, what, shown, row=row, mistake=form, error=error, status=error.status)


def _kind(code: str) -> Kind:
    if code not in coverage.KINDS:
        raise Http404
    return coverage.KINDS[code]


def _back(request: HttpRequest, patient: Patient, said: str) -> HttpResponse:
    messages.success(request, said)
    return web.redirect_to(request, "patients:cover", patient.public_id)


def _page(
    request: HttpRequest,
    patient: Patient,
    what: Kind,
    form: Any,
    *,
    row: Any = None,
    mistake: ErrorForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "patient": patient,
        "title": f"Change this {what.one}" if row is not None else f"Add: {what.one}",
        "form": form,
        "row": row,
        "mistake": (mistake or ErrorForm(initial={"version": row.version})) if row is not None else None,
        "version": request.POST.get("version", "") or (row.version if row is not None else ""),
        "action": request.path,
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:cover", args=[patient.public_id]),
    }
    return web.respond(request, "patients/fact.html", context, status=status)
