"""Find dates for the sessions of a series jointly: read what is free in a bounded number of statements, ask every rule.

The rules are asked about each date with the other sessions of the proposal counted as booked, so that caps, intervals
and the units of authorisations count what the proposal itself uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from procedures.pathways.joint import place
from scheduling.models import Series, SeriesSession
from scheduling.series.proposing.ground import Ground
from scheduling.series.proposing.scene import Scene, details_of, is_booked, leader_of
from scheduling.series.words import Proposal

__all__ = ["details_of", "is_booked", "leader_of", "propose"]

MOST_TRIES = 4_000  # days tried by one search; each may ask the rules
MOST_LOOKS = 3  # how often the days of sessions that found none are looked for further on


def propose(*, series: Series, sessions: Sequence[SeriesSession], at: datetime) -> Proposal:
    """Return dates for the sessions that are neither skipped nor booked. Writes nothing.

    The series has its patient, site and physician joined, its sessions their course and appointment.
    """
    scene = Scene.read(series, sessions, at)
    later: dict[int, date] = {}
    for _ in range(MOST_LOOKS):
        ground = Ground(scene, scene.rows(later))
        answer = place(ground.question, most_tries=MOST_TRIES)
        found = {row.session.number: ground.suggested(index, answer) for index, row in enumerate(ground.rows)}
        moved = ground.later(answer)
        if not moved or moved.items() <= later.items():
            break
        later |= moved
    return Proposal(found, answer.is_proven)
