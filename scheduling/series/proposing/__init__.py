"""Find dates for the sessions of a series jointly: read what is free in a bounded number of statements, ask every rule.

The rules are asked about each date with the other sessions of the proposal counted as booked, so that caps, intervals
and the units of authorisations count what the proposal itself uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from procedures.pathways.joint import Joint, place
from scheduling.models import Series, SeriesSession
from scheduling.series.proposing.beside import TO_DECIDE
from scheduling.series.proposing.ground import Ground
from scheduling.series.proposing.scene import Scene, details_of, is_booked, leader_of
from scheduling.series.words import Proposal

__all__ = ["TO_DECIDE", "details_of", "is_booked", "leader_of", "propose"]

MOST_TRIES = 4_000  # days tried by one search; each may ask the rules
MOST_LOOKS = 3  # how often the days of sessions that found none are looked for further on
MOST_FREED = 3  # sessions that are freed one after the other, before all that are left are


def propose(*, series: Series, sessions: Sequence[SeriesSession], at: datetime) -> Proposal:
    """Return dates for the sessions that are neither skipped nor booked. Writes nothing.

    The series has its patient, site and physician joined, its sessions their course and appointment.
    """
    scene = Scene.read(series, sessions, at)
    later: dict[int, date] = {}
    freed: frozenset[int] = frozenset()
    looks = 0
    ground = Ground(scene, scene.rows(later))
    while True:
        answer = place(ground.question, most_tries=MOST_TRIES)
        moved = ground.later(answer)
        looks += 1
        if moved and looks < MOST_LOOKS and not moved.items() <= later.items():
            later |= moved
            ground = ground.again(scene.rows(later), freed)
            continue
        stuck = _stuck(ground, answer, is_last=len(freed) >= MOST_FREED)
        if not stuck:
            break
        # Keeping apart from what is only proposed leaves these no day: they are looked for as things are booked.
        freed |= stuck
        later = {number: day for number, day in later.items() if number not in stuck}
        looks = 0
        ground = ground.again(scene.rows(later), freed)
    found = {row.session.number: ground.suggested(index, answer) for index, row in enumerate(ground.rows)}
    return Proposal(found, answer.is_proven)


def _stuck(ground: Ground, answer: Joint, *, is_last: bool) -> frozenset[int]:
    """Return the sessions without a date that keep apart from proposals, first those that others follow.

    What is bound to one of them goes with it. `is_last`: all of them.
    """
    found: set[int] = set()
    for index, row in enumerate(ground.rows if ground.scene.proposed.beside else ()):
        if answer.days[index] is not None or not ground.is_strict(index):
            continue
        is_led = row.leader is not None and answer.days[row.leader] is None
        is_bound = row.session.is_bound and row.leader is not None and ground.rows[row.leader].session.number in found
        if is_last or is_bound or not is_led:
            found.add(row.session.number)
    return frozenset(found)
