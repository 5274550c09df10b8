"""How much and how in one session: levels, regions, what goes together, guidance, technique, dose, sedation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Plain, Severity
from procedures.rules.payer.caps import injections
from procedures.rules.places import are_contiguous, sides_of
from procedures.rules.rows import Ruled, listed, not_said, words


@dataclass(frozen=True)
class LevelLimit(Ruled):
    """At most so many levels in the session; both sides of one level are one. Reported also when kept.

    `bilateral` is never, or allowed_when_clinically_indicated, which needs a recorded reason. With `is_per_side` each
    side is counted for itself and its levels must follow one another.
    """

    most: int
    approaches: frozenset[str] = frozenset()
    bilateral: str = ""
    regions: int | None = None
    is_per_side: bool = False
    injections_most: int | None = None

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = [one for one in self.asked(facts) if not self.approaches or one.approach in self.approaches]
        if not asked:
            return []
        beside = [
            one for one in facts.beside(on) if self.speaks_of(one) and (not self.approaches or one.approach in self.approaches)
        ]
        day: list[Wanted | Session] = [*asked, *beside]
        by_side = _levels_by_side(day)
        levels = {level for held in by_side.values() for level in held}
        counted = max(map(len, by_side.values())) if self.is_per_side else len(levels)
        faults = []
        if counted > self.most:
            faults.append(f"more than {self.most} level{'' if self.most == 1 else 's'}")
        if self.is_per_side and not all(map(are_contiguous, by_side.values())):
            faults.append("the levels do not follow one another")
        both = by_side.get("left", set()) & by_side.get("right", set())
        if self.bilateral == "never" and (both or any(one.side == "bilateral" for one in asked)):
            faults.append("never on both sides")
        elif self.bilateral == "allowed_when_clinically_indicated" and both and not _is_explained(asked, both):
            faults.append("no reason is recorded for both sides")
        regions = {region for one in day for region in one.regions}
        if self.regions is not None and len(regions) > self.regions:
            faults.append(f"more than {self.regions} payer region")
        message = f"{counted} level{'' if counted == 1 else 's'} in this session; the limit is {self.most}."
        if faults:
            message = f"{message} Refused: {'; '.join(faults)}."
        evidence: dict[str, Plain] = {"counted": counted, "limit": self.most, "levels": ", ".join(sorted(levels))}
        if beside:
            evidence["same_day"] = listed(beside)
        found = [self.row.finding(message, evidence=evidence, severity=None if faults else Severity.ADVICE, about="levels")]
        if self.injections_most is not None and both:
            found.append(self._injections(day, self.injections_most))
        return found

    def _injections(self, day: Sequence[Wanted | Session], most: int) -> Finding:
        counted = sum(injections(one, is_bilateral_one=False) for one in day)
        message = f"{counted} injections on both sides in this session; the limit is {most}."
        severity = None if counted > most else Severity.ADVICE
        return self.row.finding(message, evidence={"counted": counted, "limit": most}, severity=severity, about="injections")


def _levels_by_side(asked: Sequence[Wanted | Session]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in asked:
        for side in sides_of(one.side):
            found.setdefault(side, set()).update(one.levels)
    return found


def _is_explained(asked: Sequence[Wanted], both: set[str]) -> bool:
    return any(one.bilateral_reason.strip() for one in asked if both & set(one.levels))


@dataclass(frozen=True)
class OneRegion(Ruled):
    """At most so many payer regions, or anatomical groups, in one session."""

    most: int
    is_group: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked: list[Wanted | Session] = [*self.asked(facts)]
        if not asked:
            return None
        if self.is_group:
            places = {area.casefold() for one in self.asked(facts) for area in one.body_areas}
        else:
            same_day = [session for session in facts.of(self.row.families) if session.on == on]
            places = {region for one in (*asked, *same_day) for region in one.regions}
        if len(places) <= self.most:
            return None
        what = "anatomical group" if self.is_group else "payer region"
        message = f"{words(places)}: at most {self.most} {what} in one session."
        return self.row.finding(message, evidence={"places": ", ".join(sorted(places)), "most": self.most})


@dataclass(frozen=True)
class SameDay(Ruled):
    """Some families do not go together on one date, nor some procedures on one side."""

    not_with: frozenset[str] = frozenset()
    exception: frozenset[str] = frozenset()
    same_side: tuple[frozenset[str], ...] = ()
    is_one_modality: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        wanted = facts.request.wanted
        booked = [session for session in facts.standing if session.on == on]
        if len(wanted) + len(booked) < 2:
            return None
        day: list[Wanted | Session] = [*wanted, *booked]
        for place, one in enumerate(day):
            for other in day[place + 1 :]:
                if one in booked and other in booked:
                    continue
                if self._clash(one, other) or self._clash(other, one):
                    message = f"{one.called} and {other.called} do not go together on one date."
                    return self.row.finding(message, evidence={"together": f"{one.called}, {other.called}"})
        return None

    def _clash(self, one: Wanted | Session, other: Wanted | Session) -> bool:
        if one.family not in self.row.families or {one.family, other.family} & self.exception:
            return False
        if other.family in self.not_with:
            return True
        if self.is_one_modality and other.family in self.row.families and other.family != one.family:
            return True
        return any(
            {one.procedure, other.procedure} == pair and set(sides_of(one.side)) & set(sides_of(other.side))
            for pair in self.same_side
        )


@dataclass(frozen=True)
class GuidanceRequired(Ruled):
    """Only some imaging, where asked for with contrast. `has_exception`: ultrasound alone, for contrast allergy or pregnancy."""

    allowed: frozenset[str]
    has_exception: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        wrong = [one for one in self.asked(facts) if not self._is_right(one, facts)]
        if not wrong:
            return None
        told = "; ".join(f"{one.called}: {one.guidance or 'none'}, contrast {one.contrast}" for one in wrong)
        message = f"Imaging must be {words(self.allowed)} ({told})."
        return self.row.finding(message, evidence={"guidance": told, "allowed": ", ".join(sorted(self.allowed))})

    def asks(self, facts: Facts) -> frozenset[str]:
        wrong = [one for one in self.asked(facts) if not self._is_right(one, facts)]
        return frozenset({"contrast"} if any(f"{one.guidance}_with_contrast" in self.allowed for one in wrong) else ())

    def _is_right(self, one: Wanted, facts: Facts) -> bool:
        if one.guidance in self.allowed or (f"{one.guidance}_with_contrast" in self.allowed and one.contrast != "none"):
            return True
        if not self.has_exception or one.guidance != "ultrasound" or one.contrast != "none":
            return False
        return bool(facts.pregnant) or any(allergy.agent == "iodinated_contrast" for allergy in facts.allergies or ())


@dataclass(frozen=True)
class GuidanceProhibited(Ruled):
    """Some imaging makes it not covered."""

    refused: frozenset[str]

    def check(self, facts: Facts, on: date) -> Finding | None:
        wrong = sorted({one.guidance for one in self.asked(facts) if one.guidance in self.refused})
        if not wrong:
            return None
        return self.row.finding(f"Not covered with {words(wrong)}.", evidence={"guidance": ", ".join(wrong)})


@dataclass(frozen=True)
class Technique(Ruled):
    """Some ways of ablation are not covered; the lesion may have to be hotter than a limit."""

    refused: frozenset[str] = frozenset()
    least_c: Fraction | None = None
    is_strict: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        faults: list[str] = []
        is_known = False
        for one in self.asked(facts):
            if one.technique in self.refused:
                faults.append(f"{words([one.technique])} is not covered")
                is_known = True
            elif self.least_c is not None:
                if one.temperature_c is None:
                    faults.append("no lesion temperature is recorded")
                elif one.temperature_c < self.least_c or (self.is_strict and one.temperature_c == self.least_c):
                    than = "above" if self.is_strict else "at least"
                    usual = "" if one.has_heat_told else ", the usual one; nobody has said yet which"
                    faults.append(
                        f"the lesion must be {than} {float(self.least_c):g} °C, not {float(one.temperature_c):g}{usual}"
                    )
                    is_known = is_known or one.has_heat_told
        if not faults:
            return None
        evidence: dict[str, Plain] = {"faults": "; ".join(faults)}
        is_pending, about = not_said(facts, is_known=is_known)
        told = "; ".join(faults)
        return self.row.finding(f"{told[0].upper()}{told[1:]}.", evidence=evidence, is_pending=is_pending, about=about)

    def asks(self, facts: Facts) -> frozenset[str]:
        if not self.asked(facts):
            return frozenset()
        return frozenset({"technique"} if self.least_c is None else {"technique", "temperature_c"})


@dataclass(frozen=True)
class DoseCeiling(Ruled):
    """At most so many milligrams of a drug in one session, which is one date."""

    ceilings: tuple[tuple[str, Fraction], ...]

    def check(self, facts: Facts, on: date) -> Finding | None:
        given: dict[str, Fraction] = {}
        asked = [one for one in self.asked(facts) if one.drug]
        if not asked:
            return None
        drugs = {one.drug for one in asked}
        beside = [one for one in facts.beside(on) if one.drug in drugs and self.speaks_of(one)]
        day: list[Wanted | Session] = [*asked, *beside]
        for one in day:
            given[one.drug] = given.get(one.drug, Fraction(0)) + (one.dose_mg or 0)
        over = [(drug, given[drug], most) for drug, most in self.ceilings if given.get(drug, Fraction(0)) > most]
        if not over:
            return None
        told = "; ".join(f"{drug.replace('_', ' ')} {float(dose):g} mg of {float(most):g} mg" for drug, dose, most in over)
        evidence: dict[str, Plain] = {"dose": told, **({"same_day": listed(beside)} if beside else {})}
        return self.row.finding(f"More than the ceiling of one session: {told}.", evidence=evidence)


@dataclass(frozen=True)
class SedationReview(Ruled):
    """Sedation of these levels is rarely necessary and needs a reason."""

    levels: frozenset[str]

    def check(self, facts: Facts, on: date) -> Finding | None:
        if facts.request.sedation not in self.levels or not self.asked(facts):
            return None
        return self.row.finding(
            f"{facts.request.sedation.capitalize()} sedation is rarely necessary here; record why it is.",
            evidence={"sedation": facts.request.sedation},
        )


@dataclass(frozen=True)
class NoSeries(Ruled):
    """No series that is fixed in advance."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not facts.request.is_planned_series or not self.asked(facts):
            return None
        return self.row.finding("One of a series fixed in advance; each session needs the response to the one before.")


@dataclass(frozen=True)
class Hint(Ruled):
    """A note for billing. `role` and `procedures` limit it."""

    text: str
    role: str = ""
    procedures: frozenset[str] = frozenset()

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = [one for one in self.asked(facts, self.role) if not self.procedures or one.procedure in self.procedures]
        return self.row.finding(self.text) if asked else None
