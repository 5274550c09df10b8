"""What given dates cost: slow and plain, it says what the search means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from procedures.pathways.joint.words import BLOCKED, NEEDS_REASON, Apart, Cap, Cost, Gap, Placed, Together


def cost_of(question: Together, days: Sequence[date | None]) -> Cost | None:
    """Return what given dates cost; None when they break a bound. Slow and plain: it says what the search means."""
    placed = {index: day for index, day in enumerate(days) if day is not None}
    if any(day not in question.parts[index].days for index, day in placed.items()) or not _keeps_bounds(question, placed):
        return None
    words = [question.judge(index, day, without(placed, index)) for index, day in placed.items()]
    if BLOCKED in words:
        return None
    late = distance = 0
    for index, day in placed.items():
        ideal, latest = _window(question, index, placed)
        late += max(0, (day - latest).days)
        distance += abs((day - ideal).days)
    journeys = len(set(placed.values()) - question.comes_anyway)
    return (
        len(days) - len(placed), words.count(NEEDS_REASON), late, journeys, distance,
        sum(day.toordinal() for day in placed.values()),
    )  # fmt: skip


def _keeps_bounds(question: Together, placed: Placed) -> bool:
    for gap in question.gaps:
        first, second = placed.get(gap.first), placed.get(gap.second)
        if first is None and second is None:
            continue
        if first is None or (second is None and gap.is_bound):
            return False
        if second is not None and not is_kept(gap, (second - first).days):
            return False
    for apart in question.aparts:
        one, other = placed.get(apart.one), placed.get(apart.other)
        if one is not None and other is not None and not _are_apart(apart, abs((one - other).days)):
            return False
    if question.is_one_weekday and len({day.weekday() for day in placed.values()}) > 1:
        return False
    by_day: dict[date, list[int]] = {}
    for index, day in sorted(placed.items()):
        by_day.setdefault(day, []).append(index)
    return all(_has_room(cap, placed) for cap in question.caps) and all(
        question.packs(day, tuple(members)) for day, members in by_day.items()
    )


def is_kept(gap: Gap, days: int) -> bool:
    """Say whether so many days between two sessions keep a gap."""
    return days >= gap.least and not (gap.is_bound and gap.most is not None and days > gap.most)


def _are_apart(apart: Apart, days: int) -> bool:
    return days >= apart.least or (days == 0 and apart.may_share)


def _has_room(cap: Cap, placed: Placed) -> bool:
    """Say whether a cap is kept wherever these sessions play a part; what was done before may be over it by itself."""
    own = {day for index, day in placed.items() if index in cap.members}
    dates = own | cap.held
    windows = ([day for day in dates if cap.period.before(end) < day <= end] for end in dates)
    return all(len(window) <= cap.most or own.isdisjoint(window) for window in windows)


def _window(question: Together, index: int, placed: Placed) -> tuple[date, date]:
    """Return the ideal day of a session and the end of its window, while these are placed."""
    part = question.parts[index]
    leading = [gap for gap in question.gaps if gap.second == index and gap.ideal is not None]
    if not leading:
        return part.ideal, part.latest
    ideal = max(placed[gap.first] + timedelta(days=gap.ideal or 0) for gap in leading)
    ends = [placed[gap.first] + timedelta(days=gap.most) for gap in leading if gap.most is not None]
    return ideal, max(ends, default=date.max)


def without(placed: Placed, index: int) -> Placed:
    """Return what is placed but for one session."""
    return {other: day for other, day in placed.items() if other != index}


@dataclass(frozen=True, slots=True)
class Spent:
    """What the sessions looked at so far have come to; the days used and the sessions skipped are bits."""

    skipped: int = 0
    used: int = 0
    late: int = 0
    distance: int = 0

    def with_day(self, bit: int, late: int, distance: int) -> Spent:
        """Return this with one more session on a day."""
        return Spent(self.skipped, self.used | 1 << bit, self.late + late, self.distance + distance)

    def without(self, at: int) -> Spent:
        """Return this with one more session skipped."""
        return Spent(self.skipped | 1 << at, self.used, self.late, self.distance)
