"""Blocks and ablations, site by site: which blocks must have helped, and when they have to be done again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from procedures.rules.dates import DAY, Period, told
from procedures.rules.facts import Facts, Session
from procedures.rules.findings import Finding, Plain
from procedures.rules.payer.criteria import required_words
from procedures.rules.payer.repeats import latest_day
from procedures.rules.payer.rounds import block_round
from procedures.rules.places import ABLATIONS, Site, site_told
from procedures.rules.responses import Response, State, best, reached
from procedures.rules.rows import Ruled, latest


def block_states(held: Sequence[Session], pct: Fraction) -> list[tuple[date, State]]:
    """Return for each date of blocks, oldest first, whether the relief reached the threshold and fitted the agent."""
    found: dict[date, State] = {}
    for session in held:
        state = reached(session.pain, pct)
        if state is State.MET and session.matched_agent is False:
            state = State.LOST
        found[session.on] = best((state, found.get(session.on, State.LOST))) if session.on in found else state
    return sorted(found.items())


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
        earlier = [session for session in facts.referable(self.row.families, "therapeutic") if session.on < on]
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
