"""Relief and how long it lasted, from dated scores on one scale. Pure: no clock, no database, the standard library only.

The conventions are those of the clinical tables (`payer_rules.yaml`: relief_pct, relief_duration; `outcomes.yaml`:
percent_formula): relief is computed unrounded from two scores on the same scale and undefined for a baseline of 0; that
it lasted is proved by a dated score, and a score below the threshold ends it on that day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache

HALF, MOST = Fraction(50), Fraction(80)
Readings = Sequence[tuple[date, Fraction]]


@dataclass(frozen=True, slots=True)
class Lasting:
    """From when to when relief of at least the threshold is on record.

    ``held_until`` is the last day that shows it before the first score below; ``lost_on`` is the day of that score, None
    while no score below is recorded: then the end is not known (censored at ``held_until``).
    """

    reached_on: date
    held_until: date
    lost_on: date | None

    def days_from(self, done_on: date) -> int:
        """Return how many days after the session it is known to have lasted, or ended."""
        return ((self.lost_on or self.held_until) - done_on).days

    @property
    def is_censored(self) -> bool:
        """Say whether its end is not on record."""
        return self.lost_on is None


@lru_cache(maxsize=4096)  # of a few scores on a few scales
def percent(baseline: Fraction, later: Fraction, *, is_lower_better: bool = True) -> Fraction | None:
    """Return by how many percent `later` is better than `baseline`; negative when worse, None for a baseline of 0."""
    if baseline == 0:
        return None
    gain = baseline - later if is_lower_better else later - baseline
    return gain * 100 / baseline


def reliefs(baseline: Fraction | None, scores: Iterable[tuple[date, Fraction]], *, is_lower_better: bool = True) -> Readings:
    """Return the relief of each score by day; of one day the better one comes first."""
    if baseline is None or baseline == 0:
        return ()
    found = [(on, percent(baseline, value, is_lower_better=is_lower_better)) for on, value in scores]
    return tuple(sorted(((on, pct) for on, pct in found if pct is not None), key=lambda one: (one[0], -one[1])))


def lasting(readings: Readings, threshold: Fraction) -> Lasting | None:
    """Return how long relief of at least the threshold lasted, or None when it was never recorded."""
    reached_on = held_until = None
    for on, pct in readings:
        if pct >= threshold:
            reached_on = reached_on or on
            held_until = on
        elif reached_on is not None and held_until is not None:
            return Lasting(reached_on, held_until, on)
    if reached_on is None or held_until is None:
        return None
    return Lasting(reached_on, held_until, None)


def meaningful(change: Fraction, *, absolute: Fraction | None, pct: Fraction | None, relative: Fraction | None = None) -> bool:
    """Say whether a change for the better is as large as the table's smallest meaningful one, by either measure."""
    if absolute is not None and change >= absolute:
        return True
    return pct is not None and relative is not None and relative >= pct
