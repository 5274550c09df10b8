"""What is asked for: the request, each procedure of it with its details, and what was eaten or drunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property

from procedures.rules.places import Site, is_low_back, payer_regions, sites_of


@dataclass(frozen=True)
class Wanted:
    """One procedure that is asked for, with its details. `drug` is empty for none, `bleeding_class` for not known.

    `has_drug_told` is False where nobody has said yet which steroid: `drug` is then the usual one, as `temperature_c` is where
    `has_heat_told` is False. `category` to `driver`
    are the catalogue's facts about it, handed in so that rules need no catalogue.
    """

    procedure: str
    family: str
    side: str = ""
    levels: tuple[str, ...] = ()
    role: str = "therapeutic"
    site: str = ""
    drug: str = ""
    dose_mg: Fraction | None = None
    bilateral_reason: str = ""
    guidance: str = ""
    contrast: str = "none"
    technique: str = ""
    temperature_c: Fraction | None = None
    modic_type: int | None = None
    muscles: tuple[str, ...] = ()
    body_areas: tuple[str, ...] = ()
    bleeding_class: str = ""
    category: str = ""
    approach: str = ""
    codes: frozenset[str] = frozenset()
    driver: str = ""
    has_drug_told: bool = True
    has_heat_told: bool = field(default=True, repr=False)
    # The regions of the body for which the catalogue offers it; not in `repr`, by which waivers know what they were given for.
    offered_regions: tuple[str, ...] = field(default=(), repr=False)
    # What people call it. It decides nothing, and two that differ by it alone are the same.
    name: str = field(default="", repr=False, compare=False)

    @property
    def called(self) -> str:
        """Return its name, or its id where nobody handed one in."""
        return self.name or self.procedure

    @cached_property
    def regions(self) -> frozenset[str]:
        """Return its payer regions."""
        return payer_regions(self.family, self.approach, self.levels)

    @property
    def is_low_back(self) -> bool:
        """Say whether it is known to be done in the low back: lumbar or sacral, and nowhere else."""
        return is_low_back(self.levels, self.body_areas, self.offered_regions)

    @cached_property
    def sites(self) -> frozenset[Site]:
        """Return its sites: one level on one side each."""
        return sites_of(self.family, self.levels, self.side, self.site)


@dataclass(frozen=True)
class Intake:
    """Something eaten or drunk, or planned to be, and when it ended."""

    what: str
    ended_at: datetime


@dataclass(frozen=True)
class Request:
    """What is to be booked. Several procedures of one date stand in `several`; else the first fields say it all."""

    on: date
    procedure: str
    family: str
    side: str = ""
    levels: tuple[str, ...] = ()
    starts_at: datetime | None = None
    sedation: str = "none"
    guidance: str = field(default="", kw_only=True)  # empty: none
    regions: tuple[str, ...] = field(default=(), kw_only=True)  # of the body, those of the levels included
    several: tuple[Wanted, ...] = field(default=(), kw_only=True)
    place_of_service: str | None = field(default=None, kw_only=True)
    state: str | None = field(default=None, kw_only=True)
    has_driver: bool | None = field(default=None, kw_only=True)
    intake: tuple[Intake, ...] = field(default=(), kw_only=True)
    premedication: str | None = field(default="", kw_only=True)  # empty: none is planned
    rationale: str = field(default="", kw_only=True)
    site_reason: str = field(default="", kw_only=True)
    is_planned_series: bool = field(default=False, kw_only=True)
    problem: int | None = field(default=None, kw_only=True)  # key of the one on record that is meant; None: it is chosen
    case: str = field(default="", kw_only=True)  # the booked case, to which an authorization may be bound
    is_booked: bool = field(default=False, kw_only=True)  # it stands on this date already

    @cached_property
    def wanted(self) -> tuple[Wanted, ...]:
        """Return everything that is asked for."""
        return self.several or (Wanted(self.procedure, self.family, self.side, self.levels, guidance=self.guidance),)
