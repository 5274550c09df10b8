"""Plan courses: after every cause, once, and all of them every night; only what changed is written.

A cause is claimed, its patient's courses are locked, the facts are read under the lock, and the plan is written and the
cause ticked off in one transaction: a worker that dies leaves the cause as it was. Whatever changes a fact leaves its
cause in its own transaction, so a change that the reading missed has a cause that is still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import FactChange
from scheduling.courses import rolling
from scheduling.courses.judging import Fresh, day_of, judge
from scheduling.models import Course, CourseStatus, PlanCause, PlannedSession, PlanRun, PlanState

ACTOR = Actor.system("planner")
CAUSES, BATCH = 200, 500
BUDGET = timedelta(seconds=20)  # of one sweep
NIGHT = 1  # the hour at the site from which its night is planned
MOST_FAILURES = 3  # in a row, before a course is parked
KEPT = ("is_current", "appointment", "planned_at", "rolls", "rolls_from")
STATUS = {PlanState.STOPPED: CourseStatus.STOPPED, PlanState.DONE: CourseStatus.DONE}
PLAN_FIELDS = (
    "step", "name", "state", "code", "procedure", "side", "earliest", "ideal", "latest", "for_what", "owner", "due_on", "reasons",
    "conditions", "blocked_by", "authorised_until", "companion", "booked_on",
)  # fmt: skip
SETTLED = tuple(name for name in PLAN_FIELDS if name not in (*rolling.DATES, *rolling.LISTS, *rolling.TEXTS))


@dataclass(slots=True)
class Tally:
    """How many courses were looked at, how many say something else now, and on how many the planner broke down."""

    planned: int = 0
    changed: int = 0
    failed: int = 0

    def add(self, other: Tally) -> None:
        """Count another batch in."""
        self.planned, self.changed = self.planned + other.planned, self.changed + other.changed
        self.failed += other.failed


def plan(keys: Iterable[int], *, at: datetime) -> Tally:
    """Plan these courses and their patients' others, which know of them, and write what changed.

    Joins the caller's transaction and locks the courses in key order.
    """
    patients = Course.objects.filter(pk__in=list(keys)).values("patient")
    rows = Course.objects.select_for_update(no_key=True, of=("self",)).filter(patient__in=patients).planned()
    courses = list(rows.select_related("patient", "site").order_by("pk"))
    return write(judge(courses, at=at), at=at) if courses else Tally()


def write(freshes: Sequence[Fresh], *, at: datetime) -> Tally:
    """Write what changed of these plans; the courses are locked."""
    keys = [fresh.course.pk for fresh in freshes]
    stored: dict[int, dict[int, PlannedSession]] = {}
    for kept in PlannedSession.objects.filter(course__in=keys):
        stored.setdefault(kept.course_id, {})[kept.number] = kept
    tally = Tally(planned=len(freshes))
    retired: list[PlannedSession] = []
    made: list[PlannedSession] = []
    renewed: list[PlannedSession] = []
    touched: list[Course] = []
    for fresh in freshes:
        if _has_moved(fresh, at):
            touched.append(fresh.course)
        if fresh.is_broken:
            tally.failed += 1
            continue
        rows = stored.get(fresh.course.pk, {})
        row = _renewed(fresh, rows, at)
        if row is None:
            continue
        tally.changed += 1
        if news_of(row) != fresh.course.told_of and fresh.course.news_at is None:
            fresh.course.news_at = at
            if fresh.course not in touched:
                touched.append(fresh.course)
        for other in rows.values():
            if other.is_current and other is not row:
                other.is_current = False
                retired.append(other)
        (renewed if row.pk else made).append(row)
    # What is no longer current goes first: of each course only one may be.
    PlannedSession.objects.bulk_update(retired, ["is_current"], batch_size=BATCH)
    PlannedSession.objects.bulk_update(renewed, [*PLAN_FIELDS, *KEPT], batch_size=BATCH)
    PlannedSession.objects.bulk_create(made, batch_size=BATCH)
    Course.objects.bulk_update(
        touched, ["status", "stop_code", "stop_reason", "stopped_at", "failures", "is_parked", "news_at"], batch_size=BATCH
    )
    if tally.changed or tally.failed:
        trail.record(
            by=ACTOR, act="scheduling.plan_courses",
            details={"planned": tally.planned, "changed": tally.changed, "failed": tally.failed},
        )  # fmt: skip
    return tally


def news_of(row: PlannedSession) -> str:
    """Return what of a plan a patient cares about: which step comes next, or that it stops or is finished."""
    if row.state in (PlanState.STOPPED, PlanState.DONE):
        return f"{row.state}:{row.code}"
    return f"next:{row.number}:{row.step}:{row.side}"


def _renewed(fresh: Fresh, rows: dict[int, PlannedSession], at: datetime) -> PlannedSession | None:
    """Return the row that has to be written, or None when everything is said already."""
    row = rows.get(fresh.number)
    case = fresh.case.pk if fresh.case is not None else None
    if row is None:
        return PlannedSession(course=fresh.course, number=fresh.number, appointment=fresh.case, planned_at=at, **fresh.values)
    today = day_of(fresh.course, at)
    is_same = row.is_current and row.appointment_id == case
    is_same = is_same and all(getattr(row, name) == fresh.values[name] for name in SETTLED)
    if is_same and rolling.is_said(row, fresh.values, today):
        return None
    written_on = day_of(fresh.course, row.planned_at)
    rolled = rolling.rolled(row, written_on, fresh.values, today) if is_same else None
    for name, value in {**fresh.values, "rolls": [], "rolls_from": None, **(rolled or {})}.items():
        setattr(row, name, value)
    row.is_current, row.appointment, row.planned_at = True, fresh.case, at
    return row


def _has_moved(fresh: Fresh, at: datetime) -> bool:
    """Bring a course in line with its plan and say whether that changed it."""
    course = fresh.course
    before = (course.status, course.stop_code, course.stop_reason, course.failures, course.is_parked)
    if fresh.is_broken:
        course.failures += 1
        course.is_parked = course.failures >= MOST_FAILURES
    else:
        course.failures = 0
        course.status = STATUS.get(PlanState(fresh.state), CourseStatus.ACTIVE)
        is_stopped = course.status == CourseStatus.STOPPED
        course.stop_code = str(fresh.values["code"]) if is_stopped else ""
        course.stop_reason = str(fresh.values["for_what"]) if is_stopped else ""
        if (course.status != CourseStatus.ACTIVE) != (course.stopped_at is not None):
            course.stopped_at = at if course.status != CourseStatus.ACTIVE else None
    return before != (course.status, course.stop_code, course.stop_reason, course.failures, course.is_parked)


# --- after a cause ---------------------------------------------------------------------------------------------------


def sweep(*, at: datetime, budget: timedelta = BUDGET) -> Tally:
    """Plan the courses of everybody about whom something changed, until nothing is left or the time is up."""
    tally, ends = Tally(), monotonic() + budget.total_seconds()
    while monotonic() < ends:
        found = sweep_some(at=at)
        if found is None:
            break
        tally.add(found)
    return tally


def sweep_some(*, at: datetime, limit: int = CAUSES) -> Tally | None:
    """Plan after the oldest causes that nobody has in hand, in one transaction; None when there are none."""
    with transaction.atomic():
        causes = list(PlanCause.objects.select_for_update(skip_locked=True).filter(done_at=None).order_by("pk")[:limit])
        changes = list(FactChange.objects.select_for_update(skip_locked=True).filter(planned_at=None).order_by("pk")[:limit])
        if not causes and not changes:
            return None
        patients = {*(one.patient_id for one in causes), *(one.patient_id for one in changes)}
        keys = list(Course.objects.filter(patient__in=patients).order_by("pk").values_list("pk", flat=True))
        tally = plan(keys, at=at)
        PlanCause.objects.filter(pk__in=[one.pk for one in causes]).update(done_at=at)
        FactChange.objects.filter(pk__in=[one.pk for one in changes]).update(planned_at=at)
    return tally


# --- every night -----------------------------------------------------------------------------------------------------


def plan_nights(*, at: datetime, budget: timedelta = BUDGET) -> Tally:
    """Go on with the night's planning of each site where it is past one o'clock, until all is done or the time is up."""
    tally, ends = Tally(), monotonic() + budget.total_seconds()
    for site in Site.objects.filter(pk__in=Course.objects.values("site")).order_by("pk"):
        wall = at.astimezone(ZoneInfo(site.time_zone))
        if wall.hour < NIGHT:
            continue
        run, _ = PlanRun.objects.get_or_create(site=site, day=wall.date(), defaults={"started_at": at, "moved_at": at})
        while run.finished_at is None and monotonic() < ends:
            found = plan_some(run, at=at, limit=BATCH)
            if found is None:
                break
            tally.add(found)
    return tally


def plan_some(run: PlanRun, *, at: datetime, limit: int = BATCH) -> Tally | None:
    """Plan the next courses of a night's run and write how far it has come, in one transaction.

    It goes by the oldest course of each patient in the site's time zone, with which the others are planned, each as of the
    day at its own site. Returns None when another worker has the run in hand.
    """
    with transaction.atomic():
        row = PlanRun.objects.select_for_update(skip_locked=True).filter(pk=run.pk).first()
        if row is None:
            return None
        firsts = Course.objects.firsts_by_clock().filter(site=row.site_id, pk__gt=row.last_course)
        keys = list(firsts.order_by("pk").values_list("pk", flat=True)[:limit])
        tally = plan(keys, at=at)
        row.last_course = keys[-1] if keys else row.last_course
        row.planned, row.changed = row.planned + tally.planned, row.changed + tally.changed
        row.failed, row.moved_at = row.failed + tally.failed, at
        row.finished_at = at if len(keys) < limit else None
        row.save(update_fields=["last_course", "planned", "changed", "failed", "moved_at", "finished_at"])
    run.finished_at = row.finished_at
    return tally


def plan_all(*, at: datetime) -> Tally:
    """Plan every course, batch by batch, each in a transaction of its own."""
    tally, last = Tally(), 0
    while True:
        rows = Course.objects.firsts().filter(pk__gt=last).order_by("pk")
        keys = list(rows.values_list("pk", flat=True)[:BATCH])
        if not keys:
            return tally
        last = keys[-1]
        with transaction.atomic():
            tally.add(plan(keys, at=at))


# --- without writing -------------------------------------------------------------------------------------------------


def rehearse(*, at: datetime, day: date | None = None) -> Iterator[Fresh]:
    """Yield what planning now would change, or as of a day, course by course; writes nothing."""
    moment = at if day is None else datetime.combine(day, time(12), tzinfo=UTC)
    last = 0
    while True:
        keys = list(Course.objects.firsts().filter(pk__gt=last).order_by("pk").values_list("pk", "patient")[:BATCH])
        if not keys:
            return
        last = keys[-1][0]
        rows = Course.objects.planned().filter(patient__in=[patient for _, patient in keys])
        courses = list(rows.select_related("patient", "site").order_by("pk"))
        stored: dict[int, dict[int, PlannedSession]] = {}
        for row in PlannedSession.objects.filter(course__in=courses):
            stored.setdefault(row.course_id, {})[row.number] = row
        for fresh in judge(courses, at=moment, day=day):
            if fresh.is_broken or _renewed(fresh, stored.get(fresh.course.pk, {}), moment) is not None:
                yield fresh
