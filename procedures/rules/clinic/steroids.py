"""Steroids: particles, ceilings, totals over years, intervals, indications, diabetes and vaccines.

All of it applies only when the request contains a steroid.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import accumulate
from math import floor, lcm

from procedures.rules.dates import DAY, Period, Window, told
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Plain, Severity
from procedures.rules.payer.caps import is_body_part
from procedures.rules.places import SPINE_FAMILIES
from procedures.rules.rows import NOT_SAID, Ruled, booked_told, days_of, latest, listed, not_asked, plain

FOUR_MG = 4


def mpe(drug: str, dose_mg: Fraction | None, equal_mg: Mapping[str, Fraction]) -> Fraction:
    """Return a dose in methylprednisolone-equivalent milligrams, unrounded."""
    return (dose_mg or Fraction(0)) * FOUR_MG / equal_mg[drug] if drug else Fraction(0)


def one_decimal(value: Fraction) -> float:
    """Return a figure as it is reported, to one decimal."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return float(exact.quantize(Decimal("0.1"), ROUND_HALF_UP))


@dataclass(frozen=True)
class Particulate(Ruled):
    """No steroid with particles for some procedures; where the row says so, a recorded reason clears it."""

    procedures: frozenset[str]
    particulate: frozenset[str]
    is_cleared_by_rationale: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = [one for one in facts.request.wanted if one.procedure in self.procedures]
        wrong = [one for one in asked if one.drug in self.particulate]
        if not wrong and not facts.is_complete and any(not one.has_drug_told for one in asked):
            return self.row.finding("Which steroid is planned is not yet said.", is_pending=True, about=NOT_SAID)
        if not wrong or (self.is_cleared_by_rationale and facts.request.rationale.strip()):
            return None
        drug = plain(wrong[0].drug)
        message = (
            f"{drug.capitalize()} has particles; {'record why' if self.is_cleared_by_rationale else 'not for this approach'}."
        )
        return self.row.finding(message, evidence={"drug": drug, "procedure": wrong[0].called})


@dataclass(frozen=True)
class CervicalLevel(Ruled):
    """No entry above a level, and prior imaging has to be reviewed."""

    procedures: frozenset[str]
    topmost: int
    requires: tuple[str, ...]
    places: Mapping[str, int] = field(hash=False)

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = [one for one in facts.request.wanted if one.procedure in self.procedures]
        if not asked:
            return []
        high = [level for one in asked for level in one.levels if self.places.get(level, self.topmost) < self.topmost]
        bad = [f"entry at {', '.join(high)} is too high"] if high else []
        bad += [f"{word.replace('_', ' ')} is not met" for word in self.requires if facts.knows(word) is False]
        unknown = [word.replace("_", " ") for word in self.requires if facts.knows(word) is None]
        found = [self.row.finding(f"{'; '.join(bad).capitalize()}.", evidence={"faults": "; ".join(bad)})] if bad else []
        if unknown:
            message = f"Not yet on file: {', '.join(unknown)}."
            found.append(self.row.finding(message, is_pending=True, about="not yet on file"))
        return found


@dataclass(frozen=True, slots=True)
class Sums:
    """What was given up to each session, in the order of their days, in whole `parts` of a milligram-equivalent."""

    days: tuple[date, ...]
    upto: tuple[int, ...]
    parts: int

    def places(self, first: date, end: date) -> tuple[int, int]:
        """Return the places between which the sessions of some days lie, the last day left out."""
        return bisect_left(self.days, first), bisect_left(self.days, end)


