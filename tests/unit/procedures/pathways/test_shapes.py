"""The file of steps: what it must look like, and that its figures are those of the rows that it reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from procedures import tables, yaml_files
from procedures.pathways import faults_of, pathways_of
from procedures.rules.shapes import MalformedRows
from procedures.tables.courses import STEPS
from procedures.tables.files import DATA

ROWS: list[dict[str, Any]] = yaml_files.read(STEPS)[0]["pathways"]
READ: dict[str, dict[str, Any]] = {row["id"]: row for row in yaml_files.read(DATA / "pathways.yaml")[0]["pathways"]}


def row(name: str) -> dict[str, Any]:
    return copy.deepcopy(next(row for row in ROWS if row["id"] == name))


def way(row: dict[str, Any], step: str, place: int = 0) -> dict[str, Any]:
    return next(one for one in row["steps"] if one["id"] == step)["then"][place]  # type: ignore[no-any-return]


def test_shipped_file_is_sound_and_speaks_of_families_of_the_catalogue() -> None:
    assert faults_of(ROWS, tables.book_of_files().families) == []
    assert {one["id"] for one in ROWS} <= set(READ)


def test_figures_are_those_of_the_rows_that_it_reads() -> None:
    esi, facet = READ["esi_as_needed"], READ["facet_dual_block_to_rfa"]
    assert way(row("esi_as_needed"), "epidural", 1)["earliest"] == esi["steps"][1]["earliest"]
    assert way(row("esi_as_needed"), "epidural")["earliest"] == esi["steps"][2]["earliest"]
    assert row("esi_as_needed")["limit"]["most"] == esi["max_per_region"]["count"]
    assert way(row("facet_dual_block_to_rfa"), "block_1")["earliest"] == facet["steps"][1]["earliest"]
    ablation = way(row("facet_dual_block_to_rfa"), "block_2")
    assert ablation["earliest"] == facet["steps"][2]["earliest"]
    assert ablation["expires"] == {"months": facet["steps"][2]["expires"]["months"]}
    assert row("facet_dual_block_to_rfa")["limit"]["most"] == facet["repeat"]["max"]["count"]
    assert way(row("facet_dual_block_to_rfa"), "ablation")["expires"] == {"years": facet["repeat"]["new_blocks_if_years_since"]}
    assert row("facet_dual_block_to_rfa")["staging"] == READ["rfa_contralateral"]["earliest"]
    assert way(row("sympathetic_series"), "block_1")["earliest"] == READ["sympathetic_series"]["earliest"]
    assert len(row("sympathetic_series")["steps"]) == READ["sympathetic_series"]["review_after"]
    trial = READ["scs_trial_to_implant"]
    pull = way(row("scs_trial_to_implant"), "trial")
    assert (pull["earliest"], pull["latest"]) == ({"days": trial["trial_days"]["min"]}, {"days": trial["trial_days"]["max"]})
    assert way(row("scs_trial_to_implant"), "lead_removal")["earliest"] == {"days": trial["earliest"]["days"]}


def _gate(change: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda one: way(one, "block_1")["gates"].append(change)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (lambda one: one.update(match="nearby"), "match", "one of region, site, procedure, family"),
        (lambda one: one.update(colour="red"), "colour", "no such field"),
        (lambda one: one.pop("steps"), "steps", "a value; the field is missing"),
        (lambda one: one.update(ours="prose"), "ours", "a list of texts"),
        (lambda one: one.update(staging={"hours": 3}), "staging", "whole numbers of days, weeks, months, years"),
        (lambda one: way(one, "block_1").update(earliest=14), "steps[1].then[1].earliest", "whole numbers of"),
        (lambda one: one["steps"][0].update(is_staged="yes"), "steps[1].is_staged", "true or false"),
        (lambda one: way(one, "block_1").update(to="nowhere"), "steps.block_1", "the id of a step, not nowhere"),
        (lambda one: one["steps"].append(one["steps"][0]), "steps", "steps with an id each of its own"),
        (lambda one: one["steps"][0].update(families=["voodoo"]), "steps.block_1.families", "a family of the catalogue"),
        (lambda one: one["steps"][0].update(pairs_with="ablation"), "steps.block_1.pairs_with", "a step that follows it"),
        (_gate({"kind": "magic"}), "steps[1].then[1].gates[3]", "a gate of kind relief"),
        (_gate({"kind": "relief"}), "steps[1].then[1].gates[3].pct", "a value; the field is missing"),
        (_gate({"kind": "longer", "pct": 30, "than": "never"}), "steps.block_1", "the id of a step, not never"),
        (_gate({"kind": "no_more_medicine", "after": "never"}), "steps.block_1", "the id of a step, not never"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said(change: Callable[[dict[str, Any]], None], field: str, expected: str) -> None:
    one = row("facet_dual_block_to_rfa")
    change(one)
    faults = faults_of([one], tables.book_of_files().families)
    assert [(fault.row, fault.field) for fault in faults] == [("facet_dual_block_to_rfa", field)]
    assert expected in faults[0].expected


def test_a_row_that_is_no_mapping_is_named_by_its_place_and_nothing_is_half_compiled() -> None:
    with pytest.raises(MalformedRows) as refusal:
        pathways_of([row("tpi_series"), "prose"])  # type: ignore[list-item]
    assert str(refusal.value.faults[0]) == "pathway_steps.yaml: row number 2: field -: expected a mapping of fields"


def test_a_pathway_may_have_a_name_of_its_own_and_else_takes_the_one_that_is_handed_in() -> None:
    one = row("tpi_series")
    assert pathways_of([one])["tpi_series"].name == "tpi_series"
    assert pathways_of([one], names={"tpi_series": "Trigger points"})["tpi_series"].name == "Trigger points"
    assert pathways_of([{**one, "name": "Ours"}], names={"tpi_series": "Trigger points"})["tpi_series"].name == "Ours"
