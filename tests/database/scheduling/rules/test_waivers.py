"""For which facts a waiver was given: what the request or another session changes ends it, anything else leaves it alone."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients.models import Medication, PerformedProcedure
from procedures.rules import Waiver
from scheduling import booking, rechecking
from scheduling.assessing import Details, Wish, covering
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.models import Appointment
from tests import factories
from tests.database.scheduling.rules.ruling import (
    IN_TWO_WEEKS,
    booked,
    put,
    said,
    settle,
    standing,
)
from tests.factories import NOW, TODAY, SmallClinic, local

DAY = timedelta(days=1)


def asked_again(case: Appointment) -> set[str]:
    rechecking.recheck([case.patient_id], at=NOW)
    return standing(case)


def test_waiver_of_a_blood_thinner_ends_when_something_else_is_planned(
    ruled: SmallClinic,
    physician: Actor,
    nurse: Actor,
) -> None:
    settle(ruled)
    put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    key = "antithrombotic_hold:apixaban"
    case = booked(ruled, physician, TODAY + 2 * DAY, "16:00", waivers=[Waiver(key, "clinical_judgement", "Agreed.")])
    assert asked_again(case) == set()  # the control: nothing changed
    rechecking.plan_case(appointment=case, changes={"has_driver": False}, by=nurse, at=NOW)
    assert key in standing(case)


def test_waiver_of_a_payers_limit_ends_when_another_session_is_booked(ruled: SmallClinic, physician: Actor) -> None:
    settle(ruled, payer_rules="medicare_multi_mac_2026", plan_type="original_medicare")
    type(ruled.procedure).objects.filter(pk=ruled.procedure.pk).update(level_scheme="foramina")
    ruled.procedure.refresh_from_db()
    for months in (1, 2, 3, 11):
        put(PerformedProcedure, ruled.patient, procedure=ruled.procedure, site=ruled.site, side="right", levels=["L4-L5"],
            done_on=IN_TWO_WEEKS - timedelta(days=30 * months))  # fmt: skip
    start = local(IN_TWO_WEEKS, "9:00")
    place = Opening(start, start, start, start, ruled.site.pk, {"all": tuple(one.pk for one in ruled.resources)})
    wanted: dict[str, Any] = {
        "patient": ruled.patient, "procedure": ruled.procedure, "by": physician, "at": NOW, "opening": place,
        "target": Target(side="right", levels=("L4-L5",), details=Details(drug="none", has_driver=True)),
    }  # fmt: skip
    keys = [finding.key for finding in booking.preview(**wanted) if finding.refuses]
    caps = {key for key in keys if key.startswith("mcr_esi_cap")}
    assert caps != set()
    case = booking.book(**wanted, waivers=[Waiver(key, "payer_agreed", "Agreed.") for key in keys])
    assert asked_again(case) == set()
    factories.appointment(
        of=ruled.patient, at_site=ruled.site, for_procedure=ruled.procedure, starts_at=start + 30 * DAY, side="right",
        levels=["L4-L5"],
    )  # fmt: skip
    assert caps <= asked_again(case)


def test_a_block_that_may_be_either_asks_which_it_is(ruled: SmallClinic, by: Actor, nurse: Actor) -> None:
    settle(ruled)
    type(ruled.procedure).objects.filter(pk=ruled.procedure.pk).update(code="si_joint_ia", family="si_injection")
    ruled.procedure.refresh_from_db()
    case = booked(ruled, by)
    assert said(case)["role_not_said"] == "pending"
    rechecking.plan_case(appointment=case, changes={"role": "therapeutic"}, by=nurse, at=NOW)
    assert "role_not_said" not in said(case)


# --- from when on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("looks", "found"), [(6, True), (1, True), (0, False)])
def test_first_day_is_looked_for_only_so_often(
    ruled: SmallClinic,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
    found: bool,
) -> None:
    monkeypatch.setattr(import_module("scheduling.assessing.covering"), "LOOKS", looks)
    put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")  # held for 72 hours
    wish = Wish(ruled.procedure, ruled.site, local(TODAY, "16:00"), side="right", guidance="fluoroscopy")
    cover = covering(wish=wish, patient=ruled.patient, at=NOW)
    assert cover.blocking(TODAY) != ()
    first = cover.first(TODAY)
    assert (first is not None) is found
    assert first is None or cover.blocking(first) == ()
