"""Claim what is due and send it. The row is the queue; the database's clock says what is due.

What cannot be known is whether a mail arrived when the worker died, or the server's answer was lost, between handing
over and recording. Policy: it is sent again, with the same Message-ID, because a missing instruction does more harm
than a second copy; the message says that it was begun before (``attempts`` above 1).
"""

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
from django.db.models import DateTimeField, Exists, F, Func, OuterRef, QuerySet

from pain_clinic import clock
from pain_clinic.audit import trail
from pain_clinic.errors import LOCK_NOT_AVAILABLE, sqlstate
from scheduling import desk_tasks, letters, links
from scheduling.channels import EmailGateway, Gateway, NotDelivered, Rejected, Unreachable
from scheduling.messages import switch
from scheduling.messages.words import (
    ACTOR,
    BATCH,
    BUDGET,
    CALLS,
    FRESH,
    INVITES,
    LEASE,
    MOST_ERRORS,
    MOST_TRIES,
    NEAR,
    STALE,
    cannot_be_written_to,
)
from scheduling.models import (
    BEFORE_ARRIVAL,
    BEFORE_VISIT,
    PRESENT,
    TOLD_AT_ONCE,
    Ask,
    CadenceStep,
    DeskTask,
    LinkPurpose,
    Message,
    MessageKind,
    MessageState,
    Status,
    TaskKind,
    Wording,
)

log = structlog.get_logger("scheduling.messages")

NOW = Func(function="clinic_now", output_field=DateTimeField())
_OTHERS = Message.objects.filter(appointment=OuterRef("appointment"))
# The page of the visit says how things stand even when they have changed; after the visit there is nothing to open.
PURPOSES = {
    **dict.fromkeys((*INVITES, MessageKind.PLAN_READY, *BEFORE_VISIT), LinkPurpose.VISIT),
    MessageKind.FOLLOW_UP: LinkPurpose.SCORE,
}
GLANCE = 2.0  # seconds of sending between two looks at what is due, so that a booking's mail waits for no pile of reminders


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that this worker, and no other, may send while its lease holds."""

    message_id: int
    token: uuid.UUID


def sweep(*, limit: int = BATCH, gateway: Gateway | None = None, budget: timedelta = BUDGET) -> Counter[str]:
    """Claim what is due and deliver it, a few seconds' worth at a time; return how many had which outcome."""
    tally: Counter[str] = Counter()
    ends = time.monotonic() + budget.total_seconds()
    door = gateway or EmailGateway()
    few = max(1, min(limit, round(settings.MESSAGES_PER_SECOND * GLANCE)))
    try:
        while (left := ends - time.monotonic()) > 0 and tally.total() < limit:
            claimed = claim_due(limit=min(few, limit - tally.total()))
            if not claimed:
                break
            tally += deliver(claimed=claimed, gateway=door, budget=timedelta(seconds=left))
            if tally["unreachable"] or tally["stopped"]:
                break
    finally:
        door.close()
    return tally


