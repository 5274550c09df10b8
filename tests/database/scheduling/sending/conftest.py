"""A clock that a test may set, in Python and in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from pain_clinic import clock
from tests.factories import NOW


@pytest.fixture
def set_clock(settings: Any, tmp_path: Path, db: None) -> Any:
    path = tmp_path / "clock"

    def move(to: datetime) -> None:
        path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(path)

    settings.MESSAGES_PER_SECOND = 1000
    move(NOW)
    yield move
    settings.CLINIC_CLOCK = ""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
