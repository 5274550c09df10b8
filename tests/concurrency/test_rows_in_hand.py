"""What is done when somebody else has the rows in hand: wait a moment, say so, leave them to that one, go on with the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import QuerySet

from pain_clinic.accounts.actors import Actor
from patients.models import FactChange, Patient
from scheduling import answers, courses, messages, rechecking, wording
from scheduling.courses import Terms
from scheduling.messages import sending
from scheduling.models import Appointment, Course, Message, MessageKind, PlanRun, Resource, RuleCheck, Wording
from scheduling.rechecking import passes
from tests import factories
from tests.concurrency.test_answers import rounds
from tests.factories import NOW, TODAY, SmallClinic, local, transactional

pytestmark = transactional
BY = Actor.system("tests", "scheduling.manage_messages")
DAY = timedelta(days=1)
PATIENCE = 60  # seconds after which a test is broken, and not only slow


@contextmanager
def in_hand(rows: QuerySet[Any]) -> Iterator[None]:
    """Let another connection hold these rows, as a verb in the middle of its transaction does."""
    is_held, is_over = threading.Event(), threading.Event()
    held: list[int] = []

    def hold() -> None:
        try:
            with transaction.atomic():
                held.append(len(rows.select_for_update(no_key=True)))
                is_held.set()
                is_over.wait(PATIENCE)
        finally:
            is_held.set()
            connections.close_all()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    try:
        assert is_held.wait(PATIENCE)
        assert held != []
        assert held[0] > 0
        yield
    finally:
        is_over.set()
        holder.join(PATIENCE)


@contextmanager
def limited(name: str, limit: str) -> Iterator[None]:
    """Let our own connection wait shorter than it does in the clinic, so that the test does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config(%s, %s, false)", [name, limit])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", [name, before])


def until_somebody_waits() -> None:
    """Return once a statement waits for a lock of ours."""
    pause = threading.Event()
    for _ in range(PATIENCE * 20):
        if factories.somebody_waits():
            return
        pause.wait(0.05)
    raise AssertionError("nobody came to wait")


# --- rules -------------------------------------------------------------------------------------------------------------


def test_one_patient_in_hand_stops_no_other_from_being_asked_about(clinic: SmallClinic) -> None:
    other = factories.patient(home=clinic.site, last_name="Okafor")
    for patient in (clinic.patient, other):
        factories.appointment(of=patient, at_site=clinic.site, starts_at=local(TODAY + 14 * DAY, "9:00"))
        FactChange.objects.create(patient=patient, kind="condition", at=NOW)
    with in_hand(Patient.objects.filter(pk=clinic.patient.pk)), limited("lock_timeout", "200ms"):
        assert rechecking.follow_changes(at=NOW).seen == 1
    assert list(FactChange.objects.filter(done_at=None).values_list("patient", flat=True)) == [clinic.patient.pk]
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert not FactChange.objects.filter(done_at=None).exists()


def test_a_night_that_another_worker_has_begun_is_left_to_it(clinic: SmallClinic) -> None:
    factories.appointment(of=clinic.patient, at_site=clinic.site, starts_at=local(TODAY + 14 * DAY, "9:00"))
    RuleCheck.objects.create(begun_at=NOW - DAY, because="night", stamp="", done_at=NOW - DAY)
    with in_hand(RuleCheck.objects.all()):
        assert rechecking.check_all(at=NOW) == rechecking.Asked()
    assert RuleCheck.objects.count() == 1
    assert rechecking.check_all(at=NOW).seen == 1


def test_a_night_that_another_worker_takes_over_between_two_batches_is_left_to_it(
    clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "BATCH", 1)
    for number in range(2):
        patient = factories.patient(home=clinic.site, last_name=f"Person{number}")
        factories.appointment(of=patient, at_site=clinic.site, starts_at=local(TODAY + 14 * DAY, "9:00"))
    other = in_hand(RuleCheck.objects.all())
    told: list[datetime] = []

    def now() -> datetime:
        told.append(NOW)
        if len(told) == 2:  # after the first batch
            other.__enter__()
        return NOW

    try:
        assert rechecking.check_all(at=NOW, now=now).seen == 1
    finally:
        other.__exit__(None, None, None)
    assert rechecking.check_all(at=NOW).seen == 1
    assert RuleCheck.objects.get().seen == 2


# --- courses -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def course(clinic: SmallClinic) -> Course:
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    procedure = factories.procedure(family="tpi", needs=())
    terms = Terms("tpi_series", {"trigger_points": procedure.code}, side="left")
    return courses.start(patient=clinic.patient, site=clinic.site, terms=terms, by=doctor, at=NOW, since=TODAY - 9 * DAY)


def test_a_sites_night_that_another_worker_has_in_hand_is_left_to_it(course: Course) -> None:
    PlanRun.objects.create(site=course.site, day=TODAY, started_at=NOW, moved_at=NOW)
    with in_hand(PlanRun.objects.all()):
        assert courses.plan_nights(at=NOW).planned == 0
    assert PlanRun.objects.get().finished_at is None
    assert courses.plan_nights(at=NOW).planned == 1


# --- the patient's page ------------------------------------------------------------------------------------------------


def test_a_place_that_somebody_is_changing_is_not_offered(clinic: SmallClinic) -> None:
    (one,) = rounds(clinic, 1)
    case = Appointment.objects.select_related("patient", "procedure", "site").get(pk=one.case.pk)
    by = Actor.patient(case.patient.public_id)
    with in_hand(Resource.objects.filter(pk=clinic.room.pk)), limited("lock_timeout", "50ms"):
        assert answers.offers(appointment=case, by=by, at=NOW) == ()
    assert len(answers.offers(appointment=case, by=by, at=NOW)) == answers.OFFERED


# --- messages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def claim(clinic: SmallClinic) -> sending.Claim:
    case = factories.appointment(of=clinic.patient, at_site=clinic.site)
    clinic.patient.email = "vera@example.org"
    clinic.patient.save(update_fields=["email"])
    messages.lay_down(appointment=case, kind=MessageKind.CONFIRMATION, at=NOW)
    (made,) = messages.claim_due(limit=1)
    return made


def test_a_message_whose_case_is_being_changed_is_not_sent_now(claim: sending.Claim) -> None:
    with in_hand(Message.objects.all()), limited("lock_timeout", "100ms"):
        assert sending._renew(claim) is False
    assert Message.objects.get().attempts == 0
    assert sending._renew(claim) is True
    assert Message.objects.get().attempts == 1


def test_any_other_trouble_of_the_database_is_not_taken_for_a_message_in_hand(claim: sending.Claim) -> None:
    with in_hand(Message.objects.all()), limited("statement_timeout", "100ms"), pytest.raises(OperationalError):
        sending._renew(claim)


def test_of_two_who_save_the_same_words_at_once_the_second_is_told() -> None:
    given = {"key": "greeting", "language": "en", "text": "Dear {first_name},", "version": 0, "by": BY, "at": NOW}
    answers_: list[object] = []

    def second() -> None:
        try:
            answers_.append(wording.save(**given))  # type: ignore[arg-type]
        except wording.WordingStale as refusal:
            answers_.append(refusal.code)
        finally:
            connections.close_all()

    thread = threading.Thread(target=second, daemon=True)
    with transaction.atomic():
        wording.save(**given)  # type: ignore[arg-type]
        thread.start()
        until_somebody_waits()
    thread.join(PATIENCE)
    assert answers_ == ["stale"]
    assert Wording.objects.count() == 1
