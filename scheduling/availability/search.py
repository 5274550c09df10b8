"""The joint search: erosion per unit, Hall's condition per pool, one AND, lowest set bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import combinations
from zoneinfo import ZoneInfo

from scheduling.availability.bitmaps import at_least, erode, lowest
from scheduling.availability.words import Demand, Frame, Plan, Question, Unit
from scheduling.intervals import ones, window

_MORNING = (time(0), time(12))


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


def search(question: Question) -> tuple[Opening, ...]:
    """Return the first openings in total order: start, then the least-loaded physician, then rank and id.

    Among units that could serve, the least loaded is the one with the most free time left on that local date.
    """
    known: Known = {}  # plans share the demands in which they do not differ
    views = [view for plan in question.plans if (view := _View(question, plan, known)).starts]
    if not views:
        return ()
    found = _in_order(question, views) if question.per_day is None else _spread(question, views)
    return tuple(found)


def earliest(question: Question) -> Opening | None:
    """Return the very first opening."""
    found = search(replace(question, limit=1, per_day=None))
    return found[0] if found else None


def unit_starts(demand: Demand, unit: Unit) -> int:
    """Return the arrivals at which one unit is free for all runs of a demand."""
    arrivals = -1
    for offset, length in demand.runs_of(unit):
        arrivals &= erode(unit.free, length) >> offset
    return arrivals


Known = dict[tuple[int, ...], int]  # what one search has computed already: ids of demand objects -> arrivals


def joint(demands: Sequence[Demand], known: Known | None = None) -> int:
    """Return the arrivals at which all demands can be served together, by different units; -1 for no demands.

    Exact by Hall's theorem: demands can be served if and only if, for every set of demands that share candidates,
    at least as many units as they need could serve one of them. Demands without shared candidates need no sets.
    """
    arrivals = -1
    known = {} if known is None else known
    for group in _sharing(demands):
        key = tuple(id(demand) for demand in group)
        if key not in known:
            known[key] = pool(group[0]) if len(group) == 1 else _hall(group)
        arrivals &= known[key]
        if not arrivals:
            break
    return arrivals


def pool(demand: Demand) -> int:
    """Return the arrivals at which enough candidates of one demand are free."""
    base = demand.runs[0][0] if demand.runs else 0
    if len(demand.runs) == 1 and demand.count == 1:  # the usual case: shift once for the whole pool
        arrivals = 0
        for unit in demand.candidates:
            runs = demand.runs_of(unit)
            bits = erode(unit.free, runs[0][1])
            if len(runs) > 1:
                bits &= unit_starts(demand, unit) << base
            arrivals |= bits
        return arrivals >> base
    return at_least(demand.count, [unit_starts(demand, unit) for unit in demand.candidates])


def _sharing(demands: Sequence[Demand]) -> list[list[Demand]]:
    """Group the demands whose candidates overlap, directly or by way of others."""
    groups: list[tuple[set[int], list[Demand]]] = []
    for demand in demands:
        ids, members = {unit.id for unit in demand.candidates}, [demand]
        apart = []
        for known, others in groups:
            if known & ids:
                ids |= known
                members = others + members
            else:
                apart.append((known, others))
        groups = [*apart, (ids, members)]
    return [members for _, members in groups]


def _hall(group: Sequence[Demand]) -> int:
    starts = [{unit.id: unit_starts(demand, unit) for unit in demand.candidates} for demand in group]
    arrivals = -1
    for size in range(1, len(group) + 1):
        for chosen in combinations(range(len(group)), size):
            able: dict[int, int] = {}
            for i in chosen:
                for unit, bits in starts[i].items():
                    able[unit] = able.get(unit, 0) | bits
            arrivals &= at_least(sum(group[i].count for i in chosen), able.values())
    return arrivals


class _View:
    """One plan within one search: where it can start, by whom, and with what."""

    def __init__(self, question: Question, plan: Plan, known: Known) -> None:
        self.plan = plan
        self.frame = question.frame
        allowed = question.allowed(plan)
        self.starts = (joint(plan.demands, known) & allowed) << plan.prep if allowed else 0
        self._known = known
        self._allowed = allowed << plan.prep
        self._by_lead: list[tuple[Unit | None, int]] | None = None
        self._days: dict[tuple[int, date], tuple[int, int]] = {}

    def by_lead(self) -> list[tuple[Unit | None, int]]:
        """Return the starts of each candidate of the leading demand (of nobody, when the plan has none)."""
        if self._by_lead is None:
            lead = next((demand for demand in self.plan.demands if demand.key == self.plan.lead), None)
            if lead is None:
                self._by_lead = [(None, self.starts)]
            else:
                self._by_lead = self._lead_starts(lead)
        return self._by_lead

    def _lead_starts(self, lead: Demand) -> list[tuple[Unit | None, int]]:
        others = [demand for demand in self.plan.demands if demand is not lead]
        elsewhere = {unit.id for demand in others for unit in demand.candidates}
        alone = joint(others, self._known) & self._allowed >> self.plan.prep if lead.count == 1 else 0
        result: list[tuple[Unit | None, int]] = []
        for unit in lead.candidates:
            rest = alone
            if lead.count > 1 or unit.id in elsewhere:
                rest = joint(_without(self.plan.demands, lead, unit)) & self._allowed >> self.plan.prep
            result.append((unit, (rest & unit_starts(lead, unit)) << self.plan.prep))
        return result

    def leads_at(self, start: int) -> list[Unit | None]:
        """Return who could lead a procedure starting in this slot, the least loaded first."""
        on = self.local_date(start)
        able = [unit for unit, starts in self.by_lead() if starts >> start & 1]
        return sorted(able, key=lambda unit: (0, 0, 0) if unit is None else self.preference(unit, on))

    def local_date(self, start: int) -> date:
        return self.frame.instant(start).astimezone(self.plan.zone).date()

    def preference(self, unit: Unit, on: date) -> tuple[int, int, int]:
        """Return the stated order among units: most free time left on that date, then rank, then id."""
        return (-self._day(unit, on)[1].bit_count(), unit.rank, unit.id)

    def _day(self, unit: Unit, on: date) -> tuple[int, int]:
        """Return a unit's free slots from that date on (its next three days), and those of the date alone."""
        known = self._days.get((unit.id, on))
        if known is None:
            first, stop = _day_slots(self.frame, on, self.plan.zone)
            ahead = unit.free >> first & _THREE_DAYS
            known = self._days[unit.id, on] = (ahead, ahead & ones(0, stop - first))
        return known

    def fits(self, demand: Demand, unit: Unit, start: int, on: date) -> bool:
        """Tell whether a unit is free for all runs of a demand around this start."""
        arrival = start - self.plan.prep
        first = _day_slots(self.frame, on, self.plan.zone)[0]
        if arrival < first:  # arrives before that date began: look at the whole bitmap
            return bool(unit_starts(demand, unit) >> arrival & 1)
        ahead = self._day(unit, on)[0]
        for offset, length in demand.runs_of(unit):
            wanted = ones(0, length) << (arrival - first + offset)
            if ahead & wanted != wanted:
                return False
        return True

    def opening(self, start: int, lead: Unit | None, able: int) -> Opening:
        plan, on = self.plan, self.local_date(start)
        units = self._assign(start, lead, on)
        instant = self.frame.instant
        return Opening(
            arrives_at=instant(start - plan.prep),
            starts_at=instant(start),
            ends_at=instant(start + plan.procedure),
            leaves_at=instant(start + plan.procedure + plan.recovery),
            site=plan.site,
            units={demand.key: units[demand.key] for demand in plan.demands},
            reasons=_reasons(lead, able),
        )

    def _assign(self, start: int, lead: Unit | None, on: date) -> dict[str, tuple[int, ...]]:
        """Choose units: the least loaded first, moved aside only when another demand could not be served else."""
        places = [demand for demand in self.plan.demands for _ in range(demand.count)]
        choices = []
        for demand in places:
            able = [unit for unit in demand.candidates if self.fits(demand, unit, start, on)]
            choices.append(sorted(able, key=lambda unit: self.preference(unit, on)))
        fixed = next((i for i, place in enumerate(places) if place.key == self.plan.lead), None)
        if fixed is not None and lead is not None:
            choices[fixed] = [lead]
        taken: dict[int, int] = {}  # unit id -> place
        order = sorted(range(len(places)), key=lambda i: (i != fixed, i))
        for place in order:
            _augment(place, choices, taken, set())
        at_place = {place: unit for unit, place in taken.items()}
        chosen: dict[str, tuple[int, ...]] = {demand.key: () for demand in self.plan.demands}
        for i, demand in enumerate(places):
            chosen[demand.key] += (at_place[i],)
        return chosen


