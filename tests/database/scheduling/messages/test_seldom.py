"""Messages where something seldom happens: a lease lost in the middle, a date told by no mail, a switch pressed twice."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import letters, messages
from scheduling.channels import PutOff
from scheduling.letters import Letter
from scheduling.messages import restoring, sending, switch
from scheduling.models import Appointment, Dispatch, Message, MessageState
from tests.database.scheduling.messages.office import (
    CANCELLATION,
    CHANGE,
    CONFIRMATION,
    Recorder,
    again,
    case,
    changed,
    laid,
    make_due,
    swept,
)
from tests.factories import NOW

MANAGER = Actor.system("manager", "scheduling.manage_messages")
pytestmark = pytest.mark.usefixtures("db", "set_clock")


def take_away(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(state=MessageState.WITHDRAWN, reason="superseded", done_at=NOW)


# --- what is told of an earlier date -----------------------------------------------------------------------------------


def told(appointment: Appointment) -> letters.Known:
    """Return what the writer of the case's change is told."""
    make_due(Message.objects.get(appointment=appointment, kind=CHANGE))
    (claim,) = messages.claim_due()
    seen = sending.looking.look_again(claim.message_id, claim.token)
    assert seen is not None
    return sending.looking.known(seen, {})


def sent_once() -> Appointment:
    appointment = case()
    laid(appointment)
    assert swept(Recorder()) == {"sent": 1}
    return appointment


def test_a_change_names_the_time_that_the_last_mail_told() -> None:
    appointment = sent_once()
    before = appointment.arrives_at
    moved = {
        name: getattr(appointment, name) + timedelta(hours=1) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")
    }
    laid(changed(appointment, **moved), CHANGE)
    assert told(appointment).old_arrives_at == before


def test_a_change_of_anything_else_names_no_other_time() -> None:
    appointment = sent_once()
    laid(changed(appointment, note="Needs the wide chair"), CHANGE)
    assert told(appointment).old_arrives_at is None


def test_a_change_whose_confirmation_never_arrived_names_no_other_time() -> None:
    appointment = sent_once()
    laid(changed(appointment), CHANGE)
    Message.objects.filter(appointment=appointment, kind=CONFIRMATION).update(state=MessageState.FAILED)
    assert told(appointment).old_arrives_at is None


# --- what is not sent any more -----------------------------------------------------------------------------------------


def test_nothing_is_sent_about_a_case_that_was_imported_as_history() -> None:
    message = laid(case())
    Appointment.objects.filter(pk=message.appointment_id).update(is_history=True)
    assert swept(Recorder()) == {"skipped": 1}
    assert again(message).reason == "history"


def test_a_planned_message_of_an_older_date_gives_way() -> None:
    appointment = case()
    planned = Message.objects.create(
        appointment=appointment, patient=appointment.patient, kind="reminder", step="reminder-1", version=1,
        planned_at=NOW - timedelta(minutes=5), due_at=NOW - timedelta(minutes=5), created_at=NOW,
    )  # fmt: skip
    Appointment.objects.filter(pk=appointment.pk).update(calendar_sequence=1)
    assert swept(Recorder()) == {"skipped": 1}
    assert again(planned).reason == "superseded"


def test_laying_down_again_keeps_the_row_and_cancelling_withdraws_it() -> None:
    appointment = changed(case())
    first, second = laid(appointment), laid(appointment)
    assert (first.pk, again(first).state) == (second.pk, "due")
    laid(appointment, CANCELLATION)
    assert (again(first).state, again(first).reason) == ("withdrawn", "cancelled")


def test_a_case_that_is_only_booked_withdraws_nothing() -> None:
    appointment = case()
    message = laid(appointment)
    messages.follow(appointment=appointment, at=NOW)
    assert again(message).state == "due"


# --- leases ------------------------------------------------------------------------------------------------------------


def test_a_letter_that_cannot_be_written_any_more_and_was_withdrawn_is_nobodys() -> None:
    message = laid(case())

    def withdrawn(_message: Message, **_given: Any) -> Letter:
        take_away(message)
        raise ZeroDivisionError

    with patch.object(letters, "write", withdrawn), capture_logs():
        assert swept(Recorder()) == {"lost": 1}
    assert (again(message).state, again(message).attempts) == ("withdrawn", 0)


def test_a_message_withdrawn_while_the_server_puts_it_off_stays_withdrawn() -> None:
    message = laid(case())

    def put_off(_letter: Letter) -> None:
        take_away(message)
        raise PutOff("try_later_451")

    assert swept(Recorder(then=put_off)) == {"lost": 1}
    assert again(message).state == "withdrawn"


@pytest.mark.parametrize(("attempts", "outcome"), [(2 * messages.MOST_TRIES - 1, "sent"), (2 * messages.MOST_TRIES, "failed")])
def test_a_message_that_was_begun_too_often_is_given_up(attempts: int, outcome: str) -> None:
    message = laid(case())
    Message.objects.filter(pk=message.pk).update(attempts=attempts)
    assert swept(Recorder()) == {outcome: 1}
    assert again(message).reason == ("gave_up" if outcome == "failed" else "")


# --- the pace ----------------------------------------------------------------------------------------------------------


class Slow(BaseEmailBackend):
    """A mail backend that takes a moment for each letter."""

    def send_messages(self, email_messages: Any) -> int:
        time.sleep(0.3)
        return len(email_messages)


def test_what_lands_while_the_next_waits_for_its_moment_is_recorded(settings: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    settings.MESSAGES_IN_FLIGHT, settings.MESSAGES_PER_SECOND = 2, 2
    for _ in range(3):
        laid(case())
    assert dict(messages.sweep()) == {"sent": 3}
    assert Message.objects.filter(state="sent").count() == 3


def test_nobody_gets_a_moment_while_sending_is_stopped() -> None:
    messages.stop(reason="Wrong address", by=MANAGER, at=NOW)
    assert switch.Pace(10).wait(0) is None
    messages.resume(by=MANAGER, at=NOW)
    assert switch.Pace(10).wait(0) is not None


def test_a_switch_pressed_twice_is_turned_once() -> None:
    for reason in ("Wrong address", "Again"):
        messages.stop(reason=reason, by=MANAGER, at=NOW)
    assert Dispatch.objects.get().reason == "Wrong address"
    assert AuditEvent.objects.filter(act="scheduling.stop_messages").count() == 1


def test_a_restore_with_nothing_due_is_not_recorded() -> None:
    assert restoring.skip_due(until=NOW - timedelta(days=1)) == 0
    assert not AuditEvent.objects.filter(act="scheduling.skip_after_restore").exists()
    laid(case())
    assert restoring.skip_due(until=NOW + timedelta(days=1)) == 1
    assert AuditEvent.objects.filter(act="scheduling.skip_after_restore").count() == 1
