"""The clinic's pathways: loaded from the tables, changed in versions by a physician, kept over a newer table."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from procedures import pathwaybook, pathwayrows, tables, yaml_files
from procedures.models import ClinicPathway
from procedures.pathwayrows import Wish
from procedures.tables.courses import STEPS, leaves, row_of, shipped_pathways
from procedures.tables.files import DATA
from tests import factories
from tests.factories import NOW
from tests.loaded import load_tables

ROWS: list[dict[str, Any]] = yaml_files.read(STEPS)[0]["pathways"]
FACET, TPI = "facet_dual_block_to_rfa", "tpi_series"


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    load_tables()


@pytest.fixture
def doctor() -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(factories.site(),)))


def row(code: str = TPI) -> ClinicPathway:
    return ClinicPathway.objects.get(code=code)


def wish_of(code: str = TPI, **changes: Any) -> Wish:
    """Return the wish that changes nothing, with what is to be otherwise."""
    held = row(code)
    limit = held.data.get("limit")
    wish = Wish(
        is_enabled=held.is_enabled, staging=held.data.get("staging"),
        limit=None if limit is None else {name: limit[name] for name in ("most", "months", "per")},
    )  # fmt: skip
    return replace(wish, **changes)


def change(doctor: Actor, code: str = TPI, **changes: Any) -> ClinicPathway:
    held = row(code)
    return pathwayrows.change(
        row=held, wish=wish_of(code, **changes), reason="Our own experience", version=held.version, by=doctor, at=NOW
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the shipped tables, to be changed."""
    for path in DATA.glob("*.yaml"):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def rewrite(folder: Path, rows: list[Mapping[str, Any]]) -> None:
    (folder / STEPS.name).write_text(yaml.safe_dump({"meta": {"title": "t", "version": 2}, "pathways": rows}))


def newer(code: str, **changes: Any) -> list[Mapping[str, Any]]:
    """Return the rows with one way of one pathway changed: its first."""
    told = [dict(yaml.safe_load(yaml.safe_dump(one))) for one in ROWS]
    way = next(one for one in told if one["id"] == code)["steps"][0]["then"][0]
    way.update(changes)
    return list(told)


# --- what is loaded --------------------------------------------------------------------------------------------------


def test_a_row_taken_apart_and_put_together_is_the_same() -> None:
    assert [row_of(leaves(one)) for one in ROWS] == ROWS


def test_every_pathway_is_loaded_with_its_source_and_is_what_was_shipped() -> None:
    assert {one.code for one in ClinicPathway.objects.in_order()} == {one["id"] for one in ROWS}
    assert pathwaybook.pathways() == shipped_pathways()
    esi = row("esi_as_needed")
    assert (esi.name, esi.verified, esi.version, esi.reason) == ("Epidural steroid, one at a time", True, 1, "From the table.")
    assert "series of three" in esi.notes
    assert esi.source


def test_before_any_table_was_loaded_the_shipped_ones_hold() -> None:
    ClinicPathway.objects.all().delete()
    assert pathwaybook.pathways() == shipped_pathways()


def test_loading_again_changes_nothing() -> None:
    report = tables.load(by=Actor.system("tests"), at=NOW)
    assert (report.pathways.added, report.pathways.changed, report.pathways.kept) == ([], [], [])
    assert {one.version for one in ClinicPathway.objects.all()} == {1}


# --- a physician changes them ----------------------------------------------------------------------------------------


