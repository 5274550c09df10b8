"""Read what the outcome report counts: one statement, whatever the window and the grouping."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from patients.reports.shapes import EDGES, MEASURES, By

Cell = tuple[int, str]  # procedure and group

# How the sessions are told apart. Each is an expression over `p`, the performed procedure, and what `_JOINS` joins.
_GROUPS: Mapping[By, str] = {
    By.CATEGORY: "k.category",
    By.PROCEDURE: "p.procedure_id::text",
    By.TARGET: "coalesce(nullif(array_to_string(p.levels, ' '), ''), nullif(array_to_string(p.regions, ' '), ''), p.body_site)",
    By.PHYSICIAN: "p.operator_name",
    By.PAYER: "coalesce(payer.payer, nullif(t.payer, ''), '')",
    # Quarters are counted back from the window's end, so that each lies in one year of the windows.
    By.PERIOD: "((%(end_month)s - extract(year FROM p.done_on)::int * 12 - extract(month FROM p.done_on)::int) / 3)::text",
}
_PAYER = """
    JOIN patients_patient t ON t.id = p.patient_id
    LEFT JOIN LATERAL (
        SELECT c.payer FROM patients_coverage c
        WHERE c.patient_id = p.patient_id AND NOT c.is_in_error AND (c.valid_from IS NULL OR c.valid_from <= p.done_on)
          AND (c.valid_until IS NULL OR c.valid_until >= p.done_on)
        ORDER BY c.rank, c.id LIMIT 1
    ) payer ON true"""
_JOINS = {By.PAYER: _PAYER, By.CATEGORY: "\n    JOIN procedures_procedure k ON k.id = p.procedure_id"}
_STATEMENT = """
WITH session AS (
    SELECT p.id, p.patient_id, p.procedure_id, p.done_on, p.role, {group} AS grouped,
        nullif(p.done_on - lag(p.done_on) OVER (
            PARTITION BY p.patient_id, p.procedure_id, p.side ORDER BY p.done_on, p.id), 0) AS gap
    FROM patients_performedprocedure p{joins}
    WHERE p.site_id = ANY(%(sites)s) AND p.done_on < %(end)s AND p.procedure_id IS NOT NULL
      AND NOT p.is_in_error AND NOT p.is_elsewhere
), opioid AS (
    SELECT m.patient_id, m.started_on, m.stopped_on, (m.daily_amount * f.factor)::float8 AS mme
    FROM patients_medication m LEFT JOIN unnest(%(drugs)s::text[], %(factors)s::numeric[]) f (drug, factor) ON f.drug = m.drug
    WHERE m.kind = 'opioid' AND NOT m.is_in_error
), taken AS (
    SELECT s.id, sum(o.mme) FILTER (WHERE {on_day}) AS before,
        coalesce(sum(o.mme) FILTER (WHERE {on_later_day}), 0) AS later,
        bool_or(o.mme IS NULL AND (({on_day}) OR ({on_later_day}))) AS is_uncounted
    FROM session s JOIN opioid o ON o.patient_id = s.patient_id
    WHERE s.done_on >= %(first)s AND s.done_on + {opioid_days} <= %(today)s
    GROUP BY s.id
), harmed AS (
    SELECT DISTINCT performed_id AS id FROM patients_complication WHERE NOT is_in_error
), judged AS MATERIALIZED (
    SELECT s.patient_id, s.procedure_id, s.grouped, s.gap,
        CASE {rings} END AS ring,
        o.later_best_pct::float8 AS best,
        CASE WHEN o.later_count > 0 THEN
            o.baseline::float8 * o.last_pct::float8 / CASE o.measure WHEN 'vas' THEN -1000 ELSE -100 END END AS pain,
        o.peg_last::float8 - o.peg_before::float8 AS peg,
        CASE WHEN s.role <> 'diagnostic' THEN coalesce(o.later_50_lost_on, o.later_50_until) - s.done_on END AS days,
        o.later_50_lost_on IS NOT NULL AS is_over,
        CASE WHEN t.before > 0 AND NOT t.is_uncounted THEN t.later - t.before END AS mme,
        h.id IS NOT NULL AS is_harmed
    FROM session s
    LEFT JOIN patients_sessionoutcome o ON o.performed_id = s.id
    LEFT JOIN taken t ON t.id = s.id
    LEFT JOIN harmed h ON h.id = s.id
    WHERE s.done_on >= %(first)s
)
SELECT 'cells' AS part, procedure_id, grouped, ring AS place, count(*) AS n, count(best), count(days), count(pain), count(peg),
    count(mme), count(gap), NULL::bigint, NULL::bigint, NULL::bigint, NULL::float8[], NULL::int[], NULL::int[], NULL::int[]
