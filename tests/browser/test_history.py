"""The history of a patient and the pages that record into it: read by axe, by keyboard and without scripts, at every width."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients import notes, outcomes, records
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    Condition,
    Coverage,
    EmergencyAccess,
    GivenDrug,
    Medication,
    PerformedProcedure,
)
from procedures.models import Procedure
from scheduling import desk_tasks
from scheduling.letters import PASSAGES
from scheduling.models import Appointment, CadenceStep, Status
from tests import factories
from tests.browser.conftest import looked_at, sign_in, violations, wall_now
from tests.factories import SmallClinic

WIDTHS = [(360, "dark"), (768, "light"), (1440, "light"), (1440, "dark")]


@pytest.fixture
def told(clinic_now: SmallClinic) -> SmallClinic:
    """Return the clinic with a patient of many sessions, scores, facts, drugs and authorisations."""
    clinic, at = clinic_now, wall_now(clinic_now)
    clinic.patient.sex = "female"
    clinic.patient.save(update_fields=["sex"])
    doctor = Actor.of_user(User.objects.get(username="physician"))
    desk = Actor.of_user(User.objects.get(username="manager"))
    today = at.date()
    ablation = factories.procedure(name="Ablation of facet nerves", needs=(), category="rfa", family="facet_rfa",
                                   level_scheme="facet_nerves")  # fmt: skip
    knee = factories.procedure(
        name="Genicular block", needs=(), category="nerve_block", family="genicular_block", regions=["knee"]
    )

    def tell(what: Any, /, **values: Any) -> Any:
        by = desk if what in (Coverage, Authorization) else doctor
        return records.record(kind=what, patient=clinic.patient, values=values, by=by, at=at)

    def session(days_ago: int, procedure: Procedure, before: int, after: dict[int, int], **where: Any) -> PerformedProcedure:
        on = today - timedelta(days=days_ago)
        done: PerformedProcedure = tell(
            PerformedProcedure, procedure=procedure, site=clinic.site, done_on=on, guidance="fluoroscopy", fluoroscopy_seconds=48,
            operator_name="Dr. Adler", **where,
        )  # fmt: skip
        about = {"measure": "nrs", "aspect": "index", "performed": done}
        for value, days, phase in [(before, 0, "before"), *((v, d, "follow_up") for d, v in after.items())]:
            score = {**about, "value": value, "scored_on": on + timedelta(days=days), "phase": phase}
            outcomes.record_score(patient=clinic.patient, values=score, by=doctor, at=at)
        tell(GivenDrug, performed=done, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=on)
        return done

    for n in range(14):
        session(40 + 45 * n, clinic.procedure, 8, {14: 2 + n % 3, 40: 5}, levels=["L4-L5"], side="left")
    session(300, ablation, 9, {14: 1, 90: 2, 200: 6}, levels=["L3-L4", "L4-L5", "L5-S1"], side="bilateral")
    session(200, knee, 6, {7: 3}, regions=["knee"], side="right")
    session(20, clinic.procedure, 7, {}, levels=["C6-C7"], side="right")
    tell(
        Medication, kind="antithrombotic", drug="apixaban", name="Apixaban", dose="5 mg twice a day", started_on=date(2024, 1, 1)
    )
    tell(Medication, kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=40, started_on=date(2025, 6, 1))
    tell(Allergy, agent="iodinated_contrast", severity="mild")
    tell(Condition, kind="osteoporosis")
    tell(Asked, topic="implants", asked_on=today)
    coverage = tell(Coverage, payer="Harbour Mutual", payer_rules="none", plan_type="commercial")
    tell(Authorization, coverage=coverage, covers="esi", number="A-1182", status="approved", decided_on=today, units=3,
         valid_until=today + timedelta(days=60))  # fmt: skip
    tell(Authorization, coverage=coverage, covers="facet_rfa", asked_on=today)
    for days in (6, 20, 41, 62):
        factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, levels=["L4-L5"], side="left",
            starts_at=at.replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=days), resources=[clinic.physician],
        )  # fmt: skip
    return clinic


@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
def test_the_history_is_accessible_and_never_scrolls_sideways(
    told: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    address = f"/patients/{told.patient.public_id}/"
    new = factories.patient(home=told.site, last_name="New", first_name="Nora")

    looked_at(page, address, f"history-{scheme}", width)
    looked_at(page, f"{address}?as=table&span=5y&what=scores", f"history-table-{scheme}", width)
    looked_at(page, f"{address}?at=L4-L5&side=left", f"history-place-{scheme}", width)
    looked_at(page, f"/patients/{new.public_id}/", f"history-new-{scheme}", width)
    looked_at(page, f"{address}access/", f"access-{scheme}", width)
    looked_at(page, f"{address}upcoming/", f"upcoming-{scheme}", width)
    looked_at(page, f"{address}messages/", f"told-{scheme}", width)


def test_the_history_is_one_screen_wide_and_fits_the_promised_height(told: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/patients/{told.patient.public_id}/")
    page.wait_for_load_state("networkidle")

    for heading in ("Where", "How much", "What happened", "What next", "Medicines"):
        box = page.get_by_role("heading", name=heading, exact=True).bounding_box()
        assert box is not None, heading
        assert box["y"] < 900, f"{heading} stands below the first screen, at {box['y']:.0f} px"


def test_a_place_on_the_map_filters_by_mouse_and_by_keyboard(told: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/patients/{told.patient.public_id}/")

    page.locator("#at-knee-right").click()

    expect(page.get_by_text("Knee right only")).to_be_visible()
    expect(page).to_have_url(f"/patients/{told.patient.public_id}/?at=knee&side=right")
    expect(page.locator(".happening")).to_have_count(2)
    page.go_back()
    expect(page.locator(".happening")).to_have_count(10)

    page.locator("#what-procedures").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#what-procedures")).to_have_attribute("aria-current", "true")
    expect(page.locator("#what-procedures")).to_be_focused()
    expect(page.locator(".happening")).to_have_count(10)
    page.locator("#earlier").press("Enter")
    expect(page.locator(".happening")).to_have_count(7)


def test_without_scripts_everything_is_a_link(told: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page(scripts=False)
    sign_in(page, "physician")
    page.goto(f"/patients/{told.patient.public_id}/")

    page.locator("#at-knee-right").click()
    expect(page.locator(".happening")).to_have_count(2)
    page.get_by_role("link", name="Show all places").click()
    page.get_by_role("link", name="As a table").click()
    expect(page.locator(".chart-table tbody tr").first).to_be_visible()
    page.get_by_role("link", name="All appointments").click()
    expect(page.get_by_role("heading", name="Appointments")).to_be_visible()


def test_after_signing_out_neither_back_nor_the_browsers_stores_show_anything(
    told: SmallClinic, open_page: Callable[..., Page]
) -> None:
    """TRUST P6: a shared computer."""
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/patients/{told.patient.public_id}/")
    page.locator("#at-knee-right").click()
    expect(page.get_by_text("Knee right only")).to_be_visible()

    page.get_by_role("button", name="Sign out", include_hidden=True).dispatch_event("click")
    page.wait_for_url("**/sign-in/**")
    for _ in range(3):
        page.go_back()
        page.wait_for_load_state("networkidle")
        assert told.patient.last_name not in page.content()
        assert "Knee right only" not in page.content()

    # htmx keeps the address of the page that is open, which after signing out is that of the sign-in.
    assert page.evaluate("[localStorage.length, Object.keys(sessionStorage), document.cookie]") == [
        0, ["htmx-current-path-for-history"], "",
    ]  # fmt: skip
    assert page.evaluate("sessionStorage['htmx-current-path-for-history']").startswith("/sign-in/")


@pytest.mark.parametrize(("width", "scheme"), WIDTHS[:3])
def test_pages_that_record_are_accessible_and_never_scroll_sideways(
    told: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    at, who = datetime.now(tz=UTC), told.patient
    doctor = Actor.of_user(User.objects.get(username="physician"))
    nurse = factories.user(role="nurse", username="nurse", sites=(told.site,), display_name="Test nurse")
    done = list(PerformedProcedure.objects.filter(patient=who).order_by("pk")[:2])
    draft = notes.write(performed=done[0], sections={"plan": "See in two weeks"}, by=doctor, at=at)
    final = notes.write(performed=done[1], sections={"plan": "Again when needed"}, by=doctor, at=at)
    final = notes.sign(note=final, by=doctor, at=at)
    notes.add(note=final, text="Called: well", by=Actor.of_user(nurse), at=at)
    allergy = Allergy.objects.get(patient=who)
    far = factories.user(role="physician", sites=(factories.site(),), display_name="Dr. Far")
    EmergencyAccess.objects.create(
        patient=who, user=far, reason="treating", text="Unconscious here", opened_at=at, ends_at=at + timedelta(hours=1)
    )
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    record = f"/patients/{who.public_id}/record/"
    for path, name in (
        (record, "facts"),
        *((f"{record}{kind}/new/", f"fact-{kind}") for kind in ("medicines", "allergies", "conditions", "implants", "labs")),
        (f"{record}allergies/{allergy.public_id}/", "fact-amend"),
        (f"/patients/{who.public_id}/scores/new/", "score"),
        (f"/notes/{draft.public_id}/", "note"),
        (f"/notes/{final.public_id}/", "note-signed"),
        ("/patients/emergency/", "emergency"),
    ):
        looked_at(page, path, f"{name}-{scheme}", width)
    page.get_by_role("button", name="Open for an hour").click()
    page.locator("#error-summary").wait_for()
    assert violations(page) == []
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "manager")
    looked_at(page, "/patients/emergencies/", f"emergencies-{scheme}", width)


@pytest.mark.parametrize(("width", "scheme"), WIDTHS[:3])
def test_pages_of_the_visit_and_of_the_mails_are_accessible_and_never_scroll_sideways(
    clinic_now: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    at = datetime.now(tz=UTC)
    case = factories.appointment(
        of=clinic_now.patient, at_site=clinic_now.site, for_procedure=clinic_now.procedure, resources=clinic_now.resources,
        starts_at=at - timedelta(minutes=(at.minute % 5) + 60, seconds=at.second, microseconds=at.microsecond),
        status=Status.RECOVERY, side="left",
    )  # fmt: skip
    tomorrow = factories.appointment(
        of=factories.patient(home=clinic_now.site, last_name="Okafor"), at_site=clinic_now.site,
        for_procedure=clinic_now.procedure, starts_at=at.replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=1),
    )  # fmt: skip
    by = Actor.of_user(User.objects.get(username="desk"))
    desk_tasks.open_task(kind="missed", patient=clinic_now.patient, appointment=case, by=by, at=at)
    step = CadenceStep.objects.filter(kind="reminder").first() or CadenceStep.objects.create(
        code="own", kind="reminder", site=clinic_now.site, offset_days=-2, at_time="16:00"
    )
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    visit = f"/appointments/{case.public_id}/"
    for path, name in (
        (f"{visit}checklist/before/", "checklist"),
        (f"{visit}checklist/leaving/", "leaving"),
        (f"{visit}complete/", "complete"),
        (visit, "case"),
    ):
        looked_at(page, path, f"{name}-{scheme}", width)
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "manager")
    wording = f"/settings/wording/en/{min(PASSAGES)}/"
    for path, name in (
        ("/tasks/", "tasks"),
        (f"/unconfirmed/?day={tomorrow.local_date}&site={clinic_now.site.slug}", "unconfirmed"),
        ("/settings/messages/", "mail-setup"),
        (f"/settings/messages/{step.public_id}/", "mail-step"),
        ("/settings/wording/en/", "wording"),
        ("/settings/wording/es/", "wording-es"),
        (wording, "passage"),
    ):
        looked_at(page, path, f"{name}-{scheme}", width)
    assert Appointment.objects.count() == 2
