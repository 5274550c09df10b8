"""The desk books by hand for a course: what was ordered stands in the form, and only for whom and what it was ordered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from pain_clinic.audit.models import AuditEvent
from patients.models import Patient, Presentation
from procedures.models import Procedure
from scheduling import courses
from scheduling.models import Appointment, CaseDetails, Course
from scheduling.worklist.rows import _form_url
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.database.scheduling.courses.test_linked_problem import EPIDURAL, relinked, told
from tests.factories import NOW, TODAY


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


@pytest.fixture
def desk(ward: Ward) -> Client:
    client = Client()
    client.force_login(factories.user(role="desk", sites=(ward.clinic.site,)))
    return client


@pytest.fixture
def other(ward: Ward) -> Patient:
    return factories.patient(home=ward.clinic.site, last_name="Other")


def typed(course: Course, **more: Any) -> dict[str, Any]:
    """Return what the form holds once the page of this course was drawn, and what is typed over it."""
    return {
        "patient": str(course.patient.public_id), "procedure": "esi_tf_lumbar", "side": "right", "levels": ["L4-L5"],
        "sedation": "none", "drug": course.drug, "rationale": course.rationale, "course": str(course.public_id),
        "problem": str(course.problem.public_id) if course.problem else "", "request_key": "k" * 32, "act": "look", **more,
    }  # fmt: skip


def standing(response: HttpResponse) -> tuple[str, str, str]:
    """Return the course of a booking page and what stands there as steroid and reason."""
    page = response.context["page"]  # type: ignore[attr-defined]
    values = {field.name: field.value() or "" for field in (*page.said, *page.reasons)}
    return page.course, values.get("drug", ""), values.get("rationale", "")


def test_other_times_of_the_worklist_book_by_hand_for_the_course(ward: Ward, near: Presentation, meant: Presentation) -> None:
    course = ward.start(replace(EPIDURAL, problem=meant, drug="none"), since=TODAY)
    other = ward.start(EPIDURAL, since=TODAY, patient=factories.patient(home=ward.clinic.site, last_name="Other"))
    client = Client()
    client.force_login(factories.user(role="desk", sites=(ward.clinic.site,)))
    page = client.get(_form_url(current(course), Procedure.objects.get(code="esi_tf_lumbar"))).context["page"]
    assert (page.course, page.course_name != "") == (str(course.public_id), True)
    assert {field.name: field.value() for field in page.said}["drug"] == "none"
    typed = {
        "act": "book", "patient": str(ward.patient.public_id), "procedure": "esi_tf_lumbar", "side": "right", "levels": ["L4-L5"],
        "sedation": "none", "drug": "none", "opening": page.days[-1].openings[0].token, "request_key": "k" * 32,
        "problem": str(page.course_problem.public_id),
    }  # fmt: skip
    refused = client.post("/book/", {**typed, "course": str(other.public_id)})  # of another patient
    assert (refused.status_code, refused.context["page"].course, CaseDetails.objects.count()) == (409, "", 0)
    booked = client.post("/book/", {**typed, "course": page.course, "request_key": "l" * 32})
    assert booked.status_code == 303
    kept = CaseDetails.objects.get()
    assert (kept.course, kept.problem, kept.drug, told(kept.appointment)) == (course, meant, "none", [])


def test_what_was_ordered_goes_with_its_patient_and_its_procedure(ward: Ward, meant: Presentation) -> None:
    course = ward.start(replace(EPIDURAL, problem=meant, drug="none", rationale="Worse since May"), since=TODAY)
    other = factories.patient(home=ward.clinic.site, last_name="Other")
    client = Client()
    client.force_login(factories.user(role="desk", sites=(ward.clinic.site,)))
    url = _form_url(current(course), Procedure.objects.get(code="esi_tf_lumbar"))

    def kept(page: Any) -> tuple[str, str, str]:
        values = {field.name: field.value() or "" for field in (*page.said, *page.reasons)}
        return page.course, values.get("drug", ""), values.get("rationale", "")

    assert kept(client.get(url).context["page"]) == (str(course.public_id), "none", "Worse since May")
    assert AuditEvent.objects.filter(act="scheduling.course_read", patient_id=ward.patient.public_id).count() == 1
    typed = {
        "patient": str(ward.patient.public_id), "procedure": "esi_tf_lumbar", "side": "right", "levels": ["L4-L5"],
        "drug": "none", "rationale": "Worse since May", "course": str(course.public_id), "request_key": "k" * 32, "act": "look",
    }  # fmt: skip
    assert kept(client.post("/book/", {**typed, "rationale": ""}).context["page"]) == (str(course.public_id), "none", "")
    for change in (
        {"act": "someone"},
        {"pick": str(other.public_id)},
        {"procedure": "esi_il_lumbar"},
        {"procedure": "rfa_facet_lumbar"},
    ):
        assert kept(client.post("/book/", {**typed, **change}).context["page"]) == ("", "", ""), change
    client.post("/book/", {**typed, "act": "register"})  # what is chosen waits until somebody is registered
    assert kept(client.get("/book/", {"patient": str(other.public_id)}).context["page"]) == ("", "", "")


@pytest.mark.parametrize("change", ["stopped", "another procedure"])
def test_what_a_person_typed_stays_where_the_course_no_longer_fits_and_what_it_filled_in_goes(
    ward: Ward, desk: Client, change: str
) -> None:
    course = ward.start(replace(EPIDURAL, drug="none", rationale="Worse since May"), since=TODAY)
    if change == "stopped":
        courses.stop(course=course, reason="The patient moves away", by=ward.doctor, at=NOW)
    more = {"procedure": "esi_il_lumbar"} if change == "another procedure" else {}
    own = desk.post("/book/", typed(course, drug="dexamethasone", rationale="Cannot sit since Monday", **more))
    filled_in = desk.post("/book/", typed(course, **more))
    assert standing(own) == ("", "dexamethasone", "Cannot sit since Monday")
    assert standing(filled_in) == ("", "", "")
    assert own.context["page"].course_name == ""


def test_a_course_that_stops_between_look_and_press_is_said_and_its_desk_keeps_what_it_typed(ward: Ward, desk: Client) -> None:
    course = ward.start(replace(EPIDURAL, drug="none", rationale="Worse since May"), since=TODAY)
    page = desk.post("/book/", typed(course)).context["page"]
    courses.stop(course=course, reason="The patient moves away", by=ward.doctor, at=NOW)
    token = page.days[-1].openings[0].token
    refused = desk.post("/book/", typed(course, act="book", opening=token, rationale="Cannot sit since Monday"))
    assert (refused.status_code, refused.context["page"].refusal.code) == (409, "course_not_running")
    assert standing(refused) == ("", "", "Cannot sit since Monday")
    assert Appointment.objects.count() == 0


def test_nothing_that_was_said_about_one_patient_stays_for_another_course_or_none(
    ward: Ward, desk: Client, other: Patient
) -> None:
    about = {
        "drug": "dexamethasone", "dose_mg": "8", "driver": "yes", "rationale": "Cannot sit", "site_reason": "Very large",
        "waive": "some_rule", "reason_some_rule": "clinical_need", "text_some_rule": "She asked",
    }  # fmt: skip
    form = {
        "patient": str(ward.patient.public_id), "procedure": "esi_tf_lumbar", "side": "right", "levels": ["L4-L5"],
        "request_key": "k" * 32, **about,
    }  # fmt: skip
    for change in ({"act": "someone"}, {"pick": str(other.public_id)}):
        response = desk.post("/book/", {**form, **change})
        page = response.context["page"]
        assert {field.value() or "" for field in (*page.said, *page.reasons)} == {""}, change
        assert "Very large" not in response.content.decode()
        assert [side.value for side in page.sides if side.is_selected] == ["right"]  # what is planned stays, in sight
    same = desk.post("/book/", {**form, "pick": str(ward.patient.public_id)})
    assert standing(same)[1:] == ("dexamethasone", "Cannot sit")
    first = desk.post(
        "/book/", {name: value for name, value in form.items() if name != "patient"} | {"pick": str(other.public_id)}
    )
    assert standing(first)[1:] == ("dexamethasone", "Cannot sit")  # typed about nobody else


def test_the_page_says_only_of_what_stands_there_that_it_was_ordered(ward: Ward, desk: Client, meant: Presentation) -> None:
    plain = ward.start(EPIDURAL, since=TODAY)
    course = ward.start(replace(EPIDURAL, problem=meant, drug="none", rationale="Worse since May"), since=TODAY)
    urls = [_form_url(current(one), Procedure.objects.get(code="esi_tf_lumbar")) for one in (plain, course)]
    nothing, both = (desk.get(url) for url in urls)
    changed = desk.post("/book/", typed(course, rationale="Cannot sit since Monday"))
    assert [page.context["page"].as_ordered for page in (nothing, both, changed)] == [(), ("steroid", "reason"), ("steroid",)]
    assert "As it was ordered" not in nothing.content.decode()
    assert ", for Whole spine. As it was ordered: steroid, reason." in both.content.decode()


def test_a_course_for_another_problem_than_the_desk_saw_is_not_booked_before_it_has_seen_it(
    ward: Ward,
    desk: Client,
    near: Presentation,
    meant: Presentation,
) -> None:
    course = ward.start(replace(EPIDURAL, problem=meant), since=TODAY)
    form = typed(course, act="book", opening=desk.post("/book/", typed(course)).context["page"].days[-1].openings[0].token)
    relinked(ward, course, near)
    refused = desk.post("/book/", form)
    page = refused.context["page"]
    assert (refused.status_code, page.refusal.code, page.course_problem) == (409, "problem_changed", near)
    assert "for another problem now: Right leg" in page.refusal.message
    relinked(ward, course, None)
    assert "for no problem on record now" in desk.post("/book/", form).context["page"].refusal.message
    assert CaseDetails.objects.count() == 0
    relinked(ward, course, meant)
    assert desk.post("/book/", {**form, "request_key": "l" * 32}).status_code == 303
    assert CaseDetails.objects.get().problem == meant


def test_a_problem_changed_after_the_form_was_read_is_seen_under_the_lock(
    ward: Ward,
    desk: Client,
    near: Presentation,
    meant: Presentation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = ward.start(replace(EPIDURAL, problem=meant), since=TODAY)
    form = typed(course, act="book", opening=desk.post("/book/", typed(course)).context["page"].days[-1].openings[0].token)
    book = courses.book_by_hand

    def late(**asked: Any) -> Appointment:
        relinked(ward, course, near)  # as if it had waited for the lock
        return book(**asked)

    monkeypatch.setattr("scheduling.courses.book_by_hand", late)
    refused = desk.post("/book/", form)
    page = refused.context["page"]
    assert (refused.status_code, page.refusal.code) == (409, "problem_changed")
    assert CaseDetails.objects.count() == 0
