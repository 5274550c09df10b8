"""The clock stands at the tests' instant, and the starting cadence is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from pain_clinic import clock
from scheduling import cadence
from tests.database.scheduling.planning.cadences import CLOCK, SYSTEM, set_clock
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> Iterator[None]:
    CLOCK["file"] = tmp_path / "clock"
    set_clock(NOW)
    settings.CLINIC_CLOCK = str(CLOCK["file"])
    yield
    settings.CLINIC_CLOCK = ""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)


@pytest.fixture(autouse=True)
def _cadence(db: None) -> None:
    cadence.load_defaults(by=SYSTEM, at=NOW)
