"""How the gates stand on every way on, for people to look at: the planner itself needs only the first that is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from procedures.pathways.following import follow, ways_on
from procedures.pathways.words import Aim, Pathway, Scene, Verdict
from procedures.rules.facts import Facts


@dataclass(frozen=True, slots=True)
class Ahead:
    """One way on: where to, why, from which day by the pathway's interval, and each of its gates."""

    step: str
    name: str
    why: str
    earliest: date
    verdicts: tuple[Verdict, ...]


def ways_ahead(pathway: Pathway, facts: Facts, on: date, *, aim: Aim) -> tuple[Ahead, ...]:
    """Return every way on from where a course stands, in the pathway's order, as things are known on a day."""
    visits = follow(pathway, aim, facts)
    anchor = visits[-1].on if visits else aim.since
    found = []
    for way in ways_on(pathway, aim, visits):
        step, wanted = pathway.step(way.to), aim.works.get(way.to)
        scene = Scene(visits, wanted, aim, facts, on) if wanted is not None else None
        verdicts = tuple(gate.judge(scene) for gate in way.gates) if scene is not None else ()
        found.append(Ahead(step.id, step.name, way.why, way.earliest.after(anchor), verdicts))
    return tuple(found)
