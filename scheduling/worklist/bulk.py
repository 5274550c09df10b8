"""Many rows tried or booked at once, as their pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from procedures import pathwaybook
from procedures.models import Procedure
from procedures.pathways import Pathway
from scheduling.agenda import words
from scheduling.bulk import Result, Tried
from scheduling.models import Appointment, PlannedSession
from scheduling.worklist.rows import offered_of, pathway_name, procedures_of, target_of
from scheduling.worklist.shapes import BulkRow

if TYPE_CHECKING:
    pass


def tried_rows(tried: Sequence[Tried]) -> tuple[BulkRow, ...]:
    """Return a dry run as its page shows it; the view adds what its buttons send."""
    procedures, pathways = procedures_of([one.planned for one in tried]), pathwaybook.pathways()
    found = []
    for one in tried:
        offered = offered_of(one.opening) if one.opening is not None else None
        found.append(
            BulkRow(
                **_named(one.planned, procedures, pathways),
                told=f"{offered.told}, {offered.also}" if offered and offered.also else offered.told if offered else "",
                who=offered.who if offered else "",
                waits=tuple(dict.fromkeys(finding.message for finding in one.waits)),
                why_not=one.why_not,
            )
        )
    return tuple(found)


def result_rows(results: Sequence[Result]) -> tuple[BulkRow, ...]:
    """Return what became of each row."""
    cases = {
        case.public_id: case
        for case in Appointment.objects.filter(public_id__in=[one.case for one in results if one.case is not None])
    }
    procedures, pathways = procedures_of([one.planned for one in results]), pathwaybook.pathways()
    found = []
    for one in results:
        case = cases.get(one.case) if one.case is not None else None
        found.append(
            BulkRow(
                **_named(one.planned, procedures, pathways),
                told=words.stamp(datetime.combine(case.local_date, case.local_time)) if case else "",
                why_not=one.refusal.message if one.refusal is not None else "",
                case_url=words.case_url(case.public_id) if case is not None else "",
            )
        )
    return tuple(found)


def _named(row: PlannedSession, procedures: Mapping[str, Procedure], pathways: Mapping[str, Pathway]) -> dict[str, Any]:
    procedure = procedures.get(row.procedure)
    parts = (procedure.short_name if procedure else pathway_name(row.course, pathways), target_of(row.course, row))
    return {
        "key": str(row.public_id),
        "patient": words.full_name(row.course.patient),
        "what": " ".join(part for part in parts if part),
        "course_url": reverse("scheduling:course", args=[row.course.public_id]),
    }
