"""Judge written cases by a book of rules, into the one document that `assess` prints."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

from procedures.cases.reading import Case, read_cases
from procedures.rules import Finding, Moment, assess, decision
from procedures.rules.book import Book

_TOLD_APART = ("counted", "limit")


def assess_file(path: Path, book: Book, *, zone: tzinfo) -> dict[str, Any]:
    """Return the results of every case of a file, in its order.

    Raises:
        MalformedCases: the file cannot be judged; nothing of it is.
    """
    return {"results": [judged(case, book) for case in read_cases(path, book, zone=zone)]}


def judged(case: Case, book: Book) -> dict[str, Any]:
    """Return the decision on a case, with every finding."""
    findings = findings_on(case, book)
    summed = decision(findings)
    return {
        "id": case.id,
        "decision": summed.word,
        "earliest": written(summed.earliest),
        "findings": [_told(finding) for finding in findings],
    }


def findings_on(case: Case, book: Book) -> tuple[Finding, ...]:
    """Return everything that the rules in force on the date of service say about a case."""
    on = case.facts.request.on
    return assess(book.rules(case.facts, on, case.switches), case.facts, on)


def written(moment: Moment) -> str | None:
    """Return a date as YYYY-MM-DD, a wall-clock moment as YYYY-MM-DDTHH:MM."""
    if isinstance(moment, datetime):
        return moment.strftime("%Y-%m-%dT%H:%M")
    return moment.isoformat() if isinstance(moment, date) else None


def _told(finding: Finding) -> dict[str, Any]:
    facts = finding.facts
    return {
        "rule": finding.code,
        "severity": finding.severity.value,
        "earliest": written(finding.earliest),
        "counted": facts.get("counted"),
        "limit": facts.get("limit"),
        "message": finding.message,
        "about": finding.about,
        "evidence": {name: value for name, value in facts.items() if name not in _TOLD_APART},
        "source": finding.source,
    }
