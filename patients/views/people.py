"""Doors of patients: find, register, change, read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import User
from pain_clinic.errors import DomainError
from patients import emergencies, pages, records
from patients.forms import PatientForm, starting_with
from patients.models import Patient
from patients.views import history, reaching

LONGEST_QUERY = 120


@requires("patients.search_patients")
@sensitive_post_parameters("q")
@require_http_methods(["GET", "POST"])
def patient_list(request: HttpRequest) -> HttpResponse:
    """Find somebody; names travel in bodies only, never in addresses."""
    text = request.POST.get("q", "").strip()[:LONGEST_QUERY]
    results = pages.search(text=text, user=_user(request), by=Actor.of(request), today=_today(request))
    if request.headers.get("HX-Target") == "results":
        return web.respond(request, "patients/_results.html", {"results": results})
    page = pages.PatientList(
        q=text,
        results=results,
        may_register=_user(request).has_perm("patients.register_patient"),
        register_url=reverse("patients:new"),
        emergency_url=reverse("patients:emergency") if _user(request).has_perm(emergencies.BREAK) else "",
    )
    return web.respond(request, "patients/list.html", {"page": page})


@requires("patients.register_patient")
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def new_patient(request: HttpRequest) -> HttpResponse:
    """Register somebody; who looks like a person on file is shown first."""
    home = web.usual_site(request)
    if request.method != "POST":
        start = {"home_site": home.pk if home else None, **_kept(request)}
        form = PatientForm(user=_user(request), at=web.now(), initial=start)
        return _form_page(request, form, None)
    form = PatientForm(request.POST, user=_user(request), at=web.now())
    if not form.is_valid():
        return _form_page(request, form, None, status=422)
    is_another = request.POST.get("not_duplicate") == "1"
    try:
        return web.once(request, "patients.register", lambda: _registered(request, form, is_another=is_another))
    except records.PossibleDuplicate as refusal:
        web.refused(request, refusal, act="patients.register")
        return _form_page(request, form, None, refusal=refusal, alike=refusal.found, status=refusal.status)
    except DomainError as refusal:
        web.refused(request, refusal, act="patients.register")
        return _form_page(request, form, None, refusal=refusal, status=refusal.status)


def _kept(request: HttpRequest) -> dict[str, str]:
    """Return what was typed before the sign-in ended, by field."""
    kept = web.kept_input(request)
    return {name: str(kept[name]) for name in kept if name not in {"csrfmiddlewaretoken", "request_key"}} if kept else {}


def _look_for_duplicates(form: PatientForm) -> None:
    said = form.cleaned_data
    found = records.possible_duplicates(
        last_name=said["last_name"], first_name=said["first_name"], birth_date=said["birth_date"], phone=said["phone"],
        email=said["email"],
    )  # fmt: skip
    if found:
        raise records.PossibleDuplicate(found)


def _registered(request: HttpRequest, form: PatientForm, *, is_another: bool) -> HttpResponse:
    if not is_another:
        _look_for_duplicates(form)
    patient = records.register(**form.values(), by=Actor.of(request), at=web.now(), is_another_person=is_another)
    messages.success(request, f"Registered under record number {patient.record_number}.")
    if _is_for_booking(request):
        return web.redirect_to(request, pages.book_url(patient))
    return web.redirect_to(request, "patients:patient", patient.public_id)


def _is_for_booking(request: HttpRequest) -> bool:
    return request.GET.get("for") == "book" and _user(request).has_perm("scheduling.book_appointment")


@requires("patients.change_patient")
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def edit_patient(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change what is on file about somebody."""
    patient = _patient(request, public_id)
    if request.method != "POST":
        start = {**starting_with(patient), **_kept(request)}
        form = PatientForm(user=_user(request), at=web.now(), patient=patient, initial=start)
        return _form_page(request, form, patient)
    form = PatientForm(request.POST, user=_user(request), at=web.now(), patient=patient)
    if not form.is_valid():
        return _form_page(request, form, patient, status=422)
    try:
        return web.once(request, "patients.amend", lambda: _amended(request, form, patient))
    except DomainError as refusal:
        web.refused(request, refusal, act="patients.amend", subject=patient, patient=patient.public_id)
        return _form_page(request, form, patient, refusal=refusal, status=refusal.status)


