"""Write the trail: one event for each act, in the transaction of the act itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pghistory.runtime
from django.db import models

from pain_clinic import clock, statements
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent


def record(
    *,
    by: Actor,
    act: str,
    outcome: str = "done",
    subject: models.Model | None = None,
    patient: UUID | None = None,
    site_id: int | None = None,
    reason_code: str = "",
    details: dict[str, Any] | None = None,
) -> AuditEvent:
    """Record one act. Call it inside the verb's transaction, so that act and record stand or fall together.

    `details` takes ids, counts and codes only: no names, no free text, no clinical facts.
    """
    event = AuditEvent(
        at=clock.now(),
        actor_kind=by.kind,
        user_id=by.user_id,
        actor_name=by.name[:120],
        act=act,
        outcome=outcome,
        subject_kind=subject._meta.label_lower if subject is not None else "",
        subject_id=getattr(subject, "public_id", None),
        patient_id=patient or by.patient_id,
        site_id=site_id,
        reason_code=reason_code[:80],
        address=by.address,
        request_id=by.request_id,
        context_id=context_id(),
        details=details or {},
    )
    statements.insert(event)
    return event


def context_id() -> UUID | None:
    """Return the id under which row history written now is filed, so that the two can be joined."""
    context = getattr(pghistory.runtime._tracker, "value", None)
    return context.id if context is not None else None
