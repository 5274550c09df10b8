"""The catalogue loaded from the tables: what is new, what the clinic keeps, and what the command prints."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pain_clinic.audit.models import AuditEvent
from procedures import catalogue
from procedures.models import ClinicalTable, Procedure, ProcedureNeed
from tests import factories
from tests.database.procedures.tables.altering import PLAIN, Folder, amend, drop, load, row_of, set_in


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
