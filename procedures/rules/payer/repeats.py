"""What the sessions before did: response and rescue, blocks before ablation, trials before implants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from procedures.rules.dates import DAY, Period, told
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Plain
from procedures.rules.payer.caps import block_round
from procedures.rules.payer.criteria import required_words
from procedures.rules.places import ABLATIONS, Site, site_told
from procedures.rules.responses import Response, State, best, reached
from procedures.rules.rows import Ruled, latest, listed, words


def is_referable(session: Session, facts: Facts) -> bool:
    """Say whether a session may be what a response is judged by: of this episode and for the same indication."""
    asked = facts.presentation.indication
    return facts.episode_holds(session.on) and not (asked and session.indication and asked != session.indication)


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


def block_states(held: Sequence[Session], pct: Fraction) -> list[tuple[date, State]]:
    """Return for each date of blocks, oldest first, whether the relief reached the threshold and fitted the agent."""
    found: dict[date, State] = {}
    for session in held:
        state = reached(session.pain, pct)
        if state is State.MET and session.matched_agent is False:
            state = State.LOST
        found[session.on] = best((state, found.get(session.on, State.LOST))) if session.on in found else state
    return sorted(found.items())


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
    earlier = [
        session for session in facts.earlier(rule.row.families, on) if session.role == rule.role and is_referable(session, facts)
    ]
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


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks that must have helped before something may be done at a site."""

    families: frozenset[str]
    least: int
    pct: Fraction
    is_consecutive: bool = False

    def support(self, facts: Facts, site: Site, on: date, *, after: date | None = None) -> State:
        """Judge the blocks of the present round at a site."""
        states = [state for _, state in block_states(block_round(facts, self.families, site, on, after=after), self.pct)]
        if self.is_consecutive:
            states = states[-self.least :]
        if sum(state is State.MET for state in states) >= self.least:
            return State.MET
        may_come = sum(state in (State.MET, State.UNRECORDED) for state in states) >= self.least
        return State.UNRECORDED if may_come else State.LOST

    def told(self, facts: Facts, site: Site, on: date) -> str:
        """Return the blocks at a site as evidence shows them."""
        states = block_states(block_round(facts, self.families, site, on), self.pct)
        return f"{site_told(site)}: " + (", ".join(f"{day} {state.value}" for day, state in states) or "no block")

    def __str__(self) -> str:
        row = " in a row" if self.is_consecutive else ""
        return f"{self.least} diagnostic block sessions{row} with at least {float(self.pct):g}% relief"


def last_ablation(facts: Facts, families: frozenset[str], site: Site, on: date) -> date | None:
    """Return when a site was last ablated before a date."""
    held = [session.on for session in facts.earlier(families, on) if site in session.sites]
    return held[-1] if held else None


@dataclass(frozen=True)
class AblationBlocks(Ruled):
    """A site that was never ablated needs its blocks first."""

    blocks: Blocks

    def check(self, facts: Facts, on: date) -> Finding | None:
        sites = sorted({site for one in self.asked(facts) for site in one.sites})
        fresh = [site for site in sites if last_ablation(facts, self.row.families, site, on) is None]
        states = {site: self.blocks.support(facts, site, on) for site in fresh}
        failing = [site for site in fresh if states[site] is not State.MET]
        if not failing:
            return None
        message = f"{self.blocks} are needed first at {', '.join(map(site_told, failing))}."
        evidence: dict[str, Plain] = {
            "needed": str(self.blocks), "blocks": "; ".join(self.blocks.told(facts, site, on) for site in failing),
        }  # fmt: skip
        is_pending = all(states[site] is State.UNRECORDED for site in failing)
        return self.row.finding(message, evidence=evidence, is_pending=is_pending)


@dataclass(frozen=True)
class Stale(Ruled):
    """A site ablated too long ago needs its blocks again, after that ablation."""

    period: Period
    blocks: Blocks | None = None

    def check(self, facts: Facts, on: date) -> Finding | None:
        failing: dict[Site, tuple[date, State]] = {}
        for site in sorted({site for one in self.asked(facts) for site in one.sites}):
            last = last_ablation(facts, self.row.families, site, on)
            if last is None or on <= self.period.after(last):
                continue
            state = self.blocks.support(facts, site, on, after=last) if self.blocks else State.LOST
            if state is not State.MET:
                failing[site] = (last, state)
        if not failing:
            return None
        where = "; ".join(f"{site_told(site)} on {last}" for site, (last, _) in failing.items())
        message = f"Ablated more than {self.period} ago ({where}): {self.blocks or 'blocks'} are needed again first."
        is_pending = all(state is State.UNRECORDED for _, state in failing.values())
        return self.row.finding(message, evidence={"ablated": where, "needed": str(self.blocks)}, is_pending=is_pending)

    def turning_points(self, facts: Facts) -> Iterable[date]:
        return [self.period.after(session.on) + DAY for session in facts.of(self.row.families)]


