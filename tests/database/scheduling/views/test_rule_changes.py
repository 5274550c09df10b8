"""The manager's rules: found, read with their source, changed with a look at the coming cases first, kept over a newer table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import records
from patients.models import Coverage
from procedures import rulebook, rulerows, tables
from procedures.models import Procedure, RuleRow
from scheduling import effects
from scheduling.models import Appointment
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local

BY = Actor.system("tests")
CAP = "mcr_esi_cap"


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    tables.load(by=BY, at=NOW)


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("manager", clinic.site)


@pytest.fixture
def by(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))


def row(row_id: str = CAP) -> RuleRow:
    return RuleRow.objects.get(row_id=row_id, section__in=rulerows.SECTIONS)


def typed(page: Any, **changes: Any) -> dict[str, Any]:
    """Return what a browser would send of the form on a page."""
    form = page.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() is not None} | changes


def figure(page: Any, path: str) -> str:
    return next(name for name, one in page.context["form"].figures.items() if one.path == path)


def test_list_shows_every_row_that_says_something(manager: Client) -> None:
    page = manager.get("/rules/")

    assert page.context["count"] == RuleRow.objects.filter(section__in=rulerows.SECTIONS).count() > 170
    assert CAP in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"table": "fasting"}, lambda row: row.table == "fasting"),
        ({"payer": "evicore_msk"}, lambda row: row.data.get("payer_rule_set") == "evicore_msk"),
        ({"severity": "deny"}, lambda row: row.severity == "deny"),
        ({"verified": "no"}, lambda row: not row.verified),
        ({"enabled": "no"}, lambda row: not row.is_enabled),
        ({"on": "2026-06-30"}, lambda row: (row.effective_from or date.min) <= date(2026, 6, 30)),
        ({"on": "2026-07-01"}, lambda row: (row.effective_from or date.min) <= date(2026, 7, 1)),
        ({"q": "esi cap"}, lambda row: "cap" in row.row_id and "esi" in row.row_id),
        ({"edited": "yes"}, lambda row: False),
    ],
)
def test_list_is_filtered(manager: Client, asked: dict[str, str], expected: Callable[[RuleRow], bool]) -> None:
    page = manager.get("/rules/", asked)

    shown = {line.row.row_id for _, lines in page.context["groups"] for line in lines}
    wanted = {one.row_id for one in RuleRow.objects.filter(section__in=rulerows.SECTIONS) if expected(one)}
    assert wanted <= shown if "q" in asked else shown == wanted


def test_every_row_is_called_by_words_and_not_by_a_code(manager: Client) -> None:
    types = {one.data["type"] for one in RuleRow.objects.filter(section="rules", table="payer_rules")}
    assert types <= rulerows.KINDS.keys()
    lines = [line for _, lines in manager.get("/rules/").context["groups"] for line in lines]
    assert [line.title for line in lines if "_" in line.title] == []
    assert {line.payer for line in lines} & {line.row.data.get("payer_rule_set", "") for line in lines} == {""}
    assert next(line.title for line in lines if line.row.row_id == CAP) == "Limit on sessions: epidural steroid injections"


def test_row_is_shown_with_its_source(manager: Client) -> None:
    page = manager.get(f"/rules/{row().public_id}/").content.decode()

    for words in (
        "CMS Billing and Coding article A58993",
        "max sessions",
        "Not allowed",
        "As it came with the tables",
        "epidural steroid injections",
        "Medicare contractors, shared policy text",
    ):
        assert words in page


def test_change_is_saved_versioned_audited_and_in_force(manager: Client) -> None:
    address = f"/rules/{row().public_id}/change/"
    page = manager.get(address)
    changes = {
        "starts_on": "",
        "severity": "warn",
        "effective_from": "2026-10-01",
        figure(page, "params.max_sessions"): "3",
        "act": "save",
    }

    assert manager.post(address, typed(page, **changes)).status_code == 303

    kept = row()
    assert (kept.severity, kept.effective_from, kept.version) == ("warn", date(2026, 10, 1), 2)
    assert kept.data["params"]["max_sessions"] == 3
    assert AuditEvent.objects.filter(act="procedures.change_rule", subject_id=kept.public_id).count() == 1
    book = rulebook.book()
    assert book is not None
    assert next(one for one in book.payer_rows if one["id"] == CAP)["params"]["max_sessions"] == 3
    shown = manager.get(f"/rules/{kept.public_id}/").content.decode()
    assert "4 → 3" in shown
    assert "weight not allowed → needs a reason" in shown


def test_each_version_names_who_made_it_when_and_what_it_changed(clinic: SmallClinic, manager: Client) -> None:
    tables.load(by=BY, at=NOW)
    people = [factories.user(role="manager", sites=(clinic.site,), display_name=name) for name in ("Ann First", "Ben Second")]
    for place, person in enumerate(people, start=1):
        rulerows.change(
            row=row(), changes={"is_enabled": place == 2}, values={"params.max_sessions": 4 - place}, version=place,
            by=Actor.of_user(person), at=NOW,
        )  # fmt: skip
    kept = row()
    kept.table_values = {**kept.table_values, "notes": "Newly written."}
    kept.data, kept.version = {**kept.data, "notes": "Newly written."}, 4
    kept.save()  # as a load of a newer table leaves it: the editor before stays the owner

    fourth, third, second, first = rulerows.versions(row())

    assert [(one.version, one.by) for one in (first, second, third, fourth)] == [
        (1, "the tables"), (2, "Ann First"), (3, "Ben Second"), (4, "the tables"),
    ]  # fmt: skip
    assert second.changes == (("switched", "on", "off"), ("max sessions", "4", "3"))
    assert third.changes == (("switched", "off", "on"), ("max sessions", "3", "2"))
    assert fourth.changes == (("notes", "Five contractor policies agree on the figure.", "Newly written."),)
    shown = manager.get(f"/rules/{kept.public_id}/").content.decode()
    assert "Version 2, by Ann First" in shown
    assert "Version 3, by Ben Second" in shown


def test_newer_table_keeps_what_the_clinic_changed(by: Actor) -> None:
    rulerows.change(row=row(), changes={"severity": "info"}, values={"params.max_sessions": 3}, version=1, by=by, at=NOW)

    tables.load(by=BY, at=NOW)

    kept = row()
    assert (kept.severity, kept.data["params"]["max_sessions"]) == ("info", 3)
    assert [name for name, _, _ in rulerows.edits(kept)] == ["weight", "max sessions"]


def test_nothing_different_writes_nothing(by: Actor) -> None:
    kept = rulerows.change(row=row(), changes={"severity": "deny"}, values={"params.max_sessions": 4.0}, version=1, by=by, at=NOW)

    assert kept.version == 1
    assert not AuditEvent.objects.filter(act="procedures.change_rule").exists()


def test_older_version_is_refused(by: Actor) -> None:
    rulerows.change(row=row(), changes={"severity": "info"}, values={}, version=1, by=by, at=NOW)

    with pytest.raises(rulerows.RuleChanged):
        rulerows.change(row=row(), changes={"severity": "warn"}, values={}, version=1, by=by, at=NOW)


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"effective_from": date(2026, 2, 2), "effective_to": date(2026, 2, 1)}, {}),
        ({"severity": ""}, {}),
        ({}, {"params.max_sessions": 2.5}),
        ({}, {"params.window.months": 0}),
    ],
)
def test_unusable_row_is_refused_and_nothing_is_written(by: Actor, changes: dict[str, Any], values: dict[str, float]) -> None:
    with pytest.raises(rulerows.UnusableRow):
        rulerows.change(row=row(), changes=changes, values=values, version=1, by=by, at=NOW)

    assert row().version == 1
    assert rulebook.book() is not None


def test_row_that_ends_on_the_day_it_begins_is_usable(by: Actor) -> None:
    one_day = {"effective_from": date(2026, 2, 2), "effective_to": date(2026, 2, 2)}

    assert rulerows.change(row=row(), changes=one_day, values={}, version=1, by=by, at=NOW).version == 2


def test_who_may_see_may_not_change(signed_in: Callable[..., Client], clinic: SmallClinic) -> None:
    physician, address = signed_in("physician", clinic.site), f"/rules/{row().public_id}/"

    assert physician.get(address).status_code == 200
    assert physician.get(f"{address}change/").status_code == 403
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    with pytest.raises(rulerows.MayNotChange):
        rulerows.change(row=row(), changes={"severity": "info"}, values={}, version=1, by=doctor, at=NOW)


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    """Return a coming facet block of a patient whose payer's rules cap them."""
    Procedure.objects.filter(code="mbb_lumbar").update(code="the_catalogues_own")
    Procedure.objects.filter(pk=clinic.procedure.pk).update(code="mbb_lumbar", family="mbb_diagnostic")
    clinic.procedure.refresh_from_db()
    rulebook._kept.stamp = None
    biller = Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))
    plan = {"payer": "Medicare", "payer_rules": "medicare_multi_mac_2026", "plan_type": "original_medicare"}
    records.record(kind=Coverage, patient=clinic.patient, values=plan, by=biller, at=NOW)
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"),
        resources=clinic.resources, side="left", levels=["L4-L5"],
    )  # fmt: skip


