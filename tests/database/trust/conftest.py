"""The clinic's clock stands still, and there are two worlds: ours, and that of another site."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client

from pain_clinic.accounts.models import User
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


@pytest.fixture
def everybody(world: World) -> dict[str, tuple[User, Client]]:
    """Return who sees the most of the pages, signed in."""
    found = {}
    for role in ("manager", "admin", "auditor"):
        user, client = factories.user(role=role, sites=(world.site,)), Client(raise_request_exception=False)
        client.force_login(user)
        found[role] = (user, client)
    return found


@pytest.fixture
def manager(world: World) -> tuple[User, Client]:
    user, client = factories.user(role="manager", sites=(world.site,)), Client(raise_request_exception=False)
    user.groups.add(Group.objects.get(name="physician"))  # who records what was found and done
    client.force_login(user)
    world.of("hold", user)
    return user, client
