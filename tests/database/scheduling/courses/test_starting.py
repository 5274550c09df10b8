"""Courses are ordered by physicians, planned at once, changed, stopped with a reason, restarted, put off and called about."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from scheduling import courses
from scheduling.courses import CourseNotRunning, CourseStale, ReasonMissing, Terms, TermsRefused
from scheduling.models import CourseStatus, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY


def test_a_course_is_planned_as_it_is_started(ward: Ward) -> None:
    course = ward.start()
    planned = current(course)
    assert (planned.step, planned.state, planned.number, planned.procedure) == ("block_1", "proposed", 1, "mbb_lumbar")
    assert (planned.earliest, planned.latest) == (course.since, course.since + timedelta(days=42))
    assert (course.status, course.works["ablation"]) == ("active", "rfa_facet_lumbar")
    assert AuditEvent.objects.filter(act="scheduling.start_course", subject_id=course.public_id).count() == 1


def test_a_course_may_start_from_what_was_performed(ward: Ward) -> None:
    done = ward.done("mbb_lumbar", date(2026, 6, 1), pct=90)
    course = ward.start(started_from=done, since=TODAY)
    planned = current(course)
    assert course.since == date(2026, 6, 1)
    assert (planned.step, planned.number, planned.earliest) == ("block_2", 2, date(2026, 6, 15))


def test_work_without_levels_is_known_again_by_the_part_of_the_body(ward: Ward) -> None:
    terms = Terms("genicular_pathway", {"block": "genicular_block", "ablation": "genicular_rfa"}, side="right")
    done = ward.done("genicular_block", date(2026, 8, 3), levels=[], body_site="right_knee", pct=60)
    course = ward.start(terms, started_from=done, since=TODAY)
    assert (current(course).step, current(course).number) == ("ablation", 2)
    also = ward.done("genicular_block", date(2026, 8, 3), levels=[], regions=["knee"], side="left", pct=60)
    other = ward.start(replace(terms, side="left"), started_from=also, since=TODAY)
    assert (current(other).step, current(other).side) == ("ablation", "left")


def test_what_another_patient_had_starts_nothing(ward: Ward) -> None:
    done = ward.done("mbb_lumbar", TODAY, patient=factories.patient(home=ward.clinic.site))
    with pytest.raises(TermsRefused) as refusal:
        ward.start(started_from=done)
    assert refusal.value.field == "started_from"


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (replace(FACET, pathway="homeopathy"), "pathway"),
        (replace(FACET, works={}), "works"),
        (replace(FACET, works={"block_1": "rfa_facet_lumbar"}), "works"),
        (replace(FACET, works={"block_9": "mbb_lumbar"}), "works"),
        (replace(FACET, works={"block_1": "nothing"}), "works"),
        (replace(FACET, levels=()), "works"),
        (replace(FACET, side="midline"), "works"),
        (replace(FACET, is_staged=True), "is_staged"),
        (replace(FACET, not_before=date(2026, 10, 2), not_after=date(2026, 10, 1)), "not_after"),
    ],
)
def test_terms_that_do_not_go_together_are_refused(ward: Ward, terms: Terms, field: str) -> None:
    with pytest.raises(TermsRefused) as refusal:
        ward.start(terms)
    assert refusal.value.field == field
    assert PlannedSession.objects.count() == 0


def test_the_desk_orders_no_course_and_a_biller_works_on_none(ward: Ward, at: datetime) -> None:
    with pytest.raises(Forbidden):
        courses.start(patient=ward.patient, site=ward.clinic.site, terms=FACET, by=ward.desk, at=at, since=TODAY)
    course = ward.start()
    for refused in (
        lambda: courses.stop(course=course, reason="x", by=ward.desk, at=at),
        lambda: courses.change(course=course, terms=FACET, by=ward.desk, at=at),
        lambda: courses.restart(course=course, by=ward.desk, at=at, on=TODAY),
    ):
        with pytest.raises(Forbidden):
            refused()
    nobody = replace(ward.desk, permissions=frozenset())
    for refused in (
        lambda: courses.snooze(course=course, until=TODAY, reason="x", by=nobody, at=at),
        lambda: courses.note_call(course=course, outcome="reached", note="", by=nobody, at=at),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_changing_a_course_plans_it_anew(ward: Ward, at: datetime) -> None:
    course = ward.start()
    changed = courses.change(
        course=course, terms=replace(FACET, not_before=date(2026, 11, 2), goal="Walk the dog"), by=ward.doctor, at=at, version=1
    )
    assert (changed.version, changed.goal) == (2, "Walk the dog")
    assert current(course).earliest == date(2026, 11, 2)
    assert PlannedSession.objects.filter(course=course).count() == 1
    with pytest.raises(CourseStale):
        courses.change(course=course, terms=FACET, by=ward.doctor, at=at, version=1)
    with pytest.raises(TermsRefused):
        courses.change(course=course, terms=replace(FACET, pathway="tpi_series"), by=ward.doctor, at=at)


def test_a_stop_by_hand_needs_a_reason_and_stays_until_the_restart(ward: Ward, at: datetime) -> None:
    course = ward.start()
    with pytest.raises(ReasonMissing):
        courses.stop(course=course, reason=" ", by=ward.doctor, at=at)
    stopped = courses.stop(course=course, reason="Goal reached", by=ward.doctor, at=at)
    assert (stopped.status, stopped.stop_code, stopped.stop_reason) == ("stopped", "physician", "Goal reached")
    with pytest.raises(CourseNotRunning):
        courses.stop(course=course, reason="again", by=ward.doctor, at=at)
    assert courses.plan([course.pk], at=at).planned == 0
    back = courses.restart(course=course, by=ward.doctor, at=at, on=TODAY)
    assert (back.status, back.stop_code, back.trusted_until) == ("active", "", TODAY)


def test_a_restart_takes_the_gates_so_far_as_open_or_begins_anew(ward: Ward, at: datetime) -> None:
    ward.done("mbb_lumbar", TODAY - timedelta(days=20), pct=10)
    course = ward.start()
    assert (course.status, course.stop_code) == ("stopped", "relief_not_reached")
    back = courses.restart(course=course, by=ward.doctor, at=at, on=TODAY)
    assert (back.status, current(back).step) == ("active", "block_2")
    anew = courses.restart(course=back, by=ward.doctor, at=at, on=TODAY, is_anew=True)
    assert (anew.since, current(anew).step, current(anew).number) == (TODAY, "block_1", 1)


def test_a_course_is_put_off_with_a_reason_and_brought_back(ward: Ward, at: datetime) -> None:
    course = ward.start()
    with pytest.raises(ReasonMissing):
        courses.snooze(course=course, until=TODAY + timedelta(days=7), reason="", by=ward.desk, at=at)
    off = courses.snooze(course=course, until=TODAY + timedelta(days=7), reason="On holiday", by=ward.desk, at=at)
    assert (off.snoozed_until, off.snooze_reason) == (TODAY + timedelta(days=7), "On holiday")
    assert courses.snooze(course=course, until=None, reason="", by=ward.desk, at=at).snoozed_until is None


def test_a_call_is_written_down(ward: Ward, at: datetime) -> None:
    course = ward.start()
    call = courses.note_call(course=course, outcome="left_word", note="Machine", by=ward.desk, at=at)
    assert (call.outcome, call.note, call.by_id) == ("left_word", "Machine", ward.desk.user_id)


def test_of_a_patient_who_has_died_the_course_stops(ward: Ward, at: datetime) -> None:
    course = ward.start()
    ward.patient.deceased_on = TODAY
    ward.patient.save(update_fields=["deceased_on"])
    courses.plan([course.pk], at=NOW)
    course.refresh_from_db()
    assert (course.status, course.stop_code) == (CourseStatus.STOPPED, "deceased")
