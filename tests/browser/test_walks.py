"""The desk's walk in a real browser: find, book, see, move, cancel; with scripts and without."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from procedures.models import Procedure
from scheduling import booking
from scheduling.models import Appointment, Message
from scheduling.openings import find_openings
from tests import factories
from tests.browser.conftest import sign_in, violations
from tests.factories import SmallClinic


def book(page: Page, clinic: SmallClinic, *, scripts: bool) -> None:
    sign_in(page, "desk")
    page.goto(f"/book/?patient={clinic.patient.public_id}")
    if scripts:
        box = page.get_by_role("combobox", name="Procedure")
        box.fill("Lumbar")
        page.get_by_role("option", name="Lumbar block").first.click()
    else:
        page.locator("#id_procedure").select_option(value=clinic.procedure.code)
        page.get_by_role("button", name="Go on").click()
    page.get_by_label("Right", exact=True).check()
    if not scripts:
        page.get_by_role("button", name="Go on").click()
    page.locator("button.opening").first.click()
    page.locator("#chosen").wait_for()
    page.get_by_role("button", name="Book ").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_desk_books_sees_moves_and_cancels(clinic_now: SmallClinic, open_page: Callable[..., Page], scripts: bool) -> None:
    page = open_page(scripts=scripts)
    book(page, clinic_now, scripts=scripts)
    page.get_by_text("Booked").first.wait_for()
    case = Appointment.objects.get()
    assert (case.side, case.status) == ("right", "booked")
    assert Message.objects.filter(appointment=case, kind="confirmation").count() == 1

    page.goto(f"/board/?day={case.local_date}")
    expect(page.get_by_text("Vera M. 1958").first).to_be_visible()

    page.goto(f"/appointments/{case.public_id}/cancel/")
    page.get_by_label("Patient", exact=True).check()
    page.get_by_label("Reason").select_option("transport")
    page.get_by_role("button", name="Cancel this case").click()
    page.wait_for_url(f"**/appointments/{case.public_id}/")
    case.refresh_from_db()
    assert (case.status, case.cancel_reason, case.asked_by) == ("cancelled", "transport", "patient")


PAGES = ("/", "/board/", "/book/", "/patients/", "/messages/", "/settings/procedures/", "/feeds/", "/assess/", "/rules/")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_never_scroll_sideways(
    clinic_now: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    page.goto("/sign-in/")
    assert violations(page) == []
    sign_in(page, "manager")
    patient = f"/patients/{clinic_now.patient.public_id}/"
    for path in (
        *PAGES,
        patient,
        f"{patient}coverage/",
        f"{patient}coverage/plans/new/",
        f"/book/?patient={clinic_now.patient.public_id}",
    ):
        page.goto(path)
        assert violations(page) == [], path
        wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px at {width}"


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (768, "light"), (1440, "light")])
def test_pages_of_a_case_are_accessible_and_never_scroll_sideways(
    clinic_now: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    at = datetime.now(tz=UTC)
    by = Actor.of_user(User.objects.get(username="desk"))
    first, second = (
        booking.book(patient=who, procedure=clinic_now.procedure, target=booking.Target(side="left"), opening=each, by=by, at=at)
        for who, each in zip(
            (clinic_now.patient, factories.patient(home=clinic_now.site, last_name="Okafor", first_name="Adam")),
            find_openings(procedure=clinic_now.procedure, at=at, grid_minutes=60, per_day=1, limit=2).openings,
            strict=True,
        )
    )
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "desk")
    case = f"/appointments/{first.public_id}/"
    swaps = (f"{case}swap/?day={second.local_date}", f"{case}swap/?with={second.public_id}")
    for path in (case, f"{case}move/", *swaps, f"{case}cancel/", f"{case}print/", f"{case}medicines/", "/findings/"):
        page.goto(path)
        assert violations(page) == [], path
        wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px at {width}"

    page.goto(f"{case}swap/?day={second.local_date}")
    page.get_by_role("link", name="Swap with Adam O.").click()
    page.get_by_role("button", name="Swap: ").click()
    page.wait_for_url(f"**{case}")
    first.refresh_from_db()
    assert first.starts_at == second.starts_at


def test_the_body_map_and_its_boxes_are_one_control(clinic_now: SmallClinic, open_page: Callable[..., Page]) -> None:
    Procedure.objects.filter(pk=clinic_now.procedure.pk).update(regions=["shoulder", "hip", "knee"])
    page = open_page()
    sign_in(page, "desk")
    page.goto(f"/book/?patient={clinic_now.patient.public_id}")
    page.get_by_role("combobox", name="Procedure").fill("Lumbar")
    page.get_by_role("option", name="Lumbar block").first.click()

    page.locator("[data-part=knee].pl").click()

    expect(page.get_by_label("Knee", exact=True)).to_be_checked()
    expect(page.get_by_label("Left", exact=True)).to_be_checked()
    assert violations(page) == []


def test_a_way_to_narrow_openings_down_asks_again_at_once(clinic_now: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "desk")
    page.goto(f"/book/?patient={clinic_now.patient.public_id}")
    page.get_by_role("combobox", name="Procedure").fill("Lumbar")
    page.get_by_role("option", name="Lumbar block").first.click()
    page.locator("button.opening").first.wait_for()
    for label in ("Only times on which no rule stands in the way", "Afternoon"):
        if not page.get_by_label(label).is_visible():
            page.get_by_text("Narrow it down").click()
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/book/")) as told:
            page.get_by_label(label).check()
        assert told.value.status == 200
        expect(page.get_by_label(label)).to_be_checked()
