"""One plan within one search: where it can start, by whom, and with what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import attrgetter

from scheduling.availability.bitmaps import erode
from scheduling.availability.search.pools import Known, joint, sharing
from scheduling.availability.words import Demand, Plan, Question, Unit
from scheduling.intervals import SLOT, SLOTS_PER_DAY, ones

Preference = tuple[int, int, int, int]
NOBODY: Preference = (0, 0, 0, 0)
_THREE_DAYS = ones(0, 3 * SLOTS_PER_DAY)


@dataclass(frozen=True, slots=True)
class Opening:
    """A time at which all is free, and the units that would be taken: demand -> unit ids, in the demand's order."""

    arrives_at: datetime
    starts_at: datetime
    ends_at: datetime
    leaves_at: datetime
    site: int
    units: dict[str, tuple[int, ...]]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """One candidate of a demand on one local date: its place in the stated order, and the arrivals it could serve."""

    preference: Preference
    unit: Unit
    arrivals: int  # bit 0 is the day's `base`


@dataclass(frozen=True, slots=True)
class Day:
    """A local date of one plan: its slots and, per demand, the candidates in the stated order."""

    base: int  # the first slot at which somebody with a start on this date may arrive
    first: int
    stop: int
    ready: tuple[tuple[Ready, ...], ...]


class View:
    """One plan within one search: where it can start, by whom, and with what."""

    def __init__(self, question: Question, plan: Plan, known: Known) -> None:
        self.plan = plan
        self.frame = question.frame
        self._known = known
        self._allowed = question.allowed(plan)
        self.starts = (joint(plan.demands, known) & self._allowed) << plan.prep if self._allowed else 0
        self._days: dict[date, Day] = {}
        self._latest: tuple[date, Day] | None = None
        self._legs = tuple(length * SLOT for length in (plan.prep, plan.procedure, plan.procedure + plan.recovery))
        self._lead = next((i for i, demand in enumerate(plan.demands) if demand.key == plan.lead), None)
        self._is_simple = len(sharing(plan.demands)) == len(plan.demands)
        self._graded = [i for i, demand in enumerate(plan.demands) if i != self._lead and _is_graded(demand)]

    def local_date(self, start: int) -> date:
        return self.day_of(start)[0]

    def day_of(self, start: int) -> tuple[date, Day]:
        """Return the local date of a start; starts come in order, so it is mostly the one before's."""
        latest = self._latest
        if latest is None or not latest[1].first <= start < latest[1].stop:
            on = self.frame.instant(start).astimezone(self.plan.zone).date()
            latest = self._latest = (on, self.day(on))
        return latest

    def day(self, on: date) -> Day:
        """Return who is free how long on a local date, computed once; only that date and two more are looked at."""
        known = self._days.get(on)
        if known is None:
            first, stop = self.frame.day_slots(on, self.plan.zone)
            base = max(first - self.plan.prep, 0)
            ready = tuple(
                _ready(demand, base, first, stop, is_lead=i == self._lead) for i, demand in enumerate(self.plan.demands)
            )
            known = self._days[on] = Day(base, first, stop, ready)
        return known

    def leads_at(self, start: int) -> list[Ready | None]:
        """Return who could lead a procedure starting in this slot, in the stated order."""
        if self._lead is None:
            return [None]
        day = self.day_of(start)[1]
        bit = start - self.plan.prep - day.base
        able = [each for each in day.ready[self._lead] if each.arrivals >> bit & 1]
        if self._is_simple and self.plan.demands[self._lead].count == 1:
            return list(able)
        return [each for each in able if self._assign(start, each.unit) is not None]

    def starts_on(self, on: date) -> list[tuple[Ready | None, int]]:
        """Return the starts of a local date by who leads; bit 0 is the date's first slot."""
        day = self.day(on)
        if self._lead is None:
            return [(None, self.starts >> day.first & ones(0, day.stop - day.first))]
        lead = self.plan.demands[self._lead]
        others = [demand for demand in self.plan.demands if demand is not lead]
        simple = self._is_simple and lead.count == 1
        rest = self._arrivals(others, day, self._known) if simple else 0
        found: list[tuple[Ready | None, int]] = []
        for each in day.ready[self._lead]:
            if not simple:
                # Rearranged demands do not live long enough to be known by their identity.
                rest = self._arrivals(_without(self.plan.demands, lead, each.unit), day, None)
            arrivals = rest & each.arrivals
            starts = arrivals << self.plan.prep >> (day.first - day.base)
            found.append((each, starts & ones(0, day.stop - day.first)))
        return found

    def _arrivals(self, demands: Sequence[Demand], day: Day, known: Known | None) -> int:
        return (joint(demands, known) & self._allowed) >> day.base & ones(0, day.stop - day.base)

    def opening(self, start: int, lead: Unit | None, able: int) -> Opening:
        units = self._assign(start, lead)
        if units is None:
            raise AssertionError("Hall's condition held, so there is an assignment")
        starts_at = self.frame.instant(start)
        prep, procedure, rest = self._legs
        return Opening(
            arrives_at=starts_at - prep,
            starts_at=starts_at,
            ends_at=starts_at + procedure,
            leaves_at=starts_at + rest,
            site=self.plan.site,
            units=units,
            reasons=(*reasons(lead, able), *self._spared(start, units)),
        )

    def _spared(self, start: int, units: dict[str, tuple[int, ...]]) -> Iterator[str]:
        """Name what was free and fit but can do more than is asked for: it is kept for what needs it."""
        if not self._graded:
            return
        day = self.day_of(start)[1]
        bit = start - self.plan.prep - day.base
        for i in self._graded:
            demand = self.plan.demands[i]
            taken = [len(unit.capabilities) for unit in demand.candidates if unit.id in units[demand.key]]
            for each in day.ready[i]:
                if each.arrivals >> bit & 1 and each.unit.label and len(each.unit.capabilities) > max(taken, default=0):
                    yield f"{each.unit.label} is kept for what needs it"
                    break

    def _assign(self, start: int, lead: Unit | None) -> dict[str, tuple[int, ...]] | None:
        """Choose units: the first in the stated order, moved aside only when another demand could not be served else."""
        day = self.day_of(start)[1]
        bit = start - self.plan.prep - day.base
        chosen: dict[str, tuple[int, ...]] = {}
        if self._is_simple:
            for i, demand in enumerate(self.plan.demands):
                ids = () if lead is None or i != self._lead else (lead.id,)
                for each in day.ready[i]:
                    if len(ids) == demand.count:
                        break
                    if each.arrivals >> bit & 1 and each.unit is not lead:
                        ids = (*ids, each.unit.id)
                chosen[demand.key] = ids
            return chosen
        places = [(i, demand) for i, demand in enumerate(self.plan.demands) for _ in range(demand.count)]
        choices = [[each.unit.id for each in day.ready[i] if each.arrivals >> bit & 1] for i, _ in places]
        order = list(range(len(places)))
        if lead is not None:
            fixed = next(place for place, (i, _) in enumerate(places) if i == self._lead)
            choices[fixed] = [lead.id]
            order.sort(key=lambda place: place != fixed)
        taken: dict[int, int] = {}  # unit id -> place
        if not all(_augment(place, choices, taken, set()) for place in order):
            return None
        for i, demand in enumerate(self.plan.demands):
            mine = {unit for unit, place in taken.items() if places[place][0] == i}
            named = tuple(each.unit.id for each in day.ready[i] if each.unit.id in mine)
            if lead is not None and i == self._lead:  # who leads is named first
                named = (lead.id, *(unit for unit in named if unit != lead.id))
            chosen[demand.key] = named
        return chosen


