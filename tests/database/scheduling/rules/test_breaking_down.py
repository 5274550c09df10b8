"""The rules break down on one patient: the others go on, it is seen, and it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test import Client
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from patients.models import Condition, FactChange
from procedures import rulebook
from procedures.rules import Facts, Finding
from scheduling import deaths, desk_tasks, rechecking, tasks
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
    assert (task.role, task.patient, task.appointment, task.note) == ("manager", cases[0].patient, cases[0], rechecking.DOWN)
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


def test_one_more_beside_four_who_are_told_of_is_told_of_too_and_so_is_a_sixth(
    many: Callable[[int], list[Appointment]],
) -> None:
    cases = many(6)
    for case in cases:
        spoil(case)
    changed(cases[:4])
    rechecking.follow_changes(at=NOW)
    for count in (4, 5, 6):
        changed(cases[count - 1 : count] if count > 4 else [])
        assert rechecking.follow_changes(at=NOW).failed == count
        assert [len(marks(case)) for case in cases] == [1] * count + [0] * (6 - count)
    assert down() == []
    assert set(FactChange.objects.filter(done_at=None).values_list("failures", flat=True)) == {4, 2, 1}  # nobody is left out


def test_who_breaks_down_beside_five_of_whom_only_the_manager_knows_is_told_of(
    many: Callable[[int], list[Appointment]],
) -> None:
    cases = many(7)
    for case in cases[:6]:
        spoil(case)
    changed(cases[:5])
    rechecking.follow_changes(at=NOW)
    assert (len(down()), [len(marks(case)) for case in cases]) == (1, [0] * 7)
    changed(cases[5:6])
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(failed=5)
    assert (len(down()), [len(marks(case)) for case in cases]) == (1, [0, 0, 0, 0, 0, 1, 0])
    changed(cases[6:])  # it goes well, so the product is not down: it is the five, and the desk has to look
    rechecking.follow_changes(at=NOW)
    assert (len(down()), [len(marks(case)) for case in cases]) == (1, [1, 1, 1, 1, 1, 1, 0])


def test_a_patient_without_cases_says_nothing_of_whether_the_rules_can_be_asked(
    many: Callable[[int], list[Appointment]],
) -> None:
    cases = many(5)
    for case in cases:
        spoil(case)
    changed(cases[:4])
    FactChange.objects.create(patient=factories.patient(home=cases[0].site), kind="condition", at=NOW)
    changed(cases[4:])
    rechecking.follow_changes(at=NOW)
    assert (len(down()), [len(marks(case)) for case in cases]) == (1, [0] * 5)


def test_managers_of_every_site_that_expects_one_of_them_are_told(many: Callable[[int], list[Appointment]]) -> None:
    cases = many(5)
    here, there, closed = cases[0].site, factories.site(), factories.site()
    Appointment.objects.filter(pk__in=[cases[2].pk, cases[3].pk]).update(site=there)
    Appointment.objects.filter(pk=cases[4].pk).update(site=closed)
    type(closed).objects.filter(pk=closed.pk).update(is_active=False)
    spoilt = [spoil(case) for case in cases]
    changed(cases)
    rechecking.follow_changes(at=NOW)
    assert [(task.site, task.appointment) for task in down()] == [(here, cases[0]), (there, cases[2])]
    manager = factories.user(role="manager", sites=(there,))
    assert [task.site for task in DeskTask.objects.visible_to(manager)] == [there]
    desk_tasks.close_task(task=down()[1], outcome="mended", by=Actor.of_user(manager), at=NOW)
    rechecking.follow_changes(at=NOW + DAY)
    assert [(task.site, task.done_at) for task in down()] == [(here, None), (there, NOW), (there, None)]
    for row in spoilt:
        mend(row)
    rechecking.follow_changes(at=NOW + DAY)
    assert [task.done_at for task in down()] == [NOW + DAY, NOW, NOW + DAY]


def test_where_no_site_expects_them_the_home_of_one_is_told(many: Callable[[int], list[Appointment]]) -> None:
    cases = many(5)
    site = cases[0].site
    type(site).objects.filter(pk=site.pk).update(is_active=False)
    for case in cases:
        spoil(case)
    changed(cases)
    rechecking.follow_changes(at=NOW)
    rechecking.follow_changes(at=NOW)
    assert [(task.site, task.appointment) for task in down()] == [(site, None)]


def test_the_managers_task_is_not_the_patients_and_stays_when_that_one_has_died(
    many: Callable[[int], list[Appointment]],
) -> None:
    cases = many(5)
    for case in cases:
        spoil(case)
    changed(cases)
    rechecking.follow_changes(at=NOW)
    dead = cases[0].patient
    dead.deceased_on = TODAY
    deaths.follow(patient=dead, at=NOW)
    assert [task.done_at for task in down()] == [None]


def test_a_case_that_could_not_be_asked_about_says_so_on_its_page_and_on_the_board_until_it_is(
    many: Callable[[int], list[Appointment]], signed_in: Callable[..., Client]
) -> None:
    cases = many(6)
    spoilt = [spoil(case) for case in cases[:5]]
    changed(cases)
    rechecking.follow_changes(at=NOW)  # it stops at five, and no case has a task of its own
    desk = signed_in("desk", cases[0].site)

    def shown(case: Appointment) -> tuple[bool, bool, bool]:
        """Say whether page, board and list tell of it; the board of the case's day has all of them."""
        page = desk.get(f"/appointments/{case.public_id}/").context["case"]
        url = f"/board/?site={case.site.slug}&day={case.local_date.isoformat()}&view=list"
        board = desk.get(url)
        (bar,) = [one for one in board.context["board"].cases if one.public_id == case.public_id]
        told = "rules_not_asked" in [line.code for line in page.lines]
        return told, bar.is_unasked, "rules not asked" in board.content.decode()

    assert (shown(cases[0]), shown(cases[5])) == ((True, True, True), (False, False, True))
    Appointment.objects.filter(pk=cases[1].pk).update(status="in_room")
    assert shown(cases[1]) == (False, False, True)
    for row in spoilt:
        mend(row)
    rechecking.follow_changes(at=NOW)
    assert shown(cases[0]) == (False, False, False)


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


