"""The rules break down on one patient: the others go on, it is seen, and it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from patients.models import Condition, FactChange
from procedures import rulebook
from procedures.rules import Facts, Finding
from scheduling import desk_tasks, rechecking, tasks
from scheduling.models import Appointment, CaseDetails, DeskTask, RuleCheck, TaskKind
from scheduling.rechecking import passes
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, put, said, standing
from tests.factories import NOW, TODAY


def spoil(case: Appointment) -> CaseDetails:
    """Put on file what no judging of this case survives."""
    return CaseDetails.objects.create(appointment=case, intake={"clear_liquids": "after lunch"})


def mend(row: CaseDetails) -> None:
    row.intake = {}
    row.save(update_fields=["intake"])


def marks(case: Appointment) -> list[DeskTask]:
    told = DeskTask.objects.filter(kind=TaskKind.RULES, appointment=case, note__contains=rechecking.NOT_ASKED)
    return list(told.order_by("pk"))


def test_changed_fact_that_breaks_the_rules_stops_no_other_and_is_asked_about_again(
    many: Callable[[int], list[Appointment]],
) -> None:
    bad, *good = many(3)
    spoilt = spoil(bad)
    for case in (bad, *good):
        put(Condition, case.patient, kind="infection", began_on=TODAY)
        FactChange.objects.create(patient=case.patient, kind="condition", at=NOW)
    with capture_logs() as lines:
        first = rechecking.follow_changes(at=NOW)
    told = [(line["event"], line["patient"], type(line["exc_info"])) for line in lines]
    assert told == [("recheck_broke_down", str(bad.patient.public_id), ValueError)]  # of whom nothing but the id is told
    assert (first.seen, first.failed) == (2, 1)
    assert [standing(case) for case in good] == [{"active_infection"}] * 2
    assert said(bad) == {}
    assert FactChange.objects.get(done_at=None).failures == 1
    (mark,) = marks(bad)
    assert (mark.reason, mark.due_at, mark.done_at) == ("not_asked", NOW + DAY, None)
    assert [marks(case) for case in good] == [[], []]

    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=1)
    assert FactChange.objects.get(done_at=None).failures == 2
    assert len(marks(bad)) == 1

    mend(spoilt)
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert standing(bad) == {"active_infection"}
    assert not FactChange.objects.filter(done_at=None).exists()
    task = DeskTask.objects.get(kind=TaskKind.RULES, appointment=bad)
    assert (task.done_at, rechecking.NOT_ASKED in task.note) == (None, False)  # what stands now is what it says


def test_who_closed_the_task_is_told_again_the_next_day_only(many: Callable[[int], list[Appointment]]) -> None:
    (bad,) = many(1)
    spoil(bad)
    FactChange.objects.create(patient=bad.patient, kind="condition", at=NOW)
    rechecking.follow_changes(at=NOW)
    desk = Actor.of_user(factories.user(role="desk", sites=(bad.site,)))
    desk_tasks.close_task(task=marks(bad)[0], outcome="mended", by=desk, at=NOW)
    rechecking.follow_changes(at=NOW + DAY - DAY / 24)
    assert [task.done_at for task in marks(bad)] == [NOW]
    rechecking.follow_changes(at=NOW + DAY)
    assert [task.done_at for task in marks(bad)] == [NOW, None]


def test_night_that_breaks_down_on_one_patient_goes_on_with_the_others(many: Callable[[int], list[Appointment]]) -> None:
    first, bad, last = many(3)
    spoilt = spoil(bad)
    assert rechecking.check_all(at=NOW) == rechecking.Asked(2, 2, 1)
    run = RuleCheck.objects.get()
    assert (run.cursor, run.seen, run.changed, run.failed, run.done_at) == (last.pk, 2, 2, 1, NOW)
    assert (bool(said(first)), said(bad), bool(said(last))) == (True, {}, True)
    assert len(marks(bad)) == 1
    again = FactChange.objects.get(done_at=None)
    assert (again.patient_id, again.kind, again.failures, again.planned_at) == (bad.patient_id, rechecking.AGAIN, 1, NOW)

    mend(spoilt)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(1, 1)
    assert said(bad)
    assert [task.done_at for task in marks(bad)] == [NOW]


def test_one_on_whom_it_broke_down_comes_after_the_others(
    many: Callable[[int], list[Appointment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "AT_ONCE", 1)
    bad, good = many(2)
    spoil(bad)
    for case in (bad, good):
        FactChange.objects.create(patient=case.patient, kind="condition", at=NOW)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=1)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(1, 1)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=1)


def down() -> list[DeskTask]:
    return list(DeskTask.objects.filter(kind=TaskKind.RULES_DOWN).order_by("pk"))


def changed(cases: list[Appointment]) -> None:
    for case in cases:
        FactChange.objects.create(patient=case.patient, kind="condition", at=NOW)


def test_what_breaks_down_on_five_in_a_row_stops_the_pass_and_is_told_to_a_manager_once(
    many: Callable[[int], list[Appointment]],
) -> None:
    cases = many(7)
    spoilt = [spoil(case) for case in cases]
    changed(cases)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=5)
    (task,) = down()
    assert (task.role, task.patient, task.appointment, task.note) == ("manager", cases[0].patient, None, rechecking.DOWN)
    assert [marks(case) for case in cases] == [[]] * 7

    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=5)  # the two who were not asked come first
    assert list(FactChange.objects.order_by("patient").values_list("failures", flat=True)) == [2, 2, 2, 1, 1, 1, 1]
    assert len(down()) == 1

    for row in spoilt:
        mend(row)
    assert rechecking.follow_changes(at=NOW + DAY / 24).seen == 7
    assert [(task.outcome, task.done_at) for task in down()] == [("not_needed", NOW + DAY / 24)]


def test_four_in_a_row_are_told_case_by_case(many: Callable[[int], list[Appointment]]) -> None:
    cases = many(6)
    for case in cases[:4]:
        spoil(case)
    changed(cases)
    assert rechecking.follow_changes(at=NOW).failed == 4
    assert ([len(marks(case)) for case in cases], down()) == ([1, 1, 1, 1, 0, 0], [])


def test_four_and_one_who_goes_well_and_four_are_not_all(many: Callable[[int], list[Appointment]]) -> None:
    cases = many(9)
    for case in (*cases[:4], *cases[5:]):
        spoil(case)
    changed(cases)
    assert rechecking.follow_changes(at=NOW).failed == 8
    assert ([len(marks(case)) for case in cases], down()) == ([1, 1, 1, 1, 0, 1, 1, 1, 1], [])


def test_a_night_that_breaks_down_on_all_stops_goes_on_behind_them_and_nobody_is_left_out(
    many: Callable[[int], list[Appointment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "BATCH", 7)
    cases = many(8)
    spoilt = [spoil(case) for case in cases[:7]]
    assert rechecking.check_all(at=NOW) == rechecking.Asked(failed=5)
    run = RuleCheck.objects.get()
    assert (run.cursor, run.failed, run.done_at) == (cases[6].pk, 5, None)
    waiting = FactChange.objects.filter(done_at=None).order_by("patient").values_list("failures", flat=True)
    assert list(waiting) == [1, 1, 1, 1, 1, 0, 0]  # the two who were not asked wait as well
    assert len(down()) == 1

    for row in spoilt:
        mend(row)
    assert rechecking.check_all(at=NOW).seen == 1  # the next beat goes on
    assert rechecking.follow_changes(at=NOW).seen == 7
    assert all(said(case) for case in cases)
    assert [task.outcome for task in down()] == ["not_needed"]


def test_a_manager_who_closed_it_is_told_again_the_next_day_only(many: Callable[[int], list[Appointment]]) -> None:
    cases = many(5)
    for case in cases:
        spoil(case)
    changed(cases)
    rechecking.follow_changes(at=NOW)
    manager = Actor.of_user(factories.user(role="manager", sites=(cases[0].site,)))
    desk_tasks.close_task(task=down()[0], outcome="mended", by=manager, at=NOW)
    rechecking.follow_changes(at=NOW + DAY - DAY / 24)
    assert len(down()) == 1
    rechecking.follow_changes(at=NOW + DAY)
    assert [task.done_at for task in down()] == [NOW, None]


def test_the_callers_time_limit_ends_the_pass_and_accuses_nobody(many: Callable[[int], list[Appointment]]) -> None:
    slow, good = many(2)
    spoilt = spoil(slow)  # stands for what the limit interrupts: a `ValueError` in the middle of asking
    changed([slow, good])
    assert rechecking.follow_changes(at=NOW, ended_by=(ValueError,)) == rechecking.Asked()
    assert (marks(slow), down(), said(good)) == ([], [], {})
    assert rechecking.follow_changes(at=NOW, ended_by=(ValueError,)).seen == 1  # the others first, then it again
    assert said(good)
    mend(spoilt)
    assert rechecking.follow_changes(at=NOW, ended_by=(ValueError,)).seen == 1
    assert not FactChange.objects.filter(done_at=None).exists()


@dataclass(frozen=True)
class TimeIsUp:
    """A rule in the middle of which the worker's time is over."""

    code: str = "slow"

    def check(self, facts: Facts, on: date) -> Finding | None:
        raise SoftTimeLimitExceeded


