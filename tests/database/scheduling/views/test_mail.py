"""The desk's and the manager's pages about messages: what they show, to whom, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import Heartbeat
from scheduling import cadence, desk_tasks, messages, wording
from scheduling.letters import PASSAGES
from scheduling.models import Appointment, CadenceStep, DeskTask, Dispatch, Link, Message, MessageKind, TaskKind, Wording
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import NOW, SmallClinic

SYSTEM = Actor.system("tests", "scheduling.manage_messages")


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    cadence.load_defaults(by=SYSTEM, at=NOW)
    return signed_in("manager", clinic.site)


@pytest.fixture
def told(clinic: SmallClinic) -> Appointment:
    """Return tomorrow's case, its confirmation sent and its reminder due."""
    made = factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure)
    values = {"appointment": made, "patient": made.patient, "version": 1, "created_at": NOW, "due_at": NOW}
    Message.objects.create(
        **values, kind="confirmation", state="sent", done_at=NOW, subject="Your visit", text="Dear <b>Vera</b>", attempts=2
    )
    Message.objects.create(**values, kind="reminder", step="reminder-1", planned_at=NOW + timedelta(hours=9))
    return made


def task(clinic: SmallClinic, case: Appointment | None = None, **values: Any) -> DeskTask:
    return desk_tasks.open_task(kind="no_email", patient=clinic.patient, appointment=case, by=SYSTEM, at=NOW, **values)


# --- one message -----------------------------------------------------------------------------------------------------


def test_message_shows_the_text_as_sent_and_says_that_it_may_have_come_twice(told: Appointment, people: People) -> None:
    sent = Message.objects.get(kind="confirmation")
    page = people.owner.get(f"/messages/{sent.public_id}/")

    assert b"Dear &lt;b&gt;Vera&lt;/b&gt;" in page.content
    assert b"two copies with the same Message-ID" in page.content


def test_message_of_another_site_is_not_there(told: Appointment, people: People) -> None:
    sent = Message.objects.get(kind="confirmation")

    assert people.stranger.get(f"/messages/{sent.public_id}/").status_code == 404
    assert people.colleague.get(f"/messages/{sent.public_id}/").status_code == 403


def test_message_that_waits_shows_how_it_would_read_now_and_makes_no_link(told: Appointment, people: People) -> None:
    waiting = Message.objects.get(kind="reminder")
    Wording.objects.create(key="greeting", language="en", version=1, text="Good day, {first_name}.", made_at=NOW)
    mail = people.owner.get(f"/messages/{waiting.public_id}/").context["mail"]

    assert mail.is_draft
    assert mail.subject == "We expect you on Tuesday 15 September"
    assert mail.text.startswith("Good day, Vera.\n\nWe expect you on Tuesday 15 September 2026 at 8:45 a.m.")
    assert "/l/***/" in mail.text
    assert (Link.objects.count(), Message.objects.get(pk=waiting.pk).text) == (0, "")


def test_message_about_a_move_says_first_what_it_was(told: Appointment, people: People) -> None:
    Appointment.objects.filter(pk=told.pk).update(
        calendar_sequence=1, version=2, arrives_at=told.arrives_at - timedelta(minutes=15)
    )
    change = Message.objects.create(
        appointment=told, patient=told.patient, version=2, calendar_sequence=1, kind="change", created_at=NOW, due_at=NOW
    )
    mail = people.owner.get(f"/messages/{change.public_id}/").context["mail"]

    before, _, after = mail.text.partition("Day: ")
    assert "It was: Tuesday 15 September 2026 at 8:45 a.m." in before
    assert "Please arrive at: 8:30 a.m. (EDT)" in after


def test_case_says_what_follows_once_the_visit_is_over(told: Appointment, manager: Client, people: People) -> None:
    shown = people.owner.get(f"/appointments/{told.public_id}/").context["case"]

    assert "Follow-up score" in {each.label for each in shown.messages_after}
    Appointment.objects.filter(pk=told.pk).update(
        status="cancelled", cancel_reason="patient_ill", asked_by="patient", cancelled_at=NOW
    )
    assert people.owner.get(f"/appointments/{told.public_id}/").context["case"].messages_after == ()


