"""Malformed files: every problem by file, row and field, and nothing loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from procedures import tables
from procedures.models import ClinicalTable, Procedure
from tests.database.procedures.tables.altering import Folder, load, row_of, set_in


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(tables.MalformedTables) as refusal:
        load(folder)
    assert Procedure.objects.count() == 0
    assert ClinicalTable.objects.count() == 0
    assert refusal.value.code == "malformed_table"
    return [str(problem) for problem in refusal.value.problems]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"room_minutes": "long"}, "field room_minutes: expected whole minutes from 5 to 720"),
        ({"room_minutes": 0}, "field room_minutes: expected whole minutes from 5 to 720"),
        ({"room_minutes": True}, "field room_minutes: expected whole minutes from 5 to 720"),
        ({"recovery_minutes": -1}, "field recovery_minutes: expected whole minutes from 0 to 720"),
        ({"name": ""}, "field name: expected a text of 1 to 160 characters"),
        ({"levels": 5}, "field levels: expected a text of 1 to 300 characters"),
        ({"family": "Trigger"}, "field family: expected a word of lower-case letters, digits and underscores"),
        ({"regions": ["elbow"]}, "field regions: expected a list of known regions"),
        ({"regions": []}, "field regions: expected at least one"),
        ({"laterality": []}, "field laterality: expected at least one"),
        ({"laterality": ["left", "left"]}, "field laterality: expected a list of known sides, each once"),
        ({"equipment": "c_arm"}, "field equipment: expected a list of words"),
        ({"driver": "maybe"}, "field driver: expected one of required, required_if_sedated, not_needed"),
        ({"max_levels_per_session_default": 0}, "field max_levels_per_session_default: expected a whole number from 1 to 20"),
        ({"cpt": {"primary": [20552]}}, "field cpt.primary: expected a list of code numbers of five characters, quoted"),
        ({"verified": "yes"}, "field verified: expected true or false"),
        ({"source": []}, "field source: expected a list of sources"),
        ({"source": [{"title": "x", "url": "javascript:1"}]}, "field source.url: expected a web address"),
        ({"colour": "red"}, "field colour: expected no such field"),
    ],
)
def test_malformed_row_is_named_and_nothing_is_loaded(altered: Folder, values: dict[str, Any], expected: str) -> None:
    assert problems_of(altered(set_in("tpi", **values))) == [f"catalogue.yaml: row tpi: {expected}"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cpt": []}, "row tpi.cpt: field -: expected a mapping of fields"),
        (
            {"guidance": {"default": "xray"}},
            "row tpi: field guidance.default: expected one of fluoroscopy, ct, ultrasound, none,",
        ),
        ({"guidance": {"default": "none", "alternatives": ["xray"]}}, "row tpi: field guidance.alternatives: expected a list"),
        ({"bleeding_risk": {}}, "row tpi.bleeding_risk: field asra_2018: expected a value; the field is missing"),
        (
            {"bleeding_risk": {"asra_2018": "low", "alternative": 1}},
            "row tpi.bleeding_risk.alternative: field -: expected a mapping",
        ),
    ],
)
def test_malformed_part_of_a_row_is_named(altered: Folder, values: dict[str, Any], expected: str) -> None:
    (problem,) = problems_of(altered(set_in("tpi", **values)))
    assert problem.startswith(f"catalogue.yaml: {expected}")


def test_missing_field_is_named(altered: Folder) -> None:
    expected = ["catalogue.yaml: row tpi: field driver: expected a value; the field is missing"]
    assert problems_of(altered(lambda content: row_of(content, "tpi").pop("driver"))) == expected


def test_repeated_and_strange_ids_are_named(altered: Folder) -> None:
    def change(content: dict[str, Any]) -> None:
        content["procedures"][1]["id"] = content["procedures"][0]["id"]
        content["procedures"][2]["id"] = "No Good"
        content["procedures"][3] = "text"

    assert problems_of(altered(change)) == [
        "catalogue.yaml: row esi_il_cervical: field id: expected an id that no other row has",
        "catalogue.yaml: row procedures[3]: field id: expected an id of lower-case letters, digits and underscores",
        "catalogue.yaml: row procedures[4]: field -: expected a mapping of fields",
    ]


def test_problems_of_all_files_are_told_together(altered: Folder) -> None:
    folder = altered(lambda content: content.pop("meta"))
    (folder / "fasting.yaml").unlink()
    (folder / "steroids.yaml").write_text("meta: [")
    (folder / "pathways.yaml").write_text("a: 1\na: 2\n")
    (folder / "outcomes.yaml").write_bytes(b"\xff\xfe")
    (folder / "antithrombotics.yaml").write_text("- just\n- a list\n")
    told = problems_of(folder)
    assert [problem.split(":")[0] for problem in told] == [
        "catalogue.yaml", "antithrombotics.yaml", "steroids.yaml", "fasting.yaml", "pathways.yaml", "outcomes.yaml",
    ]  # fmt: skip
    assert told[0] == "catalogue.yaml: row meta: field -: expected a mapping with title and version"
    assert "expected a mapping at the top" in told[1]
    assert "valid YAML" in told[2]
    assert "a file that can be read" in told[3]
    assert "the key 'a' stands twice" in told[4]
    assert "UTF-8 text" in told[5]


def test_meta_needs_version_and_date(altered: Folder) -> None:
    folder = altered(lambda content: content["meta"].update(version=1, reviewed_on="soon"), "fasting")
    assert problems_of(folder) == [
        "fasting.yaml: row meta: field version: expected a text of 1 to 40 characters",
        "fasting.yaml: row meta: field reviewed_on: expected a date, YYYY-MM-DD",
    ]


def test_table_without_its_rows_is_refused(altered: Folder) -> None:
    folder = altered(lambda content: content.update(pathways=[]), "pathways")
    assert problems_of(folder) == ["pathways.yaml: row pathways: field -: expected a list of rows"]


def test_payer_rules_must_name_what_the_tables_have(altered: Folder) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rules"][0].update(payer_rule_set="nobody")
        content["rules"][1].update(procedure_ids=["leeches"])

    told = problems_of(altered(change, "payer_rules"))
    assert [problem.rsplit(": ", 1)[1] for problem in told] == [
        "expected the id of a payer rule set",
        "expected ids of the catalogue",
    ]


def test_our_own_labels_are_checked_too(altered: Folder) -> None:
    def change(content: dict[str, Any]) -> None:
        content["short_names"]["tpi"] = "x" * 33
        content["extra_equipment"] = {"tpi": "needle"}

    assert problems_of(altered(change, "short_names")) == [
        "short_names.yaml: row short_names: field tpi: expected a text of 1 to 32 characters",
        "short_names.yaml: row extra_equipment: field tpi: expected a list of words",
    ]
    assert len(problems_of(altered(lambda content: content.update(short_names=[], extra_equipment=[]), "short_names"))) == 1
    assert len(problems_of(altered(lambda content: content.update(extra_equipment=[]), "short_names"))) == 1


def test_folder_without_our_labels_uses_ours(altered: Folder) -> None:
    folder = altered(lambda content: None)
    (folder / "short_names.yaml").unlink()
    load(folder)
    assert Procedure.objects.get(code="tpi").short_name == "TPI 1-2 muscles"


def test_huge_file_is_not_read(altered: Folder) -> None:
    folder = altered(lambda content: None)
    with (folder / "fasting.yaml").open("ab") as file:
        file.truncate(6 * 1024 * 1024)
    assert problems_of(folder) == ["fasting.yaml: row -: field -: expected a file of at most 5 MB"]


def test_source_without_title_is_named(altered: Folder) -> None:
    folder = altered(set_in("tpi", source=[{"url": "https://example.org/"}]))
    assert problems_of(folder) == ["catalogue.yaml: row tpi.source: field title: expected a value; the field is missing"]


def test_guidance_without_default_is_named(altered: Folder) -> None:
    folder = altered(set_in("tpi", guidance={}))
    assert problems_of(folder) == ["catalogue.yaml: row tpi.guidance: field default: expected a value; the field is missing"]
