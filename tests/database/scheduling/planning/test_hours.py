"""What leaves when: the starting values, what is merged or too late, weekends, clock changes, quiet hours. TRUST T5."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from scheduling import cadence, messages
from scheduling.models import CadenceStep, Message
from tests.database.scheduling.planning.cadences import PLAIN, SYSTEM, case, lay, planned, reasons, step, wall
from tests.factories import NOW


def test_starting_values_are_those_of_the_tables_with_their_sources() -> None:
    rows = {row.code: row for row in CadenceStep.objects.filter(family="")}

    assert {code: (row.kind, row.offset_days, row.asks_to_confirm, row.is_on) for code, row in rows.items()} == {
        "preparation": ("preparation", -7, False, True),
        "reminder-3": ("reminder", -3, True, True),
        "reminder-1": ("reminder", -1, False, True),
        "arrival": ("arrival", 0, False, True),
        "no-show": ("no_show", 1, False, True),
        "recall": ("recall", 0, False, False),
    }
    assert all(row.source for row in CadenceStep.objects.all())
    esi = CadenceStep.objects.filter(family="esi").values_list("code", "offset_days", "offset_months", "is_on")
    assert sorted(esi) == [
        ("score-14d", 14, 0, True), ("score-1d", 1, 0, True), ("score-3m", 0, 3, True), ("score-42d", 42, 0, True),
    ]  # fmt: skip


def test_loading_again_changes_nothing_and_keeps_the_clinics_own() -> None:
    step("preparation", offset_days=-10)

    assert cadence.load_defaults(by=SYSTEM, at=NOW) == 0
    assert CadenceStep.objects.get(code="preparation").offset_days == -10


def test_booked_case_has_every_message_at_its_hour_on_the_sites_clocks() -> None:
    appointment = case()
    lay(appointment)

    assert planned(appointment) == {
        "preparation": wall(date(2026, 9, 23), "10:00"),
        "reminder-3": wall(date(2026, 9, 25), "16:00"),  # the 27th is a Sunday: the Friday before
        "reminder-1": wall(date(2026, 9, 29), "16:00"),
        "arrival": wall(date(2026, 9, 30), "8:00"),
    }
    assert reasons(appointment) == {}


def test_planning_again_adds_nothing() -> None:
    appointment = case()
    lay(appointment)
    before = list(Message.objects.order_by("pk").values())

    assert messages.plan_case(appointment=appointment, at=NOW, is_told=True) == 0
    assert messages.plan_ahead(at=NOW) == {"new": 0, "moved": 0, "revived": 0, "withdrawn": 0}
    lay(appointment)
    assert list(Message.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("ahead", "waiting"),
    [
        (timedelta(days=7, hours=7), ("preparation", "reminder-3", "reminder-1", "arrival")),
        (timedelta(days=6), ("reminder-3", "reminder-1", "arrival")),
        (timedelta(days=2), ("reminder-1", "arrival")),
        (timedelta(hours=20), ("arrival",)),
    ],
)
def test_offset_that_has_passed_is_merged_into_the_confirmation(ahead: timedelta, waiting: tuple[str, ...]) -> None:
    for code in PLAIN:
        step(code, weekend="as_is")
    appointment = case()
    lay(appointment, at=appointment.starts_at - ahead)

    assert tuple(code for code in PLAIN if code in planned(appointment)) == waiting
    assert reasons(appointment) == {code: "merged" for code in PLAIN if code not in waiting}


@pytest.mark.parametrize(("before", "is_merged"), [(timedelta(hours=2, seconds=1), False), (timedelta(hours=2), True)])
def test_message_due_within_two_hours_is_merged_as_well(before: timedelta, is_merged: bool) -> None:
    appointment = case()
    lay(appointment, at=wall(date(2026, 9, 29), "16:00") - before)

    assert ("reminder-1" not in planned(appointment)) is is_merged


def test_message_too_close_to_the_arrival_is_left_out_and_says_so() -> None:
    near, just = case(at="9:00"), case(at="9:15")  # arrival at 8:45 and at 9:00: the hour before it
    lay(near)
    lay(just)

    assert (reasons(near), reasons(just)) == ({"arrival": "too_late"}, {})


@pytest.mark.parametrize(("weekend", "day"), [("as_is", 27), ("earlier", 25), ("later", 28)])
def test_weekend_is_as_the_step_says(weekend: str, day: int) -> None:
    step("reminder-3", weekend=weekend)
    appointment = case()
    lay(appointment)

    assert planned(appointment)["reminder-3"] == wall(date(2026, 9, day), "16:00")


def test_day_before_at_four_is_at_four_over_both_clock_changes() -> None:
    """Rule: days are counted on the site's calendar and the hour is read on its clocks, however long the days are."""
    for day in (date(2026, 11, 1), date(2026, 11, 2), date(2027, 3, 14), date(2027, 3, 15)):
        appointment = case(on=day)
        lay(appointment)

        assert planned(appointment)["reminder-1"] == wall(day - timedelta(days=1), "16:00")


def test_hour_that_is_skipped_comes_an_hour_later_and_of_a_double_hour_the_second_is_meant(settings: Any) -> None:
    settings.QUIET_HOURS = (0, 0)
    step("reminder-1", at_time=time(2, 30), weekend="as_is")
    step("preparation", at_time=time(1, 30), offset_days=-1, weekend="as_is")
    skipped, double = case(on=date(2027, 3, 15)), case(on=date(2026, 11, 2))
    lay(skipped)
    lay(double)

    assert planned(skipped)["reminder-1"].astimezone(UTC) == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)  # 3:30 EDT
    assert planned(double)["preparation"].astimezone(UTC) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)  # 1:30 EST


@pytest.mark.parametrize(
    ("zone", "patient_zone", "at_time", "expected"),
    [
        ("America/New_York", "", time(19, 59), datetime(2026, 9, 29, 23, 59, tzinfo=UTC)),
        ("America/New_York", "", time(20), datetime(2026, 9, 30, 12, 0, tzinfo=UTC)),
        ("America/New_York", "Pacific/Honolulu", time(10), datetime(2026, 9, 29, 18, 0, tzinfo=UTC)),  # 4:00 there
        ("America/Phoenix", "America/New_York", time(16, 59), datetime(2026, 9, 29, 23, 59, tzinfo=UTC)),
        ("America/Phoenix", "America/New_York", time(17), datetime(2026, 9, 30, 12, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", "", time(7, 30), datetime(2026, 9, 28, 21, 30, tzinfo=UTC)),  # half-hour zone: 8:00 is 21:30
    ],
)
def test_quiet_hours_are_those_of_the_patients_own_zone(zone: str, patient_zone: str, at_time: time, expected: datetime) -> None:
    step("reminder-1", at_time=at_time)
    appointment = case(zone=zone, patient_zone=patient_zone, at="14:00")
    lay(appointment)

    assert planned(appointment)["reminder-1"].astimezone(UTC) == expected


def test_quiet_hours_within_one_day_end_the_same_day(settings: Any) -> None:
    settings.QUIET_HOURS = (12, 17)
    appointment = case(at="19:00")
    lay(appointment)

    assert planned(appointment)["reminder-1"] == wall(date(2026, 9, 29), "17:00")