def test_case_shows_what_is_planned_and_what_was_sent(told: Appointment, people: People) -> None:
    case = people.owner.get(f"/appointments/{told.public_id}/").context["case"]

    assert {(line.kind, line.state) for line in case.messages} == {("Confirmation", "sent"), ("Reminder", "due")}
    assert all(line.url.startswith("/messages/") for line in case.messages)


def test_case_shows_its_messages_to_who_may_read_them_and_says_nothing_of_them_to_others(
    told: Appointment, clinic: SmallClinic, people: People, signed_in: Callable[..., Client]
) -> None:
    page = f"/appointments/{told.public_id}/"
    physician = signed_in("physician", clinic.site).get(page)

    shown = {(line.kind, line.resend_url) for line in physician.context["case"].messages}
    assert shown == {("Confirmation", ""), ("Reminder", "")}
    assert b"No message yet" not in physician.content
    assert b"<h2>Messages</h2>" not in people.colleague.get(page).content


@pytest.mark.parametrize(
    ("query", "kinds"), [("state=due", ["Reminder"]), ("kind=confirmation", ["Confirmation"]), ("state=answered", [])]
)
def test_messages_are_narrowed_by_state_and_kind(told: Appointment, people: People, query: str, kinds: list[str]) -> None:
    assert [line.kind for line in people.owner.get(f"/messages/?{query}").context["page"].messages] == kinds


# --- to do -----------------------------------------------------------------------------------------------------------


def test_task_is_taken_and_closed_with_what_came_of_it(told: Appointment, clinic: SmallClinic, people: People) -> None:
    row = task(clinic, told)
    [shown] = people.owner.get("/tasks/").context["page"].rows
    assert (shown.patient, shown.owner, shown.is_mine) == ("Vera Marlow", "", False)

    assert people.owner.post(f"/tasks/{row.public_id}/take/").status_code == 303
    assert people.owner.get("/tasks/").context["page"].rows[0].is_mine
    assert people.owner.post(f"/tasks/{row.public_id}/close/", {"outcome": "reached", "note": "comes"}).status_code == 303

    assert people.owner.get("/tasks/").context["page"].rows == ()
    [done] = people.owner.get("/tasks/?kind=done").context["page"].rows
    assert (done.outcome, done.note) == ("Spoke with the patient", "comes")


def test_closed_task_is_not_closed_again(told: Appointment, clinic: SmallClinic, people: People) -> None:
    row = task(clinic, told)
    people.owner.post(f"/tasks/{row.public_id}/close/", {"outcome": "reached"})

    assert people.owner.post(f"/tasks/{row.public_id}/close/", {"outcome": "left_word"}).status_code == 409
    assert people.owner.post(f"/tasks/{row.public_id}/close/", {"outcome": "?"}).status_code == 422


def test_calls_and_what_cases_wait_for_are_two_lists(told: Appointment, clinic: SmallClinic, people: People) -> None:
    task(clinic, told)
    desk_tasks.open_task(
        kind=TaskKind.CONSENT, patient=told.patient, appointment=told, by=Actor.system("test"), at=NOW, reason="consent"
    )

    calls = people.owner.get("/tasks/").context["page"]
    cases = people.owner.get("/tasks/?kind=cases").context["page"]

    assert [shown.title for shown in calls.rows] == ["Tell the patient by telephone"]
    assert [shown.title for shown in cases.rows] == ["Consent"]
    assert [(tab.label, tab.is_current) for tab in cases.tabs][:3] == [
        ("By telephone", False),
        ("Before the visit", True),
        ("Done", False),
    ]
    assert len(people.owner.get("/tasks/?kind=consent").context["page"].rows) == 1


def test_tasks_of_another_site_are_nobodys_business(
    told: Appointment, clinic: SmallClinic, people: People, signed_in: Callable[..., Client]
) -> None:
    row = task(clinic, told)

    assert people.stranger.get("/tasks/").context["page"].rows == ()
    assert people.stranger.post(f"/tasks/{row.public_id}/take/").status_code == 404
    assert signed_in("auditor", clinic.site).get("/tasks/").status_code == 403


def test_tasks_cost_the_same_for_one_and_for_three(told: Appointment, clinic: SmallClinic, people: People) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            people.owner.get("/tasks/")
        return len(found)

    task(clinic, told)
    count()  # the first request of a session reads more
    one = count()
    for _ in range(2):
        other = factories.patient(home=clinic.site)
        desk_tasks.open_task(kind="no_email", patient=other, by=SYSTEM, at=NOW)
    assert count() == one


