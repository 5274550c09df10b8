"""The world at the moment of sending: the message with all it speaks of, what speaks against it, what the writer is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from pain_clinic import clock
from pain_clinic.accounts.models import Site
from pain_clinic.statements import Columns
from patients.models import Patient
from procedures.models import Procedure
from scheduling import holdplan, letters, links
from scheduling.messages.words import FRESH, INVITES, NEAR, NO_PLAN, NOT_ASKED, STALE, cannot_be_written_to
from scheduling.models import (
    AFTER_VISIT,
    BEFORE_VISIT,
    TOLD_AT_ONCE,
    Appointment,
    Ask,
    CadenceStep,
    LinkPurpose,
    Message,
    MessageKind,
    MessageState,
    TaskKind,
    Wording,
)

# The page of the visit says how things stand even when they have changed; after the visit there is nothing to open.
PURPOSES: dict[str, LinkPurpose] = {
    **dict.fromkeys((*INVITES, MessageKind.PLAN_READY, *BEFORE_VISIT), LinkPurpose.VISIT),
    MessageKind.FOLLOW_UP: LinkPurpose.SCORE,
    MessageKind.COURSE: LinkPurpose.COURSE,
}
MODELS = (("m", Message), ("a", Appointment), ("s", Site), ("pr", Procedure), ("p", Patient), ("h", Site))
# One statement a message: the rows, the instant, and what other rows say about it. {rows} are the columns of MODELS.
_LOOK = """
    SELECT {rows}, clinic_now(),
        EXISTS (SELECT 1 FROM scheduling_dispatch WHERE is_stopped),
        EXISTS (SELECT 1 FROM scheduling_message o WHERE o.appointment_id = m.appointment_id AND o.kind = ANY(%(told)s)
                AND o.calendar_sequence > m.calendar_sequence AND o.state <> 'withdrawn'),
        EXISTS (SELECT 1 FROM scheduling_message o WHERE o.appointment_id = m.appointment_id AND o.kind = m.kind
                AND o.planned_at > m.planned_at AND o.planned_at <= clinic_now() AND o.state IN ('due', 'sent')),
        EXISTS (SELECT 1 FROM scheduling_message o WHERE o.appointment_id = m.appointment_id AND o.kind = 'plan_ready'
                AND o.calendar_sequence = a.calendar_sequence AND o.state <> 'withdrawn'),
        EXISTS (SELECT 1 FROM scheduling_cadencestep c WHERE c.code = m.step AND c.asks_to_confirm),
        EXISTS (SELECT 1 FROM scheduling_desktask t WHERE t.appointment_id = m.appointment_id AND t.done_at IS NULL
                AND t.kind = ANY(%(calls)s)),
        EXISTS (SELECT 1 FROM scheduling_message o JOIN scheduling_cadencestep c ON c.code = o.step AND c.asks_to_confirm
                WHERE o.appointment_id = m.appointment_id AND o.calendar_sequence = m.calendar_sequence AND o.reason = 'merged'),
        EXISTS (SELECT 1 FROM scheduling_bouncingaddress b WHERE b.cleared_at IS NULL)
    FROM scheduling_message m JOIN scheduling_appointment a ON a.id = m.appointment_id
    JOIN accounts_site s ON s.id = a.site_id JOIN procedures_procedure pr ON pr.id = a.procedure_id
    JOIN patients_patient p ON p.id = m.patient_id JOIN accounts_site h ON h.id = p.home_site_id
    WHERE m.id = %(id)s AND m.lease_token = %(token)s::uuid AND m.state = 'due'
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message with its case, site, procedure, patient and the patient's home joined, and what other rows say of it.

    `has_plan`: the patient was told that the medicine plan is ready, or is about to be; after `with_plan`: and it is still.
    """

    message: Message
    now: datetime
    is_stopped: bool
    has_newer: bool
    is_overtaken: bool
    has_plan: bool
    is_question: bool
    has_call: bool
    has_merged: bool
    has_bounces: bool  # any address at all


@cache
def _look() -> tuple[str, tuple[Columns[Any], ...]]:
    columns = tuple(Columns(model, alias) for alias, model in MODELS)
    return _LOOK.format(rows=", ".join(each.text for each in columns)), columns


def look_again(message_id: int, token: UUID) -> Seen | None:
    """Read the message and its world now; None when the claim is lost."""
    statement, columns = _look()
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute(statement, {
            "id": message_id, "token": str(token), "told": [str(kind) for kind in TOLD_AT_ONCE],
            "calls": [str(TaskKind.MAIL_FAILED), str(TaskKind.NO_EMAIL)],
        })  # fmt: skip
        values = cursor.fetchone()
    if values is None:
        return None
    rows, first = [], 0
    for each in columns:
        rows.append(each.row(values, first))
        first += len(each)
    message, appointment, site, procedure, patient, home = rows
    appointment.site, appointment.procedure, appointment.patient = site, procedure, patient
    patient.home_site = home
    message.appointment, message.patient = appointment, patient
    return Seen(message, *values[first:])


def with_plan(seen: Seen) -> Seen:
    """Return what was seen, with whether the medicine plan is ready still: a rule, a fact or a word may have taken it back.

    This reads all that the rules read, and raises what breaks it off. Where nobody knows whether the plan stands, a mail says
    "call us" instead of it; only the notice that it is ready has nothing else to say.

    Raises:
        holdplan.NotKnown: nobody knows, and this is the notice.
    """
    message = seen.message
    is_notice = message.kind == MessageKind.PLAN_READY
    if not seen.has_plan and not is_notice:
        return seen
    ask = holdplan.told_for_certain if is_notice else holdplan.told_to_patient
    return replace(seen, has_plan=bool(ask(case=message.appointment, at=seen.now)))


def is_plan_ready(appointment: Appointment, at: datetime, broken_by: holdplan.Breaks = holdplan.ANY) -> bool:
    """Say whether the page behind the link shows the medicine plan now; `broken_by` is as for `holdplan.told_for_certain`."""
    return bool(holdplan.told_to_patient(case=appointment, at=at, broken_by=broken_by))


def known(seen: Seen, own: letters.OwnWords) -> letters.Known:
    """Make the links of this mail, and gather what the writer has to be told."""
    message, purpose = seen.message, PURPOSES.get(seen.message.kind)
    unsubscribe, *others = links.issue_all(
        message=message, purposes=[LinkPurpose.UNSUBSCRIBE, *([purpose] if purpose else [])], at=seen.now
    )
    return letters.Known(
        link=others[0] if others else "",
        unsubscribe=unsubscribe,
        asks=_asks(message, seen.has_merged),
        is_question=seen.is_question,
        has_plan=seen.has_plan,
        is_diary=_is_diary(message),
        own=own,
        **_before(message),
    )


def draft(*, message: Message, at: datetime) -> letters.Letter:
    """Return a waiting message (its case, site, procedure and patient joined) as it would read if it left now.

    Nothing is written down: where a link will stand, its address is masked.
    """
    asking = CadenceStep.objects.filter(asks_to_confirm=True).values("code")
    of_the_case = Message.objects.filter(appointment=message.appointment_id)
    merged = of_the_case.filter(calendar_sequence=message.calendar_sequence, reason="merged", step__in=asking)
    plans = of_the_case.filter(kind=MessageKind.PLAN_READY, calendar_sequence=message.appointment.calendar_sequence)
    masked = links.address_of("***")
    known = letters.Known(
        link=masked if message.kind in PURPOSES else "",
        unsubscribe=masked,
        asks=_asks(message, message.kind in INVITES and merged.exists()),
        is_question=bool(message.step) and asking.filter(code=message.step).exists(),
        has_plan=plans.exclude(state=MessageState.WITHDRAWN).exists() and is_plan_ready(message.appointment, at),
        is_diary=_is_diary(message),
        own=own_words(),
        **_before(message),
    )
    return letters.write(message, at=at, known=known)


def _asks(message: Message, has_merged: bool) -> bool:
    return has_merged if message.kind in INVITES else bool(message.kind == MessageKind.REMINDER)


def _is_diary(message: Message) -> bool:
    """Say whether the questions behind this mail's link come several times."""
    if message.kind != MessageKind.FOLLOW_UP:
        return False
    return Ask.objects.behind(message).exclude(slot="").exists()


