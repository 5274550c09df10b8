"""The clinic's versions of a row: begun by a manager or by a newer table, and never two on one day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from procedures import rulebook, rulerows, tables
from procedures.models import RuleRow
from procedures.rules.book import Book
from procedures.tables import reports
from tests import factories
from tests.database.procedures.test_rule_rows import Altered, altered, row_of
from tests.factories import NOW, SmallClinic

__all__ = ["altered"]

BY = Actor.system("tests")
CAP = "mcr_esi_cap"
DAY = timedelta(days=1)
TODAY = date(2026, 9, 14)
TURN = date(2027, 1, 1)


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    tables.load(by=BY, at=NOW)


@pytest.fixture
def by(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="manager", sites=(clinic.site,), display_name="Ann First"))


def versions(row_id: str = CAP) -> list[RuleRow]:
    return list(RuleRow.objects.filter(row_id=row_id, section__in=rulerows.SECTIONS).in_order())


def book() -> Book:
    held = rulebook.book()
    assert held is not None
    return held


def cap(on: date) -> list[int]:
    """Return what the rows of the cap that hold on a day allow."""
    rows = [row for row in book().payer_rows if row["id"] == CAP]
    return [
        row["params"]["max_sessions"]
        for row in rows
        if row.get("effective_from", "0001-01-01") <= f"{on}" <= row.get("effective_to", "9999-12-31")
    ]


def renew(by: Actor, starts_on: date = TURN, **more: Any) -> RuleRow:
    row = versions()[-1]
    return rulerows.change(
        row=row, changes=more, values={"params.max_sessions": 2}, version=row.version, starts_on=starts_on, by=by, at=NOW
    )


def test_a_new_version_begins_on_its_day_and_the_one_before_ends_the_day_before(by: Actor) -> None:
    new = renew(by)

    old, last = versions()
    assert last == new
    assert (old.effective_from, old.effective_to, old.version) == (None, TURN - DAY, 2)
    assert (new.effective_from, new.effective_to, new.version) == (TURN, None, 1)
    assert (cap(TURN - DAY), cap(TURN)) == ([4], [2])
    event = AuditEvent.objects.get(act="procedures.change_rule")
    assert (event.subject_id, event.details["from"], event.details["fields"]) == (new.public_id, "2027-01-01", ["data"])
    assert [(one.by, one.changes) for one in rulerows.versions(new)] == [("Ann First", ())]
    assert [one.changes for one in rulerows.versions(old)] == [(("holds until", "none", "2026-12-31"),), ()]


def test_a_version_between_others_ends_where_the_next_begins(by: Actor) -> None:
    renew(by)
    first = versions()[0]
    rulerows.change(row=first, changes={"severity": "warn"}, values={}, version=2, starts_on=TODAY, by=by, at=NOW)

    assert [(one.effective_from, one.effective_to, one.severity) for one in versions()] == [
        (None, TODAY - DAY, "deny"), (TODAY, TURN - DAY, "warn"), (TURN, None, "deny"),
    ]  # fmt: skip


@pytest.mark.parametrize(("starts_on", "field"), [(TURN, "starts_on"), (TURN - DAY, "starts_on")])
def test_a_version_cannot_begin_before_the_one_that_it_follows(by: Actor, starts_on: date, field: str) -> None:
    renew(by)
    row = versions()[-1]
    with pytest.raises(rulerows.UnusableRow) as refusal:
        rulerows.change(row=row, changes={"severity": "warn"}, values={}, version=1, starts_on=starts_on, by=by, at=NOW)
    assert refusal.value.details["field"] == field
    with pytest.raises(rulerows.UnusableRow, match="ends on 2026-12-31"):
        rulerows.change(row=versions()[0], changes={"severity": "warn"}, values={}, version=2, starts_on=TURN, by=by, at=NOW)
    assert len(versions()) == 2


def test_without_a_difference_no_version_begins(by: Actor) -> None:
    row = versions()[0]
    kept = rulerows.change(row=row, changes={"severity": "deny"}, values={}, version=1, starts_on=TURN, by=by, at=NOW)
    assert (kept.version, len(versions())) == (1, 1)


def test_the_database_refuses_two_versions_on_one_day(by: Actor) -> None:
    old, new = renew(by) and versions()
    with pytest.raises(IntegrityError), transaction.atomic():
        RuleRow.objects.filter(pk=old.pk).update(effective_to=new.effective_from)
    RuleRow.objects.filter(pk=old.pk).update(effective_to=new.effective_from - DAY)


def test_two_managers_at_once_begin_one_version(by: Actor) -> None:
    row = versions()[0]
    renew(by)
    with pytest.raises(rulerows.RuleChanged):
        rulerows.change(row=row, changes={"severity": "info"}, values={}, version=1, starts_on=TODAY, by=by, at=NOW)
    assert len(versions()) == 2


# --- a newer table ---------------------------------------------------------------------------------------------------
def load(folder: Any) -> reports.RuleReport:
    return tables.load(by=BY, at=NOW, folder=folder).rules


def policy(content: dict[str, Any], **more: Any) -> None:
    row = row_of(content, CAP)
    row["effective_from"] = f"{TURN}"
    row["params"]["max_sessions"] = 3
    row.update(more)


def test_a_policy_with_a_later_first_day_is_a_new_version(altered: Altered) -> None:
    folder = altered("payer_rules", policy)
    report = load(folder)

    old, new = versions()
    assert (old.effective_to, new.effective_from) == (TURN - DAY, TURN)
    assert (cap(TURN - DAY), cap(TURN)) == ([4], [3])
    assert report.added == [f"payer_rules rules {CAP} from {TURN}"]
    again = load(folder)
    assert (again.added, again.changed, again.kept, again.missing) == ([], [], [], [])


def test_the_clinics_own_values_stay_in_the_new_version(by: Actor, altered: Altered) -> None:
    rulerows.change(row=versions()[0], changes={"severity": "warn"}, values={}, version=1, by=by, at=NOW)

    report = load(altered("payer_rules", policy))

    assert [(one.severity, one.data["params"]["max_sessions"]) for one in versions()] == [("warn", 4), ("warn", 3)]
    assert [(one.name, one.old, one.new) for one in report.kept] == [("severity", "warn", "deny")]


def test_the_clinics_own_later_version_is_compared_with_the_table_and_kept(by: Actor, altered: Altered) -> None:
    renew(by, starts_on=TURN + DAY)

    report = load(altered("payer_rules", policy))

    assert [(one.effective_from, one.data["params"]["max_sessions"]) for one in versions()] == [(None, 4), (TURN + DAY, 2)]
    assert {(one.name, one.old, one.new) for one in report.kept} == {
        ("params.max_sessions", 2, 3), ("effective_from", f"{TURN + DAY}", f"{TURN}"),
    }  # fmt: skip


def test_a_correction_of_the_table_reaches_each_version_that_has_not_ended(by: Actor, altered: Altered) -> None:
    renew(by, starts_on=TODAY - DAY)  # the first has ended everywhere on earth
    renew(by, starts_on=TURN, severity="warn")

    load(altered("payer_rules", lambda content: row_of(content, CAP).update(notes="Seen again.")))

    assert [one.data["notes"] == "Seen again." for one in versions()] == [False, True, True]


def test_a_policy_that_is_put_off_before_it_began_moves_with_the_end_of_the_one_before(altered: Altered) -> None:
    load(altered("payer_rules", policy))
    load(altered("payer_rules", lambda content: policy(content, effective_from=f"{TURN + 31 * DAY}")))

    assert [(one.effective_from, one.effective_to) for one in versions()] == [
        (None, TURN + 30 * DAY), (TURN + 31 * DAY, None),
    ]  # fmt: skip
    assert (cap(TURN + 30 * DAY), cap(TURN + 31 * DAY)) == ([4], [3])


def test_a_policy_that_has_begun_is_followed_by_the_next(altered: Altered) -> None:
    tables.load(by=BY, at=NOW, folder=altered("payer_rules", policy))
    later = altered("payer_rules", lambda content: policy(content, effective_from=f"{TURN + 31 * DAY}"))
    tables.load(by=BY, at=NOW + 200 * DAY, folder=later)

    assert [one.effective_from for one in versions()] == [None, TURN, TURN + 31 * DAY]


def test_a_file_may_hold_several_versions_of_a_row(altered: Altered) -> None:
    def both(content: dict[str, Any]) -> None:
        old = row_of(content, CAP)
        new = {**old, "params": {**old["params"], "max_sessions": 3}, "effective_from": f"{TURN}"}
        old["effective_to"] = f"{TURN - DAY}"
        content["rules"].append(new)

    folder = altered("payer_rules", both)
    report = load(folder)

    assert (cap(TURN - DAY), cap(TURN)) == ([4], [3])
    assert report.missing == []
    assert load(folder).lines() == []
    RuleRow.objects.all().delete()
    assert load(folder).missing == []
    assert (cap(TURN - DAY), cap(TURN)) == ([4], [3])


# --- the page --------------------------------------------------------------------------------------------------------
@pytest.fixture
def manager(stand_at: Callable[[datetime], None], clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    stand_at(NOW)
    return signed_in("manager", clinic.site)


def typed(page: Any, **changes: Any) -> dict[str, Any]:
    form = page.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() is not None} | changes


def test_the_page_begins_a_version_today_and_both_can_be_read(manager: Client) -> None:
    address = f"/rules/{versions()[0].public_id}/change/"
    form = typed(manager.get(address), severity="warn")
    assert form["starts_on"] == TODAY

    assert manager.post(address, {**form, "act": "look"}).context["effect"] is not None
    assert len(versions()) == 1
    saved = manager.post(address, {**form, "act": "save"})

    old, new = versions()
    assert saved["Location"].endswith(f"/rules/{new.public_id}/")
    shown = manager.get(saved["Location"]).content.decode()
    assert f"/rules/{old.public_id}/" in shown
    for words in ("By date of service", "Until 13 Sep 2026", "From 14 Sep 2026", "A new version, by "):
        assert words in shown
    assert manager.get(f"/rules/{new.public_id}/change/").context["form"]["starts_on"].value() is None  # it began today
    assert manager.get(f"/rules/{old.public_id}/change/").context["form"]["starts_on"].value() is None  # it is over


def test_the_page_says_which_day_cannot_be(manager: Client) -> None:
    row = versions("mcr_tpi_cap")[0]
    address = f"/rules/{row.public_id}/change/"
    page = manager.get(address)

    early = manager.post(address, typed(page, severity="warn", starts_on="2024-04-01", act="save"))
    both = manager.post(address, typed(page, severity="warn", effective_from="2024-05-01", act="save"))

    assert early.status_code == both.status_code == 422
    assert "itself begins on 1 Apr 2024" in early.context["form"].errors["starts_on"][0]
    assert "empty the day of a new version" in both.context["form"].errors["effective_from"][0]
    assert len(versions("mcr_tpi_cap")) == 1


def test_a_policy_that_a_newer_table_brings_forward_ends_the_one_before_earlier(altered: Altered) -> None:
    load(altered("payer_rules", policy))
    report = load(altered("payer_rules", lambda content: policy(content, effective_from=f"{TURN - 30 * DAY}")))

    assert [(one.effective_from, one.effective_to) for one in versions()] == [
        (None, TURN - 31 * DAY), (TURN - 30 * DAY, None),
    ]  # fmt: skip
    assert {one.name for one in report.changed} == {"effective_to", "effective_from"}


def test_a_file_may_name_the_later_version_first(altered: Altered) -> None:
    def later_first(content: dict[str, Any]) -> None:
        old = row_of(content, CAP)
        new = {**old, "params": {**old["params"], "max_sessions": 3}, "effective_from": f"{TURN}"}
        old["effective_to"] = f"{TURN - DAY}"
        content["rules"].insert(0, new)

    load(altered("payer_rules", later_first))
    assert (cap(TURN - DAY), cap(TURN)) == ([4], [3])


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_version_that_begins_in_no_year_of_ours_is_refused(manager: Client, day: str) -> None:
    address = f"/rules/{versions()[0].public_id}/change/"
    answer = manager.post(address, typed(manager.get(address), severity="warn", starts_on=day, act="save"))
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["starts_on"])
