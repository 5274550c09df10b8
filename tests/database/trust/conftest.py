"""The clinic's clock stands still, and there are two worlds: ours, and that of another site."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import time_machine

from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.world import World


@pytest.fixture(autouse=True)
def _still(settings: Any, tmp_path: Path) -> Any:
    settings.CLINIC_HOME = tmp_path
    with time_machine.travel(factories.NOW, tick=False):
        yield


@pytest.fixture
def world(db: None, tmp_path: Path) -> World:
    return worlds.make(tmp_path)


@pytest.fixture
def elsewhere(world: World, tmp_path: Path) -> World:
    """Return another site's world, of another patient."""
    return worlds.make(
        tmp_path, last_name="Otherling", first_name="Noa", phone="+12025550199", email="noa@mail.example",
        external_id="EXT-2", birth_date=date(1971, 8, 9), record_number="REC-2", payer="Plain Health",
    )  # fmt: skip
