"""The booking page keeps what was typed, holds what was chosen and books it once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from pain_clinic.audit.models import AuditEvent
from scheduling.models import Appointment, Hold, Status
from scheduling.views import doors
from tests import factories
from tests.database.scheduling.views.conftest import People, opening
from tests.factories import SmallClinic

URL = "/book/"
HTMX = {"HX-Request": "true"}


def asked(clinic: SmallClinic, **other: Any) -> dict[str, Any]:
    return {
        "patient": str(clinic.patient.public_id),
        "procedure": clinic.procedure.code,
        "side": "left",
        "sedation": "none",
        "request_key": uuid.uuid4().hex,
        **other,
    }


def test_first_openings_stand_on_the_page(clinic: SmallClinic, people: People) -> None:
    response = people.owner.post(URL, asked(clinic, act="look"))

    page = response.context["page"]
    first = page.days[0].openings[0]
    assert response.status_code == 200
    assert page.searched
    assert (first.physician, first.room, f"{first.starts_at:%H:%M}") == (
        clinic.physician.short_name,
        clinic.room.short_name,
        "08:15",
    )
    assert page.first_free == first


def test_walk_from_choosing_to_booked(clinic: SmallClinic, people: People) -> None:
    token = doors.token_of(opening(clinic))
    chosen = people.owner.post(URL, asked(clinic, choose=token)).context["page"]
    booked = people.owner.post(URL, asked(clinic, act="book", opening=chosen.chosen.token, hold=str(chosen.hold.public_id)))

    case = Appointment.objects.get()
    assert chosen.can_book
    assert chosen.button == f"Book Tue 15 Sep 9:00, {clinic.physician.name}, {clinic.room.short_name}"
    assert (booked.status_code, booked["Location"]) == (303, f"/appointments/{case.public_id}/")
    assert case.starts_at == factories.local(factories.TOMORROW, "9:00")
    assert Hold.objects.get().released_at is not None


def test_same_key_books_once(clinic: SmallClinic, people: People) -> None:
    form = asked(clinic, act="book", opening=doors.token_of(opening(clinic)))

    answers = [people.owner.post(URL, form) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert Appointment.objects.count() == 1


def test_page_turns_into_the_case_for_htmx(clinic: SmallClinic, people: People) -> None:
    response = people.owner.post(URL, asked(clinic, act="book", opening=doors.token_of(opening(clinic))), headers=HTMX)

    case = Appointment.objects.get()
    assert response.status_code == 200
    assert response["HX-Push-Url"] == f"/appointments/{case.public_id}/"
    assert str(case.public_id) in response["HX-Trigger"]
    assert (
        response.context["page"].booked.title
        == f"Booked: Tue 15 Sep 9:00, {clinic.physician.short_name}, {clinic.room.short_name}"
    )


def test_taken_meanwhile_is_409_with_fresh_openings_and_all_that_was_typed(
    clinic: SmallClinic, people: People, book: Callable[..., Appointment]
) -> None:
    token = doors.token_of(opening(clinic))
    book(patient=factories.patient(home=clinic.site, last_name="Other"))

    response = people.owner.post(URL, asked(clinic, act="book", opening=token, side="right", part="morning", weekday=["1"]))

    page = response.context["page"]
    assert response.status_code == 409
    assert page.refusal.code == "slot_taken"
    assert page.chosen is None
    assert page.days
    assert page.patient.public_id == clinic.patient.public_id
    assert [choice.value for choice in page.sides if choice.is_selected] == ["right"]
    assert [choice.value for choice in page.parts if choice.is_selected] == ["morning"]
    assert [choice.value for choice in page.weekdays if choice.is_selected] == ["1"]
    assert AuditEvent.objects.filter(outcome="refused", reason_code="slot_taken").count() == 1


def test_choosing_what_somebody_holds_is_409(clinic: SmallClinic, people: People, signed_in: Callable[..., Any]) -> None:
    token = doors.token_of(opening(clinic))
    signed_in("desk", clinic.site).post(URL, asked(clinic, choose=token))

    response = people.owner.post(URL, asked(clinic, choose=token))

    assert response.status_code == 409
    assert response.context["page"].hold is None


def test_missing_side_is_422_and_keeps_the_time(clinic: SmallClinic, people: People) -> None:
    token = doors.token_of(opening(clinic))

    response = people.owner.post(URL, asked(clinic, act="book", opening=token, side=""))

    assert response.status_code == 422
    assert [pair.label for pair in response.context["page"].errors] == ["side"]
    assert not Appointment.objects.exists()


def test_choosing_again_lets_the_first_hold_go(clinic: SmallClinic, people: People) -> None:
    first = people.owner.post(URL, asked(clinic, choose=doors.token_of(opening(clinic)))).context["page"]
    second = people.owner.post(
        URL, asked(clinic, choose=doors.token_of(opening(clinic, "10:30")), hold=str(first.hold.public_id))
    ).context["page"]

    assert Hold.objects.get(released_at=None).public_id == second.hold.public_id


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c"])
def test_forged_opening_is_refused(clinic: SmallClinic, people: People, token: str) -> None:
    response = people.owner.post(URL, asked(clinic, act="book", opening=token))

    assert response.status_code in (409, 422)
    assert not Appointment.objects.exists()


def test_who_may_open_the_page(clinic: SmallClinic, people: People) -> None:
    address = f"{URL}?patient={clinic.patient.public_id}"

    assert [who.get(address).status_code for who in (people.owner, people.colleague, people.stranger)] == [200, 403, 404]


def test_nothing_free_says_why(clinic: SmallClinic, people: People) -> None:
    response = people.owner.post(URL, asked(clinic, act="look", earliest="2026-09-19", latest="2026-09-20"))

    page = response.context["page"]
    assert page.days == ()
    assert page.nothing


def test_bad_dates_are_422_and_stay_as_typed(clinic: SmallClinic, people: People) -> None:
    response = people.owner.post(URL, asked(clinic, act="look", earliest="2026-09-20", latest="2026-09-19"))

    assert response.status_code == 422
    assert (response.context["page"].earliest, response.context["page"].latest) == ("2026-09-20", "2026-09-19")


def test_case_is_booked_for_a_status(clinic: SmallClinic, people: People) -> None:
    people.owner.post(URL, asked(clinic, act="book", opening=doors.token_of(opening(clinic))))

    assert Appointment.objects.get().status == Status.BOOKED


def test_a_person_is_found_on_the_page_and_what_was_chosen_stays(clinic: SmallClinic, people: People) -> None:
    factories.patient(home=factories.site(), last_name="Marlow", first_name="Elsewhere")
    typed = asked(clinic, q="marlow", act="look")
    del typed["patient"]

    found = people.owner.post(URL, typed).context["page"]
    picked = people.owner.post(URL, {**typed, "pick": str(clinic.patient.public_id)}).context["page"]
    someone = people.owner.post(URL, asked(clinic, act="someone")).context["page"]

    assert [row.public_id for row in found.people.rows] == [clinic.patient.public_id]
    assert found.patient is None
    assert (picked.patient.public_id, picked.procedure.code, picked.people) == (
        clinic.patient.public_id,
        clinic.procedure.code,
        None,
    )
    assert [side.value for side in picked.sides if side.is_selected] == ["left"]
    assert (someone.patient, someone.procedure.code) == (None, clinic.procedure.code)


def test_people_alone_answer_while_a_name_is_typed(clinic: SmallClinic, people: People) -> None:
    response = people.owner.post(URL, {"q": "marl"}, headers={**HTMX, "HX-Target": "people"})

    text = response.content.decode()
    assert response.status_code == 200
    assert f'value="{clinic.patient.public_id}"' in text
    assert "book-form" not in text


def test_what_was_chosen_waits_while_somebody_is_registered(clinic: SmallClinic, people: People) -> None:
    typed = asked(clinic, act="register", side="right")
    del typed["patient"]

    gone = people.owner.post(URL, typed)
    back = people.owner.get(f"{URL}?patient={clinic.patient.public_id}").context["page"]
    again = people.owner.get(f"{URL}?patient={clinic.patient.public_id}").context["page"]

    assert (gone.status_code, gone["Location"]) == (303, "/patients/new/?for=book")
    assert (back.patient.public_id, back.procedure.code) == (clinic.patient.public_id, clinic.procedure.code)
    assert [side.value for side in back.sides if side.is_selected] == ["right"]
    assert again.procedure is None


def test_the_time_of_a_hold_that_ran_out_is_booked_while_it_is_free(clinic: SmallClinic, people: People) -> None:
    token = doors.token_of(opening(clinic))
    chosen = people.owner.post(URL, asked(clinic, choose=token)).context["page"]
    hold = Hold.objects.get()
    Hold.objects.update(ends_at=hold.held_at)

    booked = people.owner.post(URL, asked(clinic, act="book", opening=chosen.chosen.token, hold=str(hold.public_id)))

    hold.refresh_from_db()
    assert booked.status_code == 303
    assert Appointment.objects.get().starts_at == factories.local(factories.TOMORROW, "9:00")
    assert hold.released_at is not None
