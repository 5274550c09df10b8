"""Facts, performed procedures, notes, scores and outcomes through the API: same verbs, gates and versions as the pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import time_machine
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients import notes, records
from patients.api import facts
from patients.models import Allergy, Amendment, ClinicalNote, GivenDrug, PerformedProcedure, Score, SessionOutcome
from tests import factories
from tests.factories import NOW, SmallClinic

Enter = Callable[..., Client]


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def physician(clinic: SmallClinic) -> User:
    return factories.user(role="physician", sites=(clinic.site,), display_name="Dr. Marsh")


@pytest.fixture
def doctor(physician: User, signed_in: Enter) -> Client:
    return signed_in("physician", user=physician)


@pytest.fixture
def done(clinic: SmallClinic, physician: User) -> PerformedProcedure:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 1), "side": "left"}
    return records.record(
        kind=PerformedProcedure, patient=clinic.patient, values=values, by=Actor.of_user(physician), at=NOW
    )  # fmt: skip


def send(client: Client, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> Any:
    return client.generic(
        method, f"/api/v1{path}", data=json.dumps(body, default=str) if body is not None else "", content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def of_patient(clinic: SmallClinic, rest: str) -> str:
    return f"/patients/{clinic.patient.public_id}/{rest}"


def test_an_allergy_is_recorded_once_read_amended_and_withdrawn(clinic: SmallClinic, doctor: Client) -> None:
    where = of_patient(clinic, "facts/allergies/")
    body = {"agent": "latex", "severity": "mild"}
    made = send(doctor, where, body, Idempotency_Key="allergy-0001")
    again = send(doctor, where, body, Idempotency_Key="allergy-0001")

    assert (made.status_code, again.status_code, again.content) == (201, 201, made.content)
    row = Allergy.objects.get()
    assert made.json() | {"name": "", "note": ""} == made.json()
    assert (made.json()["id"], made.json()["recorded_by"], made["ETag"]) == (str(row.public_id), "Dr. Marsh", '"1"')

    one = f"/facts/allergies/{row.public_id}/"
    assert send(doctor, one, {"severity": "severe"}, method="PATCH").status_code == 428
    amended = send(doctor, one, {"severity": "severe"}, method="PATCH", If_Match='"1"')
    stale = send(doctor, one, {"severity": "mild"}, method="PATCH", If_Match='"1"')
    assert (amended.status_code, amended.json()["severity"], amended["ETag"]) == (200, "severe", '"2"')
    assert (stale.status_code, stale.json()["code"], stale["Content-Type"]) == (412, "stale", "application/problem+json")

    gone = send(doctor, one, {"reason": "Another patient"}, method="DELETE", If_Match='"2"')
    assert (gone.status_code, gone.json()["is_in_error"]) == (200, True)
    assert send(doctor, one, method="GET").status_code == 404
    assert send(doctor, where, method="GET").json()["results"] == []
    row.refresh_from_db()
    assert (row.is_in_error, row.error_reason, row.severity) == (True, "Another patient", "severe")


@pytest.mark.parametrize("code", [kind for group in facts.GROUPS for kind in group.kinds])
def test_every_kind_lists_what_the_verbs_record(code: str, clinic: SmallClinic, done: PerformedProcedure, doctor: Client) -> None:
    group = next(each for each in facts.GROUPS if code in each.kinds)
    word = "" if len(group.kinds) == 1 else f"{code}/"

    found = send(doctor, of_patient(clinic, f"{group.code}/{word}"), method="GET")

    assert found.status_code == 200
    assert set(found.json()) == {"count", "next", "previous", "results"}
    assert AuditEvent.objects.filter(act=f"patients.read_{group.code}", patient_id=clinic.patient.public_id).count() == 1


def test_lists_come_in_pages_in_a_total_order(clinic: SmallClinic, doctor: Client) -> None:
    where = of_patient(clinic, "facts/labs/")
    for value in range(5):
        assert send(doctor, where, {"test": "inr", "value": f"{value}.0", "taken_on": "2026-09-01"}).status_code == 201
    first, second = (send(doctor, f"{where}?page_size=3&page={page}", method="GET").json() for page in (1, 2))

    assert (first["count"], len(first["results"]), len(second["results"])) == (5, 3, 2)
    assert [row["value"] for row in first["results"] + second["results"]] == ["4.00", "3.00", "2.00", "1.00", "0.00"]
    assert send(doctor, f"{where}?page=9", method="GET").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("facts/allergies/", {"agent": "moon"}, 400, "agent"),
        ("facts/allergies/", {}, 400, "agent"),
        ("facts/labs/", {"test": "inr", "value": "-1", "taken_on": "2026-09-01"}, 422, ""),
        ("facts/labs/", {"test": "inr", "value": "1", "taken_on": "2026-02-30"}, 400, "taken_on"),
        ("performed/drugs/", {"performed": "00000000-0000-0000-0000-000000000001", "kind": "steroid", "drug": "x",
                              "given_on": "2026-09-01"}, 400, "performed"),
        ("scores/", {"measure": "nrs", "value": "11", "scored_on": "2026-09-01"}, 422, "value"),
        ("scores/", {"measure": "mood", "value": "1", "scored_on": "2026-09-01"}, 422, "measure"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_a_problem_that_names_the_field(
    path: str, body: dict[str, Any], status: int, field: str, clinic: SmallClinic, doctor: Client
) -> None:
    told = send(doctor, of_patient(clinic, path), body)

    assert (told.status_code, told["Content-Type"]) == (status, "application/problem+json")
    assert field in json.dumps(told.json())


def test_a_kind_that_is_none_is_not_there(clinic: SmallClinic, doctor: Client) -> None:
    assert send(doctor, of_patient(clinic, "facts/moods/"), method="GET").status_code == 404
    assert send(doctor, of_patient(clinic, "facts/coverages/"), method="GET").status_code == 404


def test_a_drug_of_another_patients_procedure_cannot_be_named(
    clinic: SmallClinic, done: PerformedProcedure, doctor: Client
) -> None:
    other = factories.patient(home=clinic.site)
    body = {"performed": str(done.public_id), "kind": "steroid", "drug": "dexamethasone", "given_on": "2026-09-01"}

    assert send(doctor, f"/patients/{other.public_id}/performed/drugs/", body).status_code == 400
    assert not GivenDrug.objects.exists()


def test_a_performed_procedure_is_amended_with_a_reason(clinic: SmallClinic, done: PerformedProcedure, doctor: Client) -> None:
    one = f"/performed/procedures/{done.public_id}/"
    assert send(doctor, one, {"side": "right"}, method="PATCH", If_Match='"1"').status_code == 400
    told = send(doctor, one, {"side": "right", "reason": "Wrong side", "is_signed": True}, method="PATCH", If_Match='"1"')

    assert (told.status_code, told.json()["side"], told["ETag"]) == (200, "right", '"2"')
    assert told.json()["procedure"] == clinic.procedure.code
    made = Amendment.objects.get()
    assert (made.reason, made.changes, made.signed_at) == ("Wrong side", [["Side", "left", "right"]], NOW)


def test_a_drug_is_amended_with_a_reason_and_its_procedure_tells_it(
    clinic: SmallClinic, done: PerformedProcedure, doctor: Client
) -> None:
    body = {
        "performed": str(done.public_id),
        "kind": "steroid",
        "drug": "dexamethasone",
        "dose_mg": "10",
        "given_on": "2026-09-01",
    }
    made = send(doctor, of_patient(clinic, "performed/drugs/"), body)
    one = f"/performed/drugs/{made.json()['id']}/"

    silent = send(doctor, one, {"dose_mg": "8"}, method="PATCH", If_Match=made["ETag"])
    told = send(doctor, one, {"dose_mg": "8", "reason": "Read off wrongly"}, method="PATCH", If_Match=made["ETag"])
    again = send(doctor, one, {"dose_mg": "8.00", "reason": "Once more"}, method="PATCH", If_Match=told["ETag"])
    gone = send(doctor, one, {"reason": "Not given"}, method="DELETE", If_Match=told["ETag"])

    assert [answer.status_code for answer in (made, silent, told, again, gone)] == [201, 400, 200, 409, 200]
    assert (told.json()["dose_mg"], told["ETag"]) == ("8.00", '"2"')
    assert list(Amendment.objects.order_by("pk").values_list("reason", flat=True)) == ["Read off wrongly", "Not given"]


def test_scores_renew_what_a_session_brought(clinic: SmallClinic, done: PerformedProcedure, doctor: Client) -> None:
    where = of_patient(clinic, "scores/")
    common = {"measure": "nrs", "aspect": "index", "performed": str(done.public_id)}
    send(doctor, where, {**common, "value": "8", "scored_on": "2026-09-01", "phase": "before"})
    later = send(doctor, where, {**common, "value": "2", "scored_on": "2026-09-10", "phase": "follow_up"})
    assert later.status_code == 201

    found = send(doctor, of_patient(clinic, "outcomes/"), method="GET").json()["results"]
    assert (found[0]["performed"], found[0]["last_pct"], found[0]["held_50_until"]) == (
        str(done.public_id), "75.0000", "2026-09-10"
    )  # fmt: skip
    one = f"/scores/{later.json()['id']}/"
    assert send(doctor, one, {"value": "6"}, method="PATCH", If_Match=later["ETag"]).status_code == 200
    assert SessionOutcome.objects.get().last_pct == 25
    assert send(doctor, one, {"reason": "Typed twice"}, method="DELETE", If_Match='"2"').status_code == 200
    assert SessionOutcome.objects.get().last_pct is None
    assert Score.objects.count() == 2


def test_a_note_is_written_edited_signed_cosigned_and_added_to(
    clinic: SmallClinic, done: PerformedProcedure, doctor: Client, signed_in: Enter
) -> None:
    section = notes.template_for(clinic.procedure).sections[0].code
    body = {"performed": str(done.public_id), "sections": {section: "First\nline"}}
    made = send(doctor, of_patient(clinic, "notes/"), body)
    one = f"/notes/{made.json()['id']}/"
    assert (made.status_code, made.json()["sections"][section]) == (201, "First\nline")
    assert send(doctor, of_patient(clinic, "notes/"), body).status_code == 400  # it has one
    edited = send(doctor, one, {"sections": {section: "Second"}}, method="PATCH", If_Match=made["ETag"])
    signed = send(doctor, f"{one}sign/", If_Match=edited["ETag"])
    refused = send(doctor, one, {"sections": {section: "Third"}}, method="PATCH", If_Match=signed["ETag"])
    own = send(doctor, f"{one}cosign/", If_Match=signed["ETag"])
    colleague = signed_in("physician", clinic.site)
    cosigned = send(colleague, f"{one}cosign/", If_Match=signed["ETag"])
    added = send(colleague, f"{one}addenda/", {"text": "Agreed"}, If_Match=cosigned["ETag"])

    assert [answer.status_code for answer in (edited, signed, refused, own, cosigned, added)] == [200, 200, 409, 422, 200, 200]
    assert [line["text"] for line in added.json()["addenda"]] == ["Agreed"]
    assert ClinicalNote.objects.get().sections == {section: "Second"}
    assert send(doctor, one, method="GET").json()["signed_by"] == "Dr. Marsh"
    assert "Second" not in send(doctor, of_patient(clinic, "notes/"), method="GET").content.decode()


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("desk", set(), {"scores"}),
        ("biller", set(), set()),
        ("nurse", {"facts", "performed", "scores", "notes", "outcomes"}, {"facts", "performed", "scores", "notes"}),
        ("physician", {"facts", "performed", "scores", "notes", "outcomes"},
         {"facts", "performed", "scores", "notes"}),
        ("manager", set(), {"scores"}),
        ("admin", set(), set()),
        ("auditor", set(), set()),
    ],
)  # fmt: skip
def test_each_role_reads_and_writes_what_is_its_own(
    role: str, reads: set[str], writes: set[str], clinic: SmallClinic, signed_in: Enter
) -> None:
    client = signed_in(role, clinic.site)
    paths = {
        "facts": "facts/allergies/", "performed": "performed/procedures/", "scores": "scores/",
        "notes": "notes/", "outcomes": "outcomes/",
    }  # fmt: skip
    for name, path in paths.items():
        assert (send(client, of_patient(clinic, path), method="GET").status_code == 200) == (name in reads), name
        if name != "outcomes":
            assert (send(client, of_patient(clinic, path), {}).status_code == 400) == (name in writes), name


def test_another_sites_rows_are_not_there(clinic: SmallClinic, done: PerformedProcedure, signed_in: Enter) -> None:
    stranger = signed_in("physician", factories.site())

    one = f"/performed/procedures/{done.public_id}/"
    nested = ("facts/allergies/", "scores/", "notes/", "outcomes/")
    for path in (one, *(of_patient(clinic, each) for each in nested)):
        assert send(stranger, path, method="GET").status_code == 404
    told = send(stranger, one, {"side": "right", "reason": "x"}, method="PATCH", If_Match="*")
    assert told.status_code == 404
    done.refresh_from_db()
    assert done.side == "left"


def test_what_only_the_verbs_set_cannot_be_set(clinic: SmallClinic, doctor: Client) -> None:
    body = {
        "payer": "x", "agent": "latex", "patient": "00000000-0000-0000-0000-000000000001", "recorded_by": "boss", "version": 9,
        "is_in_error": True, "id": "00000000-0000-0000-0000-000000000002",
    }  # fmt: skip
    told = send(doctor, of_patient(clinic, "facts/allergies/"), body)

    assert told.status_code == 201
    row = Allergy.objects.get()
    assert (row.patient_id, row.version, row.is_in_error) == (clinic.patient.pk, 1, False)
    assert str(row.public_id) != body["id"]


def test_the_report_is_the_pages(clinic: SmallClinic, doctor: Client, signed_in: Enter) -> None:
    found = send(doctor, "/reports/outcomes/?by=physician&years=2", method="GET")

    assert found.status_code == 200
    assert found.json() | {"by": "physician", "years": 2, "groups": [], "hidden": 0, "total": None} == found.json()
    assert send(doctor, "/reports/outcomes/?years=4", method="GET").status_code == 400
    assert send(doctor, "/reports/outcomes/?procedure=rare", method="GET").json()["code"] == "too_few"
    assert send(signed_in("nurse", clinic.site), "/reports/outcomes/", method="GET").status_code == 403
