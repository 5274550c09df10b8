"""How long people need from one site to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import translated
from scheduling import free_time
from scheduling.models import PEOPLE, Allocation, Appointment, Resource, Travel
from scheduling.resources.shared import JOINED, CasesInTheWay, Changed, known_at, mark_of

Way = tuple[int, int]  # from site, to site


def ways_between(sites: Collection[Site]) -> dict[Way, int | None]:
    """Return the minutes of every way between these sites, both directions; None where nobody said any: counted as none."""
    pks = [site.pk for site in sites]
    rows = Travel.objects.filter(origin__in=pks, destination__in=pks)
    said = {(one.origin_id, one.destination_id): one.minutes for one in rows}
    return {(one, other): said.get((one, other)) for one in pks for other in pks if one != other}


def ways_version(ways: Mapping[Way, int | None]) -> str:
    """Return what tells these ways from others."""
    return mark_of(sorted(ways.items()))


def save_travel(
    *,
    sites: Collection[Site],
    ways: Mapping[Way, int | None],
    by: Actor,
    at: datetime,
    version: str | None = None,
    is_accepted: bool = False,
) -> None:
    """Set the minutes of ways between these sites, None for not said; whoever works at both ends is free accordingly.

    Raises:
        Changed: the ways between these sites are no longer at `version`.
        CasesInTheWay: somebody could no longer reach their next case, and that was not accepted. They stay booked either way.
    """
    with translated(), transaction.atomic():
        # One after another; then everybody of these sites, so that nobody begins to work at another one meanwhile.
        list(Site.objects.filter(pk__in=[site.pk for site in sites]).order_by("pk").select_for_update(no_key=True))
        free_time.lock({pk for site in sites for pk in known_at(site)})
        before = ways_between(sites)
        if version is not None and version != ways_version(before):
            raise Changed
        changed = {way: minutes for way, minutes in ways.items() if before[way] != minutes}
        if not changed:
            return
        people = _at_both_ends(sites, changed)
        late = _too_far(people, before, changed, at)
        if late and not is_accepted:
            raise CasesInTheWay(late, one="could not be reached in time", many="could not be reached in time")
        for (origin, destination), minutes in sorted(changed.items()):
            if minutes is None:
                Travel.objects.filter(origin=origin, destination=destination).delete()  # the row history keeps it
            else:
                Travel.objects.update_or_create(origin_id=origin, destination_id=destination, defaults={"minutes": minutes})
        free_time.rebuild(at=at, resources=people)
        _record(sites, changed, len(late), by=by)


def _at_both_ends(sites: Collection[Site], changed: Collection[Way]) -> list[int]:
    """Return the resources to whose free time these ways matter."""
    there: dict[int, set[int]] = {site.pk: known_at(site) for site in sites}
    for resource, site in (
        Allocation.objects.filter(site__in=there, released_at=None).values_list("resource_id", "site_id").distinct()
    ):
        there[site].add(resource)
    return sorted({pk for origin, destination in changed for pk in there[origin] & there[destination]})


def _too_far(
    people: Collection[int], before: Mapping[Way, int | None], changed: Mapping[Way, int | None], at: datetime
) -> list[Appointment]:
    """Return the coming cases that somebody could reach from their case before, and no longer could."""
    members = Resource.objects.filter(pk__in=people, kind__in=PEOPLE).values("pk")
    rows = Allocation.objects.filter(resource__in=members, released_at=None, appointment__isnull=False, ends_at__gte=at)
    days: dict[int, list[Allocation]] = defaultdict(list)
    for row in rows.select_related(*JOINED).order_by("starts_at", "pk"):
        days[row.resource_id].append(row)
    late: dict[int, Appointment] = {}
    for mine in days.values():
        for one, next_one in pairwise(mine):
            way, gap = (one.site_id, next_one.site_id), next_one.starts_at - one.ends_at
            if way in changed and _minutes(before[way]) <= gap < _minutes(changed[way]) and next_one.appointment is not None:
                late.setdefault(next_one.appointment.pk, next_one.appointment)
    return sorted(late.values(), key=lambda case: (case.starts_at, case.pk))


def _minutes(said: int | None) -> timedelta:
    return timedelta(minutes=said or 0)


def _record(sites: Collection[Site], changed: Mapping[Way, int | None], count: int, *, by: Actor) -> None:
    named = {site.pk: site for site in sites}
    told = [
        {"from": str(named[origin].public_id), "to": str(named[destination].public_id), "minutes": minutes}
        for (origin, destination), minutes in sorted(changed.items())
    ]
    subject = named[min(changed)[0]]
    details = {"ways": told, "cases_in_the_way": count}
    trail.record(by=by, act="scheduling.save_travel", subject=subject, site_id=subject.pk, details=details)
