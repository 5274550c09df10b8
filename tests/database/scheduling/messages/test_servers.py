"""What a mail server may do, and what becomes of the message then."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from scheduling import channels, letters, messages
from scheduling.channels import PutOff, Rejected, Unreachable
from scheduling.letters import Letter
from scheduling.models import Message
from tests.database.scheduling.messages.office import Recorder, Server, again, case, free_port, laid, make_due, swept
from tests.factories import NOW, TOMORROW, local

FOR_EVER = 3600.0  # seconds: longer than pytest lets a test run


def test_server_that_asks_for_later_gets_it_with_growing_pauses(db: None, set_clock: Any, server: Server) -> None:
    message = laid(case())
    server.to_rcpt, server.to_data = ["451 greylisted", "250 ok", "421 busy"], ["451 not now"]
    pauses = []
    for _ in range(3):
        before = again(message).due_at
        assert dict(messages.sweep()) == {"put_off": 1}
        pauses.append(round((again(message).due_at - before).total_seconds()))
        set_clock(again(message).due_at + timedelta(milliseconds=1))
        assert again(message).reason.startswith("try_later_4")

    assert dict(messages.sweep()) == {"sent": 1}
    assert [len(server.taken), again(message).attempts] == [1, 4]
    assert [29 <= pauses[0] <= 33, 59 <= pauses[1] <= 63, 119 <= pauses[2] <= 123] == [True] * 3


def test_address_that_does_not_exist_fails_at_once_and_the_next_goes_on(db: None, set_clock: Any, server: Server) -> None:
    first, second = laid(case()), laid(case(email="second@example.org"))
    server.to_rcpt = ["550 no such user"]

    assert dict(messages.sweep()) == {"failed": 1, "sent": 1}
    assert (again(first).state, again(first).reason, again(first).attempts) == ("failed", "address_refused_550", 1)
    assert again(second).state == "sent"
    assert dict(messages.sweep()) == {}
    assert messages.reason_in_words("address_refused_550") == "The e-mail address does not exist or takes no mail (550)"


def test_server_that_keeps_the_mail_and_drops_its_answer_gets_one_copy_with_the_same_id(
    db: None, set_clock: Any, server: Server
) -> None:
    message = laid(case())
    server.to_data = ["kept and cut"]

    assert dict(messages.sweep()) == {"put_off": 1}
    set_clock(again(message).due_at + timedelta(seconds=1))
    assert dict(messages.sweep()) == {"sent": 1}

    assert {str(mail["Message-ID"]) for mail in server.mails} == {f"<{message.public_id}@clinic.example>"}
    assert len(server.mails) == 2


def test_server_that_is_away_costs_no_try_and_stops_the_sweep(db: None, set_clock: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = channels.SMTP_BACKEND, "127.0.0.1", free_port()
    first, second = laid(case()), laid(case())

    assert dict(messages.sweep()) == {"unreachable": 1, "given_back": 1}

    assert (again(first).state, again(first).attempts, again(first).reason) == ("due", 0, "server_unreachable")
    assert [claim.message_id for claim in messages.claim_due()] == [second.pk]


def test_silent_server_is_left_in_time(db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "OPENING", 0.3)
    monkeypatch.setattr(channels, "ONE_TRY", FOR_EVER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            channels.SMTP_BACKEND,
            "127.0.0.1",
            listener.getsockname()[1],
        )
        message = laid(case())

        assert dict(messages.sweep()) == {"unreachable": 1}  # without the bound pytest's own limit ends it

    assert again(message).state == "due"


def test_server_that_falls_silent_in_the_middle_is_left_in_time(
    db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "ONE_TRY", 0.5)
    monkeypatch.setattr(channels, "OPENING", FOR_EVER)

    def greet_and_fall_silent(listener: socket.socket) -> None:
        talk, _ = listener.accept()
        with talk:
            talk.sendall(b"220 hello\r\n")
            talk.recv(100)
            talk.sendall(b"250 hello\r\n")
            while talk.recv(100):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet_and_fall_silent, args=(listener,), daemon=True)
        thread.start()
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            channels.SMTP_BACKEND,
            "127.0.0.1",
            listener.getsockname()[1],
        )
        message = laid(case())
        assert dict(messages.sweep()) == {"put_off": 1}
        thread.join(5)

    assert (again(message).reason, again(message).attempts) == ("connection_lost", 1)


def test_letter_that_cannot_be_written_is_parked_and_the_others_go_on(db: None, set_clock: Any) -> None:
    bad, good = laid(case(first_name="Poison")), laid(case())
    write = letters.write

    def poisoned(message: Message, **given: Any) -> Letter:
        if message.pk == bad.pk:
            raise ZeroDivisionError
        return write(message, **given)

    with patch.object(letters, "write", poisoned), capture_logs():
        tallies = []
        for _ in range(messages.MOST_ERRORS):
            make_due(bad)
            tallies.append(swept(Recorder()))

    assert tallies == [{"put_off": 1, "sent": 1}, *[{"put_off": 1}] * (messages.MOST_ERRORS - 2), {"failed": 1}]
    assert (again(bad).state, again(bad).reason, again(bad).attempts) == ("failed", "error", 5)
    assert again(good).state == "sent"


@pytest.mark.parametrize(
    ("problem", "tries"),
    [(PutOff("try_later_451"), messages.MOST_TRIES), (ValueError(), messages.MOST_ERRORS), (Rejected("mail_refused_554"), 1)],
)
def test_tries_come_to_an_end(db: None, set_clock: Any, problem: Exception, tries: int) -> None:
    message = laid(case())

    def refuse(_letter: Letter) -> None:
        raise problem

    for done in range(1, tries + 1):
        make_due(message)
        with capture_logs():
            swept(Recorder(then=refuse))
        assert (again(message).state, again(message).attempts) == ("failed" if done == tries else "due", done)


def test_server_away_for_hours_never_makes_a_message_fail(db: None, set_clock: Any) -> None:
    message = laid(case(starts_at=local(TOMORROW + timedelta(days=3), "9:00")))

    def away(_letter: Letter) -> None:
        raise Unreachable("server_unreachable")

    for minutes in (0, 1, 30, 120, 180):
        set_clock(NOW + timedelta(hours=2, minutes=minutes))
        make_due(message)
        assert swept(Recorder(then=away)) == {"unreachable": 1}
        assert timedelta(seconds=29) < again(message).due_at - (NOW + timedelta(hours=2, minutes=minutes)) < timedelta(minutes=6)

    make_due(message)
    assert swept(Recorder()) == {"sent": 1}