@dataclass(frozen=True)
class SecondBlock(Ruled):
    """A further diagnostic block at a site needs relief from the one before in the round."""

    pct: Fraction

    def check(self, facts: Facts, on: date) -> Finding | None:
        failing: list[tuple[Site, date, State]] = []
        for site in sorted({site for one in self.asked(facts, "diagnostic") for site in one.sites}):
            states = block_states(block_round(facts, self.row.families, site, on), self.pct)
            if states and states[-1][1] is not State.MET:
                failing.append((site, *states[-1]))
        return _blocks_failing(self, self.pct, failing)


@dataclass(frozen=True)
class SacroiliacTest(Ruled):
    """Therapeutic work needs a good diagnostic session on each side; a poor one rules out a further diagnostic one."""

    pct: Fraction

    def check(self, facts: Facts, on: date) -> Finding | None:
        earlier = [session for session in facts.earlier(self.row.families, on) if session.role == "diagnostic"]
        failing: list[tuple[Site, date, State]] = []
        untested: list[Site] = []
        for one in self.asked(facts):
            for site in sorted(one.sites):
                states = block_states([session for session in earlier if site in session.sites], self.pct)
                if states and states[-1][1] is not State.MET:
                    failing.append((site, *states[-1]))
                elif not states and one.role == "therapeutic":
                    untested.append(site)
        if not untested:
            return _blocks_failing(self, self.pct, failing)
        told_ = ", ".join(map(site_told, untested))
        message = f"No diagnostic session is on record for {told_}; {float(self.pct):g}% relief is needed."
        return self.row.finding(message, evidence={"untested": told_})


def _blocks_failing(rule: Ruled, pct: Fraction, failing: Sequence[tuple[Site, date, State]]) -> Finding | None:
    if not failing:
        return None
    told_ = "; ".join(f"{site_told(site)} on {day}: {state.value}" for site, day, state in failing)
    message = f"The diagnostic session before must have given at least {float(pct):g}% relief. {told_}."
    is_pending = all(state is State.UNRECORDED for _, _, state in failing)
    return rule.row.finding(message, evidence={"blocks": told_, "needed": f"{float(pct):g}%"}, is_pending=is_pending)


@dataclass(frozen=True)
class TherapeuticFacet(Ruled):
    """A therapeutic facet injection needs good blocks first, a repeated one a lasting response, both a reason."""

    blocks: Blocks
    repeat: Response
    requires: tuple[str, ...] = ()

    def check(self, facts: Facts, on: date) -> list[Finding]:
        asked = self.asked(facts, "therapeutic")
        if not asked:
            return []
        earlier = [
            session
            for session in facts.earlier(self.row.families, on)
            if session.role == "therapeutic" and is_referable(session, facts)
        ]
        faults: list[str] = []
        waits: list[date | None] = []
        is_known = False
        for site in sorted({site for one in asked for site in one.sites}):
            covering = [session for session in earlier if site in session.sites]
            if covering:
                held = latest_day(covering)
                state = best(self.repeat.judge(session) for session in held)
                due = self.repeat.period.after(held[-1].on)
                fault = f"{site_told(site)}: the injection of {held[-1].on} must have made the patient {self.repeat}"
                wait = due if state is not State.LOST and due > on else None
            else:
                state = self.blocks.support(facts, site, on)
                fault, wait = f"{self.blocks} are needed first ({self.blocks.told(facts, site, on)})", None
            if state is not State.MET:
                faults.append(fault)
                waits.append(wait)
                is_known = is_known or state is State.LOST
        found = []
        if faults:
            message = f"{'; '.join(faults)}."
            found.append(self.row.finding(message, earliest=latest(waits), is_pending=not is_known, about="blocks"))
        return [*found, *required_words(self, self.requires, facts, "Needed")]


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
            held = [session for session in covering if is_referable(session, facts)]
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
class BlockAfterAblation(Ruled):
    """No new block for some years at a site that was ablated with success."""

    pct: Fraction
    period: Period

    def check(self, facts: Facts, on: date) -> Finding | None:
        failing: list[tuple[Site, date]] = []
        for site in sorted({site for one in self.asked(facts) for site in one.sites}):
            held = [session for session in facts.earlier(ABLATIONS, on) if site in session.sites]
            if not held or on > self.period.after(held[-1].on):
                continue
            if any(reached(session.pain, self.pct) is State.MET for session in latest_day(held)):
                failing.append((site, held[-1].on))
        if not failing:
            return None
        earliest = max(self.period.after(last) + DAY for _, last in failing)
        where = "; ".join(f"{site_told(site)} on {last}" for site, last in failing)
        message = (
            f"Ablated with at least {float(self.pct):g}% relief ({where}): a further block is not covered until {told(earliest)}."
        )
        return self.row.finding(message, evidence={"ablated": where}, earliest=earliest)


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
