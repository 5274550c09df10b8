"""The best openings for what is planned, under every rule, found ahead by the clock and kept fresh."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F, Q, Value

from procedures.models import Procedure
from procedures.pathways import Apart, calm_days, open_days
from scheduling.availability import Opening
from scheduling.courses import rolling
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import World, day_of, read_world
from scheduling.courses.siblings import Sibling, by_patient, sibling_of
from scheduling.models import Allocation, Course, CourseStatus, FoundOpenings, Kind, PlannedSession, PlanState
from scheduling.openings import OpeningsFound, Options, find_openings

BEST = 3
FRESH = timedelta(minutes=10)
AHEAD = timedelta(days=45)  # a window that opens later is not looked at yet
OVERDUE = timedelta(days=42)  # how far to look once the window is over
WEIGHED = 45  # of these, the nearest, that are asked whether a reason would be needed
LOOKED_AT = 120  # openings, one a day, before the rules are asked
SOME = 8  # planned sessions a transaction
BUDGET = timedelta(seconds=20)
RECENT = 2_000  # allocations, the newest, that may have taken what was found
LAG = timedelta(seconds=5)  # a booking may be written so long after it was begun
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Search:
    """The openings found for one planned session, best first, or why there are none."""

    openings: tuple[dict[str, Any], ...]
    why_none: str = ""


def refresh(*, at: datetime, budget: timedelta = BUDGET) -> int:
    """Look again for what has no fresh openings: those first of which somebody took one, then the oldest.

    Returns how many planned sessions were looked at.
    """
    count, ends = 0, monotonic() + budget.total_seconds()
    touched = taken_since(at)
    while touched and monotonic() < ends:
        count += refresh_some(at=at, only=touched[:SOME], is_touched=True)
        touched = touched[SOME:]
    while monotonic() < ends:
        found = refresh_some(at=at)
        count += found
        if found < SOME:
            break
    return count


def refresh_some(*, at: datetime, only: Sequence[int] = (), limit: int = SOME, is_touched: bool = False) -> int:
    """Look again for some planned sessions that nobody has in hand, in one transaction; touched ones however fresh."""
    with transaction.atomic():
        stale = Q(found=None) | Q(found__found_at__lt=at - FRESH) | Q(found__found_at__lt=F("planned_at"))
        stale = Q() if is_touched else stale
        rows = PlannedSession.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).filter(
            stale, is_current=True, state=PlanState.PROPOSED, appointment=None, course__status=CourseStatus.ACTIVE,
            earliest__lte=(at + AHEAD).date(),
        )  # fmt: skip
        rows = rows.filter(pk__in=only) if only else rows
        order = F("found__found_at").asc(nulls_first=True)
        planned = list(
            rows.select_related("course__patient", "course__site", "course__physician", "found").order_by(order, "pk")[:limit]
        )
        if not planned:
            return 0
        # A patient's courses are looked at together, however fresh: each is kept apart from what those before it are offered.
        rows = PlannedSession.objects.filter(
            is_current=True, state=PlanState.PROPOSED, appointment=None, course__status=CourseStatus.ACTIVE,
            course__patient__in={row.course.patient_id for row in planned},
        ).exclude(pk__in=[row.pk for row in planned])  # fmt: skip
        others = list(rows.select_related("course__patient", "course__site", "course__physician", "found").order_by("pk"))
        world = read_world([row.course for row in (*planned, *others)], at=at)
        late = {row.pk for row in others if row.earliest is None or row.earliest > (at + AHEAD).date()}
        fresh = sorted(_searched([*planned, *others], late, world, at), key=lambda found: found.planned_id)
        FoundOpenings.objects.bulk_create(
            fresh, update_conflicts=True, unique_fields=["planned"], update_fields=["openings", "why_none", "found_at"]
        )
    return len(planned)


_TAKEN = """
WITH recent AS MATERIALIZED (
  SELECT resource_id, appointment_id, starts_at, ends_at, created_at FROM (
    SELECT * FROM scheduling_allocation ORDER BY id DESC LIMIT %(most)s
  ) newest WHERE released_at IS NULL AND created_at > %(since)s
)
SELECT found.planned_id
  FROM scheduling_foundopenings found,
       jsonb_array_elements(found.openings) opening,
       jsonb_each(opening -> 'units') kind,
       jsonb_array_elements(kind.value) unit
  JOIN recent ON recent.resource_id = unit::text::bigint
 WHERE found.found_at > %(since)s AND recent.created_at > found.found_at - %(lag)s * interval '1 second'
   AND recent.starts_at < (opening ->> 'leaves_at')::timestamptz
   AND recent.ends_at > (opening ->> 'arrives_at')::timestamptz
UNION
SELECT found.planned_id
  FROM recent
  JOIN scheduling_appointment own ON own.id = recent.appointment_id
  JOIN scheduling_course course ON course.patient_id = own.patient_id
  JOIN scheduling_plannedsession planned ON planned.course_id = course.id AND planned.is_current
  JOIN scheduling_foundopenings found ON found.planned_id = planned.id
 WHERE planned.appointment_id IS NULL AND found.found_at > %(since)s AND recent.created_at > found.found_at
 ORDER BY 1
