"""Change what the clinic has: sites, people, rooms and devices, their hours, absences and blocks.

Every verb is one transaction: it locks the resource, writes, records itself, and brings the free time in line. While a
booking holds the resource it waits, at most the lock time-out, and then refuses as `Busy`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, DomainError, Refused, translated
from procedures.models import Procedure
from scheduling import free_time
from scheduling.intervals import Interval, local_day, subtract, union, window
from scheduling.models import Absence, Allocation, Appointment, Block, Closure, Privilege, Resource, WeeklyHours

SLOT = timedelta(minutes=5)


class Changed(Conflict):
    """Somebody else saved this meanwhile."""

    def __init__(self) -> None:
        super().__init__("stale", "Somebody changed this while you were at it. Look at it again, then save.")


class NameTaken(Refused):
    def __init__(self) -> None:
        super().__init__("name_taken", "There is one of this name already.")


class CasesInTheWay(Refused):
    """Booked cases would be left without this resource; `cases` are theirs, first date first."""

    def __init__(self, cases: Sequence[Appointment]) -> None:
        count = len(cases)
        super().__init__(
            "cases_in_the_way",
            f"{count} booked case{'s' if count != 1 else ''} need{'s' if count == 1 else ''} this time."
            " Move them first, or save anyway and move them afterwards; nobody is told by itself.",
            {"count": count},
        )
        self.cases = tuple(cases)


@dataclass(frozen=True, slots=True)
class Span:
    """Working hours or a break of one weekday (Monday 0), in the site's wall time."""

    weekday: int
    kind: str
    starts: time
    ends: time


def _name_taken() -> DomainError:
    return NameTaken()


_CONSTRAINTS = {
    "accounts_site_name_key": _name_taken,
    "accounts_site_slug_key": _name_taken,
    "resource_name_once_per_site": _name_taken,
}


def _locked(resource: Resource) -> Resource:
    return Resource.objects.select_for_update(no_key=True).get(pk=resource.pk)


