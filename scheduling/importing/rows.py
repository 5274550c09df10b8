"""What a row of an import says, put on an appointment of the past or told to whoever reads the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from pain_clinic.errors import DomainError
from procedures.levels import default_regions
from procedures.rules import Finding
from scheduling.importing.words import Line, Unfit
from scheduling.models import Appointment, AskedBy, CancelReason, Status

T = TypeVar("T")
MOST_NAMED = 4


def tell_history(appointment: Appointment, line: Line) -> None:
    """Write what a row says on an appointment of the past; lengths are the catalogue's, rounded outward."""
    procedure = line.procedure
    wall = line.starts_at.astimezone(ZoneInfo(line.site.time_zone))
    appointment.procedure, appointment.site = procedure, line.site
    appointment.side, appointment.levels, appointment.status = line.side, list(line.levels), line.status
    appointment.regions, appointment.guidance = list(line.regions or default_regions(procedure)), line.guidance
    appointment.starts_at = line.starts_at
    appointment.arrives_at = line.starts_at - timedelta(minutes=procedure.prep_minutes)
    appointment.ends_at = line.starts_at + timedelta(minutes=procedure.room_minutes)
    appointment.leaves_at = appointment.ends_at + timedelta(minutes=procedure.recovery_minutes)
    appointment.local_date, appointment.local_time, appointment.zone = wall.date(), wall.time(), line.site.time_zone
    is_cancelled = line.status == Status.CANCELLED
    appointment.cancel_reason = CancelReason.OTHER if is_cancelled else ""
    appointment.asked_by = AskedBy.PATIENT if is_cancelled else ""
    appointment.cancelled_at = line.starts_at if is_cancelled else None


def facts_of(appointment: Appointment) -> tuple[object, ...]:
    """Return what a row may say of an appointment of the past, to be compared."""
    return (
        appointment.procedure_id,
        appointment.site_id,
        appointment.side,
        tuple(appointment.levels),
        tuple(appointment.regions),
        appointment.guidance,
        str(appointment.status),
        appointment.starts_at,
    )


def only_one(found: list[T], field_name: str) -> T:
    """Return the one thing that a name means, or refuse the field: none, or several that are named."""
    if not found:
        raise Unfit(field_name, f"is no {field_name} known here; give it a meaning with --map FILE")
    if len(found) > 1:
        named = ", ".join(sorted(str(getattr(each, "code", "") or each) for each in found)[:MOST_NAMED])
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise Unfit(field_name, f"fits {named}{more}; name one of them, or give it a meaning with --map FILE")
    return found[0]


def in_words(error: DomainError) -> str:
    """Return a refusal in words, its findings too."""
    findings: Sequence[Finding] = getattr(error, "standing", ()) or getattr(error, "findings", ())
    return " ".join(finding.message for finding in findings) or error.message
