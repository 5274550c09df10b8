"""The same work again and again, each session after the one before: what is left of it costs at least so much, exactly.

In such a chain no two sessions share a day, and each day on which the patient comes anyway serves one of them. Were it not
for the rules and for caps, these costs would be the answer; with them they are a bound that no dates can beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from procedures.pathways.joint.bits import bits_of
from procedures.pathways.joint.sweeping import least_ahead, most_ahead
from procedures.pathways.joint.words import Gap

HALF = 32  # bits
LOWER, FAR = (1 << HALF) - 1, 1 << 60  # the lower half; more than anything that can be
Costs: TypeAlias = tuple[dict[int, int], ...]  # for each session by the bit of its day


@dataclass
class Chain:
    """The days of a chain as bits, the gap after each of its sessions but the last, and the days of other visits."""

    gaps: Sequence[Gap]
    days: Sequence[Sequence[int]]
    anyway: int
    base: int
    _ahead: dict[int, Costs] = field(default_factory=dict)
    _least: dict[tuple[int, int, int, int], int] = field(default_factory=dict)

    def ahead(self, hits: int) -> Costs:
        """Return what all that follow a session on its day cost at least: distance, and then their dates added up.

        Both are in one number, the distance in its upper half, so that adding and comparing is that of the pair. At least
        so many of those that follow are on days on which the patient comes anyway.
        """
        if hits not in self._ahead:
            found: list[dict[int, int]] = [{} for _ in self.days]
            found[-1] = dict.fromkeys(self.days[-1], FAR if hits > 0 else 0)
            fewer = self.ahead(hits - 1) if hits > 0 else found
            for at in reversed(range(len(self.gaps))):
                gap = self.gaps[at]
                after = [
                    (to, (fewer if self.anyway >> to & 1 else found)[at + 1][to] + to + self.base) for to in self.days[at + 1]
                ]  # fmt: skip
                least = least_ahead(gap, self.days[at], after, 1 << HALF)
                found[at] = {bit: FAR if cost is None else cost for bit, cost in zip(self.days[at], least, strict=True)}
            self._ahead[hits] = tuple(found)
        return self._ahead[hits]

    @cached_property
    def most_hits(self) -> Costs:
        """Return how many that follow a session on its day could be on days on which the patient comes anyway."""
        found: list[dict[int, int]] = [{} for _ in self.days]
        found[-1] = dict.fromkeys(self.days[-1], 0)
        for at in reversed(range(len(self.gaps))):
            after = [(to, found[at + 1][to] + (self.anyway >> to & 1)) for to in self.days[at + 1]]
            found[at] = dict(zip(self.days[at], most_ahead(self.gaps[at], self.days[at], after), strict=True))
        return tuple(found)

    def with_day(self, at: int, bit: int, ideal: int, hits: int) -> int:
        """Return what a session on a day and all that follow cost at least, as `ahead` does."""
        left = max(hits - 1, 0) if self.anyway >> bit & 1 else hits
        return (abs(bit - ideal) << HALF) + bit + self.base + self.ahead(left)[at][bit]

    def least(self, at: int, domain: int, ideal: int, hits: int) -> int:
        """Return what a session on one of these days and all that follow cost at least."""
        key = (at, domain, ideal, hits)
        found = self._least.get(key)
        if found is None:
            near, served = self.ahead(hits)[at], self.ahead(max(hits - 1, 0))[at]
            anyway = self.anyway
            costs = (
                (abs(bit - ideal) << HALF) + bit + (served if anyway >> bit & 1 else near)[bit]
                for bit in self.days[at]
                if domain >> bit & 1
            )
            found = self._least[key] = min(costs) + self.base
        return found

    def most(self, at: int, domain: int) -> int:
        """Return how many sessions from this one on could be on days on which the patient comes anyway."""
        if not self.anyway:
            return 0
        return max((self.anyway >> bit & 1) + self.most_hits[at][bit] for bit in bits_of(domain))