def _all_at(site: Site) -> list[int]:
    """Lock every resource that has to do with a site, in key order."""
    own = set(Resource.objects.filter(site=site).values_list("pk", flat=True))
    own |= set(WeeklyHours.objects.filter(site=site).values_list("resource_id", flat=True))
    return list(Resource.objects.filter(pk__in=own).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


# --- sites -----------------------------------------------------------------------------------------------------------


def save_site(*, site: Site | None, values: Mapping[str, Any], closures: Mapping[date, str], by: Actor, at: datetime) -> Site:
    """Make or change a site and the days on which it is closed; whoever makes one works at it.

    Raises:
        NameTaken: another site has the name.
    """
    with translated(_CONSTRAINTS), transaction.atomic():
        kept = Site.objects.select_for_update(no_key=True).get(pk=site.pk) if site is not None else Site()
        zone_before, active_before = kept.time_zone, kept.is_active
        for name, value in values.items():
            setattr(kept, name, value)
        kept.save()
        if site is None and by.user_id is not None:
            kept.staff.add(User.objects.get(pk=by.user_id))
        is_closed_otherwise = _set_closures(kept, closures)
        if site is not None and (zone_before != kept.time_zone or active_before != kept.is_active or is_closed_otherwise):
            free_time.rebuild(at=at, resources=_all_at(kept))
            free_time.expand_blocks(at=at, blocks=list(Block.objects.filter(site=kept).values_list("pk", flat=True)))
        trail.record(by=by, act="scheduling.save_site", subject=kept, site_id=kept.pk, reason_code="new" if site is None else "")
        return kept


def _set_closures(site: Site, wanted: Mapping[date, str]) -> bool:
    """Make a site's closed days those named, and say whether any day changed."""
    there = {row.date: row for row in Closure.objects.filter(site=site)}
    gone = [row.pk for day, row in there.items() if day not in wanted]
    Closure.objects.filter(pk__in=gone).delete()  # the row history keeps them
    for day, name in wanted.items():
        row = there.get(day)
        if row is None:
            Closure.objects.create(site=site, date=day, name=name)
        elif row.name != name:
            row.name = name
            row.save(update_fields=["name"])
    return bool(gone) or any(day not in there for day in wanted)


# --- people, rooms, devices ------------------------------------------------------------------------------------------


def save_resource(
    *,
    resource: Resource | None,
    values: Mapping[str, Any],
    may_perform: Collection[Procedure],
    by: Actor,
    at: datetime,
    version: int | None = None,
) -> Resource:
    """Make or change a person, room or device, and what a physician may perform.

    Raises:
        Changed: it is no longer at `version`.
        NameTaken: the site has one of this name.
    """
    with translated(_CONSTRAINTS), transaction.atomic():
        kept = _locked(resource) if resource is not None else Resource()
        if resource is not None and version is not None and kept.version != version:
            raise Changed
        for name, value in values.items():
            setattr(kept, name, value)
        kept.version = kept.version + 1 if resource is not None else 1
        kept.save()
        _set_privileges(kept, may_perform)
        free_time.rebuild(at=at, resources=[kept.pk])
        trail.record(
            by=by,
            act="scheduling.save_resource",
            subject=kept,
            site_id=kept.site_id,
            reason_code="new" if resource is None else "",
        )
        return kept


def _set_privileges(resource: Resource, wanted: Collection[Procedure]) -> None:
    """Give and take privileges; those that stay keep their own lengths and modalities."""
    there = set(Privilege.objects.filter(resource=resource).values_list("procedure_id", flat=True))
    ids = {procedure.pk for procedure in wanted}
    Privilege.objects.filter(resource=resource, procedure_id__in=there - ids).delete()  # the row history keeps them
    for pk in sorted(ids - there):
        Privilege.objects.create(resource=resource, procedure_id=pk)


# --- hours -----------------------------------------------------------------------------------------------------------


def save_hours(
    *, resource: Resource, site: Site, spans: Sequence[Span], valid_from: date, by: Actor, at: datetime, is_accepted: bool = False
) -> Resource:
    """Give a resource new weekly hours at a site from a day on; what held before that day stays as it was.

    Raises:
        CasesInTheWay: booked cases lie outside the new hours, and that was not accepted.
    """
    with translated(), transaction.atomic():
        kept = _locked(resource)
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
    for row in taken.select_related(*_JOINED).order_by("starts_at", "pk"):
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


_JOINED = ("appointment__patient", "appointment__procedure", "appointment__site")


# --- absences --------------------------------------------------------------------------------------------------------


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
        kept = _locked(resource)
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
        row.appointment.pk: row.appointment
        for row in rows.select_related(*_JOINED).order_by("starts_at", "pk")
        if row.appointment
    }
    return list(found.values())


def end_absence(*, absence: Absence, by: Actor, at: datetime) -> Absence:
    """End an absence now, or withdraw one that has not begun. Ending it twice changes nothing.

    Raises:
        Refused: it is over.
    """
    with translated(), transaction.atomic():
        resource = _locked(absence.resource)
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


# --- blocks ----------------------------------------------------------------------------------------------------------


def save_block(*, block: Block | None, values: Mapping[str, Any], by: Actor, at: datetime) -> Block:
    """Make or change weekly time kept for a physician or a family of procedures; booked cases stay where they are."""
    with translated(), transaction.atomic():
        _locked(values["resource"])
        kept = Block.objects.select_for_update().get(pk=block.pk) if block is not None else Block()
        for name, value in values.items():
            setattr(kept, name, value)
        kept.save()
        free_time.expand_blocks(at=at, blocks=[kept.pk])
        trail.record(
            by=by, act="scheduling.save_block", subject=kept, site_id=kept.site_id, reason_code="new" if block is None else ""
        )
        return kept
