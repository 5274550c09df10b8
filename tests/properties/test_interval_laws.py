"""Intervals keep the laws of sets, judged minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.intervals import (
    Interval,
    clip,
    expand,
    from_bits,
    instant,
    intersect,
    local_day,
    subtract,
    to_bits,
    union,
    window,
)
from tests.strategies import EPOCH, ZONES, interval_sets, intervals, minutes_of

MINUTE = timedelta(minutes=1)
dates = st.dates(datetime(2026, 1, 1).date(), datetime(2028, 12, 31).date())
wall_times = st.integers(0, 24 * 12 - 1).map(lambda slot: time(slot // 12, slot % 12 * 5))


@given(interval_sets, interval_sets)
def test_union_subtract_and_intersect_are_those_of_minutes(one: list[Interval], other: list[Interval]) -> None:
    first, second = minutes_of(one), minutes_of(other)

    assert minutes_of(union(one, other)) == first | second
    assert minutes_of(subtract(one, other)) == first - second
    assert minutes_of(intersect(one, other)) == first & second


@given(interval_sets, interval_sets)
def test_subtract_and_intersect_rebuild_the_whole(one: list[Interval], other: list[Interval]) -> None:
    assert union(subtract(one, other), intersect(one, other)) == union(one)
    assert intersect(subtract(one, other), other) == ()


@given(interval_sets)
def test_a_set_is_in_order_and_its_parts_do_not_touch(some: list[Interval]) -> None:
    whole = union(some)

    assert all(left.ends_at < right.starts_at for left, right in pairwise(whole))


@given(interval_sets, intervals)
def test_clip_stays_within(some: list[Interval], within: Interval) -> None:
    assert minutes_of(clip(some, within)) == minutes_of(some) & minutes_of([within])
    assert all(within.contains(each) for each in clip(some, within))


@given(interval_sets, st.integers(0, 30), st.integers(0, 30))
def test_expand_grows_each_by_so_much(some: list[Interval], before: int, after: int) -> None:
    grown = {minute + step * MINUTE for minute in minutes_of(some) for step in range(-before, after + 1)}

    assert minutes_of(expand(some, before * MINUTE, after * MINUTE)) == grown


@given(interval_sets)
def test_bits_round_inward_for_free_and_outward_for_busy(some: list[Interval]) -> None:
    day = EPOCH.date()
    minutes = minutes_of(some)
    slots = [{EPOCH + slot * 5 * MINUTE + step * MINUTE for step in range(5)} for slot in range(288)]

    assert to_bits(some, day) == sum(1 << slot for slot, part in enumerate(slots) if part <= minutes)
    assert to_bits(some, day, touching=True) == sum(1 << slot for slot, part in enumerate(slots) if part & minutes)


@given(st.integers(0, 2**288 - 1))
def test_from_bits_and_to_bits_are_inverse(bits: int) -> None:
    assert to_bits(from_bits(bits, EPOCH.date()), EPOCH.date()) == bits


@given(dates, wall_times, st.sampled_from(ZONES))
def test_instant_shows_the_wall_time_or_the_first_after_the_gap(on: datetime, at: time, zone: object) -> None:
    first, later = instant(on, at, zone), instant(on, at, zone, later=True)
    shown = first.astimezone(zone).replace(tzinfo=None)

    if shown == datetime.combine(on, at):
        assert later.astimezone(zone).replace(tzinfo=None) == shown
        assert later - first in (timedelta(), timedelta(minutes=30), timedelta(hours=1))
    else:
        before = (first - MINUTE).astimezone(zone).replace(tzinfo=None)
        assert before < datetime.combine(on, at) < shown
        assert shown - before > MINUTE
        assert later == first


@given(dates, st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap(on: datetime, zone: object) -> None:
    today, tomorrow = local_day(on, zone), local_day(on + timedelta(days=1), zone)

    assert today.ends_at == tomorrow.starts_at
    assert today.length in (timedelta(hours=h) for h in (23, 23.5, 24, 24.5, 25))


@given(dates, wall_times, wall_times, st.sampled_from(ZONES))
def test_a_window_lies_within_its_wall_times(on: datetime, starts: time, ends: time, zone: object) -> None:
    if ends != time(0) and starts >= ends:
        return
    hours = window(on, starts, ends, zone)

    if hours is not None:
        assert hours.starts_at.astimezone(zone).replace(tzinfo=None) >= datetime.combine(on, starts)
        assert hours.starts_at >= local_day(on, zone).starts_at
        assert hours.ends_at <= local_day(on, zone).ends_at


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
def test_a_clinic_that_closes_at_five_closes_at_five_all_year(zone: object) -> None:
    for offset in range(365):
        on = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=offset)).date()
        hours = window(on, time(8), time(17), zone)
        assert hours is not None
        assert hours.starts_at.astimezone(zone).time() == time(8)
        assert hours.ends_at.astimezone(zone).time() == time(17)
        assert hours.length == timedelta(hours=9)
