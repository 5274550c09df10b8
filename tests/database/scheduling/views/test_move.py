"""The move page offers times at once, follows today's lengths, and says what others did meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client

from pain_clinic.accounts.actors import Actor
from scheduling import booking, free_time
from scheduling.models import Absence, Appointment, Kind
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import NOW, SmallClinic


def url(case: Appointment, act: str = "move/") -> str:
    return f"/appointments/{case.public_id}/{act}"


def form(case: Appointment, **other: Any) -> dict[str, Any]:
    return {"version": case.version, "request_key": uuid.uuid4().hex, **other}


def at(case: Appointment, clock: str, act: str, **other: Any) -> dict[str, Any]:
    return form(case, day="2026-09-15", time=clock, act=act, **other)


def test_page_offers_the_first_free_times_at_once(case: Appointment, people: People) -> None:
    shown = people.owner.get(url(case)).context["case"].move

    assert (shown.nearby_title, len(shown.nearby)) == ("First free", 9)
    assert f"{shown.nearby[0].starts_at:%d %H:%M}" == "14 08:15"
    assert shown.length == "It takes 30 minutes in the room."


def test_cases_own_people_and_rooms_do_not_stand_in_its_way(case: Appointment, people: People) -> None:
    shown = people.owner.post(url(case), at(case, "9:15", "preview")).context["case"].move

    assert shown.can_move
    assert shown.nearby == ()


def test_refusal_outside_hours_shows_free_times_near_by(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case), at(case, "7:00", "preview"))

    shown = response.context["case"].move
    assert (response.status_code, shown.nearby_title) == (422, "Free near by")
    assert f"{shown.nearby[0].starts_at:%d %H:%M}" == "15 08:15"


def test_anybody_is_offered_when_the_physician_has_nothing(case: Appointment, people: People, clinic: SmallClinic) -> None:
    second = factories.resource(kind=Kind.PHYSICIAN, at_site=clinic.site, name="Dr. Baer")
    factories.weekly_hours(of=second)
    factories.privilege(of=second, for_procedure=clinic.procedure)
    Absence.objects.create(resource=clinic.physician, starts_at=NOW, ends_at=NOW + timedelta(days=500))
    free_time.rebuild(at=NOW)

    first = people.owner.get(url(case)).context["case"].move.nearby[0]
    pressed = at(case, "9:00", "", physician=str(clinic.physician.public_id))
    moment = f"{first.starts_at:%Y-%m-%dT%H:%M}{first.token}"
    shown = people.owner.post(url(case), {**pressed, "at": moment}).context["case"].move

    assert (first.physician, first.token) == ("Dr. Baer", " any")
    assert (shown.preview.physician, shown.can_move) == ("Dr. Baer", True)


def test_move_takes_the_length_of_today_and_says_so(case: Appointment, people: People, clinic: SmallClinic) -> None:
    clinic.physician.privileges.update(procedure_minutes=40)
    shown = people.owner.post(url(case), at(case, "11:00", "preview")).context["case"].move
    people.owner.post(url(case), at(case, "11:00", "move"))

    case.refresh_from_db()
    assert shown.length == "It will take 40 minutes in the room instead of 30, by what procedure and physician take now."
    assert case.ends_at - case.starts_at == timedelta(minutes=40)


def test_move_to_the_same_place_is_a_move_when_the_length_changed(case: Appointment, people: People, clinic: SmallClinic) -> None:
    same = people.owner.post(url(case), at(case, "9:00", "move"))
    clinic.physician.privileges.update(procedure_minutes=40)
    longer = people.owner.post(url(case), at(case, "9:00", "move"))

    case.refresh_from_db()
    assert (same.status_code, longer.status_code) == (422, 303)
    assert (f"{case.local_time:%H:%M}", case.ends_at - case.starts_at) == ("09:00", timedelta(minutes=40))


def test_what_somebody_else_did_meanwhile_is_said(
    case: Appointment, people: People, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    colleague = factories.user(role="desk", sites=(clinic.site,), display_name="Noor Haddad")
    cancel, confirm, move = form(case, asked_by="patient", reason="other"), form(case), at(case, "11:00", "move")
    assert signed_in("desk", user=colleague).post(url(case), at(case, "13:00", "move")).status_code == 303

    posts = (("cancel/", cancel), ("confirm/", confirm), ("move/", move))
    answers = [people.owner.post(url(case, act), body) for act, body in posts]

    shown = [answer.context["case"] for answer in answers]
    refusals = [shown[0].cancel.refusal, shown[1].refusal, shown[2].move.refusal]
    assert [answer.status_code for answer in answers] == [409] * 3
    assert [(each.changes[0].who, each.changes[0].changes[0].new) for each in refusals] == [
        ("Noor Haddad", "Tue 15 Sep 13:00")
    ] * 3
    assert all("Noor Haddad" in answer.content.decode() for answer in answers)


def test_cancelled_case_shows_no_empty_list_of_uses(case: Appointment, people: People, by: Actor) -> None:
    assert "Who and with what" in people.owner.get(url(case, "")).content.decode()
    booking.cancel(appointment=case, reason="other", asked_by="clinic", by=by, at=NOW)

    assert "Who and with what" not in people.owner.get(url(case, "")).content.decode()
