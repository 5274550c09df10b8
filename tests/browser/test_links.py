"""The pages behind links as a patient's phone shows them: no script, no sideways scroll, nothing that a reader trips over."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.catalogues import compiled
from pain_clinic.strangers import GONE
from patients.models import PerformedProcedure, Score
from scheduling import booking, links, openings
from scheduling.models import Appointment, Ask, Link, LinkPurpose, Message
from tests.browser.conftest import violations, wall_now
from tests.factories import SmallClinic

SHOTS = os.environ.get("LINK_SHOTS", "")  # a folder: keep a picture of every page looked at


@pytest.fixture
def visit(clinic_now: SmallClinic) -> Appointment:
    """Return a case about a week ahead."""
    site, patient = clinic_now.site, clinic_now.patient
    site.name, site.phone, site.address = "Northside", "+1 518 555 0100", "1 Elm Street, Albany, New York 12207"
    site.save()
    patient.email = "vera@example.org"
    patient.save()
    at = datetime.now(tz=UTC)
    found = openings.find_openings(
        procedure=clinic_now.procedure, at=at, earliest=at + timedelta(days=6), patient=patient, limit=1
    )
    return booking.book(
        patient=patient,
        procedure=clinic_now.procedure,
        target=booking.Target(side="left"),
        opening=found.openings[0],
        by=Actor.of_user(User.objects.get(username="desk")),
        at=at,
    )


def path_of(visit: Appointment, purpose: str = LinkPurpose.VISIT) -> str:
    message = Message.objects.filter(appointment=visit).order_by("pk")[0]
    address = links.issue(message=message, purpose=purpose, at=datetime.now(tz=UTC))
    return f"/l/{address.rstrip('/').rpartition('/')[2]}/"


def tell_birth_date(page: Page, path: str) -> None:
    """Open what is personal and tell the birth date of the small clinic's patient."""
    page.goto(path)
    for field, value in {"month": "3", "day": "2", "year": "1958"}.items():
        page.locator(f"#{field}").fill(value)
    page.locator("button.main-act").click()
    page.locator("#year").wait_for(state="detached")


