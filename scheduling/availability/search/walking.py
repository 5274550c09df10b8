"""The openings of a question in their order: the first ones, or so many of each day, spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from operator import attrgetter, itemgetter

from scheduling.availability.bitmaps import lowest
from scheduling.availability.search.pools import Known, joint
from scheduling.availability.search.views import NOBODY, Opening, Preference, View
from scheduling.availability.words import Question, Unit
from scheduling.intervals import instant, ones


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


def open_dates(question: Question, known: Known | None = None) -> tuple[date, ...]:
    """Return the local dates on which a procedure could start, in order, without naming who and what."""
    known = {} if known is None else known
    found: set[date] = set()
    for plan in question.plans:
        view = View(question, plan, known)
        base, left = 0, view.starts
        while left:
            base += lowest(left)
            on = question.frame.instant(base).astimezone(plan.zone).date()
            found.add(on)
            stop = question.frame.day_slots(on, plan.zone)[1]
            left, base = view.starts >> stop, stop
    return tuple(sorted(found))


def search(question: Question, known: Known | None = None) -> tuple[Opening, ...]:
    """Return the first openings in total order: start, then the least-loaded physician, then rank and id.

    `known` keeps what was worked out for other questions about the very same plans.

    Among units that could serve, the one with the fewest capabilities comes first, so that the operating room is left
    for what needs it; then the least loaded, which has the most free time left on that local date; then rank and id.
    Whoever leads is chosen by load alone.
    """
    known = {} if known is None else known  # plans share the demands in which they do not differ
    views = [view for plan in question.plans if (view := View(question, plan, known)).starts]
    if not views:
        return ()
    found = _in_order(question, views) if question.per_day is None else _spread(question, views)
    return tuple(found)


def earliest(question: Question) -> Opening | None:
    """Return the very first opening."""
    found = search(replace(question, limit=1, per_day=None))
    return found[0] if found else None


def _at(views: Sequence[View], start: int) -> list[tuple[View, Unit | None]]:
    """Return everybody who could lead at this start, over all plans, in the stated order."""
    if len(views) == 1:
        return [(views[0], each.unit if each else None) for each in views[0].leads_at(start)]
    able = [
        (each.preference if each else NOBODY, index, view, each.unit if each else None)
        for index, view in enumerate(views)
        if view.starts >> start & 1
        for each in view.leads_at(start)
    ]
    able.sort(key=itemgetter(0, 1))
    return [(view, unit) for _, _, view, unit in able]


def _in_order(question: Question, views: Sequence[View]) -> Iterator[Opening]:
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


def _spread(question: Question, views: Sequence[View]) -> list[Opening]:
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


def _of_one_day(question: Question, on: date, today: Sequence[View]) -> list[Opening]:
    firsts: list[tuple[int, Preference, int, View, Unit | None]] = []
    left = 0
    for index, view in enumerate(today):
        day = view.day(on)
        left |= view.starts & ones(day.first, day.stop)
        noon = _noon(view, on) - day.first
        for each, starts in view.starts_on(on):
            for half in (starts & ones(0, noon), starts >> noon << noon):
                if half:
                    preference, unit = (each.preference, each.unit) if each else (NOBODY, None)
                    firsts.append((day.first + lowest(half), preference, index, view, unit))
    firsts.sort(key=itemgetter(0, 1, 2))
    picks: dict[Pick, tuple[View, Unit | None]] = {}
    per_day = question.per_day or 0
    for start, _, _, view, unit in firsts:
        key = (start, unit.id if question.per_physician and unit is not None else 0)
        if len(picks) < per_day:
            picks.setdefault(key, (view, unit))
    _fill(per_day, left, today, picks)
    in_order = sorted(picks.items(), key=itemgetter(0))
    return [view.opening(start, unit, len(_at(today, start))) for (start, _), (view, unit) in in_order]


def _noon(view: View, on: date) -> int:
    day = view.day(on)
    noon = view.frame.slot_after(instant(on, time(12), view.plan.zone))
    return min(max(noon, day.first), day.stop)


def _fill(per_day: int, left: int, today: Sequence[View], picks: dict[Pick, tuple[View, Unit | None]]) -> None:
    """Fill a day that has places left with starts at least a procedure's length from any already chosen."""
    apart = max(view.plan.procedure for view in today)
    for start, _ in picks:
        left &= ~ones(max(start - apart + 1, 0), start + apart)
    while left and len(picks) < per_day:
        start = lowest(left)
        picks[start, 0] = _at(today, start)[0]
        left = left >> start + apart << start + apart
