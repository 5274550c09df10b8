"""Planned messages on their way: at their hours, late, overtaken, merged; and the calls that the desk has to make."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from scheduling import messages
from scheduling.channels import Rejected
from scheduling.models import Appointment, DeskTask, Message
from tests.database.scheduling.sending.outbox import VISIT, Recorder, again, case, swept, told
from tests.factories import NOW, local


def test_planned_messages_leave_at_their_hours_and_once(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    subjects = []
    for moment in ("2026-09-23 10:00", "2026-09-25 16:00", "2026-09-29 16:00", "2026-09-30 8:00"):
        day, hour = moment.split()
        set_clock(local(date.fromisoformat(day), hour) - timedelta(minutes=1))
        assert swept(gateway) == {}
        set_clock(local(date.fromisoformat(day), hour) + timedelta(seconds=1))
        assert swept(gateway) == {"sent": 1}
        assert swept(gateway) == {}
        subjects.append(gateway.letters[-1].subject)

    assert subjects == [
        "How to get ready for your visit on Wednesday 30 September",
        "Please answer: your visit on Wednesday 30 September",
        "We expect you on Wednesday 30 September",
        "Your visit today at 9:45 a.m.",
    ]


@pytest.mark.parametrize(("late", "state"), [(timedelta(hours=23), "sent"), (timedelta(hours=25), "skipped")])
def test_planned_message_is_sent_late_while_it_is_still_useful(set_clock: Any, late: timedelta, state: str) -> None:
    appointment = case()
    told(appointment)
    set_clock(local(date(2026, 9, 23), "10:00") + late)

    swept()

    assert again(appointment, "preparation").state == state


def test_worker_away_into_the_night_sends_nothing_at_three_in_the_morning(set_clock: Any) -> None:
    appointment = case()
    told(appointment)
    set_clock(local(date(2026, 9, 30), "3:00"))

    assert swept()["put_off"] == 1
    reminder = again(appointment, "reminder-1")
    assert (reminder.state, reminder.reason, reminder.due_at) == ("due", "quiet_hours", local(VISIT, "8:00"))
    assert reminder.planned_at == local(date(2026, 9, 29), "16:00")


def test_reminder_of_the_next_day_takes_the_place_of_one_that_is_late(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    Message.objects.filter(step="reminder-3").update(
        planned_at=local(date(2026, 9, 29), "9:00"), due_at=local(date(2026, 9, 29), "9:00")
    )
    set_clock(local(date(2026, 9, 29), "16:30"))

    swept(gateway)

    assert again(appointment, "reminder-3").reason == "overtaken"
    assert [letter.subject for letter in gateway.letters if "expect" in letter.subject] == [
        "We expect you on Wednesday 30 September"
    ]


def test_late_reminder_asks_whoever_has_not_answered(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    told(appointment)
    set_clock(local(date(2026, 9, 29), "16:01"))

    swept(gateway)

    assert "https://" in gateway.letters[-1].text or "http://" in gateway.letters[-1].text
    assert "Please tell us that you will come" in gateway.letters[-1].text


def test_confirmation_that_merges_the_reminder_asks_and_one_that_does_not_offers(set_clock: Any) -> None:
    case()
    set_clock(local(date(2026, 9, 28), "9:00"))
    near = case(at=local(date(2026, 9, 28), "9:00"))
    gateway = Recorder()
    set_clock(local(date(2026, 9, 28), "9:01"))

    swept(gateway)

    assert again(near, "reminder-3").reason == "merged"
    texts = {letter.message_id: letter.text for letter in gateway.letters}
    merged = next(text for text in texts.values() if "Please tell us that you will come, or that you cannot:" in text)
    offered = next(text for text in texts.values() if "To say that you will come, to cancel or to ask for another time:" in text)
    assert "Your visit is booked." in merged
    assert "Your visit is booked." in offered


def calls(appointment: Appointment) -> list[tuple[str, str, bool]]:
    rows = DeskTask.objects.filter(appointment=appointment).order_by("pk")
    return [(row.kind, row.reason, row.done_at is None) for row in rows]


def test_patient_without_address_becomes_a_call_at_once_and_one_only(set_clock: Any) -> None:
    appointment = case(email="")
    set_clock(local(date(2026, 9, 23), "10:01"))

    assert swept() == {"skipped": 1}
    assert again(appointment, "preparation").reason == "no_email"
    assert calls(appointment) == [("no_email", "no_email", True)]


def test_refused_address_becomes_a_call_and_a_later_mail_that_arrives_takes_it_back(set_clock: Any) -> None:
    appointment = case()
    swept(Recorder(Rejected("address_refused_550")))
    assert calls(appointment) == [("mail_failed", "address_refused_550", True)]

    Patient.objects.update(email="new@example.org")
    staff = Actor.system("desk", "scheduling.view_messages")
    failed = Message.objects.get(appointment=appointment, step="")
    messages.send_again(message=failed, by=staff, at=NOW)
    assert swept() == {"sent": 1}
    assert calls(appointment) == [("mail_failed", "address_refused_550", False)]


def test_kept_text_names_no_link(set_clock: Any) -> None:
    appointment, gateway = case(), Recorder()
    swept(gateway)

    kept = Message.objects.get(appointment=appointment, step="").text
    assert "/l/***/" in kept
    assert "/l/***/" not in gateway.letters[0].text
