"""Versions of one row: the date of service chooses, on each side of the day on which one follows the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from procedures import tables
from procedures.rules import Facts, Finding, Session, assess
from procedures.rules.book import TABLES, Book, faults_of
from procedures.rules.clinic.holdplan import hold_plan
from procedures.rules.earliest import earliest_covered
from procedures.rules.facts import Medication
from tests.unit.procedures.live_facts import live, want

DAY = timedelta(days=1)
TURN = date(2027, 3, 16)
Content = dict[str, dict[str, Any]]


@pytest.fixture
def content() -> Content:
    return {name: copy.deepcopy(dict(table.content)) for name, table in tables.read(only=TABLES).items()}


def row(content: Content, table: str, section: str, name: str) -> dict[str, Any]:
    return next(one for one in content[table][section] if name in (one.get("id"), one.get("intake"), one.get("lab")))


def renewed(content: Content, table: str, section: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Let a row be followed by a version of itself with a change from `TURN` on."""
    old = row(content, table, section, name)
    new = copy.deepcopy(old)
    old["effective_to"], new["effective_from"] = f"{TURN - DAY}", f"{TURN}"
    change(new)
    content[table][section].append(new)


def said(book: Book, facts: Facts, on: date) -> dict[str, Finding]:
    return {one.code: one for one in assess(book.rules(facts, on), facts, on)}


def test_a_cap_is_that_of_the_day(content: Content) -> None:
    renewed(content, "payer_rules", "rules", "mcr_esi_cap", lambda new: new["params"].update(max_sessions=2))
    book = Book(content)
    done = tuple(
        Session(day, "esi_il_lumbar", "esi", "performed", "midline", ("L4-L5",))
        for day in (date(2026, 6, 1), date(2026, 10, 1), date(2027, 1, 4))
    )
    facts = live(want("esi_il_lumbar", levels=("L4-L5",), side="midline"), sessions=done, medications=())

    found = [said(book, facts, on)["mcr_esi_cap"] for on in (TURN - DAY, TURN)]
    assert [(one.refuses, one.facts["limit"]) for one in found] == [(False, 4), (True, 2)]
    assert [one for one in book.rule_ids if one == "mcr_esi_cap"] == ["mcr_esi_cap"]


def test_a_drug_is_held_as_long_as_the_version_of_the_day_says(content: Content) -> None:
    def longer(new: dict[str, Any]) -> None:
        new["hold_before"]["intermediate"] = {"action": "hold", "days": 10}

    renewed(content, "antithrombotics", "drugs", "clopidogrel", longer)
    book = Book(content)
    last = TURN - 8 * DAY
    taken = Medication("clopidogrel", last_dose=last, is_cleared=True)
    facts = live(want("esi_caudal"), medications=(taken,))

    assert "antithrombotic_hold" not in said(book, facts, TURN - DAY)  # seven days
    assert said(book, facts, TURN)["antithrombotic_hold"].earliest == last + 10 * DAY
    assert [hold_plan(book.thinners_on(on), facts, on)[0].last_dose for on in (TURN - DAY, TURN)] == [
        TURN - 8 * DAY, TURN - 10 * DAY,
    ]  # fmt: skip
    held_longer = live(want("esi_caudal"), medications=(Medication("clopidogrel", last_dose=TURN - 3 * DAY, is_cleared=True),))
    # Seven days after the last dose the other version holds already: it is ten.
    assert earliest_covered(lambda on: [book.thinners_on(on)], held_longer, TURN - DAY) == TURN + 7 * DAY


def test_a_laboratory_limit_is_that_of_the_day(content: Content) -> None:
    renewed(content, "antithrombotics", "lab_limits", "inr", lambda new: new.update(normal_max=3))
    book = Book(content)
    limits = [book.thinners_on(on).lab_limits["inr"][0] for on in (TURN - DAY, TURN)]
    assert limits[0] < 3 == limits[1]


def test_hours_of_fasting_and_figures_of_steroids_are_those_of_the_day(content: Content) -> None:
    renewed(content, "fasting", "minimum_hours", "light_meal", lambda new: new.update(hours=9))
    renewed(content, "steroids", "rules", "diabetes_a1c", lambda new: new["params"].update(warn_above_pct=12))
    book = Book(content)
    facts = live(want("esi_caudal"), medications=())
    for on, hours in ((TURN - DAY, 6), (TURN, 9)):
        (fasting,) = [rule for rule in book.rules(facts, on) if rule.code == "fasting_light_meal"]
        assert fasting.hours == hours  # type: ignore[attr-defined]
    limits = [next(rule for rule in book.rules(facts, on) if rule.code == "diabetes_a1c") for on in (TURN - DAY, TURN)]
    assert limits[0].most < limits[1].most == 12  # type: ignore[attr-defined]


