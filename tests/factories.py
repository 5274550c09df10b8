"""The smallest valid rows, and one small clinic made of them. Nothing here is random."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from pain_clinic.accounts.models import Site, User
from pain_clinic.accounts.roles import ROLES, sync_roles
from patients.models import Patient, PatientSite
from procedures.models import Procedure, ProcedureNeed
from scheduling import free_time
from scheduling.models import Allocation, Appointment, Kind, Privilege, Resource, Status, WeeklyHours

T = TypeVar("T")

NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = ZoneInfo("America/Chicago")
NOW = datetime(2026, 9, 14, 11, 0, tzinfo=UTC)  # Monday 7:00 in New York, one hour before the clinic opens
TODAY = date(2026, 9, 14)
TOMORROW = date(2026, 9, 15)
EVENING = datetime(2026, 9, 15, 0, 30, tzinfo=UTC)  # still `TODAY`, 20:30 in New York: by UTC `TOMORROW` has begun
FALL_BACK = date(2026, 11, 1)  # 25 hours in the United States
SPRING_FORWARD = date(2027, 3, 14)  # 23 hours
PASSWORD = "correct horse battery staple"

# Tests that need committed rows: `@transactional` instead of the transaction that is rolled back.
transactional = pytest.mark.django_db(transaction=True)

_numbers = itertools.count(1)
WORKDAYS = range(5)


def local(day: date, clock: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    """Return the UTC instant of a wall time such as ``"8:15"`` in a zone."""
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=zone).astimezone(UTC)


def somebody_waits() -> bool:
    """Say whether a statement of another connection waits for a lock of ours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return bool(cursor.fetchone()[0])


