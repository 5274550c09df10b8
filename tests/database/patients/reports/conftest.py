"""A manager, some hundred sessions, and the day on which they are looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from pain_clinic.accounts.models import User
from tests import factories
from tests.database.patients.reports.making import World
from tests.factories import NOW, SmallClinic


@pytest.fixture
def that_day() -> Iterator[None]:
    """Let doors act on the day of the tests."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def manager(clinic: SmallClinic) -> User:
    return factories.user(role="manager", sites=(clinic.site,))


@pytest.fixture
def world(clinic: SmallClinic) -> World:
    made = World(clinic, seed=20260914)
    made.add(330)
    return made
