"""The openings of a patient's several courses: each is looked for beside the first one that the courses before it have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from procedures.pathways import Beside, proposed_on
from procedures.rules.facts import Wanted
from scheduling.courses.aims import aim_of
from scheduling.courses.judging import World, called_of, day_of, proposed_day
from scheduling.models import Course, PlannedSession


@dataclass(frozen=True, slots=True)
class Sibling:
    """What another course of the patient proposes: for the rules, and the openings that it is proposed at, if any is found."""

    course: Course
    proposed: tuple[tuple[date, Wanted], ...]
    parts: tuple[Mapping[str, Any], ...] = ()
    due: date = date.min  # when its window closes: whoever is due first goes first

    def beside(self, site: int, world: World) -> list[Beside]:
        """Return it as another course of the patient, or a series, counts it at a site."""
        called = called_of(self.course, world, told_at=site)
        return [proposed_on(day, wanted, called) for day, wanted in self.proposed]

    def overlaps(self, packed: Mapping[str, Any]) -> bool:
        """Say whether the patient would have to be in two places."""
        return self.meets(*_stay(packed))

    def meets(self, starts: datetime, ends: datetime) -> bool:
        """Say whether the patient would be at one of its openings during this time."""
        return any(arrives < ends and starts < leaves for arrives, leaves in map(_stay, self.parts))


def by_patient(rows: Iterable[PlannedSession]) -> list[list[PlannedSession]]:
    """Return planned sessions by patient, of each patient the one first whose window closes first."""
    found: dict[int, list[PlannedSession]] = defaultdict(list)
    for row in rows:
        found[row.course.patient_id].append(row)
    return [
        sorted(held, key=lambda row: (row.latest or date.max, row.ideal or date.max, row.course_id)) for held in found.values()
    ]


def sibling_of(row: PlannedSession, packed: Mapping[str, Any] | None, world: World) -> Sibling | None:
    """Return what a course proposes: at an opening where one is found, else on its day; None where it says nothing."""
    course, at = row.course, world.at
    pathway = world.pathways.get(course.pathway)
    works = aim_of(course, pathway, world.procedures, world.book).works if pathway is not None else {}
    if row.step not in works or row.ideal is None:
        return None
    parts = [packed, *([packed["removal"]] if packed.get("removal") else [])] if packed is not None else []
    days = [_day(part, course) for part in parts] or _days(row, proposed_day(course, row.ideal, day_of(course, at)))
    wanted = [replace(works[row.step], side=row.side or works[row.step].side)]
    if row.companion is not None and row.companion["step"] in works:
        wanted.append(works[row.companion["step"]])
    return Sibling(course, tuple(zip(days, wanted, strict=False)), tuple(parts), row.latest or date.max)


def _days(row: PlannedSession, day: date) -> list[date]:
    least = row.companion["least_days"] if row.companion is not None else 0
    return [day, day + timedelta(days=least)]


def _day(packed: Mapping[str, Any], course: Course) -> date:
    return datetime.fromisoformat(packed["starts_at"]).astimezone(ZoneInfo(course.site.time_zone)).date()


def _stay(packed: Mapping[str, Any]) -> Sequence[datetime]:
    return [datetime.fromisoformat(packed.get(name, packed["starts_at"])) for name in ("arrives_at", "leaves_at")]
