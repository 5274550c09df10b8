"""Messages to patients: lay down, claim, deliver, retry. The row is the queue; the database's clock says what is due."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import DateTimeField, F, Func

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import LOCK_NOT_AVAILABLE, Conflict, Forbidden, sqlstate
from patients.models import Patient
from scheduling import letters
from scheduling.channels import EmailGateway, Gateway, NotDelivered, Rejected, Unreachable
from scheduling.models import Appointment, Message, MessageKind, MessageState, Status
from scheduling.models.appointments import BEFORE_ARRIVAL, PRESENT

log = structlog.get_logger("scheduling.messages")

BATCH = 200
LEASE = timedelta(seconds=25)
BUDGET = timedelta(seconds=20)  # of one sweep: below the lease, far below the task's time limit
MOST_TRIES = 10  # of a letter that the server puts off: about three hours
MOST_ERRORS = 5  # of a letter that our own code cannot write
FRESH = timedelta(hours=1)  # what answers an act just made goes out at any hour
ACTOR = Actor.system("messages")

PRIORITY = {MessageKind.CONFIRMATION: 1, MessageKind.CHANGE: 2, MessageKind.CANCELLATION: 2}
INVITES = (MessageKind.CONFIRMATION, MessageKind.CHANGE)

REASONS = {
    "superseded": "A newer message took its place",
    "cancelled": "The case was cancelled",
    "not_cancelled": "The case stands again",
    "arrived": "The patient is already here",
    "missed": "The patient did not come or has left",
    "visit_over": "The time of the visit has passed",
    "no_email": "No e-mail address on file",
    "opted_out": "The patient wants no e-mail",
    "deceased": "The patient has died",
    "history": "Imported from the past",
    "quiet_hours": "Waits until the quiet hours end",
    "server_unreachable": "The mail server cannot be reached",
    "server_refuses_us": "The mail server refuses our sign-in",
    "connection_lost": "The mail server broke off",
    "try_later": "The mail server asks to try later",
    "sender_refused": "The mail server refuses our sender address",
    "address_invalid": "The e-mail address is not valid",
    "address_refused": "The e-mail address does not exist or takes no mail",
    "mail_refused": "The mail server refuses this message",
    "error": "An error in the program",
    "gave_up": "Begun too often and never finished",
}


class AlreadySent(Conflict):
    """Only what did not leave can be sent again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that this worker, and no other, may send while its lease holds."""

    message_id: int
    token: uuid.UUID


def reason_in_words(code: str) -> str:
    """Return a reason code as staff read it; a server's own number is added in brackets."""
    stem, _, number = code.rpartition("_")
    if number.isdigit():
        return f"{REASONS.get(stem, stem)} ({number})"
    return REASONS.get(code, code.replace("_", " "))


def lay_down(*, appointment: Appointment, kind: str, at: datetime) -> Message:
    """Write the message about this version of an appointment, and withdraw what is still unsent of older ones.

    Joins the caller's transaction, which holds the appointment. Laying down twice gives the same row. A change of
    which the patient has never had the confirmation becomes a confirmation.
    """
    with transaction.atomic():
        now = database_now()
        earlier = list(Message.objects.filter(appointment=appointment).order_by("pk"))
        if kind == MessageKind.CHANGE and not _was_told(earlier, now):
            kind = MessageKind.CONFIRMATION
        same = [row for row in earlier if row.kind == kind and row.version == appointment.version]
        older = [row.pk for row in earlier if row.state == MessageState.DUE and row not in same]
        if older:
            reason = "cancelled" if kind == MessageKind.CANCELLATION else "superseded"
            # The lease stays: if it is being sent at this moment, the sender may still say so.
            Message.objects.filter(pk__in=older, state=MessageState.DUE).update(
                state=MessageState.WITHDRAWN, reason=reason, done_at=at
            )
        if same:
            return same[0]
        cannot = _cannot_be_written_to(appointment.patient)
        return Message.objects.create(
            appointment=appointment,
            patient_id=appointment.patient_id,
            kind=kind,
            version=appointment.version,
            # Who has no address is to be called: the desk sees that at once, not when the sweep comes to it.
            state=MessageState.SKIPPED if cannot else MessageState.DUE,
            reason=cannot,
            done_at=at if cannot else None,
            due_at=min(at, now),  # a web server whose clock is ahead must not make its mails late
            priority=PRIORITY[MessageKind(kind)],
            calendar_sequence=appointment.calendar_sequence,
            created_at=at,
        )


