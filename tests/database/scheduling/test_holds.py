"""A hold keeps its time for ten minutes, for whoever holds it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from scheduling import booking, free_time, holds
from scheduling.booking import SlotTaken
from scheduling.models import Allocation, Status
from tests import factories
from tests.database.scheduling.test_booking import TARGET, booked, opening
from tests.factories import NOW, SmallClinic


def test_a_hold_hides_its_time_and_its_owner_books_it(clinic: SmallClinic, by: Actor) -> None:
    held = holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic), by=by, at=NOW)
    rival = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    with pytest.raises(SlotTaken):
        booked(clinic, rival)
    case = booked(clinic, by, hold=held)
    assert Allocation.objects.filter(released_at__isnull=True, appointment=case).count() > 0
    assert not Allocation.objects.filter(released_at__isnull=True, appointment__isnull=True).exists()
    assert free_time.check(at=NOW) == ()


def test_an_ended_hold_gives_way_without_a_sweep_and_cannot_be_booked(clinic: SmallClinic, by: Actor) -> None:
    held = holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic), by=by, at=NOW)
    rival = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    later = NOW + timedelta(minutes=10)
    with pytest.raises(SlotTaken):
        booked(clinic, rival, at=later - timedelta(seconds=1))
    with pytest.raises(booking.HoldEnded):
        booked(clinic, by, hold=held, at=later)
    assert booked(clinic, rival, at=later).status == Status.BOOKED


def test_sweep_releases_ended_holds_only(clinic: SmallClinic, by: Actor) -> None:
    holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic), by=by, at=NOW)
    assert holds.sweep(at=NOW + timedelta(minutes=9, seconds=59)) == 0
    assert holds.sweep(at=NOW + timedelta(minutes=10)) == 1
    assert holds.sweep(at=NOW + timedelta(minutes=10)) == 0
    assert free_time.check(at=NOW) == ()
