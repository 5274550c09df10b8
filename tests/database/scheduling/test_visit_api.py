"""A case is checked, completed and left through the API under the same checks as on the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from patients.models import ClinicalNote, Complication, GivenDrug, PerformedProcedure, Score
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling.models import Appointment, CaseDetails, Check, CheckItem, Completion, Discharge, ReadyItem, Status
from tests import factories
from tests.database.scheduling.rules.ruling import files
from tests.factories import SmallClinic

Enter = Callable[..., Client]
BEFORE = [{"item": item, "answer": "yes"} for item in CheckItem.values]
LEAVING = [{"item": item, "answer": "yes"} for item in ReadyItem.values]


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources,
        starts_at=factories.local(factories.TODAY, "9:00"), status=Status.RECOVERY, side="left",
    )  # fmt: skip


def send(client: Client, case: Appointment, what: str, body: dict[str, Any], **headers: str) -> Any:
    return client.post(
        f"/api/v1/appointments/{case.public_id}/{what}/", body, content_type="application/json",
        headers={"If-Match": f'"{case.version}"', **headers},
    )  # fmt: skip


def test_an_empty_body_completes_as_booked_once_for_a_key(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    nurse, doctor = signed_in("nurse", clinic.site), signed_in("physician", clinic.site)
    assert send(nurse, case, "checklists/before", {"answers": BEFORE}).json()["open"] == []

    first, again = (send(doctor, case, "complete", {}, **{"Idempotency-Key": "key-of-a-case"}) for _ in range(2))

    assert (first.status_code, again.status_code, first.content == again.content) == (201, 201, True)
    told, performed = first.json(), PerformedProcedure.objects.get()
    note = ClinicalNote.objects.get()
    assert told["performed"] == str(performed.public_id)
    assert (told["note"], told["differs"], told["unchecked"], told["version"]) == (str(note.public_id), [], [], 2)
    assert first["ETag"] == '"2"'
    assert (performed.side, performed.operator_name, note.signed_at) == ("left", "Dr. Adler", None)
    case.refresh_from_db()
    twice = send(doctor, case, "complete", {})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_completed")


def test_what_is_said_is_recorded_and_what_differs_is_named(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    load_rules(files(), RuleReport())
    CaseDetails.objects.create(appointment=case, role="diagnostic", drug="none")
    doctor = signed_in("physician", clinic.site)
    body = {
        "side": "right", "sedation": "minimal", "operator_name": "Dr. Locum", "fluoroscopy_seconds": 31, "dose_ugy_m2": "61.5",
        "drugs": [{"kind": "steroid", "drug": "dexamethasone", "dose_mg": "10"}],
        "complications": [{"kind": "vasovagal", "severity": "minor", "outcome": "Gone"}],
        "scores": [{"measure": "nrs", "aspect": "index", "value": "8", "phase": "before"}],
        "sections": {"plan": "Again if it helps"}, "remark": "Long", "reason": "On paper", "is_signed": True,
    }  # fmt: skip

    told = send(doctor, case, "complete", body)

    assert (told.status_code, told.json()["differs"]) == (201, ["side", "sedation", "operator_name", "steroid"])
    row, note = PerformedProcedure.objects.get(), ClinicalNote.objects.get()
    assert (row.side, row.role, row.operator, row.operator_name, row.note) == ("right", "diagnostic", None, "Dr. Locum", "Long")
    assert GivenDrug.objects.values_list("drug", "dose_mg").get() == ("dexamethasone", 10)
    assert (Complication.objects.get().outcome, Score.objects.get().value) == ("Gone", 8)
    assert (note.sections["plan"], ", right" in note.sections["technique"]) == ("Again if it helps", True)
    assert note.signed_at is not None


def test_another_procedure_brings_what_is_its_own(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    knee = factories.procedure(
        code="genicular_block", family="genicular_block", regions=["knee"], guidance_default="ultrasound", needs=()
    )
    limbs = factories.procedure(family="joint_injection", regions=["hip", "knee"], needs=())
    joint = factories.procedure(code="si_joint_ia", family="si_injection", regions=["sacral"], needs=())
    doctor = signed_in("physician", clinic.site)

    def sent(**body: Any) -> Any:
        return send(doctor, case, "complete", {"reason": "On paper", **body})

    assert sent(procedure=joint.code).json()["code"] == "role_not_said"
    assert sent(procedure=limbs.code).json()["code"] == "region_not_said"
    assert sent(procedure=str(knee.public_id)).status_code == 201
    row = PerformedProcedure.objects.get()
    assert (row.procedure, row.role, row.regions, row.guidance, row.body_site) == (
        knee, "diagnostic", ["knee"], "ultrasound", "left_knee",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({}, {}, 422, "checklist_open"),
        ({"reason": "x"}, {"If-Match": '"9"'}, 412, "stale"),
        ({"reason": "x"}, {"If-Match": ""}, 428, "version_missing"),
        ({"procedure": "horoscope"}, {}, 400, "invalid"),
        ({"sedation": "deeply"}, {}, 400, "invalid"),
        ({"levels": ["L4-L5", "somewhere"]}, {}, 400, "invalid"),
        ({"drugs": [{"kind": "steroid", "drug": "sugar"}]}, {}, 400, "invalid"),
        ({"reason": "x", "sections": {"horoscope": "x"}}, {}, 400, "invalid"),
        ({"reason": "x", "scores": [{"measure": "nrs", "aspect": "index", "value": "11", "phase": "before"}]}, {}, 422,
         "out_of_range"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_nothing(
    clinic: SmallClinic,
    case: Appointment,
    signed_in: Enter,
    body: dict[str, Any],
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    load_rules(files(), RuleReport())
    told = send(signed_in("physician", clinic.site), case, "complete", body, **headers)

    assert (told.status_code, told.json()["code"]) == (status, code)
    assert not PerformedProcedure.objects.exists()
    assert not Completion.objects.exists()


def test_others_do_not_complete_nor_see_another_site(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    for role in ("desk", "nurse", "biller", "manager", "admin", "auditor"):
        assert send(signed_in(role, clinic.site), case, "complete", {}).status_code == 403
    stranger = signed_in("physician", factories.site())
    for what in ("complete", "checklists/before", "checklists/leaving"):
        assert send(stranger, case, what, {"answers": []}).status_code == 404
    assert send(signed_in("desk", clinic.site), case, "checklists/leaving", {"answers": LEAVING}).status_code == 403


def test_the_checklists_are_read_and_answered_item_by_item(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    address = f"/api/v1/appointments/{case.public_id}/checklists/before/"

    assert nurse.get(address).json() == {"answers": [], "open": list(CheckItem.values)}
    body = {"answers": [{"item": "side", "answer": "no", "note": "marked wrong"}, {"item": "consent", "answer": "na"}]}
    told = send(nurse, case, "checklists/before", body).json()
    assert [(one["item"], one["answer"], one["note"]) for one in told["answers"]] == [
        ("consent", "na", ""), ("side", "no", "marked wrong"),
    ]  # fmt: skip
    assert told["open"] == [item for item in CheckItem.values if item != "consent"]
    wrong = send(nurse, case, "checklists/before", {"answers": [{"item": "walks", "answer": "yes"}]})
    assert (wrong.status_code, wrong.json()["code"], Check.objects.count()) == (422, "check_unknown", 2)


def test_the_leaving_checklist_opens_the_discharge(clinic: SmallClinic, case: Appointment, signed_in: Enter) -> None:
    Appointment.objects.filter(pk=case.pk).update(sedation="moderate")
    nurse = signed_in("nurse", clinic.site)
    read = nurse.get(f"/api/v1/appointments/{case.public_id}/checklists/leaving/").json()
    assert (read["needs_escort"], read["lacking"]) == (True, [*ReadyItem.values, "escort"])

    alone = send(nurse, case, "checklists/leaving", {"answers": LEAVING})
    assert (alone.status_code, alone.json()["code"], alone.json()["details"]) == (
        422, "not_ready_to_leave", {"items": ["escort"]},
    )  # fmt: skip
    assert send(nurse, case, "status", {"to": "discharged"}).json()["code"] == "leaving_open"
    told = send(nurse, case, "checklists/leaving", {"answers": LEAVING, "escort": "Daughter"}).json()
    assert (told["lacking"], told["escort"], told["open"]) == ([], "Daughter", [])
    assert send(nurse, case, "status", {"to": "discharged"}).json()["status"] == "discharged"
    assert Discharge.objects.get().escort == "Daughter"