def test_unconfirmed_lists_tomorrow_with_what_was_told(told: Appointment, people: People) -> None:
    [row] = people.owner.get("/unconfirmed/").context["page"].rows
    assert (row.patient, row.told) == ("Vera Marlow", "Confirmation Mon 14 Sep")

    Appointment.objects.update(status="confirmed")
    assert people.owner.get("/unconfirmed/").context["page"].rows == ()
    assert people.stranger.get("/unconfirmed/").context["page"].rows == ()
    assert people.owner.get("/unconfirmed/?site=nowhere").status_code == 404


def test_unconfirmed_begins_with_the_next_day_on_which_somebody_is_booked(told: Appointment, people: People) -> None:
    later = timedelta(days=3)
    instants = ("arrives_at", "starts_at", "ends_at", "leaves_at", "local_date")
    Appointment.objects.filter(pk=told.pk).update(**{name: getattr(told, name) + later for name in instants})
    page = people.owner.get("/unconfirmed/").context["page"]
    assert (page.day, len(page.rows)) == ("Friday 18 September", 1)
    assert people.owner.get("/unconfirmed/?day=2026-09-15").context["page"].empty == "Nobody is booked for this day."
    Appointment.objects.update(status="confirmed")
    assert people.owner.get("/unconfirmed/").context["page"].empty == "Everybody who is booked for this day has confirmed."


def test_call_says_why_no_mail_tells_the_patient(told: Appointment, clinic: SmallClinic, people: People) -> None:
    task(clinic, told, reason="opted_out")
    [row] = people.owner.get("/tasks/").context["page"].rows
    assert (row.title, row.why) == ("Tell the patient by telephone", "The patient wants no e-mail")


# --- home ------------------------------------------------------------------------------------------------------------


def test_home_says_that_sending_is_stopped(people: People) -> None:
    assert people.owner.get("/").context["home"].alerts == ()
    messages.stop(reason="wrong telephone", by=SYSTEM, at=NOW)

    [alert] = people.owner.get("/").context["home"].alerts
    assert "wrong telephone" in alert


@pytest.mark.parametrize(("age", "is_told"), [(timedelta(seconds=40), False), (timedelta(seconds=50), True)])
def test_home_says_within_two_sweeps_that_the_clock_or_the_worker_is_gone(people: People, age: timedelta, is_told: bool) -> None:
    Heartbeat.objects.create(name="beat", at=NOW - age)
    Heartbeat.objects.create(name="sweep", at=NOW)

    assert bool(people.owner.get("/").context["home"].alerts) is is_told


# --- set-up ----------------------------------------------------------------------------------------------------------


def test_manager_changes_when_a_message_leaves(manager: Client) -> None:
    row = CadenceStep.objects.get(code="reminder-3")
    assert b"3 days before" in manager.get("/settings/messages/").content
    data = {"version": 1, "days": 4, "months": 0, "at_time": "15:30", "weekend": "later", "asks_to_confirm": "on", "is_on": "on"}

    assert manager.post(f"/settings/messages/{row.public_id}/", data).status_code == 303

    row.refresh_from_db()
    assert (row.offset_days, f"{row.at_time:%H:%M}", row.weekend, row.version) == (-4, "15:30", "later", 2)
    assert Dispatch.objects.get().plan_wanted_at is not None
    assert manager.post(f"/settings/messages/{row.public_id}/", data).status_code == 409


def test_manager_makes_and_removes_an_exception(manager: Client) -> None:
    row = CadenceStep.objects.get(code="preparation")
    data = {"days": 10, "months": 0, "at_time": "10:00", "weekend": "as_is", "is_on": "on", "family": "esi"}

    assert manager.post(f"/settings/messages/{row.public_id}/exception/", {**data, "family": ""}).status_code == 422
    assert manager.post(f"/settings/messages/{row.public_id}/exception/", data).status_code == 303
    made = CadenceStep.objects.get(code="preparation", family="esi")
    assert "all epidural steroid injections" in manager.get("/settings/messages/").content.decode()
    assert manager.post(f"/settings/messages/{row.public_id}/exception/", data).status_code == 409
    assert manager.post(f"/settings/messages/{made.public_id}/remove/").status_code == 303
    assert manager.post(f"/settings/messages/{row.public_id}/remove/").status_code == 422


