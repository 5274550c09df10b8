"""What is booked from a course is for the problem that the course is for, and rules read that one, in plan and case alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.models import Coverage, FactChange, Presentation
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking, bulk, courses, openings, rechecking, series
from scheduling.booking import RulesRefused, Target
from scheduling.courses import Terms
from scheduling.models import Appointment, AppointmentFinding, CaseDetails, Course, RuleOverride
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current, problem_of
from tests.database.scheduling.courses.test_bulk import tried, wanted
from tests.database.scheduling.courses.test_fulfilling import Trial, trial  # noqa: F401  a fixture, asked for by its name
from tests.factories import NOW, TODAY, local

DAY = timedelta(days=1)
EPIDURAL = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L4-L5",))
RULE = "mcr_esi_initial"
SHORT = "Needed before a first session and not met: 4 weeks of pain (recorded: 1)."


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


def started(ward: Ward, problem: Presentation | None) -> Course:
    return ward.start(replace(EPIDURAL, problem=problem), since=TODAY)


def told(case: Appointment) -> list[str]:
    """Return what the payer's first criteria refuse of a case now."""
    rows = AppointmentFinding.objects.filter(appointment=case, gone_at=None, code=RULE)
    return list(rows.values_list("message", flat=True))


def next_booked(ward: Ward, course: Course) -> Appointment:
    courses.refresh(at=NOW)
    row = current(course)
    opening, _ = courses.chosen(row, None, NOW)
    return courses.book_next(planned=row, opening=opening, by=ward.desk, at=NOW)


def relinked(ward: Ward, course: Course, problem: Presentation | None) -> None:
    courses.change(course=course, terms=replace(EPIDURAL, problem=problem), by=ward.doctor, at=NOW)


def board_booked(ward: Ward) -> Appointment:
    """Book the same from the board, without a course."""
    procedure = Procedure.objects.get(code="esi_tf_lumbar")
    start = local(TODAY + 14 * DAY, "9:00")
    fit = openings.fit(procedure=procedure, starts_at=start, site=ward.clinic.site, at=NOW, patient=ward.patient)
    assert fit.opening is not None
    target = Target("right", ("L4-L5",))
    return booking.book(patient=ward.patient, procedure=procedure, target=target, opening=fit.opening, by=ward.desk, at=NOW)


# --- plan and case ---------------------------------------------------------------------------------------------------


