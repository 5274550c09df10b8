"""All that is known when a request is judged, and what rules ask of it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from itertools import takewhile
from operator import attrgetter

from procedures.rules.dates import as_date, day_end, day_start
from procedures.rules.facts.asking import Request, Wanted
from procedures.rules.facts.records import Allergy, Coverage, Implant, Lab, Medication, Presentation, Stent, Surgery, Vaccine
from procedures.rules.facts.sessions import STANDING, Session

_day_of = attrgetter("on")


def _place(session: Session) -> tuple[object, ...]:
    """Return where a session stands among others: the same whatever order they came in, so that what is told is the same."""
    what = (session.on, session.procedure, session.levels, session.side)
    return *what, session.is_elsewhere, session.role, session.approach, session.site, session.indication, session.drug


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
        return tuple(sorted(kept, key=_place))

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

    def beside(self, on: date) -> list[Session]:
        """Return the sessions that count on a date of service: what is asked for that day is one session with them."""
        held = self.standing  # in order of their days; kept by day they would be many lists for one question
        begins = bisect_left(held, on, key=_day_of)
        return list(takewhile(lambda session: session.on == on, held[begins:]))

    def ahead(self, families: frozenset[str], on: date) -> list[Session]:
        """Return the sessions of some families that are booked for later dates, oldest first.

        There are none for a case that stands: what it does to later ones, these say themselves.
        """
        held = self.of(families)
        if not held or held[-1].on <= on or self.request.is_booked:
            return []
        return [session for session in held if session.on > on and session.status == "booked"]

    def lab(self, test: str, *, until: date, since: date | None = None) -> Lab | None:
        """Return the latest result of a test in some days; of one day the highest. Rules read results by this alone."""
        fitting = [lab for lab in self.labs if lab.test == test and lab.on <= until and (since is None or lab.on >= since)]
        return max(fitting, key=lambda lab: (lab.on, lab.value), default=None)

    @cached_property
    def steroid_sessions(self) -> tuple[Session, ...]:
        """Return the sessions that count in which a steroid was given or is planned, oldest first."""
        return tuple(session for session in self.standing if session.drug)

    def steroids_ahead(self, on: date) -> list[Session]:
        """Return the sessions booked for later dates in which a steroid is planned, oldest first, as `ahead` does."""
        held = self.steroid_sessions
        if not held or held[-1].on <= on or self.request.is_booked:
            return []
        return [session for session in held if session.on > on and session.status == "booked"]

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
