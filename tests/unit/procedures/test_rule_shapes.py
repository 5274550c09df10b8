"""A malformed row of a rule table is named by file, row and field, with what was expected; nothing is compiled of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from procedures import tables
from procedures.rules.book import TABLES, Book, faults_of
from procedures.rules.payer.shapes import check_row
from procedures.rules.shapes import Checker, MalformedRows, date_of, fields

CONTENT = {name: table.content for name, table in tables.read(only=TABLES).items()}
Rows = dict[str, Any]


def told(table: str, change: Callable[[Rows], None]) -> list[str]:
    changed = {**CONTENT, table: copy.deepcopy(CONTENT[table])}
    change(changed[table])  # type: ignore[arg-type]
    return [str(fault).removeprefix(f"{table}.yaml: row ") for fault in faults_of(changed)]


def row(rows: Rows, row_id: str, section: str = "rules") -> Rows:
    return next(one for one in rows[section] if row_id in (one.get("id"), one.get("intake"), one.get("lab")))


def params(row_id: str, **values: Any) -> Callable[[Rows], None]:
    """Return a change of some parameters of a row; None takes one away."""

    def change(rows: Rows) -> None:
        held = row(rows, row_id).setdefault("params", {})
        for name, value in values.items():
            held.pop(name, None)
            if value is not None:
                held[name] = value

    return change


def column(row_id: str, section: str = "rules", **values: Any) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        held = row(rows, row_id, section)
        for name, value in values.items():
            held.pop(name, None)
            if value is not None:
                held[name] = value

    return change


def test_the_tables_as_they_are_have_no_fault() -> None:
    assert faults_of(CONTENT) == []


ROLLING = "one of days, weeks, months or years with a whole number of at least 1"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (column("mcr_prp", type="magic"), "field type: expected one of "),
        (column("mcr_prp", severity=None), "field severity: expected a value; the field is missing"),
        (column("mcr_prp", severity=["deny"]), "field severity: expected one of deny, warn, info"),
        (column("mcr_prp", applies_to=[]), "field applies_to: expected at least one family"),
        (column("mcr_prp", applies_to="prp"), "field applies_to: expected a list of texts"),
        (column("mcr_prp", enabled_by_default="yes"), "field enabled_by_default: expected true or false"),
        (column("mcr_prp", effective_from="soon"), "field effective_from: expected a date, YYYY-MM-DD"),
        (column("mcr_prp", plan_types=[]), "field plan_types: expected a list of original_medicare, "),
        (column("mcr_prp", colour="red"), "field colour: expected no such field"),
        (column("mcr_prp", params=3), "field params: expected a mapping of fields"),
        (params("mcr_prp", when=3), "field params.when: expected a text"),
        (params("mcr_esi_cap", max_sessions=None), "field params: expected at least one of max_sessions, all_of"),
        (params("mcr_esi_cap", max_sessions=True), "field params.max_sessions: expected a whole number of at least 0"),
        (params("mcr_esi_cap", window={"kind": "rolling"}), f"field params.window: expected {ROLLING}"),
        (params("mcr_esi_cap", window={"kind": "rolling", "months": 0}), f"field params.window: expected {ROLLING}"),
        (params("mcr_esi_cap", window={"kind": "rolling", "months": -6}), f"field params.window: expected {ROLLING}"),
        (params("mcr_esi_cap", window={"kind": "rolling", "years": 101}), f"field params.window: expected {ROLLING}"),
        (params("mcr_esi_repeat_response", min_duration={"months": 0}), f"field params.min_duration: expected {ROLLING}"),
        (
            params("mcr_facet_mbb2_interval", weeks=1),
            "field params: expected one of days, weeks, months or years, not days and weeks",
        ),
        (
            params("uhc_facet_dx", imaging_within_months=0),
            "field params.imaging_within_months: expected a whole number of at least 1",
        ),
        (
            params("mcr_bvn_lifetime", modic_type_any_of=[0]),
            "field params.modic_type_any_of: expected a list of whole numbers of at ",
        ),
        (
            column("mcr_prp", effective_from="2027-02-01", effective_to="2027-01-31"),
            "field effective_to: expected a day not before effective_from, 2027-02-01",
        ),
        (params("mcr_esi_cap", window={"kind": "rolling", "months": 1, "days": 2}), f"field params.window: expected {ROLLING}"),
        (
            params("mcr_esi_cap", window={"kind": "lifetime", "months": 1}),
            "field params.window: expected no length, since only a ",
        ),
        (
            params("mcr_esi_cap", window={"kind": "lifetime", "window_edge": "open"}),
            "field params.window.window_edge: expected exclusive or inclusive",
        ),
        (
            params("mcr_esi_cap", window={"kind": "anchored_year", "anchor": "birth"}),
            "field params.window.anchor: expected first_approved_session",
        ),
        (params("mcr_esi_cap", window={"kind": "lifetime", "why": 1}), "field params.window.why: expected no such field"),
        (params("mcr_esi_cap", count_per=["moon"]), "field params.count_per: expected a list of patient, payer_region, "),
        (params("evi_esi_caps", all_of=[]), "field params.all_of: expected a list"),
        (
            params("evi_esi_caps", all_of=[{"max_sessions": 3}]),
            "field params.all_of[1].window: expected a value; the field is missing",
        ),
        (params("mcr_esi_repeat_response", min_improvement_pct=101), "field params.min_improvement_pct: expected a percentage"),
        (params("mcr_esi_repeat_response", min_duration=3), f"field params.min_duration: expected {ROLLING}"),
        (
            params("mcr_si_same_side", not_with_same_side=["x"]),
            "field params.not_with_same_side: expected a list of lists of ids",
        ),
        (params("mcr_esi_dose", ceiling_mg={"x": "much"}), "field params.ceiling_mg: expected milligrams by drug"),
        (
            params("mcr_bvn_lifetime", modic_type_any_of=["1"]),
            "field params.modic_type_any_of: expected a list of whole numbers of at least 1",
        ),
        (params("uhc_facet_dx", min_pain_score=-1), "field params.min_pain_score: expected a number that is not negative"),
        (params("evi_rfa", prerequisite=3), "field params.prerequisite: expected a mapping of fields"),
    ],
)
def test_payer_row_that_cannot_be_used_is_named(change: Callable[[Rows], None], expected: str) -> None:
    (fault,) = told("payer_rules", change)
    assert fault.partition(": ")[2].startswith(expected)


def test_families_of_a_cases_own_rows_must_be_of_the_catalogue() -> None:
    checker = Checker("case")
    extra = {
        "id": "x", "applies_to": ["esi"], "type": "same_day_exclusion", "severity": "deny",
        "params": {"not_with": ["luck"], "exception": ["esi"]},
    }  # fmt: skip
    check_row(checker, extra, frozenset({"esi"}))
    check_row(checker, {**extra, "type": "prerequisite_procedures", "params": {"family": "luck"}}, frozenset({"esi"}))
    held = {"family": "fate", "min_count": 1, "min_relief_pct": 50}
    check_row(checker, {**extra, "type": "combined", "params": {"prerequisite": held}}, frozenset({"esi"}))
    assert [fault.field for fault in checker.faults] == ["params.not_with", "params.family", "params.prerequisite.family"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (column("warfarin", "drugs", hold_before=3), "warfarin: field hold_before: expected a mapping of fields"),
        (
            lambda rows: row(rows, "warfarin", "drugs")["hold_before"]["high"].pop("days"),
            "warfarin: field hold_before.high: expected hours or days, one of them",
        ),
        (
            lambda rows: row(rows, "warfarin", "drugs")["hold_before"]["high"].update(lab="crcl"),
            "warfarin: field hold_before.lab: expected a lab with a limit in lab_limits",
        ),
        (
            lambda rows: row(rows, "enoxaparin_ther", "drugs")["modifiers"][0].pop("hold"),
            "enoxaparin_ther: field modifiers.hold: expected hours or days, one of them",
        ),
        (
            lambda rows: row(rows, "dabigatran", "drugs")["modifiers"][0]["at_least"].update(hours=3),
            "dabigatran: field modifiers.at_least: expected hours or days, one of them, and the result that it is known by",
        ),
        (
            lambda rows: row(rows, "dabigatran", "drugs")["modifiers"][0].pop("known_by"),
            "dabigatran: field modifiers.at_least: expected hours or days, one of them, and the result that it is known by",
        ),
        (column("warfarin", "drugs", modifiers=3), "warfarin: field modifiers: expected a list"),
        (lambda rows: rows.update(lab_limits=[]), "lab_limits: field -: expected a list"),
        (lambda rows: rows.update(upgrade_drug_classes=3), "upgrade_drug_classes: field -: expected a list of texts"),
        (lambda rows: rows.update(finding_ids=3), "finding_ids: field -: expected what each finding means, by its id"),
        (
            lambda rows: rows["finding_ids"].update(antithrombotic_hold="maybe; so"),
            "finding_ids: field antithrombotic_hold: expected a text that begins with deny, warn or info",
        ),
        (
            lambda rows: rows["drugs"].remove(row(rows, "aspirin_secondary", "drugs")),
            "drugs: field aspirin_secondary: expected a row, since other rows follow it",
        ),
        (
            lambda rows: row(rows, "warfarin", "drugs")["hold_before"]["high"].update(days=0),
            "warfarin: field hold_before.high: expected a hold longer than nothing, or another action",
        ),
        (
            lambda rows: row(rows, "inr", "lab_limits").update(normal_max=0),
            "lab_limits: field [1].normal_max: expected a number above 0",
        ),
        (
            lambda rows: row(rows, "enoxaparin_ther", "drugs")["modifiers"][0]["if"].update(below=0),
            "enoxaparin_ther: field modifiers[1].if.below: expected a number above 0",
        ),
        (
            column("warfarin", "drugs", effective_from="2027-02-01", effective_to="2027-01-01"),
            "warfarin: field effective_to: expected a day not before effective_from, 2027-02-01",
        ),
    ],
)
def test_row_of_blood_thinners_that_cannot_be_used_is_named(change: Callable[[Rows], None], expected: str) -> None:
    assert expected in told("antithrombotics", change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            column("dexamethasone", "drugs", mg_equal_to_4mg_methylprednisolone=0),
            "dexamethasone: field mg_equal_to_4mg_methylprednisolone: expected more than 0",
        ),
        (column("vaccine_mrna", topic="luck"), "vaccine_mrna: field topic: expected one of "),
        (
            params("vaccine_mrna", vaccine_types=None),
            "vaccine_mrna: field params: expected vaccine_types, min_days_before_vaccine, ",
        ),
        (params("min_interval_steroid", days=None), "min_interval_steroid: field params: expected scope, days or scope, months"),
        (
            params("pregnancy_fluoro", ask_age_range=[55, 12]),
            "pregnancy_fluoro: field params.ask_age_range: expected the lowest ",
        ),
        (params("active_infection", luck=1), "active_infection: field params.luck: expected no such field"),
        (
            params("no_particulate_cervical_tf", procedure_ids=None),
            "no_particulate_cervical_tf: field params: expected procedure_ids",
        ),
        (
            params("min_interval_steroid", months=1),
            "min_interval_steroid: field params: expected one of days, weeks, months or years, not days and months",
        ),
        (
            params("min_interval_steroid", days=0),
            "min_interval_steroid: field params.days: expected a whole number of at least 1",
        ),
        (
            params("pregnancy_fluoro", ask_age_range=[-1, 55]),
            "pregnancy_fluoro: field params.ask_age_range: expected the lowest ",
        ),
        (
            column("active_infection", effective_from="2027-02-01", effective_to="2027-01-31"),
            "active_infection: field effective_to: ",
        ),
        (
            params("cumulative_bone_risk", limit_mpe_mg=0),
            "cumulative_bone_risk: field params.limit_mpe_mg: expected a number above 0",
        ),
        (
            params("diabetes_day_of", warn_mg_dl=400),
            "diabetes_day_of: field params.warn_mg_dl: expected not more than deny_mg_dl",
        ),
        (params("cumulative_bone_risk", window_months=0), "cumulative_bone_risk: field params.window_months: expected a whole "),
    ],
)
def test_row_of_steroids_that_cannot_be_used_is_named(change: Callable[[Rows], None], expected: str) -> None:
    (fault,) = told("steroids", change)
    assert fault.startswith(expected)


def test_rows_of_fasting_that_cannot_be_used_are_named() -> None:
    assert told("fasting", column("light_meal", "minimum_hours", hours="six")) == [
        "light_meal: field hours: expected a number that is not negative"
    ]
    past = {"effective_from": "2027-02-01", "effective_to": "2027-01-31"}
    for section, row_id in (("minimum_hours", "light_meal"), ("escort", "escort_sedation")):
        assert told("fasting", column(row_id, section, **past)) == [
            f"{row_id}: field effective_to: expected a day not before effective_from, 2027-02-01"
        ]
    assert told("fasting", lambda rows: rows.update(glp1=[3])) == ["glp1[1]: field -: expected a mapping of fields"]
    assert told("fasting", lambda rows: rows.update(escort=[{"id": "escort_sedation"}])) == [
        "escort_sedation: field driver_required: expected a value; the field is missing",
        "escort_sedation: field severity: expected a value; the field is missing",
    ]


def test_book_is_not_made_of_malformed_rows() -> None:
    broken = copy.deepcopy(dict(CONTENT))
    row(broken["payer_rules"], "mcr_prp")["severity"] = "maybe"  # type: ignore[arg-type]
    with pytest.raises(MalformedRows, match="mcr_prp: field severity") as refusal:
        Book(broken)
    assert len(refusal.value.faults) == 1


def test_dates_are_dates_or_texts_of_dates() -> None:
    assert date_of(date(2027, 1, 1)) == date_of("2027-01-01") == date(2027, 1, 1)
    assert [date_of(wrong) for wrong in (None, "2027-1-1", "2027-02-30", 20270101, datetime(2027, 1, 1))] == [None] * 5


def test_mapping_without_a_path_names_its_fields_alone() -> None:
    checker = Checker("x")
    fields({}, required=("a",))(checker, "row", "", {"b": 1})
    assert [fault.field for fault in checker.faults] == ["a", "b"]


def test_window_of_no_kind_is_named() -> None:
    (fault,) = told("payer_rules", params("mcr_esi_cap", window={"months": 12}))
    assert "expected a window of kind rolling, anchored_year" in fault
