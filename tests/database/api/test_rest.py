"""The API does what the pages do: same verbs, same checks, one problem shape. TRUST Z1, Z2, Z4, C2, C6, I10, I11."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from pain_clinic.audit.models import AuditEvent
from scheduling.models import Appointment, Hold
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def desk_client(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("desk", clinic.site)


def send(client: Client, path: str, body: Any = None, *, method: str = "post", **headers: str) -> Any:
    return client.generic(
        method.upper(),
        f"/api/v1{path}",
        data=_json(body),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def _json(body: Any) -> str:
    import json

    return "" if body is None else json.dumps(body, default=str)


def wanted(clinic: SmallClinic, clock: str = "9:00", **values: Any) -> dict[str, Any]:
    return {
        "patient": clinic.patient.public_id,
        "procedure": clinic.procedure.code,
        "side": "right",
        "site": clinic.site.public_id,
        "starts_at": local(TOMORROW, clock).isoformat(),
        **values,
    }


def test_openings_are_found_held_and_booked(clinic: SmallClinic, desk_client: Client) -> None:
    search = {"procedure": clinic.procedure.code, "limit": 3, "patient": clinic.patient.public_id}
    found = send(desk_client, "/openings/", search).json()
    first = found["openings"][0]
    assert [unit["kind"] for unit in first["resources"]].count("physician") == 1
    place = {"site": first["site"], "starts_at": first["starts_at"], "resources": [one["id"] for one in first["resources"]]}
    held = send(desk_client, "/holds/", {"procedure": clinic.procedure.code, "side": "right", **place})
    assert held.status_code == 201, held.content
    rival = send(desk_client, "/appointments/", wanted(clinic, **place))
    assert (rival.status_code, rival.json()["code"]) == (409, "slot_taken")
    booked = send(desk_client, "/appointments/", wanted(clinic, hold=held.json()["id"], **place))
    assert booked.status_code == 201, booked.content
    assert (booked.json()["starts_at"], booked["ETag"]) == (first["starts_at"], '"1"')
    assert Hold.objects.get().released_at is not None


def test_nothing_is_explained(clinic: SmallClinic, desk_client: Client) -> None:
    sunday = {"procedure": clinic.procedure.code, "weekdays": [6]}
    found = send(desk_client, "/openings/", sunday).json()
    assert found["openings"] == []
    assert found["nothing_because"]


def test_the_same_key_books_once_and_gives_the_same_bytes(clinic: SmallClinic, desk_client: Client) -> None:
    one = send(desk_client, "/appointments/", wanted(clinic), Idempotency_Key="key-0001")
    two = send(desk_client, "/appointments/", wanted(clinic), Idempotency_Key="key-0001")
    assert (one.status_code, one.content) == (two.status_code, two.content)
    assert Appointment.objects.count() == 1
    other = send(desk_client, "/appointments/", wanted(clinic, "11:00"), Idempotency_Key="key-0001")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_move_needs_the_version_that_was_read(clinic: SmallClinic, desk_client: Client) -> None:
    case = send(desk_client, "/appointments/", wanted(clinic)).json()
    to = {"site": clinic.site.public_id, "starts_at": local(TOMORROW, "11:00").isoformat()}
    path = f"/appointments/{case['id']}/move/"
    assert send(desk_client, path, to).status_code == 428
    assert send(desk_client, path, to, If_Match='"7"').status_code == 412
    moved = send(desk_client, path, to, If_Match='"1"')
    assert (moved.status_code, moved.json()["local_time"], moved["ETag"]) == (200, "11:00:00", '"2"')
    assert send(desk_client, path, to, If_Match='"1"').status_code == 412


def test_reinstating_takes_another_place_where_the_old_one_is_taken(clinic: SmallClinic, desk_client: Client) -> None:
    case = send(desk_client, "/appointments/", wanted(clinic)).json()
    base = f"/appointments/{case['id']}"
    send(desk_client, f"{base}/cancel/", {"reason": "transport", "asked_by": "patient"}, If_Match='"1"')
    rival = factories.patient(home=clinic.site, last_name="Okafor")
    assert send(desk_client, "/appointments/", wanted(clinic, patient=rival.public_id)).status_code == 201
    taken = send(desk_client, f"{base}/reinstate/", If_Match='"2"')
    assert (taken.status_code, taken.json()["code"]) == (409, "slot_taken")
    half = send(desk_client, f"{base}/reinstate/", {"starts_at": local(TOMORROW, "13:00").isoformat()}, If_Match='"2"')
    assert half.status_code == 400
    assert "site" in half.content.decode()
    whole = {"starts_at": local(TOMORROW, "13:00").isoformat(), "site": clinic.site.public_id}
    back = send(desk_client, f"{base}/reinstate/", whole, If_Match='"2"')
    assert (back.status_code, back.json()["status"], back.json()["local_time"]) == (200, "booked", "13:00:00")


def test_cases_are_narrowed_by_day_place_person_and_status(clinic: SmallClinic, desk_client: Client) -> None:
    first = send(desk_client, "/appointments/", wanted(clinic)).json()
    other = factories.patient(home=clinic.site, last_name="Okafor")
    day_after = local(TOMORROW + timedelta(days=1), "9:00").isoformat()
    second = send(desk_client, "/appointments/", wanted(clinic, patient=other.public_id, starts_at=day_after)).json()

    def listed(query: str) -> list[str]:
        answer = send(desk_client, f"/appointments/?{query}", method="get")
        assert answer.status_code == 200, answer.content
        return [one["id"] for one in answer.json()["results"]]

    both = [first["id"], second["id"]]
    assert (listed(""), listed(f"first_on={TOMORROW}")) == (both[::-1], both)
    assert listed(f"first_on={TOMORROW}&last_on={TOMORROW}") == both[:1]
    assert listed(f"patient={other.public_id}") == both[1:]
    assert sorted(listed(f"resource={clinic.room.public_id}&site={clinic.site.public_id}")) == sorted(both)
    assert listed(f"resource={uuid.uuid4()}") == listed("status=arrived") == listed("procedure=none") == []
    for wrong in ("first_on=2026-13-01", "status=lost", f"first_on={TOMORROW}&last_on={TOMORROW - timedelta(days=1)}"):
        assert send(desk_client, f"/appointments/?{wrong}", method="get").status_code == 400


def test_root_says_where_the_description_is(desk_client: Client, signed_in: Callable[..., Client]) -> None:
    told = send(desk_client, "/", method="get")
    assert told.status_code == 200
    assert told.json()["schema"].endswith("/api/v1/schema/")
    assert send(signed_in("auditor"), "/", method="get").status_code == 403


def test_cancel_confirm_reinstate_and_the_day(clinic: SmallClinic, desk_client: Client) -> None:
    case = send(desk_client, "/appointments/", wanted(clinic)).json()
    base = f"/appointments/{case['id']}"
    assert send(desk_client, f"{base}/confirm/", If_Match='"1"').json()["status"] == "confirmed"
    gone = {"reason": "transport", "asked_by": "patient"}
    assert send(desk_client, f"{base}/cancel/", gone, If_Match='"2"').json()["status"] == "cancelled"
    again = send(desk_client, f"{base}/cancel/", gone, If_Match='"3"')
    assert (again.status_code, again.json()["code"]) == (409, "invalid_move")
    assert send(desk_client, f"{base}/reinstate/", If_Match='"3"').json()["status"] == "booked"
    assert send(desk_client, f"{base}/status/", {"to": "arrived"}, If_Match='"4"').json()["status"] == "arrived"


def test_findings_are_told_all_at_once(clinic: SmallClinic, desk_client: Client) -> None:
    answer = send(desk_client, "/appointments/", wanted(clinic, "6:00", side=""))
    assert answer.status_code == 422
    codes = {finding["code"] for finding in answer.json()["details"]["findings"]}
    assert "outside_hours" in codes
    refused = AuditEvent.objects.filter(outcome="refused")
    assert refused.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": "abc"},
        {"patient": str(uuid.uuid4())},
        {"starts_at": "2026-02-30T09:00:00Z"},
        {"starts_at": "9999-12-31T23:59:59Z"},
        {"starts_at": "0001-01-01T00:00:00Z"},
        {"procedure": "nothing"},
        {"procedure": ["mbb"]},
        {"site": 9223372036854775808},
        {"levels": "L4-L5"},
        {"side": "up"},
        {"note": "x" * 501},
        {"note": "a\x00b"},
        {"resources": [str(uuid.uuid4())]},
    ],
)
def test_bad_input_is_refused_by_field(clinic: SmallClinic, desk_client: Client, changes: dict[str, Any]) -> None:
    answer = send(desk_client, "/appointments/", wanted(clinic, **changes))
    assert answer.status_code in {400, 422}, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    assert Appointment.objects.count() == 0


def test_another_sites_case_and_patient_are_not_there(
    clinic: SmallClinic, desk_client: Client, signed_in: Callable[..., Client]
) -> None:
    case = send(desk_client, "/appointments/", wanted(clinic)).json()
    stranger = signed_in("desk", factories.site())
    for path in (f"/appointments/{case['id']}/", f"/patients/{clinic.patient.public_id}/"):
        unknown = path.replace(path.split("/")[2], str(uuid.uuid4()))
        assert stranger.get(f"/api/v1{path}").status_code == 404
        assert stranger.get(f"/api/v1{path}").content == stranger.get(f"/api/v1{unknown}").content
    assert stranger.get("/api/v1/appointments/").json()["count"] == 0
    assert stranger.get("/api/v1/patients/").json()["count"] == 0
    assert send(stranger, "/appointments/", wanted(clinic)).status_code == 400
    assert send(stranger, f"/appointments/{case['id']}/cancel/", {"reason": "other", "asked_by": "clinic"}).status_code == 404


@pytest.mark.parametrize("role", ["biller", "nurse", "auditor", "admin"])
def test_roles_that_may_not_book_are_refused(clinic: SmallClinic, signed_in: Callable[..., Client], role: str) -> None:
    assert send(signed_in(role, clinic.site), "/appointments/", wanted(clinic)).status_code == 403


def test_patients_are_registered_searched_and_amended_under_their_version(clinic: SmallClinic, desk_client: Client) -> None:
    body = {"last_name": "O'Brien-d'Arc", "first_name": "Zoë", "birth_date": "1971-02-28", "home_site": clinic.site.public_id}
    made = send(desk_client, "/patients/", {**body, "record_number": "999", "is_demo": True, "version": 40})
    assert made.status_code == 201, made.content
    assert made.json()["record_number"] != "999"
    found = send(desk_client, "/patients/search/", {"words": "zoe obrien"}).json()["results"]
    assert [one["id"] for one in found] == [made.json()["id"]]
    path = f"/patients/{made.json()['id']}/"
    assert send(desk_client, path, {"payer": "Example Health"}, method="patch").status_code == 428
    amended = send(desk_client, path, {"payer": "Example Health"}, method="patch", If_Match='"1"')
    assert (amended.status_code, amended.json()["payer"], amended["ETag"]) == (200, "Example Health", '"2"')
    assert send(desk_client, path, {"payer": "Other"}, method="patch", If_Match='"1"').status_code == 412


def test_schema_and_docs_are_for_staff_only(clinic: SmallClinic, desk_client: Client) -> None:
    assert desk_client.get("/api/v1/schema/").status_code == 200
    docs = desk_client.get("/api/v1/docs/")
    assert docs.status_code == 200
    assert b"//cdn" not in docs.content
    assert Client().get("/api/v1/schema/").status_code in {401, 403}
    assert Client().get("/api/v1/docs/").status_code in {401, 403, 302}
    for path in ("procedures", "resources", "sites"):
        assert desk_client.get(f"/api/v1/{path}/").json()["count"] >= 1
