"""A course as one line: what was done and how it helped, what comes next with its window, and what may follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from procedures.pathways import Ahead, Pathway, Step, Visit, follow, ways_ahead
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import day_of, read_world
from scheduling.models import Course, PlannedSession, PlanState

MOST_LATER = 3


@dataclass(frozen=True, slots=True)
class GateTold:
    """One gate as it stands: open, waiting or closed, and why."""

    state: str
    told: str


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Another way on from where the course stands, with its gates."""

    name: str
    why: str
    gates: tuple[GateTold, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the line. `kind` is done, next or later; `pct` the best relief on record."""

    kind: str
    name: str
    on: date | None = None
    latest: date | None = None
    side: str = ""
    is_elsewhere: bool = False
    pct: Fraction | None = None
    told: tuple[str, ...] = ()
    state: str = ""
    gates: tuple[GateTold, ...] = ()
    otherwise: tuple[Otherwise, ...] = ()


def stops(course: Course, planned: PlannedSession | None, *, at: datetime) -> tuple[Stop, ...]:
    """Return the line of a course; the course has its patient and site joined."""
    world = read_world([course], at=at)
    pathway = world.pathways.get(course.pathway)
    if pathway is None:
        return ()
    aim = aim_of(course, pathway, world.procedures, world.book)
    today = day_of(course, at)
    facts = world.facts(course, aim, today)
    visits = follow(pathway, aim, facts)
    done = [_done(visit, course) for visit in visits]
    if planned is None or planned.state in (PlanState.STOPPED, PlanState.DONE):
        return tuple(done)
    ways = ways_ahead(pathway, facts, today, aim=aim)
    taken = next((way for way in ways if way.step == planned.step and way.why in planned.reasons), None)
    taken = taken or next((way for way in ways if way.step == planned.step), None)
    gates = _gates(taken) if taken is not None else ()
    said = {gate.told for gate in gates}
    ahead = Stop(
        kind="next",
        name=planned.name,
        on=planned.booked_on or planned.ideal or planned.earliest,
        latest=planned.latest,
        side=planned.side if course.is_staged else "",
        told=tuple(
            text for text in ([planned.for_what] if planned.state == PlanState.WAITING else planned.reasons) if text not in said
        ),
        state="booked" if planned.booked_on else str(planned.state),
        gates=gates,
        otherwise=tuple(Otherwise(way.name, way.why, _gates(way)) for way in ways if way is not taken),
    )
    return (*done, ahead, *_later(pathway, planned.step, aim.wishes))


def last_step(course: Course, *, at: datetime) -> Step | None:
    """Return the step that was done last in a course; it has its patient and site joined."""
    world = read_world([course], at=at)
    pathway = world.pathways.get(course.pathway)
    if pathway is None:
        return None
    aim = aim_of(course, pathway, world.procedures, world.book)
    visits = follow(pathway, aim, world.facts(course, aim, day_of(course, at)))
    return visits[-1].step if visits else None


def _gates(way: Ahead) -> tuple[GateTold, ...]:
    return tuple(GateTold(verdict.state.value, verdict.told) for verdict in way.verdicts if verdict.told)


def _done(visit: Visit, course: Course) -> Stop:
    known = [pct for session in visit.sessions for _, pct in session.pain]
    sides = dict.fromkeys(session.side for session in visit.sessions) if course.is_staged else ()
    return Stop(
        kind="done",
        name=visit.step.name,
        on=visit.on,
        side=", ".join(sides),
        is_elsewhere=any(session.is_elsewhere for session in visit.sessions),
        pct=max(known, default=None),
    )


def _later(pathway: Pathway, step: str, wishes: frozenset[str]) -> list[Stop]:
    """Return what may follow, each way's why, until the pathway repeats itself."""
    found: list[Stop] = []
    if not pathway.has(step):
        return found
    seen = {step}
    at = pathway.step(step)
    while len(found) < MOST_LATER and at.then:
        way = next((way for way in at.then if not way.only_if or way.only_if in wishes), at.then[0])
        found.append(Stop(kind="later", name=pathway.step(way.to).name, told=(way.why,)))
        if way.to in seen:
            break
        seen.add(way.to)
        at = pathway.step(way.to)
    return found