def send_again(*, message: Message, by: Actor, at: datetime) -> Message:
    """Put a message that failed or was not sent back into the queue; it is checked afresh before it leaves.

    Raises:
        Forbidden: the actor may not see messages.
        AlreadySent: it left, waits, or was withdrawn.
    """
    if not by.may("scheduling.view_messages"):
        raise Forbidden("not_allowed", "You may not send messages again.")
    with transaction.atomic():
        row = Message.objects.select_for_update().get(pk=message.pk)
        if row.state not in {MessageState.FAILED, MessageState.SKIPPED}:
            raise AlreadySent(
                "not_to_be_sent_again", "Only a message that did not leave can be sent again.", {"state": row.state}
            )
        row.state, row.reason, row.attempts = MessageState.DUE, "", 0
        row.lease_token = row.lease_until = row.done_at = None
        row.due_at = min(at, database_now())
        row.save(update_fields=["state", "reason", "attempts", "lease_token", "lease_until", "done_at", "due_at"])
        trail.record(by=by, act="scheduling.send_message_again", subject=row, patient=message.patient.public_id,
                     site_id=message.appointment.site_id)  # fmt: skip
    return row


def sweep(*, limit: int = BATCH) -> Counter[str]:
    """Claim what is due and deliver it; return how many had which outcome."""
    return deliver(claimed=claim_due(limit=limit))


def claim_due(*, limit: int = BATCH) -> tuple[Claim, ...]:
    """Take due messages that nobody holds, confirmations first; what another worker is just taking is passed over."""
    token = uuid.uuid4()
    with transaction.atomic(), connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute(
            """
            WITH due AS (
                SELECT id FROM scheduling_message
                WHERE state = 'due' AND due_at <= clinic_now() AND (lease_until IS NULL OR lease_until <= clinic_now())
                ORDER BY priority, due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
            )
            UPDATE scheduling_message AS message
            SET lease_until = clinic_now() + make_interval(secs => %s), lease_token = %s::uuid
            FROM due WHERE message.id = due.id
            RETURNING message.priority, message.due_at, message.id
            """,
            [min(limit, BATCH), LEASE.total_seconds(), str(token)],
        )
        rows = sorted(cursor.fetchall())
    return tuple(Claim(message_id=row[2], token=token) for row in rows)


def deliver(*, claimed: Sequence[Claim], gateway: Gateway | None = None, budget: timedelta = BUDGET) -> Counter[str]:
    """Send what was claimed, one after the other, outside any transaction; return how many had which outcome.

    A letter that fails never stops the next. When the server cannot be reached at all, or the time is up, the rest is
    given back untouched.
    """
    tally: Counter[str] = Counter()
    waiting = list(claimed)
    ends = time.monotonic() + budget.total_seconds()
    door = gateway or EmailGateway()
    try:
        while waiting and time.monotonic() < ends:
            outcome = _deliver_one(waiting.pop(0), door)
            tally[outcome] += 1
            if outcome == "unreachable":
                break
    finally:
        door.close()
    if waiting:
        tally["given_back"] = _give_back(waiting)
    return tally


def database_now() -> datetime:
    """Return the instant of the database's clock, moved as the clinic's clock is."""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute("SELECT clinic_now()")
        now: datetime = cursor.fetchone()[0]
    return now


def _was_told(earlier: Sequence[Message], now: datetime) -> bool:
    """Say whether the patient has, or is just getting, a mail that says the visit stands."""
    if any(
        row.kind in INVITES and row.state == MessageState.DUE and row.lease_until and row.lease_until > now for row in earlier
    ):
        return True
    sent = sorted((row for row in earlier if row.state == MessageState.SENT), key=lambda row: (row.version, row.pk))
    return bool(sent) and sent[-1].kind in INVITES


