"""The regular task adds days while somebody enters leave on one of them. The control shows what the locks are for."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from scheduling import free_time, tasks
from scheduling.models import Absence, Resource
from tests import factories
from tests.factories import NOW, TODAY, local, together, transactional

pytestmark = transactional
LATER = NOW + timedelta(days=7)


def until_entered_or_kept_out(entered: threading.Event) -> None:
    """Return once the leave is entered, or waits for a lock of ours."""
    for _ in range(60 * 20):
        if factories.somebody_waits() or entered.wait(0.05):
            return
    raise AssertionError("the leave was neither entered nor kept out")


def untrue_after_leave_was_entered_while_days_were_added(monkeypatch: pytest.MonkeyPatch) -> int:
    """Enter leave on a day that the task has just worked out and not yet written; return how many rows are untrue."""
    clinic = factories.small_clinic()
    worked_out, entered = threading.Event(), threading.Event()
    compute, mine = free_time._compute, threading.local()

    def compute_and_wait(*args: Any, **values: Any) -> Any:
        answer = compute(*args, **values)
        if getattr(mine, "is_task", False):
            worked_out.set()
            until_entered_or_kept_out(entered)
        return answer

    def add_days() -> int:
        mine.is_task = True
        return free_time.extend(at=LATER)

    def enter_leave() -> None:
        assert worked_out.wait(30)
        day = free_time.horizon(TODAY)[1] + timedelta(days=1)
        while day.weekday() > 4:
            day += timedelta(days=1)
        with transaction.atomic():
            Resource.objects.select_for_update(no_key=True).get(pk=clinic.room.pk)
            Absence.objects.create(resource=clinic.room, starts_at=local(day, "9:00"), ends_at=local(day, "12:00"))
            free_time.rebuild({clinic.room.pk: [day]})
        entered.set()

    with monkeypatch.context() as patched:
        patched.setattr(free_time, "_compute", compute_and_wait)
        answers = together(add_days, enter_leave)
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    return len(free_time.check(at=LATER))


def test_days_are_added_under_the_locks_of_their_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    assert untrue_after_leave_was_entered_while_days_were_added(monkeypatch) == 0


def test_control_without_the_locks_the_leave_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_time, "lock", list)

    assert untrue_after_leave_was_entered_while_days_were_added(monkeypatch) == 1


def test_many_resources_are_locked_a_few_at_a_time_in_key_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    for _ in range(free_time.AT_ONCE):
        factories.resource(kind="room", at_site=clinic.site)
    lots: list[list[int]] = []
    lock = free_time.lock
    monkeypatch.setattr(free_time, "lock", lambda lot: lots.append(list(lot)) or lock(lot))

    free_time.extend(at=NOW)
    lots.clear()
    free_time.extend(at=LATER)

    everyone = list(Resource.objects.order_by("pk").values_list("pk", flat=True))
    assert [len(lot) for lot in lots] == [free_time.AT_ONCE, len(everyone) - free_time.AT_ONCE]
    assert [pk for lot in lots for pk in lot] == everyone


@pytest.mark.parametrize("name", ["extend_free_time", "release_blocks", "sweep_holds"])
def test_tasks_open_the_transactions_that_they_need(name: str) -> None:
    factories.small_clinic()

    assert getattr(tasks, name)() is None
