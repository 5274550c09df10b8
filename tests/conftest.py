"""What every test may ask for: fixed instants, a small clinic, somebody signed in."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db.models.signals import post_migrate
from django.test import Client
from hypothesis import HealthCheck, settings

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.accounts.roles import sync_roles
from tests import factories
from tests.factories import SmallClinic

TESTS = Path(__file__).parent

# Two cores shared by many: how long an example takes is the benchmark's business.
settings.register_profile("clinic", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clinic")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of `database/` a transaction that is rolled back, unless they ask for another kind.

    A marker, not a fixture: pytest-django makes the test database only if it sees the need when it collects.
    """
    for item in items:
        if TESTS / "database" in item.path.parents and item.get_closest_marker("django_db") is None:
            item.add_marker(pytest.mark.django_db)


class LongestFirst:
    """Begin with the tests that take longest, in whatever order they are: else one process waits at the end for the other."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: TESTS / "database" / "trust" not in item.path.parents)


class RareCollection:
    """Look for garbage a fiftieth as often: what was imported stays for good, and to walk over it takes a tenth of a run."""

    def pytest_collection_finish(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 20)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LongestFirst())
    config.pluginmanager.register(RareCollection())


def _roles_stand(**_: Any) -> None:
    if Permission.objects.filter(content_type__app_label="accounts").exists():  # no schema, no roles yet
        sync_roles()


@pytest.fixture(scope="session", autouse=True)
def _roles_are_made_with_the_tables() -> None:
    """Make the roles once a database, and again when a test has emptied its tables, not in every test."""
    last = list(apps.get_app_configs())[-1]
    post_migrate.connect(_roles_stand, sender=last, weak=False)


@pytest.fixture
def at() -> datetime:
    """Return the instant at which the verbs of a test act: Monday 14 September 2026, 7:00 in New York."""
    return factories.NOW


@pytest.fixture
def stand_at(settings: Any, tmp_path: Path) -> Callable[[datetime], None]:
    """Return a function that sets the clinic's clock to an instant, from which it goes on."""
    moved = tmp_path / "clinic-clock"

    def stand(moment: datetime) -> None:
        moved.write_text(str((moment - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(moved)

    return stand


@pytest.fixture
def clinic(db: None) -> SmallClinic:
    """Return the smallest clinic in which the example procedure can be booked."""
    return factories.small_clinic()


@pytest.fixture
def desk(clinic: SmallClinic) -> User:
    """Return a member of the front desk at the small clinic's site."""
    return factories.user(role="desk", sites=(clinic.site,))


@pytest.fixture
def by(desk: User) -> Actor:
    """Return the front desk as an actor."""
    return Actor.of_user(desk)


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """Return a function that gives a client signed in with a role at some sites."""

    def enter(role: str, *sites: Site, user: User | None = None) -> Client:
        client = Client()
        client.force_login(user or factories.user(role=role, sites=sites))
        return client

    return enter
