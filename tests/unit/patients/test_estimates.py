"""Shares, means, medians and survival: against other formulas, and against published worked examples."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from scipy import stats

from patients.estimates import NOTHING, Estimate, lasting, mean, median, share

# Weeks of remission under 6-mercaptopurine: E. J. Freireich and others, Blood 1963;21:699-716, as worked through by E. A.
# Gehan, Biometrika 1965;52:203-223, and with bounds by W. N. Venables, B. D. Ripley, Modern Applied Statistics with S, 13.1.
ENDED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
CENSORED = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
PUBLISHED = {  # week: at risk, share, lower and upper bound (log-log)
    6: (21, 0.857, 0.620, 0.952),
    7: (17, 0.807, 0.563, 0.923),
    10: (15, 0.753, 0.503, 0.889),
    13: (12, 0.690, 0.432, 0.849),
    16: (11, 0.627, 0.368, 0.805),
    22: (7, 0.538, 0.268, 0.747),
    23: (6, 0.448, 0.188, 0.680),
}


def by_hand(ended: list[int], censored: list[int]) -> dict[int, float]:
    """Return the product-limit estimate as the paper writes it (E. L. Kaplan, P. Meier, J Am Stat Assoc 1958;53:457-481)."""
    left, found = 1.0, {}
    for day in sorted(set(ended)):
        at_risk = sum(one >= day for one in [*ended, *censored])
        left *= 1 - ended.count(day) / at_risk
        found[day] = left
    return found


def test_survival_is_the_published_worked_example() -> None:
    found = lasting(ENDED, CENSORED)

    steps = {step.day: step for step in found.steps if step.day in PUBLISHED}
    assert {
        day: (step.at_risk, round(step.share, 3), round(step.low or 0, 3), round(step.high or 0, 3))
        for day, step in steps.items()
    } == PUBLISHED
    assert (found.median, found.ended, found.censored) == (Estimate(21, 23.0, 13.0, None), 9, 12)


def test_survival_without_censoring_is_the_share_that_is_left() -> None:
    found = lasting([1, 1, 2, 2, 3, 4, 4, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [])

    assert found.median.value == 8
    assert found.steps[-1].share == 0
    assert (found.steps[-1].low, found.steps[-1].high) == (None, None)


@pytest.mark.parametrize("seed", range(6))
def test_survival_is_the_product_of_the_paper(seed: int) -> None:
    dice = random.Random(seed)
    days = [(dice.randrange(1, 60), dice.random() < 0.6) for _ in range(150)]
    ended, censored = [day for day, is_end in days if is_end], [day for day, is_end in days if not is_end]

    found = {step.day: step.share for step in lasting(ended, censored).steps if step.day in set(ended)}

    assert found == pytest.approx(by_hand(ended, censored))


def test_survival_of_nobody_and_of_those_whose_end_nobody_knows() -> None:
    assert lasting([], []) == NOTHING
    nobody_lost = lasting([], [30, 60, 90])
    assert (nobody_lost.median, nobody_lost.ended) == (Estimate(3, None), 0)
    assert lasting([5], []).median.value == 5
    # Fewer than half have lost it: the median lies beyond what was seen.
    assert lasting([5], [10, 10, 10]).median == Estimate(4, None)


@pytest.mark.parametrize(("count", "n"), [(0, 12), (1, 12), (6, 12), (12, 12), (37, 211), (0, 1), (1, 1)])
def test_share_has_wilsons_interval(count: int, n: int) -> None:
    other = stats.binomtest(count, n).proportion_ci(method="wilson")
    found = share(count, n)

    assert (found.n, found.value) == (n, count / n)
    assert (found.low, found.high) == (pytest.approx(other.low, abs=1e-12), pytest.approx(other.high, abs=1e-12))


def test_share_of_the_printed_example() -> None:
    """R. G. Newcombe, Stat Med 1998;17:857-872, table I: 81 of 263 and 15 of 148 by the score method."""
    assert [round(x or 0, 4) for x in (share(81, 263).low, share(81, 263).high)] == [0.2553, 0.3662]
    assert [round(x or 0, 4) for x in (share(15, 148).low, share(15, 148).high)] == [0.0624, 0.1605]


def test_mean_has_students_interval() -> None:
    values = [-4.0, -2.5, 0.0, -3.0, 1.0, -5.0, -1.5]
    found = mean(len(values), sum(values), sum(value * value for value in values))
    other = stats.ttest_1samp(values, 0).confidence_interval(0.95)

    assert found.value == pytest.approx(statistics.fmean(values))
    assert (found.low, found.high) == (pytest.approx(other.low), pytest.approx(other.high))
    assert mean(0, 0, 0) == Estimate(0, None)
    assert mean(1, 3.0, 9.0) == Estimate(1, 3.0)


def test_median_has_the_interval_of_its_order_statistics() -> None:
    """Ten values: the second and the ninth, 97.9 % (W. J. Conover, Practical Nonparametric Statistics, 3.2)."""
    assert median(range(1, 11)) == Estimate(10, 5.5, 2, 9)
    assert median([3]) == Estimate(1, 3)
    assert median([]) == Estimate(0, None)
    assert median([9, 1, 5, 7, 3]) == Estimate(5, 5)  # of five values even the outermost give less than 95 %
    assert median([9, 1, 5, 7, 3, 11]) == Estimate(6, 6, 1, 11)


@pytest.mark.parametrize("n", [6, 7, 20, 41, 100])
def test_medians_interval_holds_the_median_in_at_least_95_of_100_draws_and_no_narrower_one_does(n: int) -> None:
    def held(k: int) -> float:
        return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n

    low = median(range(1, n + 1)).low
    assert low is not None
    assert held(int(low)) >= 0.95 > held(int(low) + 1)


def test_share_of_nobody_is_not_known() -> None:
    assert share(0, 0) == Estimate(0, None)