def claim_due(*, limit: int = BATCH) -> tuple[Claim, ...]:
    """Take due messages that nobody holds, confirmations first; what another worker is just taking is passed over.

    While sending is stopped nothing is taken.
    """
    token = uuid.uuid4()
    with transaction.atomic(), connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute(
            """
            WITH due AS (
                SELECT id FROM scheduling_message
                WHERE NOT EXISTS (SELECT 1 FROM scheduling_dispatch WHERE is_stopped)
                  AND state = 'due' AND due_at <= clinic_now() AND (lease_until IS NULL OR lease_until <= clinic_now())
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
    given back untouched. A gateway that was handed in stays open.
    """
    tally: Counter[str] = Counter()
    waiting = list(claimed)
    ends = time.monotonic() + budget.total_seconds()
    door = gateway or EmailGateway()
    own = _own_words()
    try:
        while waiting and time.monotonic() < ends:
            outcome = _deliver_one(waiting.pop(0), door, own)
            tally[outcome] += 1
            if outcome in {"unreachable", "stopped"}:
                break
    finally:
        if gateway is None:
            door.close()
    if waiting:
        tally["given_back"] = _give_back(waiting)
    return tally


def _deliver_one(claim: Claim, gateway: Gateway, own: letters.OwnWords) -> str:
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
        letter = letters.write(message, at=now, known=_known(message, own))
    except Exception as error:  # one letter that cannot be written must not hold up the others
        if not _renew(claim):
            return "lost"
        log.error("letter not written", message=str(message.public_id), exc_info=error)
        return _try_later(claim, message, now, "error", most=MOST_ERRORS)
    if message.attempts >= 2 * MOST_TRIES:
        return _finish(claim, message, MessageState.FAILED, reason="gave_up")
    wait = switch.wait_before_next(settings.MESSAGES_PER_SECOND)
    if wait is None:
        _give_back([claim])
        return "stopped"
    time.sleep(wait)
    if not _renew(claim):  # after the pause: what was withdrawn during it does not leave
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
    message: Any = (
        Message.objects.filter(pk=claim.message_id, lease_token=claim.token, state=MessageState.DUE)
        .select_related("appointment__site", "appointment__procedure", "patient__home_site")
        .annotate(
            now=NOW,
            has_newer=Exists(_OTHERS.filter(kind__in=TOLD_AT_ONCE, calendar_sequence__gt=OuterRef("calendar_sequence"))
                             .exclude(state=MessageState.WITHDRAWN)),
            is_overtaken=Exists(_OTHERS.filter(kind=OuterRef("kind"), planned_at__gt=OuterRef("planned_at"), planned_at__lte=NOW,
                                               state__in=(MessageState.DUE, MessageState.SENT))),
            has_plan=Exists(_OTHERS.filter(kind=MessageKind.PLAN_READY,
                                           calendar_sequence=OuterRef("appointment__calendar_sequence"))
                            .exclude(state=MessageState.WITHDRAWN)),
            is_question=Exists(CadenceStep.objects.filter(code=OuterRef("step"), asks_to_confirm=True)),
            is_asked=Exists(Ask.objects.filter(appointment=OuterRef("appointment"), step=OuterRef("step"))),
            has_call=Exists(DeskTask.objects.filter(appointment=OuterRef("appointment"), done_at=None,
                                                    kind__in=(TaskKind.MAIL_FAILED, TaskKind.NO_EMAIL))),
            has_merged=Exists(_OTHERS.filter(calendar_sequence=OuterRef("calendar_sequence"), reason="merged",
                                             step__in=CadenceStep.objects.filter(asks_to_confirm=True).values("code"))),
        )
        .first()
    )  # fmt: skip
    return (message, message.now) if message is not None else None


def _known(message: Any, own: letters.OwnWords) -> letters.Known:
    """Make the links of this mail, and gather what the writer has to be told."""
    now = message.now
    purpose = PURPOSES.get(message.kind)
    event = _last_told(message) if message.kind == MessageKind.CHANGE else None
    return letters.Known(
        link=links.issue(message=message, purpose=purpose, at=now) if purpose else "",
        unsubscribe=links.issue(message=message, purpose=LinkPurpose.UNSUBSCRIBE, at=now),
        asks=message.has_merged if message.kind in INVITES else message.kind == MessageKind.REMINDER,
        is_question=message.is_question,
        has_plan=message.has_plan,
        old_arrives_at=event.arrives_at if event else None,
        old_place=event.site.name if event else "",
        own=own,
    )


def _last_told(message: Message) -> Any:
    """Return the case as the last mail told it, out of its row history; None when what the patient sees is the same."""
    last = (
        Message.objects.filter(appointment=message.appointment_id, kind__in=INVITES, state=MessageState.SENT)
        .filter(calendar_sequence__lt=message.appointment.calendar_sequence)
        .order_by("-calendar_sequence", "-pk")
        .first()
    )
    if last is None:
        return None
    history: Any = message.appointment
    event = history.events.filter(calendar_sequence=last.calendar_sequence).select_related("site").order_by("-pgh_id").first()
    if event is None or (event.arrives_at, event.site_id) == (message.appointment.arrives_at, message.appointment.site_id):
        return None
    return event


def _own_words() -> letters.OwnWords:
    """Return the clinic's own words as they are now, by passage and language."""
    rows = Wording.objects.order_by("key", "language", "-version").distinct("key", "language")
    return {(row.key, row.language): row.text for row in rows if row.text}


def _why_not(message: Any, now: datetime) -> str:
    """Return the reason why this message is not to be sent any more, or an empty text."""
    appointment, patient = message.appointment, message.patient
    if patient.deceased_on is not None:
        return "deceased"
    if appointment.is_history:
        return "history"
    reason = _why_not_now(message, now)
    if reason:
        return reason
    if cannot := cannot_be_written_to(patient):
        return cannot
    if message.planned_at is None:
        # A later date without a message of its own is no reason: what is written is what is true now.
        return "superseded" if message.has_newer else ""
    if message.calendar_sequence < appointment.calendar_sequence:
        return "superseded"
    if now - message.planned_at > STALE and message.kind in BEFORE_VISIT:
        return "stale"
    return "overtaken" if message.kind == MessageKind.REMINDER and message.is_overtaken else ""


def _why_not_now(message: Any, now: datetime) -> str:
    """Return why the state of the case speaks against this message, or an empty text."""
    appointment, kind, status = message.appointment, message.kind, message.appointment.status
    if kind == MessageKind.CANCELLATION:
        if status != Status.CANCELLED:
            return "not_cancelled"
    elif kind == MessageKind.NO_SHOW:
        return "" if status == Status.NO_SHOW else "not_missed"
    elif kind in (MessageKind.FOLLOW_UP, MessageKind.RECALL):
        if status != Status.DISCHARGED:
            return "not_done"
        return "nothing_asked" if kind == MessageKind.FOLLOW_UP and not message.is_asked else ""
    elif status == Status.CANCELLED:
        return "cancelled"
    elif status in PRESENT:
        return "arrived"
    elif status not in BEFORE_ARRIVAL:
        return "visit_over" if status == Status.DISCHARGED else "missed"
    if now >= appointment.starts_at:
        return "visit_over"
    return "too_late" if kind in BEFORE_VISIT and now > appointment.arrives_at - NEAR / 2 else ""


def _quiet_until(message: Message, now: datetime) -> datetime | None:
    """Return when the quiet hours in the patient's zone end, if this message has to wait for that.

    What answers an act of the last hour goes out at once, and so does what could not wait because the visit is near;
    a planned message is never sent at night.
    """
    if message.kind in TOLD_AT_ONCE and now - message.created_at <= FRESH:
        return None
    begins, ends = settings.QUIET_HOURS
    local = now.astimezone(ZoneInfo(message.patient.zone))
    is_quiet = (local.hour >= begins or local.hour < ends) if begins > ends else begins <= local.hour < ends
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1) if local.hour >= ends else local.date()
    until = datetime(day.year, day.month, day.day, ends, tzinfo=local.tzinfo)
    if message.kind in TOLD_AT_ONCE and until >= message.appointment.arrives_at - NEAR:
        return None
    return until


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
        changes |= {"subject": letter.subject[:200], "text": links.mask(letter.text)}
        told = message.appointment.calendar_sequence
        if told != message.calendar_sequence and not _twin(message, told).exists():
            changes["calendar_sequence"] = told
    with transaction.atomic():
        mine = Message.objects.filter(pk=claim.message_id, lease_token=claim.token)
        if state != MessageState.SENT:
            mine = mine.filter(state=MessageState.DUE)
        if not mine.update(**changes):
            return "lost"
        _mind_the_desk(message, state, reason)
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


