"""The desk's walk in a real browser: find, book, see, move, cancel; with scripts and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from scheduling.models import Appointment, Message
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


PAGES = ("/", "/board/", "/book/", "/patients/", "/messages/", "/settings/procedures/")


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
    for path in (*PAGES, patient, f"/book/?patient={clinic_now.patient.public_id}"):
        page.goto(path)
        assert violations(page) == [], path
        wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px at {width}"
