"""The rules break down on what is on file about a patient: a series is refused in words, a course's new problem is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from patients.models import Clearance, FactChange, Medication, Presentation
from scheduling import courses, rechecking, series
from scheduling.assessing import RulesNotAsked
from scheduling.models import Appointment, CaseDetails, DeskTask, Series, Status, TaskKind
from tests.database.scheduling.courses.conftest import Ward
from tests.database.scheduling.courses.test_linked_problem import EPIDURAL, next_booked, relinked, started
from tests.database.scheduling.courses.test_series import days, item, ordered
from tests.factories import NOW, TODAY


def spoil(ward: Ward) -> Clearance:
    """Put on file of the patient what no rule survives."""
    drug = Medication.objects.create(
        patient=ward.patient, recorded_at=NOW, kind="antithrombotic", drug="apixaban", name="Apixaban"
    )  # fmt: skip
    return Clearance.objects.create(
        patient=ward.patient, recorded_at=NOW, medication=drug, answer="given", answered_on=TODAY, answered_by="Dr. Heart",
        has_times=True, last_dose="soon", restart="later",
    )  # fmt: skip


def test_a_series_is_refused_in_words_and_nothing_of_it_is_kept(ward: Ward) -> None:
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",)))
    before = days(made)
    spoil(ward)
    with pytest.raises(RulesNotAsked):
        ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",)))
    with pytest.raises(RulesNotAsked):
        series.replan(series=made, by=ward.desk, at=NOW)
    assert (list(Series.objects.all()), days(made)) == ([made], before)


def test_a_courses_new_problem_is_kept_and_the_case_says_that_nobody_knows(
    ward: Ward, near: Presentation, meant: Presentation
) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    spoil(ward)
    relinked(ward, course, near)
    assert CaseDetails.objects.get(appointment=case).problem == near
    told = DeskTask.objects.filter(kind=TaskKind.RULES, appointment=case, done_at=None, note__contains=rechecking.NOT_ASKED)
    assert told.exists()


def test_so_it_is_for_a_case_whose_patient_waits_in_the_house(ward: Ward, near: Presentation, meant: Presentation) -> None:
    course = started(ward, meant)
    case = next_booked(ward, course)
    Appointment.objects.filter(pk=case.pk).update(status=Status.ARRIVED)
    spoil(ward)
    courses.change(course=course, terms=replace(EPIDURAL, problem=near), by=ward.doctor, at=NOW)
    assert CaseDetails.objects.get(appointment=case).problem == near
    assert FactChange.objects.broken().filter(patient=ward.patient).exists()