def test_a_change_is_a_new_version_with_author_and_reason_and_is_in_force(doctor: Actor) -> None:
    gate = {"trigger_points.0.gates.0": {"pct": 40, "weeks": 8}}
    kept = change(
        doctor, spans={"trigger_points.0.earliest": {"weeks": 8}}, gates=gate, limit={"most": 4, "months": 12, "per": "patient"}
    )
    assert (kept.version, kept.changed_by_id, kept.reason) == (2, doctor.user_id, "Our own experience")
    way = pathwaybook.pathways()[TPI].steps[0].then[0]
    assert str(way.earliest) == "56 days"
    assert pathwaybook.pathways()[TPI].limit.most == 4  # type: ignore[union-attr]
    newest, first = pathwayrows.versions(kept)
    assert (newest.version, first.version, first.by, first.reason) == (2, 1, "the tables", "From the table.")
    assert ("Trigger points, then Trigger points, not before", "6 weeks", "8 weeks") in newest.changes
    assert ("limit", "3 in 12 months for one patient", "4 in 12 months for one patient") in newest.changes
    assert AuditEvent.objects.filter(act="procedures.change_pathway", subject_id=kept.public_id).count() == 1


def test_a_gate_is_switched_off_and_one_more_is_added(doctor: Actor) -> None:
    change(doctor, gates={"trigger_points.0.gates.0": {"is_off": True}}, more={"trigger_points.0": "review"})
    gates = pathwaybook.pathways()[TPI].steps[0].then[0].gates
    assert [type(gate).__name__ for gate in gates] == ["Review"]
    change(doctor, gates={"trigger_points.0.gates.0": {"is_off": False}})
    assert len(pathwaybook.pathways()[TPI].steps[0].then[0].gates) == 2


def test_a_way_and_a_whole_pathway_are_switched_off(doctor: Actor) -> None:
    change(doctor, "esi_as_needed", ways_off=frozenset({"epidural.1"}), is_enabled=False)
    found = pathwaybook.pathways()["esi_as_needed"]
    assert (len(found.steps[0].then), found.is_on) == (1, False)


def test_the_same_again_writes_nothing(doctor: Actor) -> None:
    assert change(doctor).version == 1


