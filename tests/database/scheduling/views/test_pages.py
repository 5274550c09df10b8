"""Home, board and lists: what they show, to whom, in how many statements."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from scheduling import messages
from scheduling.models import Appointment, Message, MessageState
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import SmallClinic

TOMORROW = "2026-09-15"
VIEWS = ["view=day&by=physician", "view=day&by=room", "view=day&by=device", "view=week&by=physician", "view=list"]
PAGES = ["/", "/board/", "/messages/", "/findings/"]


def board(who: Any, query: str = "", **headers: str) -> Any:
    return who.get(f"/board/?day={TOMORROW}&{query}", headers=headers)


@pytest.mark.parametrize("page", PAGES)
def test_pages_open_for_the_desk_and_not_for_nobody(client: Any, people: People, page: str) -> None:
    assert people.owner.get(page).status_code == 200
    assert client.get(page).status_code == 302


def test_home_shows_who_comes_next(people: People, clinic: SmallClinic) -> None:
    factories.appointment(
        of=clinic.patient,
        at_site=clinic.site,
        for_procedure=clinic.procedure,
        starts_at=factories.local(factories.TODAY, "10:00"),
        resources=[clinic.physician],
    )

    home = people.owner.get("/").context["home"]

    assert [(line.patient, line.where) for line in home.next_cases] == [("Vera M. 1958", clinic.physician.short_name)]
    assert [count.number for count in home.counts] == [1, 0, 0, 0, 0, 0]


def test_home_of_a_stranger_shows_none_of_it(case: Appointment, people: People) -> None:
    home = people.stranger.get("/").context["home"]

    assert (home.next_cases, [count.number for count in home.counts]) == ((), [0, 0, 0, 0, 0, 0])


def test_day_draws_bars_in_steps_of_five_minutes(case: Appointment, people: People, clinic: SmallClinic) -> None:
    shown = board(people.owner).context["board"]

    column = shown.columns[0]
    bar = column.bars[0]
    assert (shown.first_slot, shown.slot_count) == (96, 108)
    assert (column.name, bar.slot, bar.span, bar.patient, bar.room) == (
        clinic.physician.name,
        12,
        6,
        "Vera M. 1958",
        clinic.room.short_name,
    )
    assert [(leg.kind, leg.slot, leg.span, leg.is_held) for leg in bar.legs] == [
        ("prep", 9, 3, False),
        ("procedure", 12, 6, True),
        ("recovery", 18, 6, False),
    ]
    assert column.load == round(30 / 540 * 100)
    assert shown.count == 1


def test_room_column_draws_its_turnover(case: Appointment, people: People) -> None:
    bar = board(people.owner, "by=room").context["board"].columns[0].bars[0]

    assert [(leg.kind, leg.slot, leg.span) for leg in bar.legs if leg.is_held] == [("procedure", 12, 6), ("turnover", 18, 2)]


def test_clock_change_days_keep_their_steps(people: People) -> None:
    long, short = (people.owner.get(f"/board/?day={day}").context["board"] for day in ("2026-11-01", "2027-03-14"))

    assert (long.first_slot, short.first_slot) == (96, 72)  # 7:00 is eight hours after midnight there, six here
    assert (long.hours[0].label, short.hours[0].label) == ("7:00", "7:00")


def test_board_of_another_site_is_not_there(people: People, clinic: SmallClinic) -> None:
    assert people.stranger.get(f"/board/?site={clinic.site.slug}").status_code == 404
    assert people.colleague.get(f"/board/?site={clinic.site.slug}").status_code == 200


def test_case_of_another_site_does_not_open_on_the_board(case: Appointment, people: People) -> None:
    assert board(people.stranger, f"case={case.public_id}").status_code == 404
    assert board(people.owner, f"case={case.public_id}").context["board"].selected.public_id == case.public_id


def test_poll_without_news_is_304_and_with_news_200(case: Appointment, people: People) -> None:
    first = board(people.owner)
    again = board(people.owner, **{"If-None-Match": first["ETag"], "X-Clinic-Poll": "1", "HX-Request": "true"})
    people.owner.post(f"/appointments/{case.public_id}/confirm/", {"version": 1, "request_key": uuid.uuid4().hex})
    news = board(people.owner, **{"If-None-Match": first["ETag"], "X-Clinic-Poll": "1", "HX-Request": "true"})

    assert (again.status_code, news.status_code) == (304, 200)
    assert again["X-Clinic-Loaded"]


@pytest.mark.parametrize("view", VIEWS)
def test_board_asks_as_many_statements_for_three_cases_as_for_one(
    people: People, clinic: SmallClinic, book: Callable[..., Appointment], view: str
) -> None:
    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as captured:
            board(people.owner, view)
            return len(captured), sum("scheduling_" in query["sql"] for query in captured.captured_queries)

    book()
    asked()
    one = asked()
    for clock in ("11:00", "13:00"):
        book(clock, patient=factories.patient(home=clinic.site))

    assert one == asked()
    assert 4 < one[1] <= 8


HOSTILE = """<img src=x onerror="alert('1')">&{}%s"""


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_names_stay_text_on_the_board(
    people: People, clinic: SmallClinic, book: Callable[..., Appointment], view: str
) -> None:
    patient = factories.patient(home=clinic.site, first_name=HOSTILE, last_name=HOSTILE)
    book("11:00", patient=patient)
    type(clinic.procedure).objects.update(short_name=HOSTILE[:32])
    for number, resource in enumerate(clinic.site.resources.all()):
        type(resource).objects.filter(pk=resource.pk).update(name=f"{HOSTILE} {number}", short_name=f"{HOSTILE[:20]} {number}")

    shown = board(people.owner, view).content.decode()

    assert "<img" not in shown
    assert f"{escape(HOSTILE)} &lt;. 1958" in shown
    assert escape(HOSTILE[:32]) in shown


def test_names_with_braces_break_no_form(people: People, clinic: SmallClinic, book: Callable[..., Appointment]) -> None:
    book("11:00", patient=factories.patient(home=clinic.site, first_name="{0} {x} {}"))

    assert "11:00 {0} {x} {} M. 1958" in board(people.owner).content.decode()


def test_patient_parts(case: Appointment, people: People, clinic: SmallClinic) -> None:
    addresses = [f"/patients/{clinic.patient.public_id}/{part}/" for part in ("upcoming", "messages")]

    assert [people.owner.get(address).status_code for address in addresses] == [200, 200]
    assert [people.colleague.get(address).status_code for address in addresses] == [200, 403]
    assert [people.stranger.get(address).status_code for address in addresses] == [404, 404]
    assert [line.public_id for line in people.owner.get(addresses[0]).context["panel"].upcoming] == [case.public_id]


@pytest.fixture
def written_to(clinic: SmallClinic, book: Callable[..., Appointment]) -> Appointment:
    """Return a case whose patient can be written to."""
    clinic.patient.email = "vera@example.org"
    clinic.patient.save(update_fields=["email"])
    return book()


def test_messages_are_those_of_ones_own_sites_and_hide_addresses(written_to: Appointment, people: People) -> None:
    shown = people.owner.get("/messages/").context["page"].messages

    assert [(line.kind, line.to, line.state) for line in shown] == [("Confirmation", "v***@example.org", "due")]
    assert people.stranger.get("/messages/").context["page"].messages == ()


def test_failed_message_goes_again_and_a_waiting_one_not(written_to: Appointment, people: People) -> None:
    message = Message.objects.get()
    waiting = people.owner.post(f"/messages/{message.public_id}/resend/")
    Message.objects.update(state=MessageState.FAILED, reason="address_refused")
    failed = people.owner.get("/messages/?state=failed").context["page"].messages
    again = people.owner.post(f"/messages/{message.public_id}/resend/")

    message.refresh_from_db()
    assert waiting.status_code == 409
    assert failed[0].why == messages.REASONS["address_refused"]
    assert (again.status_code, message.state) == (303, MessageState.DUE)
    assert people.stranger.post(f"/messages/{message.public_id}/resend/").status_code == 404


def test_findings_list_refusals(case: Appointment, people: People) -> None:
    people.owner.post(f"/appointments/{case.public_id}/confirm/", {"version": 9, "request_key": uuid.uuid4().hex})

    rows = people.owner.get("/findings/").context["page"].rows

    assert [(row.code, row.outcome, row.patient) for row in rows] == [("stale", "refused", "Vera M. 1958")]
    assert people.stranger.get("/findings/").context["page"].rows == ()
    assert people.owner.get("/findings/?from=2026-09-20&to=2026-09-01").status_code == 422


def test_a_refusal_about_a_case_that_one_may_not_see_is_listed_without_its_patient(people: People, desk: User) -> None:
    there = factories.small_clinic()
    hidden = factories.appointment(of=there.patient, at_site=there.site, for_procedure=there.procedure)
    trail.record(
        by=Actor.of_user(desk), act="scheduling.confirm", outcome="refused", subject=hidden, reason_code="not_allowed"
    )  # fmt: skip

    page = people.owner.get("/findings/")

    assert [(row.code, row.outcome) for row in page.context["page"].rows] == [("not_allowed", "refused")]
    assert [(row.case_url, row.patient_url, row.patient, row.procedure) for row in page.context["page"].rows] == [("",) * 4]
    assert there.patient.last_name not in page.content.decode()
