"""What a change of a pathway would do to the courses that run on it: step, window and state before and after. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from pain_clinic.accounts.models import User
from procedures.pathways import Pathway
from scheduling.courses.judging import World, attempt, day_of, kept_apart, read_world
from scheduling.models import Course, PlanState

CHUNK = 200
BUDGET = timedelta(seconds=6)  # for one look; what is not asked about then is said to be left
MOST_SHOWN = 50
COMPARED = ("state", "code", "step", "earliest", "ideal", "latest", "due_on")


@dataclass(frozen=True, slots=True)
class Touched:
    """One course that a change would touch, and what would be said of it now and then."""

    course: Course
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would do. `asked` of `running` courses were looked at; `touched` shows the first of those changed."""

    running: int
    asked: int
    changed: int
    stopped: int
    resumed: int
    touched: tuple[Touched, ...]

    @property
    def is_whole(self) -> bool:
        """Say whether every running course was looked at."""
        return self.asked == self.running


def effect_of(*, pathway: Pathway, user: User, at: datetime, budget: timedelta = BUDGET) -> Effect:
    """Return what the planner would say with a pathway as it is proposed, beside what it says now.

    Courses are those on it that this person sees and that no person has stopped, the oldest first. Each is planned beside
    its patient's others, as the night does.
    """
    ends = monotonic() + budget.total_seconds()
    mine = Course.objects.visible_to(user).planned().filter(pathway=pathway.id)
    keys = list(mine.order_by("pk").values_list("pk", flat=True))
    asked = stopped = resumed = 0
    touched: list[Touched] = []
    for begins in range(0, len(keys), CHUNK):
        if monotonic() >= ends:
            break
        rows = mine.filter(pk__in=keys[begins : begins + CHUNK]).select_related("patient", "site").order_by("pk")
        courses = list(rows)
        others = Course.objects.planned().filter(patient__in={course.patient_id for course in courses})
        others = others.exclude(pk__in=[course.pk for course in courses]).select_related("patient", "site").order_by("pk")
        together = [*courses, *others]
        world = read_world(together, at=at)
        then = replace(world, pathways={**world.pathways, pathway.id: pathway})
        now_told, then_told = (_told(together, each) for each in (world, then))
        for course in courses:
            before, after = now_told[course.pk], then_told[course.pk]
            asked += 1
            if not before or not after or all(before[name] == after[name] for name in COMPARED):
                continue
            touched.append(Touched(course, before, after))
            stopped += before["state"] != PlanState.STOPPED and after["state"] == PlanState.STOPPED
            resumed += before["state"] == PlanState.STOPPED and after["state"] != PlanState.STOPPED
    return Effect(len(keys), asked, len(touched), stopped, resumed, tuple(touched[:MOST_SHOWN]))


def _told(courses: Sequence[Course], world: World) -> Mapping[int, Mapping[str, Any]]:
    """Return what is said of each course, by key, beside its patient's others."""
    found = {course.pk: attempt(course, world, day_of(course, world.at)) for course in courses}
    found |= {fresh.course.pk: fresh for fresh in kept_apart(list(found.values()), world, None)}
    return {pk: fresh.values for pk, fresh in found.items()}
