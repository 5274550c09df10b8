"""The rules break down on one patient: the others go on, it is seen, and it is asked again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from patients.models import Condition, FactChange
from scheduling import desk_tasks, rechecking
from scheduling.models import Appointment, CaseDetails, DeskTask, RuleCheck, TaskKind
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
    monkeypatch.setattr(rechecking, "AT_ONCE", 1)
    bad, good = many(2)
    spoil(bad)
    for case in (bad, good):
        FactChange.objects.create(patient=case.patient, kind="condition", at=NOW)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=1)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(1, 1)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=1)
