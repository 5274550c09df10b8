"""The outcome report as rows of a table file: every estimate with its bounds and counts, numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterator

from patients.estimates import Estimate
from patients.reports.shapes import Figures, OutcomeReport
from patients.sheets import neutral

HEADER = (
    "group", "name", "first_on", "last_on", "sessions", "people", "missing_share", "missing_low", "missing_high",
    *(
        f"{measure}_{part}"
        for measure in ("responders_50", "responders_80", "relief_days", "pain_change", "peg_change", "mme_change", "repeat_days",
                        "complications")
        for part in ("value", "low", "high", "n")
    ),
    "relief_ended", "relief_censored",
)  # fmt: skip
Value = str | int | float | None


def rows(report: OutcomeReport) -> Iterator[list[Value]]:
    """Yield the header, a row for each group, and one over all. Empty cells are hidden, or nobody has them."""
    yield list(HEADER)
    for group in report.groups:
        yield _row(report, group.code, group.name, group.figures)
    if report.total is not None:
        yield _row(report, "", "All", report.total)


def _row(report: OutcomeReport, code: str, name: str, of: Figures) -> list[Value]:
    missing = of.missing
    lasting = of.duration
    estimates = (
        of.half, of.most, lasting.median if lasting else None, of.pain, of.peg, of.opioids, of.repeat, of.complications,
    )  # fmt: skip
    return [
        neutral(code), neutral(name), report.first_on.isoformat(), report.last_on.isoformat(), of.sessions, of.people,
        _rounded(missing.value), _rounded(missing.low), _rounded(missing.high),
        *(cell for estimate in estimates for cell in _cells(estimate)),
        lasting.ended if lasting else None, lasting.censored if lasting else None,
    ]  # fmt: skip


def _cells(of: Estimate | None) -> tuple[Value, Value, Value, Value]:
    return (None, None, None, None) if of is None else (_rounded(of.value), _rounded(of.low), _rounded(of.high), of.n)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
