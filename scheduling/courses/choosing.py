"""Take one of the openings that were found for a planned session, as it is now: for the page, the API and the bulk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from procedures.models import Procedure
from scheduling import openings
from scheduling.availability import Opening
from scheduling.booking import SlotTaken
from scheduling.models import FoundOpenings, PlannedSession
from scheduling.openings import Options


def chosen(row: PlannedSession, starts_at: datetime | None, at: datetime) -> tuple[Opening, Opening | None]:
    """Return an opening found for a session (none named: the first) as it is now, and the one that is booked with it.

    Raises:
        SlotTaken: it is no longer among those found, or no longer free.
    """
    found = FoundOpenings.objects.filter(planned=row).first()
    packed = next(
        (
            one
            for one in (found.openings if found else ())
            if starts_at is None or datetime.fromisoformat(one["starts_at"]) == starts_at
        ),
        None,
    )
    if packed is None:
        raise SlotTaken
    opening = _fitting(row.procedure, packed, row, at)
    pair = packed.get("removal")
    companion = _fitting(row.companion["procedure"], pair, row, at) if pair and row.companion else None
    return opening, companion


def _fitting(code: str, packed: Mapping[str, Any], row: PlannedSession, at: datetime) -> Opening:
    procedure = Procedure.objects.get(code=code)
    fit = openings.fit(
        procedure=procedure, starts_at=datetime.fromisoformat(packed["starts_at"]), site=row.course.site, at=at,
        units={unit for pks in packed["units"].values() for unit in pks}, patient=row.course.patient,
        options=Options(sedation=procedure.planned_sedation),
    )  # fmt: skip
    if fit.opening is None:
        raise SlotTaken
    return fit.opening
