"""What the patient's other courses propose while a series looks for its dates: those of which it orders nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from patients.facts import Reading
from procedures.models import Procedure
from procedures.pathways import Beside, Pathway, is_mine
from procedures.rules import Finding, Session, Severity
from scheduling.courses import rolling
from scheduling.courses.aims import Rulebook, aim_of
from scheduling.courses.judging import World, day_of
from scheduling.courses.offering import still_free
from scheduling.courses.siblings import Sibling, sibling_of
from scheduling.models import Course, CourseStatus, PlannedSession, PlanState, Series

TO_DECIDE = "not_kept_apart"
_WHAT_WOULD_DO = "To decide: book this one, and that course is planned around it, or put that course off first"


@dataclass(frozen=True)
class Others:
    """What others propose, course by course: for the rules, and the openings that are offered for it."""

    held: tuple[tuple[Sibling, tuple[Beside, ...]], ...] = ()

    @cached_property
    def beside(self) -> tuple[Beside, ...]:
        """Return all of it for the rules."""
        return tuple(one for _, several in self.held for one in several)

    @cached_property
    def days(self) -> frozenset[date]:
        """Return the days on which the patient's time may be taken."""
        return frozenset(one.session.on for one in self.beside)

    def due_by(self, latest: date) -> tuple[Beside, ...]:
        """Return what is proposed of courses whose window closes by a day: whoever is due first goes first, as among courses."""
        return tuple(one for sibling, several in self.held if sibling.due <= latest for one in several)

    def meets(self, starts: datetime, ends: datetime) -> Beside | None:
        """Return the proposed session that would take the patient's time already, if any."""
        return next((several[0] for sibling, several in self.held if sibling.meets(starts, ends)), None)


NOBODY = Others()


def others_of(
    series: Series,
    ordered: Sequence[tuple[int | None, Session]],
    *,
    reading: Reading,
    pathways: Mapping[str, Pathway],
    at: datetime,
) -> Others:
    """Return what courses propose of which a series orders nothing: one small statement where none runs, else four at most.

    `ordered` are the sessions that are to get dates, each with its course. What is listed by hand and would count as the
    next session of a course stands for that one, so that the course is not in its way.
    """
    if not Course.objects.filter(patient=series.patient_id, status=CourseStatus.ACTIVE).exists():
        return NOBODY  # as for most patients: what follows takes longer to put together than to answer
    own = {course for course, _ in ordered}
    rows = list(
        PlannedSession.objects.filter(
            is_current=True, state=PlanState.PROPOSED, appointment=None, booked_on=None, course__patient=series.patient_id,
            course__status=CourseStatus.ACTIVE, course__is_parked=False,
        ).select_related("course__site", "found").order_by("course__pk")
    )  # fmt: skip
    rows = [rolling.shown(row, day_of(row.course, at)) for row in rows if row.course_id not in own]
    if not rows:
        return NOBODY
    codes = {code for row in rows for code in row.course.works.values()}
    procedures = {one.code: one for one in Procedure.objects.filter(code__in=codes).order_by("pk")}
    world = World(reading, Rulebook(reading.book), {}, procedures, pathways, at)
    free = still_free(rows)
    by_hand = [session for course, session in ordered if course is None]
    left = [row for row in rows if not any(_is_taken(row, session, world) for session in by_hand)]
    found = [sibling_of(row, _first(row, free.get(row.pk, ()), at), world) for row in left]
    return Others(tuple((one, tuple(one.beside(series.site_id, world))) for one in found if one is not None))


def _first(row: PlannedSession, free: Sequence[Mapping[str, Any]], at: datetime) -> Mapping[str, Any] | None:
    """Return the opening that one press would book, unless it was found for an earlier plan."""
    if not free or row.found.found_at < row.planned_at:
        return None
    return next((one for one in free if datetime.fromisoformat(str(one["starts_at"])) > at), None)


def _is_taken(row: PlannedSession, session: Session, world: World) -> bool:
    """Say whether a course would take a session for the one that it proposes."""
    pathway = world.pathways.get(row.course.pathway)
    if pathway is None or not pathway.has(row.step) or session.family not in pathway.step(row.step).families:
        return False
    return is_mine(pathway, aim_of(row.course, pathway, world.procedures, world.book), session)


def note(found: Finding, day: date) -> Finding:
    """Return what kept a session apart as a note, and the day that it could have as things are booked."""
    return Finding(found.code, Severity.ADVICE, f"{found.message} As things are booked it could be on {day}.")


def to_decide(found: Finding) -> Finding:
    """Return what a session is not kept apart from, and what would do."""
    return Finding(TO_DECIDE, Severity.ADVICE, f"Not k{found.message.removeprefix('K')} {_WHAT_WOULD_DO}.")


def at_one_time(other: Beside) -> Finding:
    """Return that a session and another proposed one would be at one time."""
    message = f"Not kept apart from {other.told}, not booked yet: both would be at one time. {_WHAT_WOULD_DO}."
    return Finding(TO_DECIDE, Severity.ADVICE, message)
