"""Keep the rows of free time true: hours less breaks, absences, closures, allocations and the way between sites.

Allocations and hours are the truth; `FreeTime` is what they come to, packed so that a search can read a year at once.
Every function writes inside its caller's transaction, and the caller holds the locks of the resources it names.

Past 400 lines by a few: what is read, how it becomes bits and how they are written are one computation, checked as one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction
from django.db.models import Q

from pain_clinic.accounts.models import Site
from scheduling.intervals import (
    DAY_BYTES,
    SLOTS_PER_DAY,
    Interval,
    instant,
    midnight,
    ones,
    pack,
    slot_after,
    slot_of,
    unpack,
    window,
    zone_of,
)
from scheduling.models import (
    PEOPLE,
    Absence,
    Allocation,
    Block,
    BlockTime,
    Closure,
    DatedHours,
    FreeTime,
    Resource,
    Travel,
    WeeklyHours,
)

DAYS_BACK = 1
DAYS_AHEAD = 400
AT_ONCE = 10  # resources that the regular task locks together: nobody waits for it long
LONGEST_WAY = timedelta(hours=12)  # Travel.minutes goes no further
NOTHING = bytes(DAY_BYTES)  # a day with nothing free
_DAY = timedelta(days=1)

Pair = tuple[int, int]  # resource, site


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of free time that does not say what hours and allocations say; `stored` is None where a row is missing."""

    resource_id: int
    site_id: int
    day: date
    stored: int | None
    true: int


def horizon(today: date) -> tuple[date, date]:
    """Return the first day kept dense and the last one, by UTC days."""
    return today - DAYS_BACK * _DAY, today + DAYS_AHEAD * _DAY


def rebuild(
    touched: Mapping[int, Collection[date]] | None = None,
    *,
    at: datetime | None = None,
    resources: Collection[int] | None = None,
) -> int:
    """Recompute rows and return how many changed.

    With `touched` (resource -> UTC days), as verbs do after releasing time: those days of those resources, where rows
    stand. Otherwise the whole horizon from `at` on, of `resources` or of all: after new resources, changed hours,
    leave, closures and new zone data.
    """
    if touched is not None:
        groups: dict[frozenset[date], list[int]] = defaultdict(list)
        for resource, days in sorted(touched.items()):
            groups[frozenset(days)].append(resource)
        return sum(_rebuild(group, days, only_existing=True) for days, group in groups.items())
    if at is None:
        raise TypeError("rebuild needs the days that were touched or the instant from which the horizon counts")
    if resources is None:
        resources = list(Resource.objects.order_by("pk").values_list("pk", flat=True))
    return _empty_elsewhere(resources) + _rebuild(resources, _each_day(*horizon(_today(at))))


def _empty_elsewhere(resources: Collection[int]) -> int:
    """Empty what still stands at sites where these resources no longer have hours, and return how many rows that were."""
    rows = FreeTime.objects.filter(resource__in=resources)
    gone = set(rows.values_list("resource_id", "site_id").distinct()) - _pairs(resources)
    return sum(
        rows.filter(resource=resource, site=site).exclude(bits=NOTHING).update(bits=NOTHING) for resource, site in sorted(gone)
    )


def without(allocations: Collection[Allocation]) -> dict[tuple[int, int, date], int]:
    """Return the days that these allocations touch (resource, site, UTC day) as they would be if released; write nothing."""
    touched: dict[int, set[date]] = defaultdict(set)
    for one in allocations:
        way = LONGEST_WAY if one.kind in PEOPLE else timedelta()
        touched[one.resource_id] |= set(_each_day(_today(one.starts_at - way), _today(one.ends_at + way)))
    found = {}
    spans = _spans(day for days in touched.values() for day in days)
    for (resource, site, first), packed in _compute(sorted(touched), spans, {one.pk for one in allocations}).items():
        for offset in range(len(packed) // DAY_BYTES):
            if first + offset * _DAY in touched[resource]:
                found[resource, site, first + offset * _DAY] = unpack(packed[offset * DAY_BYTES : (offset + 1) * DAY_BYTES])
    return found


def extend(*, at: datetime) -> int:
    """Add the days that the horizon has gained and expand blocks; idempotent, for the regular task.

    Locks the resources in key order, a few at a time, each lot in its own transaction.
    """
    first, last = horizon(_today(at))
    with connection.cursor() as cursor:
        cursor.execute("SELECT resource_id, site_id, max(day) FROM scheduling_freetime GROUP BY 1, 2")
        known = {(row[0], row[1]): row[2] for row in cursor.fetchall()}
    resources = list(Resource.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True))
    starts: dict[date, set[int]] = defaultdict(set)
    for resource, site in _pairs(resources):
        starts[max(first, known.get((resource, site), first - _DAY) + _DAY)].add(resource)
    changed = 0
    for start, group in sorted(starts.items()):
        if start <= last:
            waiting = sorted(group)
            for lot in (waiting[place : place + AT_ONCE] for place in range(0, len(waiting), AT_ONCE)):
                with transaction.atomic():
                    changed += _rebuild(lock(lot), _each_day(start, last))
    expand_blocks(at=at)
    return changed