def test_a_drug_that_no_longer_holds_or_is_switched_off_is_unknown_to_the_table(content: Content) -> None:
    row(content, "antithrombotics", "drugs", "clopidogrel")["effective_to"] = f"{TURN - DAY}"
    row(content, "antithrombotics", "drugs", "prasugrel")["enabled_by_default"] = False
    book = Book(content)
    facts = live(want("esi_caudal"), medications=(Medication("clopidogrel", last_dose=TURN - 60 * DAY, is_cleared=True),))
    assert "antithrombotic_specialist" not in said(book, facts, TURN - DAY)
    assert "not in the clinic's table" in said(book, facts, TURN)["antithrombotic_specialist"].message
    assert "prasugrel" not in book.thinners_on(TURN).drugs
    assert {"prasugrel", "clopidogrel"} <= book.drug_ids  # they can still be written down


def told(content: Content) -> list[str]:
    return [str(fault) for fault in faults_of(content)]


def test_two_versions_that_hold_on_one_day_are_refused_and_named(content: Content) -> None:
    renewed(content, "payer_rules", "rules", "mcr_esi_cap", lambda new: None)
    assert told(content) == []
    row(content, "payer_rules", "rules", "mcr_esi_cap")["effective_to"] = f"{TURN}"
    assert told(content) == [
        "payer_rules.yaml: row mcr_esi_cap: field effective_from: expected days on which no other row with this id holds"
    ]


def test_a_drug_that_others_follow_must_count_on_every_day(content: Content) -> None:
    renewed(content, "antithrombotics", "drugs", "aspirin_secondary", lambda new: None)
    assert told(content) == []
    content["antithrombotics"]["drugs"].pop()
    assert told(content) == [
        "antithrombotics.yaml: row drugs: field aspirin_secondary: "
        f"expected a row, since other rows follow it, switched on and in force from {TURN}"
    ]


def test_a_limit_that_a_drug_needs_must_count_on_every_day(content: Content) -> None:
    for limit in content["antithrombotics"]["lab_limits"]:
        limit["enabled_by_default"] = False
    assert told(content) == [
        "antithrombotics.yaml: row lab_limits: field effective_from: "
        "expected a row that holds on every day, switched on and in force"
    ]
    content["antithrombotics"]["lab_limits"][0]["enabled_by_default"] = True
    for drug in content["antithrombotics"]["drugs"]:
        drug["effective_from"] = f"{TURN}"
    assert told(content)[0].startswith(
        "antithrombotics.yaml: row drugs: field effective_from: expected a row that holds on every day"
    )


@pytest.mark.parametrize(
    "change", [{"enabled_by_default": False}, {"effective_to": "2027-01-31"}, {"effective_from": "2027-12-01"}]
)
def test_what_a_steroid_weighs_is_never_away(content: Content, change: dict[str, Any]) -> None:
    row(content, "steroids", "drugs", "triamcinolone_acetonide").update(change)
    book = Book(content)
    had = Session(date(2027, 1, 4), "esi_caudal", "esi", "performed", drug="triamcinolone_acetonide", dose_mg=Fraction(40))
    facts = live(
        want("esi_tf_cervical", levels=("C5-C6",), side="left", drug="triamcinolone_acetonide"), sessions=(had,), medications=()
    )
    found = said(book, facts, TURN)
    assert found["no_particulate_cervical_tf"].refuses


def test_a_steroid_weighs_what_the_version_of_the_day_says(content: Content) -> None:
    renewed(content, "steroids", "drugs", "triamcinolone_acetonide", lambda new: new.update(mg_equal_to_4mg_methylprednisolone=8))
    book = Book(content)
    facts = live(want("esi_caudal"), medications=())
    weights = [
        {rule.equal_mg["triamcinolone_acetonide"] for rule in book.rules(facts, on) if hasattr(rule, "equal_mg")}
        for on in (TURN - DAY, TURN)
    ]
    assert weights == [{4}, {8}]


def test_of_an_intake_with_two_versions_the_longest_fast_says_whether_it_is_asked_about(content: Content) -> None:
    renewed(content, "fasting", "minimum_hours", "clear_liquids", lambda new: new.update(hours=0))
    assert Book(content).fasting_hours["clear_liquids"] == 2
