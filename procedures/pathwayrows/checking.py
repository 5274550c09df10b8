"""What makes a pathway unusable: said at the field where it is, before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from procedures.models import ClinicPathway, Procedure
from procedures.pathwayrows.words import SPANS, UnusablePathway, length, span_told, ways_of
from procedures.pathways import faults_of
from procedures.pathways.compiling import shape_faults_of
from procedures.pathways.walkable import problems_of
from procedures.tables.courses import shipped_pathways


def check(row: ClinicPathway) -> None:
    """Refuse a row that no course could follow.

    Raises:
        UnusablePathway: the first thing that is wrong, and at which field.
    """
    must_be_rows(row.data)
    families = set(Procedure.objects.values_list("family", flat=True))
    _check_pairs(row)
    for problem in problems_of(row.data, table=row.table_values, families=families):
        raise UnusablePathway(problem.told, problem.field)
    faults = faults_of([row.data])
    if faults:
        raise UnusablePathway(f"{faults[0].field}: expected {faults[0].expected}.", faults[0].field)
    for name, step, way in ways_of(row.data):
        told = [(kind, way[kind]) for kind in SPANS if kind in way]
        for (first, before), (second, after) in pairwise(told):
            if length(after) < length(before):
                raise UnusablePathway(f"{way['why']}: {second} comes before {first}.", f"{name}.{second}")
        if step.get("pairs_with") == way["to"]:
            _check_pair(row, name, step, way)
        if step["then"] and all(one.get("is_off") for one in step["then"]):
            raise UnusablePathway(f"Leave at least one way on after {step['name']}.", f"{name}.off")


def must_be_rows(data: Mapping[str, Any]) -> None:
    """Refuse what has not even the shape of a row of steps.

    Raises:
        UnusablePathway: with what was expected.
    """
    faults = shape_faults_of([data])
    if faults:
        raise UnusablePathway(f"{faults[0].field}: expected {faults[0].expected}.", faults[0].field)


def _check_pairs(row: ClinicPathway) -> None:
    """Keep what is booked together as the tables have it: which steps those are is no clinic's choice."""
    of_table = {step["id"]: step["pairs_with"] for step in row.table_values.get("steps", ()) if "pairs_with" in step}
    paired = {family for one in shipped_pathways().values() for step in one.steps if step.pairs_with for family in step.families}
    for step in row.data["steps"]:
        held = step.get("pairs_with", "")
        ways = {place: way for place, way in enumerate(step["then"]) if held and way["to"] == held}
        off = next((place for place, way in ways.items() if way.get("is_off")), None)
        if held != of_table.get(step["id"], "") or (held and not ways) or off is not None:
            field = f"{step['id']}.name" if off is None else f"{step['id']}.{off}.off"
            raise UnusablePathway("What is booked together stays together.", field)
        if not held and paired & set(step["families"]):
            raise UnusablePathway(
                f"{step['name']} could not be booked without its second part, and only the tables say what that is.",
                f"{step['id']}.family_0",
            )


def _check_pair(row: ClinicPathway, name: str, step: Mapping[str, Any], way: Mapping[str, Any]) -> None:
    """Refuse to part what is booked together further than the table has it: the body sets these days, not the clinic."""
    same = (one for _, held, one in ways_of(row.table_values) if held["id"] == step["id"] and one["to"] == way["to"])
    table = next(same, way)
    for kind, is_wider in (
        ("earliest", length(way.get("earliest", {})) < length(table["earliest"])),
        ("latest", length(way.get("latest", {"years": 99})) > length(table["latest"])),
    ):
        if is_wider:
            bounds = f"{span_told(table['earliest'])} to {span_told(table['latest'])}"
            raise UnusablePathway(f"{way['why']}: only within {bounds}.", f"{name}.{kind}")
