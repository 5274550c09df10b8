"""Two workers write to patients about their courses at once, and one is killed in the middle: each patient gets one mail."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.db.models import QuerySet

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from scheduling import courses
from scheduling.courses import Terms, informing
from scheduling.models import Course, Message, MessageKind, Status
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local, together, transactional

pytestmark = transactional
DAY = timedelta(days=1)
SETTLED = NOW + timedelta(minutes=10)
COURSES = 12
PATIENCE = 60  # seconds after which a test is broken, and not only slow


def news(clinic: SmallClinic, count: int = COURSES) -> list[Course]:
    """Return courses of which there is news, each of a patient who reads mails and has been here."""
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    procedure = factories.procedure(family="tpi", needs=())
    terms = Terms("tpi_series", {"trigger_points": procedure.code}, side="left")
    found = []
    for number in range(count):
        patient = factories.patient(home=clinic.site, last_name=f"Person{number}")
        Patient.objects.filter(pk=patient.pk).update(email=f"person{number}@example.org")
        factories.appointment(
            of=patient, at_site=clinic.site, for_procedure=procedure, resources=(), starts_at=local(TODAY - 30 * DAY, "9:00"),
            status=Status.DISCHARGED, side="left",
        )  # fmt: skip
        found.append(courses.start(patient=patient, site=clinic.site, terms=terms, by=doctor, at=NOW, since=TODAY - 9 * DAY))
    return found


def told() -> list[int | None]:
    """Return the courses about which a mail was laid down, one for each mail."""
    return list(Message.objects.filter(kind=MessageKind.COURSE).order_by("course").values_list("course", flat=True))


def events() -> int:
    return AuditEvent.objects.filter(act="scheduling.tell_course").count()


def test_two_workers_at_once_write_to_each_patient_once(clinic: SmallClinic) -> None:
    found = news(clinic)
    counts = together(*[lambda: courses.inform(at=SETTLED, limit=2)] * 4)
    assert [one for one in counts if isinstance(one, BaseException)] == []
    for _ in range(COURSES):  # what one of them left to the others
        if not courses.inform(at=SETTLED):
            break
    assert told() == [course.pk for course in found]
    assert events() == COURSES
    together(*[lambda: courses.inform(at=SETTLED)] * 2)
    assert len(told()) == COURSES
    assert Course.objects.filter(news_at__isnull=False).count() == 0


def test_without_the_claim_both_write_to_the_same_patient(clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: courses that are read and not claimed are in the hands of both; only the unique row ends the second mail."""
    news(clinic, 1)
    both = threading.Barrier(2)
    fingerprint = informing.fingerprint

    def meeting(*values: Any) -> str:
        both.wait(PATIENCE)
        return fingerprint(*values)

    monkeypatch.setattr(informing, "fingerprint", meeting)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)
    answers = together(*[lambda: courses.inform(at=SETTLED)] * 2)
    assert [one for one in answers if not isinstance(one, BaseException)] == [1]
    (second,) = (one for one in answers if isinstance(one, BaseException))
    assert isinstance(second, IntegrityError)
    assert "message_once_per_date" in str(second)


def test_a_worker_killed_in_between_leaves_no_half_and_each_patient_gets_one(clinic: SmallClinic) -> None:
    found = news(clinic, 4)
    context = multiprocessing.get_context("fork")
    is_between = context.Event()

    def stay(**_: Any) -> None:
        is_between.set()
        time.sleep(PATIENCE)

    def work() -> None:
        informing.trail.record = stay  # this process alone: the mail is laid down, the course not ticked off
        courses.inform(at=SETTLED)

    connections.close_all()  # nobody shares a connection
    process = context.Process(target=work, daemon=True)
    process.start()
    assert is_between.wait(PATIENCE)
    assert told() == []
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)
    ends, count = time.monotonic() + PATIENCE, 0
    while count < len(found) and time.monotonic() < ends:  # the database may notice a moment later
        count += courses.inform(at=SETTLED)
        time.sleep(0.05)
    assert count == len(found)
    assert told() == [course.pk for course in found]
    assert events() == len(found)
    assert courses.inform(at=SETTLED) == 0
