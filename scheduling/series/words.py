"""What a series is ordered from, what is proposed for it, and how its verbs refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pain_clinic.errors import Conflict, DomainError, Refused
from procedures.models import Procedure
from procedures.rules import Finding
from scheduling.models import Course, SeriesSession

MOST_SESSIONS = 12


@dataclass(frozen=True, slots=True)
class FromCourse:
    """The next steps of a running course."""

    course: Course
    count: int


@dataclass(frozen=True, slots=True)
class Item:
    """A procedure so many times at one place, and the days between. `is_after`: it follows what stands above it."""

    procedure: Procedure
    side: str = ""
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    count: int = 1
    least_days: int = 14
    is_after: bool = True


@dataclass(frozen=True, slots=True)
class Suggested:
    """What is proposed for one session: an opening as plain data with the findings about it, or why there is none."""

    opening: Mapping[str, Any] | None
    findings: tuple[Finding, ...] = ()
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for the sessions of a series, by number; `is_best` when nothing better can exist."""

    sessions: Mapping[int, Suggested]
    is_best: bool


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of one session that was to be booked."""

    session: SeriesSession
    refusal: DomainError | None = None


class OrderRefused(Refused):
    """A series cannot be ordered like this."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__("order_refused", message, {"findings": [one.as_json() for one in findings]})


class SeriesStale(Conflict):
    """The series changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("series_stale", "Somebody changed this series while you were at it. Look at it again, then decide.")


class SeriesClosed(Conflict):
    """The series was withdrawn."""

    def __init__(self) -> None:
        super().__init__("series_closed", "This series was withdrawn. Nothing was changed.")


class NothingToBook(Conflict):
    """No session of it has a date that is not booked yet."""

    def __init__(self) -> None:
        super().__init__("nothing_to_book", "No session of this series is left to be booked. Nothing was booked.")


class DayRefused(Refused):
    """The session cannot be on the day asked for."""

    def __init__(self, day: date, why: str) -> None:
        super().__init__("day_refused", f"It cannot be on {day.isoformat()}. {why}".strip(), {"day": day.isoformat()})


class NotWhole(DomainError):
    """All sessions were to be booked or none, and one could not be."""

    def __init__(self, session: SeriesSession, error: DomainError) -> None:
        super().__init__(
            error.code,
            f"Session {session.number} cannot be booked, so none was. {error.message}",
            {**error.details, "session": session.number},
        )
        self.status = error.status
        self.error = error
