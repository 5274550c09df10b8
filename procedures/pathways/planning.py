"""What comes next in a course: the pathway's gates and intervals, the physician's limits, and every rule in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from procedures.pathways.following import follow, is_mine, missing_side, ways_on
from procedures.pathways.gates import Judged
from procedures.pathways.searching import Search, asking
from procedures.pathways.words import (
    IDEAL,
    LATEST,
    Aim,
    Answer,
    Book,
    Companion,
    Done,
    Opened,
    Owner,
    Pathway,
    Proposed,
    Scene,
    Span,
    Step,
    Stopped,
    Visit,
    Waiting,
    Way,
)
from procedures.rules.earliest import blocks
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Severity


def next_step(pathway: Pathway, facts: Facts, on: date, *, aim: Aim, book: Book) -> Answer:
    """Return what a course should do next, as things are known on a day.

    The request of `facts` is a pattern: where, by whom driven, under which sedation; what and when are the planner's.
    """
    visits = follow(pathway, aim, facts)
    if aim.most is not None and len({session.on for visit in visits for session in visit.sessions}) >= aim.most:
        return Stopped("limit_reached", f"The physician's limit of {aim.most} sessions is reached.")
    ways = ways_on(pathway, aim, visits)
    if not ways:
        return Done((f"{visits[-1].step.name} of {visits[-1].on} was the last step.",))
    answers = [_Question(pathway, facts, on, aim, book, visits, way).answer() for way in ways]
    for kind in (Proposed, Waiting):
        for answer in answers:
            if isinstance(answer, kind):
                return answer
    stops = [answer for answer in answers if isinstance(answer, Stopped)]
    # "It helped" is no reason to stop: it only closes the way for those whom it did not help.
    told = [stop for stop in stops if stop.code != "helped_enough"] or stops
    return replace(told[0], reason=" ".join(dict.fromkeys(stop.reason for stop in told)))


def open_days(pathway: Pathway, facts: Facts, on: date, *, aim: Aim, book: Book, wanted: Wanted) -> Callable[[date], bool]:
    """Return what says of any day of a window whether the session could be on it; gates and intervals are the window's."""
    return Search(pathway, aim, book, asking(facts, wanted, on, aim, without=()), on).is_free


def calm_days(facts: Facts, on: date, *, pathway: Pathway, aim: Aim, book: Book, wanted: Wanted) -> Callable[[date], bool]:
    """Return what says of any day whether the session could be booked on it without giving a reason."""
    return Search(pathway, aim, book, asking(facts, wanted, on, aim, without=()), on).is_calm


