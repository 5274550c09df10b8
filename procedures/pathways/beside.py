"""Courses of one patient that know of each other: what one of them proposes keeps the others' proposals apart from it.

A proposed session is not booked: rules are asked about a day as they stand, and once more as if it were booked. What they
refuse only then keeps the other course apart, also where a booking could give a reason for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from procedures.pathways.planning import next_step
from procedures.pathways.searching import Search, asking
from procedures.pathways.words import Aim, Answer, Book, Owner, Pathway, Proposed, Waiting
from procedures.rules.dates import DAY, as_date
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Rule, Severity, assess
from procedures.rules.rows import latest

CODE, KEPT_APART = "kept_apart", "Kept apart"


@dataclass(frozen=True, slots=True)
class Beside:
    """A session that another course of the patient proposes and nobody has booked, and what that course is called."""

    course: str
    wanted: Wanted
    session: Session

    @property
    def told(self) -> str:
        """Return it as a reason says it."""
        return f"the proposed session of {self.course} on {self.session.on}"


def proposed_on(day: date, wanted: Wanted, course: str) -> Beside:
    """Return what a course proposes for a day, as the rules would count it if it were booked."""
    return Beside(course, wanted, _booked(day, wanted))


@dataclass(frozen=True)
class Apart:
    """Book: the rules of another one, and that nothing comes too close to what other courses propose."""

    book: Book
    pathway: Pathway
    aim: Aim
    beside: tuple[Beside, ...]

    def rules(self, facts: Facts, on: date) -> Iterable[Rule]:
        return (*self.book.rules(facts, on), KeptApart(self.book, self.aim, self.beside, self.pathway))

    def turning_points(self, facts: Facts, on: date) -> Iterable[date]:
        return self.book.turning_points(_with(facts, [one.session for one in self.beside]), on)


@dataclass(frozen=True)
class KeptApart:
    """Rule: a day that would be refused if what other courses propose were booked is none for this one.

    With a pathway its own limit counts in the same way.
    """

    book: Book
    aim: Aim
    beside: tuple[Beside, ...]
    pathway: Pathway | None = None

    @property
    def code(self) -> str:
        return CODE

    def check(self, facts: Facts, on: date) -> Finding | None:
        own = {finding.key for finding in self._refused(facts, on)}
        beside = self.beside
        found = self._beside(facts, on, own, beside)
        if not found:
            return None
        # One after the other; where none of them is in the way alone, it is all of them together.
        meant = [one for one in beside if self._beside(facts, on, own, (one,))] or list(beside)
        told = " and ".join(dict.fromkeys(one.told for one in meant))
        why = "; ".join(dict.fromkeys(part for one in found if (part := _why(one))))
        return Finding(
            CODE, Severity.BLOCKER, f"{KEPT_APART} from {told}, not booked yet{f': {why}' if why else ''}.",
            earliest=latest(as_date(one.earliest, facts.zone) if one.earliest else None for one in found),
        )  # fmt: skip

    def _beside(self, facts: Facts, on: date, own: set[str], beside: Sequence[Beside]) -> list[Finding]:
        """Return what is refused on a day only with some proposed sessions; a date that is shared must not hang on a day."""
        sessions = [one.session for one in beside]
        found = [one for one in self._refused(_with(facts, sessions), on) if one.key not in own]
        if not found and any(one.on == on for one in sessions):
            # It shares the date of a session that may yet be booked a day sooner: then, too, it must be possible.
            moved = [replace(one, on=on - DAY) if one.on == on else one for one in sessions]
            later = [one for one in self._refused(_with(facts, moved), on) if one.key not in own]
            found = [replace(one, earliest=on + DAY) for one in later]
        return found or [finding for one in beside if one.session.on >= on for finding in self._refused_of(one, facts, on)]

    def _refused_of(self, other: Beside, facts: Facts, on: date) -> list[Finding]:
        """Return what is refused of another session of the same or a later date only with this one: some rules look back."""
        day = other.session.on
        theirs = asking(facts, other.wanted, day, self.aim, without=())
        own = {finding.key for finding in self._asked(theirs, day)}
        mine = [_booked(on, wanted) for wanted in facts.request.wanted]
        found = [finding for finding in self._asked(_with(theirs, mine), day) if finding.key not in own]
        # The nearer it comes the more it is in the way, so the next day that may do is the other's own, or the one after it.
        return [replace(finding, earliest=max(day, on + DAY)) for finding in found]

    def _refused(self, facts: Facts, on: date) -> list[Finding]:
        found = self._asked(facts, on)
        limit = self.pathway.limit if self.pathway is not None else None
        if self.pathway is None or limit is None:
            return found
        room = Search(self.pathway, self.aim, self.book, facts, on).fits_from(on)
        if room != on:
            found.append(
                Finding("pathway_limit", Severity.BLOCKER, "", (("limit", limit.most), ("period", str(limit.period))), room)
            )
        return found

    def _asked(self, facts: Facts, on: date) -> list[Finding]:
        return [one for one in assess(self.book.rules(facts, on), facts, on) if one.refuses]


def next_step_beside(
    pathway: Pathway, facts: Facts, on: date, *, aim: Aim, book: Book, beside: Sequence[Beside], alone: Answer
) -> Answer:
    """Return what a course should do next beside what others of the patient propose; `alone` is its answer without them.

    Nothing that is only proposed stops a course or turns it another way: where both cannot be, somebody has to choose.
    """
    if not beside or not isinstance(alone, Proposed) or alone.booked_on is not None:
        return alone
    apart = Apart(book, pathway, aim, tuple(beside))
    answer = next_step(pathway, facts, on, aim=aim, book=apart)
    told = _told(pathway, facts, on, aim, apart, alone)
    if not isinstance(answer, Proposed) or (answer.step, answer.reasons[:1]) != (alone.step, alone.reasons[:1]):
        why = told or f"{KEPT_APART} from what another course proposes."
        return Waiting(
            alone.step,
            alone.name,
            f"Which course goes first. {why}",
            Owner.PHYSICIAN,
            None,
            max(alone.earliest, on),
            alone.reasons,
        )
    if (answer.earliest, answer.ideal, answer.latest) == (alone.earliest, alone.ideal, alone.latest):
        return alone
    if told and not any(text.startswith(KEPT_APART) for text in answer.blocked_by):
        return replace(answer, reasons=(*answer.reasons, told.removesuffix(".")))
    return answer


def _told(pathway: Pathway, facts: Facts, on: date, aim: Aim, apart: Apart, alone: Proposed) -> str:
    """Return why another course is in the way of what would be proposed without it, on the first day that it takes."""
    search = Search(pathway, aim, apart, asking(facts, alone.wanted, on, aim, without=()), on)
    for day in (alone.earliest, alone.ideal, alone.latest):
        for finding in search.findings(max(day, on)):
            if finding.code == CODE:
                return finding.message
    return ""


def _booked(day: date, wanted: Wanted) -> Session:
    return Session(
        day, wanted.procedure, wanted.family, "booked", wanted.side, wanted.levels, role=wanted.role,
        approach=wanted.approach, site=wanted.site, drug=wanted.drug, dose_mg=wanted.dose_mg, name=wanted.name,
    )  # fmt: skip


def _with(facts: Facts, sessions: Iterable[Session]) -> Facts:
    return replace(facts, sessions=(*facts.sessions, *sessions))


def _why(finding: Finding) -> str:
    """Return in few words what a rule asks for between two sessions."""
    facts = finding.facts
    if facts.get("interval"):
        return f"{facts['interval']} must lie between"
    if facts.get("limit") is not None:
        period = f" in {facts['period']}" if facts.get("period") else ""
        return f"both count under a limit of {facts['limit']}{period}"
    return ""
