"""Take and give back time: allocations are the truth, free-time bits follow in the same transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

from django.db import connection

from scheduling import free_time
from scheduling.assessing.reading import LONGEST_STAY
from scheduling.booking.reading import Truth
from scheduling.booking.scene import Run
from scheduling.booking.words import SlotTaken
from scheduling.free_time import LONGEST_WAY
from scheduling.intervals import SLOTS_PER_DAY, midnight, ones, pack, slot_after, slot_of
from scheduling.models import BEFORE_ARRIVAL, PEOPLE, Allocation, Appointment, Hold, Resource, Travel

Runs: TypeAlias = Sequence[tuple[Resource, Run]]


@dataclass(frozen=True)
class Lack:
    """A unit that is not free for a run: allocated, or it does not work there then."""

    unit: Resource
    run: Run

    @cached_property
    def is_taken(self) -> bool:
        starts_at, ends_at, _ = self.run
        with connection.cursor() as cursor:  # by the index of standing allocations: who asks holds the locks
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM scheduling_allocation WHERE resource_id = %s AND released_at IS NULL"
                " AND starts_at < %s AND starts_at > %s AND ends_at > %s)",
                [self.unit.pk, ends_at, starts_at - LONGEST_STAY, starts_at],
            )
            return bool(cursor.fetchone()[0])


@dataclass(slots=True)
class Board:
    """The free time that a set of runs touches, read once under the locks."""

    site_id: int
    runs: Runs
    truth: Truth
    lacking: tuple[Lack, ...] = ()

    def refuse_what_is_taken(self) -> None:
        """Raise `SlotTaken` if somebody else has one of the units."""
        for lack in self.lacking:
            if lack.is_taken:
                raise _taken(lack.unit)

    def cleared(self) -> list[tuple[int, bytes]]:
        """Return the rows of free time that change, by key: the runs here, and with the way at people's other sites."""
        rows = self.truth.free
        elsewhere = defaultdict(set)
        for resource, site, _ in rows:
            elsewhere[resource].add(site)
        ways = travel_times() if any(len(sites) > 1 for sites in elsewhere.values()) else {}
        bits = {key: stored for key, (_, stored) in rows.items()}
        for unit, (start, end, _) in self.runs:
            for site in elsewhere[unit.pk]:
                before = ways.get((site, self.site_id), timedelta())
                after = ways.get((self.site_id, site), timedelta())
                for day, mask in masks(start - before, end + after):
                    if (unit.pk, site, day) in bits:
                        bits[unit.pk, site, day] &= ~mask
        return [(pk, pack(bits[key])) for key, (pk, stored) in rows.items() if bits[key] != stored]


def look(runs: Runs, site_id: int, truth: Truth) -> Board:
    """Compare the runs with the free time at this site."""
    nothing = (0, 0)
    lacking = tuple(
        Lack(unit, run)
        for unit, run in runs
        if any(truth.free.get((unit.pk, site_id, day), nothing)[1] & mask != mask for day, mask in masks(run[0], run[1]))
    )
    return Board(site_id, runs, truth, lacking)


_CLEAR = """
WITH cleared AS (
    UPDATE scheduling_freetime AS old SET bits = new.bits
    FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, bits) WHERE old.id = new.id
)
"""
# The patient's other coming cases are asked about again within seconds. The planner has a cause of its own.
_ASK_AGAIN = """
INSERT INTO patients_factchange (patient_id, kind, at, planned_at)
SELECT %s, 'appointment', %s, %s WHERE EXISTS (
    SELECT FROM scheduling_appointment a WHERE a.patient_id = %s AND a.id <> %s AND a.status = ANY(%s)
    AND NOT a.is_history AND a.starts_at > %s
)
"""
_AND_ASK = ", asked AS (" + _ASK_AGAIN + ") "
_TAKE = """
INSERT INTO scheduling_allocation (resource_id, site_id, appointment_id, hold_id, kind, legs, starts_at, ends_at, created_at)
VALUES """
_ONE = "(%s, %s, %s, %s, %s, %s::varchar[], %s, %s, %s)"


def take(board: Board, *, at: datetime, appointment: Appointment | None = None, hold: Hold | None = None) -> list[Allocation]:
    """Write one allocation a run and clear its bits, in one statement; return the allocations.

    A case that takes its place has the patient's other coming cases asked about again.

    Raises:
        SlotTaken: something is lacking; the caller's transaction is then to be left.
    """
    if board.lacking:
        raise _taken(board.lacking[0].unit)
    if not board.runs:
        return []
    made = [
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
    ]
    cleared = board.cleared()
    values: list[Any] = [[pk for pk, _ in cleared], [bits for _, bits in cleared]]
    if appointment is not None:
        values += _asking(appointment, at)
    for one in made:
        values += [one.resource_id, one.site_id, one.appointment_id, one.hold_id, one.kind, one.legs]
        values += [one.starts_at, one.ends_at, one.created_at]
    with connection.cursor() as cursor:
        asking = _AND_ASK if appointment is not None else ""
        cursor.execute(_CLEAR + asking + _TAKE + ", ".join([_ONE] * len(made)) + " RETURNING id", values)
        for one, (pk,) in zip(made, cursor.fetchall(), strict=True):
            one.pk = pk
            one._state.adding, one._state.db = False, connection.alias
    return made


def ask_again(appointment: Appointment, at: datetime) -> None:
    """Leave the word by which the patient's other coming cases, if there are any, are asked about again."""
    with connection.cursor() as cursor:
        cursor.execute(_ASK_AGAIN, _asking(appointment, at))


def _asking(case: Appointment, at: datetime) -> list[Any]:
    return [case.patient_id, at, at, case.patient_id, case.pk, list(BEFORE_ARRIVAL), at]


def _taken(unit: Resource) -> SlotTaken:
    return SlotTaken(
        f"{unit.name} is no longer free at this time. Nothing was changed; choose another opening.",
        resource=str(unit.public_id),
    )


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
