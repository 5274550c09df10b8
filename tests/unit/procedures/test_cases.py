"""A file of written cases that cannot be judged says where and why, one line each, and is not judged at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from procedures import tables
from procedures.cases import MalformedCases, assess_file, judged, read_cases

BOOK = tables.book_of_files()
ZONE = ZoneInfo("America/New_York")
Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes a file of cases."""

    def write(text: str) -> Path:
        path = tmp_path / "cases.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(MalformedCases) as refusal:
        read_cases(path, BOOK, zone=ZONE)
    assert str(refusal.value)
    return [str(problem).removeprefix("cases.yaml: case ") for problem in refusal.value.problems]


def one(fields: str) -> str:
    return f"format: 1\ncases:\n  - {{id: a, as_of: 2027-03-01, {fields}}}\n"


CAUDAL = "request: {date: 2027-03-09, procedure: esi_caudal}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("format: 2\ncases: []\n", "-: field format: expected 1"),
        ("format: true\ncases: []\n", "-: field format: expected 1"),
        ("cases: []\n", "-: field format: is required and is missing"),
        ("format: 1\n", "-: field cases: is required and is missing"),
        ("format: 1\ncases: {}\n", "-: field cases: expected a list of cases"),
        ("format: 1\ncases: []\nwhat: 1\n", "-: field what: is not a known key"),
        (
            "format: 1\ntime_zone: Mars/Olympus\ncases: []\n",
            "-: field time_zone: expected the name of a time zone, as America/Los_Angeles",
        ),
        ("format: 1\ndefaults: {id: x}\ncases: []\n", "-: field defaults.id: is not a key that defaults may have"),
        ("format: 1\ndefaults: {request: 3}\ncases: []\n", "-: field defaults.request: expected a mapping of fields"),
        ("format: 1\ncases: [3]\n", "number 1: field -: expected a mapping of fields"),
        ("format: 1\ncases: [{as_of: 2027-03-01}]\n", "number 1: field id: is required and is missing"),
        ("format: 1\ncases: [{id: 7}]\n", "number 1: field id: expected a text"),
        ("format: 1\ncases: [{id: ''}]\n", "number 1: field id: expected a short text"),
        ("- 1\n", "-: field -: expected a mapping at the top"),
        ("a: [\n", "-: field line 2: expected valid YAML (did not find expected node content)"),
        ("a: 1\na: 2\n", "-: field line 2: expected valid YAML (the key 'a' stands twice)"),
        ("[1]: 1\n", "-: field line 1: expected valid YAML (a key is not a plain word)"),
    ],
)
def test_file_that_is_not_of_the_format_is_refused(written: Written, text: str, told: str) -> None:
    assert problems(written(text)) == [told]


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert problems(path) == ["-: field -: expected UTF-8 text"]
    path.write_text("#" * (5 * 1024 * 1024 + 1), encoding="utf-8")
    assert problems(path) == ["-: field -: expected a file of at most 5 MB"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("", "request: is required and is missing"),
        ("request: 3", "request: expected a mapping of fields"),
        (f"{CAUDAL}, colour: red", "colour: is not a known key"),
        (f"{CAUDAL}, title: 3", "title: expected a text"),
        (f"{CAUDAL}, expect: {{surprise: 1}}", "expect.surprise: is not a known key"),
        ("request: {procedure: esi_caudal}", "request.date: expected exactly one of date and starts_at"),
        ("request: {date: 2027-03-09, starts_at: 2027-03-09T09:00, procedure: esi_caudal}", "request.date: expected exactly one of date and starts_at"),
        ("request: {starts_at: 2027-03-09, procedure: esi_caudal}", "request.starts_at: expected a wall-clock time, YYYY-MM-DDTHH:MM"),
        ("request: {starts_at: '2027-03-09T29:00', procedure: esi_caudal}", "request.starts_at: expected a wall-clock time, YYYY-MM-DDTHH:MM"),
        ("request: {starts_at: 2027-03-09T09:00:00Z, procedure: esi_caudal}", "request.starts_at: expected a wall-clock time, YYYY-MM-DDTHH:MM"),
        ("request: {date: '2027-02-30', procedure: esi_caudal}", "request.date: expected a date, YYYY-MM-DD"),
        ("request: {date: 2027-03-09}", "request.procedure: expected exactly one of procedure and procedures"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, procedures: [{procedure: tpi}]}", "request.procedure: expected exactly one of procedure and procedures"),
        ("request: {date: 2027-03-09, procedures: []}", "request.procedures: expected at least one procedure"),
        ("request: {date: 2027-03-09, procedures: 3}", "request.procedures: expected a list"),
        ("request: {date: 2027-03-09, procedures: [{procedure: tpi, colour: red}]}", "request.procedures[1].colour: is not a known key"),
        ("request: {date: 2027-03-09, procedures: [{procedure: leeches}]}", "request.procedures[1].procedure: expected the id of a procedure of the catalogue, not 'leeches'"),
        ("request: {date: 2027-02-28, procedure: esi_caudal}", "request.date: must not be before as_of"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, driver: maybe}", "request.driver: expected yes or no"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, state: Ohio}", "request.state: expected two letters"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, place_of_service: office}", "request.place_of_service: expected a two-digit code"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, side: up}", "request.side: expected one of bilateral, left, midline, right, not 'up'"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, levels: L4-L5}", "request.levels: L4-L5 is outside the regions of esi_caudal: sacral"),
        ("request: {date: 2027-03-09, procedure: esi_il_lumbar}", "request.levels: is required for esi_il_lumbar and is missing: a level"),
        ("request: {date: 2027-03-09, procedure: esi_il_lumbar, levels: []}", "request.levels: expected at least one level for esi_il_lumbar"),
        ("request: {date: 2027-03-09, procedure: esi_il_lumbar, levels: L3-L5}", "request.levels: expected levels as the tables write them (L4-L5, S1, L4), not 'L3-L5'"),
        ("request: {date: 2027-03-09, procedure: esi_il_lumbar, levels: X9}", "request.levels: expected levels as the tables write them (L4-L5, S1, L4), not 'X9'"),
        ("request: {date: 2027-03-09, procedure: esi_il_lumbar, levels: L9}", "request.levels: expected levels as the tables write them (L4-L5, S1, L4), not 'L9'"),
        ("request: {date: 2027-03-09, procedure: esi_tf_lumbar, levels: L4-L5}", "request.side: is required for esi_tf_lumbar and is missing: a side"),
        ("request: {date: 2027-03-09, procedure: si_joint_ia, side: left}", "request.role: is required for si_joint_ia and is missing: diagnostic or therapeutic"),
        ("request: {date: 2027-03-09, procedure: esi_caudal, bleeding_class: low}", "request.bleeding_class: is only for procedures whose class goes by the target, not esi_caudal"),
        ("request: {date: 2027-03-09, procedure: tpi, dose_mg: 4}", "request.dose_mg: is a dose without a drug"),
        ("request: {date: 2027-03-09, procedure: tpi, temperature_c: hot}", "request.temperature_c: expected a number from 0 to 1000"),
        ("request: {date: 2027-03-09, procedure: tpi, muscles: [3]}", "request.muscles: expected a text"),
        ("request: {date: 2027-03-09, procedure: tpi, intake: [{what: beer, end: 2027-03-09T01:00}]}",
         "request.intake[1].what: expected one of breast_milk, chewing_gum, clear_liquids, fatty_or_fried_meal_or_meat, infant_formula_or_other_milk, light_meal, not 'beer'"),
        (f"{CAUDAL}, patient: {{age: -1}}", "patient.age: expected a whole number from 0 to 130"),
        (f"{CAUDAL}, patient: {{stents: [{{kind: gold, placed: 2027-01-01}}]}}", "patient.stents[1].kind: expected one of bare, drug_eluting, not 'gold'"),
        (f"{CAUDAL}, patient: {{planned_surgery: [{{kind: arthroplasty, date: 2027-05-01}}]}}", "patient.planned_surgery[1].site: is required and is missing"),
        (f"{CAUDAL}, presentation: {{missing: [luck]}}", "presentation.missing: expected words of the requires lists of the tables, not 'luck'"),
        (f"{CAUDAL}, coverage: {{payer_rules: nobody}}", "coverage.payer_rules: expected the id of a payer rule set, or none, not 'nobody'"),
        (f"{CAUDAL}, coverage: {{rules_on: [nothing]}}", "coverage.rules_on: expected ids of rules of the tables, not 'nothing'"),
        (f"{CAUDAL}, coverage: {{authorizations: [{{covers: esi, status: approved}}]}}", "coverage.authorizations[1].decided: is required and is missing"),
        (f"{CAUDAL}, coverage: {{authorizations: [{{covers: luck, status: pending}}]}}",
         "coverage.authorizations[1].covers: expected the id of a procedure or a family, not 'luck'"),
        (f"{CAUDAL}, coverage: {{extra_rules: [{{id: x, applies_to: [luck], type: noncovered, params: {{when: always}}, severity: deny}}]}}",
         "coverage.extra_rules[1].applies_to: expected families of the catalogue, not luck"),
        (f"{CAUDAL}, coverage: {{extra_rules: [{{id: mcr_prp, applies_to: [esi], type: noncovered, params: {{when: always}}, severity: deny}}]}}",
         "coverage.extra_rules[1].id: is the id of another rule too: mcr_prp"),
        (f"{CAUDAL}, coverage: {{extra_rules: [3]}}", "coverage.extra_rules[1]: expected a mapping of fields"),
        (f"{CAUDAL}, labs: [{{test: inr, date: 2027-03-01, value: high}}]", "labs[1].value: expected a number from 0 to 1e+06"),
        (f"{CAUDAL}, vaccines: [{{type: covid_mrna}}]", "vaccines[1].date: is required and is missing"),
        (f"{CAUDAL}, allergies: [{{agent: iodinated_contrast}}]", "allergies[1].severity: is required and is missing"),
        (f"{CAUDAL}, allergies: [{{severity: mild}}]", "allergies[1].agent: is required and is missing"),
        (f"{CAUDAL}, implants: [{{device: clock}}]", "implants[1].device: expected one of dbs, icd, it_pump, pacemaker, scs, not 'clock'"),
        (f"{CAUDAL}, medications: [{{drug: aspirin}}]", "medications[1].indication: expected primary or secondary for aspirin"),
        (f"{CAUDAL}, medications: [{{drug: sugar}}]", "medications[1].drug: expected the id of a drug of antithrombotics.yaml, not 'sugar'"),
        (f"{CAUDAL}, medications: [{{drug: warfarin, last_dose: soon}}]",
         "medications[1].last_dose: expected a date, YYYY-MM-DD, or a wall-clock time, YYYY-MM-DDTHH:MM"),
        (f"{CAUDAL}, medications: [{{last_dose: 2027-03-01}}]", "medications[1].drug: is required and is missing"),
        (f"{CAUDAL}, history: [{{procedure: tpi}}]", "history[1].date: is required and is missing"),
        (f"{CAUDAL}, history: [{{date: 2027-01-01, procedure: leeches}}]",
         "history[1].procedure: expected the id of a procedure of the catalogue, or other, not 'leeches'"),
        (f"{CAUDAL}, history: [{{date: 2027-01-01, procedure: tpi, before: bad}}]", 'history[1].before: expected a score, one number, or a range as "2-8"'),
        (f"{CAUDAL}, history: [{{date: 2027-01-01, procedure: tpi, follow_up: [{{date: 2027-02-01, relief: 3, score: 3}}]}}]",
         "history[1].follow_up[1].score: expected relief or score, not both"),
        (f"{CAUDAL}, history: [{{date: 2027-01-01, procedure: tpi, follow_up: [{{relief: 3}}]}}]", "history[1].follow_up[1].date: is required and is missing"),
        (f"{CAUDAL}, history: [{{date: 2027-03-02, procedure: tpi}}]", "history[1].date: a performed session must be dated on or before as_of"),
        (f"{CAUDAL}, history: [{{date: 2027-03-01, procedure: tpi, status: booked}}]", "history[1].date: a booked session must be dated after as_of"),
        (f"{CAUDAL}, history: [{{date: 2027-03-09, procedure: tpi, status: booked}}]", "history[1].date: a session must be dated before the requested date"),
        (f"{CAUDAL}, history: [{{date: 2027-02-01, procedure: tpi, relief: 50, held_until: 2027-03-02}}]",
         "history[1]: a record must be dated on or before as_of"),
        (f"{CAUDAL}, history: [{{date: 2027-02-01, procedure: tpi, relief: 50, held_until: 2027-01-02}}]",
         "history[1]: a record must not be dated before its session"),
        (f"{CAUDAL}, history_from: b", "history_from: names no case of this file"),
        (f"{CAUDAL}, history_from: a", "history_from: goes in a circle"),
    ],
)  # fmt: skip
def test_case_that_cannot_be_judged_is_refused(written: Written, fields: str, told: str) -> None:
    assert problems(written(one(fields))) == [f"a: field {told}"]