def _before(message: Message) -> dict[str, Any]:
    """Return when and where the visit was when the patient was last told, for a letter that says what changed."""
    event = _last_told(message) if message.kind == MessageKind.CHANGE else None
    return {"old_arrives_at": event.arrives_at, "old_place": event.site.name} if event else {}


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


def own_words() -> letters.OwnWords:
    """Return the clinic's own words as they are now, by passage and language."""
    rows = Wording.objects.order_by("key", "language", "-version").distinct("key", "language")
    return {(row.key, row.language): row.text for row in rows if row.text}


def why_not(seen: Seen) -> str:
    """Return the reason why this message is not to be sent any more, or an empty text."""
    message, now = seen.message, seen.now
    appointment, patient = message.appointment, message.patient
    if patient.deceased_on is not None:
        return "deceased"
    if appointment.is_history and message.kind != MessageKind.COURSE:
        return "history"
    reason = _why_not_now(message, now)
    if reason:
        return reason
    if (not patient.email.strip() or not patient.accepts_email or seen.has_bounces) and (cannot := cannot_be_written_to(patient)):
        return cannot
    if message.kind == MessageKind.COURSE:
        return ""
    if message.planned_at is None:
        # A later date without a message of its own is no reason: what is written is what is true now.
        return "superseded" if seen.has_newer else ""
    if message.calendar_sequence < appointment.calendar_sequence:
        return "superseded"
    if now - message.planned_at > STALE and message.kind in BEFORE_VISIT:
        return "stale"
    return "overtaken" if message.kind == MessageKind.REMINDER and seen.is_overtaken else ""


