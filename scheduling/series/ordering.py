"""Put what a physician orders into sessions with their distances: the next steps of courses, and procedures listed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from procedures import pathwaybook
from procedures.levels import validate_target
from procedures.models import Procedure
from procedures.pathways import KEPT_APART, Pathway, Step, Way
from procedures.pathways.words import IDEAL, LATEST, Span
from scheduling.booking import pairs
from scheduling.courses import rolling
from scheduling.courses.aims import spot_of
from scheduling.courses.judging import attempt, day_of, read_world
from scheduling.models import Course, CourseStatus, PlannedSession, PlanState, SeriesSession
from scheduling.series.words import MOST_SESSIONS, FromCourse, Item, OrderRefused

SIDES = {"left": "right", "right": "left"}
YEAR = 366


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A step that lies ahead in a course: its side, and the way that leads to it; None for the one that is next."""

    step: Step
    side: str
    way: Way | None


def sessions_of(
    given: Sequence[FromCourse | Item], *, today: date, at: datetime, not_before: date | None = None
) -> list[SeriesSession]:
    """Return the sessions of a series, numbered, none of them saved.

    Raises:
        OrderRefused: nothing is ordered, too much, or something that cannot be done like this.
    """
    found: list[SeriesSession] = []
    for one in given:
        if isinstance(one, FromCourse):
            found += _of_course(one, len(found), today, at)
        else:
            found += _of_item(one, found, max(today, not_before or today))
    if not found:
        raise OrderRefused("Say what is to be done: steps of a course, or a procedure.")
    if len(found) > MOST_SESSIONS:
        raise OrderRefused(f"At most {MOST_SESSIONS} sessions are ordered together; these are {len(found)}.")
    return found


# --- the next steps of a course --------------------------------------------------------------------------------------


def _of_course(asked: FromCourse, before: int, today: date, at: datetime) -> list[SeriesSession]:
    planned = _planned(asked.course, today, at)
    course = planned.course if planned is not None else asked.course
    pathway = pathwaybook.pathways().get(course.pathway)
    if course.status != CourseStatus.ACTIVE or planned is None or pathway is None or planned.state != PlanState.PROPOSED:
        why = planned.for_what if planned is not None and planned.for_what else "The course does not run."
        raise OrderRefused(f"{pathway.name if pathway else course.pathway}: nothing can be ordered ahead. {why}")
    if not pathway.has(planned.step):
        raise OrderRefused(f"{pathway.name} has another shape now; the course is planned anew within a minute.")
    codes = set(course.works.values())
    procedures = {one.code: one for one in Procedure.objects.filter(code__in=codes).order_by("pk")}
    found: list[SeriesSession] = []
    anchor = planned.booked_on
    is_paired = False  # with the step before: neither is done without the other
    for ahead in _ahead(course, planned, pathway):
        procedure = procedures.get(course.works.get(ahead.step.id, ""))
        if procedure is None or (len(found) >= asked.count and not is_paired):
            break
        if ahead.way is None and anchor is not None:
            continue  # it is booked already: the next one follows its day
        row = _row(course, ahead, procedure, before + len(found) + 1)
        row.is_bound = is_paired
        is_paired = ahead.step.pairs_with in course.works
        if ahead.way is None:
            row.earliest, row.ideal, row.latest = planned.earliest, planned.ideal, planned.latest
        else:
            _put_distance(row, ahead.way, course)
            if found:
                row.after = before + len(found)
            else:
                assert anchor is not None  # the step that is next was left out, so it is booked
                days = (row.least_days, row.ideal_days, row.most_days)
                row.earliest, row.ideal, row.latest = (anchor + timedelta(days=one) for one in days)
        found.append(row)
    return found[: _room(course, found, planned)]


def _planned(course: Course, today: date, at: datetime) -> PlannedSession | None:
    """Return what comes next in a course by itself: the series keeps apart from other courses as they are when it looks."""
    rows = PlannedSession.objects.filter(course=course, is_current=True).select_related("course__patient", "course__site")
    row = rows.first()
    if row is None:
        return None
    if not any(KEPT_APART in text for text in (*row.blocked_by, *row.reasons, row.for_what)):
        return rolling.shown(row, today)
    alone = attempt(row.course, read_world([row.course], at=at), day_of(row.course, at))
    return (
        rolling.shown(row, today) if alone.is_broken else PlannedSession(course=row.course, number=alone.number, **alone.values)
    )


def _room(course: Course, found: Sequence[SeriesSession], planned: PlannedSession) -> int:
    """Return how many sessions more the physician's limit leaves."""
    if course.most_sessions is None:
        return len(found)
    done = planned.number - 1 + (1 if planned.booked_on else 0)
    return max(course.most_sessions - done, 0)


