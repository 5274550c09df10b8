"""Half-open intervals and their algebra, wall time to instants, and days as 288 bits.

A set of intervals is a tuple in order, without overlap and without touching neighbours; every function here
takes any intervals and gives such a set. Instants are aware datetimes; wall times get a zone before any arithmetic.

Wall times that a clock change skips or repeats:
- *skipped* (02:30 in the spring): becomes the instant of the change, the first one that exists after it;
- *repeated* (01:30 in the autumn): the first one, unless the caller asks for the later. Hours open at the first and
  close at the last, so that whoever works "until 01:30" works through both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SLOT_MINUTES = 5
SLOT = timedelta(minutes=SLOT_MINUTES)
SLOTS_PER_DAY = 288
DAY_BYTES = 36
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Time from `starts_at` up to, not including, `ends_at`; never empty."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("an interval is between instants, and a wall time is none")
        if not self.starts_at < self.ends_at:
            raise ValueError("an interval is never empty")

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.starts_at

    def overlaps(self, other: Interval) -> bool:
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def contains(self, other: Interval) -> bool:
        return self.starts_at <= other.starts_at and other.ends_at <= self.ends_at


Intervals = tuple[Interval, ...]


def union(*sets: Iterable[Interval]) -> Intervals:
    """Return everything that is in any of the sets; touching intervals become one."""
    merged: list[Interval] = []
    for interval in sorted(interval for intervals in sets for interval in intervals):
        if merged and interval.starts_at <= merged[-1].ends_at:
            if interval.ends_at > merged[-1].ends_at:
                merged[-1] = Interval(merged[-1].starts_at, interval.ends_at)
        else:
            merged.append(interval)
    return tuple(merged)


def subtract(whole: Iterable[Interval], taken: Iterable[Interval]) -> Intervals:
    """Return what is in `whole` and not in `taken`."""
    left: list[Interval] = []
    holes = union(taken)
    for interval in union(whole):
        cursor = interval.starts_at
        for hole in holes:
            if hole.ends_at <= cursor:
                continue
            if hole.starts_at >= interval.ends_at:
                break
            if hole.starts_at > cursor:
                left.append(Interval(cursor, hole.starts_at))
            cursor = hole.ends_at
        if cursor < interval.ends_at:
            left.append(Interval(cursor, interval.ends_at))
    return tuple(left)


def intersect(one: Iterable[Interval], other: Iterable[Interval]) -> Intervals:
    """Return what is in both sets."""
    common: list[Interval] = []
    first, second = union(one), union(other)
    i = j = 0
    while i < len(first) and j < len(second):
        starts_at = max(first[i].starts_at, second[j].starts_at)
        ends_at = min(first[i].ends_at, second[j].ends_at)
        if starts_at < ends_at:
            common.append(Interval(starts_at, ends_at))
        if first[i].ends_at < second[j].ends_at:
            i += 1
        else:
            j += 1
    return tuple(common)


def clip(intervals: Iterable[Interval], within: Interval) -> Intervals:
    """Return the part of the set that lies within one interval."""
    return intersect(intervals, (within,))


def expand(intervals: Iterable[Interval], before: timedelta, after: timedelta) -> Intervals:
    """Return the set with every interval grown on both sides; growing never shrinks."""
    if before < timedelta() or after < timedelta():
        raise ValueError("an interval only grows")
    return union(Interval(each.starts_at - before, each.ends_at + after) for each in union(intervals))


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of an IANA name (cached by the standard library)."""
    return ZoneInfo(name)


def exists(on: date, at: time, zone: ZoneInfo) -> bool:
    """Tell whether clocks in this zone show this wall time on this date at all."""
    wall = datetime.combine(on, at.replace(tzinfo=None, fold=0))
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def is_repeated(on: date, at: time, zone: ZoneInfo) -> bool:
    """Tell whether clocks in this zone show this wall time twice on this date."""
    wall = datetime.combine(on, at.replace(tzinfo=None, fold=0)).replace(tzinfo=zone)
    return exists(on, at, zone) and wall.utcoffset() != wall.replace(fold=1).utcoffset()


@lru_cache(maxsize=65536)
def instant(on: date, at: time, zone: ZoneInfo, *, later: bool = False) -> datetime:
    """Return the instant in UTC of a wall time, by the rules at the head of this module."""
    wall = datetime.combine(on, at.replace(tzinfo=None, fold=0))
    if exists(on, at, zone):
        return wall.replace(tzinfo=zone, fold=1 if later else 0).astimezone(UTC)
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # the offset of afterwards, so an instant before the change
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    new_offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


@lru_cache(maxsize=65536)
def window(on: date, starts: time, ends: time, zone: ZoneInfo) -> Interval | None:
    """Return the hours of one date as instants, or nothing when a clock change skips all of them.

    `ends` of midnight means the end of that date.
    """
    closes_on = on + _DAY if ends == time(0) else on
    opens_at, closes_at = instant(on, starts, zone), instant(closes_on, ends, zone, later=True)
    return Interval(opens_at, closes_at) if opens_at < closes_at else None


def local_day(on: date, zone: ZoneInfo) -> Interval:
    """Return a date as it passes in a zone: 23, 24 or 25 hours."""
    return Interval(instant(on, time(0), zone), instant(on + _DAY, time(0), zone))


def midnight(day: date) -> datetime:
    """Return 00:00 UTC of a day, where its slot 0 begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def slot_of(moment: datetime, day: date) -> int:
    """Return the slot, counted from 00:00 UTC of `day`, in which an instant lies; negative before that day."""
    return (moment - midnight(day)) // SLOT


def slot_after(moment: datetime, day: date) -> int:
    """Return the first slot that begins at or after an instant."""
    return -((midnight(day) - moment) // SLOT)


def at_slot(slot: int, day: date) -> datetime:
    """Return the instant at which a slot begins."""
    return midnight(day) + slot * SLOT


def ones(first: int, stop: int) -> int:
    """Return the bits from `first` up to, not including, `stop`; none when that is empty."""
    return ((1 << (stop - first)) - 1) << first if first < stop else 0


def to_bits(intervals: Iterable[Interval], day: date, *, slots: int = SLOTS_PER_DAY, touching: bool = False) -> int:
    """Return the slots from 00:00 UTC of `day` that lie wholly inside the set, or with `touching` at all.

    Free time is packed inward and busy time outward, so rounding never makes two things fit where one does.
    """
    bits = 0
    for interval in union(intervals):
        if touching:
            first, stop = slot_of(interval.starts_at, day), slot_after(interval.ends_at, day)
        else:
            first, stop = slot_after(interval.starts_at, day), slot_of(interval.ends_at, day)
        bits |= ones(max(first, 0), min(stop, slots))
    return bits


def from_bits(bits: int, day: date) -> Intervals:
    """Return the intervals that a bitmap beginning at 00:00 UTC of `day` stands for."""
    found: list[Interval] = []
    shifted = 0
    while bits:
        skip = (bits & -bits).bit_length() - 1
        bits >>= skip
        length = (~bits & (bits + 1)).bit_length() - 1
        bits >>= length
        found.append(Interval(at_slot(shifted + skip, day), at_slot(shifted + skip + length, day)))
        shifted += skip + length
    return tuple(found)


def pack(bits: int) -> bytes:
    """Return one day's 288 bits as 36 bytes: slot i is bit i % 8 of byte i // 8."""
    return bits.to_bytes(DAY_BYTES, "little")


def unpack(packed: bytes | memoryview) -> int:
    """Return the bitmap of one or more packed days in a row."""
    return int.from_bytes(packed, "little")