def _amended(request: HttpRequest, form: PatientForm, patient: Patient) -> HttpResponse:
    kept = records.amend(
        patient=patient, changes=form.values(), by=Actor.of(request), at=web.now(), version=form.cleaned_data["version"]
    )
    messages.success(request, "Saved." if kept.version != patient.version else "Nothing was different; nothing was saved.")
    return web.redirect_to(request, "patients:patient", patient.public_id)


@requires("patients.view_patient")
@require_GET
def patient(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show one patient: the history to who may read it, else what booking needs.

    Appointments and messages load themselves from the floor above.
    """
    if Actor.of(request).may(history.VIEW):
        return history.page(request, reaching.the_patient(request, public_id))
    found = _patient(request, public_id)
    page = pages.open_page(patient=found, user=_user(request), by=Actor.of(request), today=_today(request))
    return web.respond(request, "patients/patient.html", {"page": page})


def _patient(request: HttpRequest, public_id: uuid.UUID) -> Patient:
    return get_object_or_404(Patient.objects.visible_to(_user(request)).select_related("home_site"), public_id=public_id)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the gate lets nobody else in
    return request.user


def _today(request: HttpRequest) -> date:
    site = web.usual_site(request)
    return web.now().astimezone(ZoneInfo(site.time_zone if site else "UTC")).date()


def _form_page(
    request: HttpRequest,
    form: PatientForm,
    patient: Patient | None,
    *,
    refusal: DomainError | None = None,
    alike: Sequence[Patient] = (),
    status: int = 200,
) -> HttpResponse:
    code = refusal.code if refusal else ""
    used_up = request.method == "GET" or code == "key_reused"
    given = request.POST.get("request_key", "")
    key = uuid.uuid4().hex if used_up or not (8 <= len(given) <= 120 and given.isprintable()) else given
    seen = set(Patient.objects.visible_to(_user(request)).filter(pk__in=[one.pk for one in alike]).values_list("pk", flat=True))
    shown = [one for one in alike if one.pk in seen]
    if isinstance(refusal, records.FieldRefused) and refusal.field in form.fields:
        form.add_error(refusal.field, refusal.message)
        refusal = None
    page = pages.PatientFormPage(
        title=f"Change {patient.first_name} {patient.last_name}" if patient else "Register a person",
        action=request.get_full_path(),
        form=form,
        is_new=patient is None,
        cancel_url=_way_back(request, patient),
        request_key=key,
        duplicates=tuple(
            replace(row, book_url=row.book_url if _is_for_booking(request) else "")
            for row in pages.rows_of(shown, user=_user(request), today=_today(request))
        ),
        refusal=_told(refusal, elsewhere=len(alike) - len(shown)),
    )
    return web.respond(request, "patients/form.html", {"page": page}, status=status)


def _way_back(request: HttpRequest, patient: Patient | None) -> str:
    if patient is not None:
        return reverse("patients:patient", args=[patient.public_id])
    return reverse("scheduling:book" if _is_for_booking(request) else "patients:list")


def _told(refusal: DomainError | None, *, elsewhere: int) -> pages.Refusal | None:
    if refusal is None:
        return None
    kept = "Nothing was saved; what you typed is still here."
    if refusal.code == "possible_duplicate":
        there = f" {elsewhere} of them at a site where you do not work: ask a colleague there." if elsewhere else ""
        return pages.Refusal(
            refusal.code, "Perhaps this person is registered already", f"Somebody on file is very like this person.{there}", kept,
            "Open the record below, or say that this is another person and register again.",
        )  # fmt: skip
    if refusal.code == "stale":
        return pages.Refusal(
            refusal.code, "Somebody else changed this patient", refusal.message, kept, "Open the page again to see what changed."
        )
    return pages.Refusal(refusal.code, "Not saved", refusal.message, kept)
