"""What the doors of patients do alike: reach rows, know the day, make keys, tell refusals."""

from __future__ import annotations

import uuid
from datetime import date

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from pain_clinic import web
from pain_clinic.errors import DomainError
from patients import pages
from patients.models import Patient

TITLES = {
    "stale": "Somebody else changed this meanwhile",
    "in_error": "This was marked as a mistake",
    "nothing_differs": "Nothing is different",
    "amendment_signed": "This amendment is signed",
    "note_signed": "This note is signed",
    "key_reused": "This form was already sent with other content",
}


def the_patient(request: HttpRequest, public_id: uuid.UUID) -> Patient:
    """Return a patient whom this person may see, or has opened in an emergency that lasts; 404 otherwise."""
    rows = Patient.objects.open_to(web.member(request), web.now()).select_related("home_site")
    found: Patient = get_object_or_404(rows, public_id=public_id)
    return found


def today_of(request: HttpRequest) -> date:
    """Return the date at the first of this person's sites."""
    return web.today(request)


def key_of(request: HttpRequest, *, is_used_up: bool = False) -> str:
    """Return the form's key: a new one on the first look, or when the old one is used up."""
    given = request.POST.get("request_key", "")
    is_fresh = request.method == "GET" or is_used_up or not (8 <= len(given) <= 120 and given.isprintable())
    return uuid.uuid4().hex if is_fresh else given


def refusal_of(error: DomainError) -> pages.Refusal:
    """Return a refusal in words."""
    title = TITLES.get(error.code, "Not saved")
    return pages.Refusal(error.code, title, error.message, "Nothing was saved; what you typed is still here.")
