"""The clock, the pace and the mail server of the tests of messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.db import connection

from pain_clinic import clock
from scheduling import channels
from tests.database.scheduling.messages.office import Server, free_port
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _pace(settings: Any) -> None:
    settings.MESSAGES_PER_SECOND = 1000


@pytest.fixture
def set_clock(settings: Any, tmp_path: Path) -> Iterator[Callable[[datetime], None]]:
    """Return a function that moves the clinic's clock, in Python and in the database, to an instant."""
    path = tmp_path / "clock"

    def move(to: datetime) -> None:
        path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(path)

    move(NOW)
    yield move
    settings.CLINIC_CLOCK = ""
    with contextlib.suppress(Exception), connection.cursor() as cursor:
        clock.apply_clock(cursor)


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    made = Server(port=free_port())
    controller = Controller(made, hostname="127.0.0.1", port=made.port, enable_SMTPUTF8=True, ready_timeout=60)
    controller.start()
    settings.EMAIL_BACKEND = channels.SMTP_BACKEND
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
    settings.MESSAGES_IN_FLIGHT = 1  # its answers are read in order
    yield made
    controller.stop()
