"""The clinic's clock stands where the small clinic's free time begins, and pages can be asked for with three roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from procedures.models import Procedure
from scheduling import booking, openings
from scheduling.models import Appointment
from tests import factories
from tests.factories import SmallClinic


@pytest.fixture(autouse=True)
def _clock(settings: object, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((factories.NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class People:
    """A desk at the clinic's site, a colleague who may only look, and a desk of another site."""

    owner: Client
    colleague: Client
    stranger: Client


@pytest.fixture
def people(clinic: SmallClinic, desk: User, signed_in: Callable[..., Client]) -> People:
    return People(
        owner=signed_in("desk", user=desk),
        colleague=signed_in("biller", clinic.site),
        stranger=signed_in("desk", factories.site()),
    )


def opening(clinic: SmallClinic, clock: str = "9:00", procedure: Procedure | None = None) -> openings.Opening:
    found = openings.fit(
        procedure=procedure or clinic.procedure,
        starts_at=factories.local(factories.TOMORROW, clock),
        site=clinic.site,
        at=factories.NOW,
    ).opening
    assert found is not None
    return found


@pytest.fixture
def book(clinic: SmallClinic, by: Actor) -> Callable[..., Appointment]:
    """Return a function that books the clinic's patient, or another, tomorrow at a wall time."""

    def make(clock: str = "9:00", **other: object) -> Appointment:
        values = {
            "patient": clinic.patient,
            "procedure": clinic.procedure,
            "target": booking.Target(side="left"),
            "opening": opening(clinic, clock),
            "by": by,
            "at": factories.NOW,
            **other,
        }
        return booking.book(**values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def case(book: Callable[..., Appointment]) -> Appointment:
    return book()
