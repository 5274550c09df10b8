"""A date of death on record ends mails, calls and courses, and leaves coming cases to the desk; taken back, all comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from patients import records
from patients.models import FactChange
from scheduling import booking, cadence, courses, desk_tasks, messages, rechecking
from scheduling.models import (
    Appointment,
    AskedBy,
    CancelReason,
    CourseStatus,
    DeskTask,
    Dispatch,
    Message,
    MessageState,
    TaskKind,
)
from scheduling.openings import find_openings
from tests.database.scheduling.courses.conftest import Ward
from tests.factories import NOW, TODAY

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def case(ward: Ward) -> Appointment:
    """Return a case about two weeks ahead of a patient who gets mails, is in a course and is to be called for two reasons."""
    cadence.load_defaults(by=Actor.system("tests"), at=NOW)
    patient = ward.patient
    patient.email = "vera@example.org"
    patient.save(update_fields=["email"])
    ward.start(since=TODAY)
    found = find_openings(procedure=ward.clinic.procedure, at=NOW, earliest=NOW + timedelta(days=14), patient=patient, limit=1)
    case = booking.book(
        patient=patient, procedure=ward.clinic.procedure, target=booking.Target(side="left"), opening=found.openings[0],
        by=ward.desk, at=NOW,
    )  # fmt: skip
    for kind in (TaskKind.UNCONFIRMED, TaskKind.UNWELL):
        desk_tasks.open_task(kind=kind, patient=patient, appointment=case, by=ward.desk, at=NOW)
    return case


def dies(ward: Ward, on: object = TODAY) -> None:
    records.amend(patient=ward.patient, changes={"deceased_on": on}, by=ward.desk, at=LATER)
    rechecking.follow_changes(at=LATER)
    courses.sweep(at=LATER)


def states(case: Appointment) -> set[tuple[str, str]]:
    """Return how the messages of a case stand that are planned for a day."""
    return set(Message.objects.filter(appointment=case).exclude(planned_at=None).values_list("state", "reason"))


def open_kinds(case: Appointment) -> set[str]:
    return set(DeskTask.objects.open().filter(appointment=case).values_list("kind", flat=True))


def test_death_ends_mails_calls_and_courses_and_the_desk_is_to_cancel_the_visit(ward: Ward, case: Appointment) -> None:
    assert (MessageState.DUE, "") in states(case)

    dies(ward)

    assert not Message.objects.filter(patient=ward.patient, state=MessageState.DUE).exists()
    assert (MessageState.WITHDRAWN, "deceased") in states(case)
    assert TaskKind.UNCONFIRMED not in open_kinds(case)
    assert {TaskKind.RULES, TaskKind.UNWELL} <= open_kinds(case)
    told = DeskTask.objects.open().get(appointment=case, kind=TaskKind.RULES).note
    assert "died on 14 September 2026. Cancel the visit" in told
    assert ward.patient.courses.get().status == CourseStatus.STOPPED
    rechecking.follow_changes(at=LATER)
    assert DeskTask.objects.open().filter(appointment=case, kind=TaskKind.RULES).count() == 1


def test_date_of_death_taken_back_brings_mails_back_and_closes_the_task(ward: Ward, case: Appointment) -> None:
    before = states(case)
    dies(ward)
    dies(ward, on=None)

    assert TaskKind.RULES not in open_kinds(case)
    assert Dispatch.objects.get(pk=Dispatch.ONLY).plan_wanted_at is not None
    messages.plan_if_wanted(at=LATER)
    assert states(case) == before


def test_visit_of_who_has_died_is_cancelled_without_a_call_or_a_mail(ward: Ward, case: Appointment) -> None:
    ward.patient.email = ""
    ward.patient.save(update_fields=["email"])
    dies(ward)
    booking.cancel(appointment=case, reason=CancelReason.OTHER, asked_by=AskedBy.CLINIC, by=ward.desk, at=LATER)
    assert open_kinds(case) == {TaskKind.UNWELL}


def test_only_what_is_judged_leaves_word_that_it_changed(ward: Ward) -> None:
    FactChange.objects.all().delete()
    records.amend(patient=ward.patient, changes={"phone": "+1 518 555 0199"}, by=ward.desk, at=NOW)
    assert not FactChange.objects.exists()
    records.amend(patient=ward.patient, changes={"sex": "male"}, by=ward.desk, at=NOW)
    assert FactChange.objects.get().kind == "patient"
