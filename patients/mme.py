"""Morphine milligram equivalents of what somebody takes, from the factors of the outcomes table. Pure: standard library only.

Factors are for estimating risk, never for changing one opioid for another. A drug without a factor (buprenorphine has
none) is named, not guessed; so is a drug whose daily amount nobody wrote down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

REASSESS_AT = Decimal(50)  # MME a day, from which the table asks to reassess


@dataclass(frozen=True, slots=True)
class Taken:
    """One opioid as taken: ``amount`` is mg a day, of a fentanyl patch micrograms an hour."""

    drug: str
    amount: Decimal | None
    started_on: date | None = None
    stopped_on: date | None = None

    def is_taken_on(self, on: date) -> bool:
        """Say whether it is taken on a day; the day on which it was stopped no longer counts."""
        return (self.started_on is None or self.started_on <= on) and (self.stopped_on is None or on < self.stopped_on)


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of a day, and the drugs that could not be counted. With any of these the sum is a lower bound."""

    mme: Decimal
    uncounted: tuple[str, ...] = ()

    @property
    def is_to_reassess(self) -> bool:
        """Say whether the table asks to reassess."""
        return self.mme >= REASSESS_AT


def total(opioids: Iterable[Taken], factors: Mapping[str, Decimal], on: date) -> Total:
    """Return the equivalents of all opioids taken on a day."""
    mme, uncounted = Decimal(0), []
    for one in opioids:
        if not one.is_taken_on(on):
            continue
        factor = factors.get(one.drug)
        if factor is None or one.amount is None:
            uncounted.append(one.drug)
        else:
            mme += one.amount * factor
    return Total(mme, tuple(uncounted))