"""


def taken_since(at: datetime) -> list[int]:
    """Return the planned sessions of whose openings somebody took people or things since they were found, or the patient's time.

    What was found beside a case that the patient did not have then says nothing about intervals to it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, {"most": RECENT, "since": at - FRESH, "lag": LAG.total_seconds()})
        return [row[0] for row in cursor.fetchall()]


def still_free(rows: Sequence[PlannedSession]) -> dict[int, list[dict[str, Any]]]:
    """Return for each planned session, its found openings and its course joined, those that hold: one statement.

    Not those of which somebody took anything since; and none where the patient got a case since they were found, whose time
    and intervals they do not know of.
    """
    found = {row.pk: (row.found, row.course.patient_id) for row in rows if getattr(row, "found", None) is not None}
    units = {unit for each, _ in found.values() for one in each.openings for part in parts_of(one) for unit in units_of(part)}
    taken: list[tuple[int, datetime, datetime, datetime, bool]] = []
    if units:
        first = min(each.found_at for each, _ in found.values())
        newer = Allocation.objects.filter(released_at=None, ends_at__gt=first, created_at__gt=first)
        own = newer.filter(appointment__patient__in={patient for _, patient in found.values()}).annotate(is_own=Value(True))
        theirs = newer.filter(resource__in=units).annotate(is_own=Value(False))
        times = ("starts_at", "ends_at", "created_at", "is_own")
        taken = list(theirs.values_list("resource_id", *times).union(own.values_list("appointment__patient_id", *times)))
    return {
        pk: [
            one
            for one in each.openings
            if not any(
                made > each.found_at
                and (key == patient if is_own else any(clashes(part, key, starts, ends) for part in parts_of(one)))
                for key, starts, ends, made, is_own in taken
            )
        ]
        for pk, (each, patient) in found.items()
    }


