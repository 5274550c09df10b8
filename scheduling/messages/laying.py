"""Lay down, withdraw and plan the messages of one case, in the transaction of the verb that changes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, models, transaction

from pain_clinic import clock, statements
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden
from scheduling import desk_tasks
from scheduling.assessing import BY_FACTS
from scheduling.messages import looking
from scheduling.messages.planning import plan_case
from scheduling.messages.words import (
    ACTOR,
    CALLS,
    INVITES,
    NO_PLAN,
    NOT_ASKED,
    PRIORITY,
    AlreadySent,
    WouldNotLeave,
    cannot_be_written_to,
    database_now,
)
from scheduling.models import (
    BEFORE_ARRIVAL,
    BEFORE_VISIT,
    PRESENT,
    TOLD_AT_ONCE,
    Appointment,
    CadenceStep,
    Message,
    MessageKind,
    MessageState,
    Status,
    TaskKind,
)


def lay_down(*, appointment: Appointment, kind: str, at: datetime) -> Message:
    """Write the message about this date of an appointment, withdraw what is still unsent of older ones, and plan anew.

    Joins the caller's transaction, which holds the appointment. Laying down twice gives the same row. A change of
    which the patient has never had the confirmation becomes a confirmation.
    """
    with transaction.atomic(savepoint=False):
        # About a case just booked nothing can have been laid down before.
        is_new = appointment.version == 1 and appointment.calendar_sequence == 0 and kind == MessageKind.CONFIRMATION
        earlier = [] if is_new else list(Message.objects.filter(appointment=appointment).order_by("pk"))
        if kind == MessageKind.CHANGE and not _was_told(earlier, database_now()):
            kind = MessageKind.CONFIRMATION
        same = [row for row in earlier if row.kind == kind and row.calendar_sequence == appointment.calendar_sequence]
        older = [
            row.pk
            for row in earlier
            if row.state == MessageState.DUE
            and (row.calendar_sequence < appointment.calendar_sequence or not _may_stay(row, kind, same))
        ]
        if older:
            withdraw(older, reason="cancelled" if kind == MessageKind.CANCELLATION else "superseded", at=at)
        told = same[0] if same else _told(appointment, kind, at)
        if told.reason in CALLS and not same and appointment.patient.deceased_on is None:
            desk_tasks.open_task(
                kind=CALLS[told.reason],
                patient=appointment.patient,
                appointment=appointment,
                message=told,
                by=ACTOR,
                at=at,
                reason=told.reason,
            )
        if kind in INVITES:
            now = database_now() if same else told.due_at
            if not is_new:
                desk_tasks.settle(kind=TaskKind.MISSED, appointment=appointment, by=ACTOR, at=at)
            plan_case(appointment=appointment, at=min(at, now), is_told=True)
    return told


def _told(appointment: Appointment, kind: str, at: datetime) -> Message:
    """Write the row; due by the database's clock, for a web server whose own is ahead must not make its mails late."""
    cannot = cannot_be_written_to(appointment.patient)
    message = Message(
        appointment=appointment,
        patient_id=appointment.patient_id,
        kind=kind,
        version=appointment.version,
        # Who has no address is to be called: the desk sees that at once, not when the sweep comes to it.
        state=MessageState.SKIPPED if cannot else MessageState.DUE,
        reason=cannot,
        done_at=at if cannot else None,
        due_at=at,
        priority=PRIORITY[MessageKind(kind)],
        calendar_sequence=appointment.calendar_sequence,
        created_at=at,
    )
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
    if statements.insert(message, unless="message_once_per_date", due_at="least(%s, clinic_now())"):
        return message
    return Message.objects.get(appointment=appointment, kind=kind, step="", calendar_sequence=appointment.calendar_sequence)


def plan_ready(*, appointment: Appointment, at: datetime, is_anew: bool = False) -> Message:
    """Lay down the notice that the medicine plan is ready; the plan itself is behind the link. Twice gives one row.

    One that did not leave, since the plan was taken back before or nobody could say whether it was ready, has told nobody.
    `is_anew`: it had been taken back, or somebody asks for it, so that what was told before does not count; what waits does.
    """
    last = _notices(appointment).order_by("-pk").first()
    if last is not None and (not (is_anew or _told_nobody(last)) or _waits_anew(last)):
        return last
    return _lay_notice(appointment, at=at, created_at=at)


def tell_returned_plans(*, cases: Sequence[Appointment], at: datetime) -> None:
    """Lay the notice down again for cases about which it did not leave, and whose plan is ready without a new word.

    The plan had been taken back before, or the rules could not be asked about it until the sender gave up.
    Joins the caller's transaction, which holds the cases (with everything joined); one statement where there are none. Nobody
    did anything just now, so it is as old as the one that did not leave, and waits for the end of the quiet hours. A plan on
    which the rules break down is not ready; a time limit rises, since it is the caller's.
    """
    newest = Message.objects.filter(
        appointment__in=[case.pk for case in cases],
        kind=MessageKind.PLAN_READY,
        calendar_sequence=models.F("appointment__calendar_sequence"),
    )
    last = {row.appointment_id: row for row in newest.order_by("appointment_id", "-pk").distinct("appointment_id")}
    for case in cases:
        lost = last.get(case.pk)
        if lost is not None and _told_nobody(lost) and looking.is_plan_ready(case, at, BY_FACTS):
            _lay_notice(case, at=at, created_at=lost.created_at)


def _told_nobody(notice: Message) -> bool:
    """Say whether a notice did not leave, since the plan was not ready when its time came, or nobody could say whether it was."""
    return (notice.state, notice.reason) in {(MessageState.SKIPPED, NO_PLAN), (MessageState.FAILED, NOT_ASKED)}