@pytest.mark.parametrize(
    ("code", "changes", "field"),
    [
        (FACET, {"spans": {"block_2.0.ideal": {"days": 0}}}, "block_2.0.ideal"),
        (FACET, {"spans": {"block_2.0.expires": {"days": 3}}}, "block_2.0.expires"),
        (FACET, {"staging": None}, "staging"),
        (TPI, {"ways_off": frozenset({"trigger_points.0"})}, "trigger_points.0.off"),
        (TPI, {"gates": {"trigger_points.0.gates.0": {"pct": 140}}}, "steps[1].then[1].gates[1].pct"),
        ("scs_trial_to_implant", {"spans": {"trial.0.latest": {"days": 8}}}, "trial.0.latest"),
        ("scs_trial_to_implant", {"spans": {"trial.0.earliest": {"days": 2}}}, "trial.0.earliest"),
        ("scs_trial_to_implant", {"ways_off": frozenset({"trial.0"})}, "trial.0.off"),
    ],
)
def test_what_no_course_could_follow_is_refused(doctor: Actor, code: str, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(pathwayrows.UnusablePathway) as refusal:
        change(doctor, code, **changes)
    assert refusal.value.details["field"] == field
    assert row(code).version == 1


def test_the_days_of_a_trial_may_be_narrowed(doctor: Actor) -> None:
    kept = change(doctor, "scs_trial_to_implant", spans={"trial.0.latest": {"days": 6}})
    assert kept.version == 2


def test_who_may_not_gives_no_reason_or_comes_late_changes_nothing(doctor: Actor) -> None:
    held, wish = row(), wish_of(limit=None)
    nurse = Actor.of_user(factories.user(role="nurse", sites=(factories.site(),)))
    with pytest.raises(pathwayrows.MayNotChange):
        pathwayrows.change(row=held, wish=wish, reason="r", version=1, by=nurse, at=NOW)
    with pytest.raises(pathwayrows.WhyMissing):
        pathwayrows.change(row=held, wish=wish, reason=" ", version=1, by=doctor, at=NOW)
    change(doctor, limit=None)
    with pytest.raises(pathwayrows.PathwayChanged):
        pathwayrows.change(row=held, wish=wish, reason="r", version=1, by=doctor, at=NOW)


@pytest.mark.parametrize(
    ("text", "span"),
    [("14 days", {"days": 14}), ("1 year, 2 Days", {"years": 1, "days": 2}), ("", None), ("6 weeks", {"weeks": 6})],
)
def test_intervals_are_read_as_people_write_them(text: str, span: dict[str, int] | None) -> None:
    assert pathwayrows.read_span(text) == span
    assert pathwayrows.read_span(pathwayrows.span_told(span)) == span


@pytest.mark.parametrize("text", ["soon", "14", "days 14", "-3 days", "3 days 4 days", "99999 days", "½ days"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number and a unit"):
        pathwayrows.read_span(text)


# --- in words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({"kind": "relief", "pct": 50, "months": 6, "or_function": True}, "at least 50 % better for 6 months or better function"),
        ({"kind": "relief", "pct": 80, "after": ["block_1", "block_2"]}, "at least 80 % better after block 1 and block 2"),
        ({"kind": "too_little", "pct": 50}, "less than 50 % better"),
        ({"kind": "changed", "of": ["approach", "level"]}, "another approach or level"),
        ({"kind": "longer", "pct": 30, "than": "block_1"}, "30 % relief lasts longer than after block 1"),
        ({"kind": "on_file", "what": "Psychological evaluation"}, "Psychological evaluation is on file"),
        ({"kind": "no_more_medicine", "after": "trial"}, "no more medicine than before trial"),
        ({"kind": "review", "of": "a series"}, "a physician has looked at a series"),
        ({"kind": "same_target"}, "the same levels and side"),
        ({"kind": "authorised"}, "the payer has authorised it"),
    ],
)
def test_every_kind_of_gate_is_told_in_words(gate: dict[str, Any], told: str) -> None:
    assert pathwayrows.gate_told(gate) == told


LAST_STOP = "A payer's limit that waiting does not lift, a physician's own limit, or a physician's word."


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "esi_as_needed",
            [
                "The relief that a way asks for is not reached (at least 50 % better) and no other way is open.",
                "The time for it has run out (again with something changed: 56 days).",
                "4 sessions in 12 months for one region, and none leaves that time.",
                LAST_STOP,
            ],
        ),
        (
            "scs_trial_to_implant",
            [
                "The relief that a way asks for is not reached (at least 50 % better after Stimulator trial) and no other way is"
                " open.",
                LAST_STOP,
            ],
        ),
    ],
)
def test_what_stops_a_course_is_told_as_far_as_the_pathway_has_it(code: str, told: list[str]) -> None:
    assert pathwayrows.stops_of(row(code)) == told


def test_a_pathway_that_asks_for_no_relief_is_not_said_to_stop_for_want_of_it() -> None:
    held = row()
    held.data["steps"][0]["then"][0]["gates"] = []
    assert pathwayrows.stops_of(held) == ["3 sessions in 12 months for one patient, and none leaves that time.", LAST_STOP]


def test_what_was_taken_away_added_and_switched_is_told_beside_the_tables_values() -> None:
    held = row(FACET)
    steps = {step["id"]: step for step in held.data["steps"]}
    del steps["block_2"]["then"][0]["expires"]
    steps["block_2"]["then"][0]["latest"] = {"weeks": 8}
    staged = next(step for step in steps.values() if "is_staged" in step)
    staged["is_staged"] = False
    steps["ablation"]["families"] = ["facet_rfa"]
    steps["ablation"]["name"] = "Ablation of the nerves"
    held.is_enabled = False
    assert {name: (here, there) for name, here, there in pathwayrows.edits(held)} == {
        "switched": ("off", "on"),
        "Block 2, then Ablation of the nerves, lapses after": ("none", "12 months"),
        "Block 2, then Ablation of the nerves, until": ("8 weeks", "none"),
        f"{staged['name']}, two sides on two dates": ("no", "yes"),
        "Ablation of the nerves, what is done": (
            "radiofrequency ablation of facet joint nerves",
            "radiofrequency ablation of facet joint nerves, cooled ablation of facet joint nerves",
        ),
        "Ablation of the nerves, name": ("Ablation of the nerves", "Ablation"),
    }


