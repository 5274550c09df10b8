"""Courses at their end, without a pathway or a procedure, on days that rules bar, and sweeps whose time is up."""

# ruff: noqa: F401, F811  fixtures of another file are imported, and asked for by their names
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.models import User
from patients.models import Medication
from procedures import pathwaybook
from procedures.models import Procedure
from procedures.tables.courses import shipped_pathways
from scheduling import asking, courses, worklist
from scheduling.courses import Terms, aims, judging, offering, previewing, telling
from scheduling.models import Course, FoundOpenings, PlanCause, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.database.scheduling.courses.test_fulfilling import Trial, days, trial
from tests.database.scheduling.courses.test_pages import _now, text
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
NOTHING = timedelta()
Enter = Callable[..., Client]
IMPLANT = Terms(
    "scs_trial_to_implant",
    {"trial": "scs_trial", "lead_removal": "scs_trial_lead_pull", "implant": "scs_implant"},
    side="midline", levels=("T12-L1",),
)  # fmt: skip


def page(course: Course, client: Client) -> str:
    return text(client, reverse("scheduling:course", args=[course.public_id]))


# --- the end -----------------------------------------------------------------------------------------------------------


def test_a_course_whose_last_step_was_done_is_done_and_shows_what_was(ward: Ward, signed_in: Enter) -> None:
    Procedure.objects.filter(code__in=IMPLANT.works.values()).update(is_offered=True)
    ward.done("scs_implant", TODAY - 3 * DAY, side="midline", levels=["T12-L1"])
    course = ward.start(IMPLANT)
    course.refresh_from_db()
    assert (course.status, current(course).state) == ("done", "done")
    (fresh,) = judging.judge([course], at=NOW)
    assert "was the last step" in judging.as_json(fresh)["reasons"][0]
    assert next(courses.lines([fresh])).startswith(f"{course.public_id} - done: ")
    shown = page(course, signed_in("physician", ward.clinic.site))
    assert "done Fri 11 Sep" in shown
    assert "may follow" not in shown


def test_a_course_whose_pathway_is_gone_is_shown_without_a_line(ward: Ward, signed_in: Enter) -> None:
    course = ward.start()
    Course.objects.filter(pk=course.pk).update(pathway="gone")
    courses.plan([course.pk], at=NOW)
    shown = page(course, signed_in("physician", ward.clinic.site))
    assert "This pathway is no longer among the clinic's." in shown
    assert "may follow" not in shown


def test_a_course_that_breaks_the_planner_is_told_as_broken_and_parked(
    ward: Ward, signed_in: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_args: object, **_values: object) -> object:
        raise ZeroDivisionError

    course = ward.start(since=TODAY)
    with monkeypatch.context() as patched:
        patched.setattr(judging, "next_step", break_down)
        for _ in range(3):
            courses.plan([course.pk], at=NOW)
        (fresh,) = judging.judge([course], at=NOW)
    assert judging.as_json(fresh) == {"course": str(course.public_id), "state": "broken"}
    assert list(courses.lines([fresh])) == [f"{course.public_id} broken"]
    client = signed_in("physician", ward.clinic.site)
    assert "planning breaks down" in text(client, "/worklist/?tab=stopped")
    assert "Planning this course breaks down." in page(course, client)


def test_a_course_whose_pathway_is_gone_is_asked_about_no_more(ward: Ward) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY)
    course = ward.start()
    assert (current(course).state, current(course).owner) == ("waiting", "patient")
    Course.objects.filter(pk=course.pk).update(pathway="gone")  # planned anew a little later
    assert asking.follow(at=NOW) == 0
    assert current(course).asked_for == current(course).due_on


# --- what is booked and said -------------------------------------------------------------------------------------------


