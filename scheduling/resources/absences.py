"""Leave and breakdowns."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Refused, translated
from scheduling import free_time
from scheduling.models import Absence, Allocation, Appointment, Resource
from scheduling.resources.shared import JOINED, CasesInTheWay, locked

SLOT = timedelta(minutes=5)


def add_absence(
    *,
    resource: Resource,
    kind: str,
    starts_at: datetime,
    ends_at: datetime,
    note: str,
    by: Actor,
    at: datetime,
    is_accepted: bool = False,
) -> Absence:
    """Take a resource out of service or a person on leave, wherever they work.

    Raises:
        CasesInTheWay: booked cases need the time, and that was not accepted. They stay booked either way.
    """
    with translated(), transaction.atomic():
        kept = locked(resource)
        in_the_way = cases_during(kept, starts_at, ends_at)
        if in_the_way and not is_accepted:
            raise CasesInTheWay(in_the_way)
        made = Absence.objects.create(resource=kept, kind=kind, starts_at=starts_at, ends_at=ends_at, note=note)
        free_time.rebuild(at=at, resources=[kept.pk])
        details = {"resource": str(kept.public_id), "cases_in_the_way": len(in_the_way)}
        trail.record(by=by, act="scheduling.add_absence", subject=made, site_id=kept.site_id, reason_code=kind, details=details)
        return made


def cases_during(resource: Resource, starts_at: datetime, ends_at: datetime) -> list[Appointment]:
    """Return the cases that have this resource in a stretch of time, first date first."""
    rows = Allocation.objects.filter(
        resource=resource, released_at=None, appointment__isnull=False, starts_at__lt=ends_at, ends_at__gt=starts_at
    )
    found = {
        row.appointment.pk: row.appointment for row in rows.select_related(*JOINED).order_by("starts_at", "pk") if row.appointment
    }
    return list(found.values())


def end_absence(*, absence: Absence, by: Actor, at: datetime) -> Absence:
    """End an absence now, or withdraw one that has not begun. Ending it twice changes nothing.

    Raises:
        Refused: it is over.
    """
    with translated(), transaction.atomic():
        resource = locked(absence.resource)
        kept = Absence.objects.select_for_update().get(pk=absence.pk)
        if kept.withdrawn_at is not None:
            return kept
        if kept.ends_at <= at:
            raise Refused("absence_over", "This absence is over already.")
        now = _next_mark(at)
        if kept.starts_at >= now:
            kept.withdrawn_at = at
            kept.save(update_fields=["withdrawn_at"])
        else:
            kept.ends_at = now
            kept.save(update_fields=["ends_at"])
        free_time.rebuild(at=at, resources=[resource.pk])
        trail.record(by=by, act="scheduling.end_absence", subject=kept, site_id=resource.site_id)
        return kept


def _next_mark(at: datetime) -> datetime:
    """Return the next five-minute mark."""
    base = at.replace(minute=0, second=0, microsecond=0)
    return base + -(-(at - base) // SLOT) * SLOT
