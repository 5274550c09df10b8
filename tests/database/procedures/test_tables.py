"""Loading the clinical tables: everything or nothing, once, and never over the clinic's own edits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from procedures import catalogue, tables
from procedures.models import ClinicalTable, Procedure, ProcedureNeed
from tests import factories

BY = Actor.system("tests", "procedures.change_catalogue")
Folder = Callable[..., Path]
PLAIN = "1 physician (procedure), 1 nurse (prep+recovery), 1 room (procedure+turnover), 1 bay (recovery)"


def load(folder: Path = tables.DATA, *, is_dry_run: bool = False, at: datetime = factories.NOW) -> tables.Report:
    return tables.load(by=BY, at=at, folder=folder, is_dry_run=is_dry_run)


def amend(code: str, *, needs: list[dict[str, Any]] | None = None, **changes: Any) -> None:
    row = Procedure.objects.get(code=code)
    catalogue.amend(procedure=row, changes=changes, needs=needs, version=row.version, by=BY, at=factories.NOW)


@pytest.fixture
def altered(tmp_path: Path) -> Folder:
    """Return a function that writes the tables with some rows of one file changed."""

    def write(change: Callable[[dict[str, Any]], None], name: str = "catalogue") -> Path:
        folder = tmp_path / "tables"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tables.DATA, folder)
        content = yaml.load((folder / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
        change(content)
        (folder / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
        return folder

    return write


def row_of(content: dict[str, Any], code: str) -> dict[str, Any]:
    return next(row for row in content["procedures"] if row["id"] == code)


def set_in(code: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        row_of(content, code).update(values)

    return change


def drop(code: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["procedures"] = [row for row in content["procedures"] if row["id"] != code]

    return change


def test_load_fills_the_catalogue_from_the_projects_own_copy() -> None:
    report = load()
    assert (len(report.added), report.changed, report.kept, report.missing) == (61, [], [], [])
    assert Procedure.objects.count() == 61
    assert Procedure.objects.offered().count() == 49
    assert set(Procedure.objects.filter(status="future").values_list("is_offered", flat=True)) == {False}
    assert not Procedure.objects.filter(needs__isnull=True).exists()
    row = Procedure.objects.get(code="esi_tf_lumbar")
    assert (row.short_name, row.position, row.cpt_primary, row.cpt_add_on) == ("TFESI lumbar", 7, ["64483"], ["64484"])
    assert (row.prep_minutes, row.room_minutes, row.recovery_minutes, row.turnover_minutes) == (15, 30, 30, 10)
    assert catalogue.needs_now(row) == [
        {"kind": "physician", "attribute": "", "count": 1, "legs": ["procedure"]},
        {"kind": "nurse", "attribute": "", "count": 1, "legs": ["prep", "recovery"]},
        {"kind": "room", "attribute": "", "count": 1, "legs": ["procedure", "turnover"]},
        {"kind": "bay", "attribute": "", "count": 1, "legs": ["recovery"]},
        {"kind": "c_arm", "attribute": "", "count": 1, "legs": ["procedure", "turnover"]},
    ]


def test_load_records_every_table_with_version_and_digest() -> None:
    load()
    found = ClinicalTable.objects.order_by("name").values_list("name", "version", "row_count", "loaded_at")
    assert list(found) == [
        ("antithrombotics", "0.1-draft", 52, factories.NOW),
        ("catalogue", "0.1-draft", 61, factories.NOW),
        ("fasting", "0.1-draft", 6, factories.NOW),
        ("outcomes", "0.1-draft", 12, factories.NOW),
        ("pathways", "0.1-draft", 10, factories.NOW),
        ("payer_rules", "0.1-draft", 84, factories.NOW),
        ("short_names", "1", 61, factories.NOW),
        ("steroids", "0.1-draft", 6, factories.NOW),
    ]
    assert {len(digest) for digest in ClinicalTable.objects.values_list("digest", flat=True)} == {64}


def test_every_procedure_has_a_short_name_of_ours() -> None:
    load()
    rows = Procedure.objects.values_list("short_name", flat=True)
    assert len(set(rows)) == 61
    assert (
        not Procedure.objects.filter(short_name__in=[name[:32] for name in Procedure.objects.values_list("name", flat=True)])
        .exclude(code__in=["epidural_blood_patch"])
        .exists()
    )


def test_load_again_changes_nothing() -> None:
    load()
    before = list(Procedure.objects.order_by("pk").values())
    needs = list(ProcedureNeed.objects.order_by("pk").values())
    report = load(at=factories.local(factories.TOMORROW, "9:00"))
    assert not report.did_something
    assert report.lines() == []
    assert list(Procedure.objects.order_by("pk").values()) == before
    assert list(ProcedureNeed.objects.order_by("pk").values()) == needs
    assert AuditEvent.objects.filter(act="procedures.load_tables").count() == 1


def test_load_is_audited_with_counts_only() -> None:
    load()
    event = AuditEvent.objects.get(act="procedures.load_tables")
    assert (event.actor_kind, event.details["added"], sorted(event.details)) == (
        "system", 61,
        ["added", "changed", "digests", "kept", "pathways_added", "pathways_changed", "rules_added", "rules_changed"],
    )  # fmt: skip


def test_new_value_replaces_what_the_clinic_left_alone(altered: Folder) -> None:
    load()
    report = load(altered(set_in("tpi", room_minutes=22, equipment=["small_needle", "ultrasound"])))
    assert [str(change) for change in report.changed] == [
        "tpi: room_minutes: 15 -> 25",
        "tpi: equipment: small_needle -> small_needle, ultrasound",
        f"tpi: needs: {PLAIN} -> {PLAIN}, 1 ultrasound (procedure+turnover)",
    ]
    row = Procedure.objects.get(code="tpi")
    assert (row.room_minutes, row.version, row.needs.count()) == (25, 2, 5)


def test_clinics_edit_is_kept_when_the_table_changes(altered: Folder) -> None:
    load()
    amend("tpi", room_minutes=40)
    folder = altered(set_in("tpi", room_minutes=20, recovery_minutes=20))
    report = load(folder)
    assert [str(change) for change in report.changed] == ["tpi: recovery_minutes: 10 -> 20"]
    assert [(kept.name, kept.old, kept.new) for kept in report.kept] == [("room_minutes", 40, 20)]
    assert "kept     tpi: room_minutes: clinic has 40, table says 20" in report.lines()
    row = Procedure.objects.get(code="tpi")
    assert (row.room_minutes, row.recovery_minutes) == (40, 20)
    again = load(folder)
    assert (again.changed, len(again.kept)) == ([], 1)


def test_edit_that_the_table_comes_to_agree_with_follows_the_table_again(altered: Folder) -> None:
    load()
    amend("tpi", room_minutes=20)
    assert load(altered(set_in("tpi", room_minutes=20))).kept == []
    report = load(altered(set_in("tpi", room_minutes=30)))
    assert [str(change) for change in report.changed] == ["tpi: room_minutes: 20 -> 30"]


def test_clinics_needs_are_kept_whole(altered: Folder) -> None:
    load()
    needs = [
        *catalogue.needs_now(Procedure.objects.get(code="tpi")),
        {"kind": "ultrasound", "attribute": "", "count": 1, "legs": ["procedure"]},
    ]
    amend("tpi", needs=needs)
    report = load(altered(set_in("tpi", equipment=["c_arm"])))
    assert [kept.name for kept in report.kept] == ["needs"]
    assert "ultrasound" in ProcedureNeed.objects.filter(procedure__code="tpi").values_list("kind", flat=True)


def test_procedure_that_was_switched_on_stays_on() -> None:
    load()
    amend("bvn_ablation", is_offered=True)
    report = load()
    assert [(kept.code, kept.name) for kept in report.kept] == [("bvn_ablation", "is_offered")]
    assert Procedure.objects.get(code="bvn_ablation").is_offered


def test_retired_procedure_is_not_offered_again(altered: Folder) -> None:
    load()
    amend("bvn_ablation", is_retired=True)
    load(altered(set_in("bvn_ablation", status="active")))
    row = Procedure.objects.get(code="bvn_ablation")
    assert (row.status, row.is_offered) == ("active", False)


def test_row_that_left_the_table_is_named_and_kept(altered: Folder) -> None:
    load()
    folder = altered(drop("prp"))
    report = load(folder)
    assert report.missing == ["prp"]
    assert "missing  prp: not in this table any more; kept, retire it on its page" in report.lines()
    amend("prp", is_retired=True)
    assert load(folder).missing == []


def test_new_row_without_short_name_takes_its_own(altered: Folder) -> None:
    def change(content: dict[str, Any]) -> None:
        content["procedures"].append({**row_of(content, "tpi"), "id": "dry_needling", "name": "Dry needling"})

    load()
    assert load(altered(change)).added == ["dry_needling"]
    assert Procedure.objects.get(code="dry_needling").short_name == "Dry needling"


def test_dry_run_tells_and_changes_nothing(altered: Folder) -> None:
    load()
    report = load(altered(set_in("tpi", room_minutes=30)), is_dry_run=True)
    assert [str(change) for change in report.changed] == ["tpi: room_minutes: 15 -> 30"]
    assert report.tables[0].startswith("catalogue 0.1-draft")
    assert Procedure.objects.get(code="tpi").room_minutes == 15
    assert AuditEvent.objects.filter(act="procedures.load_tables").count() == 1


def test_new_digest_is_recorded_in_row_history(altered: Folder) -> None:
    load()
    first = ClinicalTable.objects.get(name="catalogue").digest
    load(altered(lambda content: content["meta"].update(version="0.2")))
    row = ClinicalTable.objects.get(name="catalogue")
    assert (row.version, row.digest == first) == ("0.2", False)
    events = ClinicalTable.pgh_event_model.objects.filter(pgh_obj=row).order_by("pgh_id")
    assert [event.digest for event in events] == [first, row.digest]


# --- malformed files -------------------------------------------------------------------------------------------------


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


# --- the command -----------------------------------------------------------------------------------------------------


def run(*options: str) -> str:
    out = StringIO()
    call_command("load_clinical_tables", *options, stdout=out)
    return out.getvalue()


def test_command_prints_the_difference(altered: Folder) -> None:
    first = run()
    assert first.count("\n") == 11
    assert first.endswith("61 procedures in the table: 61 added, 0 fields changed, 0 clinic edits kept, 0 missing.\n")
    folder = altered(set_in("tpi", room_minutes=30))
    dry = run("--dry-run", "--from", str(folder))
    assert "changed  tpi: room_minutes: 15 -> 30\n" in dry
    assert dry.endswith(
        "Dry run, nothing changed. 61 procedures in the table: 0 added, 1 fields changed, 0 clinic edits kept, 0 missing.\n"
    )
    assert Procedure.objects.get(code="tpi").room_minutes == 15


def test_command_names_every_problem_and_fails(altered: Folder) -> None:
    folder, err = altered(set_in("tpi", driver="maybe")), StringIO()
    with pytest.raises(CommandError, match="Nothing was loaded: 1 problem"):
        call_command("load_clinical_tables", "--from", str(folder), stderr=err)
    assert err.getvalue().startswith("catalogue.yaml: row tpi: field driver: expected one of required")


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