def _mind_the_desk(message: Any, state: MessageState, reason: str) -> None:
    """Give the desk a call to make when a mail cannot say it, and take the call back when a later mail could."""
    kind = TaskKind.MAIL_FAILED if state == MessageState.FAILED else CALLS.get(reason)
    if kind is not None:
        desk_tasks.open_task(
            kind=kind, patient=message.patient, appointment=message.appointment, message=message, by=ACTOR, at=message.now,
            reason=reason,
        )  # fmt: skip
    elif state == MessageState.SENT and message.has_call:
        for each in (TaskKind.MAIL_FAILED, TaskKind.NO_EMAIL):
            desk_tasks.settle(kind=each, appointment=message.appointment, by=ACTOR, at=message.now)


def _twin(message: Message, sequence: int) -> QuerySet[Message]:
    return Message.objects.filter(
        appointment=message.appointment_id, kind=message.kind, step=message.step, calendar_sequence=sequence
    )


def _give_back(claims: Sequence[Claim]) -> int:
    """Let go of claims that were not begun, so that the next sweep need not wait for their leases."""
    given = 0
    for token in {claim.token for claim in claims}:
        mine = [claim.message_id for claim in claims if claim.token == token]
        rows = Message.objects.filter(pk__in=mine, lease_token=token, state=MessageState.DUE)
        given += rows.update(lease_until=None, lease_token=None)
    return given
