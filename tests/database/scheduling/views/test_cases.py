"""A case's page and its acts: move with the server's answer first, cancel, reinstate, confirm, through the day."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.audit.models import AuditEvent
from scheduling.models import Appointment, Status
from scheduling.views import doors
from tests import factories
from tests.database.scheduling.views.conftest import People, opening
from tests.factories import SmallClinic

PANEL = {"HX-Request": "true", "HX-Target": "case-panel", "HX-Current-URL": "http://testserver/board/?day=2026-09-15"}


def url(case: Appointment, act: str = "") -> str:
    return f"/appointments/{case.public_id}/{act}"


def form(case: Appointment, **other: Any) -> dict[str, Any]:
    return {"version": case.version, "request_key": uuid.uuid4().hex, **other}


def wanted(case: Appointment, **other: Any) -> dict[str, Any]:
    return form(case, day="2026-09-15", time="11:00", **other)


@pytest.mark.parametrize("act", ["", "print/"])
def test_who_may_see_a_case(case: Appointment, people: People, act: str) -> None:
    codes = [who.get(url(case, act)).status_code for who in (people.owner, people.colleague, people.stranger)]

    assert codes == [200, 200, 404]


@pytest.mark.parametrize("act", ["move/", "cancel/", "reinstate/"])
def test_who_may_open_the_forms(case: Appointment, people: People, act: str) -> None:
    codes = [who.get(url(case, act)).status_code for who in (people.owner, people.colleague, people.stranger)]

    assert codes == [200, 403, 404]


@pytest.mark.parametrize("act", ["move/", "cancel/", "reinstate/", "confirm/", "status/"])
def test_who_may_act(case: Appointment, people: People, act: str) -> None:
    codes = [who.post(url(case, act), form(case, to="arrived")).status_code for who in (people.colleague, people.stranger)]

    assert codes == [403, 404]
    case.refresh_from_db()
    assert case.version == 1


def test_opening_a_case_is_recorded(case: Appointment, people: People) -> None:
    people.owner.get(url(case))

    event = AuditEvent.objects.filter(act="scheduling.appointment_read").get()
    assert (event.subject_id, event.patient_id) == (case.public_id, case.patient.public_id)


def test_case_tells_who_what_and_when_in_the_zone_of_its_site(case: Appointment, people: People, clinic: SmallClinic) -> None:
    shown = people.owner.get(url(case)).context["case"]

    assert (
        f"{shown.arrives_at:%H:%M} {shown.starts_at:%H:%M} {shown.ends_at:%H:%M} {shown.leaves_at:%H:%M}"
        == "08:45 09:00 09:30 10:00"
    )
    assert shown.zone == "America/New_York, EDT"
    assert {use.name for use in shown.uses} == {each.name for each in clinic.resources}
    assert [line.act for line in shown.story] == ["booked"]
    assert [act.key for act in shown.acts] == ["confirm", "rules", "move", "swap", "cancel"]


def test_panel_is_a_fragment(case: Appointment, people: People) -> None:
    response = people.owner.get(url(case), headers=PANEL)

    assert response.templates[0].name == "scheduling/_case_panel.html"


# --- move


def test_move_is_answered_before_it_is_kept(case: Appointment, people: People, clinic: SmallClinic) -> None:
    shown = people.owner.post(url(case, "move/"), wanted(case, act="preview")).context["case"].move

    case.refresh_from_db()
    assert case.starts_at == factories.local(factories.TOMORROW, "9:00")
    assert shown.can_move
    assert shown.button == f"Move to Tue 15 Sep 11:00, {clinic.physician.name}, {clinic.room.short_name}"
    assert [choice.label for choice in shown.room if choice.is_selected] == [clinic.room.name]


def test_move_moves(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "move/"), wanted(case, act="move", reason="patient_asked"))

    case.refresh_from_db()
    assert response.status_code == 303
    assert (case.starts_at, case.version) == (factories.local(factories.TOMORROW, "11:00"), 2)
    story = people.owner.get(url(case)).context["case"].story
    assert (story[0].act, story[0].why) == ("moved", "Patient asked")
    assert ("Time", "Tue 15 Sep 9:00", "Tue 15 Sep 11:00") in [(each.field, each.old, each.new) for each in story[0].changes]


def test_move_from_the_board_answers_the_panel(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "move/"), wanted(case, act="move"), headers=PANEL | {"HX-Target": "move-form"})

    assert (response.status_code, response["HX-Retarget"]) == (200, "#case-panel")
    assert str(case.public_id) in response["HX-Trigger"]


def test_move_onto_another_case_is_409_with_times_near_by(
    case: Appointment, people: People, clinic: SmallClinic, book: Callable[..., Appointment]
) -> None:
    book("11:00", patient=factories.patient(home=clinic.site, last_name="Other"))

    response = people.owner.post(url(case, "move/"), wanted(case, act="preview", reason="medical"))

    shown = response.context["case"].move
    assert response.status_code == 409
    assert shown.refusal.code == "not_free"
    assert (shown.day, shown.time, shown.reason) == ("2026-09-15", "11:00", "medical")
    assert len(shown.nearby) == 6


def test_move_outside_hours_is_422(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "move/"), wanted(case, act="preview") | {"time": "20:00"})

    assert response.status_code == 422
    assert response.context["case"].move.time == "20:00"


def test_move_of_what_changed_meanwhile_is_409(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "move/"), wanted(case, act="move") | {"version": 7})

    assert response.status_code == 409
    assert response.context["case"].move.refusal.code == "stale"


@pytest.mark.parametrize(("field", "value"), [("day", "soon"), ("time", "9:07"), ("time", ""), ("physician", "me")])
def test_move_needs_a_time_that_can_be_read(case: Appointment, people: People, field: str, value: str) -> None:
    response = people.owner.post(url(case, "move/"), wanted(case, act="preview") | {field: value})

    assert response.status_code == 422
    assert [pair.label for pair in response.context["case"].move.errors] == [field]


def test_opening_near_by_is_previewed(case: Appointment, people: People) -> None:
    shown = people.owner.post(url(case, "move/"), wanted(case) | {"at": "2026-09-16T10:15"}).context["case"].move

    assert (shown.day, shown.time) == ("2026-09-16", "10:15")
    assert f"{shown.preview.starts_at:%d %H:%M}" == "16 10:15"


# --- cancel, reinstate


def test_cancel_and_reinstate(case: Appointment, people: People) -> None:
    cancelled = people.owner.post(url(case, "cancel/"), form(case, reason="transport", asked_by="patient", text="No driver"))
    case.refresh_from_db()
    assert (cancelled.status_code, case.status, case.cancel_reason) == (303, Status.CANCELLED, "transport")
    assert people.owner.get(url(case)).context["case"].cancelled == "Cancelled by patient: no driver or transport. No driver"

    offered = people.owner.get(url(case, "reinstate/")).context["case"].reinstate
    assert offered.can
    back = people.owner.post(url(case, "reinstate/"), form(case))
    case.refresh_from_db()
    assert (back.status_code, case.status) == (303, Status.BOOKED)
    assert [line.act for line in people.owner.get(url(case)).context["case"].story] == ["reinstated", "cancelled", "booked"]


def test_cancel_without_reason_is_422_and_keeps_the_words(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "cancel/"), form(case, asked_by="patient", text="No driver"))

    shown = response.context["case"].cancel
    assert response.status_code == 422
    assert [pair.label for pair in shown.errors] == ["reason"]
    assert (shown.asked_by, shown.text) == ("patient", "No driver")


def test_reinstate_where_somebody_else_is_now_is_409(
    case: Appointment, people: People, clinic: SmallClinic, book: Callable[..., Appointment]
) -> None:
    people.owner.post(url(case, "cancel/"), form(case, reason="transport", asked_by="patient"))
    book(patient=factories.patient(home=clinic.site, last_name="Other"))
    case.refresh_from_db()

    response = people.owner.post(url(case, "reinstate/"), form(case))

    assert response.status_code == 409
    assert response.context["case"].reinstate.refusal.code == "slot_taken"


def test_a_case_whose_old_time_is_taken_comes_back_at_another(
    case: Appointment, people: People, clinic: SmallClinic, book: Callable[..., Appointment]
) -> None:
    people.owner.post(url(case, "cancel/"), form(case, reason="transport", asked_by="patient"))
    rival = book(patient=factories.patient(home=clinic.site, last_name="Other"))
    case.refresh_from_db()

    offered = people.owner.get(url(case, "reinstate/")).context["case"].reinstate
    first = offered.others[0]
    chosen = people.owner.post(url(case, "reinstate/"), form(case, choose=first.token)).context["case"].reinstate
    back = people.owner.post(url(case, "reinstate/"), form(case, opening=chosen.opening.token))

    case.refresh_from_db()
    assert (offered.can, offered.refusal.message) == (False, "Its old time was taken meanwhile.")
    assert (chosen.can, chosen.opening.starts_at) == (True, first.starts_at)
    assert (back.status_code, case.status, case.starts_at) == (303, Status.BOOKED, first.starts_at)
    assert case.starts_at != rival.starts_at


def test_a_case_is_not_brought_back_to_a_time_taken_after_it_was_offered(
    case: Appointment, people: People, clinic: SmallClinic, book: Callable[..., Appointment]
) -> None:
    people.owner.post(url(case, "cancel/"), form(case, reason="transport", asked_by="patient"))
    case.refresh_from_db()
    token = doors.token_of(opening(clinic))
    book(patient=factories.patient(home=clinic.site, last_name="Other"))

    response = people.owner.post(url(case, "reinstate/"), form(case, opening=token))

    shown = response.context["case"].reinstate
    case.refresh_from_db()
    assert (response.status_code, shown.refusal.message) == (409, "This time was taken meanwhile.")
    assert (shown.can, len(shown.others) > 0, case.status) == (False, True, Status.CANCELLED)


# --- one-button acts


def test_confirm_twice_with_one_key_acts_once(case: Appointment, people: People) -> None:
    act = next(act for act in people.owner.get(url(case)).context["case"].acts if act.key == "confirm")
    sent = {field.name: field.value for field in act.fields}

    codes = [people.owner.post(act.url, sent).status_code for _ in range(2)]

    case.refresh_from_db()
    assert codes == [303, 303]
    assert (case.status, case.version) == (Status.CONFIRMED, 2)


def test_status_in_the_panel(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "status/"), form(case, to="arrived"), headers=PANEL)

    assert response.status_code == 200
    assert response.context["case"].status == "arrived"


def test_impossible_status_is_409_in_the_panel(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case, "status/"), form(case, to="discharged"), headers=PANEL)

    assert response.status_code == 409
    assert response.context["case"].refusal.code == "invalid_move"
    assert response.templates[0].name == "scheduling/_case_panel.html"


def test_number_of_statements_does_not_grow_with_the_story(case: Appointment, people: People) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            people.owner.get(url(case))
            return len(captured)

    asked()
    once = asked()
    for clock in ("10:00", "11:00", "12:00"):
        case.refresh_from_db()
        people.owner.post(url(case, "move/"), wanted(case, act="move") | {"time": clock})

    assert 10 < once == asked()


def test_looking_at_another_time_is_no_part_of_the_story(case: Appointment, people: People) -> None:
    people.owner.post(url(case, "move/"), wanted(case, act="preview") | {"time": "20:00"})

    assert [line.act for line in people.owner.get(url(case)).context["case"].story] == ["booked"]
    assert AuditEvent.objects.filter(act="scheduling.preview_move", outcome="refused").count() == 1
