"""The API's doors to a booked case's rules, plan, blood thinners and tasks: the verbs and gates of the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import Clearance, Condition, Medication
from procedures import tables
from scheduling import desk_tasks, rechecking
from scheduling.models import Appointment, CaseDetails, DeskTask, RuleOverride
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local

BY = Actor.system("tests")
WAIVER = {"code": "active_infection", "reason_code": "clinical_judgement", "text": "Drained, dry."}
SAID = {"is_agreed": True, "answered_by": "Dr. Heart", "how": "telephone"}


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    tables.load(by=BY, at=NOW)
    type(clinic.procedure).objects.filter(pk=clinic.procedure.pk).update(bleeding_class="intermediate")
    known = {"patient": clinic.patient, "recorded_at": NOW}
    Condition.objects.create(**known, kind="infection", began_on=TODAY)
    Medication.objects.create(**known, kind="antithrombotic", drug="apixaban", name="Apixaban")
    made = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure,
        starts_at=local(TODAY + timedelta(days=21), "10:00"), resources=clinic.resources, side="left",
    )  # fmt: skip
    rechecking.recheck([clinic.patient.pk], at=NOW)
    return made


Calls = Callable[..., Any]


@pytest.fixture
def call(case: Appointment, signed_in: Callable[..., Client], clinic: SmallClinic) -> Calls:
    """Return what asks about the case, as a role, under the version that was read."""

    def ask(role: str, method: str, path: str, body: Any = None, *, version: str = '"1"', **headers: str) -> Any:
        address = path if path.startswith("/") else f"/api/v1/appointments/{case.public_id}/{path}/"
        sent = {"headers": {"If-Match": version, **headers}}
        if method != "GET":
            sent |= {"data": body or {}, "content_type": "application/json"}
        return getattr(signed_in(role, clinic.site), method.lower())(address, **sent)

    return ask


def test_rules_of_a_case_are_read_with_what_waits_and_what_is_planned(case: Appointment, call: Calls) -> None:
    read = call("desk", "GET", "rules").json()

    (infection,) = (one for one in read["findings"] if one["code"] == "active_infection")
    assert (infection["severity"], infection["is_waived"]) == ("deny", False)
    assert infection["reference"]
    waits = {one["kind"]: one["role"] for one in read["waits"]}
    assert waits["clearance"] == "nurse"
    assert {name for name, said in read["planned"].items() if said not in ("", None)} == set()  # nobody has said anything
    assert set(waits) == set(DeskTask.objects.filter(appointment=case, done_at=None).values_list("kind", flat=True)) - {"rules"}
    assert (read["planned"]["role"], read["planned"]["has_driver"], read["version"]) == ("", None, 1)
    assert AuditEvent.objects.filter(act="scheduling.read", subject_id=case.public_id).count() == 1


def test_a_finding_is_waived_once_by_a_role_that_may_and_by_no_other(
    case: Appointment, call: Calls, signed_in: Callable[..., Client], clinic: SmallClinic
) -> None:
    refused = call("desk", "POST", "waive", {"waivers": [WAIVER]})
    assert (refused.status_code, refused.json()["code"]) == (422, "rules_refused")
    assert call("physician", "POST", "waive", {"waivers": []}).json()["code"] == "nothing_to_waive"
    assert call("physician", "POST", "waive", {"waivers": [WAIVER]}, version='"2"').status_code == 412
    assert call("physician", "POST", "waive", {"waivers": [WAIVER]}, version="").status_code == 428
    assert not RuleOverride.objects.exists()

    client, address = signed_in("physician", clinic.site), f"/api/v1/appointments/{case.public_id}/waive/"
    sent = {"content_type": "application/json", "headers": {"If-Match": '"1"', "Idempotency-Key": "once-and-for-all"}}
    done, again = (client.post(address, {"waivers": [WAIVER]}, **sent) for _ in range(2))

    assert [one["is_waived"] for one in done.json()["findings"] if one["code"] == "active_infection"] == [True]
    assert (done["ETag"], again.content) == ('"1"', done.content)
    assert RuleOverride.objects.count() == 1


def test_what_is_planned_is_said_and_asked_again_at_once(case: Appointment, call: Calls) -> None:
    before = {one["code"] for one in call("desk", "GET", "rules").json()["findings"]}
    assert before

    planned = call("desk", "PATCH", "plan", {"role": "diagnostic", "drug": "none", "has_driver": True}).json()

    assert (planned["planned"]["role"], planned["planned"]["drug"], planned["planned"]["has_driver"]) == (
        "diagnostic",
        "none",
        True,
    )
    assert "plan" not in {one["kind"] for one in planned["waits"]}
    assert CaseDetails.objects.get(appointment=case).role == "diagnostic"
    kept = call("nurse", "PATCH", "plan", {"driver_name": "Ann"}).json()["planned"]
    assert (kept["role"], kept["driver_name"]) == ("diagnostic", "Ann")  # what is left out stays
    assert call("desk", "PATCH", "plan", {"drug": "sugar"}).status_code == 400
    assert call("biller", "PATCH", "plan", {"role": "diagnostic"}).status_code == 403


def test_hold_plan_is_read_and_the_prescribers_word_written_down(case: Appointment, call: Calls, clinic: SmallClinic) -> None:
    (held,) = call("desk", "GET", "medicines").json()["medicines"]
    assert (held["drug"], held["action"], held["is_agreed"], held["word"]) == ("apixaban", "hold", None, "")
    assert held["last_dose"] == f"{TODAY + timedelta(days=18)}T10:00:00"
    assert call("desk", "POST", "medicines/apixaban/ask").status_code == 403
    assert call("nurse", "POST", "medicines/aspirin/ask").json()["code"] == "nothing_to_clear"

    asked = call("nurse", "POST", "medicines/apixaban/ask").json()["medicines"][0]
    assert asked["word"] == "asked"
    assert call("nurse", "POST", "medicines/apixaban/ask").status_code == 409
    assert call("nurse", "POST", "medicines/apixaban/answer", {"is_agreed": True}).status_code == 400
    assert call("nurse", "POST", "medicines/apixaban/answer", SAID, version='"7"').status_code == 412

    plan = call("nurse", "POST", "medicines/apixaban/answer", SAID).json()
    assert (plan["is_cleared"], plan["medicines"][0]["is_agreed"], plan["medicines"][0]["word"]) == (True, True, "given")
    assert Clearance.objects.get().answered_by == "Dr. Heart"
    shift = {name: getattr(case, name) + timedelta(days=1) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    Appointment.objects.filter(pk=case.pk).update(**shift)
    moved = call("nurse", "GET", "medicines").json()
    assert (moved["is_cleared"], moved["medicines"][0]["is_word_for_other_times"]) == (False, True)


def moved_a_day(case: Appointment) -> str:
    """Move a case by a day behind everybody's back; return when it begins now."""
    shift = {name: getattr(case, name) + timedelta(days=1) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    Appointment.objects.filter(pk=case.pk).update(**shift)
    return shift["starts_at"].isoformat()


def test_what_was_decided_for_another_slot_is_kept_once_for_the_one_that_was_shown(case: Appointment, call: Calls) -> None:
    taken = {"kind": "antithrombotic", "drug": "aspirin_secondary", "name": "Aspirin", "indication": "secondary"}
    Medication.objects.create(patient=case.patient, recorded_at=NOW, **taken)
    at, before = "medicines/aspirin_secondary", case.starts_at.isoformat()
    body = {**SAID, "note": "Goes on this Monday", "starts_at": before}
    assert call("nurse", "POST", f"{at}/answer", body).status_code == 200

    after = moved_a_day(case)
    late = call("nurse", "POST", f"{at}/answer", body)
    assert (late.status_code, late.json()["code"], Clearance.objects.count()) == (409, "asked_otherwise", 1)
    (line,) = [one for one in call("nurse", "GET", "medicines").json()["medicines"] if one["drug"] == "aspirin_secondary"]
    word = str(Clearance.objects.get().public_id)
    assert (line["is_word_for_other_times"], line["word_id"]) == (True, word)

    kept = {"word": word, "starts_at": after}
    assert call("desk", "POST", f"{at}/keep", kept).status_code == 403
    assert call("nurse", "POST", f"{at}/keep", kept, version='"7"').status_code == 412
    assert call("nurse", "POST", f"{at}/keep", {"word": "yes"}).status_code == 400
    for wrong in ({**kept, "starts_at": before}, {**kept, "word": str(case.public_id)}):
        assert call("nurse", "POST", f"{at}/keep", wrong).json()["code"] == "asked_otherwise"
    answers = [call("nurse", "POST", f"{at}/keep", kept, **{"Idempotency-Key": "one-press"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    (line,) = [one for one in answers[0].json()["medicines"] if one["drug"] == "aspirin_secondary"]
    assert (line["is_agreed"], line["is_word_for_other_times"], line["decided_for"]) == (
        True,
        False,
        after.replace("+00:00", "Z"),
    )
    assert call("nurse", "POST", f"{at}/keep", kept).status_code == 200  # without a key, too
    assert list(Clearance.objects.order_by("pk").values_list("note", "confirmed_on")) == [
        ("Goes on this Monday", None), ("Goes on this Monday", TODAY),
    ]  # fmt: skip
    assert AuditEvent.objects.filter(act="patients.record_clearance", outcome="done").count() == 2


def test_tasks_are_listed_taken_and_closed(case: Appointment, call: Calls) -> None:
    listed = call("nurse", "GET", f"/api/v1/tasks/?kind=clearance&appointment={case.public_id}").json()["results"]
    (task,) = listed
    assert (task["kind"], task["role"], task["appointment"], task["owner"]) == ("clearance", "nurse", str(case.public_id), "")
    everything = call("nurse", "GET", "/api/v1/tasks/").json()["results"]
    assert [one["due_at"] for one in everything] == sorted(one["due_at"] for one in everything)
    address = f"/api/v1/tasks/{task['id']}/"

    assert call("nurse", "POST", f"{address}take/").json()["owner"] != ""
    assert call("nurse", "POST", f"{address}close/", {"outcome": "luck"}).status_code == 400
    done = call("nurse", "POST", f"{address}close/", {"outcome": "mended", "note": "By fax."}).json()
    assert (done["outcome"], done["done_at"] is None) == ("mended", False)
    assert call("nurse", "POST", f"{address}close/", {"outcome": "mended"}).json()["code"] == "task_closed"
    assert [one["id"] for one in call("nurse", "GET", "/api/v1/tasks/?done=true").json()["results"]] == [task["id"]]
    assert call("nurse", "GET", "/api/v1/tasks/?kind=luck").status_code == 400


def test_billers_see_their_own_tasks_and_strangers_none(
    case: Appointment, call: Calls, signed_in: Callable[..., Client], clinic: SmallClinic
) -> None:
    roles = {one["role"] for one in call("biller", "GET", "/api/v1/tasks/").json()["results"]}
    assert roles == {"biller"}
    nurses = DeskTask.objects.get(appointment=case, kind="clearance")
    assert call("biller", "POST", f"/api/v1/tasks/{nurses.public_id}/take/").status_code == 404
    stranger = signed_in("nurse", factories.site())
    assert stranger.get("/api/v1/tasks/").json()["results"] == []
    for path in ("rules/", "medicines/"):
        assert stranger.get(f"/api/v1/appointments/{case.public_id}/{path}").status_code == 404
    assert stranger.post(f"/api/v1/tasks/{nurses.public_id}/take/").status_code == 404


def test_list_of_tasks_asks_the_same_queries_for_one_and_for_three(
    case: Appointment, signed_in: Callable[..., Client], clinic: SmallClinic
) -> None:
    nurse = signed_in("nurse", clinic.site)
    nurse.get("/api/v1/tasks/")
    counts = []
    for kind in ("missed", "unwell", "unconfirmed"):
        with CaptureQueriesContext(connection) as seen:
            nurse.get("/api/v1/tasks/")
        counts.append(len(seen))
        desk_tasks.open_task(kind=kind, patient=clinic.patient, appointment=case, by=BY, at=NOW)
    assert len(set(counts)) == 1
