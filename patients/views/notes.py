"""The door of a note: read it, change it, sign it, co-sign it, add to it. Reading it is a recorded act."""

from __future__ import annotations

import uuid
from collections.abc import Callable
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
from patients import amending, notes
from patients.forms import NoteForm
from patients.models import Addendum, ClinicalNote
from patients.views import reaching


@require_http_methods(["GET", "POST"])
@requires("patients.record_performed")
@sensitive_post_parameters()
def note(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a note, and act on it by its buttons."""
    rows = ClinicalNote.objects.open_to(web.member(request), web.now()).standing()
    joined = rows.select_related("patient__home_site", "performed__procedure", "signed_by", "cosigned_by")
    row = get_object_or_404(joined, public_id=public_id)
    if request.method == "GET":
        trail.record(
            by=Actor.of(request), act="patients.read_note", subject=row, patient=row.patient.public_id,
            site_id=row.patient.home_site_id,
        )  # fmt: skip
        return _page(request, row)
    form = NoteForm(request.POST, sections=notes.template_of(row).sections)
    if not form.is_valid():
        return _page(request, row, form=form if row.signed_at is None else None, status=422)
    act = ACTS.get(request.POST.get("act", ""), _save)

    def produce() -> HttpResponse:
        messages.success(request, act(request, row, form, Actor.of(request)))
        return web.redirect_to(request, "patients:note", row.public_id)

    try:
        return web.once(request, "patients.note", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.note", subject=row, patient=row.patient.public_id)
        row.refresh_from_db()
        return _page(request, row, form=form if row.signed_at is None else None, error=error, status=error.status)


Act = Callable[[HttpRequest, ClinicalNote, NoteForm, Actor], str]


def _save(request: HttpRequest, row: ClinicalNote, form: NoteForm, by: Actor) -> str:
    notes.edit(note=row, sections=form.sections(), by=by, at=web.now(), version=form.cleaned_data["version"])
    return "Saved."


def _sign(request: HttpRequest, row: ClinicalNote, form: NoteForm, by: Actor) -> str:
    kept = row
    if row.signed_at is None:
        at, version = web.now(), form.cleaned_data["version"]
        kept = notes.edit(note=row, sections=form.sections(), by=by, at=at, version=version)
    notes.sign(note=kept, by=by, at=web.now())
    return "Signed. From now on this note is only added to."


def _cosign(request: HttpRequest, row: ClinicalNote, form: NoteForm, by: Actor) -> str:
    notes.cosign(note=row, by=by, at=web.now(), version=form.cleaned_data["version"])
    return "Co-signed."


def _add(request: HttpRequest, row: ClinicalNote, form: NoteForm, by: Actor) -> str:
    notes.add(note=row, text=request.POST.get("text", ""), by=by, at=web.now())
    return "Added."


ACTS: dict[str, Act] = {"save": _save, "sign": _sign, "cosign": _cosign, "add": _add}


def _page(
    request: HttpRequest,
    row: ClinicalNote,
    *,
    form: NoteForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    template = notes.template_of(row)
    by = Actor.of(request)
    start: dict[str, Any] = {"version": row.version, **{f"section_{code}": text for code, text in row.sections.items()}}
    is_signed = row.signed_at is not None
    context = {
        "note": row,
        "patient": row.patient,
        "performed": row.performed,
        "sections": [(one.name, row.sections.get(one.code, "")) for one in template.sections],
        "form": None if is_signed else form or NoteForm(initial=start, sections=template.sections),
        "addenda": list(
            Addendum.objects.standing().filter(clinical_note=row).select_related("recorded_by").order_by("recorded_at", "pk")
        ),
        "may_sign": by.may(notes.SIGN) and not is_signed,
        "may_cosign": by.may(notes.SIGN) and is_signed and row.cosigned_at is None and row.signed_by_id != by.user_id,
        "amendments": amending.amendments_of(row.performed),
        "typed": request.POST.get("text", ""),
        "request_key": reaching.key_of(request, is_used_up=error is not None and error.code == "key_reused"),
        "refusal": reaching.refusal_of(error) if error else None,
        "back": reverse("patients:patient", args=[row.patient.public_id]),
    }
    return web.respond(request, "patients/note.html", context, status=status)
