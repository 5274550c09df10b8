"""Book, move, cancel, reinstate and confirm: each one transaction under the same locks and checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from pain_clinic import statements
from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from procedures.models import Procedure
from procedures.rules import Finding, Waiver
from scheduling import messages, readiness
from scheduling.availability import Opening
from scheduling.booking import judging, staging, taking
from scheduling.booking.words import NotMoved, SlotTaken, Target, guarded
from scheduling.models import Appointment, AskedBy, CancelReason, Hold, MessageKind, Source, Status


class _Rehearsed(Exception):
    """Leaves a rehearsal's transaction, so that nothing of it stays."""


def book(
    *,
    patient: Patient,
    procedure: Procedure,
    target: Target,
    opening: Opening,
    by: Actor,
    at: datetime,
    hold: Hold | None = None,
    waivers: Sequence[Waiver] = (),
    source: str = Source.DESK,
    note: str = "",
    external_id: str | None = None,
) -> Appointment:
    """Book this opening; a hold's own time is turned over in the same transaction.

    Raises:
        RulesRefused: findings stand that nobody waived.
        SlotTaken: somebody took the time first.
        HoldEnded: the hold was released or is not this actor's.
        Busy: a lock was not to be had within two seconds.
    """
    with guarded(), transaction.atomic():
        locked = staging.lock_patients([patient.pk])[patient.pk]
        stage = staging.stage(locked, procedure, target, opening, at, hold=staging.live(hold, by, at))
        findings, board = staging.judged(stage, at)
        lifted = judging.refuse_unless_waived(findings, waivers, by)
        times = stage.times
        appointment = Appointment(
            patient=locked,
            procedure=procedure,
            site=stage.site,
            external_id=external_id,
            source=source,
            note=note,
            created_at=at,
            created_by_id=by.user_id,
            side=target.side,
            levels=list(target.levels),
            regions=list(stage.regions),
            guidance=stage.guidance,
            sedation=target.sedation,
        )
        staging.set_times(appointment, times, stage.site)
        statements.insert(appointment)
        made = taking.take(board, at=at, appointment=appointment)
        appointment.standing_allocations = made  # type: ignore[attr-defined]  # for who shows it next
        if not board.truth.is_known:
            staging.know_at_site(locked, stage.site, at)
        staging.tell(appointment, target.details)
        staging.keep(appointment, stage, findings, lifted, by, at, is_new=True)
        messages.lay_down(appointment=appointment, kind=MessageKind.CONFIRMATION, at=at)
        staging.record("scheduling.book", appointment, by, details={"overrides": len(lifted)})
        return appointment


def preview(
    *,
    patient: Patient,
    procedure: Procedure,
    target: Target,
    opening: Opening,
    by: Actor,
    at: datetime,
    appointment: Appointment | None = None,
    hold: Hold | None = None,
) -> tuple[Finding, ...]:
    """Return what would be found if this were booked, or if `appointment` were moved here; write nothing.

    Raises:
        SlotTaken: the time is not free.
    """
    findings: tuple[Finding, ...] = ()
    try:
        with guarded(), transaction.atomic():
            locked = staging.lock_patients([patient.pk])[patient.pk]
            own = staging.standing_allocations(appointment) if appointment is not None else []
            stage = staging.stage(
                locked, procedure, target, opening, at, hold=staging.live(hold, by, at), also=[one.resource_id for one in own]
            )
            taking.give_back(own, at)
            findings, board = staging.judged(stage, at, leaving_out=appointment, is_rehearsal=True)
            if not any(finding.structural for finding in findings):
                for lack in board.lacking:
                    raise SlotTaken(resource=str(lack.unit.public_id))
            raise _Rehearsed
    except _Rehearsed:
        return findings


def reschedule(
    *,
    appointment: Appointment,
    opening: Opening,
    by: Actor,
    at: datetime,
    version: int | None = None,
    waivers: Sequence[Waiver] = (),
    reason: str = "",
) -> Appointment:
    """Move a case that has not begun: old and new resources are locked together, then released and taken anew.

    Raises:
        Stale: the case is no longer at `version`.
        InvalidMove: it has begun or is cancelled.
        RulesRefused, SlotTaken, Busy: as for `book`.
    """
    with guarded(), transaction.atomic():
        own = staging.standing_allocations(appointment)
        locked = staging.lock_patients([appointment.patient_id])[appointment.patient_id]
        stage = staging.stage(
            locked, appointment.procedure, staging.target_of(appointment), opening, at, also=[one.resource_id for one in own]
        )
        case = staging.locked_case(appointment, version)
        staging.must_be_before_arrival(case)
        if staging.is_there(case, stage, own):
            raise NotMoved
        staging.leave(case, stage)
        taking.give_back(own, at)
        findings, board = staging.judged(stage, at, leaving_out=case)
        lifted = judging.refuse_unless_waived(findings, waivers, by)
        was_confirmed = case.status == Status.CONFIRMED
        if was_confirmed:
            case.move_to(Status.BOOKED)  # the patient confirmed another time
        case.site = stage.site
        staging.set_times(case, stage.times, stage.site)
        case.version += 1
        case.calendar_sequence += 1
        case.save(update_fields=[*staging.TIME_FIELDS, "site", "status", "version", "calendar_sequence"])
        taking.take(board, at=at, appointment=case)
        if not board.truth.is_known:
            staging.know_at_site(locked, stage.site, at)
        staging.keep(case, stage, findings, lifted, by, at)
        messages.lay_down(appointment=case, kind=MessageKind.CHANGE, at=at)
        staging.record("scheduling.move", case, by, reason_code=reason[:80])
        return case


