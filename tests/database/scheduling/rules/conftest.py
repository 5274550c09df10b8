"""The small clinic with the product's rules, its people, and many cases at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling.models import (
    Appointment,
)
from tests import factories
from tests.database.scheduling.rules.ruling import IN_TWO_WEEKS, files
from tests.factories import SmallClinic, local


@pytest.fixture
def ruled(clinic: SmallClinic) -> SmallClinic:
    """Return the small clinic with the product's tables as its own; an epidural of intermediate bleeding class."""
    load_rules(files(), RuleReport())
    return clinic


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def physician(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


@pytest.fixture
def many(ruled: SmallClinic) -> Callable[[int], list[Appointment]]:
    """Return a function that books so many cases of people of whom nothing is known."""

    def make(count: int) -> list[Appointment]:
        return [
            factories.appointment(
                of=factories.patient(home=ruled.site, last_name=f"Person {number}"), for_procedure=ruled.procedure, side="right",
                at_site=ruled.site, starts_at=local(IN_TWO_WEEKS, "9:00") + timedelta(hours=number),
            )
            for number in range(count)
        ]  # fmt: skip

    return make
