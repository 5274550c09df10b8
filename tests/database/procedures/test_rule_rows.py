"""The clinic's own rule rows: loaded with a difference, edits kept, and judged as the files are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from pain_clinic.accounts.actors import Actor
from procedures import rulerows, tables
from procedures.cases import judged
from procedures.models import RuleRow
from procedures.tables import reports
from tests import factories, written_cases

BY = Actor.system("tests")
Altered = Callable[[str, Callable[[dict[str, Any]], None]], Path]


def load(folder: Path = tables.DATA) -> reports.RuleReport:
    return tables.load(by=BY, at=factories.NOW, folder=folder).rules


def rule(row_id: str) -> RuleRow:
    return RuleRow.objects.get(section__in=("rules", "drugs", "minimum_hours", "escort"), row_id=row_id)


@pytest.fixture
def altered(tmp_path: Path) -> Altered:
    """Return a function that gives a copy of the tables with one file changed."""

    def make(name: str, change: Callable[[dict[str, Any]], None]) -> Path:
        shutil.copytree(tables.DATA, tmp_path / "tables", dirs_exist_ok=True)
        path = tmp_path / "tables" / f"{name}.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return tmp_path / "tables"

    return make


def row_of(content: dict[str, Any], row_id: str) -> dict[str, Any]:
    return next(row for row in content["rules"] if row["id"] == row_id)


def test_load_fills_the_rule_rows_and_a_second_load_changes_nothing() -> None:
    first = load()
    assert (len(first.added), first.changed, first.kept, first.missing) == (first.row_count, [], [], [])
    assert RuleRow.objects.filter(table="payer_rules", section="rules").count() == 84
    row = rule("mcr_tpi_cap")
    assert (row.severity, row.is_enabled, str(row.effective_from), row.version) == ("deny", True, "2024-04-01", 1)
    assert row.data["params"]["max_sessions"] == 3
    assert "severity" not in row.data
    second = load()
    assert (second.added, second.changed, second.kept, second.missing) == ([], [], [], [])
    assert second.lines() == []


def test_clinic_rows_judge_every_written_case_as_the_files_do() -> None:
    load()
    clinic, files = tables.clinic_book(), tables.book_of_files()
    for file in written_cases.FILES:
        for case in written_cases.all_cases(files, file):
            assert judged(case, clinic) == judged(case, files), case.id


def test_edits_of_the_clinic_are_kept_and_others_follow_the_table(altered: Altered) -> None:
    load()
    row = rule("mcr_esi_cap")
    row.severity = "warn"
    row.data = row.data | {"params": row.data["params"] | {"max_sessions": 5}}
    row.save()
    off = rule("mcr_prp")
    off.is_enabled = False
    off.save()

    def change(content: dict[str, Any]) -> None:
        row_of(content, "mcr_esi_cap").update(severity="info", notes="Seen again.")
        row_of(content, "mcr_prp")["severity"] = "info"
        row_of(content, "mcr_tpi_cap").pop("effective_from")

    report = load(altered("payer_rules", change))
    assert {(it.code.split()[-1], it.name) for it in report.kept} == {
        ("mcr_esi_cap", "severity"),
        ("mcr_esi_cap", "params.max_sessions"),
        ("mcr_prp", "enabled_by_default"),
    }
    assert {(it.code.split()[-1], it.name) for it in report.changed} == {
        ("mcr_esi_cap", "notes"),
        ("mcr_prp", "severity"),
        ("mcr_tpi_cap", "effective_from"),
    }
    assert [line.split(":")[0] for line in report.lines()].count("kept     rule payer_rules rules mcr_esi_cap") == 2
    row.refresh_from_db()
    assert (row.severity, row.data["params"]["max_sessions"], row.data["notes"], row.version) == ("warn", 5, "Seen again.", 2)
    off.refresh_from_db()
    assert (off.severity, off.is_enabled) == ("info", False)
    assert rule("mcr_tpi_cap").effective_from is None
    assert tables.written_as(off)["enabled_by_default"] is False


def test_row_that_left_the_tables_still_counts_and_is_named(altered: Altered) -> None:
    load()
    report = load(altered("payer_rules", lambda content: content["rules"].remove(row_of(content, "mcr_prp"))))
    assert report.missing == ["payer_rules rules mcr_prp"]
    assert "mcr_prp" in tables.clinic_book().rule_ids


def test_new_row_is_added_and_every_version_is_in_the_history(altered: Altered) -> None:
    load()

    def change(content: dict[str, Any]) -> None:
        content["rules"].append({**row_of(content, "mcr_prp"), "id": "mcr_prp_2", "effective_from": "2028-01-01"})
        row_of(content, "mcr_prp")["effective_to"] = "2027-12-31"

    report = load(altered("payer_rules", change))
    assert (report.added, [it.name for it in report.changed]) == (["payer_rules rules mcr_prp_2"], ["effective_to"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procedures_rulerowevent WHERE row_id = 'mcr_prp'")
        assert cursor.fetchone() == (2,)


def test_malformed_rule_row_loads_nothing(altered: Altered) -> None:
    def change(content: dict[str, Any]) -> None:
        row_of(content, "mcr_esi_cap")["params"]["window"] = {"kind": "sometimes"}
        row_of(content, "mcr_prp")["severity"] = "maybe"

    with pytest.raises(tables.MalformedTables) as refusal:
        load(altered("payer_rules", change))
    assert [str(problem) for problem in refusal.value.problems] == [
        "payer_rules.yaml: row mcr_esi_cap: field params.window: expected a window of kind rolling, anchored_year, "
        "calendar_year, episode, lifetime",
        "payer_rules.yaml: row mcr_prp: field severity: expected one of deny, warn, info",
    ]
    assert not RuleRow.objects.exists()


def test_clinic_edit_that_cannot_be_used_is_named() -> None:
    load()
    row = rule("mcr_esi_cap")
    row.data = row.data | {"params": {}}
    row.save()
    with pytest.raises(tables.MalformedTables, match="mcr_esi_cap"):
        tables.clinic_book()


def test_rule_row_cannot_end_before_it_begins() -> None:
    load()
    row = rule("mcr_tpi_cap")
    row.effective_to = row.effective_from.replace(year=2023)  # type: ignore[union-attr]
    with pytest.raises(IntegrityError, match="rule_row_begins_before_it_ends"), transaction.atomic():
        row.save()
    assert str(rule("mcr_tpi_cap")) == "payer_rules mcr_tpi_cap"


def assess(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("assess", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


EXAMPLES = str(written_cases.FOLDER / "examples.yaml")


def test_assess_without_tables_asks_the_clinics_own_rows(clinic: factories.SmallClinic) -> None:
    load()
    row = rule("mcr_facet_kx")
    row.is_enabled = False
    row.save()
    code, out, err = assess(EXAMPLES)
    assert (code, err) == (0, "")
    assert "mcr_facet_kx" not in out
    code, out, err = assess(EXAMPLES, "--tables", str(tables.DATA))
    assert (code, err) == (0, "")
    assert "mcr_facet_kx" in out
    assert [result["id"] for result in json.loads(out)["results"]][:2] == ["epidural-yearly-cap", "epidural-relief-lost-early"]


def test_assess_before_anything_is_loaded_says_which_tables_it_takes() -> None:
    code, out, err = assess(EXAMPLES)
    assert (code, len(json.loads(out)["results"])) == (0, 24)
    assert err == (
        "The clinic has no rule tables yet: run manage.py load_clinical_tables. "
        "Judged by the tables that come with the program.\n"
    )


def test_assess_names_what_is_malformed_and_prints_no_json(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("format: 1\ncases: [{id: a, as_of: 2027-03-01, request: {date: 2027-03-02, procedure: leeches}}]\n")
    code, out, err = assess(str(file), "--tables", str(tables.DATA))
    assert (code, out) == (2, "")
    assert err == (
        "wrong.yaml: case a: field request.procedure: expected the id of a procedure of the catalogue, not 'leeches'\n"
    )
    assert assess(str(file), "--tables", str(tmp_path))[0] == 2
    assert assess(str(tmp_path / "missing.yaml"), "--tables", str(tables.DATA)) == (
        2, "", "missing.yaml: case -: field -: expected a file that can be read\n",
    )  # fmt: skip


def test_what_nobody_sees_of_a_row_is_no_change_of_its_history() -> None:
    load()
    row = rule("mcr_tpi_cap")
    row.position += 1
    row.save(update_fields=["position"])
    assert [(one.version, one.by, one.changes) for one in rulerows.versions(row)] == [(1, "the tables", ())]
    row.severity = "warn"
    row.save(update_fields=["severity"])
    assert [len(one.changes) for one in rulerows.versions(row)] == [1, 0]


def test_a_row_that_only_moved_down_the_table_keeps_its_version(altered: Altered) -> None:
    load()
    report = load(altered("payer_rules", lambda content: content["rules"].insert(0, content["rules"].pop())))
    assert (report.changed, report.kept) == ([], [])
    assert set(RuleRow.objects.values_list("version", flat=True)) == {1}
    first = RuleRow.objects.filter(table="payer_rules", section="rules").in_order()[0]
    assert first.row_id == tables.read(only=("payer_rules",))["payer_rules"].content["rules"][-1]["id"]


def test_figures_of_one_row_are_kept_and_taken_over_one_by_one(altered: Altered) -> None:
    load()
    row = rule("mcr_esi_cap")
    row.data = row.data | {"params": row.data["params"] | {"max_sessions": 5}}
    row.save()

    def change(content: dict[str, Any]) -> None:
        row_of(content, "mcr_esi_cap")["params"].update(max_sessions=6, window={"kind": "rolling", "months": 18})

    report = load(altered("payer_rules", change))
    assert [str(it) for it in report.changed] == ["payer_rules rules mcr_esi_cap: params.window.months: 12 -> 18"]
    assert report.lines()[-1].endswith("params.max_sessions: clinic has 5, table says 6")
    row.refresh_from_db()
    assert (row.data["params"]["max_sessions"], row.data["params"]["window"]["months"]) == (5, 18)
    assert rulerows.edits(row) == [("max sessions", "5", "6")]