def cancel(
    *,
    appointment: Appointment,
    reason: str,
    asked_by: str,
    by: Actor,
    at: datetime,
    note: str = "",
    version: int | None = None,
) -> Appointment:
    """Cancel with a reason and who asked; late when the patient asks within the clinic's late window.

    Raises:
        Stale: the case is no longer at `version`.
        InvalidMove: it is over, cancelled or in the room.
        RemovalNeeded: it removes the leads of a trial that stands.
    """
    with guarded(), transaction.atomic():
        own = staging.standing_allocations(appointment)
        staging.lock_patients([appointment.patient_id])
        staging.lock_resources([one.resource_id for one in own])
        case = staging.locked_case(appointment, version)
        staging.refuse_to_part(case, at)
        case.move_to(Status.CANCELLED)
        case.cancel_reason = CancelReason(reason)
        case.asked_by = AskedBy(asked_by)
        case.cancel_note = note
        case.cancelled_at = at
        late = timedelta(hours=settings.LATE_CANCEL_HOURS)
        case.is_late = case.asked_by == AskedBy.PATIENT and case.starts_at - at < late
        case.version += 1
        case.calendar_sequence += 1
        case.save(
            update_fields=[
                "status", "cancel_reason", "asked_by", "cancel_note", "cancelled_at", "is_late", "version", "calendar_sequence",
            ]
        )  # fmt: skip
        taking.give_back(own, at)
        taking.ask_again(case, at)
        staging.forget_answers(case)
        readiness.drop(case, by, at)
        messages.lay_down(appointment=case, kind=MessageKind.CANCELLATION, at=at)
        staging.record("scheduling.cancel", case, by, reason_code=reason, details={"asked_by": asked_by, "is_late": case.is_late})
        return case


def reinstate(
    *,
    appointment: Appointment,
    by: Actor,
    at: datetime,
    opening: Opening | None = None,
    waivers: Sequence[Waiver] = (),
    version: int | None = None,
) -> Appointment:
    """Bring a cancelled or missed case back, by the full booking path, at its old place or at a new opening.

    Raises:
        InvalidMove: it is not away.
        Stale, RulesRefused, SlotTaken, Busy: as for `reschedule`.
    """
    with guarded(), transaction.atomic():
        locked = staging.lock_patients([appointment.patient_id])[appointment.patient_id]
        place = opening if opening is not None else staging.old_place(appointment)
        stage = staging.stage(locked, appointment.procedure, staging.target_of(appointment), place, at)
        case = staging.locked_case(appointment, version)
        case.move_to(Status.BOOKED)
        staging.leave(case, stage)
        findings, board = staging.judged(stage, at, leaving_out=case)
        lifted = judging.refuse_unless_waived(findings, waivers, by)
        case.site = stage.site
        staging.set_times(case, stage.times, stage.site)
        case.cancel_reason, case.asked_by, case.cancel_note = "", "", ""
        case.cancelled_at, case.is_late = None, False
        case.version += 1
        case.calendar_sequence += 1
        case.save(
            update_fields=[
                *staging.TIME_FIELDS, "site", "status", "cancel_reason", "asked_by", "cancel_note", "cancelled_at", "is_late",
                "version", "calendar_sequence",
            ]
        )  # fmt: skip
        taking.take(board, at=at, appointment=case)
        staging.keep(case, stage, findings, lifted, by, at)
        messages.lay_down(appointment=case, kind=MessageKind.CONFIRMATION, at=at)
        staging.record("scheduling.reinstate", case, by)
        return case


def confirm(*, appointment: Appointment, by: Actor, at: datetime, version: int | None = None) -> Appointment:
    """Note that the patient will come. Saying it twice is fine and changes nothing.

    Raises:
        Stale: the case is no longer at `version`.
        InvalidMove: it is cancelled, over or under way.
    """
    with guarded(), transaction.atomic():
        staging.lock_patients([appointment.patient_id])
        case = staging.locked_case(appointment, None if appointment.status == Status.CONFIRMED else version)
        if case.status == Status.CONFIRMED:
            return case
        case.move_to(Status.CONFIRMED)
        case.version += 1
        case.save(update_fields=["status", "version"])
        messages.follow(appointment=case, at=at)
        staging.record("scheduling.confirm", case, by)
        return case
