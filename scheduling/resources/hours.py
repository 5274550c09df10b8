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
from scheduling.intervals import Intervals, local_day, subtract, union, window
from scheduling.models import Allocation, Appointment, DatedHours, Resource, WeeklyHours
from scheduling.resources.shared import CasesInTheWay, Span, locked, uncovered


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
    """Return the coming cases that these hours would not cover; a date with hours of its own does not follow the week."""
    begins = max(local_day(valid_from, ZoneInfo(site.time_zone)).starts_at, at)
    taken = Allocation.objects.filter(
        resource=resource, site=site, released_at=None, appointment__isnull=False, starts_at__gte=begins
    )
    own = set(DatedHours.objects.filter(resource=resource, date__gte=valid_from).values_list("date", flat=True))

    def hours(_row: Allocation, day: date, zone: ZoneInfo) -> Intervals | None:
        def of(kind: str) -> Intervals:
            mine = (window(day, one.starts, one.ends, zone) for one in spans if (one.weekday, one.kind) == (day.weekday(), kind))
            return union(each for each in mine if each is not None)

        return None if day in own else subtract(of("work"), of("break"))

    return uncovered(taken, hours)