def looked_at(page: Page, name: str) -> None:
    """Check what every page of a link owes a reader, and keep a picture where one is wanted."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)
    assert violations(page) == [], name
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1], name
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input:not([type=hidden]), .others a, nav a')]"
        ".filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)"
    )
    assert small == [], name


@pytest.mark.parametrize("width", [320, 360])
def test_many_languages_fit_a_small_screen_and_each_is_announced_as_itself(
    visit: Appointment, open_page: Callable[..., Page], settings: Any, tmp_path: Path, width: int
) -> None:
    for folder in ("ar", "pt", "vi", "zh_Hans"):
        place = tmp_path / folder / "LC_MESSAGES"
        place.mkdir(parents=True)
        (place / "django.mo").write_bytes(compiled({"Yes, I will come": f"({folder})", GONE[0]: f"{GONE[0]} ({folder})"}))
    settings.LOCALE_PATHS = [*settings.LOCALE_PATHS, tmp_path]
    page = open_page(width=width)

    main = path_of(visit)
    page.goto(f"{main}?lang=ar")

    looked_at(page, f"many-{width}")
    assert (page.locator("html").get_attribute("lang"), page.locator("html").get_attribute("dir")) == ("ar", "rtl")
    others = page.get_by_role("navigation", name="Language").get_by_role("link")
    assert [one.get_attribute("lang") for one in others.all()] == ["en", "pt", "zh-hans", "es", "vi"]
    assert [one.get_attribute("hreflang") for one in others.all()] == ["en", "pt", "zh-hans", "es", "vi"]
    page.locator("nav a[lang=vi]").click()
    page.get_by_role("button", name="(vi)").wait_for()
    page.goto("/l/AAAAAAAAAAAAAAAAAAAAAA/?lang=ar")
    looked_at(page, f"many-gone-{width}")
    assert page.locator("section").evaluate_all("all => all.map(one => one.lang)") == ["en", "pt", "zh-hans", "es", "vi"]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360])
def test_every_page_serves_phone_and_screen_reader(
    visit: Appointment, open_page: Callable[..., Page], width: int, scheme: str, language: str
) -> None:
    visit.patient.language = language
    visit.patient.save()
    page = open_page(width=width, scheme=scheme)
    main, mail, score, course = (path_of(visit, purpose) for purpose in LinkPurpose.values)
    key = f"{language}-{width}-{scheme}"
    for name, path in {
        "visit": main, "cancel": f"{main}cancel/", "another": f"{main}another-time/", "proof": f"{main}plan/",
        "unsubscribe": mail, "score": score, "course-proof": course, "gone": "/l/AAAAAAAAAAAAAAAAAAAAAA/",
    }.items():  # fmt: skip
        page.goto(path)
        looked_at(page, f"{name}-{key}")
    assert page.locator("html").get_attribute("lang") == "en"  # the page of bad links knows no patient
    page.goto(main)
    assert page.locator("html").get_attribute("lang") == language
    page.locator("button.main-act").click()
    expect(page.locator(".notice.done")).to_be_focused()
    looked_at(page, f"confirmed-{key}")
    page.goto(f"{main}plan/")
    for field, value in {"month": "3", "day": "3", "year": "1958"}.items():
        page.locator(f"#{field}").fill(value)
    page.locator("button.main-act").click()
    expect(page.locator(".notice.alert")).to_be_focused()
    looked_at(page, f"wrong-{key}")
    page.locator("#day").fill("2")
    page.locator("button.main-act").click()
    page.locator("input").first.wait_for(state="detached")
    looked_at(page, f"plan-{key}")
    page.goto(f"{main}cancel/")
    page.locator("button.main-act").click()
    page.wait_for_url("**said=cancelled**")
    looked_at(page, f"cancelled-{key}")


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_diary_is_answered_on_a_small_phone_without_scripts(
    clinic_now: SmallClinic, visit: Appointment, open_page: Callable[..., Page], scheme: str, language: str
) -> None:
    visit.patient.language = language
    visit.patient.save()
    path, now = path_of(visit, LinkPurpose.SCORE), wall_now(clinic_now)
    begun = (now - timedelta(minutes=31)).date()  # soon after midnight that of the first answer is yesterday
    done = PerformedProcedure.objects.create(
        patient=visit.patient, procedure=visit.procedure, site=visit.site, done_on=begun, recorded_at=now
    )
    for place, slot in enumerate(("15min", "30min", "1h")):  # over, over, to come
        Ask.objects.create(
            appointment=visit, patient=visit.patient, performed=done.public_id, step="", slot=slot, position=place,
            questions=["nrs.index"], meant_at=now + timedelta(minutes=30 * (place - 1) - 1), closes_at=now + timedelta(days=1),
        )  # fmt: skip
    page = open_page(width=320, scheme=scheme, scripts=False)
    tell_birth_date(page, path)
    page.get_by_role("button", name="6", exact=True).click()
    expect(page.locator("button.is-chosen")).to_have_text("6")
    page.locator(".moments a").nth(1).click()
    page.get_by_role("button", name="3", exact=True).click()
    expect(page.locator(".moments a")).to_have_count(2)
    assert sorted(Score.objects.values_list("value", flat=True)) == [3, 6]
    seen = open_page(width=320, scheme=scheme)  # axe is a script
    seen.context.add_cookies(page.context.cookies())
    seen.goto(path)
    expect(seen.locator("button.is-chosen")).to_have_text("3")
    looked_at(seen, f"diary-{language}-320-{scheme}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_patient_confirms_moves_cancels_and_takes_back(visit: Appointment, open_page: Callable[..., Page], scripts: bool) -> None:
    page = open_page(width=360, scripts=scripts)
    page.goto(path_of(visit))
    page.get_by_role("button", name="Yes, I will come").click()
    page.get_by_text("Thank you. We expect you.").wait_for()
    page.get_by_role("link", name="I need another time").click()
    page.locator(".offers button").nth(1).click()
    page.get_by_text("Your visit has a new time.").wait_for()
    moved = Appointment.objects.get()
    assert (moved.status, moved.starts_at != visit.starts_at) == ("booked", True)
    page.get_by_role("link", name="I cannot come").click()
    page.get_by_role("button", name="Cancel my visit").click()
    page.get_by_role("button", name="Take the cancellation back").click()
    page.get_by_text("Your visit stands again.").wait_for()
    again = Appointment.objects.get()
    assert (again.status, again.starts_at) == ("booked", moved.starts_at)


def test_browser_with_scripts_that_only_looks_writes_nothing(visit: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page(width=360)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    main, *others = (path_of(visit, purpose) for purpose in LinkPurpose.values)
    before = list(Appointment.objects.values()), list(Link.objects.values()), list(Message.objects.values())
    for path in (main, f"{main}cancel/", f"{main}another-time/", f"{main}plan/", *others):
        page.goto(path)
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(200)
    assert asked
    assert set(asked) == {"GET"}
    assert (list(Appointment.objects.values()), list(Link.objects.values()), list(Message.objects.values())) == before


def test_browser_with_scripts_that_looks_at_questions_answers_none(visit: Appointment, open_page: Callable[..., Page]) -> None:
    at = datetime.now(tz=UTC)
    message = Message.objects.create(
        appointment=visit, patient=visit.patient, kind="follow_up", step="score-0d", version=1, due_at=at, planned_at=at,
        created_at=at,
    )  # fmt: skip
    for position in (0, 1):
        Ask.objects.create(
            appointment=visit, patient=visit.patient, performed=uuid.uuid4(), step="score-0d", slot=f"{position + 1}h",
            position=position, questions=["nrs.index"], meant_at=at - timedelta(hours=2 - position),
            closes_at=at + timedelta(days=1),
        )  # fmt: skip
    page = open_page(width=360)
    path = "/l/" + links.issue(message=message, purpose=LinkPurpose.SCORE, at=at).rpartition("/l/")[2]
    tell_birth_date(page, path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))

    page.goto(path)
    page.mouse.wheel(0, 2000)
    page.wait_for_timeout(200)
    page.locator("a[href*='set=']").first.click()
    page.wait_for_load_state("networkidle")

    assert set(asked) == {"GET"}
    assert not Ask.objects.exclude(answered_at=None).exists()
    assert not Score.objects.exists()


def test_enter_on_the_keyboard_alone_is_enough(visit: Appointment, open_page: Callable[..., Page]) -> None:
    page = open_page(width=360)
    page.goto(path_of(visit))
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('button.main-act')"):
            break
    page.keyboard.press("Enter")
    page.get_by_text("Thank you. We expect you.").wait_for()
    assert Appointment.objects.get().status == "confirmed"