def test_as_of_is_required_and_ids_are_unique(written: Written) -> None:
    text = f"format: 1\ncases:\n  - {{id: a, {CAUDAL}}}\n  - {{id: a, as_of: 2027-03-01, {CAUDAL}}}\n"
    assert problems(written(text)) == [
        "a: field id: is the id of an earlier case too",
        "a: field as_of: is required and is missing",
    ]


def test_start_before_the_moment_of_booking_is_refused(written: Written) -> None:
    text = "format: 1\ncases: [{id: a, as_of: 2027-03-09T10:00, request: {starts_at: 2027-03-09T09:55, procedure: tpi}}]\n"
    assert problems(written(text)) == ["a: field request.starts_at: must not be before as_of"]


def test_all_problems_of_a_file_are_told_together(written: Written) -> None:
    text = one("request: {date: 2027-03-09, procedure: esi_tf_lumbar, levels: C5-C6}, labs: 3")
    assert problems(written(text)) == [
        "a: field request.side: is required for esi_tf_lumbar and is missing: a side",
        "a: field request.levels: C5-C6 is outside the regions of esi_tf_lumbar: lumbar, sacral",
        "a: field labs: expected a list",
    ]


def read(path: Path) -> list[Any]:
    return read_cases(path, BOOK, zone=ZONE)