@dataclass(frozen=True)
class _Question:
    """One way on, put to the gates, the limits and the rules."""

    pathway: Pathway
    facts: Facts
    on: date
    aim: Aim
    book: Book
    visits: tuple[Visit, ...]
    way: Way

    @property
    def step(self) -> Step:
        return self.pathway.step(self.way.to)

    @property
    def anchor(self) -> date:
        """Return the day from which the intervals count: that of the last session, or of the course's start."""
        return self.visits[-1].on if self.visits else self.aim.since

    def answer(self) -> Answer:
        wanted = self._wanted()
        if wanted is None:
            return Waiting(self.step.id, self.step.name, f"which procedure is meant for {self.step.name}", Owner.PHYSICIAN)
        scene = Scene(self.visits, wanted, self.aim, self.facts, self.on)
        judged = Judged(tuple(gate.judge(scene) for gate in self.way.gates))
        booked = self._booked()
        booked_on = booked[0].on if booked else None
        closed = judged.first(Opened.CLOSED)
        if closed is not None:
            return Stopped(closed.code, f"{closed.told}.", booked_on)
        due, ends = self._due(), self._ends()
        if ends is not None and max(due, self.on) > ends:
            return Stopped("expired", f"{self.step.name} was possible until {ends}: {self.way.why}.", booked_on)
        waits = judged.first(Opened.WAITING)
        if waits is not None:
            return Waiting(
                self.step.id, self.step.name, waits.told, waits.owner, waits.due_on, due, judged.told, booked_on, waits.about
            )
        return self._proposed(wanted, due, ends, judged, booked)

    def _wanted(self) -> Wanted | None:
        wanted = self.aim.works.get(self.step.id)
        if wanted is None or not (self.aim.is_staged and self.step.is_staged and wanted.side == "bilateral"):
            return wanted
        is_second = bool(self.visits) and self.visits[-1].step == self.step and missing_side(self.aim, self.visits[-1])
        return replace(wanted, side=is_second or self.aim.first_side)

    def _booked(self) -> list[Session]:
        """Return the booked sessions that are this step, the first date first."""
        after = self.visits[-1].on if self.visits else date.min
        found = [
            session
            for session in self.facts.standing
            if session.status == "booked"
            and session.on > after
            and session.on >= self.on
            and session.family in self.step.families
            and is_mine(self.pathway, self.aim, session)
        ]
        return [session for session in found if session.on == found[0].on]

    def _due(self) -> date:
        """Return the first day by the pathway's interval and the physician's limits, whatever day it is today."""
        days = [self.way.earliest.after(self.anchor)]
        if self.visits and self.aim.gap_days:
            days.append(self.anchor + timedelta(days=self.aim.gap_days))
        return max(*days, self.aim.not_before or date.min, date.min)

    def _ends(self) -> date | None:
        ends = [self.aim.not_after] if self.aim.not_after else []
        if self.way.expires is not None:
            ends.append(self.way.expires.after(self.anchor))
        return min(ends, default=None)

    def _proposed(self, wanted: Wanted, due: date, ends: date | None, judged: Judged, booked: list[Session]) -> Answer:
        search = Search(self.pathway, self.aim, self.book, asking(self.facts, wanted, due, self.aim, without=booked), self.on)
        booked_on = booked[0].on if booked else None
        first = search.first(due)
        if first is not None and first < self.on:
            # It opened in the past. Something may have come up since.
            now = search.first(self.on)
            first = first if now == self.on else now
        if first is None:
            return self._never(search.never(max(due, self.on)), due, judged, booked_on)
        if ends is not None and first > ends:
            held = search.held(max(due, self.on))
            return Stopped(
                "expired",
                f"{self.step.name} was possible until {ends}, but not before {first}. {' '.join(held)}".strip(),
                booked_on,
            )
        ideal, last, until = self._window(search, wanted, due, first, ends)
        held = search.held(due) if first > due else ()
        findings = search.findings(max(first, self.on))
        return Proposed(
            step=self.step.id,
            name=self.step.name,
            wanted=wanted,
            earliest=first,
            ideal=ideal,
            latest=last,
            reasons=self._reasons(judged, due, wanted, findings, search),
            conditions=tuple(dict.fromkeys(one.message for one in findings if _is_condition(one))),
            blocked_by=tuple(held),
            authorised_until=until,
            companion=self._companion(),
            booked_on=booked_on,
        )

    def _window(
        self, search: Search, wanted: Wanted, due: date, first: date, ends: date | None
    ) -> tuple[date, date, date | None]:
        base = self.way.earliest.after(self.anchor)
        wished = self.way.ideal.after(self.anchor) if self.way.ideal else base + IDEAL
        last = self.way.latest.after(self.anchor) if self.way.latest else base + LATEST
        moved = first - base
        ideal = max(wished, first) if self.way.ideal else wished + moved
        last = last if self.way.latest and last >= first else last + moved
        until = _authorised_until(self.facts, wanted, first)
        # What needs a reason is no bar, but where it passes by itself the better day comes after it.
        ideal = max(min(ideal, last), first)
        calm = search.calm(ideal)
        if calm is not None and calm > last and self.way.latest is None and search.calm(first) != first:
            last = calm  # every day of the window would need a reason
        last = max(min([last, *([ends] if ends else []), *([until] if until else [])]), first)
        for day in (calm, ideal):
            covered = search.first(max(min(day, last), first)) if day is not None else None
            if covered is not None and covered <= last:
                return covered, search.last(covered, last), until
        return first, search.last(first, last), until

    def _never(self, findings: Sequence[Finding], due: date, judged: Judged, booked_on: date | None) -> Answer:
        """Sum up what waiting alone does not change: a cap or lost relief ends the course, anything else may be mended."""
        for finding in findings:
            facts = finding.facts
            if _is_cap(finding):
                return Stopped("cap_met", finding.message, booked_on)
            if facts.get("state") == "not met":
                return Stopped("relief_not_reached", finding.message, booked_on)
        if not findings:
            return Stopped("cap_met", "The pathway's own limit of sessions is reached.", booked_on)
        told = " ".join(dict.fromkeys(finding.message for finding in findings))
        return Waiting(self.step.id, self.step.name, told, Owner.PHYSICIAN, None, max(due, self.on), judged.told, booked_on)

    def _reasons(self, judged: Judged, due: date, wanted: Wanted, findings: Iterable[Finding], search: Search) -> tuple[str, ...]:
        told = [self.way.why, *judged.told]
        if self.visits and self.way.earliest != Span():
            told.append(f"at least {self.way.earliest} after {self.visits[-1].step.name} of {self.anchor}")
        base = self.way.earliest.after(self.anchor)
        if due > base:
            told.append(f"not before {due} by the physician's limits")
        count = search.counted(max(due, self.on))
        if count is not None:
            told.append(f"{count[0]} of {count[1]} sessions used")
        tight = _tightest(findings)
        if tight is not None:
            told.append(f"the payer counts {tight[0]} of {tight[1]}")
        if self.step.is_staged and self.aim.works[self.step.id].side == "bilateral":
            told.append(
                "two sides on two dates use two sessions; both on one date would use one"
                if self.aim.is_staged
                else "both sides on one date use one session"
            )
        return tuple(dict.fromkeys(part for part in told if part))

    def _companion(self) -> Companion | None:
        name = self.step.pairs_with
        wanted = self.aim.works.get(name)
        if not name or wanted is None:
            return None
        way = next(way for way in self.step.then if way.to == name)
        latest = way.latest or way.earliest
        return Companion(name, self.pathway.step(name).name, wanted, way.earliest.days.days, latest.days.days)


def _authorised_until(facts: Facts, wanted: Wanted, first: date) -> date | None:
    """Return the last day of an approval that covers the first day of the window; None where nothing says one."""
    ends = [
        one.valid_until
        for one in facts.coverage.authorizations
        if one.status == "approved" and one.covers in (wanted.procedure, wanted.family) and one.valid_until is not None
    ]
    return max((day for day in ends if day >= first), default=None)


def _is_cap(finding: Finding) -> bool:
    """Say whether a finding counts what was done over time, and not what is asked for in one session."""
    facts = finding.facts
    return facts.get("limit") is not None and "levels" not in facts and finding.about != "injections"


def _is_condition(finding: Finding) -> bool:
    """Say whether a finding has to be met or given a reason by the day."""
    return finding.severity is not Severity.ADVICE and not blocks(finding)


def _tightest(findings: Iterable[Finding]) -> tuple[int, int] | None:
    """Return the payer's count that leaves the least room: what is used, and of how many."""
    counts = []
    for finding in findings:
        counted, limit = finding.facts.get("counted"), finding.facts.get("limit")
        if _is_cap(finding) and isinstance(counted, int) and isinstance(limit, int):
            counts.append((limit - counted, counted, limit))
    return min(counts)[1:] if counts else None
