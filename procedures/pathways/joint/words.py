"""The question of dates for several sessions together, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from procedures.rules.dates import Period

FINE, NEEDS_REASON, BLOCKED = 0, 1, 2
Placed: TypeAlias = Mapping[int, date]  # sessions by their place in the question -> the date
# What the rules say of one session on a date while others are placed: FINE, NEEDS_REASON or BLOCKED. A session more,
# other than one that it comes after, may only make it worse; what lies after its date says nothing about it.
Judge: TypeAlias = Callable[[int, date, Placed], int]
# Whether the day has time for all these sessions. One less never makes it worse.
Packs: TypeAlias = Callable[[date, tuple[int, ...]], bool]
Cost: TypeAlias = tuple[int, int, int, int, int, int]


def _all_fine(session: int, day: date, placed: Placed) -> int:
    return FINE


def _all_fit(day: date, sessions: tuple[int, ...]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """One session to be given a date: the days on which it could be, which of them is best, and where its window ends.

    Where a gap with an ideal leads to it, that gap says what is ideal and when the window ends.
    """

    days: tuple[date, ...]
    ideal: date
    latest: date


@dataclass(frozen=True, slots=True)
class Gap:
    """The second session comes so many days after the first, not without it. `most` ends its window, or binds."""

    first: int
    second: int
    least: int = 0
    ideal: int | None = None
    most: int | None = None
    is_bound: bool = False  # neither is without the other, and `most` is a bound


@dataclass(frozen=True, slots=True)
class Apart:
    """Two sessions, whichever is first, are so many days apart, or on one day where they may be."""

    one: int
    other: int
    least: int
    may_share: bool = False


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many dates of these sessions, and of what is held already, within so long."""

    members: frozenset[int]
    most: int
    period: Period
    held: frozenset[date] = frozenset()


@dataclass(frozen=True)
class Together:
    """The question. A gap's first session stands before its second one."""

    parts: tuple[Part, ...]
    gaps: tuple[Gap, ...] = ()
    aparts: tuple[Apart, ...] = ()
    caps: tuple[Cap, ...] = ()
    comes_anyway: frozenset[date] = frozenset()
    is_one_weekday: bool = False
    judge: Judge = _all_fine
    packs: Packs = _all_fit


@dataclass(frozen=True, slots=True)
class Joint:
    """The answer: a date or none for each session, what it costs, and whether nothing better can exist."""

    days: tuple[date | None, ...]
    cost: Cost
    is_proven: bool = True