def parts_of(packed: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an opening and what is booked together with it."""
    return [packed, packed["removal"]] if packed.get("removal") else [packed]


def units_of(packed: Mapping[str, Any]) -> set[int]:
    """Return the people and things of an opening."""
    return {unit for units in packed["units"].values() for unit in units}


def clashes(packed: Mapping[str, Any], unit: int, starts_at: datetime, ends_at: datetime) -> bool:
    """Say whether a unit taken for a time may be in the way of an opening: during any part of the patient's stay."""
    arrives, leaves = (datetime.fromisoformat(packed.get(name, packed["starts_at"])) for name in ("arrives_at", "leaves_at"))
    return unit in units_of(packed) and starts_at < leaves and ends_at > arrives


def _searched(rows: Sequence[PlannedSession], late: Container[int], world: World, at: datetime) -> Iterator[FoundOpenings]:
    """Yield what is found for each of these but the late ones, a patient's courses one beside the other."""
    for held in by_patient(rolling.shown(row, day_of(row.course, at)) for row in rows):
        beside: list[Sibling] = []
        for row in held:
            packed = None
            if row.pk not in late:
                found = search(row, world, at=at, beside=beside)
                packed = found.openings[0] if found.openings else None
                yield _found(row, found, at)
            sibling = sibling_of(row, packed, world) if len(held) > 1 else None
            beside += [sibling] if sibling is not None else []


def _found(row: PlannedSession, found: Search, at: datetime) -> FoundOpenings:
    return FoundOpenings(planned=row, openings=list(found.openings), why_none=found.why_none[:300], found_at=at)


def search(row: PlannedSession, world: World, *, at: datetime, beside: Sequence[Sibling] = ()) -> Search:
    """Return the openings nearest to the ideal day on which every rule lets the session be, beside other courses' proposals."""
    if world.procedures.get(row.procedure) is None or row.earliest is None or row.latest is None:
        return Search((), "The procedure is not in the catalogue.")
    found = look(row, world, at=at)
    best: list[dict[str, Any]] = []
    for packed in ranked(row, world, found, at=at, beside=beside):
        best.append(packed)
        if len(best) == BEST:
            break
    if best:
        return Search(tuple(sorted(best, key=lambda one: str(one["starts_at"]))))
    if found.explanation is not None:
        return Search((), found.explanation.text)
    told = " and ".join(dict.fromkeys(one.told for sibling in beside for one in sibling.beside(row.course.site_id, world)))
    return Search((), f"No free time on which the rules let it be{f' beside {told}' if told else ''}.")


def ranked(
    row: PlannedSession, world: World, found: OpeningsFound, *, at: datetime, beside: Sequence[Sibling] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the openings found on whose day every rule lets the session be, the nearest to the ideal day first.

    Of those nearest, days that would need a reason come last: one press gives none.
    """
    course = row.course
    is_open, is_calm = by_the_rules(row, course, world, at, beside), without_reason(row, course, world, at)
    zone = ZoneInfo(course.site.time_zone)
    first, _ = window(row, day_of(course, at))
    ideal = max(row.ideal or first, first)

    def nearness(opening: Opening) -> tuple[timedelta, datetime]:
        return abs(opening.starts_at.astimezone(zone).date() - ideal), opening.starts_at

    for opening in _calm_first(sorted(found.openings, key=nearness), is_calm, zone):
        day = opening.starts_at.astimezone(zone).date()
        if not is_open(day):
            continue
        packed = pack(opening, found, zone)
        if row.companion is not None:
            pair = _removal(row.companion, course, day, at, world)
            if pair is None:
                continue
            packed["removal"] = pair
        if not any(sibling.overlaps(part) for sibling in beside for part in parts_of(packed)):
            yield packed


def _calm_first(nearest: Sequence[Opening], is_calm: Callable[[date], bool], zone: ZoneInfo) -> Iterator[Opening]:
    """Yield openings in their order, but of the first ones those that need a reason after the others."""
    later: list[Opening] = []
    for opening in nearest[:WEIGHED]:
        if is_calm(opening.starts_at.astimezone(zone).date()):
            yield opening
        else:
            later.append(opening)
    yield from later
    yield from nearest[WEIGHED:]


def look(row: PlannedSession, world: World, *, at: datetime, per_day: int = 1, grid_minutes: int = 5) -> OpeningsFound:
    """Return what is free for a planned session in its window, the rules not asked."""
    procedure = world.procedures[row.procedure]
    first, last = window(row, day_of(row.course, at))
    return _openings(procedure, row.course, first, last, at, limit=LOOKED_AT * per_day, per_day=per_day, grid=grid_minutes)


def window(row: PlannedSession, today: date) -> tuple[date, date]:
    """Return the days to look at: the window from today on, or the weeks ahead once it is over."""
    assert row.earliest is not None
    assert row.latest is not None
    first = max(row.earliest, today)
    return first, row.latest if row.latest >= first else first + OVERDUE


def pack(opening: Opening, found: OpeningsFound, zone: ZoneInfo) -> dict[str, Any]:
    """Return an opening as plain data, with the names that a list shows."""
    used = [found.units[pk] for pks in opening.units.values() for pk in pks if pk in found.units]
    names = {kind: next((unit.short_name for unit in used if unit.kind == kind), "") for kind in (Kind.PHYSICIAN, Kind.ROOM)}
    return {
        "site": opening.site,
        "arrives_at": opening.arrives_at.isoformat(),
        "starts_at": opening.starts_at.isoformat(),
        "leaves_at": opening.leaves_at.isoformat(),
        "units": {kind: list(pks) for kind, pks in opening.units.items()},
        "local": opening.starts_at.astimezone(zone).isoformat(),
        "physician": names[Kind.PHYSICIAN],
        "room": names[Kind.ROOM],
    }


def _openings(
    procedure: Procedure, course: Course, first: date, last: date, at: datetime, *, limit: int, per_day: int = 1, grid: int = 5
) -> OpeningsFound:
    zone = ZoneInfo(course.site.time_zone)
    return find_openings(
        procedure=procedure,
        at=at,
        earliest=datetime.combine(first, time(), tzinfo=zone),
        latest=datetime.combine(last + _DAY, time(), tzinfo=zone),
        site=course.site,
        physician=course.physician,
        patient=course.patient,
        options=Options(sedation=procedure.planned_sedation),
        grid_minutes=grid,
        per_day=per_day,
        limit=limit,
    )


def without_reason(row: PlannedSession, course: Course, world: World, at: datetime) -> Callable[[date], bool]:
    """Return what says of a day whether a planned session could be booked on it without giving a reason."""
    pathway = world.pathways[course.pathway]
    aim = aim_of(course, pathway, world.procedures, world.book)
    today = day_of(course, at)
    is_calm = calm_days(
        world.facts(course, aim, today), today, pathway=pathway, aim=aim, book=world.book, wanted=aim.works[row.step]
    )
    return cache(is_calm)


def by_the_rules(
    row: PlannedSession, course: Course, world: World, at: datetime, beside: Sequence[Sibling] = ()
) -> Callable[[date], bool]:
    """Return what says of a day whether the rules let a planned session be on it, beside what other courses propose."""
    pathway = world.pathways[course.pathway]
    aim = aim_of(course, pathway, world.procedures, world.book)
    today = day_of(course, at)
    wanted = aim.works[row.step]
    proposed = tuple(one for sibling in beside for one in sibling.beside(course.site_id, world))
    book = Apart(world.book, pathway, aim, proposed) if proposed else world.book
    return open_days(pathway, world.facts(course, aim, today), today, aim=aim, book=book, wanted=wanted)


def _removal(companion: Mapping[str, Any], course: Course, trial: date, at: datetime, world: World) -> dict[str, Any] | None:
    """Return the first opening for what must be booked together with a trial on a day."""
    procedure = world.procedures.get(companion["procedure"])
    if procedure is None:
        return None
    first, last = (trial + timedelta(days=companion[name]) for name in ("least_days", "most_days"))
    found = _openings(procedure, course, first, last, at, limit=1)
    return pack(found.openings[0], found, ZoneInfo(course.site.time_zone)) if found.openings else None
