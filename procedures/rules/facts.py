"""What is known when a request is judged. Everywhere here None is *unknown*, never *fine*.

The reader of written cases fills every field, because its author vouches for the case (`is_complete`). The live clinic
leaves None where nothing is on file; what rests only on that becomes a pending finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from fractions import Fraction
from functools import cached_property

from procedures.rules.dates import as_date, day_end, day_start
from procedures.rules.places import Site, payer_regions, sites_of

STANDING = frozenset({"performed", "booked"})


@dataclass(frozen=True)
class Wanted:
    """One procedure that is asked for, with its details. `drug` is empty for none, `bleeding_class` for not known.

    `has_drug_told` is False where nobody has said yet which steroid: `drug` is then the usual one. `category` to `driver`
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

    @cached_property
    def regions(self) -> frozenset[str]:
        """Return its payer regions."""
        return payer_regions(self.family, self.approach, self.levels)

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
    case: str = field(default="", kw_only=True)  # the booked case, to which an authorization may be bound

    @cached_property
    def wanted(self) -> tuple[Wanted, ...]:
        """Return everything that is asked for."""
        return self.several or (Wanted(self.procedure, self.family, self.side, self.levels, guidance=self.guidance),)


@dataclass(frozen=True, slots=True)
class Score:
    """How the patient did on one day, in percent better than before; None was not recorded."""

    on: date
    pain: Fraction | None = None
    function: Fraction | None = None


@dataclass(frozen=True)
class Session:
    """What the patient had, or is booked to have, on another date. `status` is one of the four words of `assess`."""

    on: date
    procedure: str
    family: str
    status: str
    side: str = ""
    levels: tuple[str, ...] = ()
    is_elsewhere: bool = False
    role: str = field(default="therapeutic", kw_only=True)
    approach: str = field(default="", kw_only=True)
    site: str = field(default="", kw_only=True)
    indication: str = field(default="", kw_only=True)
    drug: str = field(default="", kw_only=True)
    dose_mg: Fraction | None = field(default=None, kw_only=True)
    has_kx: bool = field(default=True, kw_only=True)
    scores: tuple[Score, ...] = field(default=(), kw_only=True)
    has_range: bool = field(default=False, kw_only=True)
    function_improved: bool | None = field(default=None, kw_only=True)
    medication_reduced: bool | None = field(default=None, kw_only=True)
    medication_reduction: Fraction | None = field(default=None, kw_only=True)
    matched_agent: bool | None = field(default=None, kw_only=True)
    lead_removed_on: date | None = field(default=None, kw_only=True)

    @cached_property
    def regions(self) -> frozenset[str]:
        """Return its payer regions."""
        return payer_regions(self.family, self.approach, self.levels)

    @cached_property
    def sites(self) -> frozenset[Site]:
        """Return the sites that it covered."""
        return sites_of(self.family, self.levels, self.side, self.site)

    @cached_property
    def pain(self) -> tuple[tuple[date, Fraction], ...]:
        """Return the recorded relief by day; on one day the better figure first."""
        return _records((score.on, score.pain) for score in self.scores)

    @cached_property
    def function(self) -> tuple[tuple[date, Fraction], ...]:
        """Return the recorded gain of function by day; on one day the better figure first."""
        return _records((score.on, score.function) for score in self.scores)

    @cached_property
    def told(self) -> str:
        """Return the session as evidence shows it."""
        where = " ".join(
            part for part in (", ".join(self.levels), "" if self.side == "midline" else self.side, self.site) if part
        )
        marks = [*(["booked"] if self.status == "booked" else []), *(["elsewhere"] if self.is_elsewhere else [])]
        return " ".join(part for part in (self.on.isoformat(), self.procedure, where, *(f"({mark})" for mark in marks)) if part)


def _records(pairs: Iterable[tuple[date, Fraction | None]]) -> tuple[tuple[date, Fraction], ...]:
    known = [(on, value) for on, value in pairs if value is not None]
    return tuple(sorted(known, key=lambda record: (record[0], -record[1])))


@dataclass(frozen=True, slots=True)
class Medication:
    """A blood thinner or the like, by the row of the drug table.

    `last_dose` is a date or a moment, past or planned; None with `is_taken` means that it is still taken. `cleared_for` are the
    last dose and the restart to which the prescriber agreed; None where the word is for any slot.
    """

    drug: str
    last_dose: date | datetime | None = None
    is_taken: bool = True
    dose: str = ""
    indication: str = ""
    is_cleared: bool | None = None
    is_decided: bool | None = None
    cleared_for: tuple[date | datetime | None, date | datetime | None] | None = None


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


