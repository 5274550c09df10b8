"""Pathways, a course as a line and the worklist in a real browser: readable by everybody, booked by one press."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from procedures.models import ClinicPathway, Procedure
from scheduling import courses
from scheduling.models import Appointment, Course, Kind, PlannedSession
from tests import factories
from tests.browser.conftest import sign_in, violations, wall_now
from tests.database.scheduling.courses.conftest import FACET, Ward
from tests.factories import SmallClinic
from tests.loaded import load_tables

DAY = timedelta(days=1)


@pytest.fixture
def course(clinic_now: SmallClinic) -> Course:
    """Return a course of which one block is done and the next has its openings found."""
    at = wall_now(clinic_now)
    load_tables()
    generator = factories.resource(kind=Kind.RF_GENERATOR, at_site=clinic_now.site, name="RF 1")
    factories.weekly_hours(of=generator)
    for code in ("mbb_lumbar", "rfa_facet_lumbar"):
        factories.privilege(of=clinic_now.physician, for_procedure=Procedure.objects.get(code=code))
    factories.build_free_time(at=at)
    doctor, desk = (Actor.of_user(User.objects.get(username=name)) for name in ("physician", "desk"))
    ward = Ward(clinic_now, doctor, desk)
    ward.done("mbb_lumbar", at.date() - 20 * DAY, pct=90)
    made = ward.start(FACET, at=at, since=at.date() - 60 * DAY)
    courses.refresh(at=at)
    return made


def is_sound(page: Page, path: str, width: int) -> None:
    assert violations(page) == [], path
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{path} scrolls sideways by {wide} px at {width}"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (768, "dark"), (360, "light"), (360, "dark")])
def test_pages_of_courses_and_pathways_are_accessible_and_never_scroll_sideways(
    course: Course, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    facet, trial = (
        f"/pathways/{ClinicPathway.objects.get(code=code).public_id}/" for code in (FACET.pathway, "scs_trial_to_implant")
    )
    for path in ("/pathways/", facet, trial, f"{facet}change/", f"/courses/{course.public_id}/", "/worklist/"):
        page.goto(path)
        is_sound(page, path, width)
    page.goto(f"{facet}change/")
    page.get_by_label("Not before").first.fill("28 days")
    page.get_by_role("button", name="Look what it would do").click()
    expect(page.get_by_role("heading", name="What this would do")).to_be_visible()
    expect(page.get_by_role("region", name="Courses that would change")).to_contain_text("Vera Marlow")
    is_sound(page, "the look before saving", width)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_an_opening_of_the_worklist_is_booked_by_the_keyboard_alone(
    course: Course, open_page: Callable[..., Page], scripts: bool
) -> None:
    page = open_page(scripts=scripts)
    sign_in(page, "desk")
    page.goto("/worklist/")
    page.locator(".plan-openings button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/appointments/**")
    case = Appointment.objects.get()
    assert (case.procedure.code, case.side, case.levels) == ("mbb_lumbar", "right", ["L4-L5", "L5-S1"])
    assert PlannedSession.objects.get(course=course, is_current=True).appointment_id == case.pk
    page.goto(f"/courses/{course.public_id}/")
    expect(page.locator(".stop.is-booked")).to_contain_text("booked for")


def test_gates_and_ways_are_words_for_a_screen_reader(course: Course, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/courses/{course.public_id}/")
    line = page.get_by_role("list", name="The course from its start")
    expect(line).to_contain_text("90 % better at best")
    expect(line.get_by_role("list", name="Gates")).to_contain_text("open the same levels and side")
    page.get_by_role("link", name="The pathway").click()
    expect(page.get_by_role("img", name="Medial branch block 1, block 2, ablation, drawn.")).to_be_visible()
    expect(page.locator(".pathway-steps")).to_contain_text("Then Block 2")
