"""After new zone data: bring the instants of cases to come back to the wall time that was promised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import DomainError
from scheduling import free_time, messages
from scheduling.booking import staging, taking
from scheduling.booking.words import guarded
from scheduling.intervals import SLOT, instant, slot_after, zone_of
from scheduling.models import AWAY, BEFORE_ARRIVAL, Allocation, Appointment, MessageKind, Resource

AT_ONCE = 10  # resources whose free time is written anew together


@dataclass(frozen=True, slots=True)
class Retimed:
    """A case whose instants are not those of its wall time; `why_not` says what kept it from being put right."""

    public_id: UUID
    on: date
    clock: str
    zone: str
    before: datetime
    after: datetime
    why_not: str = ""


def untrue(*, at: datetime) -> list[Appointment]:
    """Return the cases to come, standing or away, whose start no longer shows the promised wall time, in order of key.

    Where clocks show a wall time twice, either instant is true to it.
    """
    coming = Appointment.objects.filter(is_history=False).filter(
        Q(status__in=BEFORE_ARRIVAL, arrives_at__gt=at) | Q(status__in=AWAY, starts_at__gt=at)
    )
    found = []
    for case in coming.select_related("patient", "site").order_by("local_date", "pk").iterator(chunk_size=2000):
        wall = case.starts_at.astimezone(zone_of(case.zone))
        if (wall.date(), wall.time()) != (case.local_date, case.local_time):
            found.append(case)
    return found


def retime(*, by: Actor, at: datetime, is_dry_run: bool = False) -> tuple[Retimed, ...]:
    """Recompute what is untrue, write free time anew, and tell the patients; return what changed or could not.

    The cases of one local date are one transaction, under the locks of their patients and resources; when they clash
    with others there, each is tried alone, and what still clashes stays and is named. Running it again changes nothing.
    """
    by_date: dict[date, list[Appointment]] = defaultdict(list)
    for case in untrue(at=at):
        by_date[case.local_date].append(case)
    if is_dry_run:
        return tuple(_told(case) for cases in by_date.values() for case in cases)
    if not by_date:
        return ()
    _write_free_time(at)
    found: list[Retimed] = []
    for cases in by_date.values():
        try:
            found += _put_right(cases, by, at)
        except DomainError:
            found += _one_by_one(cases, by, at)
    free_time.expand_blocks(at=at)
    return tuple(found)


def _write_free_time(at: datetime) -> None:
    """Write working hours anew, since they are wall times as well; a few resources at a time, under their locks."""
    waiting = list(Resource.objects.order_by("pk").values_list("pk", flat=True))
    for lot in (waiting[place : place + AT_ONCE] for place in range(0, len(waiting), AT_ONCE)):
        with transaction.atomic():
            free_time.rebuild(at=at, resources=free_time.lock(lot))


def _one_by_one(cases: Sequence[Appointment], by: Actor, at: datetime) -> list[Retimed]:
    """Try each alone, those that make room for others first."""
    is_later = _true_start(cases[0]) > cases[0].starts_at
    found = []
    for case in sorted(cases, key=lambda each: (each.starts_at, each.pk), reverse=is_later):
        try:
            found += _put_right([case], by, at)
        except DomainError as refusal:
            found.append(_told(case, why_not=refusal.message))
    return found


def _put_right(cases: Sequence[Appointment], by: Actor, at: datetime) -> list[Retimed]:
    """Shift these cases and what they take, all or none.

    Raises:
        SlotTaken: somebody or something is taken there.
        Stale, Busy: somebody is changing one of them.
    """
    with guarded(), transaction.atomic():
        own = list(Allocation.objects.filter(appointment__in=cases, released_at=None).order_by("pk"))
        staging.lock_patients(case.patient_id for case in cases)
        staging.lock_resources({one.resource_id for one in own})
        locked = [staging.locked_case(case, case.version) for case in sorted(cases, key=lambda each: each.pk)]
        shifts = {case.pk: _true_start(case) - case.starts_at for case in locked}
        with connection.cursor() as cursor:  # one patient's cases of a day pass each other: look at the end
            cursor.execute("SET CONSTRAINTS patient_not_in_two_places DEFERRED")
        told = [_told(case) for case in locked]
        for case in locked:
            _shift(case, shifts[case.pk])
        taking.give_back(own, at)
        _take(own, shifts, at)
        for case in locked:
            if case.is_standing:
                messages.lay_down(appointment=case, kind=MessageKind.CHANGE, at=at)
            staging.record("scheduling.retime", case, by)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS patient_not_in_two_places IMMEDIATE")
        return told


def _shift(case: Appointment, shift: timedelta) -> None:
    case.arrives_at += shift
    case.starts_at += shift
    case.ends_at += shift
    case.leaves_at += shift
    case.version += 1
    case.calendar_sequence += 1
    case.save(update_fields=["arrives_at", "starts_at", "ends_at", "leaves_at", "version", "calendar_sequence"])


def _take(own: Iterable[Allocation], shifts: dict[int, timedelta], at: datetime) -> None:
    """Take the same people and things at the shifted times, and make their free time follow."""
    touched: dict[int, set[date]] = defaultdict(set)
    rows = []
    for one in own:
        shift = shifts[one.appointment_id or 0]
        rows.append(
            Allocation(
                resource_id=one.resource_id,
                site_id=one.site_id,
                appointment_id=one.appointment_id,
                kind=one.kind,
                legs=one.legs,
                starts_at=one.starts_at + shift,
                ends_at=one.ends_at + shift,
                created_at=at,
            )
        )
        for moment in (one.starts_at, one.ends_at, one.starts_at + shift, one.ends_at + shift):
            near = (moment - free_time.LONGEST_WAY, moment, moment + free_time.LONGEST_WAY)
            touched[one.resource_id] |= {each.astimezone(UTC).date() for each in near}
    Allocation.objects.bulk_create(rows)
    free_time.rebuild(touched)


def _true_start(case: Appointment) -> datetime:
    """Return the instant of the promised wall time, on a mark of five minutes."""
    start = instant(case.local_date, case.local_time, zone_of(case.zone))
    day = start.date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + slot_after(start, day) * SLOT


def _told(case: Appointment, *, why_not: str = "") -> Retimed:
    return Retimed(
        public_id=case.public_id,
        on=case.local_date,
        clock=f"{case.local_time:%H:%M}",
        zone=case.zone,
        before=case.starts_at,
        after=_true_start(case),
        why_not=why_not,
    )