@dataclass(frozen=True)
class Facts:
    """What is known when a request is judged. None is *unknown*, never *fine*.

    `is_complete` is for written cases, whose author vouches that nothing else happened: there nothing is pending.
    """

    request: Request
    sessions: tuple[Session, ...] = ()
    birth_on: date | None = None
    sex: str | None = None
    as_of: date | datetime | None = field(default=None, kw_only=True)
    zone: tzinfo = field(default=UTC, kw_only=True)
    age: int | None = field(default=None, kw_only=True)
    pregnant: bool | None = field(default=None, kw_only=True)
    conditions: frozenset[str] | None = field(default=None, kw_only=True)
    bleeding_risk_factors: tuple[str, ...] = field(default=(), kw_only=True)
    has_infection: bool | None = field(default=None, kw_only=True)
    antibiotics_until: date | None = field(default=None, kw_only=True)
    glp1: str | None = field(default="", kw_only=True)  # empty: none is taken
    stents: tuple[Stent, ...] = field(default=(), kw_only=True)
    surgeries: tuple[Surgery, ...] = field(default=(), kw_only=True)
    medications: tuple[Medication, ...] | None = field(default=None, kw_only=True)
    labs: tuple[Lab, ...] = field(default=(), kw_only=True)
    vaccines: tuple[Vaccine, ...] | None = field(default=(), kw_only=True)
    allergies: tuple[Allergy, ...] | None = field(default=None, kw_only=True)
    implants: tuple[Implant, ...] | None = field(default=None, kw_only=True)
    presentation: Presentation = field(default=Presentation(), kw_only=True)
    coverage: Coverage = field(default=Coverage(), kw_only=True)
    is_complete: bool = field(default=False, kw_only=True)

    @cached_property
    def kept(self) -> dict[object, object]:
        """Hold what rules work out of these facts once, each under a key of its own."""
        return {}

    @cached_property
    def families(self) -> frozenset[str]:
        """Return the families that are asked for."""
        return frozenset(one.family for one in self.request.wanted)

    @cached_property
    def standing(self) -> tuple[Session, ...]:
        """Return the sessions that count, performed or booked, oldest first."""
        kept = (session for session in self.sessions if session.status in STANDING)
        return tuple(sorted(kept, key=lambda session: (session.on, session.procedure, session.levels, session.side)))

    @cached_property
    def _by_families(self) -> dict[frozenset[str], tuple[Session, ...]]:
        return {}

    def of(self, families: frozenset[str]) -> tuple[Session, ...]:
        """Return the sessions that count of some families, oldest first."""
        found = self._by_families.get(families)
        if found is None:
            found = tuple(session for session in self.standing if session.family in families)
            self._by_families[families] = found
        return found

    @cached_property
    def _referable(self) -> dict[tuple[frozenset[str], str], tuple[Session, ...]]:
        return {}

    def referable(self, families: frozenset[str], role: str) -> tuple[Session, ...]:
        """Return the sessions of some families and a role that a response may be judged by, oldest first.

        Left out are those before the present episode of care, and those whose stated indication differs from a stated
        one of the request.
        """
        found = self._referable.get((families, role))
        if found is None:
            asked = self.presentation.indication
            found = tuple(
                session
                for session in self.of(families)
                if session.role == role
                and self.episode_holds(session.on)
                and not (asked and session.indication and asked != session.indication)
            )
            self._referable[families, role] = found
        return found

    @cached_property
    def _asked(self) -> dict[tuple[frozenset[str], str, frozenset[str]], list[Wanted]]:
        return {}

    def asked(self, families: frozenset[str], role: str, procedures: frozenset[str]) -> list[Wanted]:
        """Return what is asked for of some families; of one role and only some procedures where these are given."""
        key = (families, role, procedures)
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = [
                one
                for one in self.request.wanted
                if one.family in families and (not role or one.role == role) and (not procedures or one.procedure in procedures)
            ]
        return found

    def earlier(self, families: frozenset[str], on: date) -> list[Session]:
        """Return the sessions of some families before a date, oldest first."""
        return [session for session in self.of(families) if session.on < on]

    def lab(self, test: str, *, until: date, since: date | None = None) -> Lab | None:
        """Return the latest result of a test in some days; of one day the highest. Rules read results by this alone."""
        fitting = [lab for lab in self.labs if lab.test == test and lab.on <= until and (since is None or lab.on >= since)]
        return max(fitting, key=lambda lab: (lab.on, lab.value), default=None)

    @cached_property
    def steroid_sessions(self) -> tuple[Session, ...]:
        """Return the sessions that count in which a steroid was given or is planned, oldest first."""
        return tuple(session for session in self.standing if session.drug)

    @cached_property
    def has_steroid(self) -> bool:
        """Say whether the request contains a steroid."""
        return any(one.drug for one in self.request.wanted)

    @cached_property
    def booked_on(self) -> date:
        """Return the day of booking; where it is not told, the day of the request."""
        return as_date(self.request.on if self.as_of is None else self.as_of, self.zone)

    def starts(self, on: date) -> datetime:
        """Return when the procedure starts on a date; with no time told, at the beginning of the day."""
        starts_at = self.request.starts_at
        if starts_at is None:
            return day_start(on)
        wall = starts_at.astimezone(self.zone).replace(tzinfo=None) if starts_at.tzinfo else starts_at
        return wall if wall.date() == on else datetime.combine(on, wall.time())

    @cached_property
    def booked_at(self) -> datetime:
        """Return the moment of booking; with no time told, the end of that day."""
        if isinstance(self.as_of, datetime):
            return self.as_of
        return day_end(self.booked_on)

    def episode_holds(self, day: date) -> bool:
        """Say whether a day lies in the present episode of care."""
        started = self.presentation.episode_started
        return started is None or day >= started

    def knows(self, word: str) -> bool | None:
        """Say whether something that a table requires is met: None is not yet on file."""
        if word in self.presentation.missing:
            return False
        return True if self.is_complete or word in self.presentation.on_file else None


def by_date(sessions: Iterable[Session]) -> Mapping[date, list[Session]]:
    """Return sessions by date of service, in their order: one date is one session."""
    found: dict[date, list[Session]] = {}
    for session in sessions:
        found.setdefault(session.on, []).append(session)
    return found
