"""Tasks of the desk: one open of a kind for a case, taken by one, closed with what came of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from scheduling import desk_tasks
from scheduling.models import Appointment, DeskTask, TaskKind, TaskOutcome
from tests import factories
from tests.factories import NOW, SmallClinic

SYSTEM = Actor.system("messages")


def open_for(case: Appointment, **values: object) -> DeskTask:
    given = {"kind": TaskKind.ANOTHER_TIME, "patient": case.patient, "appointment": case, "by": SYSTEM, "at": NOW, **values}
    return desk_tasks.open_task(**given)  # type: ignore[arg-type]


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    return factories.appointment(of=clinic.patient, at_site=clinic.site)


def test_opening_twice_gives_the_same_task_with_both_notes_and_the_nearer_due_time(case: Appointment) -> None:
    first = open_for(case, note="Mornings are best", due_at=NOW + timedelta(days=2))
    second = open_for(case, note="After ten", due_at=NOW + timedelta(days=1))
    assert first.pk == second.pk
    assert (second.note, second.due_at) == ("Mornings are best\nAfter ten", NOW + timedelta(days=1))
    assert AuditEvent.objects.filter(act="scheduling.open_task").count() == 1


@pytest.mark.parametrize("length", [484, 490, 500, 600])
def test_what_is_new_in_a_long_note_is_never_cut_off(case: Appointment, length: int) -> None:
    open_for(case, note="o" * length)
    task = open_for(case, note="Ask by hand now")
    assert task.note == f"{'o' * 484}\nAsk by hand now"


def test_patient_without_a_case_has_one_open_task_of_a_kind_too(clinic: SmallClinic) -> None:
    given = {"kind": TaskKind.NO_EMAIL, "patient": clinic.patient, "by": SYSTEM, "at": NOW}
    assert desk_tasks.open_task(**given).pk == desk_tasks.open_task(**given).pk  # type: ignore[arg-type]


def test_closed_task_makes_room_for_the_next(case: Appointment, by: Actor) -> None:
    first = open_for(case)
    closed = desk_tasks.close_task(task=first, outcome=TaskOutcome.REACHED, by=by, at=NOW, note="Comes at ten")
    assert (closed.outcome, closed.done_at, closed.done_by_id, closed.note) == ("reached", NOW, by.user_id, "Comes at ten")
    assert open_for(case).pk != first.pk


def test_closed_task_can_be_neither_taken_nor_closed_again(case: Appointment, by: Actor) -> None:
    task = open_for(case)
    desk_tasks.close_task(task=task, outcome=TaskOutcome.MENDED, by=by, at=NOW)
    with pytest.raises(desk_tasks.TaskClosed):
        desk_tasks.take(task=task, by=by, at=NOW)
    with pytest.raises(desk_tasks.TaskClosed):
        desk_tasks.close_task(task=task, outcome=TaskOutcome.REACHED, by=by, at=NOW)


def test_taking_names_the_owner_and_may_be_taken_over(case: Appointment, by: Actor) -> None:
    task = open_for(case)
    colleague = Actor.of_user(factories.user(role="desk", sites=(case.site,)))
    assert desk_tasks.take(task=task, by=by, at=NOW).owner_id == by.user_id
    assert desk_tasks.take(task=task, by=colleague, at=NOW).owner_id == colleague.user_id


def test_who_may_not_work_tasks_is_refused(case: Appointment) -> None:
    auditor = Actor.of_user(factories.user(role="auditor", sites=(case.site,)))
    with pytest.raises(Forbidden):
        desk_tasks.take(task=open_for(case), by=auditor, at=NOW)
    with pytest.raises(Forbidden):
        desk_tasks.close_task(task=open_for(case), outcome=TaskOutcome.REACHED, by=auditor, at=NOW)


def test_settling_closes_only_this_kind_of_this_case(case: Appointment) -> None:
    asked, failed = open_for(case), open_for(case, kind=TaskKind.MAIL_FAILED)
    assert desk_tasks.settle(kind=TaskKind.ANOTHER_TIME, appointment=case, by=SYSTEM, at=NOW) == 1
    asked.refresh_from_db()
    failed.refresh_from_db()
    assert (asked.outcome, failed.done_at) == ("not_needed", None)


def test_desk_of_another_site_sees_no_task(case: Appointment) -> None:
    open_for(case)
    assert DeskTask.objects.visible_to(factories.user(role="desk", sites=(case.site,))).open().in_order().count() == 1
    assert DeskTask.objects.visible_to(factories.user(role="desk", sites=(factories.site(),))).count() == 0


def test_taking_what_is_ones_own_already_is_recorded_once(case: Appointment, by: Actor) -> None:
    task = open_for(case)
    for _ in range(2):
        assert desk_tasks.take(task=task, by=by, at=NOW).owner_id == by.user_id
    assert AuditEvent.objects.filter(act="scheduling.take_task").count() == 1


def test_anything_else_that_the_database_refuses_is_not_taken_for_an_open_task(case: Appointment) -> None:
    with pytest.raises(IntegrityError):
        open_for(case, at=None, due_at=NOW)
