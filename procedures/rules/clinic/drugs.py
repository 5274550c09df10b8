"""The rows of the drug table as rules read them, and the rule set that may be chosen beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from procedures.rules.facts import Lab

CLASSES = ("low", "intermediate", "high")
LABS = {"inr": "INR", "crcl": "CrCl", "hba1c": "HbA1c", "glucose": "glucose"}
# The convention that stands for the second rule set, as rows and written cases name it.
SECOND_SET = "ipsis_alternative"
SECOND_SET_TOLD = "The IPSIS rule set says so; the clinic chose it for low-risk lumbar and sacral procedures."


@dataclass(frozen=True, slots=True)
class Hold:
    """What a table says for one drug in one bleeding class; of a decision, the length that the row would hold it for."""

    action: str
    hours: Fraction | None = None
    days: int | None = None
    lab: str = ""
    rule_set: str = ""  # which one spoke instead of the row

    @property
    def is_by_hour(self) -> bool:
        """Say whether it is counted in hours, so that the hour of the slot matters beside its day."""
        return self.hours is not None

    @property
    def length(self) -> Fraction:
        """Return the length in hours."""
        return self.hours if self.hours is not None else Fraction(24 * (self.days or 0))

    def told(self) -> str:
        """Return the length as people say it."""
        return f"{float(self.hours):g} hours" if self.hours is not None else f"{self.days} days"


@dataclass(frozen=True, slots=True)
class Modifier:
    """A hold that takes the place of the usual one while a laboratory value is below a figure, and what the table says of it.

    With `is_live` written cases do not know it, and it only lengthens; without a length people have to decide; without a
    figure nothing on file tells whether it applies.
    """

    lab: str
    below: Fraction | None
    hours: Fraction | None = None
    days: int | None = None
    told: str = ""
    is_live: bool = False

    def is_met(self, lab: Lab | None) -> bool:
        """Say whether a result is below the figure."""
        return lab is not None and self.below is not None and lab.value < self.below

    @property
    def length(self) -> Fraction:
        """Return the length in hours; 0 where there is none."""
        return self.hours if self.hours is not None else Fraction(24 * (self.days or 0))


@dataclass(frozen=True, slots=True)
class Drug:
    """One row of the drug table."""

    id: str
    name: str
    drug_class: str
    holds: Mapping[str, Hold]
    restart_hours: Mapping[str, Fraction]
    modifiers: tuple[Modifier, ...] = ()
    source: str = ""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecondSet:
    """The rule set that a clinic may choose beside the guideline's: where it is written (empty: nowhere), and whether it is."""

    source: str = ""
    is_chosen: bool = False

    def tried(self, *, is_on: bool, is_off: bool) -> SecondSet:
        """Return it as a written case tries it."""
        return replace(self, is_chosen=bool(self.source) and not is_off and (is_on or self.is_chosen))


NO_SECOND_SET = SecondSet()