FROM judged GROUP BY procedure_id, grouped, ring
UNION ALL
SELECT 'people', procedure_id, grouped, GROUPING(procedure_id, grouped), count(DISTINCT patient_id), NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM judged WHERE ring <= %(ring)s GROUP BY GROUPING SETS ((procedure_id, grouped), (procedure_id), (grouped), ())
UNION ALL
SELECT 'values', NULL, grouped, GROUPING(grouped), count(*), count(best), count(days), count(pain), count(peg), count(mme),
    count(gap), count(*) FILTER (WHERE is_harmed), count(*) FILTER (WHERE best >= 50), count(*) FILTER (WHERE best >= 80),
    ARRAY[sum(pain), sum(pain * pain), sum(peg), sum(peg * peg), sum(mme), sum(mme * mme)],
    array_agg(days) FILTER (WHERE is_over AND days IS NOT NULL), array_agg(days) FILTER (WHERE NOT is_over AND days IS NOT NULL),
    array_agg(gap) FILTER (WHERE gap IS NOT NULL)
FROM judged WHERE ring <= %(ring)s AND (%(procedure)s::bigint IS NULL OR procedure_id = %(procedure)s)
GROUP BY GROUPING SETS ((grouped), ())
"""
OPIOID_DAYS = 90


@dataclass(slots=True)
class Values:
    """What one group brings to every estimate."""

    counts: Mapping[str, int]
    harmed: int
    half: int
    most: int
    sums: Sequence[float]  # of pain, its squares, PEG, its squares, opioids, their squares
    ended: Sequence[int]
    censored: Sequence[int]
    gaps: Sequence[int]


@dataclass(slots=True)
class Read:
    """Counts by cell, ring and measure; people by cell, row, column and over all; values by group and over all (None)."""

    cells: dict[Cell, list[dict[str, int]]] = field(default_factory=dict)
    people: dict[Cell, int] = field(default_factory=dict)
    people_of_procedure: dict[int, int] = field(default_factory=dict)
    people_of_group: dict[str, int] = field(default_factory=dict)
    people_of_all: int = 0
    values: dict[str | None, Values] = field(default_factory=dict)


def read(
    *, sites: Collection[int], by: By, years: int, end: date, today: date, procedure: int | None, factors: Mapping[str, Decimal]
) -> Read:
    """Return what the report of one window and grouping counts."""
    starts = [back(end, edge) for edge in EDGES]
    rings = " ".join(f"WHEN s.done_on >= '{start.isoformat()}' THEN {ring}" for ring, start in enumerate(starts))
    statement = _STATEMENT.format(
        group=_GROUPS[by], joins=_JOINS.get(by, ""), rings=rings, opioid_days=OPIOID_DAYS,
        on_day=_is_taken("s.done_on"), on_later_day=_is_taken(f"s.done_on + {OPIOID_DAYS}"),
    )  # fmt: skip
    values: dict[str, Any] = {
        "sites": list(sites), "end": end, "first": starts[-1], "today": today, "ring": EDGES.index(years), "procedure": procedure,
        "drugs": list(factors), "factors": list(factors.values()), "end_month": end.year * 12 + end.month - 1,
    }  # fmt: skip
    found = Read()
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        # All sessions are joined to all outcomes. Where rows were never counted (just restored, just imported) the planner
        # expects three of them and loops: over 100,000 sessions that takes minutes where a hash takes half a second.
        cursor.execute(f"SET LOCAL enable_nestloop = off; {statement}", values)
        for row in cursor.fetchall():
            _take(found, row)
    return found


def back(end: date, years: int) -> date:
    """Return the first day of the window that ends before `end`, which is the first of a month."""
    return end.replace(year=end.year - years)


def _is_taken(day: str) -> str:
    """Return the condition that an opioid is taken on a day, as `mme.Taken.is_taken_on` says."""
    return f"(o.started_on IS NULL OR o.started_on <= {day}) AND (o.stopped_on IS NULL OR {day} < o.stopped_on)"


def _take(found: Read, row: Sequence[Any]) -> None:
    part, procedure, grouped, place, n, *counts = row
    if part == "cells":
        rings = found.cells.setdefault((procedure, grouped), [dict.fromkeys(MEASURES, 0) for _ in EDGES])
        rings[place] = dict(zip(MEASURES, (n, *counts[:6]), strict=True))
    elif part == "values":
        sums = [float(one or 0) for one in counts[9]]
        found.values[None if place else grouped] = Values(
            dict(zip(MEASURES, (n, *counts[:6]), strict=True)), counts[6], counts[7], counts[8], sums,
            counts[10] or [], counts[11] or [], counts[12] or [],
        )  # fmt: skip
    elif place == 0:
        found.people[procedure, grouped] = n
    elif place == 1:
        found.people_of_procedure[procedure] = n
    elif place == 2:
        found.people_of_group[grouped] = n
    else:
        found.people_of_all = n
