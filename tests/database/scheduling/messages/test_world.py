"""The world is looked at again at the moment of sending, and quiet hours are kept."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from scheduling.models import Message
from tests.database.scheduling.messages.office import (
    CANCELLATION,
    CHANGE,
    CONFIRMATION,
    Recorder,
    again,
    case,
    changed,
    laid,
    swept,
)
from tests.factories import TOMORROW, local


@pytest.mark.parametrize(
    ("kind", "status", "patient", "reason"),
    [
        (CONFIRMATION, "booked", {"email": ""}, "no_email"),
        (CONFIRMATION, "booked", {"accepts_email": False}, "opted_out"),
        (CONFIRMATION, "booked", {"deceased_on": date(2026, 9, 1)}, "deceased"),
        (CONFIRMATION, "cancelled", {}, "cancelled"),
        (CONFIRMATION, "arrived", {}, "arrived"),
        (CONFIRMATION, "discharged", {}, "visit_over"),
        (CONFIRMATION, "no_show", {}, "missed"),
        (CANCELLATION, "booked", {}, "not_cancelled"),
        (CANCELLATION, "cancelled", {"email": ""}, "no_email"),
    ],
)
def test_message_that_no_longer_fits_is_skipped_with_its_reason(
    db: None, set_clock: Any, kind: str, status: str, patient: dict[str, Any], reason: str
) -> None:
    message = laid(case(status=status), kind)
    Patient.objects.filter(pk=message.patient_id).update(**patient)
    gateway = Recorder()

    assert swept(gateway) == {"skipped": 1}
    assert (again(message).state, again(message).reason, gateway.letters) == ("skipped", reason, [])
    event = AuditEvent.objects.get(act="scheduling.send_message")
    assert (event.outcome, event.reason_code, event.subject_id) == ("refused", reason, message.public_id)


@pytest.mark.parametrize(("patient", "reason"), [({"email": "  "}, "no_email"), ({"accepts_email": False}, "opted_out")])
@pytest.mark.parametrize(("kind", "status"), [(CONFIRMATION, "booked"), (CANCELLATION, "cancelled")])
def test_message_to_somebody_without_an_address_never_looks_as_if_it_would_leave(
    db: None, set_clock: Any, kind: str, status: str, patient: dict[str, Any], reason: str
) -> None:
    message = laid(case(status=status, **patient), kind)

    assert (message.state, message.reason, message.done_at is not None) == ("skipped", reason, True)
    assert swept(Recorder()) == {}


@pytest.mark.parametrize(("before", "state"), [(timedelta(seconds=30), "sent"), (timedelta(), "skipped")])
def test_nothing_is_sent_once_the_visit_has_begun(db: None, set_clock: Any, before: timedelta, state: str) -> None:
    appointment = case()
    message = laid(appointment, at=appointment.starts_at - timedelta(minutes=1))
    set_clock(appointment.starts_at - before)

    swept(Recorder())

    assert again(message).state == state


def test_case_confirmed_by_telephone_still_gets_its_mail(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    appointment.version, appointment.status = 2, "confirmed"
    appointment.save()

    assert swept(Recorder()) == {"sent": 1}
    assert again(message).state == "sent"


def test_case_moved_without_a_message_of_its_own_is_told_as_it_is_now(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    changed(appointment, arrives_at=appointment.arrives_at - timedelta(minutes=30))
    gateway = Recorder()

    swept(gateway)

    assert "8:15 a.m." in gateway.letters[0].text
    assert again(message).calendar_sequence == 1


def test_message_of_an_older_version_gives_way_to_the_newer(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)
    laid(changed(appointment), CHANGE)
    Message.objects.filter(pk=old.pk).update(state="due")

    assert swept(Recorder()) == {"skipped": 1, "sent": 1}
    assert again(old).reason == "superseded"


@pytest.mark.parametrize(
    ("clock_now", "laid_before", "day", "result"),
    [
        ("3:00", timedelta(minutes=30), 3, {"sent": 1}),
        ("3:00", timedelta(hours=5), 3, {"put_off": 1}),
        ("21:30", timedelta(hours=3), 3, {"put_off": 1}),
        ("8:00", timedelta(hours=9), 3, {"sent": 1}),
        ("19:59", timedelta(hours=9), 3, {"sent": 1}),
        ("7:45", timedelta(hours=5), 0, {"sent": 1}),
    ],
)
def test_late_mail_keeps_the_quiet_hours_unless_the_visit_is_near(
    db: None, set_clock: Any, clock_now: str, laid_before: timedelta, day: int, result: dict[str, int]
) -> None:
    now = local(TOMORROW, clock_now)
    message = laid(case(starts_at=local(TOMORROW + timedelta(days=day), "9:00")), at=now - laid_before)
    set_clock(now)

    assert swept(Recorder()) == result
    if "put_off" in result:
        morning = TOMORROW if clock_now == "3:00" else TOMORROW + timedelta(days=1)
        assert (again(message).due_at, again(message).reason, again(message).attempts) == (
            local(morning, "8:00"),
            "quiet_hours",
            0,
        )