def sums_of(sessions: Sequence[Session], equal_mg: Mapping[str, Fraction]) -> Sums:
    """Return the sums exactly: whole numbers over one denominator, since adding fractions takes most of an assessment."""
    keys = [(one.drug, *(one.dose_mg.as_integer_ratio() if one.dose_mg is not None else (0, 1))) for one in sessions]
    doses = {key: mpe(key[0], Fraction(key[1], key[2]), equal_mg) for key in set(keys)}
    parts = lcm(*(dose.denominator for dose in doses.values()))
    whole = {key: dose.numerator * (parts // dose.denominator) for key, dose in doses.items()}
    return Sums(tuple(one.on for one in sessions), (0, *accumulate(whole[key] for key in keys)), parts)


@dataclass(frozen=True)
class Total(Ruled):
    """The total of a rolling window, planned dose included; reported also when it is kept.

    `conditions` are those to whom it applies; `is_for_others` applies it to adults without any of them.
    """

    window: Window
    most: Fraction
    equal_mg: Mapping[str, Fraction] = field(hash=False)
    conditions: frozenset[str] = frozenset()
    is_for_others: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        is_known = facts.conditions is not None or facts.is_complete or not self.conditions
        if not facts.has_steroid or (is_known and not self._applies(facts)):
            return None
        planned = sum((mpe(one.drug, one.dose_mg, self.equal_mg) for one in facts.request.wanted), Fraction(0))
        sums = self._sums(facts)
        # What is given the same day counts too: one date is one session.
        begins, ends = sums.places(self.window.first(on, anchor=None, episode=None), on + DAY)
        held = facts.steroid_sessions[begins:ends]
        total = planned + Fraction(sums.upto[ends] - sums.upto[begins], sums.parts)
        crowded = self._crowded(planned, sums, facts, on)
        is_over = total > self.most or bool(crowded)
        if not is_known and not is_over:
            return None  # whoever it may apply to, it is kept
        earliest = self._first_fit(planned, sums, facts, on) if is_over else None
        message = (
            f"{one_decimal(total)} mg methylprednisolone-equivalent in {self.window} {on}, the planned {one_decimal(planned)} mg "
            f"included; the limit is {float(self.most):g}."
        )
        evidence: dict[str, Plain] = {
            "counted": one_decimal(total), "limit": _plain(self.most), "planned": one_decimal(planned),
            "sessions": listed(held),
        }  # fmt: skip
        if crowded:
            worst = max(crowded, key=lambda pair: pair[1])
            message += f" {booked_told([worst[0]])}, with which it would be {one_decimal(worst[1])} mg."
            evidence["later"] = listed(session for session, _ in crowded)
        severity = None if is_over else Severity.ADVICE
        if not is_known:
            message = f"Nobody has asked yet about {' or '.join(sorted(self.conditions))}; with it: {message}"
        # What only the usual dose makes too much is not known before the dose is.
        most = max(total, *(many for _, many in crowded), Fraction(0))
        is_guess = is_over and most - planned <= self.most and not all(one.has_drug_told for one in facts.request.wanted)
        is_pending = not is_known or (is_guess and not facts.is_complete)
        return self.row.finding(message, evidence=evidence, earliest=earliest, severity=severity, is_pending=is_pending)

    def _applies(self, facts: Facts) -> bool:
        has = bool(self.conditions & (facts.conditions or frozenset()))
        if not self.is_for_others:
            return has
        return not has and (facts.age is None or facts.age >= 18)

    def _sums(self, facts: Facts) -> Sums:
        """Return the sums of what was given, worked out once for all totals of a patient."""
        sessions = facts.steroid_sessions
        found = facts.kept.get(id(self.equal_mg))
        if not isinstance(found, Sums):
            found = facts.kept[id(self.equal_mg)] = sums_of(sessions, self.equal_mg)
        return found

    def _crowded(self, planned: Fraction, sums: Sums, facts: Facts, on: date) -> list[tuple[Session, Fraction]]:
        """Return the steroids booked for later dates that would be too much after what is planned, each with its total."""
        found = []
        for later in facts.steroids_ahead(on):
            first = self.window.first(later.on, anchor=None, episode=None)
            begins, ends = sums.places(first, later.on + DAY)
            total = planned + Fraction(sums.upto[ends] - sums.upto[begins], sums.parts)
            if first <= on and total > self.most:
                found.append((later, total))
        return found

    def _first_fit(self, planned: Fraction, sums: Sums, facts: Facts, on: date) -> date | None:
        room = floor((self.most - planned) * sums.parts)

        def fits(day: date) -> bool:
            begins, ends = sums.places(self.window.first(day, anchor=None, episode=None), day + DAY)
            return sums.upto[ends] - sums.upto[begins] <= room and not self._crowded(planned, sums, facts, day)

        turns = {*self.window.turns(sums.days, on, anchor=None), *days_of(facts.steroids_ahead(on))}
        return next((day for day in sorted(turns) if fits(day)), None)


def _plain(value: Fraction) -> Plain:
    return int(value) if value.denominator == 1 else float(value)


@dataclass(frozen=True)
class SteroidInterval(Ruled):
    """At least so long since the last steroid: in the same region, in another one, or in the same joint."""

    period: Period
    scope: str

    def check(self, facts: Facts, on: date) -> Finding | None:
        short, close = self._short(facts, on), self._close(facts, on)
        if not short and not close:
            return None
        held = facts.steroid_sessions
        days = {self.period.after(one.on) for one in held} | days_of(facts.steroids_ahead(on))
        earliest = next(day for day in sorted(days) if day > on and not self._short(facts, day) and not self._close(facts, day))
        where = {"same_region": "in the same region", "same_joint": "in the same joint"}.get(self.scope, "in another region")
        told_, evidence = [], dict[str, Plain]()
        if short:
            last = max(short, key=lambda session: session.on)
            told_.append(f"The last steroid {where} was on {last.on}")
            evidence["sessions"] = listed([last])
        if close:
            told_.append(f"The next steroid {where} is booked for {close[0].on}")
            evidence["later"] = listed(close)
        end = f"{self.period} must lie between, free from {earliest}" if close else f"{self.period} end on {earliest}"
        evidence["interval"] = str(self.period)
        return self.row.finding(f"{'. '.join(told_)}; {end}.", evidence=evidence, earliest=earliest)

    def _short(self, facts: Facts, on: date) -> list[Session]:
        """Return the last steroids after which it would be too soon."""
        families = self.row.families
        asked = [one for one in facts.request.wanted if one.drug and (not families or one.family in families)]
        short: list[Session] = []
        for one in asked:
            fitting = [session for session in facts.steroid_sessions if session.on < on and self._fits(one, session)]
            if fitting and self.period.after(fitting[-1].on) > on:
                short.append(fitting[-1])
        return short

    def _close(self, facts: Facts, on: date) -> list[Session]:
        """Return the steroids booked for later that would be too soon after what is planned."""
        given = [one for one in facts.request.wanted if one.drug]
        if not given:
            return []
        return [
            later
            for later in facts.steroids_ahead(on)
            if self.speaks_of(later) and self.period.after(on) > later.on and any(self._fits(later, one) for one in given)
        ]

    def _fits(self, one: Wanted | Session, session: Wanted | Session) -> bool:
        if self.scope == "same_joint":
            return session.family in self.row.families and is_body_part(one, session)
        return is_same_region(one, session) is (self.scope == "same_region")


def is_same_region(one: Wanted | Session, session: Wanted | Session) -> bool:
    """Say whether two steroids go to the same payer region of the spine, or to the same body part elsewhere."""
    if one.regions or session.regions:
        return bool(one.regions & session.regions)
    if one.family in SPINE_FAMILIES or session.family in SPINE_FAMILIES:
        return one.family == session.family
    return is_body_part(one, session)


@dataclass(frozen=True)
class NotIndicated(Ruled):
    """A steroid that is advised against: by family, by procedure, or for an indication of the occipital block."""

    procedures: frozenset[str] = frozenset()
    occipital_indications: frozenset[str] = frozenset()

    def check(self, facts: Facts, on: date) -> Finding | None:
        for one in facts.request.wanted:
            is_occipital = one.procedure == "occipital_block" and facts.presentation.indication in self.occipital_indications
            if one.drug and (one.family in self.row.families or one.procedure in self.procedures or is_occipital):
                message = f"A steroid is advised against in {one.called}."
                return self.row.finding(message, evidence={"procedure": one.called, "drug": plain(one.drug)})
        return None


@dataclass(frozen=True)
class Supported(Ruled):
    """A steroid that a guideline supports."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        indication = facts.presentation.indication
        for one in facts.request.wanted:
            is_occipital = one.procedure == "occipital_block" and "cluster" in indication
            is_groin = one.procedure == "ilioinguinal_block" and (not indication or "hernia" in indication)
            if one.drug and (is_occipital or is_groin):
                return self.row.finding("Guidelines support a steroid here.", evidence={"procedure": one.called})
        return None


@dataclass(frozen=True)
class SteroidNote(Ruled):
    """A note whenever a steroid is planned; with `condition` for those patients, with `vaccines` when one is listed."""

    text: str
    condition: str = ""
    vaccines: frozenset[str] = frozenset()

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not facts.has_steroid or (self.condition and self.condition not in (facts.conditions or ())):
            return None
        if self.vaccines and not any(vaccine.kind in self.vaccines for vaccine in facts.vaccines or ()):
            return None
        return self.row.finding(self.text)


@dataclass(frozen=True)
class A1c(Ruled):
    """The latest HbA1c must not be above a limit."""

    most: Fraction

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not facts.has_steroid:
            return None
        lab = facts.lab("hba1c", until=on)
        if lab is None and facts.conditions is None:
            return not_asked(self, facts, "diabetes")
        if lab is None and "diabetes" in (facts.conditions or ()) and not facts.is_complete:
            return self.row.finding("No HbA1c of this diabetic patient is on file.", is_pending=True, about="not yet on file")
        if lab is None or lab.value <= self.most:
            return None
        message = f"HbA1c {float(lab.value):g}% of {lab.on} is above {float(self.most):g}%."
        evidence: dict[str, Plain] = {"value": float(lab.value), "most": float(self.most), "dated": lab.on.isoformat()}
        return self.row.finding(message, evidence=evidence)

    def turning_points(self, facts: Facts) -> list[date]:
        return [day for lab in facts.labs for day in (lab.on, lab.on + DAY)]


@dataclass(frozen=True)
class Glucose(Ruled):
    """Glucose of the day of the procedure: a reason above one figure, refused above another."""

    warn_above: Fraction
    deny_above: Fraction

    def check(self, facts: Facts, on: date) -> Finding | None:
        lab = facts.lab("glucose", since=on, until=on) if facts.has_steroid else None
        if lab is None or lab.value <= self.warn_above:
            return None
        severity = Severity.BLOCKER if lab.value > self.deny_above else None
        limit = self.deny_above if severity else self.warn_above
        message = f"Glucose {float(lab.value):g} mg/dL on the day is above {float(limit):g}."
        earliest = next(day for day in _days_from(on + DAY) if self._is_fine(facts, day))
        evidence: dict[str, Plain] = {"value": float(lab.value), "most": float(limit)}
        return self.row.finding(message, evidence=evidence, severity=severity, earliest=earliest)

    def _is_fine(self, facts: Facts, day: date) -> bool:
        lab = facts.lab("glucose", since=day, until=day)
        return lab is None or lab.value <= self.warn_above

    def turning_points(self, facts: Facts) -> list[date]:
        return [day for lab in facts.labs for day in (lab.on, lab.on + DAY)]


def _days_from(day: date) -> list[date]:
    # There are never more results than this; the first day without one is fine.
    return [day + DAY * ahead for ahead in range(400)]


@dataclass(frozen=True)
class VaccineGap(Ruled):
    """So many days from a steroid to a vaccine after it, and so many from a vaccine to a steroid after it."""

    kinds: frozenset[str]
    before: int
    after: int

    def check(self, facts: Facts, on: date) -> Finding | None:
        if facts.vaccines is None:
            return not_asked(self, facts, "vaccines") if facts.has_steroid else None
        days = [vaccine.on for vaccine in facts.vaccines if vaccine.kind in self.kinds]
        close = [day for day in days if self._is_close(on, day)]
        if not facts.has_steroid or not close:
            return None
        earliest = on
        while any(self._is_close(earliest, day) for day in days):
            earliest = latest(day + DAY * self.after for day in days if self._is_close(earliest, day)) or earliest
        message = (
            f"Vaccine on {close[0]}: a steroid needs {self.before} days before it or {self.after} after it, "
            f"so from {told(earliest)}."
        )
        return self.row.finding(message, evidence={"vaccine_on": close[0].isoformat()}, earliest=earliest)

    def _is_close(self, on: date, vaccine: date) -> bool:
        return (vaccine - on).days < self.before if on <= vaccine else (on - vaccine).days < self.after