def test_effect_names_the_cases_that_a_stricter_row_would_stop_and_writes_nothing(
    manager: Client, case: Appointment, clinic: SmallClinic
) -> None:
    address = f"/rules/{row('mcr_facet_dx_cap').public_id}/change/"
    page = manager.get(address)

    looked = manager.post(address, typed(page, **{figure(page, "params.max_sessions"): "0", "act": "look"}))

    assert looked.status_code == 200, looked.context["form"].errors
    effect = looked.context["effect"]
    assert [one.case.pk for one in effect.newly_stopped] == [case.pk]
    assert (effect.coming, effect.asked, effect.stopped, effect.freed) == (1, 1, 1, 0)
    assert row("mcr_facet_dx_cap").version == 1


def test_effect_of_what_fits_is_nothing(case: Appointment, clinic: SmallClinic) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))
    fits = rulerows.proposed(row("mcr_facet_dx_cap"), {}, {"params.max_sessions": 1})

    found = effects.effect_of(rows=[fits], user=user, at=NOW)

    assert (found.coming, found.stopped, found.freed, found.is_whole) == (1, 0, 0, True)


def test_effect_counts_what_a_milder_row_would_free(case: Appointment, clinic: SmallClinic, by: Actor) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))
    strict = rulerows.change(
        row=row("mcr_facet_dx_cap"), changes={}, values={"params.max_sessions": 0}, version=1, by=by, at=NOW
    )  # fmt: skip

    off = effects.effect_of(rows=[rulerows.proposed(strict, {"is_enabled": False}, {})], user=user, at=NOW)

    assert (off.stopped, off.freed, [one.case.pk for one in off.newly_freed]) == (0, 1, [case.pk])


def test_effect_says_what_it_had_no_time_to_ask(case: Appointment, clinic: SmallClinic) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))

    found = effects.effect_of(rows=[row("mcr_facet_dx_cap")], user=user, at=NOW, budget=timedelta(seconds=-1))

    assert (found.coming, found.asked, found.is_whole) == (1, 0, False)


def test_cases_of_other_sites_are_not_counted(case: Appointment) -> None:
    stranger = factories.user(role="manager", sites=(factories.site(),))

    assert effects.effect_of(rows=[row("mcr_facet_dx_cap")], user=stranger, at=NOW).coming == 0


def test_effect_asks_about_the_cases_of_a_family_just_added(case: Appointment, clinic: SmallClinic) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))
    other = row("mcr_tpi_cap")
    assert case.procedure.family not in other.data["applies_to"]
    assert effects.effect_of(rows=[other], user=user, at=NOW).coming == 0

    now, later = rulerows.wanted(other, {}, {"applies_to": ["tpi", case.procedure.family]}, starts_on=TOMORROW)

    assert effects.effect_of(rows=[now, later], user=user, at=NOW).coming == 1
