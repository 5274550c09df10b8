"""The door by which a performed procedure is amended, and an amendment signed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients import amending, brought, notes, records
from patients.forms import AmendForm, BroughtForm, ErrorForm
from patients.models import Amendment, ClinicalNote, Complication, GivenDrug, PerformedProcedure
from patients.views import reaching


@require_http_methods(["GET", "POST"])
@requires("patients.record_performed")
@sensitive_post_parameters()
def performed(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show what was done with all its amendments, and amend it or sign an amendment."""
    rows = PerformedProcedure.objects.open_to(web.member(request), web.now()).standing()
    row = get_object_or_404(rows.select_related("patient__home_site", "procedure"), public_id=public_id)
    if request.method == "GET":
        trail.record(
            by=Actor.of(request), act="patients.read_performed", subject=row, patient=row.patient.public_id,
            site_id=row.patient.home_site_id,
        )  # fmt: skip
        return _page(request, row, _form(request, row))
    if request.POST.get("act") == "sign":
        return _sign(request, row)
    if request.POST.get("act") == "brought" and brought.asked_of(row):
        return _brought(request, row)
    if request.POST.get("act") == "mistake" and row.is_elsewhere:
        return _mistake(request, row)
    form = _form(request, row, request.POST)
    if not form.is_valid():
        return _page(request, row, form, status=422)
    try:
        return web.once(request, "patients.amend_performed", lambda: _amended(request, row, form))
    except DomainError as error:
        web.refused(request, error, act="patients.amend_performed", subject=row, patient=row.patient.public_id)
        return _page(request, row, form, error=error, status=error.status)


def _amended(request: HttpRequest, row: PerformedProcedure, form: AmendForm) -> HttpResponse:
    said = form.cleaned_data
    amending.amend(
        performed=row, changes=form.changes(), reason=said["reason"], by=Actor.of(request), at=web.now(), version=said["version"],
        drugs=form.given(), harms=form.harms(), is_signed=bool(said.get("is_signed")),
    )  # fmt: skip
    messages.success(request, "Amended. What was on record before is kept.")
    return web.redirect_to(request, "patients:performed", row.public_id)


