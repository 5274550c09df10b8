"""The factories make rows that the database accepts, and the clinic they build is whole."""

from __future__ import annotations

from datetime import timedelta

from scheduling.models import Allocation, WeeklyHours
from tests import factories
from tests.factories import FALL_BACK, SPRING_FORWARD, SmallClinic, local


def test_small_clinic_has_one_of_everything_with_hours(clinic: SmallClinic) -> None:
    assert [each.kind for each in clinic.resources] == ["physician", "nurse", "room", "bay", "c_arm"]
    assert WeeklyHours.objects.count() == 25


def test_user_has_the_permissions_of_the_role(clinic: SmallClinic) -> None:
    made = factories.user(role="desk", sites=(clinic.site,))

    assert made.has_perm("scheduling.book_appointment")
    assert not made.has_perm("accounts.manage_staff")


def test_appointment_takes_its_resources(clinic: SmallClinic) -> None:
    made = factories.appointment(of=clinic.patient, for_procedure=clinic.procedure, resources=(clinic.room,))

    assert made.leaves_at - made.arrives_at == timedelta(minutes=75)
    assert Allocation.objects.get().resource == clinic.room


def test_local_knows_both_clock_changes() -> None:
    assert local(FALL_BACK, "9:00") - local(FALL_BACK, "0:00") == timedelta(hours=10)
    assert local(SPRING_FORWARD, "9:00") - local(SPRING_FORWARD, "0:00") == timedelta(hours=8)
