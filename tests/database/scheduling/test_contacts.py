"""What the outcomes table gives to people after a visit, calls and visits, becomes tasks with a day when a case is completed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import outcomes, records
from patients.models import Patient, PerformedProcedure, Score
from procedures.models import Procedure
from scheduling import asks, contacts, desk_tasks, follow_ups, visits
from scheduling.models import Appointment, DeskTask, Status, TaskKind
from tests import factories
from tests.factories import TODAY, SmallClinic, local

Enter = Callable[..., Client]


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


def case_of(clinic: SmallClinic, family: str) -> Appointment:
    Procedure.objects.filter(pk=clinic.procedure.pk).update(family=family)
    clinic.procedure.refresh_from_db()
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources,
        starts_at=local(TODAY, "9:00"), status=Status.DISCHARGED, side="left",
    )  # fmt: skip


def completed(clinic: SmallClinic, doctor: Actor, family: str, at: datetime | None = None) -> Appointment:
    case = case_of(clinic, family)
    visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=at or case.leaves_at, reason="On paper")
    case.refresh_from_db()
    return case


def due() -> list[tuple[str, date]]:
    rows = DeskTask.objects.filter(kind=TaskKind.FOLLOW_UP, done_at=None).order_by("due_at")
    return [(row.reason, row.due_at.astimezone(factories.NEW_YORK).date()) for row in rows]


def test_calls_and_visits_of_the_table_are_tasks_of_the_nurse(clinic: SmallClinic, doctor: Actor) -> None:
    case = completed(clinic, doctor, "scs_trial")

    assert due() == [
        ("score-1d", TODAY + timedelta(days=1)), ("score-3d", TODAY + timedelta(days=3)), ("score-7d", TODAY + timedelta(days=7)),
    ]  # fmt: skip
    first, _, last = DeskTask.objects.filter(kind="follow_up").order_by("due_at")
    assert (first.role, first.site, first.appointment, first.due_at) == (
        "nurse", clinic.site, case, local(TODAY + timedelta(days=1), "16:00"),
    )  # fmt: skip
    assert first.note == "Call, day 1 after it. Ask: whether anything is wrong; Numeric rating scale for pain."
    assert last.note.startswith("Visit for lead removal, day 7 after it.")
    event = AuditEvent.objects.get(act="scheduling.open_tasks")
    assert event.details == {"kinds": ["follow_up"], "steps": ["score-1d", "score-3d", "score-7d"]}


def test_every_contact_of_the_table_is_either_asked_by_mail_or_a_task(clinic: SmallClinic, doctor: Actor) -> None:
    by_people = {(one.family, one.step) for one in follow_ups.contacts() if not one.is_by_mail and one.collect}

    assert by_people == {
        ("facet_rfa", "score-2d"), ("facet_rfa", "score-42d"), ("scs_trial", "score-1d"), ("scs_trial", "score-3d"),
        ("scs_trial", "score-7d"),
    }  # fmt: skip
    completed(clinic, doctor, "facet_rfa")
    assert [step for step, _ in due()] == ["score-2d", "score-42d"]


def test_what_is_asked_by_mail_gives_no_task(clinic: SmallClinic, doctor: Actor) -> None:
    completed(clinic, doctor, "si_injection")

    assert due() == []


@pytest.mark.parametrize(("family", "days"), [("esi", 14), ("tpi", 42)])
def test_a_score_that_no_mail_can_ask_is_recorded_by_somebody(clinic: SmallClinic, doctor: Actor, family: str, days: int) -> None:
    case = completed(clinic, doctor, family)

    assert due() == [(f"score-{days}d:record", TODAY + timedelta(days=days))]
    task = DeskTask.objects.get(kind="follow_up")
    assert (task.role, task.appointment, task.note) == (
        "nurse", case,
        f"Record by telephone or at the visit, day {days} after it: PEG three-item scale. The mail does not ask it.",
    )  # fmt: skip


def test_every_peg_of_the_table_is_asked_by_people(clinic: SmallClinic) -> None:
    asked = {(one.family, one.step) for one in follow_ups.contacts() if "peg" in one.collect}

    assert asked == {("esi", "score-14d"), ("tpi", "score-42d"), ("scs_trial", "score-3d"), ("scs_trial", "score-7d")}
    assert "peg" not in asks.ONE_NUMBER


def scored(clinic: SmallClinic, doctor: Actor, days: int, **values: Any) -> Score:
    on = TODAY + timedelta(days=days)
    given = {
        "measure": "peg", "aspect": "total", "value": 4, "scored_on": on, "phase": "follow_up",
        "performed": PerformedProcedure.objects.get(),
    }  # fmt: skip
    return outcomes.record_score(patient=clinic.patient, values={**given, **values}, by=doctor, at=local(on, "10:00"))


@pytest.mark.parametrize(
    ("days", "values", "left"),
    [
        (7, {}, 0), (14, {}, 0), (30, {"performed": None, "phase": "routine"}, 0), (6, {}, 1), (14, {"measure": "nrs"}, 1),
    ],
)  # fmt: skip
def test_it_is_over_when_the_score_is_there(
    clinic: SmallClinic, doctor: Actor, days: int, values: dict[str, Any], left: int
) -> None:
    completed(clinic, doctor, "esi")
    at = local(TODAY + timedelta(days=days), "11:00")
    assert contacts.tidy(at=at) == 0

    scored(clinic, doctor, days, **values)

    assert contacts.tidy(at=at) == 1 - left
    assert len(due()) == left


def test_a_score_that_was_a_mistake_or_of_somebody_else_ends_nothing(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    completed(clinic, doctor, "esi")
    row = scored(clinic, doctor, 14)
    outcomes.withdraw_score(score=row, reason="Typed twice", by=doctor, at=at, version=row.version)
    other = factories.patient(home=clinic.site, last_name="Other")
    outcomes.record_score(
        patient=other, values={"measure": "peg", "aspect": "total", "value": 4, "scored_on": TODAY + timedelta(days=14)},
        by=doctor, at=at,
    )  # fmt: skip

    assert contacts.tidy(at=at) == 0


def test_a_call_that_asks_more_is_not_over_with_the_score(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    completed(clinic, doctor, "scs_trial")
    scored(clinic, doctor, 7)

    assert (contacts.tidy(at=at), len(due())) == (0, 3)


@pytest.mark.parametrize(("day", "workday"), [(4, 4), (5, 7), (6, 7), (7, 7)])
def test_a_weekend_makes_it_monday(day: int, workday: int) -> None:
    monday = date(2026, 9, 14)

    assert contacts._workday(monday + timedelta(days=day)) == monday + timedelta(days=workday)


@pytest.mark.parametrize(("days", "steps"), [(4, ["score-2d", "score-42d"]), (6, ["score-42d"])])
def test_a_late_completion_makes_up_for_what_is_not_long_ago(
    clinic: SmallClinic, doctor: Actor, days: int, steps: list[str]
) -> None:
    at = local(TODAY + timedelta(days=days), "10:00")
    completed(clinic, doctor, "facet_rfa", at)

    assert [step for step, _ in due()] == steps
    assert DeskTask.objects.order_by("due_at").values_list("due_at", flat=True)[0] >= at


def test_a_contact_is_there_once_open_or_done(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    case = completed(clinic, doctor, "facet_rfa")
    nurse = Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))
    task = DeskTask.objects.get(reason="score-2d")
    desk_tasks.close_task(task=task, outcome="reached", note="All is well", by=nurse, at=at)
    performed = PerformedProcedure.objects.get()

    contacts.lay_down(case=case, performed=performed, by=doctor, at=case.leaves_at)

    assert [step for step, _ in due()] == ["score-42d"]
    assert DeskTask.objects.filter(kind="follow_up").count() == 2
    task.pk = None
    task.public_id = case.public_id
    with pytest.raises(IntegrityError, match="desk_task_follow_up_once"), transaction.atomic():
        task.save(force_insert=True)


def test_nobody_asks_for_a_patient_who_has_died(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    completed(clinic, doctor, "facet_rfa")
    assert contacts.tidy(at=at) == 0
    Patient.objects.filter(pk=clinic.patient.pk).update(deceased_on=TODAY)

    assert (contacts.tidy(at=at), contacts.tidy(at=at)) == (2, 0)
    assert set(DeskTask.objects.values_list("outcome", "done_at")) == {("not_needed", at)}
    assert AuditEvent.objects.filter(act="scheduling.close_task", reason_code="not_needed").count() == 2


def test_nobody_asks_after_what_was_not_done(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    completed(clinic, doctor, "facet_rfa")
    records.mark_in_error(row=PerformedProcedure.objects.get(), reason="Another patient", by=doctor, at=at)

    assert contacts.tidy(at=at) == 2
    assert due() == []


def test_no_task_is_made_for_the_dead(clinic: SmallClinic, doctor: Actor) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(deceased_on=TODAY)
    clinic.patient.refresh_from_db()
    completed(clinic, doctor, "facet_rfa")

    assert due() == []


def test_the_nurse_finds_writes_down_and_closes_the_call(clinic: SmallClinic, doctor: Actor, signed_in: Enter) -> None:
    completed(clinic, doctor, "facet_rfa")
    nurse, desk = signed_in("nurse", clinic.site), signed_in("desk", clinic.site)

    page = nurse.get("/tasks/?kind=after").context["page"]
    assert [row.note.partition(".")[0] for row in page.rows] == ["Call, day 2 after it", "Visit, day 42 after it"]
    assert "After the visit" in [tab.label for tab in page.tabs]
    scores = f"/patients/{clinic.patient.public_id}/scores/new/"
    assert [[way.value for way in row.ways] for row in page.rows] == [[scores], [scores]]
    assert desk.get("/tasks/").context["page"].rows == ()
    assert nurse.post(page.rows[0].close_url, {"outcome": "reached", "note": "No complaints"}).status_code == 303
    closed = DeskTask.objects.get(reason="score-2d")
    assert (closed.outcome, closed.note.endswith("No complaints")) == ("reached", True)
    assert [row.reason for row in DeskTask.objects.filter(done_at=None)] == ["score-42d"]
    told = nurse.get("/api/v1/tasks/?kind=follow_up").json()
    assert [one["role"] for one in told["results"]] == ["nurse"]
