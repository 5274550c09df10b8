"""What booking is asked, and how it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from pain_clinic.errors import Conflict, DomainError, Refused, translated
from procedures.rules import Finding
from scheduling.assessing import NOTHING_SAID, Details


@dataclass(frozen=True, slots=True)
class Target:
    """Where on the body, and how: the coded part of a request."""

    side: str = ""
    levels: tuple[str, ...] = ()
    sedation: str = "none"
    guidance: str = ""  # empty: the usual one
    regions: tuple[str, ...] = ()
    details: Details = NOTHING_SAID
    is_series: bool = False  # fixed before the response to one of the same order is known


@dataclass(frozen=True, slots=True)
class Times:
    """The instants of one appointment, all on 5-minute marks."""

    arrives_at: datetime
    starts_at: datetime
    ends_at: datetime
    leaves_at: datetime


class SlotTaken(Conflict):
    """Somebody else has the time or the resource now."""

    def __init__(self, message: str = "", *, resource: str = "") -> None:
        super().__init__(
            "slot_taken",
            message or "Somebody has just taken this time. Nothing was booked; choose another opening.",
            {"resource": resource} if resource else {},
        )


class Stale(Conflict):
    """The case changed since the caller read it."""

    def __init__(self, version: int) -> None:
        super().__init__(
            "stale", "Somebody changed this case while you were at it. Look at it again, then decide.", {"version": version}
        )


class NotMoved(Refused):
    """The move would leave everything as it is; the patient must not be told of a change that is none."""

    def __init__(self) -> None:
        super().__init__("not_moved", "The case is there already, with the same people and rooms. Choose another time.")


class HoldEnded(Conflict):
    """The hold was released or belongs to somebody else."""

    def __init__(self) -> None:
        super().__init__("hold_ended", "This hold has ended. Choose an opening again.")


class RulesRefused(Refused):
    """Findings stand that nobody waived. ``findings`` has them all, the notes too."""

    def __init__(self, findings: Sequence[Finding], standing: Sequence[Finding]) -> None:
        count = len(standing)
        super().__init__(
            "rules_refused",
            standing[0].message if count == 1 else f"{count} things speak against this; each is listed with its reason.",
            {"findings": [finding.as_json() for finding in findings], "standing": [finding.key for finding in standing]},
        )
        self.findings = tuple(findings)
        self.standing = tuple(standing)


def guarded() -> AbstractContextManager[None]:
    """Translate what the constraints refuse. Around the transaction, from outside: they have the last word."""
    return translated({"allocation_no_double_booking": SlotTaken, "patient_not_in_two_places": _patient_elsewhere})


def _patient_elsewhere() -> DomainError:
    return SlotTaken("The patient has just been given another case at that time. Nothing was changed.")
