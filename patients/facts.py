"""Read what is true of a patient into the facts that rules judge."""

from __future__ import annotations

from collections.abc import Iterable

from patients.models import Patient
from procedures.rules import Facts, Request, Session


def facts_of(patient: Patient, request: Request, sessions: Iterable[Session] = ()) -> Facts:
    """Return the facts for one request; upper floors hand in the sessions that they keep."""
    return Facts(request=request, sessions=tuple(sessions), birth_on=patient.birth_date, sex=patient.sex)
