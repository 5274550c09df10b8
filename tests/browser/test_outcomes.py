"""Outcomes in a real browser: the report, the page that amends what was done, and three clicks for a score.

axe cannot run where scripts are off (its timers never come), so what works without scripts is tried apart from how it looks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients import amending, records
from patients.models import Allergy, Amendment, GivenDrug, PerformedProcedure, Score, SessionOutcome
from tests import factories
from tests.browser.conftest import looked_at, sign_in, stands, wall_now
from tests.factories import SmallClinic

WIDTHS = [(360, "dark"), (768, "light"), (1440, "light"), (1440, "dark")]
MOST_TABS = 90


@pytest.fixture
def judged(clinic_now: SmallClinic) -> SmallClinic:
    """Return the clinic with sessions of three procedures and what they brought, enough of each to be shown."""
    at = wall_now(clinic_now)
    kinds = [factories.procedure(code=f"kind_{n}", name=f"Kind {n}", needs=()) for n in range(3)]
    people = [factories.patient(home=clinic_now.site, last_name=f"Person{n}") for n in range(14)]
    rows = PerformedProcedure.objects.bulk_create(
        PerformedProcedure(
            patient=person, procedure=kind, site=clinic_now.site, done_on=at.date() - timedelta(days=60 + n * 3), side="left",
            operator_name="Dr. Adler", recorded_at=at,
        )
        for kind in kinds
        for n, person in enumerate(people)
    )  # fmt: skip
    SessionOutcome.objects.bulk_create(
        SessionOutcome(
            performed=row, measure="nrs", baseline=8, score_count=1, best_pct=Decimal(60), last_pct=Decimal(60), later_count=1,
            later_best_pct=Decimal(60), later_50_until=row.done_on + timedelta(days=20 + n),
            later_50_lost_on=row.done_on + timedelta(days=40 + n) if n % 3 else None,
        )
        for n, row in enumerate(rows)
    )  # fmt: skip
    return clinic_now


@pytest.fixture
def by(clinic_now: SmallClinic) -> Actor:
    return Actor.of_user(User.objects.get(username="physician"))


@pytest.fixture
def done(clinic_now: SmallClinic, by: Actor) -> PerformedProcedure:
    """Return a procedure that was performed with a steroid."""
    at = wall_now(clinic_now)
    on = at.date() - timedelta(days=20)
    values = {"procedure": clinic_now.procedure, "site": clinic_now.site, "done_on": on, "side": "left"}
    row = records.record(kind=PerformedProcedure, patient=clinic_now.patient, values=values, by=by, at=at)
    given = {"performed": row, "kind": "steroid", "drug": "dexamethasone", "dose_mg": 10, "given_on": row.done_on}
    records.record(kind=GivenDrug, patient=clinic_now.patient, values=given, by=by, at=at)
    return row


def tabbed_to(page: Page, selector: str) -> None:
    """Press Tab until this element has the focus, as somebody without a mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