def lock(resources: Collection[int]) -> list[int]:
    """Lock resources in key order."""
    rows = Resource.objects.filter(pk__in=resources).order_by("pk").select_for_update(no_key=True)
    return list(rows.values_list("pk", flat=True))


def check(*, at: datetime, resources: Collection[int] | None = None, repair: bool = False) -> tuple[Difference, ...]:
    """Return every row of the horizon that is missing or untrue; with `repair`, make it true."""
    first, last = horizon(_today(at))
    if resources is None:
        resources = list(Resource.objects.order_by("pk").values_list("pk", flat=True))
    stored = {
        (resource, site, day): unpack(bits)
        for resource, site, day, bits in FreeTime.objects.filter(resource__in=resources, day__range=(first, last)).values_list(
            "resource_id", "site_id", "day", "bits"
        )
    }
    differences = []
    for (resource, site, start), bits in _compute(resources, [(first, last)]).items():
        for offset in range(len(bits) // DAY_BYTES):
            day = start + offset * _DAY
            true = unpack(bits[offset * DAY_BYTES : (offset + 1) * DAY_BYTES])
            known = stored.pop((resource, site, day), None)
            if known != true:
                differences.append(Difference(resource, site, day, known, true))
    # Rows of a site where the resource no longer works: nothing is free there.
    differences.extend(Difference(*key, known, 0) for key, known in stored.items() if known)
    differences.sort(key=lambda each: (each.resource_id, each.site_id, each.day))
    if repair and differences:
        _write([(each.resource_id, each.site_id, each.day, pack(each.true)) for each in differences])
    return tuple(differences)


@transaction.atomic
def check_all(*, at: datetime, repair: bool = False) -> tuple[Difference, ...]:
    """Check every resource, each under its lock, so that no booking is mistaken for a difference."""
    everyone = lock(Resource.objects.values_list("pk", flat=True))
    return tuple(each for pk in everyone for each in check(at=at, resources=[pk], repair=repair))


@transaction.atomic
def expand_blocks(*, at: datetime, blocks: Collection[int] | None = None) -> int:
    """Lay down the dates of blocks as instants for the horizon from today on; return how many rows stand."""
    today = _today(at)
    _first, last = horizon(today)
    chosen = Block.objects.select_related("site").select_for_update(of=("self",)).order_by("pk")  # one run after another
    if blocks is not None:
        chosen = chosen.filter(pk__in=blocks)
    rows = []
    for block in chosen:
        zone = zone_of(block.site.time_zone)
        for on in _each_day(max(today - _DAY, block.valid_from), min(last, block.valid_until or last)):
            hours = window(on, block.starts, block.ends, zone) if on.weekday() == block.weekday else None
            if hours is not None:
                rows.append(
                    BlockTime(
                        block=block,
                        resource_id=block.resource_id,
                        site_id=block.site_id,
                        starts_at=hours.starts_at,
                        ends_at=hours.ends_at,
                        releases_at=instant(on - block.release_days * _DAY, time(0), zone),
                    )
                )
    standing = BlockTime.objects.filter(starts_at__gte=midnight(today - _DAY) - _DAY / 2)
    if blocks is not None:
        standing = standing.filter(block__in=blocks)
    standing.delete()
    BlockTime.objects.bulk_create(rows, batch_size=2000)
    return len(rows)


def _today(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _rebuild(resources: Collection[int], days: Iterable[date], *, only_existing: bool = False) -> int:
    spans = _spans(days)
    if not resources or not spans:
        return 0
    rows = [
        (resource, site, first + offset * _DAY, bits[offset * DAY_BYTES : (offset + 1) * DAY_BYTES])
        for (resource, site, first), bits in _compute(resources, spans).items()
        for offset in range(len(bits) // DAY_BYTES)
    ]
    return _write(rows, only_existing=only_existing)


def _each_day(first: date, last: date) -> list[date]:
    return [first + offset * _DAY for offset in range((last - first).days + 1)]


def _spans(days: Iterable[date]) -> list[tuple[date, date]]:
    """Return days as stretches of days in a row, (first, last)."""
    spans: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if spans and day == spans[-1][1] + _DAY:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


def _ways() -> dict[Pair, timedelta]:
    return {
        (origin, destination): timedelta(minutes=minutes)
        for origin, destination, minutes in Travel.objects.values_list("origin_id", "destination_id", "minutes")
    }


def _busy_slots(
    starts_at: datetime, ends_at: datetime, there: int, here: int, ways: Mapping[Pair, timedelta], day: date
) -> tuple[int, int]:
    """Return the slots, from 00:00 UTC of `day`, that work at one site takes at another (or at the same)."""
    if there != here:
        starts_at -= ways.get((here, there), timedelta())
        ends_at += ways.get((there, here), timedelta())
    return slot_of(starts_at, day), slot_after(ends_at, day)


def _pairs(resources: Collection[int]) -> set[Pair]:
    """Return where resources may be free: at home and wherever they have hours."""
    pairs = set(Resource.objects.filter(pk__in=resources).values_list("pk", "site_id"))
    pairs |= set(WeeklyHours.objects.filter(resource__in=resources).values_list("resource_id", "site_id").distinct())
    pairs |= set(DatedHours.objects.filter(resource__in=resources).values_list("resource_id", "site_id").distinct())
    return pairs


@dataclass(frozen=True, slots=True)
class _Truth:
    """What hours, absences and allocations say about some resources over some days."""

    pairs: dict[Pair, bool]  # -> is the resource active
    zones: dict[int, str]
    weekly: dict[int, list[WeeklyHours]]
    dated: dict[tuple[int, date], list[tuple[int, time | None, time | None]]]
    closed: set[tuple[int, date]]
    away: dict[int, list[Interval]]
    taken: dict[int, list[tuple[datetime, datetime, int]]]
    ways: dict[Pair, timedelta]


def _load(resources: Collection[int], spans: list[tuple[date, date]], but: Collection[int]) -> _Truth:
    first, last = spans[0][0] - 2 * _DAY, spans[-1][1] + 2 * _DAY
    active = dict[int, tuple[int, bool]]()
    for pk, site, is_active in Resource.objects.filter(pk__in=resources).values_list("pk", "site_id", "is_active"):
        active[pk] = (site, is_active)
    pairs = {(pk, site): is_active for pk, (site, is_active) in active.items()}
    weekly: dict[int, list[WeeklyHours]] = defaultdict(list)
    for hours in WeeklyHours.objects.filter(resource__in=resources).order_by("pk"):
        weekly[hours.resource_id].append(hours)
        pairs[hours.resource_id, hours.site_id] = active[hours.resource_id][1]
    dated: dict[tuple[int, date], list[tuple[int, time | None, time | None]]] = defaultdict(list)
    for resource, site, on, starts, ends in DatedHours.objects.filter(resource__in=resources).values_list(
        "resource_id", "site_id", "date", "starts", "ends"
    ):
        dated[resource, on].append((site, starts, ends))
        pairs[resource, site] = active[resource][1]
    away: dict[int, list[Interval]] = defaultdict(list)
    for resource, starts_at, ends_at in Absence.objects.filter(
        resource__in=resources, withdrawn_at=None, ends_at__gt=midnight(first), starts_at__lt=midnight(last)
    ).values_list("resource_id", "starts_at", "ends_at"):
        away[resource].append(Interval(starts_at, ends_at))
    near = Q()
    for start, stop in spans:  # a day more on either side, for the way from and to other sites
        near |= Q(ends_at__gt=midnight(start - _DAY), starts_at__lt=midnight(stop + 2 * _DAY))
    taken: dict[int, list[tuple[datetime, datetime, int]]] = defaultdict(list)
    standing = Allocation.objects.filter(near, resource__in=resources, released_at=None).exclude(pk__in=but)
    for resource, starts_at, ends_at, site in standing.values_list("resource_id", "starts_at", "ends_at", "site_id"):
        taken[resource].append((starts_at, ends_at, site))
    several = len(pairs) > len(active) or any(site != active[pk][0] for pk in taken for _, _, site in taken[pk])
    return _Truth(
        pairs=pairs,
        zones=dict(Site.objects.values_list("pk", "time_zone")),
        weekly=weekly,
        dated=dated,
        closed=set(Closure.objects.filter(date__range=(first, last)).values_list("site_id", "date")),
        away=away,
        taken=taken,
        ways=_ways() if several else {},
    )


def _compute(
    resources: Collection[int], spans: list[tuple[date, date]], but: Collection[int] = ()
) -> dict[tuple[int, int, date], bytes]:
    """Return the packed days of each resource, site and stretch of days, `but` these allocations."""
    if not resources or not spans:
        return {}
    truth = _load(resources, spans, but)
    computed = {}
    dated = {resource for resource, _ in truth.dated}
    opened: dict[Hashable, int] = {}  # by pattern of hours: those of one pattern are reckoned once for all
    for (resource, site), is_active in sorted(truth.pairs.items()):
        for first, last in spans:
            days = (last - first).days + 1
            free = 0
            if is_active:
                pattern = (site, first, resource if resource in dated else _pattern(truth.weekly[resource], site))
                if pattern not in opened:
                    opened[pattern] = _opened(truth, resource, site, first, days)
                free = _left(truth, resource, site, first, days, opened[pattern])
            computed[resource, site, first] = free.to_bytes(days * DAY_BYTES, "little")
    return computed


def _pattern(weekly: Iterable[WeeklyHours], site: int) -> Hashable:
    """Return what the hours of a resource without dated ones hang on."""
    here = (one for one in weekly if one.site_id == site)
    return tuple((one.kind, one.weekday, one.starts, one.ends, one.valid_from, one.valid_until) for one in here)


def _opened(truth: _Truth, resource: int, site: int, first: date, days: int) -> int:
    """Return the slots of working hours less breaks."""
    slots = days * SLOTS_PER_DAY
    zone = zone_of(truth.zones[site])
    free = breaks = 0
    for offset in range(-1, days + 1):
        on = first + offset * _DAY
        if (site, on) in truth.closed:
            continue
        for kind, hours in _hours_on(truth, resource, site, on):
            interval = window(on, *hours, zone)
            if interval is None:
                continue
            if kind == "work":
                free |= ones(max(slot_after(interval.starts_at, first), 0), min(slot_of(interval.ends_at, first), slots))
            else:
                breaks |= ones(max(slot_of(interval.starts_at, first), 0), min(slot_after(interval.ends_at, first), slots))
    return free & ~breaks


def _left(truth: _Truth, resource: int, site: int, first: date, days: int, free: int) -> int:
    """Return what absences and allocations leave of the working hours."""
    slots = days * SLOTS_PER_DAY
    for absence in truth.away[resource]:
        free &= ~ones(max(slot_of(absence.starts_at, first), 0), min(slot_after(absence.ends_at, first), slots))
    for starts_at, ends_at, there in truth.taken[resource]:
        start, stop = _busy_slots(starts_at, ends_at, there, site, truth.ways, first)
        free &= ~ones(max(start, 0), min(stop, slots))
    return free


def _hours_on(truth: _Truth, resource: int, site: int, on: date) -> list[tuple[str, tuple[time, time]]]:
    """Return the working hours and breaks of a local date: its dated hours if it has any, else those of the week."""
    exceptional = truth.dated.get((resource, on))
    if exceptional is not None:
        return [
            ("work", (starts, ends))
            for there, starts, ends in exceptional
            if there == site and starts is not None and ends is not None
        ]
    return [
        (hours.kind, (hours.starts, hours.ends))
        for hours in truth.weekly.get(resource, ())
        if hours.site_id == site
        and hours.weekday == on.weekday()
        and (hours.valid_from is None or hours.valid_from <= on)
        and (hours.valid_until is None or on <= hours.valid_until)
    ]


def _write(rows: list[tuple[int, int, date, bytes]], *, only_existing: bool = False) -> int:
    """Write rows that differ from what is stored, in one statement per 10,000."""
    if only_existing:
        statement = (
            "UPDATE scheduling_freetime AS old SET bits = new.bits"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::bytea[]) AS new (resource_id, site_id, day, bits)"
            " WHERE old.resource_id = new.resource_id AND old.site_id = new.site_id AND old.day = new.day"
            " AND old.bits <> new.bits"
        )
    else:
        statement = (
            "INSERT INTO scheduling_freetime AS old (resource_id, site_id, day, bits)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::bytea[])"
            " ON CONFLICT (resource_id, site_id, day) DO UPDATE SET bits = excluded.bits WHERE old.bits <> excluded.bits"
        )
    changed = 0
    with connection.cursor() as cursor:
        for start in range(0, len(rows), 10_000):
            columns = [list(column) for column in zip(*rows[start : start + 10_000], strict=True)]
            cursor.execute(statement, columns)
            changed += cursor.rowcount
    return changed
