"""Two phones press an answer to one question at one moment: one score stands. The control shows that the test would see two."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from pain_clinic.accounts.actors import Actor
from patients.models import PerformedProcedure, Score
from scheduling import asks
from scheduling.models import Appointment, Ask, Link, LinkPurpose, Message, Status
from tests import factories
from tests.factories import NOW, TODAY, local, together, transactional

pytestmark = transactional


def presses() -> list[Callable[[], Ask]]:
    """Return two presses of one answer, each through a link of its own."""
    clinic = factories.small_clinic()
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(TODAY, "7:15"),
        status=Status.DISCHARGED,
    )  # fmt: skip
    done = PerformedProcedure.objects.create(
        patient=clinic.patient, procedure=clinic.procedure, site=clinic.site, done_on=TODAY, recorded_at=NOW
    )
    ask = Ask.objects.create(
        appointment=case, patient=clinic.patient, performed=done.public_id, step="score-0d", questions=["nrs.index"],
        meant_at=NOW, closes_at=local(TODAY, "23:00"),
    )  # fmt: skip

    def call(value: int) -> Callable[[], Ask]:
        by = Actor.patient(clinic.patient.public_id)
        link = _link(case)
        return lambda: asks.answer(link=link, ask=ask, question="nrs.index", value=value, by=by, at=NOW)

    return [call(3), call(4)]


def _link(case: Appointment) -> Link:
    message = Message(appointment=case, patient=case.patient, kind="follow_up", step="score-0d")
    return Link(appointment=case, message=message, purpose=LinkPurpose.SCORE)


def test_two_phones_answer_one_question_and_one_score_stands() -> None:
    answers = together(*presses())

    assert [type(answer).__name__ for answer in answers] == ["Ask", "Ask"]
    row = Score.objects.get()
    assert row.version == 2
    assert row.value in {3, 4}


def test_control_without_lock_and_constraint_two_scores_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = presses()
    both_looked = threading.Barrier(2)
    note = asks.outcomes.record_score

    def wait_and_note(**values: object) -> Score:
        both_looked.wait(30)
        return note(**values)  # type: ignore[arg-type]

    monkeypatch.setattr(asks.outcomes, "record_score", wait_and_note)
    monkeypatch.setattr(type(Ask.objects.all()), "select_for_update", lambda self, **_: self)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_indexdef('score_answers_a_question_once'::regclass)")
        index = cursor.fetchone()[0]
        cursor.execute("DROP INDEX score_answers_a_question_once")
    try:
        together(*calls)
        assert Score.objects.count() == 2
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE patients_score CASCADE")
            cursor.execute(index)
