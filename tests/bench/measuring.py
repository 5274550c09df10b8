"""Interleaved measurement, lines of the table, and counts of a page's own statements."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection

NOT_THE_PAGES_OWN = (
    "savepoint",
    "django_session",
    "accounts_user",
    "auth_",
    "django_content_type",
    'insert into "audit_',
    "set_config",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `ratio` is ours over the bare reference's; `ok` is False for a target missed."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    target: str = ""
    queries: int | None = None
    ok: bool = True


def line(
    name: str, value: float, unit: str, reference: float | None = None, *, most: float | None = None,
    least: float | None = None, queries: int | None = None, most_queries: int | None = None, is_right: bool = True,
) -> Line:  # fmt: skip
    """Return a line judged by its ratio's bounds, its count of queries and whether the answer was right at all."""
    ratio = value / reference if reference else None
    target = f"<= {most:g}x" if most is not None else f">= {least:g}x" if least is not None else ""
    ok = is_right
    if ratio is not None:
        ok = ok and (most is None or ratio <= most) and (least is None or ratio >= least)
    if most_queries is not None:
        target = f"{target}, <= {most_queries} q".lstrip(", ")
        ok = ok and (queries or 0) <= most_queries
    return Line(name, value, unit, reference, ratio, target, queries, ok)


def milliseconds(act: Callable[[], object], times: int = 1) -> float:
    """Return how long one call takes, averaged over some calls."""
    begun = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - begun) * 1000 / times


def paired(ours: Callable[[], object], bare: Callable[[], object], *, rounds: int = 7, times: int = 1) -> tuple[float, float]:
    """Return the median milliseconds of both, measured in turns: A B A B."""
    ours(), bare()
    pairs = [(milliseconds(ours, times), milliseconds(bare, times)) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the statements run inside, less sign-in, permissions, savepoints and the audit insert."""
    found: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        text = str(sql).lower()
        is_own = 'from "patients_' in text or 'from "scheduling_' in text or not any(word in text for word in NOT_THE_PAGES_OWN)
        if is_own:
            found.append(str(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a table to read."""
    rows = [("path", "value", "unit", "reference", "ratio", "target", "queries", "")]
    for one in lines:
        rows.append((
            one.name, f"{one.value:,.2f}", one.unit, "" if one.reference is None else f"{one.reference:,.2f}",
            "" if one.ratio is None else f"{one.ratio:.2f}x", one.target, "" if one.queries is None else str(one.queries),
            "ok" if one.ok else "MISSED",
        ))  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(8)]
    return "\n".join(
        "  ".join(cell.ljust(width) if place in {0, 2, 5, 7} else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    )  # fmt: skip


def as_json(lines: Sequence[Line]) -> str:
    """Return the lines as a list for programs."""
    return json.dumps([asdict(one) for one in lines], indent=1)
