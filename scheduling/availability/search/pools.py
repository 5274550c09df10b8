"""When demands can be served: erosion per unit, Hall's condition per pool, one AND."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from scheduling.availability.bitmaps import at_least, erode
from scheduling.availability.words import Demand, Unit


def unit_starts(demand: Demand, unit: Unit) -> int:
    """Return the arrivals at which one unit is free for all runs of a demand."""
    arrivals = -1
    for offset, length in demand.runs_of(unit):
        arrivals &= erode(unit.free, length) >> offset
    return arrivals


Known = dict[tuple[int, ...], int]  # what one search has computed already: ids of demand objects -> arrivals


def joint(demands: Sequence[Demand], known: Known | None = None) -> int:
    """Return the arrivals at which all demands can be served together, by different units; -1 for no demands.

    Exact by Hall's theorem: demands can be served if and only if, for every set of demands that share candidates,
    at least as many units as they need could serve one of them. Demands without shared candidates need no sets.
    """
    arrivals = -1
    known = {} if known is None else known
    for group in sharing(demands):
        key = tuple(id(demand) for demand in group)
        if key not in known:
            known[key] = pool(group[0]) if len(group) == 1 else _hall(group)
        arrivals &= known[key]
        if not arrivals:
            break
    return arrivals


def pool(demand: Demand) -> int:
    """Return the arrivals at which enough candidates of one demand are free."""
    base = demand.runs[0][0] if demand.runs else 0
    if len(demand.runs) == 1 and demand.count == 1:  # the usual case: shift once for the whole pool
        arrivals = 0
        for unit in demand.candidates:
            runs = demand.runs_of(unit)
            bits = erode(unit.free, runs[0][1])
            if len(runs) > 1:
                bits &= unit_starts(demand, unit) << base
            arrivals |= bits
        return arrivals >> base
    return at_least(demand.count, [unit_starts(demand, unit) for unit in demand.candidates])


def sharing(demands: Sequence[Demand]) -> list[list[Demand]]:
    """Group the demands whose candidates overlap, directly or by way of others."""
    groups: list[tuple[set[int], list[Demand]]] = []
    for demand in demands:
        ids, members = {unit.id for unit in demand.candidates}, [demand]
        apart = []
        for known, others in groups:
            if known & ids:
                ids |= known
                members = others + members
            else:
                apart.append((known, others))
        groups = [*apart, (ids, members)]
    return [members for _, members in groups]


def _hall(group: Sequence[Demand]) -> int:
    starts = [{unit.id: unit_starts(demand, unit) for unit in demand.candidates} for demand in group]
    arrivals = -1
    for size in range(1, len(group) + 1):
        for chosen in combinations(range(len(group)), size):
            able: dict[int, int] = {}
            for i in chosen:
                for unit, bits in starts[i].items():
                    able[unit] = able.get(unit, 0) | bits
            arrivals &= at_least(sum(group[i].count for i in chosen), able.values())
    return arrivals
