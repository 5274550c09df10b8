"""What the sessions before did: response and rescue, blocks before ablation, trials before implants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from procedures.rules.dates import DAY, Period
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Plain
from procedures.rules.payer.criteria import required_words
from procedures.rules.places import site_told
from procedures.rules.responses import Response, State, best, reached
from procedures.rules.rows import Ruled, latest, listed, words


def latest_day(sessions: Sequence[Session]) -> list[Session]:
    """Return the sessions of the latest date of service."""
    return [session for session in sessions if session.on == sessions[-1].on]


def scores_told(sessions: Iterable[Session]) -> str:
    """Return the recorded scores as evidence shows them."""
    found = []
    for session in sessions:
        for score in sorted(session.scores, key=lambda one: one.on):
            pain = "" if score.pain is None else f"pain {float(score.pain):.4g}%"
            function = "" if score.function is None else f"function {float(score.function):.4g}%"
            found.append(f"{score.on} {' '.join(part for part in (pain, function) if part)}")
    return "; ".join(found) or "none"


@dataclass(frozen=True)
class RepeatResponse(Ruled):
    """The session before must have helped enough for long enough. `scope` is any, region or site.

    With `is_rescued` a session of which every score stayed below is left to the rescue rule. With `stale_after` a site
    ablated longer ago is left to the staleness rule.
    """

    response: Response
    scope: str = "region"
    role: str = "therapeutic"
    is_rescued: bool = False
    stale_after: Period | None = None

    def check(self, facts: Facts, on: date) -> Finding | None:
        failing: list[tuple[str, list[Session], State]] = []
        for name, held in references(self, self.scope, facts, on):
            if self.is_rescued and needs_rescue(held, self.response):
                continue
            if self.stale_after is not None and on > self.stale_after.after(_last_on(self, name, facts, on)):
                continue
            state = best(self.response.judge(session) for session in held)
            if state is not State.MET:
                failing.append((name, held, state))
        if not failing:
            return None
        earliest = latest(self._earliest(held, state, on) for _, held, state in failing)
        sessions = [session for _, held, _ in failing for session in held]
        where = ", ".join(name.replace("_", " ") for name, _, _ in failing if name)
        message = (
            f"The session of {sessions[-1].on}{f' ({where})' if where else ''} must have made the patient {self.response}; "
            f"recorded: {scores_told(sessions)}."
        )
        evidence: dict[str, Plain] = {
            "reference": listed(sessions), "needed": str(self.response), "scores": scores_told(sessions),
            "state": max((state for _, _, state in failing), key=list(State).index).value,
        }  # fmt: skip
        is_pending = all(state is not State.LOST for _, _, state in failing)
        return self.row.finding(message, evidence=evidence, earliest=earliest, is_pending=is_pending)

    def _earliest(self, held: Sequence[Session], state: State, on: date) -> date | None:
        due = self.response.period.after(held[-1].on)
        return due if state is not State.LOST and due > on else None

    def turning_points(self, facts: Facts) -> Iterable[date]:
        if self.stale_after is None:
            return ()
        return [self.stale_after.after(session.on) + DAY for session in facts.of(self.row.families)]


def _last_on(rule: Ruled, name: str, facts: Facts, on: date) -> date:
    covering = [
        session for session in facts.earlier(rule.row.families, on) if name in {site_told(site) for site in session.sites}
    ]
    return covering[-1].on


def references(rule: RepeatResponse | Rescue, scope: str, facts: Facts, on: date) -> list[tuple[str, list[Session]]]:
    """Return what the request is judged by: for each region or site the sessions of the latest earlier date."""
    asked = rule.asked(facts, rule.role)
    if not asked:
        return []
    earlier = [session for session in facts.referable(rule.row.families, rule.role) if session.on < on]
    if scope == "site":
        sites = sorted({site for one in asked for site in one.sites})
        covered = [(site_told(site), [session for session in earlier if site in session.sites]) for site in sites]
    elif scope == "region":
        regions = sorted({region for one in asked for region in one.regions})
        covered = [(region, [session for session in earlier if region in session.regions]) for region in regions]
    else:
        covered = [("", earlier)]
    return [(name, latest_day(held)) for name, held in covered if held]


def needs_rescue(held: Sequence[Session], response: Response) -> bool:
    """Say whether scores are recorded and every one of them stayed below the percentage."""
    return any(response.has_record(session) for session in held) and not any(response.ever_reached(session) for session in held)


@dataclass(frozen=True)
class Rescue(Ruled):
    """After a session that never helped enough: an interval, something changed, and a written reason."""

    response: Response
    period: Period
    changes: tuple[str, ...] = ()
    needs_rationale: bool = True
    role: str = "therapeutic"

    def check(self, facts: Facts, on: date) -> Finding | None:
        faults: list[str] = []
        waits: list[date | None] = []
        sessions: list[Session] = []
        for region, held in references(self, "region", facts, on):
            if not needs_rescue(held, self.response):
                continue
            asked = [one for one in self.asked(facts, self.role) if region in one.regions]
            free = self.period.after(held[-1].on)
            if free > on:
                faults.append(f"at least {self.period} must lie between, free from {free}")
                waits.append(free)
            if self.changes and not _has_change(asked, held, self.changes):
                faults.append(f"nothing is changed: {words(self.changes)}")
                waits.append(None)
            if self.needs_rationale and not facts.request.rationale.strip():
                faults.append("no reason is written")
                waits.append(None)
            sessions += held
        if not faults:
            return None
        message = f"The session of {sessions[-1].on} never reached {float(self.response.pct):g}%: {'; '.join(faults)}."
        evidence: dict[str, Plain] = {"reference": listed(sessions), "scores": scores_told(sessions)}
        return self.row.finding(message, evidence=evidence, earliest=latest(waits))


def _has_change(asked: Sequence[Wanted], held: Sequence[Session], changes: Sequence[str]) -> bool:
    now = {
        "approach": {one.approach for one in asked},
        "level": {level for one in asked for level in one.levels},
        "medication": {one.drug for one in asked},
    }
    before = {
        "approach": {one.approach for one in held},
        "level": {level for one in held for level in one.levels},
        "medication": {one.drug for one in held},
    }
    return any(now[name] != before[name] for name in changes)


@dataclass(frozen=True)
class CystRepeat(Ruled):
    """A cyst may be ruptured again so often, after a lasting response, with imaging on file."""

    most: int
    response: Response
    requires: tuple[str, ...] = ()

    def check(self, facts: Facts, on: date) -> list[Finding]:
        sites = sorted({site for one in self.asked(facts) for site in one.sites})
        if not sites:
            return []
        earlier = facts.earlier(self.row.families, on)
        found: list[Finding] = []
        repeats = 0
        waits: list[date | None] = []
        faults: list[str] = []
        is_known = False
        for site in sites:
            covering = [session for session in earlier if site in session.sites]
            times = len({session.on for session in covering})
            repeats = max(repeats, times - 1)
            if times > self.most:
                faults.append(f"{site_told(site)} was treated {times} times; at most {self.most} repeat")
                waits.append(None)
                is_known = True
                continue
            held = [session for session in covering if session in facts.referable(self.row.families, session.role)]
            if not held:
                continue
            state = best(self.response.judge(session) for session in latest_day(held))
            if state is not State.MET:
                due = self.response.period.after(held[-1].on)
                faults.append(f"{site_told(site)}: the treatment of {held[-1].on} must have made the patient {self.response}")
                waits.append(due if state is not State.LOST and due > on else None)
                is_known = is_known or state is State.LOST
        evidence: dict[str, Plain] = {"counted": repeats, "limit": self.most, "sessions": listed(earlier)}
        if faults:
            message = f"{'; '.join(faults)}."
            found.append(self.row.finding(message, evidence=evidence, earliest=latest(waits), is_pending=not is_known))
        return [*found, *required_words(self, self.requires, facts, "Needed")]


@dataclass(frozen=True)
class TrialSuccess(Ruled):
    """An implant needs a trial before that helped: pain, or less medicine."""

    families: frozenset[str]
    relief_pct: Fraction | None = None
    reduction_pct: Fraction | None = None
    note: str = field(default="", compare=False)

    def check(self, facts: Facts, on: date) -> Finding | None:
        if not self.asked(facts):
            return None
        trials = facts.earlier(self.families, on)
        needed = f"at least {float(self.relief_pct or 0):g}% relief, or as much less medicine"
        if not trials:
            message = f"No earlier trial is on record; {needed} is needed."
            return self.row.finding(message, evidence={"needed": needed})
        held = latest_day(trials)
        states = [state for session in held for state in self._states(session)]
        if State.MET in states:
            return None
        message = f"The trial of {held[-1].on} must have given {needed}; recorded: {scores_told(held)}."
        evidence: dict[str, Plain] = {"reference": listed(held), "needed": needed, "scores": scores_told(held)}
        is_pending = all(state is State.UNRECORDED for state in states)
        return self.row.finding(message, evidence=evidence, is_pending=is_pending)

    def _states(self, session: Session) -> list[State]:
        found = []
        if self.relief_pct is not None:
            found.append(reached(session.pain, self.relief_pct))
        if self.reduction_pct is not None:
            value = session.medication_reduction
            records = () if value is None else ((session.on, value),)
            found.append(reached(records, self.reduction_pct))
        return found