def test_defaults_lie_under_every_case_and_histories_are_put_together(written: Written) -> None:
    path = written("""
format: 1
defaults:
  as_of: 2027-03-01
  request: {state: oh, date: 2027-03-09}
  coverage: {plan_type: commercial}
cases:
  - {id: a, request: {procedure: tpi}, history: [{date: 2027-01-01, procedure: tpi}]}
  - {id: b, request: {procedure: tpi}, history_from: a, history: [{date: 2027-02-01, procedure: other}], coverage: {payer_rules: none}}
  - {id: c, request: {procedure: tpi, date: "2027-03-10", place_of_service: 22}, history_from: b}
""")
    first, second, third = read(path)
    assert [session.on for session in third.facts.sessions] == [date(2027, 1, 1), date(2027, 2, 1)]
    assert [session.on for session in first.facts.sessions] == [date(2027, 1, 1)]
    assert (second.facts.coverage.plan_type, second.facts.coverage.payer_rules) == ("commercial", "none")
    assert (third.facts.request.on, third.facts.request.state) == (date(2027, 3, 10), "OH")
    assert third.facts.request.place_of_service == "22"
    assert first.facts.coverage.payer_rules == "medicare_multi_mac_2026"


def test_the_form_of_the_answer_is_that_of_the_format(written: Written) -> None:
    path = written(one("request: {starts_at: 2027-03-09T09:00, procedure: tpi}, history: [{date: 2027-02-20, procedure: tpi}]"))
    answer = assess_file(path, BOOK, zone=ZONE)
    assert answer == {"results": [judged(case, BOOK) for case in read(path)]}
    (result,) = answer["results"]
    assert (result["id"], result["decision"], result["earliest"]) == ("a", "denied", "2027-04-03")
    repeat = next(finding for finding in result["findings"] if finding["rule"] == "mcr_tpi_repeat")
    assert {name: repeat[name] for name in ("severity", "earliest", "counted", "limit", "about")} == {
        "severity": "deny", "earliest": "2027-04-03", "counted": None, "limit": None, "about": "",
    }  # fmt: skip
    assert repeat["evidence"]["reference"] == "2027-02-20 TPI 1-2 muscles"
    assert "pain and function" in repeat["message"]


def test_spelled_out_yes_and_a_number_for_a_dose_are_understood(written: Written) -> None:
    path = written(one(
        "request: {date: 2027-03-09, procedure: tpi, driver: 'No', premedication: none},"
        " medications: [{drug: warfarin, dose: 5, still_taking: 'yes'}], patient: {pregnant: unknown}"
    ))  # fmt: skip
    facts = read(path)[0].facts
    assert (facts.request.has_driver, facts.request.premedication, facts.pregnant) == (False, "", None)
    assert facts.medications[0].dose == "5"


def test_a_time_with_seconds_is_a_time(written: Written) -> None:
    path = written(one("request: {starts_at: 2027-03-09T09:00:00, procedure: tpi}"))
    assert str(read(path)[0].facts.request.starts_at) == "2027-03-09 09:00:00"
