"""Two cases trade places: chosen from a day, answered before it is kept, by page and by API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking, free_time, openings
from scheduling.booking import RulesRefused, SameCase, SlotTaken, Stale, Target
from scheduling.models import Allocation, Appointment, Block, InvalidMove, Kind, Message, RuleOverride
from scheduling.openings import Options
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import NOW, TOMORROW, SmallClinic, local


@pytest.fixture
def other(clinic: SmallClinic, book: Callable[..., Appointment]) -> Appointment:
    return book("11:00", patient=factories.patient(home=clinic.site, last_name="Okafor", first_name="Adam"))


def url(case: Appointment) -> str:
    return f"/appointments/{case.public_id}/swap/"


def form(case: Appointment, other: Appointment, **more: Any) -> dict[str, Any]:
    given = {"version": case.version, "other": str(other.public_id), "other_version": other.version}
    return {**given, "request_key": uuid.uuid4().hex, "act": "swap", **more}


def clocks(*cases: Appointment) -> list[str]:
    return [f"{Appointment.objects.get(pk=case.pk).local_time:%H:%M}" for case in cases]


# --- the verb ------------------------------------------------------------------------------------------------------


def test_preview_says_both_places_and_writes_nothing(case: Appointment, other: Appointment) -> None:
    mine, theirs = booking.preview_swap(first=case, second=other, at=NOW)

    assert (mine.opening.starts_at, theirs.opening.starts_at) == (other.starts_at, case.starts_at)
    assert mine.findings == theirs.findings == ()
    assert clocks(case, other) == ["09:00", "11:00"]
    assert Allocation.objects.exclude(released_at=None).count() == 0


def test_swap_takes_the_length_of_today_and_refuses_when_it_no_longer_fits(
    clinic: SmallClinic, case: Appointment, other: Appointment, book: Callable[..., Appointment], by: Actor
) -> None:
    book("12:15", patient=factories.patient(home=clinic.site, last_name="Roe"))
    Procedure.objects.filter(pk=clinic.procedure.pk).update(room_minutes=60)
    again = [Appointment.objects.get(pk=each.pk) for each in (case, other)]

    with pytest.raises(SlotTaken):
        booking.preview_swap(first=again[0], second=again[1], at=NOW)
    with pytest.raises(SlotTaken):
        booking.swap(first=again[0], second=again[1], by=by, at=NOW)
    assert clocks(case, other) == ["09:00", "11:00"]


def test_swap_brings_along_what_the_other_has_not_got(clinic: SmallClinic, case: Appointment, by: Actor) -> None:
    Procedure.objects.filter(pk=clinic.procedure.pk).update(guidance_alternatives=["ultrasound"])
    clinic.procedure.refresh_from_db()
    probe = factories.resource(kind=Kind.ULTRASOUND, at_site=clinic.site)
    factories.weekly_hours(of=probe)
    free_time.rebuild(at=NOW)
    fit = openings.fit(
        procedure=clinic.procedure, starts_at=local(TOMORROW, "11:00"), site=clinic.site, at=NOW,
        options=Options(guidance="ultrasound"),
    )  # fmt: skip
    assert fit.opening is not None
    second = booking.book(
        patient=factories.patient(home=clinic.site, last_name="Okafor"), procedure=clinic.procedure,
        target=Target(side="left", guidance="ultrasound"), opening=fit.opening, by=by, at=NOW,
    )  # fmt: skip

    one, two = booking.swap(first=case, second=second, by=by, at=NOW)

    devices = Allocation.objects.filter(released_at=None, kind__in=["c_arm", "ultrasound"]).order_by("kind")
    assert list(devices.values_list("kind", "appointment", "starts_at")) == [
        ("c_arm", one.pk, local(TOMORROW, "11:00")),
        ("ultrasound", two.pk, local(TOMORROW, "9:00")),
    ]
    assert free_time.check(at=NOW) == ()


def test_waiver_of_one_case_lifts_nothing_of_the_other(
    clinic: SmallClinic, case: Appointment, other: Appointment, by: Actor
) -> None:
    for number, clock in enumerate(("09:00", "11:00")):
        Block.objects.create(
            resource=clinic.room, site=clinic.site, name=f"Kept {number}", weekday=TOMORROW.weekday(), starts=clock,
            ends=f"{int(clock[:2]) + 1}:00", valid_from=TOMORROW - timedelta(days=30), family="pns", release_days=0,
        )  # fmt: skip
    free_time.expand_blocks(at=NOW)
    mine, theirs = booking.preview_swap(first=case, second=other, at=NOW)
    keys = [mine.findings[0].key, theirs.findings[0].key]
    waivers = [Waiver(key, "urgent", "Agreed.") for key in keys]

    with pytest.raises(RulesRefused):
        booking.swap(first=case, second=other, by=by, at=NOW, waivers=waivers)
    booking.swap(first=case, second=other, by=by, at=NOW, waivers=waivers[:1], second_waivers=waivers[1:])

    assert set(RuleOverride.objects.values_list("appointment", "code")) == {(case.pk, keys[0]), (other.pk, keys[1])}


def test_swap_refuses_one_case_one_that_began_and_what_changed_since(case: Appointment, other: Appointment, by: Actor) -> None:
    with pytest.raises(SameCase):
        booking.swap(first=case, second=case, by=by, at=NOW)
    with pytest.raises(Stale):
        booking.preview_swap(first=case, second=other, at=NOW, versions=(1, 7))
    booking.cancel(appointment=other, reason="other", asked_by="clinic", by=by, at=NOW)
    other.refresh_from_db()
    with pytest.raises(InvalidMove):
        booking.swap(first=case, second=other, by=by, at=NOW)


# --- the page ------------------------------------------------------------------------------------------------------


def test_who_may_swap(case: Appointment, other: Appointment, people: People) -> None:
    for ask in (lambda who: who.get(url(case)), lambda who: who.post(url(case), form(case, other))):
        assert [ask(who).status_code for who in (people.colleague, people.stranger)] == [403, 404]
    assert people.owner.get(url(case)).status_code == 200
    assert clocks(case, other) == ["09:00", "11:00"]


def test_page_lists_the_cases_of_the_day_and_of_another(case: Appointment, other: Appointment, people: People) -> None:
    same = people.owner.get(url(case)).context["case"].swap
    empty = people.owner.get(url(case), {"day": "2026-09-16"}).context["case"].swap
    wrong = people.owner.get(url(case), {"day": "soon"})

    assert [line.public_id for line in same.candidates] == [other.public_id]
    assert (empty.candidates, empty.day) == ((), "2026-09-16")
    assert wrong.status_code == 422


def test_page_shows_both_new_places_before_the_button(case: Appointment, other: Appointment, people: People) -> None:
    response = people.owner.get(url(case), {"with": str(other.public_id)})

    shown = response.context["case"].swap
    assert [(side.patient, f"{side.after.starts_at:%H:%M}") for side in shown.sides] == [
        ("Vera M. 1958", "11:00"),
        ("Adam O. 1958", "09:00"),
    ]
    assert shown.can_swap
    assert shown.button == "Swap: Vera M. 1958 to Tue 15 Sep 11:00 and Adam O. 1958 to Tue 15 Sep 9:00"
    assert clocks(case, other) == ["09:00", "11:00"]


def test_swap_swaps_once_and_writes_to_both(case: Appointment, other: Appointment, people: People) -> None:
    posted = form(case, other)

    answers = [people.owner.post(url(case), posted) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert clocks(case, other) == ["11:00", "09:00"]
    assert AuditEvent.objects.filter(act="scheduling.swap", outcome="done").count() == 2
    assert Message.objects.filter(version=2).count() == 2
    story = people.owner.get(f"/appointments/{case.public_id}/").context["case"].story
    assert (story[0].act, story[0].changes[0].new) == ("swapped", "Tue 15 Sep 11:00")


def test_stale_swap_is_409_and_says_what_the_other_did(
    clinic: SmallClinic, case: Appointment, other: Appointment, people: People, signed_in: Callable[..., Client]
) -> None:
    posted = form(case, other)
    colleague = factories.user(role="desk", sites=(clinic.site,), display_name="Noor Haddad")
    moved = {"version": 1, "request_key": uuid.uuid4().hex, "day": "2026-09-15", "time": "13:00", "act": "move"}
    signed_in("desk", user=colleague).post(f"/appointments/{other.public_id}/move/", moved)

    response = people.owner.post(url(case), posted)

    assert response.status_code == 409
    (change,) = response.context["case"].swap.refusal.changes
    assert (change.who, change.act, change.whose, change.changes[0].new) == (
        "Noor Haddad",
        "moved",
        "Adam O. 1958",
        "Tue 15 Sep 13:00",
    )
    assert "Noor Haddad" in response.content.decode()
    assert response.context["case"].swap.sides[0].after.starts_at.hour == 13  # shown afresh, to be pressed anew
    assert clocks(case, other) == ["09:00", "13:00"]


def test_swap_without_the_other_case_is_422(case: Appointment, people: People) -> None:
    response = people.owner.post(url(case), {"version": 1})

    assert response.status_code == 422
    assert {error.label for error in response.context["case"].swap.errors} == {"other", "other_version"}


# --- the API -------------------------------------------------------------------------------------------------------


def send(client: Client, case: Appointment, body: dict[str, Any], **headers: str) -> Any:
    path = f"/api/v1/appointments/{case.public_id}/swap/"
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def test_api_swaps_both_under_their_versions(case: Appointment, other: Appointment, people: People) -> None:
    body = {"other": str(other.public_id), "other_version": 1}

    bare = send(people.owner, case, body)
    stale = send(people.owner, case, {**body, "other_version": 5}, **{"If-Match": '"1"'})
    hidden = send(people.owner, case, {**body, "other": str(uuid.uuid4())}, **{"If-Match": '"1"'})
    done = send(people.owner, case, body, **{"If-Match": '"1"', "Idempotency-Key": "swap-key-1"})
    again = send(people.owner, case, body, **{"If-Match": '"1"', "Idempotency-Key": "swap-key-1"})

    assert (bare.status_code, stale.status_code, stale.json()["code"], hidden.status_code) == (428, 409, "stale", 400)
    assert done.status_code == 200, done.content
    assert (done.json()["case"]["local_time"], done.json()["other"]["local_time"], done["ETag"]) == (
        "11:00:00",
        "09:00:00",
        '"2"',
    )
    assert again.content == done.content
    assert clocks(case, other) == ["11:00", "09:00"]


def test_api_lets_only_those_swap_who_may_move(case: Appointment, other: Appointment, people: People) -> None:
    body = {"other": str(other.public_id), "other_version": 1}

    assert [send(who, case, body, **{"If-Match": '"1"'}).status_code for who in (people.colleague, people.stranger)] == [403, 404]
