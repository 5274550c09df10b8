"""Workers that die, leases that are lost, moves and sweeps at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import transaction

from scheduling import letters, messages
from scheduling.channels import PutOff
from scheduling.letters import Letter
from scheduling.messages import sending, words
from scheduling.models import Appointment, Message, MessageState
from tests.database.scheduling.messages.office import CHANGE, Recorder, Server, again, case, changed, laid, make_due, swept
from tests.factories import NOW, together, transactional


def test_worker_killed_between_sending_and_recording_sends_again_with_the_same_id(
    db: None, set_clock: Any, server: Server
) -> None:
    message = laid(case())
    with patch.object(sending, "_finish", side_effect=SystemExit), pytest.raises(SystemExit):
        messages.sweep()
    assert (again(message).state, len(server.mails), messages.claim_due()) == ("due", 1, ())

    set_clock(NOW + messages.LEASE + timedelta(seconds=2))
    assert dict(messages.sweep()) == {"sent": 1}

    assert [str(mail["Message-ID"]) for mail in server.mails] == [f"<{message.public_id}@clinic.example>"] * 2
    assert dict(messages.sweep()) == {}


def test_tries_that_kills_cut_off_make_no_pause_longer_and_use_up_no_try(db: None, set_clock: Any) -> None:
    message = laid(case())
    for _ in range(messages.MOST_TRIES):
        make_due(message)
        with patch.object(sending, "_finish", side_effect=SystemExit), pytest.raises(SystemExit):
            swept(Recorder())
    assert (again(message).state, again(message).attempts, again(message).failures) == ("due", messages.MOST_TRIES, 0)

    def refuse(_letter: Letter) -> None:
        raise PutOff("try_later_451")

    make_due(message)
    set_clock(NOW)
    assert swept(Recorder(then=refuse)) == {"put_off": 1}
    assert timedelta(seconds=29) < again(message).due_at - NOW < timedelta(seconds=35)
    make_due(message)
    assert swept(Recorder()) == {"sent": 1}


@pytest.mark.parametrize(("kills", "state"), [(words.MOST_UNFINISHED - 1, "sent"), (words.MOST_UNFINISHED, "failed")])
def test_letter_at_which_the_worker_ends_each_time_is_parked_at_last(db: None, set_clock: Any, kills: int, state: str) -> None:
    message = laid(case())
    Message.objects.update(attempts=kills + 3, failures=3)

    swept(Recorder())

    assert (again(message).state, again(message).reason) == (state, "gave_up" if state == "failed" else "")


def test_message_whose_lease_was_lost_is_not_sent(db: None, set_clock: Any) -> None:
    laid(case())
    slow = messages.claim_due()
    set_clock(NOW + messages.LEASE + timedelta(seconds=2))
    quick, gateway = Recorder(), Recorder()

    assert swept(quick) == {"sent": 1}
    assert dict(messages.deliver(claimed=slow, gateway=gateway)) == {"lost": 1}
    assert (len(quick.letters), len(gateway.letters)) == (1, 0)


def test_move_between_writing_and_sending_stops_the_old_mail(db: None, set_clock: Any) -> None:
    appointment = case()
    laid(appointment)
    write, gateway = letters.write, Recorder()

    def moved_meanwhile(message: Message, **given: Any) -> Letter:
        letter = write(message, **given)
        laid(changed(Appointment.objects.get(pk=appointment.pk)), CHANGE)
        return letter

    with patch.object(letters, "write", moved_meanwhile):
        assert swept(gateway) == {"lost": 1}
    assert gateway.letters == []


def test_move_while_the_mail_leaves_is_recorded_as_sent_and_followed_by_a_change(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    newer: list[Message] = []

    def moved_meanwhile(_letter: Letter) -> None:
        newer.append(laid(changed(Appointment.objects.get(pk=appointment.pk)), CHANGE))

    assert swept(Recorder(then=moved_meanwhile)) == {"sent": 1}
    assert (again(message).state, newer[0].kind, newer[0].state) == ("sent", CHANGE, "due")


@pytest.mark.parametrize(
    ("per_second", "seconds", "claims"),
    [
        (1000, 0.05, [20, 40, 40]),  # twenty a second: two seconds' worth
        (1000, 1.0, [20, 20, 20, 20, 20]),  # slower than that: never fewer than at first
        (5, 0.05, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]),  # nor more than the clinic's pace allows
    ],
)
def test_worker_holds_no_more_than_leaves_within_a_glance(
    db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, per_second: int, seconds: float, claims: list[int]
) -> None:
    settings.MESSAGES_PER_SECOND = per_second
    now, taken = [0.0], []

    def claim(*, limit: int) -> tuple[sending.Claim, ...]:
        taken.append(limit)
        return tuple(sending.Claim(0, uuid4()) for _ in range(limit))

    def send(tour: Any, claimed: Sequence[sending.Claim]) -> None:
        now[0] += len(claimed) * seconds
        tour.tally["sent"] += len(claimed)

    monkeypatch.setattr(sending, "claim_due", claim)
    monkeypatch.setattr(sending._Round, "send", send)
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: now[0]))

    assert messages.sweep(limit=100, budget=timedelta(hours=1)) == {"sent": 100}
    assert taken == claims


def test_time_that_is_up_gives_the_rest_back(db: None, set_clock: Any) -> None:
    for _ in range(3):
        laid(case())

    assert swept(Recorder(), budget=timedelta()) == {"given_back": 3}
    assert len(messages.claim_due()) == 3


class Meeting:
    """A gateway at which two workers wait for each other, so that their sends overlap."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.barrier = threading.Barrier(2)

    def send(self, letter: Letter) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(0.7)
        self.letters.append(letter)

    def close(self) -> None:
        pass


@transactional
def test_two_sweeps_at_once_send_one_mail_each(set_clock: Any) -> None:
    for _ in range(6):
        laid(case())
    gateway = Meeting()

    tallies = together(*[lambda: messages.deliver(claimed=messages.claim_due(limit=3), gateway=gateway)] * 2)

    assert [dict(tally) for tally in tallies] == [{"sent": 3}, {"sent": 3}]
    assert len({letter.message_id for letter in gateway.letters}) == len(gateway.letters) == 6


@transactional
def test_control_two_workers_without_the_claim_send_twice(set_clock: Any) -> None:
    laid(case())
    gateway, [claim] = Meeting(), messages.claim_due()

    together(*[lambda: messages.deliver(claimed=[claim], gateway=gateway)] * 2)

    assert len(gateway.letters) == 2


@transactional
def test_booking_in_progress_holds_up_no_sweep(set_clock: Any) -> None:
    """A message that a verb is just withdrawing is passed over, and what is not committed is not seen."""
    held, free = laid(case()), laid(case())
    in_hand, done = threading.Event(), threading.Event()

    def booking() -> None:
        with transaction.atomic():
            Message.objects.filter(pk=held.pk).update(state=MessageState.WITHDRAWN)
            laid(case())
            in_hand.set()
            done.wait(20)

    def sweep() -> list[int]:
        in_hand.wait(20)
        try:
            return [claim.message_id for claim in messages.claim_due()]
        finally:
            done.set()

    _, claimed = together(booking, sweep)

    assert claimed == [free.pk]
