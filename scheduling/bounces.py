"""What becomes of a mail that came back: the message is marked, the address gets no more, the desk is asked to call."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden
from patients.models import Patient
from scheduling import bounce_box, delivery_reports, desk_tasks
from scheduling.delivery_reports import Report
from scheduling.models import (
    BounceKind,
    BouncingAddress,
    DeliveryReport,
    Message,
    MessageState,
    TaskKind,
    folded_address,
)

log = structlog.get_logger("scheduling.bounces")
ACTOR = Actor.system("bounces")
REMEMBERED = timedelta(days=30)  # how far back a report without our id is matched by its address
TASKS = {BounceKind.BOUNCE: TaskKind.ADDRESS_BOUNCES, BounceKind.COMPLAINT: TaskKind.COMPLAINED}


def note(*, report: Report, source: str, by: Actor, at: datetime, is_trusted: bool = False) -> str:
    """Take note of one report and return what it was: `noted`, `known` or `foreign`. The same report again is known.

    A report names our message by its id, which nobody can guess. Without it, only a trusted source (a provider that
    has shown its secret) is believed about an address.
    """
    with transaction.atomic():
        message = _message_of(report, at, is_trusted)
        if message is None:
            return "foreign"
        kept, is_new = DeliveryReport.objects.get_or_create(
            key=report.key,
            defaults={
                "source": source[:20], "kind": report.kind, "is_final": report.is_final, "reason": report.reason[:60],
                "message": message, "noted_at": at,
            },
        )  # fmt: skip
        if not is_new:
            return "known"
        patient = message.patient
        is_theirs = folded_address(patient.email) in report.recipients
        if report.is_final and is_theirs:
            _mark_address(folded_address(patient.email), kept, at)
        if report.kind == BounceKind.BOUNCE:
            Message.objects.filter(pk=message.pk, state=MessageState.SENT).update(
                state=MessageState.FAILED, reason=f"bounced_{report.reason}"[:60]
            )
        if is_theirs:  # an address that was changed since needs no call
            desk_tasks.open_task(
                kind=TASKS[BounceKind(report.kind)], patient=patient, appointment=message.appointment, message=message,
                by=by, at=at, reason=report.reason,
            )  # fmt: skip
        trail.record(
            by=by, act="scheduling.note_bounce", subject=message, patient=patient.public_id,
            site_id=message.appointment.site_id, reason_code=report.reason,
            details={"kind": report.kind, "final": report.is_final, "source": source},
        )  # fmt: skip
    return "noted"


def clear(*, patient: Patient, by: Actor, at: datetime) -> bool:
    """Let mails go to the patient's address again; say whether anything stood against it.

    Raises:
        Forbidden: the actor may not change patients.
    """
    if not by.may("patients.change_patient"):
        raise Forbidden("not_allowed", "You may not change patients.")
    with transaction.atomic():
        standing = BouncingAddress.objects.standing().filter(address=folded_address(patient.email))
        was_marked = bool(standing.update(cleared_at=at))
        if was_marked:
            trail.record(
                by=by, act="scheduling.clear_bounce", subject=patient, patient=patient.public_id, site_id=patient.home_site_id
            )
    return was_marked


def sweep(*, at: datetime, address: str = "") -> Counter[str]:
    """Read what has come back to the bounce mailbox; return how many mails or reports had which outcome.

    The mailbox is read outside any transaction, and a mail is marked as read only after its reports are kept. A mail
    that is no report stays, as read, for people.
    """
    where = address or settings.BOUNCE_MAILBOX
    tally: Counter[str] = Counter()
    if not where:
        return tally
    try:
        with bounce_box.opened(where) as box:
            for found in box.unread():
                tally.update(_noted(found.raw, at))
                box.mark_read(found)
    except bounce_box.BoxTrouble as trouble:
        log.warning("bounce mailbox not read", reason=str(trouble))
        tally["trouble"] += 1
    return tally


def _noted(raw: bytes, at: datetime) -> list[str]:
    try:
        reports = delivery_reports.read(raw)
    except Exception as error:  # anybody can send anything here; one mail must not hold up the others
        log.warning("mail not read", exc_info=error)
        return ["unreadable"]
    return [note(report=report, source="mailbox", by=ACTOR, at=at) for report in reports] or ["no_report"]


def _message_of(report: Report, at: datetime, is_trusted: bool) -> Message | None:
    rows = Message.objects.select_related("patient__home_site", "appointment__site").select_for_update(of=("self",))
    if report.message_id is not None:
        return rows.filter(public_id=report.message_id).first()
    if not is_trusted or not report.recipients:
        return None
    theirs = Q(pk__in=[])
    for address in report.recipients:
        theirs |= Q(patient__email__iexact=address)
    return rows.filter(theirs, state=MessageState.SENT, done_at__gte=at - REMEMBERED).order_by("-done_at", "-pk").first()


def _mark_address(address: str, report: DeliveryReport, at: datetime) -> None:
    if not BouncingAddress.objects.standing().filter(address=address).exists():
        BouncingAddress.objects.bulk_create(
            [BouncingAddress(address=address, kind=report.kind, reason=report.reason, message=report.message, since=at)],
            ignore_conflicts=True,
        )