def test_a_newer_source_of_the_same_row_is_no_version_of_its_own(doctor: Actor) -> None:
    held = row()
    held.notes = "Said otherwise."
    held.save()
    change(doctor, spans={"trigger_points.0.earliest": {"weeks": 8}})
    assert [one.version for one in pathwayrows.versions(row())] == [2, 1]


# --- a newer table ---------------------------------------------------------------------------------------------------


def test_a_newer_table_is_taken_over_where_the_clinic_changed_nothing(folder: Path) -> None:
    rewrite(folder, newer(TPI, earliest={"weeks": 7}))
    dry = tables.load(by=Actor.system("tests"), at=NOW, folder=folder, is_dry_run=True)
    assert [str(line) for line in dry.pathways.lines()] == [
        "changed  pathway tpi_series: steps trigger_points then trigger_points 1 earliest: {'weeks': 6} -> {'weeks': 7}"
    ]
    assert row().version == 1
    tables.load(by=Actor.system("tests"), at=NOW + timedelta(days=1), folder=folder)
    kept = row()
    assert (kept.version, kept.reason, kept.changed_by) == (2, "A newer table.", None)
    assert str(pathwaybook.pathways()[TPI].steps[0].then[0].earliest) == "49 days"


def test_a_newer_table_keeps_what_the_clinic_changed_and_brings_the_rest(doctor: Actor, folder: Path) -> None:
    change(doctor, spans={"trigger_points.0.earliest": {"weeks": 8}})
    rewrite(folder, newer(TPI, earliest={"weeks": 7}, expires={"years": 1}))
    report = tables.load(by=Actor.system("tests"), at=NOW, folder=folder)
    kept = row()
    way = kept.data["steps"][0]["then"][0]
    assert (way["earliest"], way["expires"]) == ({"weeks": 8}, {"years": 1})
    assert [change.name for change in report.pathways.kept] == ["steps trigger_points then trigger_points 1 earliest"]
    assert [name for name, _, _ in pathwayrows.edits(kept)] == ["Trigger points, then Trigger points, not before"]


def test_edits_that_do_not_go_with_a_newer_row_keep_the_clinics_whole_row(doctor: Actor, folder: Path) -> None:
    change(doctor, "sympathetic_series", gates={"block_2.0.gates.1": {"pct": 40}})
    told = [one for one in newer(TPI) if one["id"] != "sympathetic_series"]
    other = next(dict(yaml.safe_load(yaml.safe_dump(one))) for one in ROWS if one["id"] == "sympathetic_series")
    other["steps"] = other["steps"][1:]  # its first block is gone, of which the clinic's gate speaks
    other["steps"][0]["then"][0]["gates"] = []
    other["steps"][1]["then"] = []
    rewrite(folder, [*told, other])
    tables.load(by=Actor.system("tests"), at=NOW, folder=folder)
    assert [step["id"] for step in row("sympathetic_series").data["steps"]] == ["block_1", "block_2", "block_3"]


def test_a_pathway_that_is_no_longer_in_the_table_is_said_and_stays(folder: Path) -> None:
    rewrite(folder, [one for one in ROWS if one["id"] != TPI])
    report = tables.load(by=Actor.system("tests"), at=NOW, folder=folder)
    assert report.pathways.missing == [TPI]
    assert row().is_enabled


def test_rows_that_cannot_be_used_load_nothing(folder: Path) -> None:
    rewrite(folder, newer(TPI, to="nowhere", earliest={"weeks": 9}))
    with pytest.raises(tables.MalformedTables) as refusal:
        tables.load(by=Actor.system("tests"), at=NOW, folder=folder)
    assert str(refusal.value.problems[0]).startswith("pathway_steps.yaml: row tpi_series")
    assert row().version == 1