_THREE_DAYS = ones(0, 3 * 288)


def _day_slots(frame: Frame, on: date, zone: ZoneInfo) -> tuple[int, int]:
    return frame.day_slots(on, zone)


def _augment(place: int, choices: Sequence[Sequence[Unit]], taken: dict[int, int], seen: set[int]) -> bool:
    """Give a place a unit, moving others along an augmenting path if need be."""
    for unit in choices[place]:
        if unit.id not in taken:
            taken[unit.id] = place
            return True
    for unit in choices[place]:
        if unit.id not in seen:
            seen.add(unit.id)
            if _augment(taken[unit.id], choices, taken, seen):
                taken[unit.id] = place
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


def _reasons(lead: Unit | None, able: int) -> tuple[str, ...]:
    if lead is None or not lead.label:
        return ()
    if able == 1:
        return (f"{lead.label} is the only one free then",)
    return (f"{lead.label} has the most time left that day of {able} who could",)


def _at(views: Sequence[_View], start: int) -> list[tuple[_View, Unit | None]]:
    """Return everybody who could lead at this start, over all plans, in the stated order."""
    able: list[tuple[tuple[int, int, int, int], _View, Unit | None]] = []
    for index, view in enumerate(views):
        if view.starts >> start & 1:
            on = view.local_date(start)
            for unit in view.leads_at(start):
                rank = (0, 0, 0) if unit is None else view.preference(unit, on)
                able.append(((*rank, index), view, unit))
    able.sort(key=lambda each: each[0])
    return [(view, unit) for _, view, unit in able]


