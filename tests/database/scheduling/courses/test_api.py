"""Courses through the API: the pages' verbs, gates and words; versions, request keys, other people's rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from patients.models import Presentation
from scheduling import courses
from scheduling.courses import Terms
from scheduling.models import Appointment, Course, CourseCall, FoundOpenings
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
WORKS = {"block_1": "mbb_lumbar", "block_2": "mbb_lumbar", "ablation": "rfa_facet_lumbar"}


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


@pytest.fixture
def doctor(ward: Ward, signed_in: Any) -> Client:
    return signed_in("physician", ward.clinic.site)  # type: ignore[no-any-return]


def send(client: Client, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> Any:
    asked = {"data": json.dumps(body or {}), "content_type": "application/json"} if method != "GET" else {}
    return client.generic(method, f"/api/v1/{path}", headers=headers, **asked)


def new(ward: Ward, **values: Any) -> dict[str, Any]:
    return {
        "patient": str(ward.patient.public_id), "site": str(ward.clinic.site.public_id), "pathway": "facet_dual_block_to_rfa",
        "works": WORKS, "side": "right", "levels": ["L4-L5", "L5-S1"], "since": "2026-09-14", **values,
    }  # fmt: skip


def test_a_course_is_started_once_and_read_with_its_plan_and_reasons(ward: Ward, doctor: Client) -> None:
    made = send(doctor, "courses/", new(ward, goal="Walk the dog"), **{"Idempotency-Key": "start-number-1"})
    assert made.status_code == 201, made.content
    again = send(doctor, "courses/", new(ward, goal="Walk the dog"), **{"Idempotency-Key": "start-number-1"})
    assert (again.status_code, again.content, Course.objects.count()) == (201, made.content, 1)
    told = made.json()
    plan = told["plan"]
    assert (plan["state"], plan["step"], plan["earliest"], plan["ideal"]) == ("proposed", "block_1", "2026-09-14", "2026-09-21")
    assert plan["reasons"][0] == "the first step"
    assert [stop["kind"] for stop in told["line"]] == ["next", "later", "later", "later"]
    one = send(doctor, f"courses/{told['id']}/", method="GET")
    assert (one.status_code, one["ETag"], one.json()["goal"]) == (200, '"1"', "Walk the dog")
    listed = send(doctor, f"courses/?patient={ward.patient.public_id}&status=active", method="GET").json()
    assert [row["id"] for row in listed["results"]] == [told["id"]]
    assert send(doctor, "courses/?status=done", method="GET").json()["results"] == []


def test_terms_that_do_not_go_together_are_refused_in_words(ward: Ward, doctor: Client) -> None:
    for values, where in (
        ({"works": {"block_1": "rfa_facet_lumbar"}}, "works"),
        ({"pathway": "no_such"}, "pathway"),
        ({"is_staged": True}, "is_staged"),
    ):  # fmt: skip
        refused = send(doctor, "courses/", new(ward, **values))
        assert (refused.status_code, refused.json()["code"], refused.json()["details"]["field"]) == (422, "terms_refused", where)
    assert send(doctor, "courses/", {"pathway": "x"}).status_code == 400
    assert Course.objects.count() == 0


def test_changing_stopping_and_restarting_need_the_version(ward: Ward, doctor: Client) -> None:
    course = ward.start(since=TODAY)
    path = f"courses/{course.public_id}"
    terms = {"works": WORKS, "side": "right", "levels": ["L4-L5", "L5-S1"], "not_before": "2026-10-05", "drug": "none"}
    assert send(doctor, f"{path}/change/", terms).status_code == 428
    changed = send(doctor, f"{path}/change/", terms, **{"If-Match": '"1"'})
    assert Course.objects.get(pk=course.pk).drug == "none"
    assert (changed.status_code, changed.json()["plan"]["earliest"], changed["ETag"]) == (200, "2026-10-05", '"2"')
    assert send(doctor, f"{path}/change/", terms, **{"If-Match": '"1"'}).status_code == 412
    stopped = send(doctor, f"{path}/stop/", {"reason": "Goal reached"}, **{"If-Match": '"2"'})
    assert (stopped.json()["status"], stopped.json()["stop_reason"]) == ("stopped", "Goal reached")
    restarted = send(doctor, f"{path}/restart/", {"anew": True}, **{"If-Match": '"3"'})
    assert (restarted.json()["status"], restarted.json()["since"]) == ("active", "2026-09-14")


def test_a_change_keeps_what_it_does_not_name_and_null_clears(ward: Ward, doctor: Client) -> None:
    problem = Presentation.objects.create(patient=ward.patient, recorded_at=NOW, name="Facet pain")
    whole = replace(
        FACET, problem=problem, drug="none", goal="Walk the dog", physician=ward.clinic.physician, gap_days=9, most_sessions=4,
        diagnosis="In words", rationale="It is back", not_before=TODAY, wishes=("x",),
    )  # fmt: skip
    course = ward.start(whole, since=TODAY)
    path = f"courses/{course.public_id}/change/"

    def changed(**values: Any) -> Terms:
        answer = send(doctor, path, values, **{"If-Match": "*"})
        assert answer.status_code == 200, answer.content
        return courses.terms_of(Course.objects.select_related("physician", "problem").get(pk=course.pk))

    assert changed() == whole
    assert changed(goal="Sleep through") == replace(whole, goal="Sleep through")
    assert changed(problem=None, drug=None, goal=None, levels=["L4-L5"]) == replace(
        whole, problem=None, drug="", goal="", levels=("L4-L5",)
    )
    assert changed(problem=str(problem.public_id), wishes=None, physician=None, gap_days=None, not_before=None) == replace(
        whole, drug="", goal="", levels=("L4-L5",), wishes=(), physician=None, gap_days=None, not_before=None
    )
    refused = send(doctor, path, {"works": None}, **{"If-Match": "*"})
    assert (refused.status_code, refused.json()["details"]["field"]) == (422, "works")


def test_the_desk_puts_off_notes_calls_and_books_but_orders_nothing(ward: Ward, signed_in: Any) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    desk = signed_in("desk", ward.clinic.site)
    path = f"courses/{course.public_id}"
    for act in ("change", "stop", "restart"):
        assert send(desk, f"{path}/{act}/", {}, **{"If-Match": "*"}).status_code == 403
    assert send(desk, "courses/", new(ward)).status_code == 403
    off = send(desk, f"{path}/snooze/", {"until": "2026-10-01", "reason": "Away"})
    assert (off.status_code, off.json()["snoozed_until"]) == (200, "2026-10-01")
    assert send(desk, f"{path}/snooze/", {"until": "2026-10-01"}).status_code == 422
    call = send(desk, f"{path}/calls/", {"outcome": "left_word", "note": "Machine"}, **{"Idempotency-Key": "call-number-1"})
    send(desk, f"{path}/calls/", {"outcome": "left_word", "note": "Machine"}, **{"Idempotency-Key": "call-number-1"})
    assert (call.json()["calls"][0]["note"], CourseCall.objects.count()) == ("Machine", 1)
    found = FoundOpenings.objects.get().openings
    taken = send(desk, f"{path}/book/", {"starts_at": "2026-09-20T09:00:00Z"})
    assert (taken.status_code, taken.json()["code"]) == (409, "slot_taken")
    body = {"starts_at": found[1]["starts_at"]}
    booked = send(desk, f"{path}/book/", body, **{"Idempotency-Key": "book-number-1"})
    assert booked.status_code == 201, booked.content
    again = send(desk, f"{path}/book/", body, **{"Idempotency-Key": "book-number-1"})
    assert (again.content, Appointment.objects.count()) == (booked.content, 1)
    assert str(current(course).appointment.public_id) == booked.json()["id"]  # type: ignore[union-attr]
    assert send(desk, f"{path}/book/", {}).status_code == 409


def test_the_worklist_is_the_pages(ward: Ward, signed_in: Any) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    desk = signed_in("desk", ward.clinic.site)
    (row,) = send(desk, "worklist/", method="GET").json()["results"]
    assert (row["id"], len(row["plan"]["openings"])) == (str(course.public_id), 3)
    assert send(desk, "worklist/?tab=waiting", method="GET").json()["results"] == []
    assert send(desk, "worklist/?tab=nonsense", method="GET").status_code == 400
    codes = [one["code"] for one in send(desk, "pathways/", method="GET").json()["results"]]
    assert "esi_as_needed" in codes


def test_strangers_find_nothing(ward: Ward, signed_in: Any) -> None:
    course = ward.start(since=TODAY)
    stranger = signed_in("physician", factories.site())
    assert send(stranger, f"courses/{course.public_id}/", method="GET").status_code == 404
    assert send(stranger, "courses/", method="GET").json()["results"] == []
    assert send(stranger, f"courses/{course.public_id}/stop/", {"reason": "x"}, **{"If-Match": "*"}).status_code == 404
    refused = send(stranger, "courses/", new(ward))
    assert (refused.status_code, "patient" in refused.json()["errors"]) == (400, True)