def test_a_call_stands_on_the_page_of_its_course(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    courses.note_call(course=course, outcome="left_word", note="Machine", by=ward.desk, at=NOW)
    assert "Left word: Machine" in page(course, signed_in("desk", ward.clinic.site))


def test_a_session_that_is_booked_although_something_is_waited_for_is_marked(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    planned = current(course)
    for state, booked_on, tone in (
        ("proposed", TODAY + DAY, ""), ("waiting", None, "pending"), ("waiting", TODAY + DAY, "warn"), ("stopped", None, "info"),
    ):  # fmt: skip
        PlannedSession.objects.filter(pk=planned.pk).update(state=state, booked_on=booked_on)
        row = PlannedSession.objects.select_related("course").get(pk=planned.pk)
        assert worklist.tone_of(row, TODAY) == tone


def test_a_session_whose_procedure_has_left_the_catalogue_has_no_openings_and_no_form(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    Course.objects.filter(pk=course.pk).update(works={"block_1": "gone"})
    PlannedSession.objects.filter(pk=current(course).pk).update(procedure="gone")
    assert courses.refresh(at=NOW) == 1
    assert FoundOpenings.objects.get().why_none == "The procedure is not in the catalogue."
    assert "Other times" not in text(signed_in("desk", ward.clinic.site), "/worklist/")


def test_a_patients_course_that_waits_says_for_what(ward: Ward) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY)
    course = ward.start()
    user = User.objects.get(pk=ward.desk.user_id)
    (line,) = worklist.of_patient(patient=ward.patient, user=user, today=TODAY)
    assert current(course).for_what
    assert line.why == (current(course).for_what,)
    PlannedSession.objects.filter(course=course).update(for_what="")
    (line,) = worklist.of_patient(patient=ward.patient, user=user, today=TODAY)
    assert line.why == ()


def test_a_step_without_a_level_is_wanted_for_the_part_of_the_spine_that_is_told_or_usual(ward: Ward) -> None:
    course, step = ward.start(since=TODAY), shipped_pathways()["facet_dual_block_to_rfa"].steps[0]
    procedure, book = Procedure.objects.get(code="mbb_lumbar"), judging.read_world([course], at=NOW).book
    told = []
    for levels, regions in ((["L4-L5"], []), ([], ["thoracic"]), ([], [])):
        course.levels, course.regions = levels, regions
        told.append(aims.work_of(course, step, procedure, book).body_areas)
    assert told == [("lumbar",), ("thoracic",), tuple(procedure.regions)]


# --- days that are barred ----------------------------------------------------------------------------------------------


def test_a_day_that_a_rule_bars_inside_the_window_is_not_offered(ward: Ward) -> None:
    terms = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L4-L5",))
    course = ward.start(terms, since=TODAY)
    PlannedSession.objects.filter(pk=current(course).pk).update(ideal=TODAY)
    courses.refresh(at=NOW)
    assert days(course)[0] == TODAY
    # A blood thinner is told of, which is held for three days; the window itself is still as it was planned.
    Medication.objects.create(patient=ward.patient, recorded_at=NOW, kind="antithrombotic", drug="apixaban", name="Apixaban")
    assert courses.refresh(at=NOW + offering.FRESH + timedelta(minutes=1)) == 1
    assert days(course)[0] >= TODAY + 3 * DAY


def test_a_trial_is_offered_only_where_its_removal_can_be(ward: Ward, trial: Trial) -> None:
    planned = current(trial.course)
    assert planned.companion is not None
    PlannedSession.objects.filter(pk=planned.pk).update(companion=planned.companion | {"procedure": "gone"})
    assert courses.refresh(at=NOW + offering.FRESH + timedelta(minutes=1)) == 1
    found = FoundOpenings.objects.get(planned=planned)
    assert (found.openings, found.why_none) == ([], "No free time on which the rules let it be.")


# --- a pathway that would change ---------------------------------------------------------------------------------------


def test_a_pathway_proposed_as_it_is_changes_no_course(ward: Ward) -> None:
    course, user = ward.start(), User.objects.get(pk=ward.doctor.user_id)
    same = pathwaybook.pathways()[course.pathway]
    found = previewing.effect_of(pathway=same, user=user, at=NOW)
    assert (found.running, found.asked, found.changed, found.touched) == (1, 1, 0, ())
    late = previewing.effect_of(pathway=same, user=user, at=NOW, budget=-DAY)
    assert (late.running, late.asked, late.is_whole) == (1, 0, False)


# --- time that is up ---------------------------------------------------------------------------------------------------


def test_sweeps_whose_time_is_up_begin_nothing(ward: Ward) -> None:
    ward.start(since=TODAY)
    PlanCause.objects.create(patient=ward.patient, kind="fact", at=NOW)
    assert courses.sweep(at=NOW, budget=NOTHING).planned == 0
    assert PlanCause.objects.filter(done_at=None).count() == 1
    assert courses.refresh(at=NOW, budget=NOTHING) == 0
    assert not FoundOpenings.objects.exists()


def test_openings_are_looked_for_until_nothing_is_left(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "SOME", 1)
    monkeypatch.setattr(offering.refresh_some, "__kwdefaults__", {**offering.refresh_some.__kwdefaults__, "limit": 1})
    for number in range(2):
        ward.start(patient=factories.patient(home=ward.clinic.site, last_name=f"Person{number}"), since=TODAY)
    assert courses.refresh(at=NOW) == 2


def test_what_may_follow_is_told_until_the_pathway_repeats_itself_or_ends(ward: Ward) -> None:
    assert [stop.name for stop in courses.stops(ward.start(), None, at=NOW)] == []
    told = {
        name: len(telling._later(shipped_pathways()[name], first, frozenset()))
        for name, first in (("scs_trial_to_implant", "trial"), ("esi_as_needed", "epidural"))
    }
    assert told == {"scs_trial_to_implant": 2, "esi_as_needed": 1}
