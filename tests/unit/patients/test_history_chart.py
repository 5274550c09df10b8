"""The chart of a history: where every value, mark and band stands, against figures computed here by themselves."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from patients.history import charts
from patients.history.charts import Event, Reading, Step

FIRST, LAST = date(2026, 1, 1), date(2026, 4, 11)  # 100 days
PAIN = (
    Reading(date(2025, 12, 31), 9),
    Reading(date(2026, 1, 1), 8),
    Reading(date(2026, 2, 20), 3),
    Reading(date(2026, 4, 11), 5),
)
BLOCK = Event(date(2026, 1, 11), "Block L4-L5 left", "nerve_block", "mbb_diagnostic", pct=70, held_until=date(2026, 3, 2),
              lasted="for 50 d", tone="half")  # fmt: skip


def drawn(**parts: object) -> charts.Chart:
    given = {"first": FIRST, "last": LAST, "pain": PAIN, "function": (), "opioids": (), "events": ()}
    return charts.draw(**{**given, **parts})  # type: ignore[arg-type]


def test_a_value_stands_at_its_share_of_the_days_and_of_the_scale() -> None:
    line = drawn().lines[0]

    # Day 0, 50 and 100 of 100; a pain of 10 at the top (10 px), of 0 at 130 px: 12 px a point.
    assert [(float(dot.x), float(dot.y)) for dot in line.dots] == [(0, 34), (50, 94), (100, 70)]
    assert line.path == "0.00,34.0 50.00,94.0 100.00,70.0"


def test_what_lies_outside_the_window_is_left_out() -> None:
    inside = drawn(events=(BLOCK, Event(date(2025, 6, 1), "Before", "rfa", "facet_rfa", pct=80, held_until=date(2025, 7, 1))))

    assert [mark.text for mark in inside.marks] == ["Block L4-L5 left, 11 Jan 2026: 70 % for 50 d"]
    assert len(inside.bands) == 1


def test_a_band_runs_from_the_procedure_to_the_end_of_its_relief() -> None:
    band = drawn(events=(BLOCK,)).bands[0]

    assert (float(band.x), float(band.width), band.label, band.is_open) == (10.0, 50.0, "70 %, 50 d", False)


def test_relief_that_began_before_the_window_is_drawn_from_its_edge() -> None:
    early = Event(date(2025, 12, 1), "Early", "rfa", "facet_rfa", pct=60, held_until=date(2026, 1, 21))

    chart = drawn(events=(early,))

    assert [(float(band.x), float(band.width)) for band in chart.bands] == [(0.0, 20.0)]
    assert chart.marks == ()


def test_bands_that_overlap_stand_in_lanes_and_others_share_one() -> None:
    def event(day: int, days: int) -> Event:
        on = FIRST + timedelta(days=day)
        return Event(on, f"{day}", "rfa", "facet_rfa", pct=60, held_until=on + timedelta(days=days))

    chart = drawn(events=(event(0, 30), event(10, 30), event(30, 10), event(41, 10)))

    lanes = [(band.y - charts.LANES_AT) // charts.LANE for band in chart.bands]
    assert lanes == [0, 1, 0, 0]


@pytest.mark.parametrize(("pct", "held"), [(None, None), (40, None)])
def test_without_half_relief_there_is_no_band(pct: int | None, held: date | None) -> None:
    chart = drawn(events=(Event(date(2026, 2, 1), "x", "rfa", "facet_rfa", pct=pct, held_until=held),))

    assert chart.bands == ()
    assert len(chart.marks) == 1


def test_opioids_are_steps_carried_into_the_window() -> None:
    chart = drawn(opioids=(Step(date(2025, 1, 1), 30.0), Step(date(2026, 2, 20), 15.0)))

    top, base = chart.mme_top, chart.mme_top + charts.MME_HEIGHT
    half = (top + base) / 2
    points = [tuple(float(part) for part in point.split(",")) for point in chart.mme_path.split()]
    assert points == [(0, base), (0, top), (50, top), (50, half), (100, half), (100, base)]
    assert chart.mme_most == 30


def test_the_table_says_every_day_that_the_chart_shows_the_latest_first() -> None:
    chart = drawn(events=(BLOCK,), function=(Reading(date(2026, 2, 20), 4.33),), opioids=(Step(date(2025, 1, 1), 20.0),))

    assert [(row.on, row.pain, row.function, row.mme, row.what, row.relief) for row in chart.rows] == [
        (date(2026, 4, 11), "5", "", "", "", ""),
        (date(2026, 2, 20), "3", "4.33", "", "", ""),
        (date(2026, 1, 11), "", "", "", "Block L4-L5 left", "70 % for 50 d"),
        (date(2026, 1, 1), "8", "", "20", "", ""),
    ]


def test_a_chart_of_nothing_is_empty() -> None:
    assert drawn(pain=()).is_empty
    assert not drawn().is_empty


def test_ticks_stand_on_first_days_of_months_inside_the_window() -> None:
    chart = drawn()

    assert [(tick.label, float(tick.x)) for tick in chart.ticks] == [("Feb", 31.0), ("Mar", 59.0), ("Apr", 90.0)]
    years = drawn(first=date(2021, 3, 1), last=date(2026, 3, 1)).ticks
    assert [tick.label for tick in years] == ["2022", "2023", "2024", "2025"]
