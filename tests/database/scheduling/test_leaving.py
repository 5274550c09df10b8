"""Who was sedated or must not drive leaves with a complete leaving checklist or with a reason; everybody else in one press."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from scheduling import visits
from scheduling.models import Appointment, Check, Discharge, InvalidMove, ReadyItem, Status
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]
FINE = {str(item): ("yes", "") for item in ReadyItem.values}
ALL = list(ReadyItem.values)


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


def case_of(clinic: SmallClinic, *, sedation: str = "none", driver: str = "required_if_sedated", **values: Any) -> Appointment:
    clinic.procedure.driver = driver
    clinic.procedure.save(update_fields=["driver"])
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources, side="left",
        starts_at=factories.local(factories.TODAY, "9:00"), **{"status": Status.RECOVERY, "sedation": sedation, **values},
    )  # fmt: skip


def discharged(case: Appointment, by: Actor, at: datetime, reason: str = "") -> Appointment:
    return visits.move_on(appointment=case, to=Status.DISCHARGED, by=by, at=at, reason=reason)


@pytest.mark.parametrize("driver", ["not_needed", "required_if_sedated"])
def test_who_was_awake_and_may_drive_leaves_in_one_press(clinic: SmallClinic, by: Actor, at: datetime, driver: str) -> None:
    gone = discharged(case_of(clinic, driver=driver), by, at)

    assert (gone.status, Discharge.objects.exists()) == (Status.DISCHARGED, False)
    assert AuditEvent.objects.get(act="scheduling.discharged").details == {"version": 2}


@pytest.mark.parametrize(
    ("sedation", "driver", "why", "items"),
    [
        ("moderate", "required_if_sedated", "sedated", [*ALL, "escort"]),
        ("minimal", "not_needed", "sedated", ALL),
        ("none", "required", "must not drive", [*ALL, "escort"]),
    ],
)
def test_others_do_not_leave_without_the_checklist(
    clinic: SmallClinic, nurse: Actor, at: datetime, sedation: str, driver: str, why: str, items: list[str]
) -> None:
    case = case_of(clinic, sedation=sedation, driver=driver)

    with pytest.raises(visits.LeavingOpen, match=why) as refusal:
        discharged(case, nurse, at)

    case.refresh_from_db()
    assert (refusal.value.code, refusal.value.details) == ("leaving_open", {"items": items})
    assert (case.status, case.version) == (Status.RECOVERY, 1)
    assert "vital signs as before" in refusal.value.message
    assert ("takes the patient home" in refusal.value.message) == ("escort" in items)


def test_with_the_checklist_and_an_escort_a_sedated_patient_leaves(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    case = case_of(clinic, sedation="moderate")
    visits.leave_ready(appointment=case, answers=FINE, escort="Daughter", reason="", by=nurse, at=at)

    assert discharged(case, nurse, at).status == Status.DISCHARGED


def test_the_reason_of_the_checklist_is_reason_enough(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    case = case_of(clinic, sedation="moderate")
    visits.leave_ready(appointment=case, answers=FINE, escort="", reason="Stays with a neighbour", by=nurse, at=at)

    assert discharged(case, nurse, at).status == Status.DISCHARGED


def test_a_reason_lets_a_patient_go_and_is_kept(clinic: SmallClinic, nurse: Actor, by: Actor, at: datetime) -> None:
    case = case_of(clinic, sedation="moderate")

    with pytest.raises(Forbidden):
        discharged(case, by, at, "Taxi")  # the desk
    assert not Discharge.objects.exists()
    assert discharged(case, nurse, at, " Transferred to hospital ").status == Status.DISCHARGED

    assert Discharge.objects.values_list("escort", "reason", "by", "at").get() == (
        "", "Transferred to hospital", nurse.user_id, at,
    )  # fmt: skip
    event = AuditEvent.objects.get(act="scheduling.discharged")
    assert (event.reason_code, event.details) == (
        "left_without_checklist", {"version": 2, "lacking": [*ALL, "escort"]},
    )  # fmt: skip


@pytest.mark.parametrize(("planned", "done", "is_refused"), [("none", "moderate", True), ("moderate", "none", False)])
def test_what_was_done_counts_before_what_was_planned(
    clinic: SmallClinic, nurse: Actor, doctor: Actor, at: datetime, planned: str, done: str, is_refused: bool
) -> None:
    case = case_of(clinic, sedation=planned)
    as_done = replace(visits.as_booked(case), sedation=done)
    visits.complete(appointment=case, done=as_done, by=doctor, at=at, reason="On paper")
    case.refresh_from_db()

    assert bool(visits.leaving(case).lacking) == is_refused
    assert visits.needs_escort(case) == is_refused


def test_an_impossible_move_is_told_first(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    with pytest.raises(InvalidMove):
        discharged(case_of(clinic, sedation="moderate", status=Status.BOOKED), nurse, at)


# --- page, board and API ---------------------------------------------------------------------------------------------


def pressed(case: Appointment, **more: str) -> dict[str, str]:
    return {"version": str(case.version), "to": "discharged", "request_key": f"key-{case.version}-{len(more)}", **more}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "case-panel", "HX-Current-URL": "http://t/board/"}])
def test_page_and_board_say_what_is_missing_and_where_to_fill_it_in(
    clinic: SmallClinic, signed_in: Enter, headers: dict[str, str]
) -> None:
    case, nurse, desk = case_of(clinic, sedation="moderate"), signed_in("nurse", clinic.site), signed_in("desk", clinic.site)
    address = f"/appointments/{case.public_id}/status/"

    refused = nurse.post(address, pressed(case), headers=headers)
    shown = refused.context["case"]
    assert (refused.status_code, shown.refusal.code) == (422, "leaving_open")
    assert [(way.key, way.method) for way in shown.ways] == [("leave", "get"), ("discharge", "post")]
    text = refused.content.decode()
    assert f'href="/appointments/{case.public_id}/checklist/leaving/"' in text
    assert 'name="reason"' in text
    of_desk = desk.post(address, pressed(case), headers=headers)
    assert (of_desk.status_code, of_desk.context["case"].ways) == (422, ())
    assert "A nurse or a physician" in of_desk.content.decode()

    sent = {field.name: field.value for field in shown.ways[1].fields} | {"reason": "Goes by ambulance"}
    assert nurse.post(address, sent, headers=headers).status_code in (200, 303)
    case.refresh_from_db()
    assert (case.status, Discharge.objects.get().reason) == (Status.DISCHARGED, "Goes by ambulance")
    story = [line.why for line in nurse.get(f"/appointments/{case.public_id}/").context["case"].story]
    assert story == ["Without a complete leaving checklist, with a reason", *["The leaving checklist was not complete"] * 2]


def test_the_page_of_the_checklist_opens_the_way(clinic: SmallClinic, signed_in: Enter) -> None:
    case, nurse = case_of(clinic, driver="required"), signed_in("nurse", clinic.site)
    filled = {"act": "all", "escort": "Son", "request_key": "k" * 16}

    assert nurse.post(f"/appointments/{case.public_id}/checklist/leaving/", filled).status_code == 303
    assert Check.objects.filter(appointment=case, moment="leaving", answer="yes").count() == len(ALL)
    assert nurse.post(f"/appointments/{case.public_id}/status/", pressed(case)).status_code == 303
    case.refresh_from_db()
    assert case.status == Status.DISCHARGED


def test_the_api_says_the_same(clinic: SmallClinic, signed_in: Enter) -> None:
    case, nurse = case_of(clinic, sedation="moderate"), signed_in("nurse", clinic.site)

    def sent(**body: str) -> Any:
        return nurse.post(
            f"/api/v1/appointments/{case.public_id}/status/", {"to": "discharged", **body},
            content_type="application/json", headers={"If-Match": f'"{case.version}"'},
        )  # fmt: skip

    refused = sent()
    assert (refused.status_code, refused.json()["code"], refused.json()["details"]["items"]) == (
        422,
        "leaving_open",
        [*ALL, "escort"],
    )
    assert sent(reason="Transferred").json()["status"] == "discharged"
