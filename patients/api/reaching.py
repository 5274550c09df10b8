"""How the API reaches one patient and one row of a patient: as the pages do, also in an emergency that lasts."""

from __future__ import annotations

from typing import Any, TypeVar

from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from pain_clinic import web
from patients.models import Patient, Recorded

Row = TypeVar("Row", bound=Recorded)


def the_patient(request: Request, public_id: Any) -> Patient:
    """Return a patient whom the asker may see, or has opened in an emergency that lasts; 404 otherwise."""
    rows = Patient.objects.open_to(web.member(request), web.now()).select_related("home_site")
    found: Patient = get_object_or_404(rows, public_id=public_id)
    return found


def the_row(request: Request, kind: type[Row], public_id: Any, *joined: str) -> Row:
    """Return a standing row of such a patient, with what is joined to it; 404 otherwise."""
    rows: Any = kind._default_manager.all()
    found: Row = get_object_or_404(
        rows.open_to(web.member(request), web.now()).standing().select_related("patient", *joined), public_id=public_id
    )
    return found
