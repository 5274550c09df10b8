"""The joint search: erosion per unit, Hall's condition per pool, one AND, lowest set bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import combinations
from operator import attrgetter, itemgetter

from scheduling.availability.bitmaps import at_least, erode, lowest
from scheduling.availability.words import Demand, Plan, Question, Unit
from scheduling.intervals import SLOT, SLOTS_PER_DAY, instant, ones

Preference = tuple[int, int, int, int]
_NOBODY: Preference = (0, 0, 0, 0)
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


def first_starts(question: Question) -> tuple[datetime, ...]:
    """Return the first times at which a procedure could start, without naming who and what; the bare search."""
    known: Known = {}
    starts = 0
    for plan in question.plans:
        if allowed := question.allowed(plan):
            starts |= (joint(plan.demands, known) & allowed) << plan.prep
    found: list[datetime] = []
    base = 0
    while starts and len(found) < question.limit:
        skip = lowest(starts)
        base += skip
        found.append(question.frame.instant(base))
        starts >>= skip + 1
        base += 1
    return tuple(found)


def search(question: Question) -> tuple[Opening, ...]:
    """Return the first openings in total order: start, then the least-loaded physician, then rank and id.

    Among units that could serve, the one with the fewest capabilities comes first, so that the operating room is left
    for what needs it; then the least loaded, which has the most free time left on that local date; then rank and id.
    Whoever leads is chosen by load alone.
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


@dataclass(frozen=True, slots=True)
class _Ready:
    """One candidate of a demand on one local date: its place in the stated order, and the arrivals it could serve."""

    preference: Preference
    unit: Unit
    arrivals: int  # bit 0 is the day's `base`


@dataclass(frozen=True, slots=True)
class _Day:
    """A local date of one plan: its slots and, per demand, the candidates in the stated order."""

    base: int  # the first slot at which somebody with a start on this date may arrive
    first: int
    stop: int
    ready: tuple[tuple[_Ready, ...], ...]


class _View:
    """One plan within one search: where it can start, by whom, and with what."""

    def __init__(self, question: Question, plan: Plan, known: Known) -> None:
        self.plan = plan
        self.frame = question.frame
        self._known = known
        self._allowed = question.allowed(plan)
        self.starts = (joint(plan.demands, known) & self._allowed) << plan.prep if self._allowed else 0
        self._days: dict[date, _Day] = {}
        self._latest: tuple[date, _Day] | None = None
        self._legs = tuple(length * SLOT for length in (plan.prep, plan.procedure, plan.procedure + plan.recovery))
        self._lead = next((i for i, demand in enumerate(plan.demands) if demand.key == plan.lead), None)
        self._is_simple = len(_sharing(plan.demands)) == len(plan.demands)
        self._graded = [i for i, demand in enumerate(plan.demands) if i != self._lead and _is_graded(demand)]

    def local_date(self, start: int) -> date:
        return self.day_of(start)[0]

    def day_of(self, start: int) -> tuple[date, _Day]:
        """Return the local date of a start; starts come in order, so it is mostly the one before's."""
        latest = self._latest
        if latest is None or not latest[1].first <= start < latest[1].stop:
            on = self.frame.instant(start).astimezone(self.plan.zone).date()
            latest = self._latest = (on, self.day(on))
        return latest

    def day(self, on: date) -> _Day:
        """Return who is free how long on a local date, computed once; only that date and two more are looked at."""
        known = self._days.get(on)
        if known is None:
            first, stop = self.frame.day_slots(on, self.plan.zone)
            base = max(first - self.plan.prep, 0)
            ready = tuple(
                _ready(demand, base, first, stop, is_lead=i == self._lead) for i, demand in enumerate(self.plan.demands)
            )
            known = self._days[on] = _Day(base, first, stop, ready)
        return known

    def leads_at(self, start: int) -> list[_Ready | None]:
        """Return who could lead a procedure starting in this slot, in the stated order."""
        if self._lead is None:
            return [None]
        day = self.day_of(start)[1]
        bit = start - self.plan.prep - day.base
        able = [each for each in day.ready[self._lead] if each.arrivals >> bit & 1]
        if self._is_simple and self.plan.demands[self._lead].count == 1:
            return list(able)
        return [each for each in able if self._assign(start, each.unit) is not None]

    def starts_on(self, on: date) -> list[tuple[_Ready | None, int]]:
        """Return the starts of a local date by who leads; bit 0 is the date's first slot."""
        day = self.day(on)
        if self._lead is None:
            return [(None, self.starts >> day.first & ones(0, day.stop - day.first))]
        lead = self.plan.demands[self._lead]
        others = [demand for demand in self.plan.demands if demand is not lead]
        simple = self._is_simple and lead.count == 1
        rest = self._arrivals(others, day, self._known) if simple else 0
        found: list[tuple[_Ready | None, int]] = []
        for each in day.ready[self._lead]:
            if not simple:
                # Rearranged demands do not live long enough to be known by their identity.
                rest = self._arrivals(_without(self.plan.demands, lead, each.unit), day, None)
            arrivals = rest & each.arrivals
            starts = arrivals << self.plan.prep >> (day.first - day.base)
            found.append((each, starts & ones(0, day.stop - day.first)))
        return found

    def _arrivals(self, demands: Sequence[Demand], day: _Day, known: Known | None) -> int:
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
            reasons=(*_reasons(lead, able), *self._spared(start, units)),
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


