"""A sedated patient does not leave by one press: the page says what is missing and leads there; so does the board's panel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from scheduling.models import Appointment, Discharge, Status
from tests import factories
from tests.browser.conftest import sign_in, stands
from tests.factories import SmallClinic


def in_recovery(clinic: SmallClinic) -> Appointment:
    factories.user(role="nurse", username="nurse", sites=(clinic.site,), display_name="Test nurse")
    start = datetime.now(tz=UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources, side="left",
        starts_at=start - timedelta(minutes=start.minute % 5), status=Status.RECOVERY, sedation="moderate",
    )  # fmt: skip


@pytest.mark.parametrize(("width", "scripts"), [(1440, True), (360, False)])
def test_the_case_leads_to_the_leaving_checklist(
    clinic_now: SmallClinic, open_page: Callable[..., Page], width: int, scripts: bool
) -> None:
    case = in_recovery(clinic_now)
    page = open_page(width=width, scripts=scripts)
    sign_in(page, "nurse")
    page.goto(f"/appointments/{case.public_id}/")
    page.get_by_role("button", name="Discharge", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This patient was sedated")
    if scripts:
        stands(page, "leaving-refused", width)
    page.get_by_role("link", name="Fill in the leaving checklist").click()
    page.get_by_label("Who takes the patient home").fill("Daughter")
    page.get_by_role("button", name="Yes to all that is open").click()
    page.get_by_role("button", name="Discharge", exact=True).click()
    expect(page.get_by_text("Discharged").first).to_be_visible()

    case.refresh_from_db()
    assert (case.status, Discharge.objects.get().escort) == (Status.DISCHARGED, "Daughter")


def test_the_panel_of_the_board_takes_a_reason(clinic_now: SmallClinic, open_page: Callable[..., Page]) -> None:
    case = in_recovery(clinic_now)
    page = open_page()
    sign_in(page, "nurse")
    page.goto(f"/board/?site={clinic_now.site.slug}&day={case.local_date.isoformat()}&case={case.public_id}")
    panel = page.locator("#case-panel")
    panel.get_by_role("button", name="Discharge", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("vital signs as before")
    panel.get_by_label("Reason to discharge without it").fill("Goes by ambulance")
    panel.get_by_role("button", name="Discharge without it").click()
    expect(panel.get_by_text("Discharged").first).to_be_visible()

    case.refresh_from_db()
    assert (case.status, Discharge.objects.get().reason) == (Status.DISCHARGED, "Goes by ambulance")
