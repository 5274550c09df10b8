"""Booked for the knee, done at the shoulder: where it was done is said when a case is completed and when it is amended."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from patients.models import Amendment, PerformedProcedure
from scheduling.models import Appointment, Completion, Status
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]
JOINT: dict[str, Any] = {"family": "joint_injection", "category": "joint", "regions": ["shoulder", "hip", "knee"], "needs": ()}


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=factories.procedure(name="Large joint", **JOINT), side="left",
        starts_at=factories.local(factories.TODAY, "9:00"), resources=(clinic.physician,), status=Status.RECOVERY,
        regions=["knee"],
    )  # fmt: skip


def typed(client: Client, address: str) -> dict[str, Any]:
    form = client.get(address).context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)} | {"request_key": uuid.uuid4().hex}


def completing(case: Appointment) -> str:
    return f"/appointments/{case.public_id}/complete/"


def test_the_region_is_prefilled_and_another_is_named(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    form = doctor.get(completing(case)).context["form"]
    assert [code for code, _ in form.fields["regions"].choices] == ["shoulder", "hip", "knee"]
    start = typed(doctor, completing(case))
    assert start["regions"] == ["knee"]

    assert doctor.post(completing(case), start | {"regions": ["shoulder"], "reason": "On paper"}).status_code == 303

    assert (PerformedProcedure.objects.get().regions, Completion.objects.get().differs) == (["shoulder"], ["regions"])


def test_another_procedure_takes_its_own_region_or_asks(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    start = typed(doctor, completing(case)) | {"reason": "On paper"}
    tail = factories.procedure(family="peripheral_nerve_block", regions=["sacrococcygeal"], needs=())
    belly = factories.procedure(family="peripheral_nerve_block", regions=["abdomen", "flank"], needs=())

    asked = doctor.post(completing(case), start | {"procedure": belly.code})
    assert (asked.status_code, list(asked.context["form"].errors)) == (422, ["regions"])
    assert {"abdomen", "flank"} <= {code for code, _ in asked.context["form"].fields["regions"].choices}
    assert doctor.post(completing(case), start | {"procedure": tail.code}).status_code == 303
    assert PerformedProcedure.objects.get().regions == ["sacrococcygeal"]


def test_work_with_levels_or_one_region_asks_for_none(clinic: SmallClinic, signed_in: Enter) -> None:
    knee = factories.procedure(family="genicular_block", regions=["knee"], needs=())
    epidural = factories.procedure(level_scheme="interlaminar", needs=())
    doctor = signed_in("physician", clinic.site)
    for clock, procedure, where in (("9:00", knee, ["knee"]), ("11:00", epidural, [])):
        case = factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=procedure, starts_at=factories.local(factories.TODAY, clock),
            status=Status.RECOVERY, side="left", resources=(clinic.physician,),
        )  # fmt: skip
        start = typed(doctor, completing(case)) | {"reason": "On paper", "side": "right"}
        assert "regions" not in start
        assert doctor.post(completing(case), start).status_code == 303
        performed = PerformedProcedure.objects.get(appointment=case.public_id)
        assert performed.regions == where
        assert performed.body_site == ("right_knee" if where else "")


def test_what_is_typed_waits_with_its_regions(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    start = typed(doctor, completing(case))

    doctor.post(completing(case), start | {"regions": ["hip", "shoulder"], "act": "checklist"})

    assert typed(doctor, completing(case))["regions"] == ["hip", "shoulder"]


def test_the_region_is_amended_with_both_values(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    doctor.post(completing(case), typed(doctor, completing(case)) | {"reason": "On paper"})
    row = PerformedProcedure.objects.get()
    address = f"/performed/{row.public_id}/"
    start = typed(doctor, address)
    assert start["regions"] == ["knee"]

    assert doctor.post(address, start | {"regions": ["hip", "shoulder"], "reason": "Wrong joint"}).status_code == 303

    assert PerformedProcedure.objects.get().regions == ["shoulder", "hip"]
    assert Amendment.objects.get().changes == [["Regions", "Knee", "Shoulder and hip"]]


def test_amending_something_else_leaves_the_region(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    doctor.post(completing(case), typed(doctor, completing(case)) | {"reason": "On paper"})
    address = f"/performed/{PerformedProcedure.objects.get().public_id}/"

    assert doctor.post(address, typed(doctor, address) | {"side": "right", "reason": "Wrong side"}).status_code == 303

    assert PerformedProcedure.objects.get().regions == ["knee"]
    assert [change[0] for change in Amendment.objects.get().changes] == ["Side"]
