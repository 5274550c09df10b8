"""Doors of what comes on paper: consents and scans. A scan is only ever taken away as a file, never shown inside a page."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients import papers
from patients.forms import ConsentForm, PaperForm
from patients.models import Consent, Paper, Patient
from patients.views import reaching
from patients.views.keeping import Shelf


@require_GET
@requires("patients.view_history")
def on_paper(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """List a patient's consents and scans; opening it is a recorded act."""
    patient = reaching.the_patient(request, public_id)
    trail.record(
        by=Actor.of(request), act="patients.read_papers", subject=patient, patient=patient.public_id, site_id=patient.home_site_id
    )
    found = papers.on_paper(patient=patient, on=reaching.today_of(request))
    return web.respond(request, "patients/papers.html", {"patient": patient, "found": found})


@require_http_methods(["GET", "POST"])
@requires("patients.record_performed")
@sensitive_post_parameters()
def new_consent(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Write down a consent with its sheet; a case hands over what it is for."""
    patient, today = reaching.the_patient(request, public_id), reaching.today_of(request)
    if request.method == "GET":
        asked = {name: request.GET.get(name, "") for name in ("procedure", "side", "levels", "case")}
        return _page(request, patient, "consents", ConsentForm(initial=asked, today=today))
    form = ConsentForm(request.POST, request.FILES, today=today)
    if not form.is_valid():
        return _page(request, patient, "consents", form, status=422)
    values, upload = dict(form.cleaned_data), _upload(request)
    values.pop("paper")
    case = values.pop("case")

    def produce() -> HttpResponse:
        given = {**values, "appointment": case}
        papers.consent(patient=patient, values=given, upload=upload, by=Actor.of(request), at=web.now())
        return _back(request, patient, "The consent is on file.", case)

    return _once(request, patient, "consents", form, upload, produce)


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def new_paper(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Keep a scan."""
    patient = reaching.the_patient(request, public_id)
    if request.method == "GET":
        return _page(request, patient, "papers", PaperForm())
    form = PaperForm(request.POST, request.FILES)
    upload = _upload(request)
    if not form.is_valid() or upload is None:
        return _page(request, patient, "papers", form, status=422)
    said = form.cleaned_data

    def produce() -> HttpResponse:
        papers.keep(
            patient=patient, kind=said["kind"], upload=upload, note=said["note"], by=Actor.of(request), at=web.now()
        )  # fmt: skip
        return _back(request, patient, "The scan is on file.")

    return _once(request, patient, "papers", form, upload, produce)


@require_http_methods(["GET", "POST"])
@requires("patients.record_performed")
@sensitive_post_parameters()
def consent(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Amend a consent, write down that it was withdrawn, or mark it as written down by mistake."""
    return SHELF.change(request, _patient_of(request, Consent, public_id), "consents", public_id)


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def paper(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Say what a scan is, or mark it as kept by mistake."""
    return SHELF.change(request, _patient_of(request, Paper, public_id), "papers", public_id)


@require_GET
@requires("patients.view_history")
def paper_file(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Give a scan to be saved: as bytes of no kind, so that no browser draws or runs what somebody sent; a recorded act."""
    row = get_object_or_404(_rows(request, Paper).select_related("content", "patient"), public_id=public_id)
    trail.record(
        by=Actor.of(request), act="patients.read_paper", subject=row, patient=row.patient.public_id,
        site_id=row.patient.home_site_id,
    )  # fmt: skip
    answer = HttpResponse(bytes(row.content.data), content_type="application/octet-stream")
    answer["Content-Disposition"] = f'attachment; filename="{row.download_name}"'
    return answer


def _rows(request: HttpRequest, kind: Any) -> Any:
    return kind.objects.open_to(web.member(request), web.now()).standing()


def _patient_of(request: HttpRequest, kind: Any, public_id: uuid.UUID) -> Patient:
    row = get_object_or_404(_rows(request, kind).select_related("patient__home_site"), public_id=public_id)
    found: Patient = row.patient
    return found


def _upload(request: HttpRequest) -> papers.Upload | None:
    given = request.FILES.get("paper")
    return None if given is None else papers.Upload(str(given.name), given.read())


def _once(
    request: HttpRequest, patient: Patient, code: str, form: Any, upload: papers.Upload | None, produce: Any
) -> HttpResponse:
    """Do it once for the form's key; the same form with another file is another form."""
    fields = sorted((name, values) for name, values in request.POST.lists() if name not in web.UNCOUNTED)
    digest = hashlib.sha256(upload.data if upload is not None else b"").hexdigest()
    try:
        return web.once(request, f"patients.record_{code}", produce, body=json.dumps([request.path, fields, digest]).encode())
    except DomainError as error:
        web.refused(request, error, act=f"patients.record_{code}", subject=patient, patient=patient.public_id)
        if error.details.get("field") in form.fields:
            form.add_error(error.details["field"], error.message)
            return _page(request, patient, code, form, status=error.status)
        return _page(request, patient, code, form, error=error, status=error.status)


def _back(request: HttpRequest, patient: Patient, said: str, case: uuid.UUID | None = None) -> HttpResponse:
    messages.success(request, said)
    if case is not None:
        return web.redirect_to(request, "scheduling:appointment", case)
    return web.redirect_to(request, "patients:papers", patient.public_id)


def _page(
    request: HttpRequest, patient: Patient, code: str, form: Any, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    if status >= 400 and "paper" in form.fields:
        form.fields["paper"].help_text += " Choose the file once more."
    context = {
        "patient": patient,
        "title": "Consent" if code == "consents" else "Add a scan",
        "form": form,
        "action": request.path,
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:papers", args=[patient.public_id]),
    }
    return web.respond(request, "patients/fact.html", context, status=status)


def _form(request: HttpRequest, kind: str, patient: Patient, typed: Any, row: Any) -> Any:
    if kind == "consents":
        return ConsentForm(typed, row=row, is_change=True, today=reaching.today_of(request))
    return PaperForm(typed, row=row, is_change=True)


SHELF = Shelf("paper", "patients:papers", papers.KINDS, _form)
