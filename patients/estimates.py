"""Estimates with their uncertainty: shares, means, medians, and how long something lasts when not every end is known.

Every interval is one of 95 %. Nothing here knows patients or tables.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value from `n` observations with its interval; a bound is None where the observations do not give one."""

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The share for whom it still lasts from this day on, its interval, and for how many it was watched until then."""

    day: int
    share: float
    low: float | None
    high: float | None
    at_risk: int


@dataclass(frozen=True, slots=True)
class Survival:
    """How long something lasts: the median with its interval, how many ends are known, and the curve."""

    median: Estimate
    ended: int
    steps: tuple[Step, ...]

    @property
    def censored(self) -> int:
        """Return for how many the end is not known."""
        return self.median.n - self.ended


NOTHING = Survival(Estimate(0, None), 0, ())


def share(count: int, n: int) -> Estimate:
    """Return the share with Wilson's score interval (E. B. Wilson, J Am Stat Assoc 1927;22:209-212)."""
    if n == 0:
        return Estimate(0, None)
    part, spread = count / n, Z * Z / n
    middle = (part + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(part * (1 - part) / n + spread / (4 * n))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return Estimate(n, part, low, 1.0 if count == n else min(1.0, middle + half))


def mean(n: int, total: float, squares: float) -> Estimate:
    """Return the mean with Student's interval, from count, sum and sum of squares; one observation has no interval."""
    if n == 0:
        return Estimate(0, None)
    middle = total / n
    if n == 1:
        return Estimate(1, middle)
    variance = max(0.0, (squares - n * middle * middle) / (n - 1))
    half = float(_scipy("special").stdtrit(n - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / n)
    return Estimate(n, middle, middle - half, middle + half)


def median(values: Sequence[float]) -> Estimate:
    """Return the median with the interval of its order statistics: of at least 95 %, open where there are too few values."""
    n = len(values)
    if n == 0:
        return Estimate(0, None)
    ordered = sorted(values)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    # The largest k with P(fewer than k of n lie below the median) <= 2.5 %.
    k = int(_scipy("stats").binom.ppf((1 - LEVEL) / 2, n, 0.5))
    if k < 1:
        return Estimate(n, middle)
    return Estimate(n, middle, ordered[k - 1], ordered[n - k])


def lasting(ended: Sequence[int], censored: Sequence[int]) -> Survival:
    """Return the Kaplan-Meier estimate of how many days something lasts.

    `ended` are the days after which it is known to have ended, `censored` those until which it is known to have lasted.
    The bounds of the curve are those of the log-log transformation; the median's are the days on which they pass one half.
    """
    n = len(ended) + len(censored)
    if n == 0:
        return NOTHING
    stats = _scipy("stats")
    found = stats.ecdf(stats.CensoredData(uncensored=list(ended), right=list(censored))).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it warns where the curve is at 1 or 0: there it has no bounds
        bounds = found.confidence_interval(confidence_level=LEVEL, method="log-log")
    days, shares = found.quantiles.tolist(), found.probabilities.tolist()
    lows, highs = bounds.low.probabilities.tolist(), bounds.high.probabilities.tolist()
    watched = sorted([*ended, *censored])
    steps = tuple(
        Step(int(day), one, _known(low), _known(high), n - bisect_left(watched, day))
        for day, one, low, high in zip(days, shares, lows, highs, strict=True)
    )
    middle, low, high = (
        _first(steps, [step.share for step in steps]),
        _first(steps, [step.low if step.share > 0 else 0.0 for step in steps]),
        _first(steps, [step.high for step in steps]),
    )
    return Survival(Estimate(n, middle, low if middle is not None else None, high), len(ended), steps)


def _first(steps: Sequence[Step], shares: Sequence[float | None]) -> float | None:
    """Return the first day on which a share is one half or less."""
    return next((float(step.day) for step, one in zip(steps, shares, strict=True) if one is not None and one <= 0.5), None)


def _known(bound: float) -> float | None:
    return None if math.isnan(bound) else bound


def _scipy(part: str) -> Any:
    """Return a part of scipy. Imported when first wanted: it costs a second and 90 MB that most processes never need."""
    import scipy.special
    import scipy.stats

    return getattr(scipy, part)
