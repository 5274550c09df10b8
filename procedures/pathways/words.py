"""What a pathway is made of, what a course asks of the planner, and the four answers that it may get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from functools import cached_property
from typing import Protocol, TypeAlias

from procedures.rules.dates import Period
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Rule
from procedures.rules.places import Site

# Where a pathway gives no interval: ideal a week after the earliest day, latest six weeks after it.
IDEAL, LATEST = timedelta(days=7), timedelta(days=42)


class Match(Enum):
    """What makes a session one of a course's, beside its family."""

    REGION = "region"
    SITE = "site"
    PROCEDURE = "procedure"
    FAMILY = "family"


class Owner(Enum):
    """On whom a course waits."""

    PATIENT = "patient"
    PHYSICIAN = "physician"
    NURSE = "nurse"
    DESK = "desk"
    BILLER = "biller"


class Opened(Enum):
    """How a gate stands."""

    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a gate stands and why; while it waits, on whom and until when."""

    state: Opened
    told: str
    owner: Owner = Owner.PHYSICIAN
    due_on: date | None = None
    code: str = "gate_closed"
    about: date | None = None  # the day of the visit whose answer is waited for


@dataclass(frozen=True, slots=True)
class Visit:
    """One step as it was done: its sessions, of several dates where the sides were staged."""

    step: Step
    sessions: tuple[Session, ...]

    @property
    def on(self) -> date:
        """Return its last date."""
        return self.sessions[-1].on


@dataclass(frozen=True, slots=True)
class Scene:
    """What a gate looks at: the visits so far, what would come next, and everything that is known."""

    visits: tuple[Visit, ...]
    wanted: Wanted
    aim: Aim
    facts: Facts
    on: date

    def last(self, step: str = "") -> Visit | None:
        """Return the last visit, or the last one of a step."""
        found = [visit for visit in self.visits if not step or visit.step.id == step]
        return found[-1] if found else None


class Gate(Protocol):
    """A condition on what was before."""

    def judge(self, scene: Scene) -> Verdict:
        """Return how it stands."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time of months and days together."""

    months: Period = field(default_factory=Period)
    days: Period = field(default_factory=Period)

    def after(self, day: date) -> date:
        """Return the day that lies this long after another."""
        return self.days.after(self.months.after(day))

    def __str__(self) -> str:
        parts = [str(part) for part in (self.months, self.days) if part != Period()]
        return " and ".join(parts) or "no time"


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that may follow a step. The first whose gates are open counts."""

    to: str
    why: str = ""
    earliest: Span = field(default_factory=Span)
    ideal: Span | None = None
    latest: Span | None = None
    expires: Span | None = None
    gates: tuple[Gate, ...] = ()
    only_if: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pathway: what is done in it, and what may follow."""

    id: str
    name: str
    families: frozenset[str]
    role: str = ""
    is_staged: bool = False
    pairs_with: str = ""  # the step that must be booked together with this one
    begins: tuple[Gate, ...] = ()  # asked where a course starts with it
    then: tuple[Way, ...] = ()

    def is_done_by(self, session: Session) -> bool:
        """Say whether a session was this step, by its family and role."""
        return session.family in self.families and (not self.role or session.role == self.role)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many sessions of some families in a rolling window. `per` is region, site or patient."""

    most: int
    period: Period
    per: str
    families: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pathway:
    """A plan of repeat sessions. `staging` is the gap between two sides that are done on two dates."""

    id: str
    name: str
    match: Match
    steps: tuple[Step, ...]
    staging: Span | None = None
    limit: Limit | None = None
    is_on: bool = True  # off: no course starts on it, and those on it stop until it is on again

    def step(self, name: str) -> Step:
        """Return a step by its id."""
        return next(step for step in self.steps if step.id == name)

    def has(self, name: str) -> bool:
        """Say whether there is a step of this id: what was planned before a new version may name one that is gone."""
        return any(step.id == name for step in self.steps)

    @property
    def families(self) -> frozenset[str]:
        """Return every family of its steps."""
        return frozenset(family for step in self.steps for family in step.families)


@dataclass(frozen=True)
class Aim:
    """What a course asks for: what would be done in each step, and the bounds that a physician set.

    `works` is by step, its side and levels those of the course. `since` is the first date whose sessions belong to it.
    `trusted_until`: gates about sessions up to this date are taken as open, by a physician's word (a restart, a review).
    """

    works: Mapping[str, Wanted]
    since: date
    is_staged: bool = False
    first_side: str = "left"
    most: int | None = None
    not_before: date | None = None
    not_after: date | None = None
    gap_days: int | None = None
    trusted_until: date | None = None
    wishes: frozenset[str] = frozenset()
    rationale: str = ""

    @cached_property
    def sites(self) -> frozenset[Site]:
        """Return the sites that it touches."""
        return frozenset(site for one in self.works.values() for site in one.sites)

    @cached_property
    def procedures(self) -> frozenset[str]:
        """Return the procedures that it may need."""
        return frozenset(one.procedure for one in self.works.values())


class Book(Protocol):
    """The rules that a proposal must pass."""

    def rules(self, facts: Facts, on: date) -> Iterable[Rule]:
        """Return the rules in force on a date for what is asked."""

    def turning_points(self, facts: Facts, on: date) -> Iterable[date]:
        """Return the dates after one on which the rules, or what they say, may change by themselves."""


@dataclass(frozen=True, slots=True)
class Companion:
    """What must be booked together with a proposal: so many days after it."""

    step: str
    name: str
    wanted: Wanted
    least_days: int
    most_days: int


@dataclass(frozen=True, slots=True)
class Proposed:
    """The next session: from the earliest day on, best on the ideal one, at the latest on the last.

    `reasons` say why this step and why these days; `conditions` what has to be ready or given a reason by then.
    `blocked_by` is what held it back beyond the pathway's own interval.
    """

    step: str
    name: str
    wanted: Wanted
    earliest: date
    ideal: date
    latest: date
    reasons: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    authorised_until: date | None = None
    companion: Companion | None = None
    booked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be said before a fact arrives. `earliest` is the first day that the step could have once it does."""

    step: str
    name: str
    for_what: str
    owner: Owner
    due_on: date | None = None
    earliest: date | None = None
    reasons: tuple[str, ...] = ()
    booked_on: date | None = None
    about: date | None = None  # the day of the visit whose answer is waited for


@dataclass(frozen=True, slots=True)
class Done:
    """The pathway has no further step."""

    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The course cannot go on by itself, and why."""

    code: str
    reason: str
    booked_on: date | None = None


Answer: TypeAlias = Proposed | Waiting | Done | Stopped
