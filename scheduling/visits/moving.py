"""A case moves through its day: arrived, preparing, ready, in room, recovery, discharged; or it did not come."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Refused
from scheduling import messages
from scheduling.booking import staging, taking
from scheduling.booking.words import guarded
from scheduling.models import AWAY, Appointment, Completion, Status
from scheduling.visits import checking, fasting, releasing

LEFT_THE_ROOM = {Status.RECOVERY, Status.DISCHARGED}


WITHOUT = "left_without_checklist"


def move_on(
    *, appointment: Appointment, to: str, by: Actor, at: datetime, version: int | None = None, reason: str = ""
) -> Appointment:
    """Take the next status of the day; leaving before being seen and no-show give the room back.

    So does leaving the room when the physician had completed the case while the patient was still in it. A `reason` is
    why a patient is discharged without a complete leaving checklist, or goes into the room with a fast that is too short
    for a start now; where none is needed it is not kept.

    Raises:
        Stale: the case is no longer at `version`.
        InvalidMove: it cannot go there from where it is.
        Refused: cancelling, confirming and reinstating have verbs of their own; a no-show needs the hour to have come.
        LeavingOpen: a sedated patient, or one who must not drive, has no complete leaving checklist, and no reason is given.
        FastTooShort: a sedated patient ate or drank too late for a start now, or the checklist says so, and nobody who may
            override it gives a reason. FastNotJudged: likewise where the rules cannot be asked about what is written down.
        Forbidden: a reason is given by somebody who may not answer checklists.
    """
    if to in {Status.CANCELLED, Status.CONFIRMED, Status.BOOKED}:
        raise Refused("not_a_visit", "Cancelling, confirming and reinstating are acts of their own.")
    with guarded(), transaction.atomic():
        own = staging.standing_allocations(appointment)
        staging.lock_patients([appointment.patient_id])
        staging.lock_resources([one.resource_id for one in own])
        case = staging.locked_case(appointment, version)
        case.move_to(to)
        if to == Status.NO_SHOW and at < case.arrives_at:
            raise Refused("not_yet_due", "A no-show can be recorded once the arrival time has passed.")
        lacking = _let_go(case, reason, by, at) if to == Status.DISCHARGED else ()
        waived = fasting.let_in(appointment=case, reason=reason, by=by, at=at) if to == Status.IN_ROOM else ()
        case.version += 1
        case.save(update_fields=["status", "version"])
        if to in AWAY:
            staging.forget_answers(case)
            taking.give_back(own, at)
        elif to in LEFT_THE_ROOM and Completion.objects.filter(appointment=case).exists():
            releasing.release_rest(case, own, at)
        messages.follow(appointment=case, at=at)
        trail.record(
            by=by,
            act=f"scheduling.{to}",
            subject=case,
            patient=case.patient.public_id,
            site_id=case.site_id,
            reason_code=WITHOUT if lacking else fasting.REASON if waived else "",
            details={
                "version": case.version,
                **({"lacking": list(lacking)} if lacking else {}),
                **({"overrides": len(waived)} if waived else {}),
            },
        )
        return case


def _let_go(case: Appointment, reason: str, by: Actor, at: datetime) -> tuple[str, ...]:
    """Return what of the leaving checklist a patient goes without, the reason for it written down."""
    open_ = checking.leaving(case)
    if not open_.lacking:
        return ()
    if not reason.strip():
        raise checking.LeavingOpen(open_)
    checking.leave_without(appointment=case, reason=reason, by=by, at=at)
    return open_.lacking


def mark_no_show(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """Record that the patient did not come."""
    return move_on(appointment=appointment, to=Status.NO_SHOW, by=by, at=at)
