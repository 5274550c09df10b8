"""The units of an authorisation and the cases that are booked: who was booked first has the unit."""

from __future__ import annotations

from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients.models import Authorization, Coverage
from procedures.models import Procedure
from scheduling import booking, rechecking
from scheduling.models import Appointment, AppointmentFinding
from tests.database.scheduling.rules.ruling import DAY, IN_TWO_WEEKS, booked, put, settle
from tests.factories import NOW, TODAY, SmallClinic

RULE = "mcr_wiser"


@pytest.fixture
def plan(ruled: SmallClinic) -> Coverage:
    Procedure.objects.filter(pk=ruled.procedure.pk).update(equipment=["contrast"], cpt_primary=["62323"])
    settle(ruled, payer="Medicare", payer_rules="medicare_multi_mac_2026", plan_type="original_medicare", state="OH")
    return Coverage.objects.get()


def authorize(plan: Coverage, **values: Any) -> Authorization:
    given = {"covers": "esi", "status": "approved", "decided_on": TODAY, "units": 1, "valid_until": TODAY + 300 * DAY, **values}
    made: Authorization = put(Authorization, plan.patient, coverage=plan, **given)
    return made


def waits(case: Appointment) -> bool:
    return AppointmentFinding.objects.filter(appointment=case, code__startswith=RULE, gone_at=None).exists()


@pytest.mark.parametrize(("units", "is_left"), [(1, False), (2, True), (None, True)])
def test_two_cases_do_not_share_one_unit(ruled: SmallClinic, by: Actor, plan: Coverage, units: int | None, is_left: bool) -> None:
    authorize(plan, units=units)
    later = booked(ruled, by, IN_TWO_WEEKS + 100 * DAY)
    assert not waits(later)
    early = booked(ruled, by, IN_TWO_WEEKS)
    assert waits(early) is not is_left
    rechecking.recheck([ruled.patient.pk], at=NOW)
    assert (waits(later), waits(early)) == (False, not is_left)  # who was booked first keeps it
    booking.cancel(appointment=later, reason="patient_ill", asked_by="patient", by=by, at=NOW)
    rechecking.follow_changes(at=NOW)
    assert not waits(early)


@pytest.mark.parametrize(
    ("other", "is_left"),
    [
        ({"side": "left"}, False),  # for the other side: it is not used, and not for the second case either
        ({"side": "right"}, True),
        ({"covers": "tpi"}, False),
        ({"codes": ["99999"]}, False),
        ({"status": "pending"}, False),
        ({"valid_from": IN_TWO_WEEKS + 90 * DAY}, False),
        ({"case": "00000000-0000-0000-0000-000000000007"}, False),
        ({"units": None}, True),
    ],
)
def test_second_authorisation_serves_the_second_case_if_it_fits(
    ruled: SmallClinic, by: Actor, plan: Coverage, other: dict[str, Any], is_left: bool
) -> None:
    authorize(plan)
    authorize(plan, **other)
    booked(ruled, by, IN_TWO_WEEKS)
    assert waits(booked(ruled, by, IN_TWO_WEEKS + 28 * DAY)) is not is_left


def test_unit_bound_to_a_case_is_left_for_it(ruled: SmallClinic, by: Actor, plan: Coverage) -> None:
    row = authorize(plan)
    first = booked(ruled, by, IN_TWO_WEEKS)
    second = booked(ruled, by, IN_TWO_WEEKS + 28 * DAY)
    Authorization.objects.filter(pk=row.pk).update(case=second.public_id)
    rechecking.recheck([ruled.patient.pk], at=NOW)
    assert (waits(first), waits(second)) == (True, False)