def test_manager_stops_and_resumes_sending(manager: Client) -> None:
    manager.post("/settings/messages/switch/", {"act": "stop", "reason": "wrong address"})
    assert messages.state().is_stopped
    assert b"wrong address" in manager.get("/settings/messages/").content

    manager.post("/settings/messages/switch/", {"act": "resume"})
    assert not messages.state().is_stopped


@pytest.mark.parametrize("address", ["/settings/messages/", "/settings/wording/en/", "/settings/wording/en/greeting/"])
def test_desk_may_not_set_messages_up(people: People, address: str) -> None:
    assert people.owner.get(address).status_code == 403


# --- wording ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PASSAGES))
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_passage_stands_in_the_example_mail_that_shows_it(name: str, language: str) -> None:
    mark = "Qqq " + " ".join(f"{{{need}}}" for need in sorted(PASSAGES[name].needs))
    letter = wording.preview(key=name, language=language, text=mark, at=NOW)

    assert "Qqq" in letter.subject + letter.text + letter.html


@pytest.mark.parametrize("days", range(7))
def test_the_visit_of_an_example_mail_is_never_at_a_weekend(days: int) -> None:
    case = wording._example("greeting", NOW + timedelta(days=days))
    assert case.arrives_at.isoweekday() <= 5
    assert case.arrives_at >= NOW + timedelta(days=days)


def test_own_words_are_saved_shown_and_taken_back(manager: Client) -> None:
    address = "/settings/wording/en/greeting/"
    assert manager.post(address, {"text": "Good day {first_name}!", "version": 0}).status_code == 303
    assert b"own words" in manager.get("/settings/wording/en/").content
    assert b"Good day Alex!" in manager.get(address).content
    assert manager.post(address, {"text": "Hi {first_name}", "version": 0}).status_code == 409

    assert manager.post(address, {"act": "reset", "version": 1}).status_code == 303
    assert b"Dear Alex," in manager.get(address).content
    assert [row.text for row in Wording.objects.order_by("version")] == ["Good day {first_name}!", ""]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Dear friend,", "placeholder_lost"),
        ("Dear {first_name} {surname},", "placeholder_unknown"),
        ("  \u200b ", "wording_empty"),
        ("{first_name}" + "x" * 600, "wording_too_long"),
    ],
)
def test_words_that_lose_what_they_must_name_are_refused(manager: Client, text: str, code: str) -> None:
    with pytest.raises(wording.WordingRefused) as refusal:
        wording.check("greeting", wording.cleaned(text))
    assert refusal.value.code == code

    page = manager.post("/settings/wording/en/greeting/", {"text": text, "version": 0})
    assert page.status_code == 422
    assert Wording.objects.count() == 0


def test_preview_shows_the_words_as_they_are_typed_and_what_is_lost(manager: Client) -> None:
    page = manager.post("/settings/wording/en/greeting/preview/", {"text": "Ahoy,"}, headers={"HX-Request": "true"})

    assert b"Ahoy," in page.content
    assert b"This is missing: {first_name}" in page.content
    assert b"<html" not in page.content


def test_preview_as_a_mail_is_shut_in_a_sandbox_and_keeps_nothing(manager: Client) -> None:
    typed = manager.post("/settings/wording/en/greeting/preview/", {"text": "Ahoy <b>{first_name}</b>,", "as": "html"})

    assert b"Ahoy &lt;b&gt;Alex&lt;/b&gt;," in typed.content
    assert typed.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    assert Wording.objects.count() == 0


def test_every_kind_of_mail_can_be_seen_whole_in_both_languages(manager: Client) -> None:
    for language, day in (("en", "Telephone"), ("es", "Teléfono")):
        listed = re.findall(
            r'href="(/settings/wording/[^"]+\?as=html)"', manager.get(f"/settings/wording/{language}/").content.decode()
        )
        assert len(listed) == len(MessageKind.choices)
        for address in listed:
            mail = manager.get(address)
            assert mail.status_code == 200
            assert day in mail.content.decode()


@pytest.mark.parametrize("address", ["/settings/wording/xx/", "/settings/wording/en/nothing/"])
def test_unknown_language_or_passage_is_not_there(manager: Client, address: str) -> None:
    assert manager.get(address).status_code == 404
