"""The gates of pathways: relief that was reached or lasted, its absence, sameness, change, facts on file, a review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from procedures.pathways.words import Opened, Owner, Scene, Verdict, Visit
from procedures.rules.dates import Period
from procedures.rules.facts import Session
from procedures.rules.places import site_told
from procedures.rules.responses import Response, State, best, reached


def pct_told(pct: Fraction) -> str:
    """Return a percentage as people read it."""
    return f"{float(pct):g} %"


def best_told(sessions: Iterable[Session]) -> str:
    """Return the best relief on record as people read it, empty where there is none."""
    known = [value for session in sessions for _, value in session.pain]
    return f"{float(max(known)):.3g} %" if known else ""


def is_trusted(scene: Scene, visit: Visit) -> bool:
    """Say whether a physician's word stands for what this visit did."""
    trusted = scene.aim.trusted_until
    return trusted is not None and visit.on <= trusted


@dataclass(frozen=True, slots=True)
class Relief:
    """The visits of some steps (none named: the last one) must have helped so much, for so long."""

    response: Response
    after: tuple[str, ...] = ()

    def judge(self, scene: Scene) -> Verdict:
        verdicts = []
        for visit in self._meant(scene):
            verdict = self._of(visit, scene)
            if verdict.state is Opened.CLOSED:
                return verdict
            verdicts.append(verdict)
        waiting = [verdict for verdict in verdicts if verdict.state is Opened.WAITING]
        told = "; ".join(verdict.told for verdict in verdicts)
        return waiting[0] if waiting else Verdict(Opened.OPEN, told)

    def _meant(self, scene: Scene) -> list[Visit]:
        names = self.after or ("",)
        return [visit for name in names if (visit := scene.last(name)) is not None]

    def _of(self, visit: Visit, scene: Scene) -> Verdict:
        name = f"{visit.step.name} of {visit.on}"
        if is_trusted(scene, visit):
            return Verdict(Opened.OPEN, f"{name}: taken as enough by the physician's word")
        state = _state(visit, self.response, scene)
        known = best_told(visit.sessions)
        if state is State.MET:
            return Verdict(Opened.OPEN, f"{name}: {self.response} is met{f' ({known})' if known else ''}")
        if state is State.LOST:
            recorded = f"{known} is the best on record" if known else "nothing better is on record"
            return Verdict(Opened.CLOSED, f"{name}: {self.response} was needed, {recorded}", code="relief_not_reached")
        due = self.response.period.after(visit.on)
        told = f"{name}: whether it made the patient {self.response}"
        return Verdict(Opened.WAITING, told, owner=Owner.PATIENT, due_on=due, about=visit.on)


def _state(visit: Visit, response: Response, scene: Scene) -> State:
    """Judge a visit: each site of the course by its best session, the worst site counts."""
    # A single session needs no looking at sites; that is nearly every visit.
    if len(visit.sessions) == 1:
        return _judged(visit.sessions[0], response)
    sites = sorted({site for session in visit.sessions for site in session.sites if site in scene.aim.sites})
    by_site = [[session for session in visit.sessions if site in session.sites] for site in sites] or [list(visit.sessions)]
    states = [best(_judged(session, response) for session in held) for held in by_site]
    return max(states, key=list(State).index)


def _judged(session: Session, response: Response) -> State:
    if response.period == Period() and response.any_of == ("pain",):
        state = reached(session.pain, response.pct)
    else:
        state = response.judge(session)
        if state is not State.MET and "function" in response.any_of and session.function_improved:
            state = State.MET
    return State.LOST if state is State.MET and session.matched_agent is False else state


@dataclass(frozen=True, slots=True)
class TooLittle:
    """The last visit must have helped too little: scores are recorded and each stayed below."""

    pct: Fraction

    def judge(self, scene: Scene) -> Verdict:
        visit = scene.last()
        if visit is None:
            return Verdict(Opened.OPEN, "")
        name = f"{visit.step.name} of {visit.on}"
        state = best(reached(session.pain, self.pct) for session in visit.sessions)
        if state is State.MET:
            return Verdict(Opened.CLOSED, f"{name} helped at least {pct_told(self.pct)}", code="helped_enough")
        if state is State.LOST or is_trusted(scene, visit):
            return Verdict(
                Opened.OPEN, f"{name} helped less than {pct_told(self.pct)} ({best_told(visit.sessions) or 'no score'})"
            )
        return Verdict(Opened.WAITING, f"{name}: how much it helped", owner=Owner.PATIENT, due_on=visit.on, about=visit.on)


@dataclass(frozen=True, slots=True)
class Changed:
    """What is planned must differ from the last visit in approach, level or medication."""

    of: tuple[str, ...]

    def judge(self, scene: Scene) -> Verdict:
        visit = scene.last()
        if visit is None:
            return Verdict(Opened.OPEN, "")
        for name in self.of:
            if _differs(name, scene, visit.sessions):
                return Verdict(Opened.OPEN, f"the {name} is changed")
        told = f"a change of {' or '.join(self.of)} after {visit.step.name} of {visit.on}, which did not help enough"
        return Verdict(Opened.WAITING, told, owner=Owner.PHYSICIAN, due_on=visit.on)


