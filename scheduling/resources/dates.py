"""The hours of one date: they replace those of the week, at every site where the resource works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Refused, translated
from scheduling import free_time
from scheduling.intervals import Interval, Intervals, subtract, union, window
from scheduling.models import Allocation, Appointment, DatedHours, Resource, WeeklyHours
from scheduling.resources.shared import CasesInTheWay, Changed, locked, mark_of, uncovered

Spans = tuple[tuple[time, time], ...]


class DateOver(Refused):
    def __init__(self) -> None:
        super().__init__("date_over", "This date is over; what was worked then is no longer changed.")


@dataclass(frozen=True, slots=True)
class DateHours:
    """What holds for a resource on one date, site by site; no spans: closed. `is_own`: apart from the week."""

    on: date
    spans: Mapping[int, Spans]
    is_own: bool
    reason: str

    @property
    def version(self) -> str:
        """Return what tells this state of the date from another."""
        return mark_of(sorted(self.spans.items()), self.is_own, self.reason)


def hours_on(resource: Resource, on: date) -> DateHours:
    """Return what holds on a date: its own hours if it has any, else those of the week less their breaks."""
    own = list(DatedHours.objects.filter(resource=resource, date=on).order_by("site_id", "starts", "pk"))
    weekly = _of_the_week(resource, on)
    return _gathered(on, own, sites=weekly) if own else DateHours(on, weekly, is_own=False, reason="")


def dates_ahead(resource: Resource, today: date) -> tuple[DateHours, ...]:
    """Return the dates from today on that have hours of their own, first date first."""
    by_date: dict[date, list[DatedHours]] = defaultdict(list)
    for row in DatedHours.objects.filter(resource=resource, date__gte=today).order_by("date", "site_id", "starts", "pk"):
        by_date[row.date].append(row)
    return tuple(_gathered(on, rows) for on, rows in by_date.items())


def _gathered(on: date, rows: Collection[DatedHours], sites: Collection[int] = ()) -> DateHours:
    spans: dict[int, Spans] = dict.fromkeys(sites, ())
    for row in rows:
        there = spans.get(row.site_id, ())
        spans[row.site_id] = (*there, (row.starts, row.ends)) if row.starts is not None and row.ends is not None else there
    return DateHours(on, spans, is_own=True, reason=next((row.reason for row in rows if row.reason), ""))


def _of_the_week(resource: Resource, on: date) -> dict[int, Spans]:
    """Return the working hours of a date by the week, less breaks, at each site where the resource works."""
    work: dict[int, list[Interval]] = {resource.site_id: []}
    breaks: dict[int, list[Interval]] = defaultdict(list)
    for row in WeeklyHours.objects.filter(resource=resource).order_by("pk"):
        mine = work.setdefault(row.site_id, [])
        is_in_force = (row.valid_from is None or row.valid_from <= on) and (row.valid_until is None or on <= row.valid_until)
        if row.weekday == on.weekday() and is_in_force:
            # Wall times: any one zone does for taking breaks out.
            span = Interval(datetime.combine(on, row.starts, UTC), datetime.combine(on, row.ends, UTC))
            (mine if row.kind == "work" else breaks[row.site_id]).append(span)
    return {
        site: tuple((each.starts_at.time(), each.ends_at.time()) for each in subtract(spans, breaks[site]))
        for site, spans in work.items()
    }


def save_date_hours(
    *,
    resource: Resource,
    on: date,
    spans: Mapping[Site, Spans],
    reason: str,
    by: Actor,
    at: datetime,
    version: str | None = None,
    is_accepted: bool = False,
) -> Resource:
    """Give a resource hours of its own on one date; at sites that are not named what holds there then goes on holding.

    Raises:
        DateOver: the date is over.
        Changed: the date is no longer at `version`.
        CasesInTheWay: booked cases lie outside the new hours, and that was not accepted. They stay booked either way.
    """
    with translated(), transaction.atomic():
        kept = locked(resource)
        before = _open_date(kept, on, at, version)
        after = {**before.spans, **{site.pk: given for site, given in spans.items() if given or site.pk in before.spans}}
        count = _asked_about(kept, before, after, at, is_accepted=is_accepted)
        _write(kept, on, after, reason)
        _keep(kept, "scheduling.save_date_hours", on, count, by=by, at=at)
        return kept


def remove_date_hours(
    *,
    resource: Resource,
    on: date,
    sites: Collection[Site],
    by: Actor,
    at: datetime,
    version: str | None = None,
    is_accepted: bool = False,
) -> Resource:
    """Let the weekly hours hold again on a date, at these sites; doing it twice changes nothing.

    What other sites have of their own on that date stays.

    Raises:
        DateOver, Changed, CasesInTheWay: as `save_date_hours`.
    """
    with translated(), transaction.atomic():
        kept = locked(resource)
        before = _open_date(kept, on, at, version)
        if not before.is_own:
            return kept
        weekly, named = _of_the_week(kept, on), {site.pk for site in sites}
        after = {site: weekly.get(site, ()) if site in named else given for site, given in before.spans.items()}
        count = _asked_about(kept, before, after, at, is_accepted=is_accepted)
        is_of_the_week = all(given == weekly.get(site, ()) for site, given in after.items())
        _write(kept, on, {} if is_of_the_week else after, before.reason)
        _keep(kept, "scheduling.remove_date_hours", on, count, by=by, at=at)
        return kept


def _open_date(resource: Resource, on: date, at: datetime, version: str | None) -> DateHours:
    """Return what holds on a date that may still be changed, at the version that was seen."""
    if on < at.astimezone(ZoneInfo(resource.site.time_zone)).date():
        raise DateOver
    found = hours_on(resource, on)
    if version is not None and version != found.version:
        raise Changed
    return found


def _asked_about(resource: Resource, before: DateHours, after: Mapping[int, Spans], at: datetime, *, is_accepted: bool) -> int:
    """Return how many cases lie outside the new hours of the sites where they change."""
    changed = {site for site, given in after.items() if given != before.spans.get(site, ())}
    outside = _outside(resource, before.on, {site: after[site] for site in changed}, at)
    if outside and not is_accepted:
        raise CasesInTheWay(outside)
    return len(outside)


def _outside(resource: Resource, on: date, spans: Mapping[int, Spans], at: datetime) -> list[Appointment]:
    """Return the coming cases of a date that these hours would not cover."""
    around = datetime.combine(on, time(0), UTC)
    taken = Allocation.objects.filter(
        resource=resource,
        site__in=spans,
        released_at=None,
        appointment__isnull=False,
        starts_at__gte=max(at, around - timedelta(days=1)),
        starts_at__lt=around + timedelta(days=2),
    )

    def hours(row: Allocation, day: date, zone: ZoneInfo) -> Intervals | None:
        windows = (window(day, starts, ends, zone) for starts, ends in spans[row.site_id])
        return union(each for each in windows if each is not None) if day == on else None

    return uncovered(taken, hours)


def _write(resource: Resource, on: date, spans: Mapping[int, Spans], reason: str) -> None:
    """Make these the date's own hours, none at all for none; a closed site gets a row too, so that each site shows it."""
    DatedHours.objects.filter(resource=resource, date=on).delete()  # the row history keeps them
    for site, given in sorted(spans.items()):
        for starts, ends in given or ((None, None),):
            DatedHours.objects.create(
                resource=resource, site_id=site, date=on, starts=starts, ends=ends, reason=reason
            )  # fmt: skip


def _keep(resource: Resource, act: str, on: date, count: int, *, by: Actor, at: datetime) -> None:
    free_time.rebuild(at=at, resources=[resource.pk])
    details = {"on": on.isoformat(), "cases_in_the_way": count}
    trail.record(by=by, act=act, subject=resource, site_id=resource.site_id, details=details)