def _deliver_one(claim: Claim, gateway: Gateway) -> str:
    """Look at the world again, write, renew the lease, send, record; return one word for what happened."""
    found = _look_again(claim)
    if found is None:
        return "lost"
    message, now = found
    reason = _why_not(message, now)
    if reason:
        return _finish(claim, message, MessageState.SKIPPED, reason=reason)
    quiet_until = _quiet_until(message, now)
    if quiet_until is not None:
        return _put_off(claim, message, until=quiet_until, reason="quiet_hours", counts=False)
    try:
        letter = letters.write(message, at=now)
    except Exception as error:  # one letter that cannot be written must not hold up the others
        if not _renew(claim):
            return "lost"
        log.error("letter not written", message=str(message.public_id), exc_info=error)
        return _try_later(claim, message, now, "error", most=MOST_ERRORS)
    if message.attempts >= 2 * MOST_TRIES:
        return _finish(claim, message, MessageState.FAILED, reason="gave_up")
    if not _renew(claim):
        return "lost"
    try:
        gateway.send(letter)
    except Unreachable as problem:
        # Says nothing about this letter, so it counts as no try; the pause grows with the time it has waited.
        pause = min(max((now - message.created_at) / 2, timedelta(seconds=30)), timedelta(minutes=5))
        _put_off(claim, message, until=now + pause, reason=problem.reason, counts=False, begun=True)
        log.warning("mail server unreachable", reason=problem.reason)
        return "unreachable"
    except Rejected as problem:
        return _finish(claim, message, MessageState.FAILED, reason=problem.reason, begun=True)
    except NotDelivered as problem:
        return _try_later(claim, message, now, problem.reason, most=MOST_TRIES)
    except Exception as error:  # as above: parked after some tries, seen by the desk, and the next one goes on
        log.error("letter not sent", message=str(message.public_id), exc_info=error)
        return _try_later(claim, message, now, "error", most=MOST_ERRORS)
    return _finish(claim, message, MessageState.SENT, letter=letter, begun=True)


def _look_again(claim: Claim) -> tuple[Message, datetime] | None:
    """Return the message with all that it speaks of, read now, and the instant; None when the claim is lost."""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
    message = (
        Message.objects.filter(pk=claim.message_id, lease_token=claim.token, state=MessageState.DUE)
        .select_related("appointment__site", "patient")
        .annotate(now=Func(function="clinic_now", output_field=DateTimeField()))
        .first()
    )
    return (message, message.now) if message is not None else None


def _why_not(message: Message, now: datetime) -> str:
    """Return the reason why this message is not to be sent any more, or an empty text."""
    appointment, patient = message.appointment, message.patient
    if patient.deceased_on is not None:
        return "deceased"
    if appointment.is_history:
        return "history"
    if message.kind == MessageKind.CANCELLATION:
        if appointment.status != Status.CANCELLED:
            return "not_cancelled"
    elif appointment.status == Status.CANCELLED:
        return "cancelled"
    elif appointment.status in PRESENT:
        return "arrived"
    elif appointment.status not in BEFORE_ARRIVAL:
        return "visit_over" if appointment.status == Status.DISCHARGED else "missed"
    if now >= appointment.starts_at:
        return "visit_over"
    if cannot := _cannot_be_written_to(patient):
        return cannot
    # A later version without a message of its own (confirmed by telephone) is no reason: what is written is what is true now.
    is_newer = Message.objects.filter(appointment=appointment, version__gt=message.version).exclude(state=MessageState.WITHDRAWN)
    return "superseded" if is_newer.exists() else ""


def _cannot_be_written_to(patient: Patient) -> str:
    if not patient.email.strip():
        return "no_email"
    return "" if patient.accepts_email else "opted_out"


