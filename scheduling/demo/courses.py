"""Courses for some of the demo's people, begun with what was done to them lately, and planned."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from patients.models import PerformedProcedure
from procedures import pathwaybook
from procedures.models import Procedure
from procedures.pathways import Pathway
from scheduling import courses
from scheduling.models import Course

LOOKED_BACK = timedelta(days=200)
EVERY = 3  # of those who could have a course, one in so many has
BATCH = 500
FOLLOWED = {
    "esi": "esi_as_needed",
    "mbb_diagnostic": "facet_dual_block_to_rfa",
    "facet_rfa": "facet_dual_block_to_rfa",
    "tpi": "tpi_series",
    "genicular_block": "genicular_pathway",
    "genicular_rfa": "genicular_pathway",
}


def write_courses(at: datetime, *, always: Collection[int] = ()) -> int:
    """Begin a course with the first session of its kind that somebody had lately; return how many were begun.

    One in three of those who could have one has; of `always`, everybody.
    """
    rows = (
        PerformedProcedure.objects.standing()
        .filter(done_on__gte=(at - LOOKED_BACK).date(), procedure__family__in=FOLLOWED, is_elsewhere=False, site__isnull=False)
        .select_related("procedure")
        .order_by("patient", "done_on", "pk")
    )
    offered = list(Procedure.objects.offered().in_order())
    known = pathwaybook.pathways()
    found: dict[tuple[int, str], Course] = {}
    for row in rows:
        assert row.procedure is not None
        assert row.site_id is not None
        pathway = FOLLOWED[row.procedure.family]
        key = (row.patient_id, pathway)
        if key in found or (row.patient_id % EVERY and row.patient_id not in always):
            continue
        found[key] = Course(
            patient_id=row.patient_id, site_id=row.site_id, pathway=pathway, works=_works(known[pathway], row.procedure, offered),
            side=row.side, levels=row.levels, regions=row.regions, started_from=row, since=row.done_on, created_at=at,
        )  # fmt: skip
    made = Course.objects.bulk_create(found.values())
    for first in range(0, len(made), BATCH):
        courses.plan([course.pk for course in made[first : first + BATCH]], at=at)
    Course.objects.filter(pk__in=[course.pk for course in made]).update(news_at=None)  # nobody is written to by a demo
    return len(made)


def _works(pathway: Pathway, done: Procedure, offered: list[Procedure]) -> dict[str, str]:
    """Return a procedure for each step: what was done where that is its kind, else one for the same part of the body."""
    works = {}
    for step in pathway.steps:
        fitting = [one for one in offered if one.family in step.families]
        same = [one for one in fitting if set(one.regions) & set(done.regions)]
        chosen = done if done.family in step.families else next(iter([*same, *fitting]), None)
        if chosen is not None:
            works[step.id] = chosen.code
    return works
