"""Several sessions together in a real browser: ordered, skipped and booked without scripts; accessible at every width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from procedures.models import Procedure
from scheduling import courses, series
from scheduling.courses import Terms
from scheduling.models import Appointment, Series
from scheduling.series import Item
from tests.browser.conftest import sign_in, violations, wall_now
from tests.factories import SmallClinic


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_physician_orders_skips_and_books_without_scripts(clinic_now: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page(scripts=False)
    sign_in(page, "physician")
    page.goto(f"/patients/{clinic_now.patient.public_id}/series/new/")
    page.locator("#id_item0-procedure").select_option(value=str(clinic_now.procedure.pk))
    page.locator("#id_item0-count").fill("3")
    page.locator("#id_item0-side").select_option("left")
    page.get_by_role("button", name="Look for dates").click()
    page.get_by_role("button", name="Skip session 2").click()
    page.get_by_role("button", name="Take session 2 in again").wait_for()
    page.get_by_role("button", name="Book all 2 or none").click()
    page.get_by_text("booked", exact=True).first.wait_for()
    assert Appointment.objects.count() == 2
    assert [one.is_skipped for one in series.read(Series.objects.get())] == [False, True, False]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible_and_never_scroll_sideways(
    clinic_now: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    now = wall_now(clinic_now)
    Procedure.objects.filter(pk=clinic_now.procedure.pk).update(family="tpi")
    doctor = Actor.of_user(User.objects.get(username="physician"))
    patient, site = clinic_now.patient, clinic_now.site
    procedure = Procedure.objects.get(pk=clinic_now.procedure.pk)
    terms = Terms("tpi_series", {"trigger_points": procedure.code}, side="left")
    courses.start(patient=patient, site=site, terms=terms, by=doctor, at=now, since=now.date())
    courses.refresh(at=now)
    made = series.order(patient=patient, site=site, given=[Item(procedure, "left", count=3)], by=doctor, at=now)
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    for path in (f"/series/{made.public_id}/", f"/patients/{patient.public_id}/series/new/", "/worklist/"):
        page.goto(path)
        assert violations(page) == [], path
        assert fits(page), path
    page.get_by_role("button", name="Try the whole list").click()
    page.locator("#bulk-try").wait_for()
    assert violations(page) == []
    assert fits(page)
    page.get_by_role("button", name="Book the ticked rows").click()
    page.locator("#bulk-done").wait_for()
    assert violations(page) == []
    assert fits(page)
    assert Appointment.objects.count() == 1
