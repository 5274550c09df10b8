"""The demo's people and cases as rows: how each case went, and who knows whom."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from pain_clinic.accounts.models import User
from patients import records
from patients.models import Patient, PatientSite, folded
from procedures.guidance import usual
from scheduling.demo.cases import Case
from scheduling.demo.people import Person
from scheduling.demo.writing import copy, reserve
from scheduling.models import Allocation, Appointment, Status

FREE_LATE = timedelta(hours=24)


def write_people(people: list[Person], cases: list[Case]) -> None:
    first: dict[int, datetime] = {}
    seen: dict[tuple[int, int], datetime] = {}
    for case in cases:
        pk = case.person.key
        first[pk] = min(first.get(pk, case.arrives_at), case.arrives_at)
        seen[pk, case.site] = min(seen.get((pk, case.site), case.arrives_at), case.arrives_at)
    for person in people:
        person.since = min(person.since, first.get(person.key, person.since) - timedelta(days=9))
    copy(
        Patient,
        (
            "id",
            "public_id",
            "record_number",
            "last_name",
            "first_name",
            "search_name",
            "birth_date",
            "sex",
            "email",
            "phone",
            "language",
            "payer",
            "home_site",
            "accepts_email",
            "deceased_on",
            "is_demo",
            "version",
            "created_at",
        ),
        (
            (
                one.key,
                one.public_id,
                records.record_number(one.key),
                one.last_name,
                one.first_name,
                folded(f"{one.last_name} {one.first_name}"),
                one.birth_date,
                one.sex,
                one.email,
                one.phone,
                one.language,
                one.payer,
                one.site,
                one.accepts_email,
                one.deceased_on,
                True,
                1,
                one.since,
            )
            for one in people
        ),
    )
    copy(PatientSite, ("patient", "site", "because", "since"), ((one.key, one.site, "home", one.since) for one in people))
    copy(
        PatientSite,
        ("patient", "site", "because", "since"),
        ((pk, site, "appointment", since - timedelta(days=8)) for (pk, site), since in seen.items()),
    )


def write_cases(cases: list[Case], rng: random.Random, at: datetime) -> int:
    keys = reserve(Appointment, len(cases))
    for key, case in zip(keys, cases, strict=True):
        case.key = key
    desk = User.objects.get(username="desk").pk
    facts = [_fate(case, rng, at) for case in cases]
    copy(
        Appointment,
        (
            "id",
            "public_id",
            "patient",
            "procedure",
            "site",
            "side",
            "levels",
            "regions",
            "guidance",
            "sedation",
            "status",
            "arrives_at",
            "starts_at",
            "ends_at",
            "leaves_at",
            "local_date",
            "local_time",
            "zone",
            "source",
            "is_history",
            "note",
            "cancel_reason",
            "cancel_note",
            "asked_by",
            "is_late",
            "cancelled_at",
            "version",
            "calendar_sequence",
            "created_at",
            "created_by",
        ),
        (
            (
                key,
                case.public_id,
                case.person.key,
                case.procedure.pk,
                case.site,
                case.side,
                case.levels,
                case.regions,
                usual(case.procedure),
                case.procedure.planned_sedation,
                case.status,
                case.arrives_at,
                case.starts_at,
                case.ends_at,
                case.leaves_at,
                case.day,
                case.starts,
                case.zone,
                "demo",
                False,
                "",
                fate.reason,
                "",
                fate.asked_by,
                fate.is_late,
                fate.cancelled_at,
                fate.version,
                0,
                fate.created_at,
                desk,
            )
            for key, case, fate in zip(keys, cases, facts, strict=True)
        ),
    )
    return copy(
        Allocation,
        ("resource", "site", "appointment", "hold", "kind", "legs", "starts_at", "ends_at", "created_at", "released_at"),
        (
            (resource.pk, case.site, key, None, resource.kind, legs, starts_at, ends_at, fate.created_at, fate.released_at)
            for key, case, fate in zip(keys, cases, facts, strict=True)
            for resource, legs, starts_at, ends_at in case.taken
        ),
    )


@dataclass(frozen=True, slots=True)
class _Fate:
    created_at: datetime
    version: int
    reason: str = ""
    asked_by: str = ""
    is_late: bool = False
    cancelled_at: datetime | None = None
    released_at: datetime | None = None


def _fate(case: Case, rng: random.Random, at: datetime) -> _Fate:
    """Decide how a case went, write its status on it, and return the rest of the story."""
    booked_before = timedelta(minutes=5 * rng.randrange(3 * 288, 40 * 288))
    created = min(case.arrives_at, at) - booked_before
    if case.is_free:
        return _came_to_nothing(case, rng, at, created)
    if case.leaves_at <= at:
        case.status = Status.DISCHARGED
        return _Fate(created, 6)
    if case.arrives_at - timedelta(minutes=10) > at:
        is_near = case.arrives_at - at < timedelta(days=5)
        case.status = Status.CONFIRMED if rng.random() < (0.7 if is_near else 0.25) else Status.BOOKED
        return _Fate(created, 2 if case.status == Status.CONFIRMED else 1)
    case.status = _present(case, at)
    return _Fate(created, 3)


def _present(case: Case, at: datetime) -> str:
    if at >= case.ends_at:
        return Status.RECOVERY
    if at >= case.starts_at:
        return Status.IN_ROOM
    left = case.starts_at - at
    if left <= timedelta(minutes=5):
        return Status.READY
    return Status.PREPARING if at >= case.arrives_at + timedelta(minutes=3) else Status.ARRIVED


def _came_to_nothing(case: Case, rng: random.Random, at: datetime, created: datetime) -> _Fate:
    has_begun = case.arrives_at <= at
    case.status = Status.CANCELLED
    if has_begun:
        case.status = rng.choices((Status.CANCELLED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN), (6, 5, 1))[0]
    if case.status != Status.CANCELLED:
        return _Fate(created, 2, released_at=min(at, case.starts_at + timedelta(minutes=20)))
    is_late = rng.random() < 0.3
    ahead = timedelta(minutes=5 * (rng.randrange(6, 280) if is_late else rng.randrange(300, 2000)))
    cancelled = min(at, max(created, case.arrives_at - ahead))
    reason, asked_by = rng.choice(
        (
            ("patient_ill", "patient"),
            ("patient_wish", "patient"),
            ("transport", "patient"),
            ("not_prepared", "clinic"),
            ("not_authorised", "clinic"),
            ("better", "patient"),
            ("clinic_staff", "clinic"),
            ("medical", "clinic"),
        )
    )
    return _Fate(
        created,
        2,
        reason,
        asked_by,
        is_late=case.arrives_at - cancelled < FREE_LATE,
        cancelled_at=cancelled,
        released_at=cancelled,
    )
