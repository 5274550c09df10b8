"""Relief and its duration, by the conventions of the clinical tables."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from patients.relief import HALF, MOST, Lasting, lasting, meaningful, percent, reliefs

DONE = date(2026, 3, 2)


def days(*pairs: tuple[int, int]) -> list[tuple[date, Fraction]]:
    return [(date.fromordinal(DONE.toordinal() + day), Fraction(pct)) for day, pct in pairs]


def test_percent_is_unrounded_and_undefined_for_a_baseline_of_nothing() -> None:
    assert percent(Fraction(7), Fraction(2)) == Fraction(500, 7)
    assert percent(Fraction(0), Fraction(2)) is None
    assert percent(Fraction(4), Fraction(6)) == -50
    assert percent(Fraction(40), Fraction(50), is_lower_better=False) == 25


def test_reliefs_are_by_day_with_the_better_one_of_a_day_first() -> None:
    scores = [(date(2026, 3, 5), Fraction(4)), (date(2026, 3, 3), Fraction(8)), (date(2026, 3, 5), Fraction(2))]

    assert reliefs(Fraction(8), scores) == ((date(2026, 3, 3), 0), (date(2026, 3, 5), 75), (date(2026, 3, 5), 50))
    assert reliefs(None, scores) == ()
    assert reliefs(Fraction(0), scores) == ()


def test_relief_of_exactly_the_threshold_counts_and_one_below_ends_it() -> None:
    readings = days((1, 49), (14, 50), (42, 70), (90, 49), (120, 80))

    assert lasting(readings, HALF) == Lasting(date(2026, 3, 16), date(2026, 4, 13), date(2026, 5, 31))
    assert lasting(readings, MOST) == Lasting(date(2026, 6, 30), date(2026, 6, 30), None)
    assert lasting(days((1, 10)), HALF) is None
    assert lasting((), HALF) is None


def test_days_run_to_the_loss_or_to_the_last_proof() -> None:
    lost, running = lasting(days((10, 60), (20, 40)), HALF), lasting(days((10, 60), (20, 55)), HALF)

    assert lost is not None
    assert running is not None
    assert (lost.days_from(DONE), lost.is_censored) == (20, False)
    assert (running.days_from(DONE), running.is_censored) == (20, True)


def test_a_change_is_meaningful_by_points_or_by_percent() -> None:
    assert meaningful(Fraction(2), absolute=Fraction(2), pct=Fraction(30))
    assert not meaningful(Fraction(19, 10), absolute=Fraction(2), pct=Fraction(30), relative=Fraction(29))
    assert meaningful(Fraction(1), absolute=Fraction(2), pct=Fraction(30), relative=Fraction(30))
    assert not meaningful(Fraction(9), absolute=None, pct=None)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-100, 100)), max_size=12), st.integers(1, 100))
def test_a_better_last_score_never_shortens_relief(pairs: list[tuple[int, int]], threshold: int) -> None:
    readings = sorted(days(*pairs), key=lambda one: (one[0], -one[1]))
    before = lasting(readings, Fraction(threshold))
    after = lasting([*readings, *days((401, 100))], Fraction(threshold))

    assert after is not None
    if before is not None:
        assert after.reached_on == before.reached_on
        assert after.days_from(DONE) >= before.days_from(DONE) or not before.is_censored
