"""The best openings for what is planned, under every rule, found ahead by the clock and kept fresh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Q

from procedures.models import Procedure
from procedures.pathways import open_days
from scheduling.availability import Opening
from scheduling.courses import rolling
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import World, day_of, read_world
from scheduling.models import Course, CourseStatus, FoundOpenings, Kind, PlannedSession, PlanState
from scheduling.openings import OpeningsFound, Options, find_openings

BEST = 3
FRESH = timedelta(minutes=10)
AHEAD = timedelta(days=45)  # a window that opens later is not looked at yet
OVERDUE = timedelta(days=42)  # how far to look once the window is over
LOOKED_AT = 120  # openings, one a day, before the rules are asked
SOME = 8  # planned sessions a transaction
BUDGET = timedelta(seconds=20)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Search:
    """The openings found for one planned session, best first, or why there are none."""

    openings: tuple[dict[str, Any], ...]
    why_none: str = ""


def refresh(*, at: datetime, budget: timedelta = BUDGET) -> int:
    """Look again for what has no fresh openings, the oldest first; return how many planned sessions were looked at."""
    count, ends = 0, monotonic() + budget.total_seconds()
    while monotonic() < ends:
        found = refresh_some(at=at)
        count += found
        if found < SOME:
            break
    return count


def refresh_some(*, at: datetime, only: Sequence[int] = (), limit: int = SOME) -> int:
    """Look again for some planned sessions that nobody has in hand, in one transaction."""
    with transaction.atomic():
        stale = Q(found=None) | Q(found__found_at__lt=at - FRESH)
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
        world = read_world([row.course for row in planned], at=at)
        fresh = [_found(row, search(rolling.shown(row, day_of(row.course, at)), world, at=at), at) for row in planned]
        FoundOpenings.objects.bulk_create(
            fresh, update_conflicts=True, unique_fields=["planned"], update_fields=["openings", "why_none", "found_at"]
        )
    return len(planned)


def _found(row: PlannedSession, found: Search, at: datetime) -> FoundOpenings:
    return FoundOpenings(planned=row, openings=list(found.openings), why_none=found.why_none[:300], found_at=at)


def search(row: PlannedSession, world: World, *, at: datetime) -> Search:
    """Return the openings nearest to the ideal day on which every rule lets the session be."""
    course = row.course
    procedure = world.procedures.get(row.procedure)
    if procedure is None or row.earliest is None or row.latest is None:
        return Search((), "The procedure is not in the catalogue.")
    first, last = window(row, day_of(course, at))
    found = _openings(procedure, course, first, last, at, limit=LOOKED_AT)
    is_open = _by_the_rules(row, course, world, at)
    zone = ZoneInfo(course.site.time_zone)
    ideal = max(row.ideal or first, first)

    def nearness(opening: Opening) -> tuple[timedelta, datetime]:
        return abs(opening.starts_at.astimezone(zone).date() - ideal), opening.starts_at

    best: list[dict[str, Any]] = []
    for opening in sorted(found.openings, key=nearness):
        day = opening.starts_at.astimezone(zone).date()
        if not is_open(day):
            continue
        packed = pack(opening, found, zone)
        if row.companion is not None:
            pair = _removal(row.companion, course, day, at, world)
            if pair is None:
                continue
            packed["removal"] = pair
        best.append(packed)
        if len(best) == BEST:
            break
    if best:
        return Search(tuple(sorted(best, key=lambda one: str(one["starts_at"]))))
    why = found.explanation.text if found.explanation is not None else "No free time on which the rules let it be."
    return Search((), why)


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
        "starts_at": opening.starts_at.isoformat(),
        "units": {kind: list(pks) for kind, pks in opening.units.items()},
        "local": opening.starts_at.astimezone(zone).isoformat(),
        "physician": names[Kind.PHYSICIAN],
        "room": names[Kind.ROOM],
    }


def _openings(procedure: Procedure, course: Course, first: date, last: date, at: datetime, *, limit: int) -> OpeningsFound:
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
        per_day=1,
        limit=limit,
    )


def _by_the_rules(row: PlannedSession, course: Course, world: World, at: datetime) -> Callable[[date], bool]:
    pathway = world.pathways[course.pathway]
    aim = aim_of(course, pathway, world.procedures, world.book)
    today = day_of(course, at)
    wanted = aim.works[row.step]
    return open_days(pathway, world.facts(course, aim, today), today, aim=aim, book=world.book, wanted=wanted)


def _removal(companion: Mapping[str, Any], course: Course, trial: date, at: datetime, world: World) -> dict[str, Any] | None:
    """Return the first opening for what must be booked together with a trial on a day."""
    procedure = world.procedures.get(companion["procedure"])
    if procedure is None:
        return None
    first, last = (trial + timedelta(days=companion[name]) for name in ("least_days", "most_days"))
    found = _openings(procedure, course, first, last, at, limit=1)
    return pack(found.openings[0], found, ZoneInfo(course.site.time_zone)) if found.openings else None