def _in_order(question: Question, views: Sequence[_View]) -> Iterator[Opening]:
    remaining, count = 0, 0
    for view in views:
        remaining |= view.starts
    base = 0
    while remaining and count < question.limit:
        skip = lowest(remaining)
        base += skip
        able = _at(views, base)
        for view, lead in able if question.per_physician else able[:1]:
            if count < question.limit:
                yield view.opening(base, lead, len(able))
                count += 1
        remaining >>= skip + 1
        base += 1


def _spread(question: Question, views: Sequence[_View]) -> list[Opening]:
    """Take day by day, on each the first start of each physician in each half, then others well apart."""
    assert question.per_day is not None
    found: list[Opening] = []
    left = {id(view): view.starts for view in views}
    while len(found) < question.limit and any(left.values()):
        first = min((lowest(left[id(view)]), i) for i, view in enumerate(views) if left[id(view)])
        on = views[first[1]].local_date(first[0])
        today: list[tuple[_View, int, int]] = []
        for view in views:
            start, stop = _day_slots(view.frame, on, view.plan.zone)
            today.append((view, start, left[id(view)] & ones(start, stop)))
            left[id(view)] &= -1 << stop
        chosen = _of_one_day(question, on, [each for each in today if each[2]])
        found.extend(chosen)
    return sorted(found, key=lambda each: each.starts_at)[: question.limit]


def _of_one_day(question: Question, on: date, today: Sequence[tuple[_View, int, int]]) -> list[Opening]:
    per_day = question.per_day or 0
    picks: dict[tuple[int, int], tuple[_View, Unit | None]] = {}
    firsts: list[tuple[int, tuple[int, int, int], int, _View, Unit | None]] = []
    for index, (view, day_start, _) in enumerate(today):
        stop = _day_slots(view.frame, on, view.plan.zone)[1]
        noon = _noon(view, on, day_start, stop)
        for unit, starts in view.by_lead():
            rank = (0, 0, 0) if unit is None else view.preference(unit, on)
            for half in (ones(day_start, noon), ones(noon, stop)):
                if bits := starts & half:
                    firsts.append((lowest(bits), rank, index, view, unit))
    firsts.sort(key=lambda each: each[:3])
    for start, _rank, _index, view, unit in firsts:
        key = (start, unit.id if question.per_physician and unit is not None else 0)
        if len(picks) < per_day and key not in picks:
            picks[key] = (view, unit)
    _fill(question, today, picks)
    result = []
    for (start, _), (view, unit) in sorted(picks.items(), key=lambda each: each[0]):
        result.append(view.opening(start, unit, len(_at([each[0] for each in today], start))))
    return result


def _noon(view: _View, on: date, first: int, stop: int) -> int:
    morning = window(on, *_MORNING, view.plan.zone)
    return min(max(view.frame.slot_after(morning.ends_at), first), stop) if morning else first


def _fill(
    question: Question, today: Sequence[tuple[_View, int, int]], picks: dict[tuple[int, int], tuple[_View, Unit | None]]
) -> None:
    """Fill a day that has places left with starts at least a procedure's length from any already chosen."""
    apart = max(view.plan.procedure for view, _, _ in today)
    left = 0
    for _, _, bits in today:
        left |= bits
    for start, _ in picks:
        left &= ~ones(max(start - apart + 1, 0), start + apart)
    while left and len(picks) < (question.per_day or 0):
        start = lowest(left)
        picks[start, 0] = _at([view for view, _, _ in today], start)[0]
        left &= -1 << start + apart
