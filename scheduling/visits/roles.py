"""Sessions whose record has another role than their booking: completed before the role was taken over. Find and amend them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from django.db.models import F, OuterRef, Subquery

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict
from patients import amending
from patients.models import PerformedProcedure
from procedures.models import Procedure
from scheduling.models import Completion
from scheduling.visits.completing import usual_role

REASON = "The case was booked as {said}; it was completed before a session took its role from the booking."
SAID_SO, AMENDED = "the physician completed it so", "it was amended since"
UNTOUCHED = 1  # the version of a record that nobody has changed


@dataclass(frozen=True, slots=True)
class OtherRole:
    """A completed case, what its booking said and what its record says; `why_not` tells why it has to stay so."""

    case: UUID
    performed: UUID
    record_number: str
    on: date
    procedure: str
    said: str
    is_usual: bool  # nobody said it: it is the role of the procedure unless somebody does
    recorded: str
    why_not: str = ""


def other_roles() -> Iterator[OtherRole]:
    """Yield the completed cases whose booking and record differ in role, the earliest first; one statement."""
    usual = {row.pk: usual_role(row) for row in Procedure.objects.order_by("pk")}
    record = PerformedProcedure.objects.standing().filter(public_id=OuterRef("performed"))
    rows = (
        Completion.objects.annotate(
            recorded=Subquery(record.values("role")[:1]), version=Subquery(record.values("version")[:1]),
            done=Subquery(record.values("procedure")[:1]),
        )
        .filter(done=F("appointment__procedure"))  # of another procedure than the booked one the booking says nothing
        .order_by("appointment__local_date", "pk")
        .values_list(
            "appointment__public_id", "performed", "appointment__patient__record_number", "appointment__local_date", "done",
            "appointment__procedure__code", "appointment__details__role", "recorded", "version", "differs",
        )
    )  # fmt: skip
    for case, performed, number, on, procedure, code, planned, recorded, version, differs in rows.iterator(chunk_size=2000):
        said = planned or usual[procedure]
        if said in ("", recorded):
            continue
        why_not = SAID_SO if "role" in differs else AMENDED if version > UNTOUCHED else ""
        yield OtherRole(case, performed, number, on, code, said, not planned, recorded, why_not)


def take_over(*, found: OtherRole, by: Actor, at: datetime) -> OtherRole:
    """Amend one record to the role of its booking, with the reason; what somebody has amended since stays and says so."""
    if found.why_not:
        return found
    performed = PerformedProcedure.objects.get(public_id=found.performed)
    said = f"{found.said}, as is usual for it" if found.is_usual else found.said
    try:
        amending.amend(
            performed=performed, changes={"role": found.said}, reason=REASON.format(said=said), by=by, at=at, version=UNTOUCHED
        )
    except Conflict:
        return replace(found, why_not=AMENDED)
    return found
