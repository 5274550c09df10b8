"""Doors of the facts about a patient: list them, add, amend, mark as a mistake."""

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
from patients import recorded, records
from patients.forms import ErrorForm, FactForm, form_for
from patients.models import Patient, Recorded
from patients.recorded import KINDS, Kind
from patients.views import reaching


@require_GET
@requires("patients.record_clinical")
def record(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """List what is on record about a patient, with a way to change each line; opening it is a recorded act."""
    patient = reaching.the_patient(request, public_id)
    trail.record(
        by=Actor.of(request), act="patients.read_facts", subject=patient, patient=patient.public_id, site_id=patient.home_site_id
    )
    found = recorded.on_record(patient=patient, on=reaching.today_of(request))
    groups = [
        {
            "title": group.title,
            "nothing": group.nothing,
            "new_url": reverse("patients:fact_new", args=[patient.public_id, group.code]),
            "lines": [
                (line, reverse("patients:fact", args=[patient.public_id, group.code, line.public_id])) for line in group.lines
            ],
        }
        for group in found.groups
    ]
    return web.respond(request, "patients/record.html", {"patient": patient, "groups": groups, "found": found})


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def new_fact(request: HttpRequest, public_id: uuid.UUID, kind: str) -> HttpResponse:
    """Write down a fact."""
    patient, what = reaching.the_patient(request, public_id), _kind(kind)
    today = reaching.today_of(request)
    if request.method == "GET":
        return _page(request, patient, what, form_for(kind, today=today))
    form = form_for(kind, request.POST, today=today)
    if not form.is_valid():
        return _page(request, patient, what, form, status=422)

    def produce() -> HttpResponse:
        records.record(kind=what.model, patient=patient, values=form.cleaned_data, by=Actor.of(request), at=web.now())
        return _back(request, patient, "Recorded.")

    try:
        return web.once(request, f"patients.record_{what.model._meta.model_name}", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.record_fact", subject=patient, patient=patient.public_id)
        return _page(request, patient, what, form, error=error, status=error.status)


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def fact(request: HttpRequest, public_id: uuid.UUID, kind: str, fact: uuid.UUID) -> HttpResponse:
    """Amend a fact, or mark it as written down by mistake."""
    patient, what = reaching.the_patient(request, public_id), _kind(kind)
    row = get_object_or_404(what.model._default_manager.filter(patient=patient, is_in_error=False), public_id=fact)
    today = reaching.today_of(request)
    if request.method == "GET":
        return _page(request, patient, what, form_for(kind, today=today, row=row), row=row)
    if request.POST.get("act") == "mistake":
        return _mistake(request, patient, what, row)
    form = form_for(kind, request.POST, today=today)
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
        web.refused(request, error, act="patients.amend_fact", subject=row, patient=patient.public_id)
        return _page(request, patient, what, form, row=row, error=error, status=error.status)


def _mistake(request: HttpRequest, patient: Patient, what: Kind, row: Recorded) -> HttpResponse:
    form = ErrorForm(request.POST)
    shown = form_for(what.code, today=reaching.today_of(request), row=row)
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
    if code not in KINDS:
        raise Http404
    return KINDS[code]


def _back(request: HttpRequest, patient: Patient, said: str) -> HttpResponse:
    messages.success(request, said)
    return web.redirect_to(request, "patients:record", patient.public_id)


def _page(
    request: HttpRequest,
    patient: Patient,
    what: Kind,
    form: FactForm,
    *,
    row: Any = None,
    mistake: ErrorForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    title = f"Change this {what.one}" if row is not None else f"Add: {what.one}"
    context = {
        "patient": patient,
        "title": title,
        "form": form,
        "row": row,
        "mistake": (mistake or ErrorForm(initial={"version": row.version}, prefix=None)) if row is not None else None,
        "version": request.POST.get("version", "") or (row.version if row is not None else ""),
        "action": request.path,
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:record", args=[patient.public_id]),
    }
    return web.respond(request, "patients/fact.html", context, status=status)