def _is_graded(demand: Demand) -> bool:
    return len({len(unit.capabilities) for unit in demand.candidates}) > 1


def _ready(demand: Demand, base: int, first: int, stop: int, *, is_lead: bool) -> tuple[Ready, ...]:
    """Return the candidates of a demand by the stated order: fewest capabilities, most free time left, rank, id."""
    found = []
    today = ones(first - base, stop - base)
    for unit in demand.candidates:
        ahead = unit.free >> base & _THREE_DAYS
        if ahead:
            arrivals = -1
            for offset, length in demand.runs_of(unit):
                arrivals &= erode(ahead, length) >> offset
            spare = 0 if is_lead else len(unit.capabilities)
            found.append(Ready((spare, -(ahead & today).bit_count(), unit.rank, unit.id), unit, arrivals))
    found.sort(key=attrgetter("preference"))
    return tuple(found)


def _augment(place: int, choices: Sequence[Sequence[int]], taken: dict[int, int], seen: set[int]) -> bool:
    """Give a place a unit, moving others along an augmenting path if need be."""
    for unit in choices[place]:
        if unit not in taken:
            taken[unit] = place
            return True
    for unit in choices[place]:
        if unit not in seen:
            seen.add(unit)
            if _augment(taken[unit], choices, taken, seen):
                taken[unit] = place
                return True
    return False


def _without(demands: Sequence[Demand], lead: Demand, unit: Unit) -> list[Demand]:
    """Return what is still demanded once one unit leads."""
    rest = []
    for demand in demands:
        count = demand.count - 1 if demand is lead else demand.count
        if count:
            left = tuple(each for each in demand.candidates if each.id != unit.id)
            rest.append(replace(demand, candidates=left, count=count))
    return rest


def reasons(lead: Unit | None, able: int) -> tuple[str, ...]:
    """Say why this one leads."""
    if lead is None or not lead.label:
        return ()
    if able == 1:
        return (f"{lead.label} is the only one free then",)
    return (f"{lead.label} has the most time left that day of {able} who could",)