def _notices(appointment: Appointment) -> models.QuerySet[Message]:
    return Message.objects.filter(
        appointment=appointment, kind=MessageKind.PLAN_READY, calendar_sequence=appointment.calendar_sequence
    )


def _lay_notice(appointment: Appointment, *, at: datetime, created_at: datetime) -> Message:
    count = _notices(appointment).count()
    made, _ = Message.objects.get_or_create(
        appointment=appointment,
        kind=MessageKind.PLAN_READY,
        step=f"anew-{count}" if count else "",
        calendar_sequence=appointment.calendar_sequence,
        defaults={
            "patient_id": appointment.patient_id,
            "version": appointment.version,
            "due_at": min(at, database_now()),
            "priority": PRIORITY[MessageKind.PLAN_READY],
            "created_at": created_at,
        },
    )
    return made


def _waits_anew(notice: Message) -> bool:
    """Say whether a notice still waits to leave; who looked at it before the plan was ready has to look again.

    A letter that is on its way already keeps its lease: it says what is true now, and must not be sent twice.
    """
    row = Message.objects.select_for_update(no_key=True).get(pk=notice.pk)
    if row.state == MessageState.DUE and row.lease_token is not None and row.attempts == row.failures:
        row.lease_token = row.lease_until = None
        row.save(update_fields=["lease_token", "lease_until"])
    return bool(row.state == MessageState.DUE)


def follow(*, appointment: Appointment, at: datetime) -> None:
    """Bring the case's messages in line with a status just taken: withdraw what no longer fits, plan what follows the visit.

    Joins the caller's transaction, which holds the appointment. Cancelling and reinstating have mails of their own.
    """
    waiting = Message.objects.filter(appointment=appointment, state=MessageState.DUE)
    if appointment.status in BEFORE_ARRIVAL:
        if appointment.status == Status.CONFIRMED:
            asking = CadenceStep.objects.filter(asks_to_confirm=True).values("code")
            _withdrawn(waiting.filter(kind__in=BEFORE_VISIT, step__in=asking), "confirmed", at)
        return
    reason = "arrived" if appointment.status in PRESENT else "visit_over" if appointment.status == Status.DISCHARGED else "missed"
    _withdrawn(waiting.filter(kind__in=(*BEFORE_VISIT, *TOLD_AT_ONCE)), reason, at)
    if appointment.status == Status.NO_SHOW:
        desk_tasks.open_task(kind=TaskKind.MISSED, patient=appointment.patient, appointment=appointment, by=ACTOR, at=at)
    if appointment.status in (Status.DISCHARGED, Status.NO_SHOW):
        plan_case(appointment=appointment, at=min(at, database_now()), is_told=False)


def withdraw(keys: Sequence[int], *, reason: str, at: datetime) -> int:
    """Withdraw messages that have not left. A lease stays: what is being sent at this moment may still say so."""
    return _withdrawn(Message.objects.filter(pk__in=keys, state=MessageState.DUE), reason, at)


def send_again(*, message: Message, by: Actor, at: datetime) -> Message:
    """Put a message that failed or was not sent back into the queue; it is checked afresh before it leaves.

    Raises:
        Forbidden: the actor may not see messages.
        AlreadySent: it left, waits, or was withdrawn.
        WouldNotLeave: what kept it back still does.
    """
    if not by.may("scheduling.view_messages"):
        raise Forbidden("not_allowed", "You may not send messages again.")
    with transaction.atomic():
        joined = Message.objects.select_related("appointment", "patient")
        row = joined.select_for_update(of=("self",)).get(pk=message.pk)
        if row.state not in {MessageState.FAILED, MessageState.SKIPPED}:
            raise AlreadySent(
                "not_to_be_sent_again", "Only a message that did not leave can be sent again.", {"state": row.state}
            )
        obstacle = looking.cannot_leave(row, at=at)
        if obstacle:
            raise WouldNotLeave(obstacle)
        row.state, row.reason, row.attempts, row.failures = MessageState.DUE, "", 0, 0
        row.lease_token = row.lease_until = row.done_at = None
        row.due_at = min(at, database_now())
        row.save(update_fields=["state", "reason", "attempts", "failures", "lease_token", "lease_until", "done_at", "due_at"])
        trail.record(by=by, act="scheduling.send_message_again", subject=row, patient=message.patient.public_id,
                     site_id=message.appointment.site_id)  # fmt: skip
    return row


def _withdrawn(rows: models.QuerySet[Message], reason: str, at: datetime) -> int:
    return rows.update(state=MessageState.WITHDRAWN, reason=reason, done_at=at)


def _may_stay(row: Message, kind: str, same: Sequence[Message]) -> bool:
    """Say whether a waiting message about the present date stays: the one just asked for, and what is planned for that date."""
    return row in same or (kind in INVITES and row.kind not in TOLD_AT_ONCE)


def _was_told(earlier: Sequence[Message], now: datetime) -> bool:
    """Say whether the patient has, or is just getting, a mail that says the visit stands."""
    at_once = [row for row in earlier if row.kind in (*INVITES, MessageKind.CANCELLATION)]
    if any(
        row.kind in INVITES and row.state == MessageState.DUE and row.lease_until and row.lease_until > now for row in at_once
    ):
        return True
    sent = sorted(
        (row for row in at_once if row.state == MessageState.SENT), key=lambda row: (row.calendar_sequence, row.version, row.pk)
    )
    return bool(sent) and sent[-1].kind in INVITES