def _quiet_until(message: Message, now: datetime) -> datetime | None:
    """Return when the quiet hours end, if this message has to wait for that.

    What answers an act of the last hour goes out at once, and nothing waits past the hour before the visit.
    """
    if now - message.created_at <= FRESH:
        return None
    begins, ends = settings.QUIET_HOURS
    local = now.astimezone(ZoneInfo(message.appointment.site.time_zone))
    is_quiet = (local.hour >= begins or local.hour < ends) if begins > ends else begins <= local.hour < ends
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1) if local.hour >= ends else local.date()
    until = datetime(day.year, day.month, day.day, ends, tzinfo=local.tzinfo)
    return until if until < message.appointment.arrives_at - timedelta(hours=1) else None


def _renew(claim: Claim) -> bool:
    """Begin a try: lengthen the lease and count. False when the message was withdrawn or is another's by now."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE scheduling_message SET lease_until = clinic_now() + make_interval(secs => %s), attempts = attempts + 1"
                " WHERE id = %s AND lease_token = %s::uuid AND state = 'due'",
                [LEASE.total_seconds(), claim.message_id, str(claim.token)],
            )
            return bool(cursor.rowcount == 1)
    except OperationalError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:  # a verb is changing the case at this moment: let it finish first
            return False
        raise


def _try_later(claim: Claim, message: Message, now: datetime, reason: str, *, most: int) -> str:
    """Put a failed try off for twice as long as the one before, or give up after the last."""
    tries = message.attempts + 1
    if tries >= most:
        return _finish(claim, message, MessageState.FAILED, reason=reason, begun=True)
    pause = min(timedelta(seconds=30) * 2 ** (tries - 1), timedelta(hours=1))
    return _put_off(claim, message, until=now + pause, reason=reason, counts=True, begun=True)


def _put_off(claim: Claim, message: Message, *, until: datetime, reason: str, counts: bool, begun: bool = False) -> str:
    changes: dict[str, Any] = {"due_at": until, "reason": reason, "lease_until": None, "lease_token": None}
    if begun and not counts:
        changes["attempts"] = F("attempts") - 1
    mine = Message.objects.filter(pk=claim.message_id, lease_token=claim.token, state=MessageState.DUE)
    if not mine.update(**changes):
        return "lost"
    log.info("message put off", message=str(message.public_id), reason=reason)
    return "put_off"


def _finish(
    claim: Claim,
    message: Message,
    state: MessageState,
    *,
    reason: str = "",
    letter: letters.Letter | None = None,
    begun: bool = False,
) -> str:
    """Record the end of a message, with its audit event. What has left is recorded as sent even if it was withdrawn meanwhile."""
    changes: dict[str, Any] = {"state": state, "reason": reason, "lease_until": None, "lease_token": None,
                               "done_at": Func(function="clinic_now", output_field=DateTimeField())}  # fmt: skip
    if letter is not None:
        changes |= {
            "subject": letter.subject[:200],
            "text": letter.text,
            "calendar_sequence": message.appointment.calendar_sequence,
        }
    with transaction.atomic():
        mine = Message.objects.filter(pk=claim.message_id, lease_token=claim.token)
        if state != MessageState.SENT:
            mine = mine.filter(state=MessageState.DUE)
        if not mine.update(**changes):
            return "lost"
        trail.record(
            by=ACTOR,
            act="scheduling.send_message",
            outcome="done" if state == MessageState.SENT else "refused",
            subject=message,
            patient=message.patient.public_id,
            site_id=message.appointment.site_id,
            reason_code=reason,
            details={"kind": message.kind, "appointment": str(message.appointment.public_id), "tries": message.attempts + begun},
        )
    return str(state)


def _give_back(claims: Sequence[Claim]) -> int:
    """Let go of claims that were not begun, so that the next sweep need not wait for their leases."""
    given = 0
    for token in {claim.token for claim in claims}:
        mine = [claim.message_id for claim in claims if claim.token == token]
        rows = Message.objects.filter(pk__in=mine, lease_token=token, state=MessageState.DUE)
        given += rows.update(lease_until=None, lease_token=None)
    return given
