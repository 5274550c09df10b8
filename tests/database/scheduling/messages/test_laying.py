"""Messages are laid down with the case: once for each date, withdrawn and followed by what holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduling import messages
from tests.database.scheduling.messages.office import (
    CANCELLATION,
    CHANGE,
    CONFIRMATION,
    Recorder,
    again,
    cancelled,
    case,
    changed,
    laid,
    swept,
)
from tests.factories import NOW


def test_lay_down_writes_one_row_however_often_it_is_called(db: None, set_clock: Any) -> None:
    appointment = case()

    first, second = laid(appointment), laid(appointment)

    assert first == second
    assert (first.state, first.version, first.patient, first.due_at) == ("due", 1, appointment.patient, NOW)


def test_change_before_the_confirmation_left_becomes_the_confirmation(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)

    new = laid(changed(appointment), CHANGE)

    assert (new.kind, new.version, new.calendar_sequence) == (CONFIRMATION, 2, 1)
    assert (again(old).state, again(old).reason) == ("withdrawn", "superseded")


@pytest.mark.parametrize("how", ["sent", "in flight"])
def test_change_after_the_confirmation_left_is_a_change(db: None, set_clock: Any, how: str) -> None:
    appointment = case()
    old = laid(appointment)
    if how == "sent":
        swept(Recorder())
    else:
        messages.claim_due()

    new = laid(changed(appointment), CHANGE)

    assert new.kind == CHANGE
    assert again(old).state == ("sent" if how == "sent" else "withdrawn")


def test_reinstated_case_gets_a_confirmation_on_its_next_change(db: None, set_clock: Any) -> None:
    appointment = case()
    laid(appointment)
    swept(Recorder())
    laid(cancelled(appointment), CANCELLATION)
    swept(Recorder())

    assert laid(changed(appointment, status="booked"), CHANGE).kind == CONFIRMATION


def test_cancelling_withdraws_what_has_not_left(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)

    laid(cancelled(appointment), CANCELLATION)
    gateway = Recorder()
    tally = swept(gateway)

    assert (again(old).state, again(old).reason) == ("withdrawn", "cancelled")
    assert (tally, [letter.calendar_method for letter in gateway.letters]) == ({"sent": 1}, ["CANCEL"])


def test_web_server_with_a_clock_ahead_makes_no_mail_late(db: None, set_clock: Any) -> None:
    message = laid(case(), at=NOW + timedelta(hours=2))

    assert abs(message.due_at - NOW) < timedelta(minutes=1)
    assert len(messages.claim_due()) == 1
