"""Claim what is due and send it. The row is the queue; the database's clock says what is due.

What cannot be known is whether a mail arrived when the worker died, or the server's answer was lost, between handing
over and recording. Policy: it is sent again, with the same Message-ID, because a missing instruction does more harm
than a second copy; the message says that it was begun before (``attempts`` above 1).
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F, QuerySet

from pain_clinic import clock
from pain_clinic.audit import trail
from pain_clinic.errors import LOCK_NOT_AVAILABLE, sqlstate
from scheduling import desk_tasks, letters, links
from scheduling.channels import Crew, Gateway, NotDelivered, Rejected, Unreachable
from scheduling.messages import looking, restoring, switch
from scheduling.messages.looking import Seen
from scheduling.messages.words import (
    ACTOR,
    BATCH,
    BUDGET,
    CALLS,
    LEASE,
    MOST_ERRORS,
    MOST_TRIES,
    MOST_UNFINISHED,
    NO_PLAN,
    NOT_ASKED,
)
from scheduling.models import (
    Message,
    MessageKind,
    MessageState,
    TaskKind,
)

log = structlog.get_logger("scheduling.messages")

# The instant is asked once, as a value of its own: so the index finds what is due of each priority, however much waits for later.
_CLAIM = """
    WITH due AS (
        SELECT id FROM scheduling_message
        WHERE NOT EXISTS (SELECT 1 FROM scheduling_dispatch WHERE is_stopped)
          AND state = 'due' AND due_at <= (SELECT clinic_now()) AND (lease_until IS NULL OR lease_until <= (SELECT clinic_now()))
        ORDER BY priority, due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE scheduling_message AS message
    SET lease_until = clinic_now() + make_interval(secs => %s), lease_token = %s::uuid
    FROM due WHERE message.id = due.id
    RETURNING message.priority, message.due_at, message.id
"""
# What has left is recorded as sent even if it was withdrawn meanwhile; anything else only of what is still due.
_FINISH = """
    UPDATE scheduling_message SET state = %(state)s, reason = %(reason)s, subject = %(subject)s, text = %(text)s,
           calendar_sequence = %(sequence)s, lease_until = NULL, lease_token = NULL, done_at = clinic_now()
    WHERE id = %(id)s AND lease_token = %(token)s::uuid AND (%(is_sent)s OR state = 'due')
"""
FIRST = 20  # mails claimed by a worker that does not know yet how fast they leave
GLANCE = 2.0  # seconds of sending between two looks at what is due, so that a booking's mail waits for no pile of reminders


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that this worker, and no other, may send while its lease holds."""

    message_id: int
    token: uuid.UUID


@dataclass(frozen=True, slots=True)
class _Flight:
    """A letter on its way, with what was seen of its message right before."""

    claim: Claim
    seen: Seen
    letter: letters.Letter


def sweep(*, limit: int = BATCH, gateway: Gateway | None = None, budget: timedelta = BUDGET) -> Counter[str]:
    """Claim what is due and deliver it, a few seconds' worth at a time; return how many had which outcome.

    How many that is follows from how fast the last ones left: what a worker holds at its end waits for its leases.
    """
    most = max(1, min(limit, round(settings.MESSAGES_PER_SECOND * GLANCE)))
    few = min(FIRST, most)
    restoring.mind_a_restore()
    with _Round(gateway, budget) as tour:
        while not tour.is_over and (left := limit - tour.count) > 0:
            began = time.monotonic()
            claimed = claim_due(limit=min(few, left))
            if not claimed:
                break
            tour.send(claimed)
            rate = len(claimed) / max(time.monotonic() - began, 0.001)
            few = max(min(FIRST, most), min(most, round(rate * GLANCE)))
    return tour.tally


def claim_due(*, limit: int = BATCH) -> tuple[Claim, ...]:
    """Take due messages that nobody holds, confirmations first; what another worker is just taking is passed over.

    While sending is stopped nothing is taken.
    """
    token = uuid.uuid4()
    with connection.cursor() as cursor:  # one statement, so that it is its own transaction
        clock.apply_clock(cursor)
        cursor.execute(_CLAIM, [min(limit, BATCH), LEASE.total_seconds(), str(token)])
        rows = sorted(cursor.fetchall())
    return tuple(Claim(message_id=row[2], token=token) for row in rows)


def deliver(*, claimed: Sequence[Claim], gateway: Gateway | None = None, budget: timedelta = BUDGET) -> Counter[str]:
    """Send what was claimed, outside any transaction; return how many had which outcome.

    A letter that fails never stops the next. When the server cannot be reached at all, or the time is up, the rest is
    given back untouched. A gateway that was handed in stays open.
    """
    with _Round(gateway, budget) as tour:
        tour.send(claimed)
    return tour.tally


class _Round:
    """One worker's turn at sending: it looks, writes and records, while the crew has a few letters on their way."""

    def __init__(self, gateway: Gateway | None, budget: timedelta) -> None:
        self.tally: Counter[str] = Counter()
        self.ends = time.monotonic() + budget.total_seconds()
        self.pace = switch.Pace(settings.MESSAGES_PER_SECOND)
        self.crew: Crew[_Flight] = Crew(gateway, hands=settings.MESSAGES_IN_FLIGHT)

    def __enter__(self) -> _Round:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while kind is None and self.crew.flying:
                self._record()
        finally:
            self.crew.close()

    @property
    def count(self) -> int:
        """Return how many messages were taken up."""
        return self.tally.total() + self.crew.flying

    @property
    def is_over(self) -> bool:
        return bool(self.tally["unreachable"] or self.tally["stopped"]) or time.monotonic() >= self.ends

    def send(self, claimed: Sequence[Claim]) -> None:
        """Begin every message that was claimed; some may be on their way when this returns."""
        waiting, own = deque(claimed), looking.own_words()
        while waiting:
            self._record(within=None if self.crew.is_full else 0)
            if self.is_over:
                break
            outcome = self._begin(waiting.popleft(), own, len(waiting))
            if outcome:
                self.tally[outcome] += 1
        if waiting:
            self.tally["given_back"] += _give_back(waiting)

    def _begin(self, claim: Claim, own: letters.OwnWords, more: int) -> str:
        """Look at the world again, write, renew the lease, and send on its way; a word when it went no further."""
        seen = looking.look_again(claim.message_id, claim.token)
        if seen is None:
            return "lost"
        message, now = seen.message, seen.now
        reason = looking.why_not(seen)
        if reason:
            return _finish(claim, seen, MessageState.SKIPPED, reason=reason)
        try:
            seen = looking.with_plan(seen)
        except Exception as error:  # the rules are down for this case, and maybe for no other; they may be asked later
            log.error("plan not known", message=str(message.public_id), exc_info=error)
            return _broke_off(claim, seen, NOT_ASKED, most=MOST_TRIES)
        if looking.is_without_plan(seen):
            return _finish(claim, seen, MessageState.SKIPPED, reason=NO_PLAN)
        quiet_until = looking.quiet_until(seen)
        if quiet_until is not None:
            return _put_off(claim, message, until=quiet_until, reason="quiet_hours", counts=False)
        moment = None if seen.is_stopped else self.pace.wait(more)
        if moment is None:
            _give_back([claim])
            return "stopped"
        try:
            letter = letters.write(message, at=now, known=looking.known(seen, own))
        except Exception as error:  # one letter that cannot be written must not hold up the others
            log.error("letter not written", message=str(message.public_id), exc_info=error)
            return _broke_off(claim, seen, "error", most=MOST_ERRORS)
        if message.attempts - message.failures >= MOST_UNFINISHED:
            return _finish(claim, seen, MessageState.FAILED, reason="gave_up")
        self._rest(moment)
        if not _renew(claim):  # after the pause: what was withdrawn during it does not leave
            return "lost"
        self.crew.carry(letter, _Flight(claim, seen, letter))
        return ""

    def _rest(self, until: float) -> None:
        """Wait for the moment to send, and record meanwhile what lands."""
        while (left := until - time.monotonic()) > 0:
            if self.crew.flying:
                self._record(within=left)
            else:
                time.sleep(left)

    def _record(self, within: float | None = None) -> None:
        """Record what has landed; without a limit, wait until something has."""
        for flight, problem in self.crew.landed(within=within):
            self.tally[_landed(flight, problem)] += 1


def _broke_off(claim: Claim, seen: Seen, reason: str, *, most: int) -> str:
    """Put off a letter that could not be made, so that it holds up no other."""
    return _try_later(claim, seen, reason, most=most) if _renew(claim) else "lost"


def _landed(flight: _Flight, problem: BaseException | None) -> str:
    """Record what became of a letter; return one word for it."""
    claim, seen = flight.claim, flight.seen
    if problem is None:
        return _finish(claim, seen, MessageState.SENT, letter=flight.letter, begun=True)
    if isinstance(problem, Unreachable):
        # Says nothing about this letter, so it counts as no try; the pause grows with the time it has waited.
        pause = min(max((seen.now - seen.message.created_at) / 2, timedelta(seconds=30)), timedelta(minutes=5))
        _put_off(claim, seen.message, until=seen.now + pause, reason=problem.reason, counts=False, begun=True)
        log.warning("mail server unreachable", reason=problem.reason)
        return "unreachable"
    if isinstance(problem, Rejected):
        return _finish(claim, seen, MessageState.FAILED, reason=problem.reason, begun=True)
    if isinstance(problem, NotDelivered):
        return _try_later(claim, seen, problem.reason, most=MOST_TRIES)
    # As one that cannot be written: parked after some tries, seen by the desk, and the next one goes on.
    log.error("letter not sent", message=str(seen.message.public_id), exc_info=problem)
    return _try_later(claim, seen, "error", most=MOST_ERRORS)


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


def _try_later(claim: Claim, seen: Seen, reason: str, *, most: int) -> str:
    """Put a failed try off for twice as long as the one before, or give up after the last.

    Only failures count: a try that ended with its worker says nothing about the letter, and makes no pause longer.
    """
    message, now = seen.message, seen.now
    failures = message.failures + 1
    if failures >= most:
        return _finish(claim, seen, MessageState.FAILED, reason=reason, begun=True)
    pause = min(timedelta(seconds=30) * 2 ** (failures - 1), timedelta(hours=1))
    return _put_off(claim, message, until=now + pause, reason=reason, counts=True, begun=True)


def _put_off(claim: Claim, message: Message, *, until: datetime, reason: str, counts: bool, begun: bool = False) -> str:
    changes: dict[str, Any] = {"due_at": until, "reason": reason, "lease_until": None, "lease_token": None}
    if counts:
        changes["failures"] = F("failures") + 1
    elif begun:
        changes["attempts"] = F("attempts") - 1
    mine = Message.objects.filter(pk=claim.message_id, lease_token=claim.token, state=MessageState.DUE)
    if not mine.update(**changes):
        return "lost"
    log.info("message put off", message=str(message.public_id), reason=reason)
    return "put_off"


def _finish(
    claim: Claim,
    seen: Seen,
    state: MessageState,
    *,
    reason: str = "",
    letter: letters.Letter | None = None,
    begun: bool = False,
) -> str:
    """Record the end of a message, with its audit event. What has left is recorded as sent even if it was withdrawn meanwhile."""
    message, sequence = seen.message, seen.message.calendar_sequence
    if letter is not None and message.appointment.calendar_sequence != sequence:
        told = message.appointment.calendar_sequence
        sequence = sequence if _twin(message, told).exists() else told
    given: dict[str, Any] = {
        "state": str(state), "reason": reason, "subject": letter.subject[:200] if letter else message.subject,
        "text": links.mask(letter.text) if letter else message.text, "sequence": sequence, "id": claim.message_id,
        "token": str(claim.token), "is_sent": state == MessageState.SENT,
    }  # fmt: skip
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_FINISH, given)
            if not cursor.rowcount:
                return "lost"
        _mind_the_desk(seen, state, reason)
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


def _mind_the_desk(seen: Seen, state: MessageState, reason: str) -> None:
    """Give the desk a call to make when a mail cannot say it, and take the call back when a later mail could."""
    message = seen.message
    if message.kind == MessageKind.COURSE:
        return  # nothing is lost: the desk calls before it books
    kind = TaskKind.MAIL_FAILED if state == MessageState.FAILED else CALLS.get(reason)
    if kind is not None:
        desk_tasks.open_task(
            kind=kind, patient=message.patient, appointment=message.appointment, message=message, by=ACTOR, at=seen.now,
            reason=reason,
        )  # fmt: skip
    elif state == MessageState.SENT and seen.has_call:
        for each in (TaskKind.MAIL_FAILED, TaskKind.NO_EMAIL):
            desk_tasks.settle(kind=each, appointment=message.appointment, by=ACTOR, at=seen.now)


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
