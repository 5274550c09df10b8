"""The search: branch and bound over days as bits, exact unless it gives up after so many days tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TypeAlias

from procedures.pathways.joint.bits import bits_of, lowest, nearest
from procedures.pathways.joint.chaining import HALF, LOWER, Chain
from procedures.pathways.joint.costing import Spent, without
from procedures.pathways.joint.sweeping import least_ahead
from procedures.pathways.joint.words import BLOCKED, NEEDS_REASON, Cost, Gap, Together

STRAYS = (0, 2, 5)  # how far the first walks may stray from the most promising days, over all sessions


Best: TypeAlias = tuple[Cost, tuple["int | None", ...]]


@dataclass
class Search:
    """One walk of the tree. Days are bits of a number, so that a bound on many days is one operation."""

    question: Together
    weekday: int | None
    left: int
    best: Best | None
    is_proven: bool = True
    days: dict[int, int] = field(default_factory=dict)  # session -> bit of its day
    words: dict[int, int] = field(default_factory=dict)  # session -> what the rules say
    _masks: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _leasts: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _rooms: dict[tuple[int, frozenset[int]], int] = field(default_factory=dict)
    _starts: dict[tuple[int, int], int] = field(default_factory=dict)
    reasoned: set[tuple[int, int]] = field(default_factory=set)  # sessions with their days that needed a reason

    @cached_property
    def base(self) -> int:
        """Return the first day of all, as a number."""
        return min((day.toordinal() for part in self.question.parts for day in part.days), default=0)

    @cached_property
    def width(self) -> int:
        """Return how many days there are from the first to the last."""
        return max((day.toordinal() for part in self.question.parts for day in part.days), default=0) - self.base + 1

    @cached_property
    def open_days(self) -> tuple[int, ...]:
        """Return the bits of all days that any session may have."""
        found = 0
        for at in range(len(self.question.parts)):
            found |= self._domain(at)
        return tuple(bits_of(found))

    @cached_property
    def before(self) -> tuple[tuple[Gap, ...], ...]:
        """Return for each session the gaps that lead to it."""
        return tuple(tuple(gap for gap in self.question.gaps if gap.second == at) for at in range(len(self.question.parts)))

    @cached_property
    def leading(self) -> tuple[tuple[Gap, ...], ...]:
        """Return of these the ones that say what is ideal."""
        return tuple(tuple(gap for gap in gaps if gap.ideal is not None) for gaps in self.before)

    @cached_property
    def related(self) -> tuple[tuple[int, ...], ...]:
        """Return for each session the later ones whose days its own day bounds."""
        pairs = {(gap.first, gap.second) for gap in self.question.gaps}
        pairs |= {(min(apart.one, apart.other), max(apart.one, apart.other)) for apart in self.question.aparts}
        return tuple(tuple(sorted(to for one, to in pairs if one == at)) for at in range(len(self.question.parts)))

    @cached_property
    def following(self) -> tuple[int, ...]:
        """Return for each session all that cannot be without it, as bits."""
        found = [0] * len(self.question.parts)
        for at in reversed(range(len(found))):
            for gap in self.question.gaps:
                if gap.first == at:
                    found[at] |= 1 << gap.second | found[gap.second]
        return tuple(found)

    @cached_property
    def anyway(self) -> int:
        """Return the days on which the patient comes anyway."""
        found = 0
        for day in self.question.comes_anyway:
            if 0 <= day.toordinal() - self.base < self.width:
                found |= 1 << (day.toordinal() - self.base)
        return found

    @cached_property
    def sharing(self) -> tuple[int, ...]:
        """Return for each session the sessions with which it could share a day, as bits."""
        count = len(self.question.parts)
        found = [(1 << count) - 1 for _ in range(count)]
        pairs = [(gap.first, gap.second) for gap in self.question.gaps if gap.least > 0]
        pairs += [(apart.one, apart.other) for apart in self.question.aparts if apart.least > 0 and not apart.may_share]
        for one, other in pairs:
            found[one] &= ~(1 << other)
            found[other] &= ~(1 << one)
        return tuple(found)

    @cached_property
    def onward(self) -> tuple[dict[int, int], ...]:
        """Return for each session and its bit the least distance that all which follows from it must have."""
        parts = self.question.parts
        found: list[dict[int, int]] = [{} for _ in parts]
        bits = [list(bits_of(self._domain(at))) for at in range(len(parts))]
        for at in reversed(range(len(parts))):
            followers = [gap for gap in self.question.gaps if gap.first == at and self.leading[gap.second] == (gap,)]
            found[at] = dict.fromkeys(bits[at], 0)
            for gap in followers:
                after = [(to, found[gap.second][to]) for to in bits[gap.second]]
                for bit, least in zip(bits[at], least_ahead(gap, bits[at], after, 1), strict=True):
                    found[at][bit] += least or 0
        return tuple(found)

    @cached_property
    def chain(self) -> Chain | None:
        """Return the chain that the sessions are, where each follows the one before it and no two may share a day."""
        count = len(self.question.parts)
        gaps = [gap for gap in self.question.gaps if gap.ideal is not None]
        in_line = [(gap.first, gap.second) for gap in gaps] == [(at, at + 1) for at in range(count - 1)]
        if not count or not in_line or any(bits != 1 << at for at, bits in enumerate(self.sharing)):
            return None
        return Chain(gaps, [list(bits_of(self._domain(at))) for at in range(count)], self.anyway, self.base)

    def _even(self, unplaced: int, reasons: int, late: int) -> Chain | None:
        """Return the chain where nothing of it is left out, and only journeys, distance and dates can still win."""
        is_even = self.best is not None and not unplaced and (unplaced, reasons, late) >= self.best[0][:3]
        return self.chain if is_even else None

    def _hits(self, used: int, open_ones: int) -> int:
        """Return how many of the sessions left must be on days on which the patient comes anyway, not to lose by journeys.

        While nothing has been found that is what could be at best.
        """
        most = self.best[0][3] if self.best is not None else self.fewest_journeys
        return max((used & ~self.anyway).bit_count() + open_ones - most, 0)

    @cached_property
    def fewest_journeys(self) -> int:
        """Return how few journeys a chain could take, were it not for the rules."""
        assert self.chain is not None
        domain = self._domain(0)
        return len(self.question.parts) - (self.chain.most(0, domain) if domain else 0)

    def _domain(self, at: int) -> int:
        found = 0
        for day in self.question.parts[at].days:
            if self.weekday is None or day.weekday() == self.weekday:
                found |= 1 << (day.toordinal() - self.base)
        return found

    def run(self) -> None:
        """Walk the whole tree, or as far as the tries last; first near the promising days only, for a good answer to beat."""
        domains = [self._domain(at) for at in range(len(self.question.parts))]
        for number, cap in enumerate(self.question.caps):
            for at in cap.members:
                domains[at] &= self._room(number, frozenset())
        whole = self.left
        for strays in STRAYS:
            self.left = whole // (2 * len(STRAYS))
            self._walk(0, domains, Spent(), strays)
        self.left, self.is_proven = whole // 2, True
        self._walk(0, domains, Spent(), self.width * len(domains))

    def _walk(self, at: int, domains: list[int], spent: Spent, strays: int) -> None:
        bound = self._bound(at, domains, spent)
        if self._is_no_better(bound):
            return
        if at == len(domains):
            found = (self.days[index] + self.base if index in self.days else None for index in range(at))
            self.best = (bound, tuple(found))
            return
        if self.left <= 0 and self.best is not None:
            self.is_proven = False
            return
        if not self._must_skip(at, spent.skipped):
            ideal, latest = self._targets(at)
            days = self._in_order(at, self._worth(domains[at], bound, spent), bound, spent, ideal, latest)
            for stray, bit in enumerate(days[: strays + 1]):
                if self.left <= 0 and self.best is not None:
                    self.is_proven = False
                    break
                after = spent.with_day(bit, max(0, bit - latest), abs(bit - ideal))
                if not self._is_no_better(self._least_cost(at, bit, bound, after)):
                    self._take(at, bit, domains, after, strays - stray)
        if not any(gap.is_bound and gap.first in self.days for gap in self.before[at]):
            self._walk(at + 1, domains, spent.without(at), strays)

    def _take(self, at: int, bit: int, domains: list[int], spent: Spent, strays: int) -> None:
        """Give a session a day, go on, and take it back."""
        kept = self.words
        self.left -= 1
        self.days[at] = bit
        after = list(domains)
        for later in self.related[at]:
            after[later] &= self._mask(at, bit, later)
        for number, cap in enumerate(self.question.caps):
            if at in cap.members:
                with_room = self._room(number, frozenset(self.days[one] for one in cap.members if one in self.days))
                for later in cap.members:
                    if later > at:
                        after[later] &= with_room
        if not self._is_no_better(self._bound(at + 1, after, spent)):
            self.words = dict(kept)
            if self._stands(at, bit):
                self._walk(at + 1, after, spent, strays)
        del self.days[at]
        self.words = kept

    def _is_no_better(self, bound: Cost) -> bool:
        return self.best is not None and bound >= self.best[0]

    def _least_cost(self, at: int, bit: int, bound: Cost, spent: Spent) -> Cost:
        """Return a first bound for a session on a day, before anything is worked out."""
        unplaced, reasons, late, journeys, _, days = bound
        new = (spent.used & ~self.anyway).bit_count()
        chain = self._even(unplaced, reasons, late)
        if chain is not None:
            left = len(self.question.parts) - at - 1
            cost = chain.ahead(self._hits(spent.used, left))[at][bit]
            journeys = max(journeys, new + left - chain.most_hits[at][bit])
            held = sum(self.days.values()) + bit + self.base * (len(self.days) + 1)
            distance = spent.distance + (cost >> HALF)
            return unplaced, reasons, max(late, spent.late), journeys, distance, held + (cost & LOWER)
        onward = self.onward[at][bit] if unplaced == spent.skipped.bit_count() else 0  # what is skipped has no distance
        return unplaced, reasons, max(late, spent.late), max(journeys, new), spent.distance + onward, days

    def _worth(self, domain: int, bound: Cost, spent: Spent) -> int:
        """Return the days that can still win: where one more journey would lose, those on which the patient comes."""
        if self.best is None or bound[:3] != self.best[0][:3]:
            return domain
        known = spent.used | self.anyway
        return domain & known if (spent.used & ~self.anyway).bit_count() >= self.best[0][3] else domain

    def _must_skip(self, at: int, skipped: int) -> bool:
        return any(skipped >> gap.first & 1 for gap in self.before[at])

    def _stands(self, at: int, bit: int) -> bool:
        """Ask the caps, the day's time and the rules, about this session and about those that it comes before."""
        question = self.question
        placed = {index: date.fromordinal(self.base + day) for index, day in self.days.items()}
        day = placed[at]
        members = tuple(sorted(index for index, other in self.days.items() if other == bit))
        if len(members) > 1 and not question.packs(day, members):
            return False
        for index in sorted(self.days, key=lambda index: index != at):
            if index != at and self.days[index] < bit:
                continue  # what lies after a session says nothing about it
            word = question.judge(index, placed[index], without(placed, index))
            if word == BLOCKED:
                return False
            self.words[index] = word
            if word == NEEDS_REASON:
                self.reasoned.add((index, self.days[index]))
        return True

    def _targets(self, at: int) -> tuple[int, int]:
        """Return the ideal day of a session and the end of its window, as bits; what leads to it is placed."""
        part = self.question.parts[at]
        leading = self.leading[at]
        if not leading:
            return part.ideal.toordinal() - self.base, part.latest.toordinal() - self.base
        ideal = max(self.days[gap.first] + (gap.ideal or 0) for gap in leading)
        ends = [self.days[gap.first] + gap.most for gap in leading if gap.most is not None]
        return ideal, max(ends, default=date.max.toordinal())

    def _in_order(self, at: int, domain: int, bound: Cost, spent: Spent, ideal: int, latest: int) -> list[int]:
        """Return the days of a session, the promising ones first; those that needed a reason when last asked about, last."""
        known = spent.used | self.anyway
        onward = self.onward[at]

        def rank(bit: int) -> tuple[int, int, int, int, int]:
            needs_reason = (at, bit) in self.reasoned
            return max(0, bit - latest), needs_reason, not known >> bit & 1, abs(bit - ideal) + onward[bit], bit

        chain = self._even(*bound[:3]) if self.best is not None or any(bound[:3]) else self.chain
        if chain is None:
            return sorted(bits_of(domain), key=rank)
        hits = self._hits(spent.used, len(self.question.parts) - at)

        def by_cost(bit: int) -> tuple[int, int, int]:
            return max(0, bit - latest), (at, bit) in self.reasoned, chain.with_day(at, bit, ideal, hits)

        return sorted(bits_of(domain), key=by_cost)

    def _bound(self, at: int, domains: list[int], spent: Spent) -> Cost:
        """Return what any way on costs at least; exactly that at its end.

        Whoever skips more than is counted here is worse by the first component, so all others may count on no skips.
        """
        missing, used = spent.skipped, spent.used
        known = used | self.anyway
        late, distance = spent.late, spent.distance
        days = sum(self.days.values()) + self.base * len(self.days)
        new: list[int] = []
        open_ones: list[int] = []
        for later in range(at, len(domains)):
            domain = domains[later]
            if not domain or (missing and any(missing >> gap.first & 1 for gap in self.before[later])):
                missing |= 1 << later
                continue
            open_ones.append(later)
            days += lowest(domain) + self.base
            if not domain & known and not any(self.sharing[later] >> other & 1 and domains[other] & domain for other in new):
                new.append(later)
        journeys = (used & ~self.anyway).bit_count() + len(new)
        unplaced, reasons = missing.bit_count(), sum(word == NEEDS_REASON for word in self.words.values())
        best = self.best
        # Where one more journey would lose, only the days on which the patient comes are looked at.
        is_tight = best is not None and (unplaced, reasons, late, journeys) >= best[0][:4]
        chain = self._even(unplaced, reasons, late) if open_ones else None
        if chain is not None:
            ideal, latest = self._targets(at)
            cost = chain.least(at, domains[at], ideal, self._hits(used, len(open_ones)))
            late += max(0, lowest(domains[at]) - latest)
            held = sum(self.days.values()) + self.base * len(self.days)
            journeys = max(journeys, (used & ~self.anyway).bit_count() + len(open_ones) - chain.most(at, domains[at]))
            return unplaced, reasons, late, journeys, distance + (cost >> HALF), held + (cost & LOWER)
        for later in open_ones:
            if all(gap.first in self.days for gap in self.leading[later]):
                ideal, latest = self._targets(later)
                late += max(0, lowest(domains[later]) - latest)
                domain = domains[later] & known if is_tight and not new else domains[later]
                is_alone = bool(missing & self.following[later])
                distance += self._least(later, domain, ideal, is_alone=is_alone)
        return unplaced, reasons, late, journeys, distance, days

    def _least(self, at: int, domain: int, ideal: int, *, is_alone: bool) -> int:
        """Return the least distance of a session and of all that follows from it; there is a day in the domain."""
        onward = self.onward[at]
        near = nearest(domain, ideal)
        if is_alone or (not near and not onward.get(ideal)):
            return near
        key = (at, domain, ideal)
        found = self._leasts.get(key)
        if found is None:
            found = self._leasts[key] = min(abs(bit - ideal) + onward[bit] for bit in bits_of(domain))
        return found

    def _mask(self, at: int, bit: int, later: int) -> int:
        """Return the days left to a later session once this one is on its day."""
        key = (at, bit, later)
        found = self._masks.get(key)
        if found is None:
            found = self._masks[key] = self._pair(at, bit, later)
        return found

    def _room(self, number: int, days: frozenset[int]) -> int:
        """Return the days left to the members of a cap while these are taken."""
        found = self._rooms.get((number, days))
        if found is None:
            found = self._rooms[number, days] = self._room_beside(number, days)
        return found

    def _room_beside(self, number: int, days: frozenset[int]) -> int:
        cap = self.question.caps[number]
        taken = {*days, *(day.toordinal() - self.base for day in cap.held)}
        windows = [
            (start, end, sum(start < day <= end for day in taken)) for end in taken for start in [self._begun(number, end)]
        ]
        found = 0
        for bit in self.open_days:
            is_new = bit not in taken
            start = self._begun(number, bit)
            if sum(start < day <= bit for day in taken) + is_new > cap.most:
                continue
            if all(many + is_new <= cap.most for start, end, many in windows if start < bit <= end):
                found |= 1 << bit
        return found

    def _begun(self, number: int, bit: int) -> int:
        """Return after which day the window of a cap begins that ends on a day."""
        found = self._starts.get((number, bit))
        if found is None:
            day = date.fromordinal(self.base + bit)
            found = self._starts[number, bit] = self.question.caps[number].period.before(day).toordinal() - self.base
        return found

    def _pair(self, at: int, bit: int, later: int) -> int:
        everything = (1 << self.width) - 1
        found = everything
        for gap in self.before[later]:
            if gap.first == at:
                found &= everything >> (bit + gap.least) << (bit + gap.least)
                if gap.is_bound and gap.most is not None:
                    found &= (1 << (bit + gap.most + 1)) - 1
        for apart in self.question.aparts:
            if {apart.one, apart.other} == {at, later} and apart.least > 0:
                first = max(0, bit - apart.least + 1)
                near = (1 << (bit + apart.least)) - (1 << first)
                found &= ~(near & ~(1 << bit) if apart.may_share else near)
        return found
