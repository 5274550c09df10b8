"""Many desks want one slot: one gets it, the others are told. The control shows that the tests would see a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, free_time
from scheduling.availability import Opening
from scheduling.booking import SlotTaken, Target, reading, staging
from scheduling.models import Allocation, Appointment
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local, together, transactional

pytestmark = transactional
START = local(TOMORROW, "9:00")

OVERLAPS = """
SELECT count(*) FROM scheduling_allocation a JOIN scheduling_allocation b
  ON a.resource_id = b.resource_id AND a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
 WHERE a.released_at IS NULL AND b.released_at IS NULL
"""


def overlaps() -> int:
    """Count double bookings without asking any code of ours."""
    with connection.cursor() as cursor:
        cursor.execute(OVERLAPS)
        return int(cursor.fetchone()[0])


def rivals(clinic: SmallClinic, count: int, act: Callable[..., Appointment]) -> list[Callable[[], Appointment]]:
    """Return as many calls as desks, each for a patient of its own and all for the same units and time."""
    who = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    where = Opening(START, START, START, START, clinic.site.pk, {"all": tuple(one.pk for one in clinic.resources)})

    def call(number: int) -> Callable[[], Appointment]:
        patient = factories.patient(home=clinic.site, last_name=f"Rival{number}")
        return lambda: act(
            patient=patient, procedure=clinic.procedure, target=Target(side="right"), opening=where, by=who, at=NOW
        )

    return [call(number) for number in range(count)]


@pytest.mark.parametrize("count", [8, 64])
def test_one_slot_goes_to_one_of_many_desks(count: int) -> None:
    clinic = factories.small_clinic()
    answers = together(*rivals(clinic, count, booking.book), timeout=120)
    won = [answer for answer in answers if isinstance(answer, Appointment)]
    lost = [answer for answer in answers if isinstance(answer, SlotTaken)]
    busy = [answer for answer in answers if getattr(answer, "code", "") == "busy"]
    assert len(won) == 1
    assert len(lost) + len(busy) == count - 1, [answer for answer in answers if answer not in won + lost + busy]
    assert overlaps() == 0
    assert Appointment.objects.count() == 1
    assert AuditEvent.objects.filter(act="scheduling.book").count() == 1
    assert free_time.check(at=NOW) == ()


@contextmanager
def without_protection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away the locks and the constraint, and make every rival look before anyone writes."""
    everyone_looked = threading.Barrier(8)
    look = staging.taking.look

    def look_and_wait(*args: object) -> object:
        board = look(*args)  # type: ignore[arg-type]
        everyone_looked.wait(30)
        return board

    monkeypatch.setattr(staging.taking, "look", look_and_wait)
    monkeypatch.setattr(reading, "LOCK", "FOR KEY SHARE OF")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'allocation_no_double_booking'")
        definition = cursor.fetchone()[0]
        cursor.execute("ALTER TABLE scheduling_allocation DROP CONSTRAINT allocation_no_double_booking")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE scheduling_allocation CASCADE")
            cursor.execute(f"ALTER TABLE scheduling_allocation ADD CONSTRAINT allocation_no_double_booking {definition}")


def test_control_without_locks_and_constraint_everybody_books(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    calls = rivals(clinic, 8, booking.book)
    with without_protection(monkeypatch):
        answers = together(*calls)
        assert len([answer for answer in answers if isinstance(answer, Appointment)]) > 1
        assert overlaps() > 0


def test_the_constraint_alone_still_refuses_when_the_locks_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    monkeypatch.setattr(reading, "LOCK", "FOR KEY SHARE OF")
    answers = together(*rivals(clinic, 8, booking.book))
    assert len([answer for answer in answers if isinstance(answer, Appointment)]) <= 1
    assert overlaps() == 0
    assert Allocation.objects.filter(released_at__isnull=True).values("appointment").distinct().count() <= 1


def test_cancel_against_confirm_ends_in_one_of_the_two_whole_states() -> None:
    clinic = factories.small_clinic()
    who = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    for number in range(10):
        case = rivals(clinic, 1, booking.book)[0]()
        together(
            lambda case=case: booking.cancel(appointment=case, reason="other", asked_by="clinic", by=who, at=NOW),
            lambda case=case: booking.confirm(appointment=case, by=who, at=NOW),
        )
        case.refresh_from_db()
        taken = Allocation.objects.filter(appointment=case, released_at__isnull=True).exists()
        assert (case.status, taken) in {("cancelled", False), ("confirmed", True)}, number
        if taken:
            with transaction.atomic():
                booking.cancel(appointment=case, reason="other", asked_by="clinic", by=who, at=NOW)