def _ready(demand: Demand, base: int, first: int, stop: int, *, is_lead: bool) -> tuple[_Ready, ...]:
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
            found.append(_Ready((spare, -(ahead & today).bit_count(), unit.rank, unit.id), unit, arrivals))
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


def _reasons(lead: Unit | None, able: int) -> tuple[str, ...]:
    if lead is None or not lead.label:
        return ()
    if able == 1:
        return (f"{lead.label} is the only one free then",)
    return (f"{lead.label} has the most time left that day of {able} who could",)


def _at(views: Sequence[_View], start: int) -> list[tuple[_View, Unit | None]]:
    """Return everybody who could lead at this start, over all plans, in the stated order."""
    if len(views) == 1:
        return [(views[0], each.unit if each else None) for each in views[0].leads_at(start)]
    able = [
        (each.preference if each else _NOBODY, index, view, each.unit if each else None)
        for index, view in enumerate(views)
        if view.starts >> start & 1
        for each in view.leads_at(start)
    ]
    able.sort(key=itemgetter(0, 1))
    return [(view, unit) for _, _, view, unit in able]


def _in_order(question: Question, views: Sequence[_View]) -> Iterator[Opening]:
    remaining = 0
    for view in views:
        remaining |= view.starts
    base = count = 0
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
    found: list[Opening] = []
    left = [view.starts for view in views]
    while len(found) < question.limit and any(left):
        start, index = min((lowest(bits), i) for i, bits in enumerate(left) if bits)
        on = views[index].local_date(start)
        today = []
        for i, view in enumerate(views):
            stop = view.frame.day_slots(on, view.plan.zone)[1]
            if left[i] & ones(0, stop):
                today.append(view)
            left[i] = left[i] >> stop << stop
        found.extend(_of_one_day(question, on, today))
    found.sort(key=attrgetter("starts_at"))
    return found[: question.limit]


Pick = tuple[int, int]  # start, physician (0 where one opening a start is enough)


def _of_one_day(question: Question, on: date, today: Sequence[_View]) -> list[Opening]:
    firsts: list[tuple[int, Preference, int, _View, Unit | None]] = []
    left = 0
    for index, view in enumerate(today):
        day = view.day(on)
        left |= view.starts & ones(day.first, day.stop)
        noon = _noon(view, on) - day.first
        for each, starts in view.starts_on(on):
            for half in (starts & ones(0, noon), starts >> noon << noon):
                if half:
                    preference, unit = (each.preference, each.unit) if each else (_NOBODY, None)
                    firsts.append((day.first + lowest(half), preference, index, view, unit))
    firsts.sort(key=itemgetter(0, 1, 2))
    picks: dict[Pick, tuple[_View, Unit | None]] = {}
    per_day = question.per_day or 0
    for start, _, _, view, unit in firsts:
        key = (start, unit.id if question.per_physician and unit is not None else 0)
        if len(picks) < per_day:
            picks.setdefault(key, (view, unit))
    _fill(per_day, left, today, picks)
    in_order = sorted(picks.items(), key=itemgetter(0))
    return [view.opening(start, unit, len(_at(today, start))) for (start, _), (view, unit) in in_order]


def _noon(view: _View, on: date) -> int:
    day = view.day(on)
    noon = view.frame.slot_after(instant(on, time(12), view.plan.zone))
    return min(max(noon, day.first), day.stop)


def _fill(per_day: int, left: int, today: Sequence[_View], picks: dict[Pick, tuple[_View, Unit | None]]) -> None:
    """Fill a day that has places left with starts at least a procedure's length from any already chosen."""
    apart = max(view.plan.procedure for view in today)
    for start, _ in picks:
        left &= ~ones(max(start - apart + 1, 0), start + apart)
    while left and len(picks) < per_day:
        start = lowest(left)
        picks[start, 0] = _at(today, start)[0]
        left = left >> start + apart << start + apart
