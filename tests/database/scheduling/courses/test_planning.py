"""Courses are planned once per cause and every night; only what changed is written; a worker may die at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from patients import outcomes, records
from patients.models import Condition, FactChange
from procedures.models import Procedure
from scheduling import booking, courses, visits
from scheduling.booking import Target
from scheduling.courses import judging, planning
from scheduling.models import Appointment, Course, PlanCause, PlannedSession, PlanRun, Status
from scheduling.openings import find_openings
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY, local

DAY = timedelta(days=1)


def booked(ward: Ward, code: str = "mbb_lumbar", *, after: datetime = NOW) -> Appointment:
    """Return a case booked for the facet course at the first opening."""
    procedure = Procedure.objects.get(code=code)
    found = find_openings(procedure=procedure, at=NOW, earliest=after, patient=ward.patient, limit=1)
    return booking.book(
        patient=ward.patient, procedure=procedure, target=Target("right", FACET.levels), opening=found.openings[0],
        by=ward.desk, at=NOW,
    )  # fmt: skip


def changes(course: Course) -> int:
    """Return how often the row history saw the plan written."""
    from django.apps import apps  # the event model has no name of ours

    return apps.get_model("scheduling", "PlannedSessionEvent").objects.filter(course=course).count()


# --- causes ----------------------------------------------------------------------------------------------------------


def test_an_outcome_plans_the_next_step_once(ward: Ward) -> None:
    done = ward.done("mbb_lumbar", TODAY - 3 * DAY)
    course = ward.start()
    assert (current(course).state, current(course).owner, current(course).step) == ("waiting", "patient", "block_2")
    ward.told(done, TODAY - 3 * DAY, 10, "before")
    ward.told(done, TODAY - 3 * DAY, 1, "after")
    assert FactChange.objects.filter(planned_at=None).count() == 2
    tally = courses.sweep(at=NOW)
    assert (tally.planned, tally.changed) == (1, 1)
    planned = current(course)
    assert (planned.state, planned.earliest) == ("proposed", TODAY + 11 * DAY)
    assert FactChange.objects.filter(planned_at=None).count() == 0
    assert courses.sweep(at=NOW) == planning.Tally()


def test_a_completed_session_moves_the_course_on_and_keeps_the_old_row(ward: Ward) -> None:
    course = ward.start()
    case = booked(ward)
    courses.sweep(at=NOW)
    assert (current(course).booked_on, current(course).appointment_id) == (case.local_date, case.pk)
    Appointment.objects.filter(pk=case.pk).update(status=Status.RECOVERY)
    case.refresh_from_db()
    done = replace(visits.as_booked(case), scores=())
    visits.complete(appointment=case, done=done, by=ward.doctor, at=case.ends_at, reason="Asked by word of mouth")
    assert courses.sweep(at=case.ends_at).changed == 1
    rows = PlannedSession.objects.filter(course=course).order_by("number")
    assert [(row.number, row.step, row.is_current) for row in rows] == [(1, "block_1", False), (2, "block_2", True)]
    assert PlanCause.objects.filter(done_at=None).count() == 0


def test_booking_moving_and_cancelling_leave_a_cause_each_and_no_session_too_many(ward: Ward) -> None:
    course = ward.start()
    case = booked(ward)
    assert PlanCause.objects.filter(done_at=None, kind="booking").count() == 1
    courses.sweep(at=NOW)
    there = current(course)
    later = find_openings(
        procedure=case.procedure, at=NOW, earliest=case.starts_at + 3 * DAY, patient=ward.patient, limit=1
    ).openings[0]
    case = booking.reschedule(appointment=case, opening=later, by=ward.desk, at=NOW)
    courses.sweep(at=NOW)
    assert current(course).booked_on == case.local_date != there.booked_on
    booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    courses.sweep(at=NOW)
    assert (current(course).booked_on, current(course).appointment_id) == (None, None)
    assert PlannedSession.objects.filter(course=course).count() == 1


def test_confirming_or_arriving_leaves_no_cause(ward: Ward) -> None:
    ward.start()
    case = booked(ward)
    courses.sweep(at=NOW)
    booking.confirm(appointment=case, by=ward.desk, at=NOW)
    assert PlanCause.objects.filter(done_at=None).count() == 0


def test_a_case_of_somebody_without_a_course_leaves_no_cause(ward: Ward) -> None:
    booked(ward)
    assert PlanCause.objects.count() == 0


def test_a_fact_holds_a_course_and_lets_it_go_again(ward: Ward) -> None:
    ward.done("mbb_lumbar", TODAY - 20 * DAY, pct=90)
    course = ward.start()
    assert current(course).state == "proposed"
    values = {"kind": "infection", "began_on": TODAY - DAY}
    row = records.record(kind=Condition, patient=ward.patient, values=values, by=ward.doctor, at=NOW)
    courses.sweep(at=NOW)
    assert (current(course).state, current(course).for_what) == ("waiting", "An active infection is on file.")
    records.mark_in_error(row=row, reason="Another patient", by=ward.doctor, at=NOW)
    courses.sweep(at=NOW)
    assert current(course).state == "proposed"


def test_a_course_stops_itself_with_the_reason_and_goes_on_when_the_score_was_a_mistake(ward: Ward) -> None:
    done = ward.done("mbb_lumbar", TODAY - 20 * DAY)
    course = ward.start()
    ward.told(done, TODAY - 20 * DAY, 10, "before")
    score = ward.told(done, TODAY - 20 * DAY, 9, "after")
    courses.sweep(at=NOW)
    course.refresh_from_db()
    assert (course.status, course.stop_code, course.stopped_at) == ("stopped", "relief_not_reached", NOW)
    assert "10 % is the best on record" in course.stop_reason
    outcomes.amend_score(score=score, changes={"value": 1}, by=ward.doctor, at=NOW)
    courses.sweep(at=NOW)
    course.refresh_from_db()
    assert (course.status, course.stop_code, course.stopped_at) == ("active", "", None)


def test_courses_of_one_patient_know_of_each_others_bookings(ward: Ward) -> None:
    first = ward.start()
    other = ward.start(replace(FACET, side="left"))
    case = booked(ward)
    courses.sweep(at=NOW)
    assert current(first).booked_on == case.local_date
    assert current(other).booked_on is None


# --- only what changed -----------------------------------------------------------------------------------------------


def test_planning_again_writes_nothing(ward: Ward) -> None:
    course = ward.start()
    before = changes(course)
    for _ in range(2):
        assert courses.plan([course.pk], at=NOW + DAY) == planning.Tally(planned=1)
    assert changes(course) == before


def test_the_number_of_statements_does_not_grow_with_the_courses(ward: Ward) -> None:
    keys = [ward.start().pk]
    with CaptureQueriesContext(connection) as one:
        courses.plan(keys, at=NOW)
    for number in range(4):
        patient = factories.patient(home=ward.clinic.site, last_name=f"Other{number}")
        keys.append(ward.start(patient=patient).pk)
    with CaptureQueriesContext(connection) as five:
        courses.plan(keys, at=NOW)
    assert len(five) == len(one) <= 6


# --- nights ----------------------------------------------------------------------------------------------------------


def test_a_night_is_planned_once_in_batches_and_says_how_far_it_has_come(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        ward.start(patient=factories.patient(home=ward.clinic.site, last_name=f"Other{number}"))
    monkeypatch.setattr(planning, "BATCH", 2)
    run = PlanRun.objects.create(site=ward.clinic.site, day=TODAY, started_at=NOW, moved_at=NOW)
    assert planning.plan_some(run, at=NOW, limit=2) == planning.Tally(planned=2)
    run.refresh_from_db()
    assert (run.planned, run.finished_at) == (2, None)
    assert courses.plan_nights(at=NOW).planned == 3  # it goes on where it stood
    run.refresh_from_db()
    assert (run.planned, run.finished_at) == (5, NOW)
    assert courses.plan_nights(at=NOW + timedelta(hours=5)) == planning.Tally()
    assert courses.plan_nights(at=NOW + DAY).planned == 5


def test_before_one_o_clock_at_the_site_the_night_has_not_come(ward: Ward) -> None:
    ward.start()
    assert courses.plan_nights(at=factories.local(TODAY, "0:59")) == planning.Tally()
    assert courses.plan_nights(at=factories.local(TODAY, "1:00")).planned == 1


def test_the_night_lets_an_open_window_lapse(ward: Ward) -> None:
    for on in (TODAY - 380 * DAY, TODAY - 360 * DAY):
        ward.done("mbb_lumbar", on, pct=90)
    course = ward.start(since=TODAY - 400 * DAY)
    assert (course.status, current(course).step) == ("active", "ablation")
    courses.plan_nights(at=NOW + 10 * DAY)
    course.refresh_from_db()
    assert (course.status, course.stop_code) == ("stopped", "expired")


# --- breaking down ---------------------------------------------------------------------------------------------------


def test_a_course_that_breaks_the_planner_is_parked_and_the_others_go_on(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ward.start()
    good = ward.start(patient=factories.patient(home=ward.clinic.site, last_name="Other"))
    PlannedSession.objects.filter(course=good).update(step="something_old")
    ask = judging.next_step

    def break_down(*args: object, **values: object) -> object:
        if values["aim"].works["block_1"].levels == ("L3-L4",):  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return ask(*args, **values)  # type: ignore[arg-type]

    Course.objects.filter(pk=bad.pk).update(levels=["L3-L4"])
    monkeypatch.setattr(judging, "next_step", break_down)
    for count in (1, 2, 3):
        tally = courses.plan([bad.pk, good.pk], at=NOW)
        assert (tally.failed, tally.changed) == (1, 1 if count == 1 else 0)
        bad.refresh_from_db()
        assert (bad.failures, bad.is_parked) == (count, count == 3)
    assert current(good).step == "block_1"
    assert courses.plan([bad.pk, good.pk], at=NOW) == planning.Tally(planned=1)
    monkeypatch.setattr(judging, "next_step", ask)
    back = courses.restart(course=bad, by=ward.doctor, at=NOW, on=TODAY)
    assert (back.failures, back.is_parked) == (0, False)


def test_a_worker_that_dies_before_the_end_leaves_cause_and_plan_as_they_were(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ward.done("mbb_lumbar", TODAY - 3 * DAY, pct=90)
    course = ward.start()
    before = current(course)
    done.side = "left"
    done.save(update_fields=["side"])
    PlanCause.objects.create(patient=ward.patient, kind="fact", at=NOW)

    class Killed(BaseException):
        pass

    def die(*_args: object, **_values: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(planning.trail, "record", die)
        with pytest.raises(Killed):
            courses.sweep(at=NOW)
    assert current(course).step == before.step == "block_2"
    assert PlanCause.objects.filter(done_at=None).count() == 1
    assert courses.sweep(at=NOW).changed == 1
    assert current(course).step == "block_1"


def test_a_pathway_that_is_gone_stops_the_course(ward: Ward) -> None:
    course = ward.start()
    Course.objects.filter(pk=course.pk).update(pathway="gone")
    courses.plan([course.pk], at=NOW)
    course.refresh_from_db()
    assert (course.status, course.stop_code) == ("stopped", "no_pathway")


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Callable[..., tuple[str, str]]:
    def run(*arguments: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("plan_courses", *arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    return run


def test_a_dry_run_tells_a_line_for_each_course_that_would_change_and_writes_nothing(
    ward: Ward, told: Callable[..., tuple[str, str]]
) -> None:
    ward.done("mbb_lumbar", TODAY - 300 * DAY, pct=90)
    ward.done("mbb_lumbar", TODAY - 280 * DAY, pct=90)
    course = ward.start(since=TODAY - 300 * DAY)
    before = changes(course)
    assert told("--dry-run", "--as-of", TODAY.isoformat()) == ("", "0 would change\n")
    out, err = told("--dry-run", "--as-of", (TODAY + 100 * DAY).isoformat())
    assert out.startswith(f"{course.public_id} - stopped: Ablation was possible until ")
    assert err == "1 would change\n"
    found = json.loads(told("--dry-run", "--as-of", (TODAY + 100 * DAY).isoformat(), "--json")[0])
    assert [(one["course"], one["state"], one["code"]) for one in found] == [(str(course.public_id), "stopped", "expired")]
    assert changes(course) == before
    ward.done("mbb_lumbar", date(2026, 9, 1), pct=90)


def test_a_dry_run_without_a_day_goes_by_the_clinics_in_the_evening_too(
    ward: Ward, told: Callable[..., tuple[str, str]], stand_at: Callable[..., None]
) -> None:
    ward.done("mbb_lumbar", TODAY - 300 * DAY, pct=90)
    ward.done("mbb_lumbar", TODAY - 280 * DAY, pct=90)
    ward.start(since=TODAY - 300 * DAY)
    days = (TODAY + n * DAY for n in range(101))
    first = next(day for day in days if list(courses.rehearse(at=NOW, day=day)))
    stand_at(local(first - DAY, "20:30"))
    assert told("--dry-run") == ("", "0 would change\n")
    stand_at(local(first, "0:01"))
    assert told("--dry-run")[1] == "1 would change\n"


def test_a_dry_run_tells_the_window_of_a_course_that_moves(ward: Ward, told: Callable[..., tuple[str, str]]) -> None:
    course = ward.start()
    ward.done("mbb_lumbar", TODAY - 10 * DAY, pct=90)
    out, _ = told("--dry-run", "--as-of", TODAY.isoformat())
    first, ideal, last = TODAY + 4 * DAY, TODAY + 11 * DAY, TODAY + 46 * DAY
    assert out == f"{course.public_id} block_2 {first} {ideal} {last}\n"


def test_the_command_plans_everything_without_a_dry_run(ward: Ward, told: Callable[..., tuple[str, str]]) -> None:
    ward.start()
    ward.done("mbb_lumbar", TODAY - 10 * DAY, pct=90)
    assert told()[0] == "1 planned, 1 changed, 0 failed\n"
    with pytest.raises(CommandError):
        told("--as-of", "2026-11-24")
    with pytest.raises(CommandError):
        told("--dry-run", "--as-of", "soon")
