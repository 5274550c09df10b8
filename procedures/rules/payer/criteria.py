"""What must be true of the problem treated, and what is not covered at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from procedures.families import name_of
from procedures.rules.dates import DAY, Period, plus_months
from procedures.rules.facts import Authorization, Facts, Wanted
from procedures.rules.findings import Finding, Plain
from procedures.rules.places import sides_of
from procedures.rules.rows import Ruled, words

OFFICE = "11"


@dataclass(frozen=True, slots=True)
class Criteria:
    """The figures and words that a row asks for before a first session."""

    pain_weeks: int | None = None
    pain_months: int | None = None
    conservative_weeks: int | None = None
    conservative_months: int | None = None
    waived_if: frozenset[str] = frozenset()
    pain_score: Fraction | None = None
    provocation_tests: int | None = None
    imaging_months: int | None = None
    requires: tuple[str, ...] = ()
    indications: frozenset[str] = frozenset()

    def judge(self, facts: Facts) -> tuple[list[str], list[str]]:
        """Return what is not met and what is not yet on file."""
        has = facts.presentation
        bad: list[str] = []
        unknown: list[str] = []

        def ask(value: object, is_met: bool | None, text: str) -> None:
            if value is None and not facts.is_complete:
                unknown.append(text)
            elif value is not None and not is_met:
                bad.append(f"{text} (recorded: {float(value):g})" if isinstance(value, (int, Fraction)) else text)

        for what, weeks, least_weeks, least_months in (
            ("pain", has.pain_weeks, self.pain_weeks, self.pain_months),
            ("conservative care", has.conservative_weeks, self.conservative_weeks, self.conservative_months),
        ):
            if what == "conservative care" and has.indication and has.indication in self.waived_if:
                continue
            if least_weeks is not None:
                ask(weeks, weeks is not None and weeks >= least_weeks, f"{least_weeks} weeks of {what}")
            if least_months is not None:
                is_met = weeks is not None and has_lasted(weeks, least_months, facts.booked_on)
                ask(weeks, is_met, f"{least_months} months of {what}")
        if self.pain_score is not None:
            is_met = has.pain_score is not None and has.pain_score >= self.pain_score
            ask(has.pain_score, is_met, f"a pain score of at least {float(self.pain_score):g}")
        if self.provocation_tests is not None:
            is_met = has.provocation_tests is not None and has.provocation_tests >= self.provocation_tests
            ask(has.provocation_tests, is_met, f"{self.provocation_tests} positive provocation tests")
        if self.imaging_months is not None:
            is_met = has.imaging_months is not None and has.imaging_months <= self.imaging_months
            ask(has.imaging_months, is_met, f"imaging of the last {self.imaging_months} months")
        for word in self.requires:
            known = facts.knows(word)
            if known is not True:
                (unknown if known is None else bad).append(word.replace("_", " "))
        if self.indications and has.indication and has.indication not in self.indications | self.waived_if:
            bad.append(f"a covered indication, not {has.indication.replace('_', ' ')}")
        return bad, unknown


def has_lasted(weeks: int, months: int, until: date) -> bool:
    """Say whether so many whole weeks, ending on a date, are at least so many calendar months."""
    return until - timedelta(weeks=weeks) <= plus_months(until, -months)


@dataclass(frozen=True)
class Initial(Ruled):
    """Criteria checked before the first session of the families in a payer region in the present episode of care.

    With `reset_after` a session that long ago belongs to an earlier episode, and the criteria apply again.
    """

    criteria: Criteria
    reset_after: Period | None = None

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = self.asked(facts)
        if not asked or not any(self._is_first(one, facts, on) for one in asked):
            return []
        bad, unknown = self.criteria.judge(facts)
        found = []
        for lacking, is_pending in ((bad, False), (unknown, True)):
            if lacking:
                told = "; ".join(lacking)
                message = f"Needed before a first session and {'not yet on file' if is_pending else 'not met'}: {told}."
                about = "not yet on file" if is_pending else ""
                found.append(self.row.finding(message, evidence={"missing": told}, is_pending=is_pending, about=about))
        return found

    def _is_first(self, one: Wanted, facts: Facts, on: date) -> bool:
        earlier = [
            session
            for session in facts.earlier(self.row.families, on)
            if facts.episode_holds(session.on) and (not one.regions or one.regions & session.regions)
        ]
        if one.regions and earlier:
            covered = {region for session in earlier for region in session.regions}
            if not one.regions <= covered:
                return True
        if earlier and self.reset_after is not None:
            return on >= self.reset_after.after(earlier[-1].on)
        return not earlier

    def turning_points(self, facts: Facts) -> Iterable[date]:
        if self.reset_after is None:
            return ()
        return [self.reset_after.after(session.on) for session in facts.of(self.row.families)]


@dataclass(frozen=True)
class EpisodeReset(Ruled):
    """After years without a session the first criteria apply again. Where other rows of the set judge them, they do."""

    period: Period
    is_judged_elsewhere: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        if self.is_judged_elsewhere or not facts.presentation.missing:
            return None
        for one in self.asked(facts):
            earlier = [session for session in facts.earlier(self.row.families, on) if one.regions & session.regions]
            if earlier and on >= self.period.after(earlier[-1].on):
                told = words(facts.presentation.missing)
                message = (
                    f"The session before was on {earlier[-1].on}, {self.period} ago or more: the first criteria apply again; "
                    f"not met: {told}."
                )
                return self.row.finding(message, evidence={"since": earlier[-1].on.isoformat(), "missing": told})
        return None

    def turning_points(self, facts: Facts) -> Iterable[date]:
        return [self.period.after(session.on) for session in facts.of(self.row.families)]


@dataclass(frozen=True)
class Requires(Ruled):
    """Words that must be on file whenever it is done."""

    requires: tuple[str, ...]
    intro: str = "Needed"

    def check(self, facts: Facts, on: date) -> list[Finding]:
        return required_words(self, self.requires, facts, self.intro) if self.asked(facts) else []


@dataclass(frozen=True)
class ExtendedReview(Ruled):
    """Treatment that goes on for longer than some months needs a review on file."""

    period: Period
    requires: tuple[str, ...]

    def check(self, facts: Facts, on: date) -> list[Finding]:
        for one in self.asked(facts):
            held = [
                session.on
                for session in facts.earlier(self.row.families, on)
                if facts.episode_holds(session.on) and one.regions & session.regions
            ]
            if held and on > self.period.after(held[0]):
                intro = f"Treated since {held[0]}, longer than {self.period}; needed"
                return required_words(self, self.requires, facts, intro)
        return []

    def turning_points(self, facts: Facts) -> Iterable[date]:
        return [self.period.after(session.on) + DAY for session in facts.of(self.row.families)]


def required_words(rule: Ruled, requires: Sequence[str], facts: Facts, intro: str) -> list[Finding]:
    """Return a finding for the words that are not met and a pending one for those not yet on file."""
    found = []
    for known, told in ((False, "not met"), (None, "not yet on file")):
        lacking = [word for word in requires if facts.knows(word) is known]
        if lacking:
            evidence: dict[str, Plain] = {"missing": ", ".join(lacking)}
            message = f"{intro} and {told}: {words(lacking)}."
            found.append(rule.row.finding(message, evidence=evidence, is_pending=known is None, about=f"requires {told}"))
    return found


@dataclass(frozen=True)
class DiagnosisList(Ruled):
    """Only diagnosis codes that begin in certain ways; a code that is only the heading cannot be billed."""

    prefixes: tuple[str, ...]
    must_be_billable: bool = False

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not self.asked(facts):
            return None
        written = facts.presentation.icd10
        if written is None:
            if facts.is_complete:
                return None
            return self.row.finding("No diagnosis code is on file.", is_pending=True)
        code = _plain_code(written)
        longer = 1 if self.must_be_billable else 0
        if any(code.startswith(prefix) and len(code) >= len(prefix) + longer for prefix in map(_plain_code, self.prefixes)):
            return None
        message = f"{written} is not a billable code that begins with {', '.join(self.prefixes)}."
        return self.row.finding(message, evidence={"icd10": written, "prefixes": ", ".join(self.prefixes)})


def _plain_code(code: str) -> str:
    return code.upper().replace(".", "").strip()


@dataclass(frozen=True)
class NoncoveredIndication(Ruled):
    """Indications for which it is not covered."""

    indications: frozenset[str]

    def check(self, facts: Facts, on: date) -> Finding | None:
        indication = facts.presentation.indication
        if indication not in self.indications or not self.asked(facts):
            return None
        return self.row.finding(f"Not covered for {indication.replace('_', ' ')}.", evidence={"indication": indication})


@dataclass(frozen=True)
class Noncovered(Ruled):
    """Not covered at all, or not for a role, or not with a way of guidance."""

    reason: str = ""
    role: str = ""
    guidance: str = ""

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = [one for one in self.asked(facts, self.role) if not self.guidance or one.guidance == self.guidance]
        if not asked:
            return None
        what = " ".join(part for part in (self.role, asked[0].called, f"with {self.guidance}" if self.guidance else "") if part)
        message = f"{what} is not covered{f': {self.reason}' if self.reason else ''}."
        return self.row.finding(message, evidence={"procedure": asked[0].called}, about=self.role or self.guidance)


@dataclass(frozen=True)
class ScaleDocumentation(Ruled):
    """A pain score must be one number; a range proves nothing."""

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not self.asked(facts):
            return None
        ranged = [session for session in facts.earlier(self.row.families, on) if session.has_range]
        if not ranged:
            return None
        told = ", ".join(session.on.isoformat() for session in ranged)
        return self.row.finding(f"A score is written as a range, not one number ({told}).", evidence={"sessions": told})


@dataclass(frozen=True)
class SiteOfService(Ruled):
    """In the office first; elsewhere only for a reason that is written down."""

    codes: frozenset[str]
    reasons: tuple[str, ...] = ()

    def check(self, facts: Facts, on: date) -> Finding | None:
        asked = [one for one in self.asked(facts) if not self.codes or self.codes & one.codes]
        place = facts.request.place_of_service
        if not asked or place in (None, OFFICE) or facts.request.site_reason.strip():
            return None
        message = f"Planned at place of service {place}; the office comes first. Elsewhere only for {words(self.reasons)}."
        return self.row.finding(message, evidence={"place_of_service": place})


@dataclass(frozen=True)
class PriorAuthorization(Ruled):
    """The payer's approval must cover the date of service."""

    codes: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    not_in: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    covers_families: frozenset[str] = frozenset()
    valid_days: int | None = None
    note: str = ""

    def check(self, facts: Facts, on: date) -> Finding | None:
        place, state = facts.request.place_of_service, facts.request.state
        if (self.places and place not in self.places) or place in self.not_in:
            return None
        # Where the state is on file nowhere the rule may hold: that waits, and is never passed over.
        is_unsure = bool(self.states) and not state and not facts.is_complete
        if self.states and state not in self.states and not is_unsure:
            return None
        lacking = [
            one
            for one in self.asked(facts)
            if (not self.codes or self.codes & one.codes) and not self._is_authorized(one, facts, on)
        ]
        if not lacking:
            return None
        if is_unsure:
            where = ", ".join(sorted(self.states))
            message = f"In {where} this needs the payer's authorization; neither plan nor site says in which state it is."
            return self.row.finding(message, is_pending=True, about="state not on file")
        of_these = [held for held in facts.coverage.authorizations if any(self._names(held, one) for one in lacking)]
        called = {one.procedure: one.called for one in lacking}
        told = "; ".join(self._told(held, called) for held in of_these) or "none"
        names = ", ".join(sorted(called.values()))
        message = f"{names} needs the payer's authorization for {on}; on file: {told}.{f' {self.note}' if self.note else ''}"
        # Refused for this very work is known to be bad; one for another side, other dates or used up decides nothing here.
        is_pending = not any(held.status == "refused" and self._is_for(held, one, facts) for held in of_these for one in lacking)
        evidence: dict[str, Plain] = {"procedures": names, "authorizations": told}
        return self.row.finding(message, evidence=evidence, is_pending=is_pending)

    def _names(self, held: Authorization, one: Wanted) -> bool:
        if held.covers in (one.procedure, one.family):
            return True
        return held.family in self.covers_families and one.family in self.covers_families

    def _fits(self, held: Authorization, one: Wanted, facts: Facts) -> bool:
        """Say whether it is for this work, with a unit left."""
        return self._is_for(held, one, facts) and (held.units_left is None or held.units_left > 0)

    def _is_for(self, held: Authorization, one: Wanted, facts: Facts) -> bool:
        """Say whether it is for this work at this place of the body, and for this case."""
        return (
            self._names(held, one)
            and (not held.codes or bool(held.codes & one.codes))
            and (not held.sides or set(sides_of(one.side)) <= held.sides)
            and (not held.levels or set(one.levels) <= held.levels)
            and (not held.case or held.case == facts.request.case)
        )

    def _last_day(self, held: Authorization) -> date | None:
        if held.valid_until is not None:
            return held.valid_until
        return None if self.valid_days is None or held.decided_on is None else held.decided_on + timedelta(days=self.valid_days)

    def _is_authorized(self, one: Wanted, facts: Facts, on: date) -> bool:
        for held in facts.coverage.authorizations:
            if held.status != "approved" or held.decided_on is None or held.decided_on > on or not self._fits(held, one, facts):
                continue
            if held.valid_from is not None and on < held.valid_from:
                continue
            last = self._last_day(held)
            if last is None or on <= last:
                return True
        return False

    def _told(self, held: Authorization, called: Mapping[str, str]) -> str:
        last = self._last_day(held)
        until = f" until {last}" if last and held.status == "approved" else ""
        from_ = f" from {held.valid_from}" if held.valid_from and held.status == "approved" else ""
        places = " ".join((*sorted(held.sides), *sorted(held.levels)))
        used = "" if held.units_left is None else f"{held.units_left} left"
        bound = "for another case" if held.case else ""
        limits = "".join(f", {part}" for part in (places, used, bound) if part)
        word = " ".join(
            str(part) for part in (called.get(held.covers) or name_of(held.covers), held.status, held.decided_on) if part
        )
        return f"{word}{from_}{until}{limits}"

    def turning_points(self, facts: Facts) -> Iterable[date]:
        days = [day for held in facts.coverage.authorizations for day in (held.decided_on, held.valid_from)]
        return [day for day in days if day is not None]