def test_the_report_is_accessible_and_never_scrolls_sideways(
    judged: SmallClinic, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    for name, query in (
        ("report", ""), ("report-procedures", "?by=procedure"), ("report-one", "?by=physician&procedure=kind_0"),
        ("report-none", "?procedure=none"),
    ):  # fmt: skip
        looked_at(page, f"/reports/outcomes/{query}", f"{name}-{scheme}", width)


def test_a_procedure_of_the_report_opens_with_its_curve(judged: SmallClinic, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto("/reports/outcomes/?by=procedure")

    page.get_by_role("link", name="Kind 0").first.click()

    expect(page.get_by_role("heading", name="What works in this clinic: Kind 0")).to_be_visible()
    expect(page.locator(".curve-line")).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_report_is_asked_by_keyboard_with_and_without_scripts(
    judged: SmallClinic, open_page: Callable[..., Page], scripts: bool
) -> None:
    page = open_page(scripts=scripts)
    sign_in(page, "physician")
    page.goto("/reports/outcomes/")

    tabbed_to(page, "[name=by]")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    tabbed_to(page, "[name=years]")
    page.keyboard.press("Home")
    tabbed_to(page, ".report-ask button")
    page.keyboard.press("Enter")

    page.wait_for_url("**years=1**")
    expect(page.locator("table.report tbody tr").first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
def test_the_page_that_amends_is_accessible_in_all_its_states(
    done: PerformedProcedure, by: Actor, open_page: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    sign_in(page, "physician")
    looked_at(page, f"/performed/{done.public_id}/", f"performed-{scheme}", width)
    page.get_by_label("Why this is amended").fill("Side was wrong")
    at = datetime.now(tz=UTC)
    amending.amend(performed=done, changes={"side": "right"}, reason="Wrong side", by=by, at=at, version=1)

    page.get_by_role("button", name="Amend").click()
    page.get_by_text("What the other changed").wait_for()
    stands(page, f"performed-stale-{scheme}", width)
    page.get_by_label("Why this is amended").fill("")
    page.get_by_role("button", name="Amend").click()
    page.locator("#error-summary").wait_for()
    stands(page, f"performed-refused-{scheme}", width)


def test_two_who_amend_one_procedure_are_told_and_lose_nothing_typed_without_scripts(
    done: PerformedProcedure, by: Actor, open_page: Callable[..., Page]
) -> None:
    page = open_page(scripts=False)
    sign_in(page, "physician")
    page.goto(f"/performed/{done.public_id}/")
    page.get_by_label("Remark").fill("Radicular pattern")
    page.get_by_label("Why this is amended").fill("Remark was missing")
    at = datetime.now(tz=UTC)
    amending.amend(performed=done, changes={"side": "right"}, reason="Wrong side", by=by, at=at, version=1)

    page.get_by_role("button", name="Amend").click()
    expect(page.get_by_text("What the other changed")).to_be_visible()
    expect(page.get_by_label("Remark")).to_have_value("Radicular pattern")
    page.locator("#id_side").select_option("right")
    page.get_by_role("button", name="Amend").click()
    page.wait_for_url(f"**/performed/{done.public_id}/")
    expect(page.get_by_text("Remark was missing")).to_be_visible()

    done.refresh_from_db()
    assert (done.side, done.note, done.version, Amendment.objects.count()) == ("right", "Radicular pattern", 3, 2)


def test_what_was_done_is_amended_by_keyboard_alone(done: PerformedProcedure, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/performed/{done.public_id}/")

    tabbed_to(page, "#id_note")
    page.keyboard.type("Radicular pattern")
    tabbed_to(page, "#id_reason")
    page.keyboard.type("Remark was missing")
    tabbed_to(page, "#amend-form .btn-main")
    page.keyboard.press("Enter")

    expect(page.locator("ins", has_text="Radicular pattern")).to_be_visible()
    done.refresh_from_db()
    assert (done.note, done.version) == ("Radicular pattern", 2)


def test_an_outcome_is_recorded_in_three_clicks(done: PerformedProcedure, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, "physician")
    page.goto(f"/patients/{done.patient.public_id}/")

    page.get_by_role("link", name="Record outcome").click()
    page.locator("label[for=id_now_3], #id_now_3").first.click()
    page.get_by_role("button", name="Record", exact=True).click()

    page.wait_for_url(f"**/patients/{done.patient.public_id}/")
    row = Score.objects.get()
    assert (row.measure, row.aspect, row.value, row.performed_id, row.phase) == ("nrs", "now", 3, done.pk, "follow_up")
    expect(page.get_by_text("Pain now 3")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_score_is_entered_by_keyboard_with_and_without_scripts(
    done: PerformedProcedure, open_page: Callable[..., Page], scripts: bool
) -> None:
    page = open_page(scripts=scripts)
    sign_in(page, "physician")
    page.goto(f"/patients/{done.patient.public_id}/scores/new/")

    tabbed_to(page, "[name=now]")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tabbed_to(page, "#id_peg")
    page.keyboard.type("4.33")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/patients/{done.patient.public_id}/")
    found = set(Score.objects.values_list("measure", "aspect", "value"))
    assert found == {("nrs", "now", Decimal(2)), ("peg", "total", Decimal("4.33"))}


def test_a_fact_is_recorded_by_keyboard_without_scripts(done: PerformedProcedure, open_page: Callable[..., Page]) -> None:
    page = open_page(scripts=False)
    sign_in(page, "physician")
    page.goto(f"/patients/{done.patient.public_id}/record/")

    tabbed_to(page, "a[href$='/allergies/new/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/allergies/new/")
    tabbed_to(page, "#id_agent")
    page.keyboard.type("Latex")
    tabbed_to(page, ".btn-main")
    page.keyboard.press("Enter")

    page.wait_for_url("**/record/")
    assert Allergy.objects.get().agent == "latex"
