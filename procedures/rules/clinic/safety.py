"""Infection, surgery, contrast, pregnancy, implants and allergies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from procedures.rules.dates import DAY, Period, instant, told, wall_clock
from procedures.rules.facts import Facts, Wanted
from procedures.rules.findings import Finding, Plain, Severity
from procedures.rules.places import is_same_part
from procedures.rules.rows import Ruled, not_asked

CONTRAST = "iodinated_contrast"
CANAL_CATEGORIES = frozenset({"epidural"})
CANAL_FAMILIES = frozenset({"it_pump", "facet_cyst"})
STIMULATORS = frozenset({"scs", "dbs", "it_pump"})
STIMULATOR_FAMILIES = frozenset({"scs_trial", "scs_implant", "pns"})


@dataclass(frozen=True)
class Infection(Ruled):
    """Nothing with an active infection."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        if facts.has_infection is None:
            return not_asked(self, facts, "an infection")
        return self.row.finding("An active infection is on file.") if facts.has_infection else None


@dataclass(frozen=True)
class Antibiotics(Ruled):
    """So many days after the last day of a course of antibiotics."""

    days: int

    def check(self, facts: Facts, on: date) -> Finding | None:
        until = facts.antibiotics_until
        if until is None and facts.has_infection is None:
            return not_asked(self, facts, "antibiotics")
        earliest = None if until is None else until + timedelta(days=self.days)
        if earliest is None or on >= earliest:
            return None
        message = f"Antibiotics until {until}; {self.days} days after end on {earliest}."
        return self.row.finding(message, earliest=earliest)


@dataclass(frozen=True)
class Arthroplasty(Ruled):
    """No steroid into a joint shortly before it is replaced."""

    period: Period

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = [one for one in self.asked(facts) if one.drug]
        days = [
            surgery.on
            for surgery in facts.surgeries
            if surgery.kind == "arthroplasty" and any(_is_joint(one, surgery.site) for one in asked)
        ]
        near = [day for day in days if self._is_near(on, day)]
        if not near:
            return None
        earliest = on
        while any(self._is_near(earliest, day) for day in days):
            earliest = max(day for day in days if self._is_near(earliest, day)) + DAY
        message = f"The joint is to be replaced on {near[0]}, within {self.period}."
        return self.row.finding(message, earliest=earliest, evidence={"surgery_on": near[0].isoformat()})

    def _is_near(self, on: date, surgery: date) -> bool:
        return self.period.before(surgery) < on <= surgery


def _is_joint(one: Wanted, site: str) -> bool:
    named = [one.site, f"{one.side}_{one.site}" if one.side in ("left", "right") else one.site]
    return any(name and is_same_part(name, "", site, "") for name in named)


@dataclass(frozen=True)
class ContrastReaction(Ruled):
    """After a mild or moderate reaction: a premedication plan whose first dose still lies after the booking."""

    hours: tuple[tuple[str, Fraction], ...]
    severities: frozenset[str] = frozenset({"mild", "moderate"})

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not plans_iodine(facts):
            return None
        if facts.allergies is None:
            return not_asked(self, facts, "a reaction to contrast")
        held = {one.severity for one in facts.allergies if one.agent == CONTRAST}
        if not held & self.severities:
            return _not_graded(self) if "" in held else None
        plan = facts.request.premedication
        lead = dict(self.hours).get(plan or "")
        if lead is None or plan is None:
            told_ = "it is not yet said which" if plan is None else "no"
            message = f"A contrast reaction is on file and {told_} premedication is planned."
            return self.row.finding(message, is_pending=plan is None, about="not yet planned" if plan is None else "")
        ahead = timedelta(seconds=int(lead * 3600))
        due = instant(facts.starts(on), facts.zone) - ahead
        booked = instant(facts.booked_at, facts.zone)
        evidence: dict[str, Plain] = {"plan": plan, "first_dose": wall_clock(due, facts.zone).isoformat()}
        name = plan.replace("_", " ")
        if due < booked:
            earliest = wall_clock(booked + ahead, facts.zone)
            message = f"The first dose of {name} was due before the booking; it can be given for a start from {told(earliest)}."
            return self.row.finding(message, evidence=evidence, earliest=earliest)
        message = f"Premedication with {name}: first dose at {told(wall_clock(due, facts.zone))}."
        return self.row.finding(message, evidence=evidence, severity=Severity.ADVICE)

    def asks(self, facts: Facts) -> frozenset[str]:
        held = {one.severity for one in facts.allergies or () if one.agent == CONTRAST}
        if not plans_iodine(facts) or not held:
            return frozenset()
        return frozenset({"contrast", "premedication"} if held & self.severities else {"contrast"})


