"""Questions after a visit where something seldom happens: a late block, a press repeated, a procedure marked as a mistake."""

# ruff: noqa: F401, F811  fixtures of another file are imported, and asked for by their names
from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import records
from patients.models import PerformedProcedure
from scheduling import asks, links
from scheduling.models import Appointment, Ask, DeskTask, Link, TaskKind
from tests import factories
from tests.database.scheduling.test_asks import address, completed, doctor
from tests.factories import SmallClinic, local

PATIENT = Actor.system("a patient")


def link_of(case: Appointment, ask: Ask, at: datetime) -> Link:
    return links.read(secret=address(case, ask.step, at).removeprefix("/l/").rstrip("/"), at=at)


@pytest.mark.parametrize(("clock", "has_bedtime"), [("21:25", True), ("21:30", False)])  # it takes 30 minutes
def test_a_block_that_ends_at_bedtime_asks_for_it_in_the_morning(clinic: SmallClinic, clock: str, has_bedtime: bool) -> None:
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(factories.TODAY, clock)
    )
    slots = [slot for slot, _, _ in asks.diary(case)]
    assert ("bedtime" in slots) is has_bedtime
    assert slots[-1] == "morning"


def test_a_contact_that_asks_for_no_number_lays_down_nothing(clinic: SmallClinic) -> None:
    case = factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure)
    assert list(asks._sets(case, PerformedProcedure(), "score-999d", case.ends_at)) == []


def test_a_worry_is_told_to_the_desk_once_and_taking_it_back_tells_nothing(
    clinic: SmallClinic,
    doctor: Actor,
    at: datetime,
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-1d")
    now = ask.meant_at + timedelta(minutes=1)

    link = link_of(case, ask, now)

    def press(value: int) -> Ask:
        return asks.answer(link=link, ask=ask, question="adverse", value=value, by=PATIENT, at=now)

    assert press(0).is_adverse is False
    assert not DeskTask.objects.filter(kind=TaskKind.UNWELL).exists()
    assert (press(1).is_adverse, press(1).is_adverse) == (True, True)
    assert DeskTask.objects.filter(kind=TaskKind.UNWELL, appointment=case).count() == 1
    assert AuditEvent.objects.filter(act="scheduling.answer_ask").count() == 2


def test_nothing_more_is_answered_about_a_procedure_that_was_a_mistake(
    clinic: SmallClinic,
    doctor: Actor,
    at: datetime,
) -> None:
    case = completed(clinic, doctor, at)
    ask = Ask.objects.get(step="score-14d")
    records.mark_in_error(row=PerformedProcedure.objects.get(), reason="Another patient's", by=doctor, at=at)
    now = ask.meant_at + timedelta(minutes=1)
    with pytest.raises(asks.AskClosed):
        asks.answer(link=link_of(case, ask, now), ask=ask, question="nrs.index", value=3, by=PATIENT, at=now)