def cancel_asking_about(case: Appointment) -> None:
    """Let the database cancel what writes down what is said of this case, as it does with what takes too long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.cancel() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'; END$$"
        )
        cursor.execute(
            "CREATE TRIGGER cancel BEFORE INSERT ON scheduling_appointmentfinding FOR EACH ROW"
            f" WHEN (NEW.appointment_id = {case.pk}) EXECUTE FUNCTION pg_temp.cancel()"
        )


def cancel_no_more() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER cancel ON scheduling_appointmentfinding")


def test_one_on_whom_statements_are_always_cancelled_is_told_of_the_fourth_time(
    many: Callable[[int], list[Appointment]],
) -> None:
    (slow,) = many(1)
    cancel_asking_about(slow)
    changed([slow])
    for _ in range(3):
        assert rechecking.follow_changes(at=NOW) == rechecking.Asked()
        assert marks(slow) == []
    rechecking.follow_changes(at=NOW)
    assert [task.done_at for task in marks(slow)] == [None]
    rechecking.follow_changes(at=NOW)
    assert (len(marks(slow)), down()) == (1, [])
    cancel_no_more()
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert not DeskTask.objects.filter(done_at=None, note__contains=rechecking.NOT_ASKED).exists()


def test_a_cancelled_batch_of_several_accuses_none_of_them_however_often(many: Callable[[int], list[Appointment]]) -> None:
    slow, good = many(2)
    cancel_asking_about(slow)
    changed([slow, good])
    FactChange.objects.update(failures=3)
    assert rechecking.check_all(at=NOW) == rechecking.Asked()
    assert (marks(slow), marks(good)) == ([], [])


def test_a_cancelled_statement_ends_the_batch_which_is_asked_about_later(many: Callable[[int], list[Appointment]]) -> None:
    slow, good = many(2)
    cancel_asking_about(slow)
    assert rechecking.check_all(at=NOW) == rechecking.Asked()
    assert (marks(slow), marks(good), down()) == ([], [], [])
    waiting = FactChange.objects.filter(done_at=None).order_by("patient").values_list("patient", flat=True)
    assert list(waiting) == [slow.patient_id, good.patient_id]
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked()
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert (bool(said(good)), marks(slow), down()) == (True, [], [])
    cancel_no_more()
    assert rechecking.follow_changes(at=NOW).seen == 1
    assert bool(said(slow))


def board_says(desk: Client, case: Appointment) -> bool:
    url = f"/board/?site={case.site.slug}&day={case.local_date.isoformat()}&view=list"
    (bar,) = [one for one in desk.get(url).context["board"].cases if one.public_id == case.public_id]
    page = desk.get(f"/appointments/{case.public_id}/").context["case"]
    assert bar.is_unasked == ("rules_not_asked" in [line.code for line in page.lines])
    return bool(bar.is_unasked)


@pytest.mark.parametrize("status", ["booked", "arrived", "preparing", "ready"])
def test_a_case_that_could_never_be_asked_about_says_so_until_it_is_though_its_patient_is_here_or_should_be(
    many: Callable[[int], list[Appointment]], signed_in: Callable[..., Client], status: str
) -> None:
    (bad,) = many(1)
    spoilt = spoil(bad)
    put(Condition, bad.patient, kind="infection", began_on=TODAY)
    changed([bad])
    rechecking.follow_changes(at=NOW)
    Appointment.objects.filter(pk=bad.pk).update(status=status)
    desk = signed_in("desk", bad.site)
    here = bad.starts_at
    for _ in range(2):
        assert rechecking.follow_changes(at=here) == rechecking.Asked(failed=1)
        assert (board_says(desk, bad), said(bad)) == (True, {})
    mend(spoilt)
    assert rechecking.follow_changes(at=here) == rechecking.Asked()
    assert (board_says(desk, bad), "active_infection" in standing(bad)) == (False, True)  # what is said now is not lost
    assert not FactChange.objects.filter(done_at=None).exists()


@pytest.mark.parametrize(("status", "late"), [("booked", DAY * 0), ("arrived", DAY), ("in_room", -DAY), ("no_show", -DAY)])
def test_nobody_waits_for_a_case_that_is_over_or_in_the_room(
    many: Callable[[int], list[Appointment]], status: str, late: timedelta
) -> None:
    (bad,) = many(1)
    spoil(bad)
    changed([bad])
    rechecking.follow_changes(at=NOW)
    Appointment.objects.filter(pk=bad.pk).update(status=status)
    over = bad.leaves_at + late
    if status in {"booked", "arrived"}:
        assert rechecking.follow_changes(at=over - DAY / 86400).failed == 1
    assert rechecking.follow_changes(at=over) == rechecking.Asked()
    assert not FactChange.objects.filter(done_at=None).exists()


def test_however_many_of_those_who_are_here_it_breaks_down_on_the_others_are_asked_about_and_the_managers_task_stays(
    many: Callable[[int], list[Appointment]],
) -> None:
    *here, good = many(7)
    spoilt = [spoil(case) for case in here]
    changed(here)
    rechecking.follow_changes(at=NOW)
    assert len(down()) == 1
    Appointment.objects.filter(pk__in=[case.pk for case in here]).update(status="arrived")
    for _ in range(2):
        changed([good])
        assert rechecking.follow_changes(at=NOW).seen == 1
        assert ([task.done_at for task in down()], [marks(case) for case in here]) == ([None], [[]] * 6)
    for row in spoilt:
        mend(row)
    rechecking.follow_changes(at=NOW)
    assert [task.done_at for task in down()] == [NOW]


@pytest.mark.parametrize("rules", [(), None])
def test_time_that_is_over_while_asking_about_who_is_here_ends_the_pass(
    many: Callable[[int], list[Appointment]], monkeypatch: pytest.MonkeyPatch, rules: tuple[()] | None
) -> None:
    here, good = many(2)
    Appointment.objects.filter(pk=here.pk).update(status="arrived")
    changed([here, good])
    FactChange.objects.update(failures=1)
    if rules is None:
        monkeypatch.setattr(rulebook, "RULES", (TimeIsUp(),))
    with capture_logs() as lines:
        rechecking.follow_changes(at=NOW, ended_by=(SoftTimeLimitExceeded,))
    left = list(FactChange.objects.filter(done_at=None).order_by("patient").values_list("failures", flat=True))
    assert (left, [line["event"] for line in lines]) == (([2, 1], ["recheck_ended"]) if rules is None else ([], []))


def test_who_is_here_is_not_asked_about_where_it_never_broke_down(many: Callable[[int], list[Appointment]]) -> None:
    (here,) = many(1)
    Appointment.objects.filter(pk=here.pk).update(status="arrived")
    for failures in (0, 1):
        changed([here])
        FactChange.objects.filter(done_at=None).update(failures=failures)
        rechecking.follow_changes(at=NOW)
        assert bool(said(here)) == bool(failures)
        assert not FactChange.objects.filter(done_at=None).exists()
