"""The hours of a week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import translated
from scheduling import free_time
from scheduling.intervals import Interval, local_day, subtract, union, window
from scheduling.models import Allocation, Appointment, Resource, WeeklyHours
from scheduling.resources.shared import JOINED, CasesInTheWay, Span, locked


def save_hours(
    *, resource: Resource, site: Site, spans: Sequence[Span], valid_from: date, by: Actor, at: datetime, is_accepted: bool = False
) -> Resource:
    """Give a resource new weekly hours at a site from a day on; what held before that day stays as it was.

    Raises:
        CasesInTheWay: booked cases lie outside the new hours, and that was not accepted.
    """
    with translated(), transaction.atomic():
        kept = locked(resource)
        if not is_accepted:
            outside = _outside(kept, site, spans, valid_from, at)
            if outside:
                raise CasesInTheWay(outside)
        later = WeeklyHours.objects.filter(resource=kept, site=site)
        later.filter(valid_from__gte=valid_from).delete()  # never came into force; the row history keeps them
        standing = later.exclude(valid_until__lt=valid_from)
        for row in standing:
            row.valid_until = valid_from - timedelta(days=1)
            row.save(update_fields=["valid_until"])
        for span in spans:
            WeeklyHours.objects.create(
                resource=kept,
                site=site,
                kind=span.kind,
                weekday=span.weekday,
                starts=span.starts,
                ends=span.ends,
                valid_from=valid_from,
            )
        free_time.rebuild(at=at, resources=[kept.pk])
        trail.record(
            by=by, act="scheduling.save_hours", subject=kept, site_id=site.pk, details={"valid_from": valid_from.isoformat()}
        )
        return kept


def _outside(resource: Resource, site: Site, spans: Iterable[Span], valid_from: date, at: datetime) -> list[Appointment]:
    """Return the coming cases that these hours would not cover."""
    zone = ZoneInfo(site.time_zone)
    begins = max(local_day(valid_from, zone).starts_at, at)
    taken = Allocation.objects.filter(
        resource=resource, site=site, released_at=None, appointment__isnull=False, starts_at__gte=begins
    )
    found: dict[int, Appointment] = {}
    for row in taken.select_related(*JOINED).order_by("starts_at", "pk"):
        day = row.starts_at.astimezone(zone).date()
        mine = [span for span in spans if span.weekday == day.weekday()]
        work = union(
            each for span in mine if span.kind == "work" and (each := window(day, span.starts, span.ends, zone)) is not None
        )
        breaks = union(
            each for span in mine if span.kind == "break" and (each := window(day, span.starts, span.ends, zone)) is not None
        )
        if subtract([Interval(row.starts_at, row.ends_at)], subtract(work, breaks)) and row.appointment is not None:
            found.setdefault(row.appointment.pk, row.appointment)
    return list(found.values())
