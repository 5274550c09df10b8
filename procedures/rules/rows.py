"""What every compiled rule keeps of its row of the tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from procedures.rules.dates import DAY, told
from procedures.rules.facts import Facts, Session, Wanted
from procedures.rules.findings import Finding, Moment, Plain, Said, Severity

NOT_SAID = "not yet said"
NOTHING: Mapping[str, Plain] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """The row that a rule was compiled from. It speaks of families, and perhaps only of some procedures of them."""

    code: str
    severity: Severity
    source: str = ""
    families: frozenset[str] = frozenset()
    procedures: frozenset[str] = frozenset()

    def finding(
        self,
        message: str,
        *,
        evidence: Mapping[str, Plain] = NOTHING,
        earliest: Moment = None,
        severity: Severity | None = None,
        is_pending: bool = False,
        about: str = "",
        code: str = "",
    ) -> Finding:
        """Return a finding of this row, with the row's weight unless another is given."""
        return Finding(
            code=code or self.code,
            severity=severity or self.severity,
            message=message,
            evidence=tuple(evidence.items()),
            earliest=earliest,
            pending=is_pending,
            source=self.source,
            about=about,
        )


@dataclass(frozen=True)
class Ruled(ABC):
    """A rule of one row."""

    row: Row

    @property
    def code(self) -> str:
        """Return the id of the row."""
        return self.row.code

    @abstractmethod
    def check(self, facts: Facts, on: date) -> Said:
        """Return what the rule has to say on a date of service."""

    def asked(self, facts: Facts, role: str = "") -> list[Wanted]:
        """Return what is asked for that the rule speaks of."""
        return facts.asked(self.row.families, role, self.row.procedures)

    def speaks_of(self, session: Session, role: str = "") -> bool:
        """Say whether the rule would speak of a session if it were asked for; of one role only where that is given."""
        row = self.row
        return (
            (not row.families or session.family in row.families)
            and (not role or session.role == role)
            and (not row.procedures or session.procedure in row.procedures)
        )

    def asks(self, facts: Facts) -> frozenset[str]:
        """Return what may be said of the case on which the answer turns, by the names that pages and API have for it."""
        return frozenset()

    def turning_points(self, facts: Facts) -> Iterable[date]:
        """Return the dates on which the answer may change although no finding's earliest date says so."""
        return ()


def not_asked(rule: Ruled, facts: Facts, what: str) -> Finding | None:
    """Return the pending finding of a rule about something that nobody asked about; None where it would stop nothing."""
    if facts.is_complete or not rule.row.severity.refuses:
        return None
    return rule.row.finding(f"Nobody has asked yet about {what}.", is_pending=True, about="not yet asked")


def not_said(facts: Facts, *, is_known: bool) -> tuple[bool, str]:
    """Return whether a finding waits because nobody has said yet what it turns on, and the name that sets it apart then."""
    is_pending = not is_known and not facts.is_complete
    return is_pending, NOT_SAID if is_pending else ""


def asked_by(rules: Iterable[object], facts: Facts) -> frozenset[str]:
    """Return what may be said of the case on which the answer of some rule turns."""
    return frozenset(name for rule in rules if isinstance(rule, Ruled) for name in rule.asks(facts))


def listed(sessions: Iterable[Session]) -> str:
    """Return the sessions that were counted, as evidence shows them."""
    return "; ".join(session.told for session in sessions)


def days_of(sessions: Iterable[Session]) -> set[date]:
    """Return the days at which an answer about later sessions may change: each one's own, which is one session, and the next."""
    return {day for session in sessions for day in (session.on, session.on + DAY)}


def booked_told(sessions: Sequence[Session]) -> str:
    """Return what is booked for later, as a message begins."""
    return f"Booked for {told(sessions[0].on)}: {sessions[0].called}"


def latest(moments: Iterable[date | None]) -> date | None:
    """Return the latest of several dates, None as soon as one of them never comes."""
    found: date | None = None
    for moment in moments:
        if moment is None:
            return None
        if found is None or moment > found:
            found = moment
    return found


def plain(name: str) -> str:
    """Return one of the table's words as people read it."""
    return name.replace("_", " ")


def words(names: Iterable[str]) -> str:
    """Return the table's words as people read them."""
    return ", ".join(map(plain, sorted(names)))
