"""Explain an answer to a person: each rule that spoke, what it counted, in which window, against which limit, by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from procedures.cases.judging import findings_on
from procedures.cases.reading import Case
from procedures.rules import Finding, Moment, Plain, decision, evidence
from procedures.rules.book import Book
from procedures.rules.earliest import at_date, earliest_covered
from procedures.rules.rows import Ruled

WORDS = {"denied": "Not allowed", "warn": "Needs a reason", "allowed": "Allowed"}
# The evidence that has a place of its own in a step.
PLACED = evidence.IN_THE_MESSAGE | {"sessions"}
_ADDRESS = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule said. `used` is how many of the limit are taken with what is asked for; None where nothing is counted."""

    code: str
    severity: str
    label: str
    message: str
    counted: Plain
    adds: Plain
    limit: Plain
    window: str
    group: str
    sessions: tuple[str, ...]
    evidence: tuple[tuple[str, str], ...]
    earliest: Moment
    source: str
    url: str
    is_counting: bool


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A rule that was asked and had nothing to say."""

    code: str
    source: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision with every step to it. `covered_from` is the first date on which nothing is refused, found exactly."""

    decision: str
    label: str
    earliest: Moment
    covered_from: date | None
    steps: tuple[Step, ...]
    unsaid: tuple[Unsaid, ...]

    @property
    def refusing(self) -> tuple[Step, ...]:
        """Return the steps that stand in the way."""
        return tuple(step for step in self.steps if step.severity != "info")

    @property
    def notes(self) -> tuple[Step, ...]:
        """Return the steps that only say something."""
        return tuple(step for step in self.steps if step.severity == "info")


def explained(case: Case, book: Book) -> Explanation:
    """Return the decision on a case with all that led to it."""
    facts = case.facts
    on = facts.request.on
    findings = findings_on(case, book)
    summed = decision(findings)
    spoke = {finding.code for finding in findings}
    unsaid = [
        Unsaid(rule.code, _parted(rule.row.source)[0])
        for rule in book.rules(facts, on, case.switches)
        if isinstance(rule, Ruled) and rule.code not in spoke
    ]
    covered = earliest_covered(
        lambda day: book.rules(at_date(facts, day), day, case.switches),
        facts,
        on,
        turns=lambda day: book.turning_points(at_date(facts, day), day, case.switches),
    )
    return Explanation(
        summed.word,
        WORDS[summed.word],
        summed.earliest,
        covered,
        tuple(map(step_of, findings)),
        tuple(sorted(unsaid, key=lambda one: one.code)),
    )


def step_of(finding: Finding) -> Step:
    """Return one finding as a person reads it."""
    facts = finding.facts
    source, url = _parted(finding.source)
    return Step(
        code=finding.code,
        severity="pending" if finding.pending else finding.severity.value,
        label=finding.label,
        message=finding.message,
        counted=facts.get("counted"),
        adds=facts.get("adds"),
        limit=facts.get("limit"),
        window=str(facts.get("window") or ""),
        group=str(facts.get("group") or ""),
        sessions=tuple(part for part in str(facts.get("sessions") or "").split("; ") if part),
        evidence=evidence.told(finding.evidence, without=PLACED),
        earliest=finding.earliest,
        source=source,
        url=url,
        is_counting="limit" in facts,
    )


def _parted(source: str) -> tuple[str, str]:
    """Return a source without its address, and the first address in it."""
    found = _ADDRESS.search(source)
    return " ".join(_ADDRESS.sub("", source).split()), found[0] if found else ""
