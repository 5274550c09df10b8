"""Doors of scores: three clicks for what the patient says, and a way to take back a mistake."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from patients import brought, outcomes
from patients.forms import ErrorForm, ScoreForm
from patients.models import Patient, PerformedProcedure, Score
from patients.views import reaching

SESSIONS = 6  # the last ones, of which a score may be


@require_http_methods(["GET", "POST"])
@requires("patients.record_outcome")
@sensitive_post_parameters()
def new_score(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Write down what the patient says today."""
    patient, today = reaching.the_patient(request, public_id), reaching.today_of(request)
    rows = PerformedProcedure.objects.standing().filter(patient=patient).select_related("procedure")
    sessions = list(rows.order_by("-done_on", "-pk")[:SESSIONS])
    if request.method == "GET":
        return _page(request, patient, ScoreForm(sessions=sessions, today=today))
    form = ScoreForm(request.POST, sessions=sessions, today=today)
    if not form.is_valid():
        return _page(request, patient, form, status=422)

    def produce() -> HttpResponse:
        for values in form.scores():
            outcomes.record_score(patient=patient, values=values, by=Actor.of(request), at=web.now())
        messages.success(request, "Recorded.")
        return web.redirect_to(request, "patients:patient", patient.public_id)

    try:
        return web.once(request, "patients.record_scores", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.record_score", subject=patient, patient=patient.public_id)
        return _page(request, patient, form, error=error, status=error.status)


@require_http_methods(["GET", "POST"])
@requires("patients.record_outcome")
@sensitive_post_parameters()
def score(request: HttpRequest, public_id: uuid.UUID, score: uuid.UUID) -> HttpResponse:
    """Take back a score that was recorded by mistake."""
    patient = reaching.the_patient(request, public_id)
    row = get_object_or_404(Score.objects.filter(patient=patient, is_in_error=False), public_id=score)
    if request.method == "GET":
        return _mistake_page(request, patient, row, ErrorForm(initial={"version": row.version}))
    form = ErrorForm(request.POST)
    if not form.is_valid():
        return _mistake_page(request, patient, row, form, status=422)

    def produce() -> HttpResponse:
        said = form.cleaned_data
        by, at = Actor.of(request), web.now()
        outcomes.withdraw_score(score=row, reason=said["error_reason"], by=by, at=at, version=said["version"])
        messages.success(request, "Marked as a mistake.")
        return web.redirect_to(request, "patients:patient", patient.public_id)

    try:
        return web.once(request, "patients.withdraw_score", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.withdraw_score", subject=row, patient=patient.public_id)
        return _mistake_page(request, patient, row, form, error=error, status=error.status)


def _page(
    request: HttpRequest, patient: Patient, form: ScoreForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    may_tell = Actor.of(request).may("patients.record_performed")
    sessions = list(form.sessions.values()) if may_tell else []
    asked = zip(sessions, brought.asked_of_each(sessions), strict=True)
    context = {
        "patient": patient,
        "form": form,
        "brought": [(one, reverse("patients:performed", args=[one.public_id])) for one, names in asked if names],
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:patient", args=[patient.public_id]),
    }
    return web.respond(request, "patients/score.html", context, status=status)


def _mistake_page(
    request: HttpRequest,
    patient: Patient,
    row: Score,
    form: ErrorForm,
    *,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "patient": patient,
        "row": row,
        "measure": outcomes.measures()[row.measure].name,
        "form": form,
        "request_key": reaching.key_of(request),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:patient", args=[patient.public_id]),
    }
    return web.respond(request, "patients/score_mistake.html", context, status=status)
