"""Every night the rules are asked about every coming case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from procedures.models import RuleRow
from procedures.rules import Waiver
from scheduling import rechecking, waiting
from scheduling.booking import RulesRefused
from scheduling.models import (
    Appointment,
    RuleCheck,
    Status,
    TaskKind,
)
from scheduling.rechecking import passes
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, booked, said, settle, tasks
from tests.factories import NOW, SmallClinic


def test_night_asks_about_every_coming_case_in_batches_and_goes_on_after_a_stop(
    many: Callable[[int], list[Appointment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "BATCH", 2)
    cases = many(5)
    factories.appointment(status=Status.CANCELLED)
    ticks: Iterator[datetime] = (NOW + timedelta(minutes=number) for number in range(100))
    first = rechecking.check_all(at=NOW, budget=timedelta(seconds=90), now=lambda: next(ticks))
    assert first == rechecking.Asked(4, 4)
    run = RuleCheck.objects.get()
    assert (run.because, run.cursor, run.seen, run.done_at) == ("night", cases[3].pk, 4, None)
    assert rechecking.check_all(at=NOW) == rechecking.Asked(1, 1)
    run.refresh_from_db()
    assert (run.seen, run.changed, run.done_at) == (5, 5, NOW)
    assert all(said(case) for case in cases)
    # Once a night; the next one finds nothing new to say.
    assert rechecking.check_all(at=NOW + timedelta(hours=1)) == rechecking.Asked()
    assert rechecking.check_all(at=NOW + DAY) == rechecking.Asked(5, 0)


def test_changed_rule_is_asked_about_before_the_night(many: Callable[[int], list[Appointment]]) -> None:
    (case,) = many(1)
    rechecking.check_all(at=NOW)
    assert said(case)["active_infection:not yet asked"] == "pending"
    RuleRow.objects.filter(row_id="active_infection").update(is_enabled=False)
    assert rechecking.check_all(at=NOW) == rechecking.Asked(1, 1)
    assert "active_infection:not yet asked" not in said(case)
    assert [run.because for run in RuleCheck.objects.order_by("pk")] == ["night", "rules"]


def test_as_many_statements_for_three_cases_as_for_one(many: Callable[[int], list[Appointment]]) -> None:
    def statements(cases: list[Appointment]) -> int:
        with CaptureQueriesContext(connection) as asked:
            rechecking.recheck([case.patient_id for case in cases], at=NOW)
        return len([one for one in asked.captured_queries if "SAVEPOINT" not in one["sql"]])

    cases = many(4)
    rechecking.recheck([case.patient_id for case in cases], at=NOW)
    assert statements(cases[:1]) == statements(cases[1:]) == 8


def test_unusable_rule_stops_the_booking_for_all_but_a_physician_and_says_which(
    ruled: SmallClinic, by: Actor, physician: Actor
) -> None:
    settle(ruled)
    row = RuleRow.objects.get(row_id="mcr_esi_cap")
    row.data = row.data | {"params": {"max_sessions": "four"}}
    row.save(update_fields=["data"])
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by)
    assert refusal.value.standing[0].code == "rules_unreadable"
    assert "mcr_esi_cap" in refusal.value.standing[0].message
    booked(ruled, physician, waivers=[Waiver("rules_unreadable", "urgent", "Checked on paper.")])


def test_cases_that_are_over_have_their_tasks_closed_at_night(ruled: SmallClinic, by: Actor) -> None:
    case = booked(ruled, by)
    assert TaskKind.ASK in tasks(case)
    rechecking.check_all(at=case.leaves_at + DAY)
    assert not set(tasks(case)) & set(waiting.READINESS)
