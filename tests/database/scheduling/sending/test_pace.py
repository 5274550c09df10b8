"""The stop switch, the common pace of all workers, and who goes first."""

from __future__ import annotations

import threading
import time as times
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden
from scheduling import messages
from scheduling.letters import Letter
from scheduling.messages import switch
from scheduling.models import Appointment, Dispatch, Message
from tests.database.scheduling.sending.outbox import MANAGER, Recorder, case, swept
from tests.factories import NOW, local, together, transactional


def test_nothing_leaves_while_sending_is_stopped_and_all_leaves_afterwards(set_clock: Any) -> None:
    case()
    messages.stop(reason="wrong address in the template", by=MANAGER, at=NOW)

    assert (messages.claim_due(), swept()) == ((), {})
    row = messages.state()
    assert (row.is_stopped, row.reason) == (True, "wrong address in the template")

    messages.resume(by=MANAGER, at=NOW)
    assert swept() == {"sent": 1}


def test_stop_in_the_middle_of_a_sweep_gives_the_rest_back_untouched(set_clock: Any) -> None:
    first, second = case(planned=False), case(planned=False)

    class Stopping(Recorder):
        def send(self, letter: Letter) -> None:
            super().send(letter)
            messages.stop(reason="", by=MANAGER, at=NOW)

    assert swept(Stopping()) == {"sent": 1, "stopped": 1}
    rows = Message.objects.filter(appointment__in=(first, second), state="due")
    assert [(row.attempts, row.lease_token) for row in rows] == [(0, None)]


def test_stopping_asks_for_the_permission(set_clock: Any) -> None:
    with pytest.raises(Forbidden):
        messages.stop(reason="", by=Actor.system("nobody"), at=NOW)
    assert not Dispatch.objects.filter(is_stopped=True).exists()


@transactional
def test_two_workers_at_once_keep_one_pace(set_clock: Any) -> None:
    began = times.monotonic()

    def worker() -> None:
        for _ in range(10):
            wait = switch.wait_before_next(20)
            assert wait is not None
            times.sleep(wait)

    together(worker, worker)

    assert times.monotonic() - began >= 0.90  # twenty sends at 20 a second, not ten


@transactional
def test_control_two_workers_with_a_pace_each_are_twice_as_fast(set_clock: Any) -> None:
    slept: list[tuple[float, float]] = []
    meeting = threading.Barrier(2)

    def worker() -> None:
        meeting.wait(30)
        for _ in range(10):
            before = times.monotonic()
            times.sleep(1 / 20)
            slept.append((before, times.monotonic()))

    together(worker, worker)

    took = max(after for _, after in slept) - min(before for before, _ in slept)
    assert took < 0.75 * sum(after - before for before, after in slept)  # side by side, however busy the machine is


def test_pace_left_far_ahead_by_a_clock_that_was_wrong_is_caught_up_with(db: None) -> None:
    Dispatch.objects.create(pk=Dispatch.ONLY, next_at=datetime.now(tz=UTC) + timedelta(days=1))

    wait = switch.wait_before_next(10)

    assert wait is not None
    assert wait <= 5


def test_booking_mail_waits_for_no_pile_of_reminders(set_clock: Any, settings: Any) -> None:
    set_clock(local(date(2026, 9, 14), "9:00"))
    pile = [case(planned=False) for _ in range(12)]
    Message.objects.update(kind="reminder", priority=5)
    late: list[Appointment] = []

    class Booking(Recorder):
        def send(self, letter: Letter) -> None:
            super().send(letter)
            if len(self.letters) == 3:
                late.append(case(planned=False, first_name="Late"))

    gateway = Booking()
    settings.MESSAGES_PER_SECOND = 5
    swept(gateway)

    place = [letter.text.startswith("Dear Late") for letter in gateway.letters].index(True)
    assert place <= 3 + 5 * 2
    assert place < len(pile)
