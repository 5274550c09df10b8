"""A pathway that no course could walk is told so at its field; what is shipped can be walked."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from procedures import yaml_files
from procedures.pathways.walkable import MOST_GATES, MOST_STEPS, MOST_WAYS, problems_of
from procedures.tables.courses import STEPS

ROWS: dict[str, dict[str, Any]] = {row["id"]: row for row in yaml_files.read(STEPS)[0]["pathways"]}
FACET, GENICULAR, SERIES, TRIAL = "facet_dual_block_to_rfa", "genicular_pathway", "sympathetic_series", "scs_trial_to_implant"
FAMILIES = {family for row in ROWS.values() for step in row["steps"] for family in step["families"]}


def said(row: dict[str, Any], code: str = FACET) -> list[tuple[str, str]]:
    return [(one.field, one.told) for one in problems_of(row, table=ROWS[code], families=FAMILIES)]


def fields(row: dict[str, Any], code: str = FACET) -> list[str]:
    return [field for field, _ in said(row, code)]


def changed(code: str = FACET) -> dict[str, Any]:
    return deepcopy(ROWS[code])


@pytest.mark.parametrize("code", ROWS)
def test_what_is_shipped_can_be_walked(code: str) -> None:
    assert said(ROWS[code], code) == []


def test_a_step_that_no_way_leads_to_is_refused_unless_the_table_has_it_so() -> None:
    row = changed()
    row["steps"].append({"id": "more", "name": "More", "families": ["esi"], "then": []})
    assert said(row) == [("more.name", "No way leads to More: add one that ends there, or take it away.")]
    row["steps"][2]["then"].append({"to": "more", "why": "then", "gates": []})
    assert said(row) == []
    row["steps"][2]["then"][2]["is_off"] = True
    assert fields(row) == ["more.name"]
    assert said(ROWS["older_asipp_frequency"], "older_asipp_frequency") == []  # its injection is begun with, or not at all


def test_names_ids_kinds_and_counts_have_their_bounds() -> None:
    row = changed()
    row["steps"][0]["name"], row["steps"][1]["name"] = " ", "ABLATION"
    assert fields(row) == ["block_1.name", "ablation.name"]
    row = changed()
    row["steps"][0]["families"] = ["esi", "no_such"]
    assert said(row) == [("block_1.family_0", "No procedure of the catalogue is of the kind no_such.")]
    row = changed(SERIES)
    row["steps"][2]["then"] = [{"to": "A.b", "why": "x", "gates": []}]
    row["steps"].append({"id": "A.b", "name": "Odd", "families": ["esi"], "then": []})
    assert fields(row, SERIES) == ["A.b.name"]


def test_steps_ways_and_gates_are_counted() -> None:
    row = changed("esi_as_needed")
    gate = {"kind": "authorised"}
    row["steps"][0]["then"] = [{"to": "epidural", "why": "x", "gates": [gate] * MOST_GATES} for _ in range(MOST_WAYS)]
    assert said(row, "esi_as_needed") == []
    row["steps"][0]["then"][0]["gates"] = [gate] * (MOST_GATES + 1)
    assert fields(row, "esi_as_needed") == ["epidural.0.more"]
    row["steps"][0]["then"].append({"to": "epidural", "why": "x", "gates": []})
    assert fields(row, "esi_as_needed") == ["epidural.to", "epidural.0.more"]
    row = changed("esi_as_needed")
    for number in range(MOST_STEPS):
        row["steps"].append({"id": f"s{number}", "name": f"S{number}", "families": ["esi"], "then": []})
        row["steps"][number]["then"] = [{"to": f"s{number}", "why": "x", "gates": []}]
    assert fields(row, "esi_as_needed") == ["new_name"]


def test_what_is_asked_before_a_course_begins_stands_at_the_first_step_and_asks_about_no_session() -> None:
    row = changed(TRIAL)
    row["steps"] = [row["steps"][2], row["steps"][0], row["steps"][1]]
    row["steps"][0]["then"] = [{"to": "trial", "why": "x", "gates": []}]
    assert fields(row, TRIAL) == ["trial.name"]
    row = changed(TRIAL)
    row["steps"][0]["begins"]["gates"].append({"kind": "relief", "pct": 50})
    assert fields(row, TRIAL) == ["trial.begins.gates.2.on"]


def test_a_way_says_what_it_is_for_leads_somewhere_and_takes_a_day() -> None:
    row = changed()
    row["steps"][0]["then"][0].update(why=" ", earliest={"days": 0})
    assert fields(row) == ["block_1.0.why", "block_1.0.earliest"]
    row["steps"][0]["then"][0].update(why="x", earliest={"days": 1})
    assert said(row) == []
    row["steps"][0]["then"].append({"to": "nowhere", "why": "x", "gates": []})
    assert fields(row) == ["block_1.1.why"]


def test_a_gate_asks_about_what_was_before() -> None:
    row = changed()
    row["steps"][0]["then"][0]["gates"][0]["after"] = ["block_1"]
    assert said(row) == []
    row["steps"][0]["then"][0]["gates"][0]["after"] = ["block_1", "gone"]
    assert said(row) == [("block_1.0.gates.0.after", "Gone does not come before this way: it would ask about nothing.")]
    row["steps"][0]["then"][0]["gates"][0]["is_off"] = True
    assert said(row) == []
    row = changed(GENICULAR)
    row["steps"][0]["then"][1]["gates"][0]["after"] = ["block_again"]  # nobody comes back from there
    assert fields(row, GENICULAR) == ["block.1.gates.0.after"]
    row = changed(TRIAL)
    row["steps"][0]["then"][0]["gates"] = [{"kind": "no_more_medicine", "after": "implant"}]
    assert fields(row, TRIAL) == ["trial.0.gates.0.after"]


def test_relief_is_compared_with_another_step_that_comes_before() -> None:
    row = changed(SERIES)
    row["steps"][1]["then"][0]["gates"][1]["than"] = "block_2"
    assert fields(row, SERIES) == ["block_2.0.gates.1.than"]
    row["steps"][1]["then"][0]["gates"][1]["than"] = "block_3"  # of the series before
    assert said(row, SERIES) == []


def test_a_gate_for_people_says_what_it_is_about() -> None:
    row = changed()
    row["steps"][0]["then"][0]["gates"] = [
        {"kind": "review", "of": " "}, {"kind": "on_file", "word": "w", "what": " "}, {"kind": "review", "of": "x"},
    ]  # fmt: skip
    assert fields(row) == ["block_1.0.gates.0.of", "block_1.0.gates.1.what"]


def test_gates_that_never_open_together_are_refused() -> None:
    row = changed()
    gates = row["steps"][0]["then"][0]["gates"]
    gates.append({"kind": "too_little", "pct": 80})
    assert said(row) == [("block_1.0.more", "No relief is both at least 80 % and less than 80 %.")]
    gates[-1]["pct"] = 81
    assert said(row) == []
    gates[-1]["pct"], gates[0]["or_function"] = 50, True
    assert said(row) == []


def test_a_way_does_not_lapse_before_relief_could_have_lasted() -> None:
    row = changed("tpi_series")
    way = row["steps"][0]["then"][0]
    way["expires"] = {"days": 41}
    assert fields(row, "tpi_series") == ["trigger_points.0.expires"]
    way["expires"] = {"days": 42}
    assert said(row, "tpi_series") == []
    way["expires"], way["gates"][0]["after"] = {"days": 41}, ["trigger_points"]
    assert fields(row, "tpi_series") == ["trigger_points.0.expires"]


def test_a_limit_counts_what_some_step_does() -> None:
    row = changed()
    row["steps"][2]["families"] = ["genicular_rfa"]
    assert fields(row) == ["counted"]
    del row["limit"]["families"]
    assert said(row) == []
