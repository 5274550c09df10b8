"""The pathways that courses follow: the product's own file of steps, and the clinic's rows that were loaded from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from procedures import yaml_files
from procedures.models import ClinicPathway
from procedures.pathways import Pathway, faults_of, pathways_of
from procedures.tables.files import DATA, MalformedTables, Problem, Table
from procedures.tables.reports import Change, RuleReport

FILE = "pathway_steps.yaml"
STEPS = DATA / FILE
LOADED = "From the table."
ORDER = "order"  # of the steps of a row, and of the ways of a step: no field of theirs is called so
Row: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[str, ...]


@cache
def shipped_pathways() -> Mapping[str, Pathway]:
    """Return the pathways as shipped, by id."""
    names = {row["id"]: row["name"] for row in yaml_files.read(DATA / "pathways.yaml")[0]["pathways"]}
    return pathways_of(yaml_files.read(STEPS)[0]["pathways"], names=names)


def rows_of(folder: Path, families: frozenset[str]) -> list[dict[str, Any]]:
    """Return the rows of steps of a folder, or our own where it brings none: new clinical tables come without them.

    Raises:
        MalformedTables: with everything that is wrong.
    """
    path = folder / FILE
    rows = yaml_files.read(path if path.exists() else STEPS)[0].get("pathways") or []
    faults = faults_of(rows, families)
    if faults:
        raise MalformedTables([Problem(FILE, fault.row, fault.field, fault.expected) for fault in faults])
    return list(rows)


def load_pathways(read: Table, folder: Path, families: frozenset[str], report: RuleReport, at: datetime) -> None:
    """Bring the clinic's pathways up to the tables inside the caller's transaction; the clinic's edits stay.

    Raises:
        MalformedTables: the rows of steps cannot be used.
    """
    told = {row["id"]: row for row in read.content["pathways"]}
    kept = {row.code: row for row in ClinicPathway.objects.select_for_update(no_key=True).order_by("pk")}
    for position, values in enumerate(rows_of(folder, families), start=1):
        report.row_count += 1
        about = told.get(values["id"], {})
        row = kept.pop(values["id"], None)
        words = {
            "name": values.get("name", about.get("name", values["id"])), "notes": about.get("notes", ""),
            "source": about.get("source", []), "verified": about.get("verified"), "position": position,
        }  # fmt: skip
        if row is None:
            ClinicPathway.objects.create(
                code=values["id"], data=values, table_values=values, changed_at=at, reason=LOADED, **words
            )
            report.added.append(values["id"])
        else:
            _merge(row, values, words, families, report, at)
    report.missing.extend(sorted(kept))


def _merge(
    row: ClinicPathway,
    values: dict[str, Any],
    words: dict[str, Any],
    families: frozenset[str],
    report: RuleReport,
    at: datetime,
) -> None:
    """Take over what the clinic left alone, leaf by leaf: compare as last loaded, as the clinic has it, and as it is now."""
    loaded, current, new = leaves(row.table_values), leaves(row.data), leaves(values)
    wanted: dict[Place, Any] = {}
    changed: list[Change] = []
    held: list[Change] = []
    for place in dict.fromkeys((*new, *current)):
        here, there = current.get(place), new.get(place)
        change = Change(row.code, " ".join(place), here, there)
        if here != there:
            (held if here != loaded.get(place) else changed).append(change)
        kept = here if here == there or here != loaded.get(place) else there
        if kept is not None:
            wanted[place] = kept
    data = row_of(wanted)
    if faults_of([data], families):
        # The clinic's edits do not go together with the newer row: the clinic's whole row stays.
        data, held, changed = row.data, [*held, *changed], []
    report.changed.extend(changed)
    report.kept.extend(held)
    told = [name for name, value in words.items() if getattr(row, name) != value]
    if row.table_values == values and not told:
        return
    for name in told:
        setattr(row, name, words[name])
    row.table_values = values
    if row.data != data:
        row.data, row.changed_by_id, row.changed_at, row.reason = data, None, at, "A newer table."
        row.version += 1
    row.save()


def leaves(row: Row) -> dict[Place, Any]:
    """Return everything that a row of steps says, by where it stands; an interval and a gate are one thing each.

    The order of its steps, and of the ways of a step, is a thing of its own: what is first counts first.
    """
    return dict(_leaves(row))


def _leaves(row: Row) -> Iterator[tuple[Place, Any]]:
    for name, value in row.items():
        if name != "steps":
            yield (name,), value
    if row.get("steps"):
        yield (ORDER,), [step["id"] for step in row["steps"]]
    for step in row.get("steps", ()):
        start: Place = ("steps", step["id"])
        for name, value in step.items():
            if name not in ("then", "begins"):
                yield (*start, name), value
        yield from _gates((*start, "begins"), step.get("begins", {}).get("gates", ()))
        names = _way_names(step)
        if len(names) > 1:
            yield (*start, ORDER), names
        for called, way in zip(names, step["then"], strict=True):
            here: Place = (*start, "then", called)
            for name, value in way.items():
                if name != "gates":
                    yield (*here, name), value
            yield from _gates(here, way["gates"])


def _way_names(step: Row) -> list[str]:
    """Return what the ways of a step are called: where each leads, and the how many-th it is that leads there."""
    seen: dict[str, int] = {}
    found = []
    for way in step["then"]:
        seen[way["to"]] = seen.get(way["to"], 0) + 1
        found.append(f"{way['to']} {seen[way['to']]}")
    return found


def _gates(start: Place, gates: Any) -> Iterator[tuple[Place, Any]]:
    seen: dict[str, int] = {}
    for gate in gates:
        seen[gate["kind"]] = seen.get(gate["kind"], 0) + 1
        yield (*start, "gates", f"{gate['kind']} {seen[gate['kind']]}"), gate


def row_of(told: Mapping[Place, Any]) -> dict[str, Any]:
    """Return the row that says all of this: what `leaves` takes apart, put together.

    What an order does not name, as a newer table brought it, stands at the end.
    """
    row: dict[str, Any] = {}
    steps: dict[str, dict[str, Any]] = {}
    ways: dict[str, dict[str, dict[str, Any]]] = {}
    orders: dict[str, Sequence[str]] = {}
    for place, value in told.items():
        if place[-1] == ORDER and len(place) in (1, 3):
            orders[place[1] if len(place) == 3 else ORDER] = value
            continue
        if place[0] != "steps":
            row[place[0]] = value
            continue
        step = steps.setdefault(place[1], {"then": []})
        if len(place) == 3:
            step[place[2]] = value
        elif place[2] == "begins":
            step.setdefault("begins", {"gates": []})["gates"].append(value)
        else:
            way = ways.setdefault(place[1], {}).setdefault(place[3], {"gates": []})
            if place[4] == "gates":
                way["gates"].append(value)
            else:
                way[place[4]] = value
    for name, held in ways.items():
        steps[name]["then"] = [held[one] for one in _ordered(held, orders.get(name, ()))]
    return {**row, "steps": [steps[one] for one in _ordered(steps, orders.get(ORDER, ()))]}


def _ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    listed = list(names)
    return sorted(listed, key=lambda name: (order.index(name) if name in order else len(order), listed.index(name)))