def _sign(request: HttpRequest, row: PerformedProcedure) -> HttpResponse:
    named = request.POST.get("amendment", "")
    key = uuid.UUID(named) if len(named) == 36 and named.count("-") == 4 and set(named) <= set("0123456789abcdef-") else None
    found = get_object_or_404(Amendment.objects.standing().filter(performed=row), public_id=key)

    def produce() -> HttpResponse:
        amending.sign(amendment=found, by=Actor.of(request), at=web.now())
        messages.success(request, "Signed.")
        return web.redirect_to(request, "patients:performed", row.public_id)

    try:
        return web.once(request, "patients.sign_amendment", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.sign_amendment", subject=row, patient=row.patient.public_id)
        return _page(request, row, _form(request, row), error=error, status=error.status)


def _brought(request: HttpRequest, row: PerformedProcedure) -> HttpResponse:
    """Write down what the session brought beside its scores."""
    told = BroughtForm(request.POST, row=row, today=reaching.today_of(request))
    if not told.is_valid():
        return _page(request, row, _form(request, row), told=told, status=422)

    def produce() -> HttpResponse:
        version, why = told.cleaned_data["read_version"], told.cleaned_data.get("why", "")
        brought.tell(performed=row, said=told.said(), reason=why, by=Actor.of(request), at=web.now(), version=version)
        messages.success(request, "Recorded. The rules and the courses are asked again.")
        return web.redirect_to(request, "patients:performed", row.public_id)

    try:
        return web.once(request, "patients.tell_brought", produce)
    except records.FieldRefused as error:
        web.refused(request, error, act="patients.tell_brought", subject=row, patient=row.patient.public_id)
        field = {"reason": "why"}.get(error.field, error.field)
        told.add_error(field if field in told.fields else None, error.message)
        return _page(request, row, _form(request, row), told=told, status=error.status)
    except DomainError as error:
        web.refused(request, error, act="patients.tell_brought", subject=row, patient=row.patient.public_id)
        return _page(request, row, _form(request, row), told=told, error=error, status=error.status)


def _mistake(request: HttpRequest, row: PerformedProcedure) -> HttpResponse:
    """Mark what was said to be done elsewhere as written down by mistake, with what was given there."""
    mistake = ErrorForm(request.POST)
    if not mistake.is_valid():
        return _page(request, row, _form(request, row), mistake=mistake, status=422)

    def produce() -> HttpResponse:
        said = mistake.cleaned_data
        records.mark_in_error(
            row=row, reason=said["error_reason"], by=Actor.of(request), at=web.now(), version=said["version"]
        )  # fmt: skip
        messages.success(request, "Marked as a mistake. It counts for nothing from now on.")
        return web.redirect_to(request, "patients:patient", row.patient.public_id)

    try:
        return web.once(request, "patients.mistake_performed", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.mark_in_error", subject=row, patient=row.patient.public_id)
        return _page(request, row, _form(request, row), mistake=mistake, error=error, status=error.status)


def _form(request: HttpRequest, row: PerformedProcedure, data: Any = None) -> AmendForm:
    drugs = list(GivenDrug.objects.standing().filter(performed=row).order_by("pk"))
    may_sign = Actor.of(request).may(notes.SIGN)
    return AmendForm(data, row=row, drugs=drugs, may_sign=may_sign, today=reaching.today_of(request))


def _page(
    request: HttpRequest,
    row: PerformedProcedure,
    form: AmendForm,
    *,
    told: BroughtForm | None = None,
    mistake: ErrorForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    row.refresh_from_db()
    read = str(form["version"].value() or "")
    is_stale = error is not None and error.code == "stale"
    since = amending.amendments_of(row, after_version=int(read)) if is_stale and read.isdecimal() else []
    note = ClinicalNote.objects.standing().filter(performed=row).first()
    context = {
        "performed": row,
        "patient": row.patient,
        "form": form,
        # After a conflict the form goes on from what stands now: whoever presses again has been shown the other's work.
        "version": row.version if is_stale else read,
        "since": since,
        "amendments": amending.amendments_of(row),
        "complications": list(Complication.objects.standing().filter(performed=row).order_by("noticed_on", "pk")),
        "may_sign": Actor.of(request).may(notes.SIGN),
        "note_url": reverse("patients:note", args=[note.public_id]) if note is not None else "",
        "request_key": uuid.uuid4().hex if is_stale else reaching.key_of(request, is_used_up=_is_used_up(error)),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:patient", args=[row.patient.public_id]),
        "course_url": _course_url(request, row),
        "brought": _told(request, row, told),
        # As for the amendment: after a conflict it goes on from what stands now.
        "brought_version": row.version if told is None or is_stale else told["read_version"].value(),
        "mistake": (mistake or ErrorForm(initial={"version": row.version})) if row.is_elsewhere else None,
    }
    return web.respond(request, "patients/performed.html", context, status=status)


def _told(request: HttpRequest, row: PerformedProcedure, told: BroughtForm | None) -> BroughtForm | None:
    """Return the form of what the session brought, where a rule or a gate reads anything of such work."""
    if not brought.asked_of(row):
        return None
    return told or BroughtForm(row=row, today=reaching.today_of(request))


def _course_url(request: HttpRequest, row: PerformedProcedure) -> str:
    """Return where a course may be started from what was done, for whoever may order one."""
    if row.procedure is None or not Actor.of(request).may("scheduling.order_course"):
        return ""
    return f"{reverse('scheduling:course_start', args=[row.patient.public_id])}?performed={row.public_id}"


def _is_used_up(error: DomainError | None) -> bool:
    return error is not None and error.code == "key_reused"