def _ahead(course: Course, planned: PlannedSession, pathway: Pathway) -> Iterator[_Ahead]:
    """Yield the steps of a course from the one that is next, each of them taken to have helped as its gates want it."""
    step, side, way = pathway.step(planned.step), planned.side, None
    while True:
        yield _Ahead(step, side, way)
        is_first_of_two = course.is_staged and course.side == "bilateral" and step.is_staged and side == course.first_side
        if is_first_of_two:
            side, way = SIDES[side], Way(to=step.id, why="the other side", earliest=pathway.staging or Span())
            continue
        onward = next((one for one in step.then if not one.only_if or one.only_if in course.wishes), None)
        if onward is None:
            return
        step, way = pathway.step(onward.to), onward
        side = course.first_side if course.is_staged and course.side == "bilateral" and step.is_staged else course.side


def _row(course: Course, ahead: _Ahead, procedure: Procedure, number: int) -> SeriesSession:
    spot = spot_of(procedure, ahead.side or course.side, course.levels, course.regions)
    return SeriesSession(
        number=number, course=course, step=ahead.step.id, name=ahead.step.name, procedure=procedure.code, side=spot.side,
        levels=list(spot.levels), regions=list(spot.regions), role=ahead.step.role, drug=course.drug,
        not_after=course.not_after,
    )  # fmt: skip


def _put_distance(row: SeriesSession, way: Way, course: Course) -> None:
    """Give a session its distance from the one before. Months are taken at their longest, so that none is too short."""
    least = max(_longest(way.earliest), course.gap_days or 0)
    ideal = _longest(way.ideal) if way.ideal is not None else least + IDEAL.days
    most = _longest(way.latest) if way.latest is not None else least + LATEST.days
    if way.expires is not None:
        most = min(most, _longest(way.expires))
    row.least_days = least
    row.ideal_days = max(min(ideal, most), least)
    row.most_days = max(most, least)


def _longest(span: Span) -> int:
    first = date(2027, 1, 1)
    days = [first + timedelta(days=number) for number in range(YEAR)] if span.months.months else [first]
    return max((span.after(day) - day).days for day in days)


# --- procedures listed by hand ---------------------------------------------------------------------------------------


def _of_item(item: Item, before: Sequence[SeriesSession], first: date) -> list[SeriesSession]:
    procedure = item.procedure
    spot = spot_of(procedure, item.side, item.levels, item.regions)
    findings = validate_target(procedure, spot.side, spot.levels, spot.regions)
    if findings:
        raise OrderRefused(f"{procedure.name}: {findings[0].message}", findings)
    if procedure.family == pairs.TRIAL and item.count > 1:
        raise OrderRefused("One trial is ordered at a time.")
    removal = _removal(procedure)
    found: list[SeriesSession] = []
    for _ in range(min(item.count, MOST_SESSIONS + 1)):
        number = len(before) + len(found) + 1
        row = SeriesSession(
            number=number, name=procedure.name[:120], procedure=procedure.code, side=spot.side, levels=list(spot.levels),
            regions=list(spot.regions),
        )  # fmt: skip
        if found or (item.is_after and before):
            row.after = number - 1
            row.least_days = item.least_days
            row.ideal_days, row.most_days = item.least_days, item.least_days + LATEST.days
        else:
            row.earliest, row.ideal, row.latest = first, first + IDEAL, first + LATEST
        found.append(row)
    if removal is not None:
        found.append(_lead_removal(removal, replace(item, procedure=removal), number + 1))
    return found


def _removal(procedure: Procedure) -> Procedure | None:
    """Return what takes the leads of a trial out again.

    Raises:
        OrderRefused: the clinic offers nothing that does.
    """
    if procedure.family != pairs.TRIAL:
        return None
    found = Procedure.objects.offered().filter(family=pairs.REMOVAL).in_order().first()
    if found is None:
        raise OrderRefused("A trial is booked together with the removal of its leads, and the clinic offers no removal.")
    return found


def _lead_removal(procedure: Procedure, item: Item, number: int) -> SeriesSession:
    """Return the removal of a trial's leads.

    Raises:
        OrderRefused: nothing says where on the body it is.
    """
    spot = spot_of(procedure, item.side, item.levels, item.regions)
    findings = validate_target(procedure, spot.side, spot.levels, spot.regions)
    if findings:
        raise OrderRefused(f"{procedure.name}: {findings[0].message} The levels of the trial, as T8-T9, say it.", findings)
    return SeriesSession(
        number=number, name=procedure.name[:120], procedure=procedure.code, side=spot.side, levels=list(spot.levels),
        regions=list(spot.regions), after=number - 1, least_days=pairs.LEAST.days, ideal_days=pairs.LEAST.days,
        most_days=pairs.MOST.days, is_bound=True,
    )  # fmt: skip