def test_the_plan_waits_for_the_linked_problem_and_for_the_nearest_where_none_is_linked(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    found = [current(started(ward, problem)) for problem in (None, near, meant)]
    assert [row.state for row in found] == ["waiting", "waiting", "proposed"]
    assert [row.for_what for row in found] == [SHORT, SHORT, ""]


def test_what_is_booked_from_the_course_is_judged_by_it_and_from_the_board_by_the_nearest(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    kept = CaseDetails.objects.get(appointment=case)
    assert (kept.course, kept.problem, told(case)) == (course, meant, [])
    assert rechecking.recheck([ward.patient.pk], at=NOW).changed == 0
    booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    with pytest.raises(RulesRefused) as refused:
        board_booked(ward)
    assert [one.message for one in refused.value.findings if one.key == RULE] == [SHORT]


def test_a_linked_problem_counts_though_it_has_ended_and_one_on_record_by_mistake_does_not(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    Presentation.objects.filter(pk=meant.pk).update(ended_on=TODAY)
    courses.plan([course.pk], at=NOW)
    assert current(course).state == "proposed"
    case = next_booked(ward, course)
    assert told(case) == []
    Presentation.objects.filter(pk=meant.pk).update(is_in_error=True, error_reason="Another patient")
    rechecking.recheck([ward.patient.pk], at=NOW)
    courses.plan([course.pk], at=NOW)
    assert (told(case), current(course).state) == ([SHORT], "waiting")


def test_a_problem_costs_no_statement_more(ward: Ward, payer: Coverage) -> None:
    Coverage.objects.filter(pk=payer.pk).update(payer_rules="none", plan_type="self_pay")
    counts = []
    for last_name, has_problem in (("Without", False), ("With", True)):
        patient = factories.patient(home=ward.clinic.site, last_name=last_name)
        problem = problem_of(ward, "Leg", 300 * DAY, patient=patient) if has_problem else None
        course = ward.start(replace(EPIDURAL, problem=problem), since=TODAY, patient=patient)
        courses.refresh(at=NOW)
        row = current(course)
        opening, _ = courses.chosen(row, None, NOW)
        with CaptureQueriesContext(connection) as planning:
            courses.plan([course.pk], at=NOW)
        with CaptureQueriesContext(connection) as taking:
            courses.book_next(planned=row, opening=opening, by=ward.desk, at=NOW)
        counts.append((len(planning), len(taking)))
    assert counts[0] == counts[1]


# --- another problem -------------------------------------------------------------------------------------------------


def test_another_problem_of_the_course_is_asked_about_in_its_booked_case_at_once(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    seen = []
    for problem in (near, None, meant):
        relinked(ward, course, problem)
        seen.append((CaseDetails.objects.get(appointment=case).problem, told(case)))
    assert seen == [(near, [SHORT]), (None, [SHORT]), (meant, [])]


def test_a_waiver_ends_where_another_problem_counts_that_is_refused_in_the_same_words(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    relinked(ward, course, near)
    case.refresh_from_db()
    rechecking.waive(
        appointment=case, waivers=[Waiver(RULE, "clinical_judgement", "The same pain for years")], by=ward.doctor, at=NOW
    )
    rechecking.recheck([ward.patient.pk], at=NOW)
    assert RuleOverride.objects.get(appointment=case).ended_at is None
    relinked(ward, course, problem_of(ward, "Other leg", 7 * DAY))
    assert RuleOverride.objects.get(appointment=case).ended_at == NOW


def test_a_case_whose_patient_waits_in_the_house_is_asked_about_too(ward: Ward, near: Presentation, meant: Presentation) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    Appointment.objects.filter(pk=case.pk).update(status="preparing")
    FactChange.objects.update(done_at=NOW)
    relinked(ward, course, near)
    assert told(case) == [SHORT]
    left = FactChange.objects.get(done_at=None)  # for whoever moved a case meanwhile; planned is the course already
    assert (left.patient, left.kind, left.planned_at) == (ward.patient, "casedetails", NOW)


def test_a_case_that_is_over_keeps_its_problem_and_one_that_is_cancelled_comes_back_with_the_new_one(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    relinked(ward, course, near)
    case.refresh_from_db()
    with pytest.raises(RulesRefused) as refused:
        booking.reinstate(appointment=case, by=ward.desk, at=NOW)
    assert RULE in [one.key for one in refused.value.findings]
    relinked(ward, course, meant)
    case = Appointment.objects.get(pk=case.pk)
    booking.reinstate(appointment=case, by=ward.desk, at=NOW)
    Appointment.objects.filter(pk=case.pk).update(status="discharged")
    relinked(ward, course, near)
    assert CaseDetails.objects.get(appointment=case).problem == meant


# --- every way to book -----------------------------------------------------------------------------------------------


def test_a_series_and_a_bulk_book_for_the_problem_of_the_course(ward: Ward, near: Presentation, meant: Presentation) -> None:
    course = started(ward, meant)
    courses.refresh(at=NOW)
    (row,) = tried(ward)
    assert (row.why_not, row.opening is not None) == ("", True)
    order = series.order(
        patient=ward.patient, site=ward.clinic.site, given=[series.FromCourse(course, 1)], by=ward.doctor, at=NOW
    )  # fmt: skip
    (session,) = series.read(order)
    assert (session.why_none, session.opening is not None) == ("", True)
    (result,) = bulk.book(wanted=wanted((row,)), key="a-key-of-this-form", by=ward.desk, at=NOW)
    case = Appointment.objects.get(public_id=result.case)
    assert (CaseDetails.objects.get(appointment=case).problem, told(case)) == (meant, [])
    booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    series.replan(series=order, by=ward.doctor, at=NOW)
    (booked,) = series.book(series=order, by=ward.desk, at=NOW)
    assert CaseDetails.objects.get(appointment=booked.session.appointment).problem == meant


def test_what_is_booked_together_with_a_session_is_for_the_same_course(ward: Ward, trial: Trial) -> None:  # noqa: F811
    opening, companion = courses.chosen(current(trial.course), None, NOW)
    courses.book_next(planned=current(trial.course), opening=opening, companion=companion, by=ward.desk, at=NOW)
    assert [one.course for one in CaseDetails.objects.all()] == [trial.course, trial.course]


def test_the_case_says_which_problem_on_its_page_and_by_the_api(ward: Ward, near: Presentation, meant: Presentation) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    pages = {}
    for role in ("desk", "biller", "physician"):
        client = Client()
        client.force_login(factories.user(role=role, sites=(ward.clinic.site,)))
        pages[role] = client.get(reverse("scheduling:appointment", args=[case.public_id])).content.decode()
    assert [role for role, page in pages.items() if "Whole spine" in page] == ["desk", "physician"]
    found = client.get(f"/api/v1/appointments/{case.public_id}/rules/").json()["planned"]
    assert (found["course"], found["problem"]) == (str(course.public_id), str(meant.public_id))
    relinked(ward, course, None)
    found = client.get(f"/api/v1/appointments/{case.public_id}/rules/").json()["planned"]
    assert (found["course"], found["problem"]) == (str(course.public_id), None)
