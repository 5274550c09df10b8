"""A rule of the clinic's own: made like one of a payer, off at first, and no table takes it away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from procedures import rulebook, rulecopies, rulerows, tables
from procedures.models import RuleRow
from tests import factories
from tests.database.procedures.test_rule_lists import Page, book, row
from tests.factories import NOW, SmallClinic

BY = Actor.system("tests")
CAP = "mcr_esi_cap"
OWN = "lakeside_esi_cap"


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    tables.load(by=BY, at=NOW)


@pytest.fixture
def by(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))


@pytest.fixture
def manager(stand_at: Callable[[datetime], None], clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    stand_at(NOW)
    return signed_in("manager", clinic.site)


def made(by: Actor, **more: Any) -> RuleRow:
    return rulecopies.copy(**{"row": row(CAP), "row_id": OWN, "payer": "uhc_commercial_2026", "by": by, "at": NOW, **more})


def test_it_is_like_the_other_and_switched_off(by: Actor) -> None:
    new = made(by)

    assert (new.is_enabled, new.verified, new.source, new.severity) == (False, None, [], "deny")
    assert (new.data["payer_rule_set"], new.data["id"], new.data["params"]) == (
        "uhc_commercial_2026",
        OWN,
        row(CAP).data["params"],
    )
    assert "notes" in row(CAP).data
    assert not {"notes", "verified_via"} & new.data.keys()  # they tell of the other's source
    assert OWN in rulebook.payer_codes()
    assert AuditEvent.objects.get(act="procedures.copy_rule").details == {
        "rule": OWN,
        "like": CAP,
        "payer": "uhc_commercial_2026",
    }


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"row_id": CAP}, "row_id"), ({"row_id": "Own"}, "row_id"), ({"row_id": "ab"}, "row_id"),
        ({"row_id": "a" * 61}, "row_id"),
        ({"payer": "nobody"}, "payer"), ({"payer": ""}, "payer"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_field(by: Actor, asked: dict[str, str], field: str) -> None:
    with pytest.raises(rulerows.UnusableRow) as refusal:
        made(by, **asked)
    assert refusal.value.details["field"] == field
    assert not RuleRow.objects.filter(row_id=OWN).exists()


def test_only_payers_rules_are_copied_and_only_by_who_may(by: Actor, clinic: SmallClinic) -> None:
    with pytest.raises(rulerows.UnusableRow):
        made(by, row=row("clopidogrel"))
    with pytest.raises(rulerows.MayNotChange):
        made(Actor.of_user(factories.user(role="desk", sites=(clinic.site,))))


def test_a_newer_table_leaves_it_alone_and_does_not_miss_it(by: Actor) -> None:
    new = made(by)

    report = tables.load(by=BY, at=NOW).rules

    assert (report.missing, report.lines()) == ([], [])
    new.refresh_from_db()
    assert new.version == 1
    assert rulerows.edits(new) == []


def test_a_manager_makes_sets_and_switches_it_on(manager: Client) -> None:
    page = manager.get(f"/rules/{row(CAP).public_id}/").content.decode()
    assert "Make another rule like this one" in page
    address = f"/rules/{row(CAP).public_id}/copy/"

    wrong = manager.post(address, {"row_id": CAP, "payer": "uhc_commercial_2026"})
    assert (wrong.status_code, list(wrong.context["copying"].errors)) == (422, ["row_id"])
    assert manager.post(address, {"row_id": OWN, "payer": ""}).status_code == 422
    done = manager.post(address, {"row_id": OWN, "payer": "uhc_commercial_2026"})
    assert (done.status_code, done["Location"]) == (303, f"/rules/{row(OWN).public_id}/change/")

    form = Page(manager, OWN)
    figure = next(name for name, one in form.form.figures.items() if one.path == "params.max_sessions")
    assert form.save(**{figure: "3", "is_enabled": "yes"}).status_code == 303
    own = [one for one in book().payer_rows if one["id"] == OWN and one.get("enabled_by_default", True)]
    assert [(one["params"]["max_sessions"], one["payer_rule_set"]) for one in own] == [(3, "uhc_commercial_2026")]
    shown = manager.get(f"/rules/{row(OWN).public_id}/").content.decode()
    assert "The clinic&#x27;s own rule" in shown or "The clinic's own rule" in shown
    assert OWN in manager.get("/rules/", {"edited": "yes"}).content.decode()


def test_who_may_only_read_sees_no_way_to_make_one(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    biller = signed_in("biller", clinic.site)
    assert "Make another rule" not in biller.get(f"/rules/{row(CAP).public_id}/").content.decode()
    assert biller.post(f"/rules/{row(CAP).public_id}/copy/", {"row_id": OWN, "payer": "uhc_commercial_2026"}).status_code == 403


@pytest.mark.parametrize("row_id", ["antithrombotic_hold", "fasting_clear_liquids", "diabetes_a1c", "clopidogrel"])
def test_a_finding_is_known_by_its_id_alone_so_none_is_given_twice(by: Actor, row_id: str) -> None:
    with pytest.raises(rulerows.UnusableRow) as refusal:
        made(by, row_id=row_id)
    assert refusal.value.details["field"] == "row_id"