def _differs(name: str, scene: Scene, sessions: Sequence[Session]) -> bool:
    wanted = scene.wanted
    if name == "approach":
        return all(wanted.approach != session.approach for session in sessions)
    if name == "level":
        return set(wanted.levels) != {level for session in sessions for level in session.levels}
    return all(wanted.drug != session.drug for session in sessions)


@dataclass(frozen=True, slots=True)
class SameTarget:
    """The last visit must have covered every site that comes next."""

    def judge(self, scene: Scene) -> Verdict:
        visit = scene.last()
        if visit is None:
            return Verdict(Opened.OPEN, "")
        covered = {site for session in visit.sessions for site in session.sites}
        lacking = sorted(scene.wanted.sites - covered)
        if not lacking:
            return Verdict(Opened.OPEN, "the same levels and side")
        told = f"the target: {visit.step.name} of {visit.on} did not cover {', '.join(map(site_told, lacking))}"
        return Verdict(Opened.WAITING, told, owner=Owner.PHYSICIAN, due_on=visit.on)


@dataclass(frozen=True, slots=True)
class Longer:
    """Relief after the last visit must have lasted longer than after an earlier step."""

    pct: Fraction
    than: str

    def judge(self, scene: Scene) -> Verdict:
        now, before = scene.last(), scene.last(self.than)
        if now is None or before is None:
            return Verdict(Opened.OPEN, "")
        if is_trusted(scene, now):
            return Verdict(Opened.OPEN, f"{now.step.name} of {now.on}: taken as longer by the physician's word")
        length, bar = _days(now, self.pct), _days(before, self.pct)
        name = f"relief after {now.step.name} of {now.on}"
        if length[0] > bar[0]:
            return Verdict(Opened.OPEN, f"{name} lasted longer than after {before.step.name}")
        if length[1]:
            told = f"{name} lasted {length[0]} days, not longer than the {bar[0]} after {before.step.name}"
            return Verdict(Opened.CLOSED, told, code="relief_not_longer")
        told = f"whether {name} lasts longer than after {before.step.name} ({bar[0]} days)"
        due = Period(bar[0] + 1).after(now.on)
        return Verdict(Opened.WAITING, told, owner=Owner.PATIENT, due_on=due, about=now.on)


def _days(visit: Visit, pct: Fraction) -> tuple[int, bool]:
    """Return for how many days relief is shown, and whether its end is on record."""
    shown, is_over = 0, False
    for session in visit.sessions:
        for on, value in session.pain:
            if value >= pct:
                shown, is_over = (on - session.on).days, False
            else:
                is_over = True
    return shown, is_over


@dataclass(frozen=True, slots=True)
class OnFile:
    """Something that must be on file."""

    word: str
    what: str
    owner: Owner = Owner.DESK

    def judge(self, scene: Scene) -> Verdict:
        if scene.facts.knows(self.word):
            return Verdict(Opened.OPEN, f"{self.what} is on file")
        return Verdict(Opened.WAITING, self.what, owner=self.owner)


@dataclass(frozen=True, slots=True)
class Authorised:
    """The payer must have said yes to what comes next; who pays without a payer needs nobody's yes."""

    def judge(self, scene: Scene) -> Verdict:
        coverage = scene.facts.coverage
        if coverage.plan_type == "self_pay" or coverage.payer_rules == "none":
            return Verdict(Opened.OPEN, "no payer has to authorise it")
        mine = [one for one in coverage.authorizations if scene.wanted.family == one.family]
        known = {one.status for one in mine if one.valid_until is None or one.valid_until >= scene.on}
        if "approved" in known:
            return Verdict(Opened.OPEN, "the payer has authorised it")
        if known == {"refused"}:
            return Verdict(Opened.CLOSED, "the payer has refused to authorise it", code="refused")
        return Verdict(Opened.WAITING, "the payer's authorisation", owner=Owner.BILLER)


@dataclass(frozen=True, slots=True)
class NoMoreMedicine:
    """The patient must not need more medicine than before a step; where nothing is said, it holds."""

    after: str

    def judge(self, scene: Scene) -> Verdict:
        visit = scene.last(self.after)
        more = [session for session in visit.sessions if (session.medication_reduction or 0) < 0] if visit else []
        if more and visit is not None and not is_trusted(scene, visit):
            return Verdict(Opened.CLOSED, f"after {visit.step.name} of {visit.on} more medicine was needed", code="more_medicine")
        return Verdict(Opened.OPEN, "stable or less medicine")


@dataclass(frozen=True, slots=True)
class Review:
    """A physician must look before it goes on; trusting the last visit is the word."""

    of: str

    def judge(self, scene: Scene) -> Verdict:
        visit = scene.last()
        if visit is None or is_trusted(scene, visit):
            return Verdict(Opened.OPEN, f"{self.of} was reviewed")
        return Verdict(Opened.WAITING, f"review of {self.of}", owner=Owner.PHYSICIAN, due_on=visit.on)


@dataclass(frozen=True, slots=True)
class Judged:
    """All gates of a way, summed up: one that is closed closes it, one that waits holds it."""

    verdicts: tuple[Verdict, ...] = field(default_factory=tuple)

    def first(self, state: Opened) -> Verdict | None:
        """Return the first verdict of a state."""
        return next((verdict for verdict in self.verdicts if verdict.state is state), None)

    @property
    def told(self) -> tuple[str, ...]:
        """Return what the open ones say."""
        return tuple(verdict.told for verdict in self.verdicts if verdict.state is Opened.OPEN and verdict.told)
