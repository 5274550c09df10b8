"""The second rule set for blood thinners: where chosen, it takes the place of a hold before low-risk work in the low back."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from procedures import tables
from procedures.rules import Facts, Finding, assess
from procedures.rules.book import TABLES, Book, Switches, faults_of
from procedures.rules.clinic.antithrombotics import is_for_another
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.clinic.holdplan import hold_plan
from procedures.rules.facts import Medication, Wanted
from procedures.rules.offers import Told
from procedures.rules.offers import want as wanted
from tests.unit.procedures.live_facts import BOOK, ON, ZONE, live

DAY = timedelta(days=1)
TURN = ON + 30 * DAY
HELD = "enoxaparin_ther"  # which the table holds at low risk too
SOURCE = "IPSIS bleeding-risk grouping (secondary digest)"
GUIDELINE = {"antithrombotic_hold", "antithrombotic_clearance", "antithrombotic_restart"}
Content = dict[str, dict[str, Any]]


def content() -> Content:
    return {name: copy.deepcopy(dict(table.content)) for name, table in tables.read(only=TABLES).items()}


def row_of(held: Content) -> dict[str, Any]:
    return next(row for row in held["antithrombotics"]["conventions"] if row["id"] == SECOND_SET)


def chosen() -> Book:
    held = content()
    row_of(held)["enabled_by_default"] = True
    return Book(held)


CHOSEN = chosen()


def asked(procedure: str, *levels: str, regions: tuple[str, ...] = ()) -> Wanted:
    """Return one procedure as the live clinic asks for it."""
    offers = CHOSEN.offers
    told = Told(regions=regions)
    return wanted(offers[procedure], offers.values(), side="left", levels=levels, guidance="none", told=told)


def takes(*drugs: str, **more: Any) -> tuple[Medication, ...]:
    """Return medicines that are taken to the day itself, so that no hold of the table is long enough."""
    return tuple(Medication(drug, **{"last_dose": ON, **more}) for drug in drugs)


def said(book: Book, facts: Facts, on: date = ON, switches: Switches | None = None) -> dict[str, Finding]:
    rules = book.rules(facts, on, switches) if switches else book.rules(facts, on)
    return {one.code: one for one in assess(rules, facts, on) if one.code.startswith("antithrombotic_")}


def speaks(*work: Wanted, medications: tuple[Medication, ...] = takes(HELD), **more: Any) -> bool:
    """Say whether the second set speaks of the first drug; the hold plan says the same."""
    facts = live(*work, medications=medications, **more)
    of_drug = {one.code for one in assess(CHOSEN.rules(facts, ON), facts, ON) if one.about == medications[0].drug}
    plan = hold_plan(CHOSEN.thinners_on(ON), facts, ON)[0]
    assert of_drug in ({"antithrombotic_shared_decision"}, GUIDELINE)
    assert (plan.action == "shared_decision", plan.last_dose is None) == (("antithrombotic_shared_decision" in of_drug),) * 2
    return "antithrombotic_shared_decision" in of_drug


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (asked("mbb_lumbar", "L1-L2"), True),
        (asked("mbb_thoracic", "T12-L1"), False),  # thoracic, low
        (asked("mbb_cervical", "C5-C6"), False),
        (asked("si_joint_ia"), True),  # sacral, low, by the catalogue alone
        (asked("esi_caudal"), False),  # sacral, intermediate
        (asked("rfa_cooled_facet", "L4-L5"), True),  # low by its target
        (asked("rfa_cooled_facet", "T4-T5"), False),
        (asked("rfa_cooled_facet"), False),  # no target is said: high
        (asked("bvn_ablation", "L4"), False),  # lumbar, high
        (asked("tpi", regions=("lumbar",)), True),
        (asked("tpi", regions=("lumbar", "sacral")), True),
        (asked("tpi", regions=("lumbar", "thoracic")), False),
        (asked("tpi"), False),  # nobody said where
        (asked("genicular_block"), False),  # low, at the knee
        (asked("piriformis_injection"), False),  # low, pelvis
    ],
)
def test_it_speaks_of_low_risk_work_in_the_low_back(work: Wanted, expected: bool) -> None:
    assert speaks(work) is expected
    assert said(BOOK, live(work, medications=takes(HELD))).keys() == GUIDELINE


def test_all_that_is_asked_for_lies_in_the_low_back() -> None:
    assert speaks(asked("mbb_lumbar", "L4-L5"), asked("si_joint_ia"))
    assert not speaks(asked("mbb_lumbar", "L4-L5"), asked("mbb_thoracic", "T4-T5"))
    assert not speaks(asked("mbb_lumbar", "L4-L5"), asked("esi_caudal"))


def test_what_is_raised_a_class_is_no_longer_low() -> None:
    work = asked("mbb_lumbar", "L4-L5")
    assert speaks(work, medications=takes(HELD, "celecoxib"))  # which raises nothing
    assert not speaks(work, medications=takes(HELD, "aspirin_primary"))
    assert not speaks(work, bleeding_risk_factors=("low platelets",))
    assert not speaks(work, medications=takes(HELD, "of_no_table"))  # which may raise it


@pytest.mark.parametrize(
    ("is_decided", "severity", "is_pending"), [(None, "warn", True), (False, "warn", False), (True, "info", False)]
)
def test_it_is_a_shared_decision_that_names_its_rule_set(is_decided: bool | None, severity: str, is_pending: bool) -> None:
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(HELD, is_decided=is_decided))

    found = said(CHOSEN, facts)

    (only,) = found.values()
    assert (only.code, only.severity.value, only.pending, only.earliest) == (
        "antithrombotic_shared_decision", severity, is_pending, None,
    )  # fmt: skip
    assert (only.about, only.facts["rule_set"]) == (HELD, "IPSIS")
    assert only.source.startswith(SOURCE)
    assert "IPSIS rule set" in only.message
    (plan,) = hold_plan(CHOSEN.thinners_on(ON), facts, ON)
    assert (plan.action, plan.length, plan.last_dose, plan.restart, plan.needs_word, plan.is_agreed) == (
        "shared_decision", "", None, None, True, is_decided,
    )  # fmt: skip
    assert plan.source.startswith(SOURCE)
    assert [("IPSIS" in note, "hours" in note) for note in plan.notes] == [(True, False)]


DECIDED = datetime(2027, 3, 9, 15)


def decided(book: Book, drug: str, starts: datetime, slot: datetime = DECIDED) -> tuple[str, bool, bool | None]:
    """Return what is said of a drug that was decided together for one slot when it begins at another time."""
    request = {"starts_at": starts.replace(tzinfo=ZONE).astimezone(UTC)}
    words = {"is_decided": True, "decided_for": slot, "decided": "Last dose 7:00"}
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(drug, **words), request=request)
    (only,) = said(book, facts).values()
    (plan,) = hold_plan(book.thinners_on(ON), facts, ON)
    assert only.code == "antithrombotic_shared_decision"
    return only.severity.value, only.pending, plan.is_agreed


@pytest.mark.parametrize("drug", ["ufh_sc", "enoxaparin_proph", "enoxaparin_ther"])
def test_what_was_decided_about_hours_is_not_for_another_hour_of_the_day(drug: str) -> None:
    others = [DECIDED + timedelta(minutes=minutes) for minutes in (-360, -1, 1, 240)]
    assert [decided(CHOSEN, drug, starts) for starts in others] == [("warn", True, None)] * 4
    assert decided(CHOSEN, drug, DECIDED) == ("info", False, True)


def test_what_was_decided_about_days_is_for_the_whole_day() -> None:
    held = content()
    row_of(held)["enabled_by_default"] = True
    row = next(one for one in held["antithrombotics"]["drugs"] if one["id"] == "clopidogrel")
    row["hold_before"]["low"] = {"action": "hold", "days": 7}
    book = Book(held)
    hours = [DECIDED + timedelta(hours=hours) for hours in (-6, 0, 4)]
    assert [decided(book, "clopidogrel", starts) for starts in hours] == [("info", False, True)] * 3
    assert decided(book, "clopidogrel", DECIDED, DECIDED - DAY) == ("warn", True, None)


def test_the_hour_of_a_decision_is_an_instant_on_a_day_whose_clocks_go_back() -> None:
    first, second = datetime(2027, 11, 7, 1, 30), datetime(2027, 11, 7, 1, 30, fold=1)
    for decided_for, starts in ((first, second), (second, first)):
        assert is_for_another(decided_for, starts, ZONE, is_by_hour=True)
        assert not is_for_another(decided_for, decided_for.replace(tzinfo=ZONE).astimezone(UTC), ZONE, is_by_hour=True)


def test_where_no_hour_is_told_it_begins_with_the_day() -> None:
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(HELD, is_decided=True, decided_for=DECIDED))
    assert said(CHOSEN, facts)["antithrombotic_shared_decision"].pending


@pytest.mark.parametrize("hour", [9, 19])
def test_a_decision_for_another_hour_says_what_it_was_and_what_would_do(hour: int) -> None:
    request = {"starts_at": datetime(2027, 3, 9, hour, tzinfo=ZONE)}
    words = {"is_decided": True, "decided_for": DECIDED, "decided": "Last dose 7:00"}
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes("ufh_sc", **words), request=request)
    (found,) = said(CHOSEN, facts).values()
    assert 'decided together was for 2027-03-09 15:00 ("Last dose 7:00"). The case begins at another hour now' in found.message
    assert (found.facts["decided_for"], found.earliest) == ("2027-03-09 15:00", None)


def test_what_the_table_itself_leaves_to_people_speaks_with_its_own_words() -> None:
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes("warfarin"))
    assert said(CHOSEN, facts) == said(BOOK, facts) != {}
    assert hold_plan(CHOSEN.thinners_on(ON), facts, ON) == hold_plan(BOOK.thinners_on(ON), facts, ON)


def test_it_is_chosen_from_a_date_of_service_on() -> None:
    held = content()
    row = row_of(held)
    held["antithrombotics"]["conventions"].append({**row, "enabled_by_default": True, "effective_from": f"{TURN}"})
    row["effective_to"] = f"{TURN - DAY}"
    book = Book(held)
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(HELD, last_dose=TURN))
    assert [said(book, facts, on).keys() == GUIDELINE for on in (TURN - DAY, TURN)] == [True, False]
    actions = [hold_plan(book.thinners_on(on), facts, on)[0].action for on in (TURN - DAY, TURN)]
    assert actions == ["hold", "shared_decision"]


def test_a_written_case_tries_it_by_its_id() -> None:
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(HELD))
    tried = said(BOOK, facts, switches=Switches(on=frozenset({SECOND_SET})))
    assert tried.keys() == {"antithrombotic_shared_decision"}
    assert said(CHOSEN, facts, switches=Switches(off=frozenset({SECOND_SET}))).keys() == GUIDELINE
    assert SECOND_SET in BOOK.rule_ids


def test_tables_without_it_have_the_guideline_alone() -> None:
    held = content()
    held["antithrombotics"]["conventions"].remove(row_of(held))
    book = Book(held)
    facts = live(asked("mbb_lumbar", "L4-L5"), medications=takes(HELD))
    assert said(book, facts, switches=Switches(on=frozenset({SECOND_SET}))).keys() == GUIDELINE
    assert SECOND_SET not in book.rule_ids
    del held["antithrombotics"]["conventions"]
    assert said(Book(held), facts).keys() == GUIDELINE


def test_a_row_that_cannot_be_read_is_named() -> None:
    held = content()
    row = row_of(held)
    row["enabled_by_default"] = "maybe"
    del row["source"]
    told = [str(fault) for fault in faults_of(held)]
    assert [line.partition(": expected")[0] for line in told] == [
        f"antithrombotics.yaml: row {SECOND_SET}: field source",
        f"antithrombotics.yaml: row {SECOND_SET}: field enabled_by_default",
    ]


def test_where_a_procedure_is_offered_ends_no_waiver() -> None:
    assert "offered_regions" not in repr(asked("mbb_lumbar", "L4-L5"))
