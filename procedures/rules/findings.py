"""Findings: what rules say, how all of it is summed up, and what a waiver can lift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from itertools import pairwise
from operator import itemgetter
from typing import Protocol, TypeAlias

from procedures.rules.facts import Facts

Plain: TypeAlias = str | int | float | bool | None
Moment: TypeAlias = date | datetime | None


class Severity(Enum):
    """How grave a finding is. The value is the word that tables write."""

    BLOCKER = "deny"
    NEEDS_OVERRIDE = "warn"
    ADVICE = "info"

    @property
    def label(self) -> str:
        """Return the words that the screen shows."""
        return _LABELS[self]

    @property
    def rank(self) -> int:
        """Return 0 for the gravest."""
        return _RANKS[self]

    @property
    def refuses(self) -> bool:
        """Say whether a finding of this severity stops a booking until it is waived."""
        return self is not Severity.ADVICE


_LABELS = {Severity.BLOCKER: "not allowed", Severity.NEEDS_OVERRIDE: "needs a reason", Severity.ADVICE: "note"}
_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know before the case stands.

    `about` tells apart two findings of one code (a region, a level, a drug). `earliest` is the first moment at which
    waiting alone would help: a date, or a wall-clock moment where the rule works in hours; None when it never does.
    `structural` findings belong to booking itself and nobody overrides them. `pending` ones rest only on something
    not yet on file: they do not refuse, until `due_at`.
    """

    code: str
    severity: Severity
    message: str
    evidence: tuple[tuple[str, Plain], ...] = ()
    earliest: Moment = None
    structural: bool = False
    pending: bool = False
    due_at: datetime | None = None
    source: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        if not self.code or ":" in self.code:
            raise ValueError(f"a finding's code is a word without a colon, not {self.code!r}")
        if self.structural and (self.pending or self.severity is not Severity.BLOCKER):
            raise ValueError("a structural finding is known and not allowed, never pending or milder")

    @property
    def key(self) -> str:
        """Return the name under which this finding, and only this, is waived."""
        return f"{self.code}:{self.about}" if self.about else self.code

    @property
    def refuses(self) -> bool:
        """Say whether it stops the booking as things stand."""
        return self.severity.refuses and not self.pending

    @property
    def label(self) -> str:
        """Return the words that the screen shows for its weight."""
        return "waiting for a fact" if self.pending else self.severity.label

    @property
    def facts(self) -> dict[str, Plain]:
        """Return the evidence by name."""
        return dict(self.evidence)

    def as_json(self) -> dict[str, object]:
        """Return plain data for an answer or a stored row."""
        return {
            "code": self.code,
            "key": self.key,
            "about": self.about,
            "severity": self.severity.value,
            "label": self.label,
            "message": self.message,
            "evidence": self.facts,
            "earliest": None if self.earliest is None else self.earliest.isoformat(),
            "structural": self.structural,
            "pending": self.pending,
            "source": self.source,
        }


def structural(
    code: str,
    message: str,
    *,
    earliest: Moment = None,
    evidence: Mapping[str, Plain] | None = None,
    about: str = "",
) -> Finding:
    """Return a finding of booking's own, which nobody overrides."""
    return Finding(
        code=code,
        severity=Severity.BLOCKER,
        message=message,
        evidence=tuple((evidence or {}).items()),
        earliest=earliest,
        structural=True,
        source="booking",
        about=about,
    )


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody's word that one named finding shall not stop this case, and why. `code` is the finding's `key`."""

    code: str
    reason_code: str
    text: str

    @property
    def is_complete(self) -> bool:
        """Say whether it gives both a reason code and a reason in words."""
        return bool(self.reason_code.strip() and self.text.strip())


Said: TypeAlias = Finding | Iterable[Finding] | None


class Rule(Protocol):
    """A small frozen dataclass with a stable code that looks at the facts for one date of service."""

    @property
    def code(self) -> str:
        """Return the stable name of the rule."""

    def check(self, facts: Facts, on: date) -> Said:
        """Return what this rule has to say on a date of service: nothing, one finding, or several."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The sum of the findings: `denied`, `warn` or `allowed`, and the first moment that would do for a denied one."""

    word: str
    earliest: Moment


def assess(rules: Iterable[Rule], facts: Facts, on: date) -> tuple[Finding, ...]:
    """Ask every rule and return all findings, gravest first; the order of the rules does not matter."""
    found: list[Finding] = []
    for rule in rules:
        said = rule.check(facts, on)
        if isinstance(said, Finding):
            found.append(said)
        elif said is not None:
            found.extend(said)
    if facts.is_complete:
        found = [replace(finding, pending=False) if finding.pending else finding for finding in found]
    return ordered(found)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings in the one order in which they are shown, losing none."""
    placed = sorted(((_place(finding), finding) for finding in findings), key=itemgetter(0))
    if any(one[0] == other[0] for one, other in pairwise(placed)):
        # Findings that read alike are told apart by all the rest, which is costly to write out.
        placed.sort(key=lambda pair: (*pair[0], _rest(pair[1])))
    return tuple(finding for _, finding in placed)


def matured(findings: Iterable[Finding], at: datetime) -> tuple[Finding, ...]:
    """Give each pending finding whose deadline has come its own severity; leave the others as they are."""
    return ordered(
        replace(finding, pending=False) if finding.pending and finding.due_at is not None and finding.due_at <= at else finding
        for finding in findings
    )


def decision(findings: Iterable[Finding]) -> Decision:
    """Sum the findings up. The earliest of a denied case is its latest one, None if any of them never passes."""
    standing = [finding for finding in findings if finding.refuses]
    denying = [finding.earliest for finding in standing if finding.severity is Severity.BLOCKER]
    if denying:
        known = [moment for moment in denying if moment is not None]
        return Decision("denied", max(known, key=_wall_clock) if len(known) == len(denying) else None)
    return Decision("warn" if standing else "allowed", None)


def unwaived(findings: Iterable[Finding], waivers: Iterable[Waiver], may: Callable[[Severity], bool]) -> tuple[Finding, ...]:
    """Return the findings that still refuse.

    A waiver lifts the finding that it names and no other, when it gives its reason and `may` says that the one who
    gives it may override that severity. Structural findings are never lifted; pending ones and notes do not refuse.
    """
    lifted = {waiver.code for waiver in waivers if waiver.is_complete}
    return ordered(
        finding
        for finding in findings
        if finding.refuses and (finding.structural or finding.key not in lifted or not may(finding.severity))
    )


def _place(finding: Finding) -> tuple[bool, int, bool, str, str, str]:
    return (
        not finding.structural,
        finding.severity.rank,
        finding.pending,
        finding.code,
        finding.about,
        finding.message,
    )


def _rest(finding: Finding) -> str:
    return f"{finding.earliest!s} {finding.due_at!s} {finding.source} {finding.evidence!r}"


def _wall_clock(moment: date | datetime) -> tuple[int, ...]:
    hours = (moment.hour, moment.minute, moment.second) if isinstance(moment, datetime) else (0, 0, 0)
    return (moment.year, moment.month, moment.day, *hours)
