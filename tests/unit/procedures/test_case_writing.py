"""Facts written as a case and read again are the same facts: whatever the form prefills is judged as the file would be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from procedures import cases, tables
from procedures.cases import explained, judged, not_on_file, read_case, written_case
from procedures.rules.facts import Authorization, Coverage

BOOK = tables.book_of_files()
ZONE = ZoneInfo("America/Los_Angeles")
FILES = sorted((Path(__file__).parents[2] / "data" / "cases").glob("*.yaml"))
CASES = [(path.stem, case) for path in FILES for case in cases.read_cases(path, BOOK, zone=ZONE)]


def test_there_are_cases_to_write() -> None:
    assert len(CASES) > 200


@pytest.mark.parametrize(("file", "case"), CASES, ids=[f"{file}-{case.id}" for file, case in CASES])
def test_written_case_is_judged_as_the_case_it_was_written_from(file: str, case: cases.Case) -> None:
    again = read_case(written_case(case.facts, BOOK, case_id=case.id), BOOK, zone=case.facts.zone)
    assert judged(replace(again, switches=case.switches), BOOK) == judged(case, BOOK)


@pytest.mark.parametrize(("file", "case"), CASES, ids=[f"{file}-{case.id}" for file, case in CASES])
def test_explanation_says_what_assess_says(file: str, case: cases.Case) -> None:
    answer, told = judged(case, BOOK), explained(case, BOOK)
    assert told.decision == answer["decision"]
    assert [(step.code, step.message, step.counted, step.limit) for step in told.steps] == [
        (finding["rule"], finding["message"], finding["counted"], finding["limit"]) for finding in answer["findings"]
    ]
    assert not {one.code for one in told.unsaid} & {step.code for step in told.steps}
    if told.decision == "denied":
        assert told.covered_from != case.facts.request.on
    else:
        assert told.covered_from == case.facts.request.on


def test_written_case_is_the_text_of_a_file_that_assess_reads(tmp_path: Path) -> None:
    _, case = CASES[0]
    file = tmp_path / "one.yaml"
    file.write_text(cases.as_file(written_case(case.facts, BOOK, case_id=case.id), zone=str(ZONE)), encoding="utf-8")
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["format"] == 1
    assert cases.assess_file(file, BOOK, zone=ZONE)["results"][0]["decision"] == judged(case, BOOK)["decision"]


def test_nothing_is_said_to_be_unknown_of_a_complete_case() -> None:
    assert not_on_file(CASES[0][1].facts) in ((), ("pregnancy",))


def test_what_is_not_on_file_is_named() -> None:
    facts = replace(CASES[0][1].facts, medications=None, pregnant=None)
    assert not_on_file(facts) == ("blood thinners", "pregnancy")


def test_put_together_case_names_each_wrong_field() -> None:
    data = {"id": "x", "as_of": "2027-01-04", "request": {"date": "2027-01-11", "procedure": "mbb_cervical", "levels": ["L4-L5"]}}
    with pytest.raises(cases.MalformedCases) as refused:
        read_case(data, BOOK, zone=ZONE)
    assert [(one.case, one.field) for one in refused.value.problems] == [("x", "request.side"), ("x", "request.levels")]


@pytest.mark.parametrize(
    ("limits", "is_written"),
    [
        ({}, True),
        ({"units_left": 1}, True),
        ({"units_left": 0}, False),
        ({"sides": frozenset({"left"})}, False),
        ({"levels": frozenset({"L4-L5"})}, False),
        ({"codes": frozenset({"64493"})}, False),
        ({"case": "x"}, False),
    ],
)
def test_authorisation_that_the_format_cannot_tell_is_left_out(limits: dict[str, Any], is_written: bool) -> None:
    held = Authorization("esi", "esi", "approved", date(2027, 1, 2), valid_from=date(2027, 1, 3), **limits)
    facts = replace(CASES[0][1].facts, coverage=Coverage("none", "commercial", (held,)))

    told = written_case(facts, BOOK)["coverage"].get("authorizations", [])

    assert told == ([{"covers": "esi", "status": "approved", "decided": "2027-01-03"}] if is_written else [])
