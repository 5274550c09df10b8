"""A course as one line: what was done and how it helped, what comes next with its window, and what may follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from procedures.pathways import Pathway, Visit, follow
from procedures.tables.courses import shipped_pathways
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import day_of, read_world
from scheduling.models import Course, PlannedSession, PlanState

MOST_LATER = 3


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


def stops(course: Course, planned: PlannedSession | None, *, at: datetime) -> tuple[Stop, ...]:
    """Return the line of a course; the course has its patient and site joined."""
    pathway = shipped_pathways().get(course.pathway)
    if pathway is None:
        return ()
    world = read_world([course], at=at)
    aim = aim_of(course, pathway, world.procedures, world.book)
    visits = follow(pathway, aim, world.facts(course, aim, day_of(course, at)))
    done = [_done(visit, course) for visit in visits]
    if planned is None or planned.state in (PlanState.STOPPED, PlanState.DONE):
        return tuple(done)
    ahead = Stop(
        kind="next",
        name=planned.name,
        on=planned.booked_on or planned.ideal or planned.earliest,
        latest=planned.latest,
        side=planned.side if course.is_staged else "",
        told=tuple([planned.for_what] if planned.state == PlanState.WAITING else planned.reasons),
        state="booked" if planned.booked_on else str(planned.state),
    )
    return (*done, ahead, *_later(pathway, planned.step, aim.wishes))


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
