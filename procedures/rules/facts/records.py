"""What is on record about a patient beside sessions: medicines, results, allergies, the problem treated, who pays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Medication:
    """A blood thinner or the like, by the row of the drug table.

    `last_dose` is a date or a moment, past or planned; None with `is_taken` means that it is still taken. `cleared_for` are the
    last dose and the restart to which the prescriber agreed; None where the word is for any slot. `told_last` is the wall-clock
    moment that the patient gave as the last dose once the hold for `cleared_for` had begun. `decided_for` is the wall-clock
    start of the slot for which it was decided together, None where nobody said for which; `decided` is what, in words.
    """

    drug: str
    last_dose: date | datetime | None = None
    is_taken: bool = True
    dose: str = ""
    indication: str = ""
    is_cleared: bool | None = None
    is_decided: bool | None = None
    cleared_for: tuple[date | datetime | None, date | datetime | None] | None = None
    told_last: datetime | None = None
    decided_for: datetime | None = None
    decided: str = ""


@dataclass(frozen=True, slots=True)
class Lab:
    """A result with its date."""

    test: str
    on: date
    value: Fraction


@dataclass(frozen=True, slots=True)
class Vaccine:
    """A vaccine given or planned."""

    kind: str
    on: date


@dataclass(frozen=True, slots=True)
class Allergy:
    """A reaction in the past. An empty severity is not known."""

    agent: str
    severity: str = ""


@dataclass(frozen=True, slots=True)
class Implant:
    """An implanted device, and whether a plan for it is recorded."""

    device: str
    has_plan: bool | None = None


@dataclass(frozen=True, slots=True)
class Stent:
    """A coronary stent. `placed_on` None is not on file."""

    kind: str
    placed_on: date | None
    is_after_acs: bool = False


@dataclass(frozen=True, slots=True)
class Surgery:
    """An operation that is planned."""

    kind: str
    site: str
    on: date


@dataclass(frozen=True, slots=True)
class Presentation:
    """The problem treated. `missing` are words of the tables known not to be met; `on_file` those known to be."""

    indication: str = ""
    icd10: str | None = None
    pain_weeks: int | None = None
    conservative_weeks: int | None = None
    pain_score: Fraction | None = None
    provocation_tests: int | None = None
    imaging_months: Fraction | None = None
    missing: frozenset[str] = frozenset()
    on_file: frozenset[str] = frozenset()
    episode_started: date | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """A payer's word on a procedure or a family. `family` is the family of what it covers.

    Empty `codes`, `sides` and `levels` and None for `units_left` are without a limit. `case` is the one it is bound to.
    """

    covers: str
    family: str
    status: str
    decided_on: date | None = None
    valid_until: date | None = None
    valid_from: date | None = None
    codes: frozenset[str] = frozenset()
    sides: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    units_left: int | None = None
    case: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Who pays and by which rules."""

    payer_rules: str = ""
    plan_type: str = ""
    authorizations: tuple[Authorization, ...] = ()
    year_anchor: date | None = None
