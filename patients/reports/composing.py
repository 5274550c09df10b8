"""From counts to what may be shown: small groups out, estimates in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

from patients import estimates
from patients.hiding import LEAST, hide, is_small
from patients.reports.reading import Cell, Read, Values
from patients.reports.shapes import EDGES, MEASURES, Figures

Key = TypeVar("Key", bound=Hashable)
Rings = Mapping[Key, Sequence[Mapping[str, int]]]  # counts by measure, for each ring of the windows


@dataclass(slots=True)
class Hidden:
    """What may not be shown, by measure: procedures, groups, cells of both, and measures as a whole."""

    procedures: dict[str, frozenset[int]] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    cells: dict[str, frozenset[Cell]] = field(default_factory=dict)
    measures: set[str] = field(default_factory=set)


def hidden(read: Read, years: int) -> Hidden:
    """Return what may not be shown of a window: too small by itself, or what would give something small away."""
    ring = EDGES.index(years)
    rows = _summed(read.cells, lambda cell: cell[0])
    columns = _summed(read.cells, lambda cell: cell[1])
    over_all = _summed(read.cells, lambda _: "")
    out = Hidden()
    few_procedures = {key for key in rows if read.people_of_procedure.get(key, 0) < LEAST}
    few_groups = {key for key in columns if read.people_of_group.get(key, 0) < LEAST}
    few_cells = {key for key in read.cells if read.people.get(key, 0) < LEAST}
    is_few = read.people_of_all < LEAST
    for measure in MEASURES:
        # What is hidden as a group is hidden in every measure.
        few_procedures |= out.procedures.get("sessions", frozenset())
        few_groups |= out.groups.get("sessions", frozenset())
        few_cells |= out.cells.get("sessions", frozenset())
        if is_few or any(is_small(each) for each in _nested(over_all, measure, ring).values()):
            out.measures.add(measure)
        drawn = measure not in out.measures
        sizes, nested = _sizes(rows, measure, ring), _nested(rows, measure, ring)
        out.procedures[measure] = hide(sizes, [list(rows)] if drawn else [], few_procedures | _small(nested))
        sizes_of_groups, nested_of_groups = _sizes(columns, measure, ring), _nested(columns, measure, ring)
        out.groups[measure] = hide(sizes_of_groups, [list(columns)] if drawn else [], few_groups | _small(nested_of_groups))
        out.cells[measure] = _cells(read, out, measure, ring, few_cells)
    return out


def _cells(read: Read, out: Hidden, measure: str, ring: int, few: set[Cell]) -> frozenset[Cell]:
    """Hide cells so that neither their row nor their column, where its sum is shown, gives one away."""
    rows: dict[int, list[Cell]] = defaultdict(list)
    columns: dict[str, list[Cell]] = defaultdict(list)
    gone = set(few)
    for procedure, group in read.cells:
        cell = (procedure, group)
        if procedure in out.procedures[measure] or group in out.groups[measure]:
            gone.add(cell)
        if procedure not in out.procedures[measure]:
            rows[procedure].append(cell)
        if group not in out.groups[measure]:
            columns[group].append(cell)
    lines = [*rows.values(), *columns.values()]
    return hide(_sizes(read.cells, measure, ring), lines, gone | _small(_nested(read.cells, measure, ring)))


def figures(values: Values, people: int, unseen: Iterable[str]) -> Figures:
    """Return the estimates of one group but for the measures that may not be seen."""
    counts, sums, without = values.counts, values.sums, set(unseen)
    known = counts["relief"]

    def seen(measure: str) -> bool:
        return measure not in without

    return Figures(
        sessions=counts["sessions"],
        people=people,
        missing=estimates.share(counts["sessions"] - known, counts["sessions"]),
        half=estimates.share(values.half, known) if seen("relief") else None,
        most=estimates.share(values.most, known) if seen("relief") else None,
        duration=estimates.lasting(values.ended, values.censored) if seen("duration") else None,
        pain=estimates.mean(counts["pain"], sums[0], sums[1]) if seen("pain") else None,
        peg=estimates.mean(counts["peg"], sums[2], sums[3]) if seen("peg") else None,
        opioids=estimates.mean(counts["opioids"], sums[4], sums[5]) if seen("opioids") else None,
        repeat=estimates.median(values.gaps) if seen("repeat") else None,
        complications=estimates.share(values.harmed, counts["sessions"]),
    )


def _summed(cells: Rings[Cell], key: Callable[[Cell], Key]) -> dict[Key, list[dict[str, int]]]:
    found: dict[Key, list[dict[str, int]]] = {}
    for cell, rings in cells.items():
        into = found.setdefault(key(cell), [dict.fromkeys(MEASURES, 0) for _ in EDGES])
        for total, one in zip(into, rings, strict=True):
            for measure in MEASURES:
                total[measure] += one[measure]
    return found


def _nested(rings: Rings[Key], measure: str, ring: int) -> dict[Key, list[int]]:
    """Return the counts of each window up to this one, shortest first."""
    return {key: list(accumulate(one[measure] for one in each[: ring + 1])) for key, each in rings.items()}


def _sizes(rings: Rings[Key], measure: str, ring: int) -> dict[Key, int]:
    return {key: each[-1] for key, each in _nested(rings, measure, ring).items()}


def _small(nested: Mapping[Key, Sequence[int]]) -> set[Key]:
    return {key for key, each in nested.items() if is_small(each)}