def together(*calls: Callable[[], T], timeout: float = 60) -> list[T | BaseException]:
    """Run the calls in threads that start at one moment; return what each gave or raised, in order.

    Each thread has its own connection and closes it. Needs committed rows: see `transactional`.
    """
    barrier = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], T]) -> None:
        try:
            barrier.wait(timeout)
            answers[place] = call()
        except BaseException as error:  # noqa: BLE001  the caller judges every outcome
            answers[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
        assert not thread.is_alive(), "a call did not come back"
    return answers


def site(*, name: str = "", slug: str = "", time_zone: str = "America/New_York") -> Site:
    number = next(_numbers)
    return Site.objects.create(name=name or f"Site {number}", slug=slug or f"site-{number}", time_zone=time_zone)


def user(*, role: str = "", username: str = "", sites: Iterable[Site] = (), display_name: str = "") -> User:
    """Return a member of staff with `PASSWORD`, the role's permissions and these sites."""
    number = next(_numbers)
    made = User(username=username or f"{role or 'staff'}-{number}", display_name=display_name, date_joined=NOW)
    made.set_password(PASSWORD)
    made.save()
    if role:
        if Group.objects.filter(name__in=ROLES).count() < len(ROLES):
            sync_roles()
        made.groups.set([Group.objects.get(name=role)])
    made.sites.set(list(sites))
    return made


def resource(
    *,
    kind: str = Kind.PHYSICIAN,
    at_site: Site | None = None,
    name: str = "",
    attributes: Sequence[str] = (),
    extra_turnover_minutes: int = 0,
    position: int = 0,
    of_user: User | None = None,
) -> Resource:
    """Return a resource; it has no hours yet."""
    shown = name or f"{Kind(kind).label} {next(_numbers)}"
    return Resource.objects.create(
        kind=kind,
        name=shown,
        short_name=shown[:24],
        site=at_site or site(),
        attributes=list(attributes),
        extra_turnover_minutes=extra_turnover_minutes,
        position=position,
        user=of_user,
    )


def weekly_hours(
    *,
    of: Resource,
    at_site: Site | None = None,
    weekdays: Iterable[int] = WORKDAYS,
    starts: str = "08:00",
    ends: str = "17:00",
    kind: str = "work",
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> list[WeeklyHours]:
    """Return hours of these weekdays (Monday 0) at the resource's own site or another."""
    return [
        WeeklyHours.objects.create(
            resource=of,
            site=at_site or of.site,
            kind=kind,
            weekday=weekday,
            starts=time.fromisoformat(starts),
            ends=time.fromisoformat(ends),
            valid_from=valid_from,
            valid_until=valid_until,
        )
        for weekday in weekdays
    ]


# What the example procedure needs: kind, attribute, legs.
NEEDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("physician", "", ("procedure",)),
    ("nurse", "", ("prep", "recovery")),
    ("room", "", ("procedure", "turnover")),
    ("bay", "", ("recovery",)),
    ("c_arm", "", ("procedure", "turnover")),
)


def procedure(
    *,
    code: str = "",
    name: str = "",
    needs: Iterable[tuple[str, str, Sequence[str]]] = NEEDS,
    prep_minutes: int = 15,
    room_minutes: int = 30,
    recovery_minutes: int = 30,
    turnover_minutes: int = 10,
    is_offered: bool = True,
    **values: Any,
) -> Procedure:
    """Return a lumbar procedure under fluoroscopy with its needs; `needs=()` for one that needs nobody."""
    number = next(_numbers)
    made = Procedure.objects.create(
        code=code or f"procedure_{number}",
        name=name or f"Procedure {number}",
        short_name=(name or f"Procedure {number}")[:32],
        prep_minutes=prep_minutes,
        room_minutes=room_minutes,
        recovery_minutes=recovery_minutes,
        turnover_minutes=turnover_minutes,
        is_offered=is_offered,
        **{
            "category": "epidural",
            "family": "esi",
            "regions": ["lumbar"],
            "laterality": ["left", "right", "bilateral"],
            "max_levels": 2,
            "guidance_default": "fluoroscopy",
            "sedation": "none",
            "steroid": "yes",
            "bleeding_class": "intermediate",
            "driver": "required_if_sedated",
            "fasting": "none_when_local_only",
            **values,
        },
    )
    ProcedureNeed.objects.bulk_create(
        ProcedureNeed(procedure=made, kind=kind, attribute=attribute, legs=list(legs)) for kind, attribute, legs in needs
    )
    return made


def privilege(*, of: Resource, for_procedure: Procedure, **values: Any) -> Privilege:
    return Privilege.objects.create(resource=of, procedure=for_procedure, **values)


def patient(
    *,
    home: Site | None = None,
    last_name: str = "Marlow",
    first_name: str = "Vera",
    birth_date: date = date(1958, 3, 2),
    **values: Any,
) -> Patient:
    """Return a patient whom the home site knows."""
    home_site = home or site()
    made = Patient.objects.create(
        record_number=values.pop("record_number", f"T{next(_numbers):06d}"),
        last_name=last_name,
        first_name=first_name,
        birth_date=birth_date,
        home_site=home_site,
        created_at=NOW,
        **values,
    )
    PatientSite.objects.create(patient=made, site=home_site, because=PatientSite.Because.HOME, since=NOW)
    return made


def appointment(
    *,
    of: Patient | None = None,
    at_site: Site | None = None,
    for_procedure: Procedure | None = None,
    starts_at: datetime | None = None,
    resources: Iterable[Resource] = (),
    status: str = Status.BOOKED,
    **values: Any,
) -> Appointment:
    """Return an appointment by the procedure's own lengths, each resource taken for its procedure leg.

    Without `starts_at`: tomorrow at 9:00 in New York. Past the booking verb: no checks, no audit, no message, and
    free time is not rewritten (`build_free_time` does that).
    """
    what = for_procedure or procedure(needs=())
    where = at_site or (of.home_site if of else site())
    who = of or patient(home=where)
    starts = starts_at or local(TOMORROW, "9:00")
    ends = values.pop("ends_at", starts + timedelta(minutes=what.room_minutes))
    wall = starts.astimezone(ZoneInfo(where.time_zone))
    if status == Status.CANCELLED:
        values = {"cancel_reason": "patient_ill", "asked_by": "patient", "cancelled_at": NOW, **values}
    made = Appointment.objects.create(
        patient=who,
        procedure=what,
        site=where,
        status=status,
        arrives_at=values.pop("arrives_at", starts - timedelta(minutes=what.prep_minutes)),
        starts_at=starts,
        ends_at=ends,
        leaves_at=values.pop("leaves_at", ends + timedelta(minutes=what.recovery_minutes)),
        local_date=wall.date(),
        local_time=wall.time(),
        zone=where.time_zone,
        created_at=values.pop("created_at", NOW),
        **values,
    )
    released = None if made.is_standing else NOW
    for each in resources:
        Allocation.objects.create(
            resource=each,
            site=where,
            appointment=made,
            kind=each.kind,
            legs=["procedure"],
            starts_at=starts,
            ends_at=ends,
            created_at=NOW,
            released_at=released,
        )
    PatientSite.objects.get_or_create(patient=who, site=where, because="appointment", defaults={"since": NOW})
    return made


@dataclass(frozen=True)
class SmallClinic:
    """One of everything the example procedure needs, there Monday to Friday from 8 to 17."""

    site: Site
    physician: Resource
    nurse: Resource
    room: Resource
    bay: Resource
    c_arm: Resource
    procedure: Procedure
    patient: Patient

    @property
    def resources(self) -> tuple[Resource, ...]:
        return self.physician, self.nurse, self.room, self.bay, self.c_arm


def small_clinic(*, time_zone: str = "America/New_York", at: datetime = NOW) -> SmallClinic:
    """Return a clinic in which the example procedure can be booked from `at` on, its free time built."""
    where = site(time_zone=time_zone)
    made = SmallClinic(
        site=where,
        physician=resource(kind=Kind.PHYSICIAN, at_site=where, name="Dr. Adler"),
        nurse=resource(kind=Kind.NURSE, at_site=where, name="Nurse Kim"),
        room=resource(kind=Kind.ROOM, at_site=where, name="Room 1"),
        bay=resource(kind=Kind.BAY, at_site=where, name="Bay 1"),
        c_arm=resource(kind=Kind.C_ARM, at_site=where, name="C-arm 1"),
        procedure=procedure(),
        patient=patient(home=where),
    )
    for each in made.resources:
        weekly_hours(of=each)
    privilege(of=made.physician, for_procedure=made.procedure)
    build_free_time(at=at)
    return made


def build_free_time(*, at: datetime = NOW) -> None:
    """Write the free time of every resource anew, dates of blocks included."""
    with transaction.atomic():
        free_time.expand_blocks(at=at)
        free_time.rebuild(at=at)
