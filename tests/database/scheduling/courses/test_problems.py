"""A course is for a problem on record, chosen when it is started; a diagnosis in words remains possible."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import Presentation
from scheduling import courses, worklist
from scheduling.courses import TermsRefused
from scheduling.models import Course
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward
from tests.factories import NOW, TODAY


@pytest.fixture
def problem(ward: Ward) -> Presentation:
    return recorded(ward)


def recorded(ward: Ward, **values: Any) -> Presentation:
    kept = {
        "patient": ward.patient, "recorded_at": NOW, "name": "Facet pain", "icd10": "M47.816", "side": "right",
        "levels": ["L4-L5"], "pain_since": date(2026, 1, 5), **values,
    }  # fmt: skip
    return Presentation.objects.create(**kept)


def physician(ward: Ward) -> Client:
    client = Client()
    client.force_login(factories.user(role="physician", sites=(ward.clinic.site,)))
    return client


def sent(**values: Any) -> dict[str, Any]:
    return {
        "work_block_1": "mbb_lumbar", "side": "right", "levels": "L4-L5", "since": TODAY.isoformat(), "first_side": "left",
        "request_key": "k" * 24, **values,
    }  # fmt: skip


def start_url(ward: Ward, **query: str) -> str:
    asked = {"pathway": "facet_dual_block_to_rfa", **query}
    return f"{reverse('scheduling:course_start', args=[ward.patient.public_id])}?{'&'.join(f'{k}={v}' for k, v in asked.items())}"


def test_a_course_is_started_for_a_problem_on_record_and_its_page_says_which(ward: Ward, problem: Presentation) -> None:
    client = physician(ward)
    shown = client.get(start_url(ward)).content.decode()
    assert "Facet pain, M47.816, L4-L5, right, since Jan 2026" in shown
    answer = client.post(start_url(ward), sent(problem=problem.pk))
    assert answer.status_code == 303
    course = Course.objects.get()
    assert (course.problem, course.diagnosis) == (problem, "")
    page = client.get(reverse("scheduling:course", args=[course.public_id])).content.decode()
    assert "Facet pain, M47.816, L4-L5, right, since Jan 2026" in page
    desk = Client()
    desk.force_login(factories.user(role="desk", sites=(ward.clinic.site,)))
    seen = desk.get(reverse("scheduling:course", args=[course.public_id])).content.decode()
    assert "Facet pain" in seen
    assert "M47.816" not in seen  # a code and its story are of the record, which a desk does not read


def test_without_one_the_diagnosis_is_told_in_words(ward: Ward, problem: Presentation) -> None:
    assert physician(ward).post(start_url(ward), sent(diagnosis="Low back pain")).status_code == 303
    course = Course.objects.get()
    assert (course.problem, course.diagnosis) == (None, "Low back pain")
    told = {pair.label: pair.value for pair in worklist.course_page(course=course, by=ward.doctor, at=NOW).facts}
    assert told["Diagnosis"] == "Low back pain"
    assert "Problem treated" not in told


def test_the_form_begins_with_the_problem_that_the_address_names(ward: Ward, problem: Presentation) -> None:
    form = physician(ward).get(start_url(ward, problem=str(problem.public_id))).context["form"]
    assert {name: form[name].value() for name in ("problem", "side", "levels")} == {
        "problem": problem.pk, "side": "right", "levels": "L4-L5",
    }  # fmt: skip


@pytest.mark.parametrize(
    "values", [{"ended_on": TODAY}, {"is_in_error": True, "error_reason": "Another patient"}], ids=["ended", "mistake"]
)
def test_what_has_ended_or_was_a_mistake_is_not_offered(ward: Ward, values: dict[str, Any]) -> None:
    other = recorded(ward, name="Old pain", **values)
    form = physician(ward).get(start_url(ward, problem=str(other.public_id))).context["form"]
    assert list(form.fields["problem"].queryset) == []
    assert form["problem"].value() is None


def test_a_problem_that_ended_stays_with_its_course_when_that_is_changed(ward: Ward, problem: Presentation) -> None:
    course = ward.start(replace(FACET, problem=problem))
    Presentation.objects.filter(pk=problem.pk).update(ended_on=TODAY)
    form = physician(ward).get(reverse("scheduling:course_change", args=[course.public_id])).context["form"]
    assert list(form.fields["problem"].queryset) == [problem]


def test_that_no_steroid_is_meant_stays_when_the_course_is_changed_on_its_page(ward: Ward) -> None:
    course = ward.start(replace(FACET, drug="none"))
    address = reverse("scheduling:course_change", args=[course.public_id])
    form = physician(ward).get(address).context["form"]
    values = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    assert physician(ward).post(address, values | {"goal": "Sleep through"}).status_code == 303
    course.refresh_from_db()
    assert (course.drug, course.goal) == ("none", "Sleep through")


def test_a_problem_of_another_patient_is_refused(ward: Ward) -> None:
    other = factories.patient(home=ward.clinic.site, last_name="Another")
    theirs = recorded(ward, patient=other)
    with pytest.raises(TermsRefused) as refused:
        ward.start(replace(FACET, problem=theirs))
    assert refused.value.field == "problem"
    course = ward.start()
    with pytest.raises(TermsRefused):
        courses.change(course=course, terms=replace(FACET, problem=theirs), by=ward.doctor, at=NOW)
    assert physician(ward).post(start_url(ward), sent(problem=theirs.pk)).status_code == 422


def test_the_api_takes_and_tells_the_problem(ward: Ward, problem: Presentation) -> None:
    client = physician(ward)
    body = {
        "patient": str(ward.patient.public_id), "site": str(ward.clinic.site.public_id), "pathway": FACET.pathway,
        "works": dict(FACET.works), "side": "right", "levels": list(FACET.levels), "problem": str(problem.public_id),
    }  # fmt: skip
    answer = client.post("/api/v1/courses/", body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="a" * 20)
    assert (answer.status_code, answer.json()["problem"]) == (201, str(problem.public_id))
    theirs = recorded(ward, patient=factories.patient(home=ward.clinic.site, last_name="Another"))
    refused = client.post(
        "/api/v1/courses/", body | {"problem": str(theirs.public_id)}, content_type="application/json",
        HTTP_IDEMPOTENCY_KEY="b" * 20,
    )  # fmt: skip
    assert refused.status_code == 400


def test_the_record_offers_a_physician_to_start_a_course_for_a_problem_and_nobody_else(ward: Ward, problem: Presentation) -> None:
    recorded(ward, name="Old pain", ended_on=TODAY)
    nurse = Client()
    nurse.force_login(factories.user(role="nurse", sites=(ward.clinic.site,)))
    address = reverse("patients:record", args=[ward.patient.public_id])
    told = physician(ward).get(address).content.decode()
    assert told.count("Start a course") == 1
    assert f"?problem={problem.public_id}" in told
    assert "Start a course" not in nurse.get(address).content.decode()
