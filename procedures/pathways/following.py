"""Where a course stands: which of its sessions were which step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from procedures.pathways.words import Aim, Match, Pathway, Span, Step, Visit, Way
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.places import CERVICAL_THORACIC, LUMBAR_SACRAL, sides_of

# Where no level is told, the part of the spine that is named says which payer region it is.
_PARTS = {"cervical": CERVICAL_THORACIC, "thoracic": CERVICAL_THORACIC, "lumbar": LUMBAR_SACRAL, "sacral": LUMBAR_SACRAL}
BOTH = frozenset({"left", "right"})


def is_mine(pathway: Pathway, aim: Aim, session: Session) -> bool:
    """Say whether a session, whenever it was, is one of the course's target."""
    if session.family not in pathway.families:
        return False
    if pathway.match is Match.REGION:
        regions = regions_of(session)
        # Of a session of which nobody wrote where it was, the procedure says it.
        return bool(regions & regions_meant(aim)) if regions else session.procedure in aim.procedures
    if pathway.match is Match.SITE:
        return bool(session.sites & aim.sites)
    if pathway.match is Match.PROCEDURE:
        sides = {side for one in aim.works.values() for side in sides_of(one.side)}
        return session.procedure in aim.procedures and bool(sides & set(sides_of(session.side)))
    return True


def regions_of(work: Session | Wanted) -> frozenset[str]:
    """Return the payer regions of some work, by its levels or else by the part of the spine that is named."""
    return work.regions or frozenset(_PARTS[word] for word in work.site.split("_") if word in _PARTS)


def regions_meant(aim: Aim) -> frozenset[str]:
    """Return the payer regions that a course touches."""
    return frozenset(region for one in aim.works.values() for region in regions_of(one))


def follow(pathway: Pathway, aim: Aim, facts: Facts) -> tuple[Visit, ...]:
    """Return the visits of a course, oldest first: each performed date that belongs to it, as the step that it was.

    A session that no way leads to, done elsewhere or out of order, is the first step of the pathway that it can be.
    """
    mine = [
        session
        for session in facts.standing
        if session.status == "performed" and session.on >= aim.since and is_mine(pathway, aim, session)
    ]
    visits: list[Visit] = []
    for _, held in groupby(mine, key=lambda session: session.on):
        day = tuple(held)
        step = _step_of(pathway, aim, visits, day[0])
        if step is None:
            continue
        if visits and _is_other_side(aim, visits[-1], step, day):
            visits[-1] = Visit(step, (*visits[-1].sessions, *day))
        else:
            visits.append(Visit(step, tuple(session for session in day if step.is_done_by(session))))
        pulled = _pulled(pathway, visits[-1])
        if pulled is not None:
            visits.append(pulled)
    return tuple(visits)


def missing_side(aim: Aim, visit: Visit) -> str:
    """Return the side of a staged visit that is not done yet, empty when none is missing."""
    if not (aim.is_staged and visit.step.is_staged):
        return ""
    left = BOTH - {side for session in visit.sessions for side in sides_of(session.side)}
    return next(iter(left)) if len(left) == 1 else ""


def ways_on(pathway: Pathway, aim: Aim, visits: Sequence[Visit]) -> tuple[Way, ...]:
    """Return the ways that lead on from where a course stands, in the pathway's order."""
    if not visits:
        first = pathway.steps[0]
        return (Way(to=first.id, why="the first step", gates=first.begins),)
    last = visits[-1]
    if missing_side(aim, last):
        gap = pathway.staging or Span()
        return (Way(to=last.step.id, why="the other side", earliest=gap),)
    return tuple(way for way in last.step.then if not way.only_if or way.only_if in aim.wishes)


def _step_of(pathway: Pathway, aim: Aim, visits: list[Visit], session: Session) -> Step | None:
    if visits:
        last = visits[-1]
        if missing_side(aim, last) and last.step.is_done_by(session):
            return last.step
        ahead = [pathway.step(way.to) for way in last.step.then]
    else:
        ahead = [pathway.steps[0]]
    return next((step for step in (*ahead, *pathway.steps) if step.is_done_by(session)), None)


def _is_other_side(aim: Aim, last: Visit, step: Step, day: tuple[Session, ...]) -> bool:
    missing = missing_side(aim, last)
    return bool(missing) and step == last.step and any(missing in sides_of(session.side) for session in day)


def _pulled(pathway: Pathway, visit: Visit) -> Visit | None:
    """Return the removal of leads where the trial's own record tells it, and no session of its own does."""
    session = visit.sessions[-1]
    if not visit.step.pairs_with or session.lead_removed_on is None:
        return None
    step = pathway.step(visit.step.pairs_with)
    removal = Session(
        session.lead_removed_on, session.procedure, next(iter(step.families)), "performed", session.side, session.levels,
        session.is_elsewhere, approach=session.approach, site=session.site,
    )  # fmt: skip
    return Visit(step, (removal,))
