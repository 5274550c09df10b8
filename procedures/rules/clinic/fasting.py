"""Fasting before sedation, GLP-1 drugs, and who takes the patient home."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from procedures.rules.dates import instant, told, wall_clock
from procedures.rules.facts import Facts
from procedures.rules.findings import Finding, Plain
from procedures.rules.rows import Ruled, not_asked

SEDATED = frozenset({"moderate", "deep", "mac", "general"})


@dataclass(frozen=True)
class Fasting(Ruled):
    """At least so many real hours between the end of an intake and the start, when sedation is planned."""

    intake: str
    hours: Fraction

    def check(self, facts: Facts, on: date) -> Finding | None:
        request = facts.request
        ended = [instant(one.ended_at, facts.zone) for one in request.intake if one.what == self.intake]
        if not ended or not self.hours or request.sedation not in SEDATED:
            return None
        free = max(ended) + timedelta(seconds=int(self.hours * 3600))
        if instant(facts.starts(on), facts.zone) >= free:
            return None
        earliest = wall_clock(free, facts.zone)
        ended_at = wall_clock(max(ended), facts.zone)
        name = self.intake.replace("_", " ")
        message = f"{name.capitalize()} until {told(ended_at)}: {float(self.hours):g} hours of fasting end at {told(earliest)}."
        evidence: dict[str, Plain] = {"intake": self.intake, "ended_at": ended_at.isoformat(), "hours": float(self.hours)}
        return self.row.finding(message, evidence=evidence, earliest=earliest)


@dataclass(frozen=True)
class Glp1(Ruled):
    """A GLP-1 drug slows the stomach: ask, before sedation."""

    schedule: str
    text: str

    def check(self, facts: Facts, on: date) -> Finding | None:
        if facts.request.sedation not in SEDATED:
            return None
        if facts.glp1 is None:
            return not_asked(self, facts, "GLP-1 medicines")
        if facts.glp1 != self.schedule:
            return None
        return self.row.finding(self.text, evidence={"glp1": self.schedule})


@dataclass(frozen=True)
class Escort(Ruled):
    """Somebody has to take the patient home: always after sedation, else when the catalogue says so."""

    is_by_catalogue: bool
    hours: int | None = None

    def check(self, facts: Facts, on: date) -> Finding | None:
        has_driver = facts.request.has_driver
        if has_driver:
            return None
        is_sedated = facts.request.sedation in SEDATED
        if is_sedated is self.is_by_catalogue or (self.is_by_catalogue and not self._needs_driver(facts)):
            return None
        why = "by the catalogue" if self.is_by_catalogue else "after sedation"
        stay = f", and a responsible adult for {self.hours} hours" if self.hours else ""
        message = f"A driver is needed {why}{stay}; {'none is named yet' if has_driver is None else 'there is none'}."
        return self.row.finding(message, is_pending=has_driver is None)

    def _needs_driver(self, facts: Facts) -> bool:
        is_drowsy = facts.request.sedation not in ("none", "")
        return any(
            one.driver == "required" or (is_drowsy and one.driver == "required_if_sedated") for one in facts.request.wanted
        )
