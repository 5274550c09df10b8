"""The least cost of the days that may follow each day, in one sweep over both and not for each pair of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from procedures.pathways.joint.words import Gap

Costed: TypeAlias = tuple[int, int]  # the bit of a day, and what it costs


def least_ahead(gap: Gap, bits: Sequence[int], after: Sequence[Costed], unit: int) -> list[int | None]:
    """Return for each day the least that a day which keeps the gap costs; None where no day does.

    That is its own cost and `unit` for each day of its distance from the ideal one. Both lists ascend.
    """
    ideal = gap.ideal or 0
    since = max(gap.least, ideal)
    later = [
        None if cost is None else cost - unit * (bit + ideal)
        for bit, cost in zip(bits, _least(gap, bits, [(to, cost + unit * to) for to, cost in after], since), strict=True)
    ]
    if gap.least >= ideal:
        return later  # no day comes too early
    most = ideal - 1 if gap.most is None or not gap.is_bound else min(ideal - 1, gap.most)
    spans = ((bit + gap.least, bit + most) for bit in bits)
    early = _least_within([(to, cost - unit * to) for to, cost in after], spans)
    found: list[int | None] = []
    for bit, one, other in zip(bits, early, later, strict=True):
        cost = None if one is None else one + unit * (bit + ideal)
        found.append(cost if other is None or (cost is not None and cost < other) else other)
    return found


def most_ahead(gap: Gap, bits: Sequence[int], after: Sequence[Costed]) -> list[int]:
    """Return for each day the most that a day which keeps the gap counts; 0 where no day does. Both lists ascend."""
    return [-(least or 0) for least in _least(gap, bits, [(to, -count) for to, count in after], gap.least)]


def _least(gap: Gap, bits: Sequence[int], costs: Sequence[Costed], since: int) -> Sequence[int | None]:
    """Return for each day the least cost of those that lie so many days later or more, and keep what binds."""
    if gap.is_bound and gap.most is not None:
        return list(_least_within(costs, ((bit + since, bit + gap.most) for bit in bits)))
    days = [to for to, _ in costs]
    onward = [*accumulate((cost for _, cost in reversed(costs)), min)]
    count = len(days)
    places = [bisect_left(days, bit + since) for bit in bits]
    return [onward[count - 1 - place] if place < count else None for place in places]


def _least_within(costs: Sequence[Costed], spans: Iterable[tuple[int, int]]) -> Iterator[int | None]:
    """Yield the least cost of the days within each span; the days, and both ends of the spans, ascend."""
    held: deque[Costed] = deque()  # what may yet be the least: later days that cost more
    place = 0
    for first, last in spans:
        while place < len(costs) and costs[place][0] <= last:
            while held and held[-1][1] >= costs[place][1]:
                held.pop()
            held.append(costs[place])
            place += 1
        while held and held[0][0] < first:
            held.popleft()
        yield held[0][1] if held else None
