"""What the patient had, or is booked to have, on other dates, and how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property

from procedures.rules.places import Site, payer_regions, sites_of

STANDING = frozenset({"performed", "booked"})
ELSE_CALLED = {"other": "another injection"}


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
    # What people call it. It decides nothing, and two that differ by it alone are the same.
    name: str = field(default="", kw_only=True, repr=False, compare=False)

    @property
    def called(self) -> str:
        """Return its name, or its id where nobody handed one in."""
        return self.name or ELSE_CALLED.get(self.procedure, self.procedure)

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
        return " ".join(part for part in (self.on.isoformat(), self.called, where, *(f"({mark})" for mark in marks)) if part)


def _records(pairs: Iterable[tuple[date, Fraction | None]]) -> tuple[tuple[date, Fraction], ...]:
    known = [(on, value) for on, value in pairs if value is not None]
    return tuple(sorted(known, key=lambda record: (record[0], -record[1])))


def by_date(sessions: Iterable[Session]) -> Mapping[date, list[Session]]:
    """Return sessions by date of service, in their order: one date is one session."""
    found: dict[date, list[Session]] = {}
    for session in sessions:
        found.setdefault(session.on, []).append(session)
    return found
