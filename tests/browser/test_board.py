"""The board in a real browser: two desks at once, the age of what is shown, polls that are no use, a bar out of its lane."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from playwright.sync_api import Page, Response, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from scheduling import booking, openings
from scheduling.models import Appointment
from tests import factories
from tests.browser.conftest import sign_in, wall_now
from tests.factories import SmallClinic

SOON = 30_000  # polls go out every five seconds; the machine may be busy


@pytest.fixture
def case(clinic_now: SmallClinic) -> Appointment:
    """Return a case on the next day on which the small clinic is open."""
    today = datetime.now(tz=ZoneInfo(clinic_now.site.time_zone)).date()
    day = next(on for on in (today + timedelta(days=n) for n in range(1, 5)) if on.weekday() < 5)
    return factories.appointment(
        of=clinic_now.patient, at_site=clinic_now.site, for_procedure=clinic_now.procedure,
        starts_at=factories.local(day, "10:00"), resources=[clinic_now.physician, clinic_now.room],
    )  # fmt: skip


def board_of(page: Page, case: Appointment, user: str = "desk") -> None:
    sign_in(page, user)
    page.goto(f"/board/?day={case.local_date}")
    expect(page.locator(".bar")).to_have_count(1)


def session_of(page: Page) -> Any:
    """Return the session behind a page's cookie."""
    key = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == settings.SESSION_COOKIE_NAME)
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)


def is_poll(answer: Response) -> bool:
    return answer.request.headers.get("x-clinic-poll") == "1"


def test_what_another_desk_does_appears_within_seconds(case: Appointment, open_page: Callable[..., Page]) -> None:
    mine, theirs = open_page(), open_page()
    board_of(mine, case)
    sign_in(theirs, "manager")
    expect(mine.locator(".bar.s-booked")).to_have_count(1)

    theirs.goto(f"/appointments/{case.public_id}/")
    theirs.get_by_role("button", name="Confirmed by the patient").first.click()

    expect(mine.locator(".bar.s-confirmed")).to_have_count(1, timeout=SOON)
    expect(mine.locator(".bar")).to_have_attribute("tabindex", "0")


def test_polls_find_nothing_new_and_keep_no_session_alive(case: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page()
    board_of(page, case)
    session = session_of(page)
    before = (datetime.now(tz=UTC) - timedelta(minutes=5)).timestamp()
    session["used_at"] = before
    session.save()

    for _ in range(2):
        with page.expect_response(is_poll, timeout=SOON) as found:
            pass
        assert found.value.status == 304
    polled = session_of(page)["used_at"]
    page.reload()

    assert polled == before
    assert session_of(page)["used_at"] > before


def test_age_is_shown_and_grows_when_the_server_is_away(case: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page()
    board_of(page, case)
    age = page.locator("#age")
    expect(age).to_have_text(re.compile(r"^updated (just now|\d+ s ago)$"))

    page.context.set_offline(True)
    expect(age).to_have_text(re.compile(r"^updated ([89]|[1-5]\d) s ago$|^updated \d+ min ago$"), timeout=SOON)
    page.context.set_offline(False)
    expect(age).to_have_text(re.compile(r"^updated (just now|[2-4] s ago)$"), timeout=SOON)


def test_an_opened_case_is_one_reading_however_long_it_stays_open(case: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page()
    board_of(page, case)
    page.locator(".bar").click()
    expect(page.locator("#case-panel h2")).to_be_visible()

    for _ in range(2):
        with page.expect_response(is_poll, timeout=SOON):
            pass

    assert AuditEvent.objects.filter(act="scheduling.appointment_read", subject_id=case.public_id).count() == 1


def test_a_dragged_bar_may_leave_its_lane_and_comes_back(case: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page()
    board_of(page, case)
    box = page.locator(".bar").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] + 60, steps=5)
    expect(page.locator(".lane.is-lifted .bar.is-dragging")).to_have_count(1)

    page.keyboard.press("Escape")
    page.mouse.up()

    expect(page.locator(".lane.is-lifted")).to_have_count(0)
    expect(page.locator(".bar.is-dragging")).to_have_count(0)


def booked(clinic: SmallClinic, clock: str, patient: Patient) -> Appointment:
    """Book a case on the next day on which the small clinic is open, as the desk does."""
    today = wall_now(clinic).date()
    day = next(on for on in (today + timedelta(days=n) for n in range(1, 5)) if on.weekday() < 5)
    start, by = factories.local(day, clock), Actor.of_user(User.objects.get(username="desk"))
    now = datetime.now(tz=UTC)
    opening = openings.fit(procedure=clinic.procedure, starts_at=start, site=clinic.site, at=now).opening
    assert opening is not None
    target = booking.Target(side="left")
    return booking.book(patient=patient, procedure=clinic.procedure, target=target, opening=opening, by=by, at=now)


def dragged(page: Page, case: Appointment, hours: int) -> None:
    """Take a bar by the mouse and let it go so many hours later in its lane."""
    bar = page.locator(f'.bar[data-move*="{case.public_id}"]')
    box = bar.bounding_box()
    assert box is not None
    tall: float = page.evaluate("document.querySelector('.lane[data-resource]').clientHeight")
    hour = 12 * tall / page.evaluate("Number(document.querySelector('#board').dataset.slots)")
    page.mouse.move(box["x"] + 30, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 30, box["y"] + 8 + hours * hour, steps=8)
    page.mouse.up()


def test_a_dropped_bar_is_kept_only_after_the_servers_answer_and_a_press(
    clinic_now: SmallClinic, open_page: Callable[..., Page]
) -> None:
    case = booked(clinic_now, "9:00", clinic_now.patient)
    page = open_page()
    board_of(page, case)

    dragged(page, case, 2)
    expect(page.locator("#move-form")).to_be_visible()
    case.refresh_from_db()
    assert (case.local_time.hour, case.version) == (9, 1)

    with page.expect_response(lambda answer: answer.url.endswith("/move/")):
        page.locator("#move-form").get_by_role("button", name=re.compile("^Move")).first.click()
    expect(page.locator(".drag-time")).to_have_count(0, timeout=SOON)
    expect(page.locator(f'.bar[data-move*="{case.public_id}"]')).to_contain_text("11:00", timeout=SOON)
    case.refresh_from_db()
    assert (case.local_time.hour, case.local_time.minute, case.version) == (11, 0, 2)


def test_a_bar_dropped_on_a_taken_time_goes_back_and_says_why(clinic_now: SmallClinic, open_page: Callable[..., Page]) -> None:
    case = booked(clinic_now, "9:00", clinic_now.patient)
    other = booked(clinic_now, "11:00", factories.patient(home=clinic_now.site, last_name="Okafor"))
    page = open_page()
    sign_in(page, "desk")
    page.goto(f"/board/?day={case.local_date}")
    expect(page.locator(".bar")).to_have_count(2)
    bar = page.locator(f'.bar[data-move*="{case.public_id}"]')
    before = bar.bounding_box()
    assert before is not None

    dragged(page, case, 2)
    expect(page.locator("[data-refusal]")).to_be_visible()
    expect(page.locator(".bar.is-dragging, .bar.is-waiting, .bar.is-back")).to_have_count(0)

    after = bar.bounding_box()
    assert after is not None
    assert (after["x"], after["y"], after["height"]) == (before["x"], before["y"], before["height"])  # the panel takes width
    for row, hour in ((case, 9), (other, 11)):
        row.refresh_from_db()
        assert (row.local_time.hour, row.version) == (hour, 1)
