"""Many rows of the worklist through the API: a dry run with offers, then each row with its own answer, once for a key."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from scheduling import courses
from scheduling.models import Appointment
from tests import factories
from tests.database.scheduling.courses.conftest import Ward
from tests.database.scheduling.courses.test_api import send
from tests.database.scheduling.courses.test_bulk import begun
from tests.factories import NOW, TODAY

KEY = {"Idempotency-Key": "a-day-of-bookings-1"}


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


@pytest.fixture
def desk(ward: Ward, signed_in: Any) -> Client:
    return signed_in("desk", ward.clinic.site)  # type: ignore[no-any-return]


def offered(desk: Client, **asked: Any) -> list[dict[str, Any]]:
    answer = send(desk, "worklist/rehearse/", asked)
    assert answer.status_code == 200, answer.content
    return list(answer.json()["rows"])


def rows_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": [{"course": one["course"], "offer": one["offer"]} for one in found]}


def test_a_dry_run_offers_each_row_its_own_place_and_books_nothing(ward: Ward, desk: Client) -> None:
    made = begun(ward, 3)
    courses.refresh(at=NOW)
    found = offered(desk)
    assert {one["course"] for one in found} == {str(course.public_id) for course in made}
    assert len({(one["starts_at"], one["room"], one["physician"]) for one in found}) == 3
    assert [(one["why_not"], bool(one["offer"]), one["procedure"]) for one in found] == [("", True, "mbb_lumbar")] * 3
    assert Appointment.objects.count() == 0
    (only,) = offered(desk, courses=[str(made[1].public_id)])
    assert only["course"] == str(made[1].public_id)


def test_rows_are_booked_once_for_a_key_and_another_body_under_it_is_refused(ward: Ward, desk: Client) -> None:
    begun(ward, 3)
    found = offered(desk)
    first = send(desk, "worklist/book/", rows_of(found), **KEY)
    assert (first.status_code, first.json()["booked"]) == (200, 3)
    cases = {str(case.public_id): case for case in Appointment.objects.all()}
    assert {one["appointment"] for one in first.json()["rows"]} == set(cases)
    again = send(desk, "worklist/book/", rows_of(found), **KEY)
    assert (again.content, Appointment.objects.count()) == (first.content, 3)
    other = send(desk, "worklist/book/", rows_of(found[:1]), **KEY)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    later = send(desk, "worklist/book/", rows_of(found)).json()
    assert [one["code"] for one in later["rows"]] == ["nothing_planned"] * 3


def test_a_row_that_cannot_be_booked_says_why_and_the_others_stand(ward: Ward, desk: Client) -> None:
    begun(ward, 3)
    found = offered(desk)
    assert send(desk, "worklist/book/", rows_of(found[1:2])).json()["booked"] == 1
    found[2]["offer"] = found[0]["offer"]  # another row's
    answer = send(desk, "worklist/book/", rows_of(found), **KEY).json()
    assert [(one["code"], one["appointment"] is not None) for one in answer["rows"]] == [
        ("", True), ("nothing_planned", False), ("slot_taken", False),
    ]  # fmt: skip
    assert all(one["message"] for one in answer["rows"][1:])
    assert Appointment.objects.count() == 2


def test_other_peoples_courses_and_nonsense_are_refused(ward: Ward, desk: Client, signed_in: Any) -> None:
    (course,) = begun(ward, 1)
    (row,) = offered(desk)
    stranger = signed_in("desk", factories.site())
    for path, body in (("rehearse", {"courses": [str(course.public_id)]}), ("book", rows_of([row]))):
        assert send(stranger, f"worklist/{path}/", body).status_code == 400
    assert send(desk, "worklist/book/", {"rows": []}).status_code == 400
    assert send(desk, "worklist/rehearse/", {"tab": "waiting"}).status_code == 400
    for role in ("biller", "auditor"):
        assert send(signed_in(role, ward.clinic.site), "worklist/rehearse/", {}).status_code == 403
    assert Appointment.objects.count() == 0


def test_a_course_without_a_next_session_is_told_so(ward: Ward, desk: Client) -> None:
    course = ward.start(since=TODAY)
    (row,) = offered(desk, courses=[str(course.public_id)])
    courses.stop(course=course, reason="No", by=ward.doctor, at=NOW)
    (told,) = offered(desk, courses=[str(course.public_id)])
    assert (told["offer"], "no longer what comes next" in told["why_not"]) == ("", True)
    answer = send(desk, "worklist/book/", rows_of([row])).json()
    assert (answer["booked"], bool(answer["rows"][0]["code"])) == (0, True)
