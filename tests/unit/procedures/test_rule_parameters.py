"""Windows, rows and parameters that no table has yet."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from procedures import tables
from procedures.rules import Session
from procedures.rules.book import TABLES, Book, Switches
from procedures.rules.dates import Period, Window
from procedures.rules.facts import (
    Coverage,
    Medication,
    Presentation,
    Score,
)
from procedures.rules.places import sites_of
from tests.unit.procedures.live_facts import ON, extra, judged, live, want


def test_plan_year_without_a_session_begins_with_the_request() -> None:
    window = Window("anchored_year")
    assert (window.start(ON, None), window.next_start(ON, None)) == (ON, date(2028, 3, 9))
    assert window.turns([date(2028, 6, 1)], ON, anchor=date(2026, 1, 1)) == [date(2028, 1, 1), date(2029, 1, 1)]
    assert not window.holds(ON, ON, anchor=None, episode=None)
    assert [str(Window(kind)) for kind in ("rolling", "calendar_year", "lifetime")] == [
        "the 12 months before", "the calendar year", "a lifetime",
    ]  # fmt: skip
    assert Window("lifetime").turns([ON], ON, anchor=None) == []
    assert str(Period(days=1)) == "1 day"


def test_sites_of_other_work_are_the_sides() -> None:
    assert sites_of("genicular_rfa", (), "bilateral") == {("genicular", "left"), ("genicular", "right")}
    assert sites_of("tpi", (), "midline") == {("tpi", "midline")}


def test_later_interval_follows_the_first_sessions() -> None:
    days = [date(2027, 1, 5), date(2027, 1, 20), date(2027, 3, 1)]
    sessions = tuple(Session(day, "esi_caudal", "esi", "performed", approach="caudal") for day in days)
    facts = live(want("esi_caudal"), sessions=sessions, coverage=Coverage("aetna_2026", "commercial"), medications=())
    found = judged(facts, switches=Switches(on=frozenset({"aet_esi"})))
    assert found["aet_esi"].earliest == date(2027, 5, 1)
    fewer = replace(facts, sessions=sessions[1:])
    assert "aet_esi" not in judged(fewer, switches=Switches(on=frozenset({"aet_esi"})))


def test_levels_with_a_gap_are_not_in_a_row() -> None:
    facts = live(
        want("rfa_facet_lumbar", side="left", levels=("L2-L3", "L4-L5")),
        coverage=Coverage("evicore_msk", "commercial"),
        medications=(),
    )
    assert "do not follow one another" in judged(facts)["evi_rfa:levels"].message


def test_first_criteria_are_asked_when_one_of_two_regions_is_new() -> None:
    before = Session(
        date(2026, 10, 1), "snrb", "esi", "performed", "left", ("L4-L5",), role="diagnostic", approach="transforaminal"
    )
    both = want("snrb", side="left", levels=("C5-C6", "L4-L5"))
    bad = Presentation(pain_weeks=1)
    assert "mcr_esi_initial" in judged(live(both, sessions=(before,), presentation=bad, medications=()))
    back = want("snrb", side="left", levels=("L4-L5",))
    assert "mcr_esi_initial" not in judged(live(back, sessions=(before,), presentation=bad, medications=()))


def test_rescue_alone_judges_by_half() -> None:
    before = Session(date(2027, 3, 3), "esi_caudal", "esi", "performed", approach="caudal", scores=(Score(ON, Fraction(20)),))
    facts = live(want("esi_caudal"), sessions=(before,), medications=())
    found = judged(facts, switches=Switches(off=frozenset({"mcr_esi_repeat_response"})))
    assert found["mcr_esi_rescue"].earliest is None
    assert "mcr_esi_rescue" not in judged(replace(facts, request=replace(facts.request, several=(want("tpi"),))))


@pytest.mark.parametrize(
    ("params", "relief", "reduction", "is_refused"),
    [
        ({"family": "scs_trial", "reference": "latest trial", "min_relief_pct": 60}, 59, None, True),
        ({"family": "scs_trial", "reference": "latest trial", "min_relief_pct": 60}, 60, None, False),
        ({"family": "scs_trial", "success_any_of": [{"min_reduction_pct": 50}]}, 90, 49, True),
        ({"family": "scs_trial", "success_any_of": [{"min_reduction_pct": 50}]}, 0, 50, False),
    ],
)
def test_trial_of_a_cases_own_row(params: dict[str, Any], relief: int, reduction: int | None, is_refused: bool) -> None:
    trial = Session(
        date(2027, 2, 1), "scs_trial", "scs_trial", "performed", scores=(Score(date(2027, 2, 1), Fraction(relief)),),
        medication_reduction=None if reduction is None else Fraction(reduction),
    )  # fmt: skip
    facts = live(want("scs_implant"), sessions=(trial,), coverage=Coverage("none", "self_pay"), medications=())
    found = judged(facts, switches=extra(applies_to=["scs_implant"], type="prerequisite_procedures", params=params))
    assert ("own" in found) is is_refused


def test_blocks_of_a_cases_own_row_by_side_with_words_on_file() -> None:
    block = Session(
        date(2027, 2, 1), "genicular_block", "genicular_block", "performed", "left", role="diagnostic",
        scores=(Score(date(2027, 2, 1), Fraction(70)),),
    )  # fmt: skip
    row = extra(
        applies_to=["genicular_rfa"], type="prerequisite_procedures",
        params={"family": "genicular_block", "min_relief_pct": 50, "requires": ["consent"]},
    )  # fmt: skip
    facts = live(want("genicular_rfa", side="left"), sessions=(block,), coverage=Coverage("none", "self_pay"), medications=())
    assert set(judged(facts, switches=row)) >= {"own:requires not yet on file"}
    right = replace(facts, request=replace(facts.request, several=(want("genicular_rfa", side="right"),)))
    assert "own" in judged(right, switches=row)


def test_steroid_at_the_spine_without_a_level_is_compared_by_the_work() -> None:
    before = Session(
        date(2027, 3, 2), "epidural_adhesiolysis", "adhesiolysis", "performed", drug="dexamethasone", dose_mg=Fraction(4)
    )
    asked = want("epidural_adhesiolysis", drug="dexamethasone", dose_mg=Fraction(4))
    assert "min_interval_steroid" in judged(live(asked, sessions=(before,), coverage=Coverage("none", "")))


def test_peripheral_blocks_without_a_site_are_compared_by_side() -> None:
    before = tuple(
        Session(date(2027, 1, day), "occipital_block", "peripheral_nerve_block", "performed", "left") for day in (4, 5, 6)
    )
    on = Switches(on=frozenset({"mcr_pnb_limit"}))
    left, right = (live(want("occipital_block", side=side), sessions=before, medications=()) for side in ("left", "right"))
    assert judged(left, switches=on)["mcr_pnb_limit:occipital_block left"].facts["counted"] == 3
    assert judged(right, switches=on)["mcr_pnb_limit:occipital_block right"].facts["counted"] == 0


def test_newer_version_of_a_row_is_chosen_by_the_date_of_service() -> None:
    content = {name: copy.deepcopy(dict(table.content)) for name, table in tables.read(only=TABLES).items()}
    rows = content["payer_rules"]["rules"]
    old = next(row for row in rows if row["id"] == "mcr_si_rfa")
    rows.append({**old, "id": "mcr_si_rfa_2028", "severity": "warn", "effective_from": "2028-01-01"})
    old["effective_to"] = "2027-12-31"
    book = Book(content)
    facts = live(want("rfa_si_lateral_branch", side="left"), medications=())
    for on, code in ((date(2027, 12, 31), "mcr_si_rfa"), (date(2028, 1, 1), "mcr_si_rfa_2028")):
        assert {rule.code for rule in book.rules(facts, on)} & {"mcr_si_rfa", "mcr_si_rfa_2028"} == {code}


def test_a_switched_off_finding_of_blood_thinners_is_not_told() -> None:
    facts = live(want("esi_caudal"), medications=(Medication("clopidogrel"),))
    assert "antithrombotic_clearance:clopidogrel" in judged(facts)
    off = judged(facts, switches=Switches(off=frozenset({"antithrombotic_clearance"})))
    assert "antithrombotic_clearance:clopidogrel" not in off
