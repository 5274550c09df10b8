"""What the verbs on resources have in common: their refusals, their locks, what a booked case is told by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from pain_clinic.accounts.models import Site
from pain_clinic.errors import Conflict, DomainError, Refused
from scheduling import free_time
from scheduling.intervals import Interval, Intervals, subtract
from scheduling.models import Allocation, Appointment, DatedHours, Resource, WeeklyHours

JOINED = ("appointment__patient", "appointment__procedure", "appointment__site")
MOST_NAMED = 50


class Changed(Conflict):
    """Somebody else saved this meanwhile."""

    def __init__(self) -> None:
        super().__init__("stale", "Somebody changed this while you were at it. Look at it again, then save.")


class NameTaken(Refused):
    def __init__(self) -> None:
        super().__init__("name_taken", "There is one of this name already.")


class CasesInTheWay(Refused):
    """Booked cases would be left without this resource; `cases` are theirs, first date first."""

    def __init__(self, cases: Sequence[Appointment], *, one: str = "needs this time", many: str = "need this time") -> None:
        count = len(cases)
        super().__init__(
            "cases_in_the_way",
            f"{count} booked case{'s' if count != 1 else ''} {one if count == 1 else many}."
            " Move them first, or save anyway and move them afterwards; nobody is told by itself.",
            {"count": count, "cases": [str(case.public_id) for case in cases[:MOST_NAMED]]},
        )
        self.cases = tuple(cases)


@dataclass(frozen=True, slots=True)
class Span:
    """Working hours or a break of one weekday (Monday 0), in the site's wall time."""

    weekday: int
    kind: str
    starts: time
    ends: time


def mark_of(*state: object) -> str:
    """Return what tells one state of something from another: forms and callers carry it until they save."""
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _name_taken() -> DomainError:
    return NameTaken()


CONSTRAINTS = {
    "accounts_site_name_key": _name_taken,
    "accounts_site_slug_key": _name_taken,
    "resource_name_once_per_site": _name_taken,
}


def locked(resource: Resource) -> Resource:
    return Resource.objects.select_for_update(no_key=True).get(pk=resource.pk)


def known_at(site: Site) -> set[int]:
    """Return the resources that have to do with a site: at home there, or with hours there."""
    own = set(Resource.objects.filter(site=site).values_list("pk", flat=True))
    own |= set(WeeklyHours.objects.filter(site=site).values_list("resource_id", flat=True))
    own |= set(DatedHours.objects.filter(site=site).values_list("resource_id", flat=True))
    return own


def all_at(site: Site) -> list[int]:
    """Lock every resource that has to do with a site, in key order."""
    return free_time.lock(known_at(site))


def uncovered(taken: QuerySet[Allocation], hours: Callable[[Allocation, date, ZoneInfo], Intervals | None]) -> list[Appointment]:
    """Return the cases of allocations that the hours of their local date do not cover, first date first.

    `hours` gives those of an allocation's site; None where that date is not asked about.
    """
    found: dict[int, Appointment] = {}
    for row in taken.select_related(*JOINED, "site").order_by("starts_at", "pk"):
        zone = ZoneInfo(row.site.time_zone)
        there = hours(row, row.starts_at.astimezone(zone).date(), zone)
        if there is not None and subtract([Interval(row.starts_at, row.ends_at)], there) and row.appointment is not None:
            found.setdefault(row.appointment.pk, row.appointment)
    return list(found.values())
