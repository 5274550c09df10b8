"""What the outcome report says, as its page, its table file and the API show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db import models

from patients.estimates import Estimate, Survival

EDGES = (1, 2, 3, 5)  # the windows in years; each contains those before it
MEASURES = ("sessions", "relief", "duration", "pain", "peg", "opioids", "repeat")


class By(models.TextChoices):
    """How sessions are grouped."""

    CATEGORY = "category", "Kind of procedure"
    PROCEDURE = "procedure", "Procedure"
    TARGET = "target", "Target"
    PHYSICIAN = "physician", "Physician"
    PAYER = "payer", "Payer"
    PERIOD = "period", "Quarter"


@dataclass(frozen=True, slots=True)
class Figures:
    """The estimates of one group. A measure that has too few values to show is None."""

    sessions: int
    people: int
    missing: Estimate
    half: Estimate | None
    most: Estimate | None
    duration: Survival | None
    pain: Estimate | None
    peg: Estimate | None
    opioids: Estimate | None
    repeat: Estimate | None
    complications: Estimate


@dataclass(frozen=True, slots=True)
class Group:
    """One line of the report; `code` is a procedure's code, else the group's own word."""

    code: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Choice:
    """A procedure to which the report may be narrowed: one that has enough sessions to be shown."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """The report of one window and grouping.

    `total` is over all groups, the hidden ones too; None where there is too little to show anything. `hidden` counts the
    groups that are left out. `procedure` is the one that the report is narrowed to, if any.
    """

    by: By
    years: int
    first_on: date
    last_on: date
    procedure: Choice | None
    groups: tuple[Group, ...]
    hidden: int
    total: Figures | None
    procedures: tuple[Choice, ...]
