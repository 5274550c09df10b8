"""The clock stands still, and facts and sessions are written down in a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients import outcomes, records
from patients.models import Authorization, Coverage, PerformedProcedure
from tests import factories
from tests.factories import SmallClinic


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((factories.NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


@pytest.fixture
def tell(clinic: SmallClinic, doctor: Actor, at: datetime) -> Callable[..., Any]:
    """Return a function that writes down a fact about the clinic's patient."""
    by_desk = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))

    def write(what: Any, /, **values: Any) -> Any:
        by = by_desk if what in (Coverage, Authorization) else doctor
        return records.record(kind=what, patient=clinic.patient, values=values, by=by, at=at)

    return write


@pytest.fixture
def session(clinic: SmallClinic, tell: Callable[..., Any], doctor: Actor, at: datetime) -> Callable[..., PerformedProcedure]:
    """Return a function that writes a session with pain before it and some days after it."""

    def write(on: date, *, before: int = 8, after: dict[int, int] | None = None, **values: Any) -> PerformedProcedure:
        given = {"procedure": clinic.procedure, "site": clinic.site, "done_on": on, "side": "left", "levels": ["L4-L5"]}
        performed: PerformedProcedure = tell(PerformedProcedure, **{**given, **values})
        told = {"measure": "nrs", "aspect": "index", "performed": performed}
        for value, days, phase in [(before, 0, "before"), *((v, d, "follow_up") for d, v in (after or {}).items())]:
            score = {**told, "value": value, "scored_on": on + timedelta(days=days), "phase": phase}
            outcomes.record_score(patient=clinic.patient, values=score, by=doctor, at=at)
        return performed

    return write