def is_without_plan(seen: Seen) -> bool:
    """Say whether this is the notice of a plan that is not ready any more."""
    return seen.message.kind == MessageKind.PLAN_READY and not seen.has_plan


def _why_not_now(message: Message, now: datetime) -> str:
    """Return why status and time of the case speak against this message, or an empty text."""
    appointment, kind = message.appointment, message.kind
    reason = message.against()
    if reason or kind in AFTER_VISIT or kind == MessageKind.COURSE:
        return reason
    if now >= appointment.starts_at:
        return "visit_over"
    return "too_late" if kind in BEFORE_VISIT and now > appointment.arrives_at - NEAR / 2 else ""


def cannot_leave(message: Message, *, at: datetime) -> str:
    """Return why a message that did not leave would not leave now either, or an empty text (appointment and patient joined)."""
    if not message.may_help_again:
        return message.against() or cannot_be_written_to(message.patient) or message.reason
    untold = _why_not_told(message, at) if message.kind == MessageKind.PLAN_READY else ""
    return untold or _why_not_now(message, at) or cannot_be_written_to(message.patient)


def _why_not_told(notice: Message, at: datetime) -> str:
    """Return why a notice has nothing to tell: a later one does, no plan is ready, or nobody can say so; or an empty text."""
    later = Message.objects.filter(appointment=notice.appointment_id, kind=MessageKind.PLAN_READY, pk__gt=notice.pk)
    if later.filter(state__in=(MessageState.DUE, MessageState.SENT)).exists():
        return "superseded"
    try:
        return "" if holdplan.told_for_certain(case=notice.appointment, at=at) else NO_PLAN
    except holdplan.NotKnown:
        return NOT_ASKED


def quiet_until(seen: Seen) -> datetime | None:
    """Return when the quiet hours in the patient's zone end, if this message has to wait for that.

    What answers an act of the last hour goes out at once, and so does what could not wait because the visit is near;
    a planned message is never sent at night.
    """
    message, now = seen.message, seen.now
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
