"""Take and give back time: allocations are the truth, free-time bits follow in the same transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from django.db import connection

from scheduling import free_time
from scheduling.booking.scene import Run
from scheduling.booking.words import SlotTaken
from scheduling.free_time import LONGEST_WAY
from scheduling.intervals import SLOTS_PER_DAY, midnight, ones, pack, slot_after, slot_of, unpack
from scheduling.models import PEOPLE, Allocation, Appointment, FreeTime, Hold, Resource, Travel

Runs: TypeAlias = Sequence[tuple[Resource, Run]]
Key: TypeAlias = tuple[int, int, date]  # resource, site, UTC day


@dataclass(frozen=True, slots=True)
class Lack:
    """A unit that is not free for a run: ``is_taken`` when allocated, else it does not work there then."""

    unit: Resource
    run: Run
    is_taken: bool


@dataclass(slots=True)
class Board:
    """The free-time rows that a set of runs touches, read once under the locks."""

    site_id: int
    runs: Runs
    rows: dict[Key, tuple[int, int]]  # row id and bits as stored
    lacking: tuple[Lack, ...] = ()

    def clear_and_write(self) -> None:
        """Clear the runs here, and with the way there and back at their people's other sites; one statement."""
        elsewhere = defaultdict(set)
        for resource, site, _ in self.rows:
            elsewhere[resource].add(site)
        ways = travel_times() if any(len(sites) > 1 for sites in elsewhere.values()) else {}
        bits = {key: stored for key, (_, stored) in self.rows.items()}
        for unit, (start, end, _) in self.runs:
            for site in elsewhere[unit.pk]:
                before = ways.get((site, self.site_id), timedelta())
                after = ways.get((self.site_id, site), timedelta())
                for day, mask in masks(start - before, end + after):
                    if (unit.pk, site, day) in bits:
                        bits[unit.pk, site, day] &= ~mask
        changed = [(pk, bits[key]) for key, (pk, stored) in self.rows.items() if bits[key] != stored]
        if changed:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE scheduling_freetime AS old SET bits = new.bits"
                    " FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, bits) WHERE old.id = new.id",
                    [[pk for pk, _ in changed], [pack(value) for _, value in changed]],
                )


def look(runs: Runs, site_id: int) -> Board:
    """Read the free time that the runs touch and what of it is lacking at this site."""
    days: set[date] = set()
    for unit, (start, end, _) in runs:
        way = LONGEST_WAY if unit.kind in PEOPLE else timedelta()
        days |= {day for day, _ in masks(start - way, end + way)}
    found = FreeTime.objects.filter(resource__in={unit.pk for unit, _ in runs}, day__in=days)
    rows = {
        (resource, site, day): (pk, unpack(bits))
        for pk, resource, site, day, bits in found.values_list("pk", "resource_id", "site_id", "day", "bits")
    }
    board = Board(site_id, runs, rows)
    nothing = (0, 0)
    board.lacking = tuple(
        Lack(unit, run, _is_allocated(unit, run))
        for unit, run in runs
        if any(rows.get((unit.pk, site_id, day), nothing)[1] & mask != mask for day, mask in masks(run[0], run[1]))
    )
    return board


def take(board: Board, *, at: datetime, appointment: Appointment | None = None, hold: Hold | None = None) -> None:
    """Write one allocation a run and clear its bits.

    Raises:
        SlotTaken: something is lacking; the caller's transaction is then to be left.
    """
    if board.lacking:
        unit = board.lacking[0].unit
        raise SlotTaken(
            f"{unit.name} is no longer free at this time. Nothing was changed; choose another opening.",
            resource=str(unit.public_id),
        )
    Allocation.objects.bulk_create(
        Allocation(
            resource=unit,
            site_id=board.site_id,
            appointment=appointment,
            hold=hold,
            kind=unit.kind,
            legs=list(legs),
            starts_at=start,
            ends_at=end,
            created_at=at,
        )
        for unit, (start, end, legs) in board.runs
    )
    board.clear_and_write()


def give_back(allocations: Sequence[Allocation], at: datetime) -> None:
    """Release allocations and make their time free again where the resource works then."""
    standing = [one for one in allocations if one.released_at is None]
    if not standing:
        return
    Allocation.objects.filter(pk__in=[one.pk for one in standing], released_at__isnull=True).update(released_at=at)
    touched: dict[int, set[date]] = defaultdict(set)
    for one in standing:
        way = LONGEST_WAY if one.kind in PEOPLE else timedelta()
        touched[one.resource_id] |= {day for day, _ in masks(one.starts_at - way, one.ends_at + way)}
    free_time.rebuild(touched)


def travel_times() -> dict[tuple[int, int], timedelta]:
    """Return how long people travel, by pair of sites."""
    rows = Travel.objects.values_list("origin_id", "destination_id", "minutes")
    return {(origin, destination): timedelta(minutes=minutes) for origin, destination, minutes in rows}


def masks(start: datetime, end: datetime) -> Iterable[tuple[date, int]]:
    """Return, for each UTC day that a stretch touches, the bits it covers."""
    day = start.astimezone(UTC).date()
    while midnight(day) < end:
        yield day, ones(max(slot_of(start, day), 0), min(slot_after(end, day), SLOTS_PER_DAY))
        day += timedelta(days=1)


def _is_allocated(unit: Resource, run: Run) -> bool:
    with connection.cursor() as cursor:  # by the constraint's own index: a loser holds the locks while it looks
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM scheduling_allocation WHERE resource_id = %s AND released_at IS NULL"
            " AND tstzrange(starts_at, ends_at) && tstzrange(%s, %s))",
            [unit.pk, run[0], run[1]],
        )
        return bool(cursor.fetchone()[0])
