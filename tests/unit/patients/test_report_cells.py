"""The report's figures in words: what is too few, what nobody had, which bound is not known."""

from __future__ import annotations

import pytest

from patients.estimates import NOTHING, Estimate, Step, Survival
from patients.reports import showing
from patients.reports.showing import TOO_FEW, Bar, Cell

HALF = Estimate(1_200, 0.5, 0.47, 0.53)
NOBODY = Estimate(0, None)


@pytest.mark.parametrize(
    ("of", "cell"),
    [
        (None, Cell("", TOO_FEW)),
        (NOBODY, Cell("", "nobody")),
        (HALF, Cell("50 %", "47 to 53, n 1,200")),
        (Estimate(400, 0.0525, 0.0344, 0.0949), Cell("5.2 %", "3.4 to 9.5, n 400")),
        (Estimate(400, 0.0525, 0.0344, 0.0951), Cell("5 %", "3 to 10, n 400")),
    ],
)
def test_a_share_is_told_with_its_interval_and_rare_ones_with_a_digit_more(of: Estimate | None, cell: Cell) -> None:
    assert showing._share(of) == cell


@pytest.mark.parametrize(
    ("of", "cell"),
    [
        (None, Cell("", TOO_FEW)),
        (NOBODY, Cell("", "nobody")),
        (Estimate(30, -2.5, -3.04, 0.04), Cell("\N{MINUS SIGN}2.5", "\N{MINUS SIGN}3.0 to 0.0, n 30")),
        (Estimate(30, 1.5, 0.05, 3.0), Cell("+1.5", "+0.1 to +3.0, n 30")),
    ],
)
def test_a_change_is_told_with_its_sign(of: Estimate | None, cell: Cell) -> None:
    assert showing._change(of) == cell


@pytest.mark.parametrize(
    ("of", "cell"),
    [
        (None, Cell("", TOO_FEW)),
        (NOTHING, Cell("", "nobody")),
        (Survival(Estimate(12, None), 3, ()), Cell("not reached", "n 12, 9 still open")),
        (Survival(Estimate(12, 90.0, 60.0, None), 7, ()), Cell("90 days", "60 to ?, n 12, 5 still open")),
        (Survival(Estimate(12, 90.0, None, 180.0), 7, ()), Cell("90 days", "? to 180, n 12, 5 still open")),
    ],
)
def test_how_long_relief_lasts_is_told_as_far_as_it_is_known(of: Survival | None, cell: Cell) -> None:
    assert showing._duration(of) == cell


@pytest.mark.parametrize(
    ("of", "cell"),
    [
        (None, Cell("", TOO_FEW)),
        (NOBODY, Cell("", "nobody")),
        (Estimate(8, 91.4, 80.0, 104.6), Cell("91 days", "80 to 105, n 8")),
        (Estimate(3, 91.4), Cell("91 days", "n 3")),
    ],
)
def test_days_are_told_with_their_bounds_where_there_are_some(of: Estimate | None, cell: Cell) -> None:
    assert showing._days(of) == cell


def test_a_bar_is_drawn_where_there_is_an_interval() -> None:
    assert showing._bar(HALF) == Bar(50.0, 47.0, 6.0)
    assert showing._bar(NOBODY) is showing._bar(None) is None


def test_before_the_first_end_everybody_still_has_relief() -> None:
    steps = (Step(120, 0.5, 0.2, 0.8, 10),)
    assert showing._point(steps, 90) == ("3 months", "100 %", "", 10)
    assert showing._point(steps, 180) == ("6 months", "50 %", "20 % to 80 %", 0)
