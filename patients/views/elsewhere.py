"""The door by which something that was done elsewhere is written down."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.clock import days_in_words
from pain_clinic.errors import DomainError
from patients import elsewhere
from patients.forms import ElsewhereForm
from patients.models import Patient
from patients.records import FieldRefused
from patients.views import reaching

FIELDS = {"regions": "region"}  # what the verb calls a field, and what the form does


@require_http_methods(["GET", "POST"])
@requires("patients.record_performed")
@sensitive_post_parameters()
def new_elsewhere(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Write down a procedure that was done elsewhere, with the drugs given there."""
    patient, today = reaching.the_patient(request, public_id), reaching.today_of(request)
    if request.method == "GET":
        return _page(request, patient, ElsewhereForm(today=today))
    form = ElsewhereForm(request.POST, today=today)
    if not form.is_valid():
        return _page(request, patient, form, status=422)

    def produce() -> HttpResponse:
        said = form.cleaned_data
        row = elsewhere.record(
            patient=patient, values=form.values(), drugs=form.given(), by=Actor.of(request), at=web.now(),
            is_another=said["is_another"], is_unplaced=said["is_unplaced"],
        )  # fmt: skip
        messages.success(
            request, f"On record: {row.procedure or row.other_name}, {days_in_words(str(row.done_on))}, done elsewhere."
        )
        return web.redirect_to(request, "patients:patient", patient.public_id)

    try:
        return web.once(request, "patients.record_elsewhere", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.record_elsewhere", subject=patient, patient=patient.public_id)
        field = FIELDS.get(error.field, error.field) if isinstance(error, FieldRefused) else ""
        if field in form.fields:
            form.add_error(field, error.message)
            return _page(request, patient, form, status=error.status)
        return _page(request, patient, form, error=error, status=error.status)


def _page(
    request: HttpRequest, patient: Patient, form: ElsewhereForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    found = error.found if isinstance(error, elsewhere.PossibleDouble) else ()
    context = {
        "patient": patient,
        "form": form,
        "doubles": [(row, reverse("patients:performed", args=[row.public_id])) for row in found],
        "asks": bool(found) or (form.is_bound and bool(form["is_another"].value())),
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:patient", args=[patient.public_id]),
    }
    return web.respond(request, "patients/elsewhere.html", context, status=status)