@dataclass(frozen=True)
class ContrastAllergy(Ruled):
    """A note or a stop where iodinated contrast is planned and an allergy is on file."""

    agent: str
    text: str
    severity: str = ""

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not plans_iodine(facts):
            return None
        if facts.allergies is None:
            return not_asked(self, facts, f"a reaction to {self.agent.replace('_', ' ')}")
        held = {one.severity for one in facts.allergies if one.agent == self.agent}
        if self.severity in held or (held and not self.severity):
            return self.row.finding(self.text)
        return _not_graded(self) if "" in held else None

    def asks(self, facts: Facts) -> frozenset[str]:
        is_held = any(one.agent == self.agent for one in facts.allergies or ())
        return frozenset({"contrast"} if is_held and plans_iodine(facts) and self.row.severity.refuses else ())


def _not_graded(rule: Ruled) -> Finding:
    """Return the finding for a reaction of which nobody has said how severe it was."""
    message = "A contrast reaction is on file and how severe it was is not."
    return rule.row.finding(message, is_pending=True, about="not yet graded")


def plans_iodine(facts: Facts) -> bool:
    """Say whether iodinated contrast is planned."""
    return any(one.contrast == "iodinated" for one in facts.request.wanted)


@dataclass(frozen=True)
class Gadolinium(Ruled):
    """Gadolinium is no substitute near the spinal canal."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        near = any(
            one.contrast == "gadolinium" and (one.category in CANAL_CATEGORIES or one.family in CANAL_FAMILIES)
            for one in facts.request.wanted
        )
        return self.row.finding("Gadolinium is planned near the spinal canal.") if near else None


@dataclass(frozen=True)
class Pregnancy(Ruled):
    """No rays in pregnancy; where it is not known, ask and test."""

    guidance: frozenset[str]
    ages: tuple[int, int]

    def check(self, facts: Facts, on: date) -> Finding | None:
        if facts.pregnant is False or not any(one.guidance in self.guidance for one in facts.request.wanted):
            return None
        if facts.pregnant:
            return self.row.finding("The patient is pregnant: postpone, or ultrasound instead.")
        age = facts.age if facts.birth_on is None else years_between(facts.birth_on, on)
        if facts.sex not in ("female", None) or (age is not None and not self.ages[0] <= age <= self.ages[1]):
            return None
        message = "Pregnancy is not known: ask, and test on the day when in doubt."
        return self.row.finding(message, severity=Severity.NEEDS_OVERRIDE, is_pending=True)


def years_between(birth_on: date, on: date) -> int:
    """Return the age on a date."""
    return on.year - birth_on.year - ((on.month, on.day) < (birth_on.month, birth_on.day))


@dataclass(frozen=True)
class DevicePlan(Ruled):
    """Ablation near an implanted device needs a plan for the device."""

    devices: frozenset[str]

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not self.asked(facts):
            return None
        if facts.implants is None:
            return not_asked(self, facts, "an implanted device")
        held = [one for one in facts.implants if one.device in self.devices and not one.has_plan]
        if not held:
            return None
        names = ", ".join(sorted({one.device.replace("_", " ") for one in held}))
        is_pending = all(one.has_plan is None for one in held)
        return self.row.finding(f"No device plan is recorded for: {names}.", evidence={"devices": names}, is_pending=is_pending)


@dataclass(frozen=True)
class MriStatus(Ruled):
    """A note on what to record about every stimulator or pump, and about a pacemaker before a stimulator."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        devices = {one.device for one in facts.implants or ()}
        if devices & STIMULATORS or (devices and facts.families & STIMULATOR_FAMILIES):
            return self.row.finding("Record MRI status, make, model and lead position of the device.")
        return None


@dataclass(frozen=True)
class AllergyNote(Ruled):
    """A note for an allergy that is on file."""

    agent: str
    text: str

    def check(self, facts: Facts, on: date) -> Finding | None:
        return self.row.finding(self.text) if any(one.agent == self.agent for one in facts.allergies or ()) else None
