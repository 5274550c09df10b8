"""Intervals, wall time and packed days by example."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduling.intervals import (
    Interval,
    at_slot,
    clip,
    exists,
    expand,
    from_bits,
    instant,
    intersect,
    is_repeated,
    local_day,
    ones,
    pack,
    slot_after,
    slot_of,
    subtract,
    to_bits,
    union,
    unpack,
    window,
    zone_of,
)

NEW_YORK = ZoneInfo("America/New_York")
PHOENIX = ZoneInfo("America/Phoenix")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
DAY = date(2026, 9, 15)
FALL = date(2026, 11, 1)
SPRING = date(2027, 3, 14)


def utc(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def of(*hours: int) -> tuple[Interval, ...]:
    return tuple(Interval(utc(start), utc(end)) for start, end in zip(hours[::2], hours[1::2], strict=True))


def test_an_interval_is_never_empty_and_never_wall_time() -> None:
    with pytest.raises(ValueError, match="empty"):
        Interval(utc(9), utc(9))
    with pytest.raises(ValueError, match="instants"):
        Interval(datetime(2026, 9, 15, 9), utc(10))


def test_an_interval_ends_before_its_end() -> None:
    (morning,), (noon,), (early,) = of(9, 12), of(12, 13), of(9, 10)

    assert not morning.overlaps(noon)
    assert morning.overlaps(early)
    assert morning.contains(early)
    assert not early.contains(morning)
    assert morning.length == timedelta(hours=3)


def test_union_joins_what_touches_and_keeps_what_is_apart() -> None:
    assert union(of(9, 10, 12, 15), of(10, 11, 13, 14)) == of(9, 11, 12, 15)


def test_subtract_cuts_holes_ends_and_wholes() -> None:
    assert subtract(of(8, 12, 13, 17), of(7, 9, 10, 11, 13, 18)) == of(9, 10, 11, 12)
    assert subtract(of(8, 9), of(10, 11)) == of(8, 9)
    assert subtract(of(12, 13), of(8, 9)) == of(12, 13)


def test_intersect_and_clip_keep_what_is_in_both() -> None:
    assert intersect(of(8, 12, 13, 17), of(9, 14)) == of(9, 12, 13, 14)
    assert clip(of(8, 12), of(10, 20)[0]) == of(10, 12)


def test_expand_grows_and_never_shrinks() -> None:
    assert expand(of(9, 10, 12, 13), timedelta(hours=1), timedelta(hours=1)) == of(8, 14)
    with pytest.raises(ValueError, match="grows"):
        expand(of(9, 10), timedelta(hours=-1), timedelta())


def test_a_wall_time_in_the_gap_becomes_the_instant_of_the_change() -> None:
    assert not exists(SPRING, time(2, 30), NEW_YORK)
    assert instant(SPRING, time(2, 30), NEW_YORK) == utc(7, day=SPRING)
    assert instant(SPRING, time(2, 0), NEW_YORK) == instant(SPRING, time(3, 0), NEW_YORK)
    assert instant(date(2026, 10, 4), time(2, 15), LORD_HOWE) == datetime(2026, 10, 3, 15, 30, tzinfo=UTC)


def test_a_repeated_wall_time_is_the_first_unless_the_later_is_asked_for() -> None:
    assert is_repeated(FALL, time(1, 30), NEW_YORK)
    assert not is_repeated(FALL, time(2, 30), NEW_YORK)
    assert not is_repeated(SPRING, time(2, 30), NEW_YORK)
    assert instant(FALL, time(1, 30), NEW_YORK) == utc(5, 30, FALL)
    assert instant(FALL, time(1, 30), NEW_YORK, later=True) == utc(6, 30, FALL)


def test_hours_over_a_change_keep_their_wall_times() -> None:
    assert window(FALL, time(1), time(1, 30), NEW_YORK) == Interval(utc(5, 0, FALL), utc(6, 30, FALL))
    assert window(SPRING, time(1), time(3), NEW_YORK) == Interval(utc(6, 0, SPRING), utc(7, 0, SPRING))
    assert window(SPRING, time(2), time(2, 45), NEW_YORK) is None
    assert window(DAY, time(20), time(0), NEW_YORK) == Interval(utc(0, day=date(2026, 9, 16)), utc(4, day=date(2026, 9, 16)))


@pytest.mark.parametrize(
    ("on", "zone", "hours"),
    [
        (FALL, NEW_YORK, 25),
        (SPRING, NEW_YORK, 23),
        (FALL, PHOENIX, 24),
        (SPRING, PHOENIX, 24),
        (date(2026, 10, 4), LORD_HOWE, 23.5),
        (date(2027, 4, 4), LORD_HOWE, 24.5),
    ],
)
def test_a_local_day_is_as_long_as_it_is(on: date, zone: ZoneInfo, hours: float) -> None:
    assert local_day(on, zone).length == timedelta(hours=hours)


def test_slots_count_from_midnight_utc() -> None:
    assert slot_of(utc(0, 9), DAY) == 1
    assert slot_after(utc(0, 9), DAY) == 2
    assert slot_after(utc(0, 10), DAY) == 2
    assert slot_of(utc(23, 59, date(2026, 9, 14)), DAY) == -1
    assert at_slot(2, DAY) == utc(0, 10)
    assert zone_of("America/Phoenix") is PHOENIX


def test_bits_are_packed_lowest_first() -> None:
    bits = to_bits([Interval(utc(0, 5), utc(0, 15)), Interval(utc(23, 55), utc(12, day=date(2026, 9, 16)))], DAY)

    assert pack(bits)[:2] == bytes([0b110, 0])
    assert pack(bits)[-1] == 0b10000000
    assert unpack(memoryview(pack(bits))) == bits
    assert from_bits(bits, DAY) == (Interval(utc(0, 5), utc(0, 15)), Interval(utc(23, 55), utc(0, day=date(2026, 9, 16))))


def test_bits_before_the_day_are_left_out_and_no_bits_are_no_intervals() -> None:
    assert to_bits([Interval(utc(22, day=date(2026, 9, 14)), utc(0, 5))], DAY) == 1
    assert to_bits([Interval(utc(0, 1), utc(0, 4))], DAY) == 0
    assert to_bits([Interval(utc(0, 1), utc(0, 4))], DAY, touching=True) == 1
    assert from_bits(0, DAY) == ()
    assert ones(3, 3) == 0
    assert ones(1, 3) == 0b110


def test_intersect_of_sets_apart_is_nothing() -> None:
    assert intersect(of(8, 9), of(10, 11)) == ()