@pytest.mark.parametrize("task", [tasks.follow_facts, tasks.check_rules], ids=["follow_facts", "check_rules"])
def test_the_workers_time_limit_is_no_patients_fault(
    many: Callable[[int], list[Appointment]],
    task: Callable[[], None],
    stand_at: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = many(2)
    changed(cases)
    stand_at(NOW)
    monkeypatch.setattr(rulebook, "RULES", (TimeIsUp(),))
    task()
    assert ([mark for case in cases for mark in marks(case)], down()) == ([], [])
    assert FactChange.objects.filter(done_at=None).exists()


def test_a_cancelled_statement_ends_the_batch_which_is_asked_about_later(many: Callable[[int], list[Appointment]]) -> None:
    slow, good = many(2)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.cancel() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'; END$$"
        )
        cursor.execute(
            "CREATE TRIGGER cancel BEFORE INSERT ON scheduling_appointmentfinding FOR EACH ROW"
            f" WHEN (NEW.appointment_id = {slow.pk}) EXECUTE FUNCTION pg_temp.cancel()"
        )
    assert rechecking.check_all(at=NOW) == rechecking.Asked()
    assert (marks(slow), marks(good), down()) == ([], [], [])
    waiting = FactChange.objects.filter(done_at=None).order_by("patient").values_list("patient", flat=True)
    assert list(waiting) == [slow.patient_id, good.patient_id]
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked()
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert (bool(said(good)), marks(slow), down()) == (True, [], [])
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER cancel ON scheduling_appointmentfinding")
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert bool(said(slow))
