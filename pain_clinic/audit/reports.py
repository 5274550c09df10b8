"""Read the trail: who did what on a day, one person's acts, everybody who touched one patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count
from django.db.models.functions import TruncDate

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.audit.models import AuditEvent

PAGE = 100


@dataclass(frozen=True, slots=True)
class EventShown:
    at: datetime
    actor: str
    actor_kind: str
    act: str
    outcome: str
    subject_kind: str
    subject_id: UUID | None
    patient_id: UUID | None
    reason_code: str
    address: str
    request_id: str
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class EventPage:
    events: tuple[EventShown, ...]
    next_before: int | None
    first_on: date
    last_on: date
    zone: ZoneInfo


def events(
    *,
    first_on: date,
    last_on: date,
    zone: ZoneInfo,
    by: Actor,
    at: datetime,
    user: User | None = None,
    patient: UUID | None = None,
    act: str = "",
    outcome: str = "",
    before: int | None = None,
) -> EventPage:
    """Return a page of the trail, newest first, days and times in a zone; reading it is itself recorded."""
    began, ended = _span(first_on, last_on, zone)
    rows = AuditEvent.objects.filter(at__gte=began, at__lt=ended).select_related("seal")
    rows = rows.filter(user=user) if user is not None else rows
    rows = rows.filter(patient_id=patient) if patient is not None else rows
    rows = rows.filter(act__startswith=act) if act else rows
    rows = rows.filter(outcome=outcome) if outcome else rows
    rows = rows.filter(pk__lt=before) if before is not None else rows
    found = list(rows.order_by("-pk")[: PAGE + 1])
    with transaction.atomic():
        trail.record(
            by=by,
            act="audit.view",
            patient=patient,
            details={"first_on": str(first_on), "last_on": str(last_on), "of_user": user.pk if user else None,
                     "count": min(len(found), PAGE)},
        )  # fmt: skip
    shown = tuple(_shown(row) for row in found[:PAGE])
    return EventPage(shown, found[PAGE - 1].pk if len(found) > PAGE else None, first_on, last_on, zone)


def _span(first_on: date, last_on: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return where these days begin and end on the wall of a zone."""
    return datetime.combine(first_on, time(), tzinfo=zone), datetime.combine(last_on + timedelta(days=1), time(), tzinfo=zone)


def _shown(row: AuditEvent) -> EventShown:
    return EventShown(
        at=row.at,
        actor=row.actor_name,
        actor_kind=row.actor_kind,
        act=row.act,
        outcome=row.outcome,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        patient_id=row.patient_id,
        reason_code=row.reason_code,
        address=row.address,
        request_id=row.request_id,
        is_sealed=hasattr(row, "seal"),
    )


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What one person did with a patient's record on one day, and how often."""

    on: date
    actor_kind: str
    user_id: int | None
    name: str
    act: str
    count: int


def disclosures(*, patient: UUID, first_on: date, last_on: date, zone: ZoneInfo) -> tuple[Disclosure, ...]:
    """Return who did what with a patient's record, by day, person and act, the latest day first; refused acts are not among it.

    The caller records that this was read.
    """
    began, ended = _span(first_on, last_on, zone)
    rows = (
        AuditEvent.objects.filter(patient_id=patient, at__gte=began, at__lt=ended, outcome="done")
        .annotate(day=TruncDate("at", tzinfo=zone))
        .values_list("day", "actor_kind", "user_id", "actor_name", "user__display_name", "act")
        .annotate(count=Count("pk"))
        .order_by("-day", "actor_kind", "actor_name", "act")
    )
    return tuple(
        Disclosure(day, kind, user_id, shown or name, act, count) for day, kind, user_id, name, shown, act, count in rows
    )
