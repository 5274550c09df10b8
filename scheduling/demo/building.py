"""Building the demo clinic: empty what an earlier one left, write it anew, rebuild free time."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.audit import trail
from pain_clinic.errors import Refused
from patients import records
from patients.models import Patient, PatientSite, folded
from procedures import tables
from procedures.models import Procedure
from scheduling import free_time
from scheduling.demo import clinic as plan
from scheduling.demo.cases import COMPLAINTS, Case, Day, Hidden, Packer, slots
from scheduling.demo.people import Person, invent
from scheduling.demo.writing import copy, empty, reserve
from scheduling.models import (
    Absence,
    Allocation,
    Appointment,
    BlockTime,
    Closure,
    DatedHours,
    Privilege,
    Resource,
    Status,
    WeeklyHours,
)

YEARS_BACK = 5
LONGEST_BACK = 9  # years, when the days of five do not hold everything
WEEKS_AHEAD = 10
FULL_DAYS = 14  # days from today that are well filled
PER_DOCTOR = 9  # cases of a full day
FREE_LATE = timedelta(hours=24)

Tell = Callable[[str], None]


class DemoRefused(Refused):
    """The database holds what a demo must not touch."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was made."""

    sites: int
    resources: int
    patients: int
    appointments: int
    ahead: int
    today: int
    allocations: int

    def summary(self) -> str:
        return (
            f"{plan.NAME}: {self.sites} sites, {self.resources} resources, {self.patients:,} patients, "
            f"{self.appointments:,} appointments ({self.today} today, {self.ahead:,} to come), {self.allocations:,} allocations"
        )


def accounts() -> list[str]:
    """Return a line for each demo account that exists."""
    return plan.account_lines()


def build(*, patients: int, seed: int, at: datetime, may_erase: bool = False, tell: Tell = lambda text: None) -> Report:
    """Make the demo clinic anew, in one transaction.

    Raises:
        DemoRefused: in production, or where other than demo data are and nobody said to erase them.
    """
    if settings.CLINIC_MODE == "production":
        raise DemoRefused("demo_in_production", "The demo clinic has public passwords; it is never made in production.")
    others = other_than_demo()
    if others and not may_erase:
        raise DemoRefused(
            "not_only_demo",
            f"This database holds {others}. Nothing was changed. Use another database, or --erase to delete "
            "all patients, appointments and resources in it.",
        )
    rng = random.Random(seed)  # noqa: S311  invented people, no secrets
    with transaction.atomic():
        empty(_tables())
        if may_erase:
            _retire_other_sites()
        if not Procedure.objects.exists():
            tables.load(by=Actor.system("demo"), at=at)
        Procedure.objects.filter(is_offered=False, is_retired=False).update(is_offered=True)
        made = plan.make_clinic(at=at)
        free_time.expand_blocks(at=at)
        tell(f"{len(made.resources)} resources; inventing {patients:,} patients …")
        people = invent(
            count=patients,
            keys=reserve(Patient, patients),
            sites=[site.pk for site in made.sites.values()],
            complaints=[share for share, _ in COMPLAINTS],
            rng=rng,
            at=at,
        )
        cases = list(_pack(made, people, rng, at, tell))
        tell(f"{len(cases):,} cases packed; writing …")
        _write_people(people, cases)
        allocations = _write_cases(cases, rng, at)
        tell("Building free time …")
        free_time.rebuild(at=at)
        trail.record(by=Actor.system("demo"), act="scheduling.build_demo", details={"patients": patients, "seed": seed})
    _analyze()
    return Report(
        sites=len(made.sites),
        resources=len(made.resources),
        patients=len(people),
        appointments=len(cases),
        ahead=sum(case.starts_at > at and case.status in {Status.BOOKED, Status.CONFIRMED} for case in cases),
        today=sum(case.day == _today(case.zone, at) for case in cases),
        allocations=allocations,
    )


def other_than_demo() -> str:
    """Say in words what the database holds that no demo made; an empty text when there is nothing."""
    slugs = [row[0] for row in plan.SITES]
    counts = (
        (Patient.objects.filter(is_demo=False).count(), "patients who are not the demo's"),
        (Site.objects.exclude(slug__in=slugs).count(), "sites that are not the demo's"),
        (Resource.objects.exclude(site__slug__in=slugs).count(), "resources of other sites"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _tables() -> list[str]:
    """Return every table of patients and scheduling, row history included."""
    return [
        model._meta.db_table
        for app in ("patients", "scheduling")
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]


def _retire_other_sites() -> None:
    """Take other sites out of use; staff and the trail may point at them, so they stay as rows."""
    others = Site.objects.exclude(slug__in=[row[0] for row in plan.SITES])
    others.update(is_active=False)


def _today(zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


# --- which day holds how many ------------------------------------------------------------------------------------------
def _pack(made: plan.Clinic, people: list[Person], rng: random.Random, at: datetime, tell: Tell) -> Iterator[Case]:
    rows = Procedure.objects.filter(is_retired=False).prefetch_related("needs").order_by("pk")
    living: dict[int, list[Person]] = defaultdict(list)
    for person in people:
        if person.deceased_on is None:
            living[person.site].append(person)
    packer = Packer(
        procedures={row.code: row for row in rows},
        resources={row.pk: row for row in made.resources},
        minutes={(row.resource_id, row.procedure_id): row.procedure_minutes for row in Privilege.objects.all()},
        people=living,
        rng=rng,
    )
    calendar = _Calendar(made, at)
    wanted = _total(len(people))
    count = 0
    plans = [
        (_ahead(made, people, at), 0.06, 5),
        (_lately(made, people, at), 0.14, 5),
    ]
    for days, may_free, spacing in plans:
        for site, on, quota in days:
            for case in packer.fill(calendar.day(site, on), quota, may_free=may_free, spacing=spacing):
                count += 1
                yield case
    years = sorted(_long_ago(made, at), key=lambda one: one[1], reverse=True)
    usual = [one for one in years if one[1] > at.date() - timedelta(days=365 * YEARS_BACK)]
    older = years[len(usual) :]
    share = max(0, wanted - count) / max(1, len(usual))
    carry = 0.0
    for place, (site, on) in enumerate((*usual, *older)):
        if count >= wanted:
            return
        carry += share * (1.3 if site.slug == plan.NORTH else 0.7)
        quota, carry = int(carry), carry - int(carry)
        for case in packer.fill(calendar.day(site, on), min(quota, wanted - count), may_free=0.14, spacing=6) if quota else ():
            count += 1
            yield case
        if place % 500 == 499:
            tell(f"{count:,} of {wanted:,} cases …")


def _total(patients: int) -> int:
    """Three cases a patient in a large clinic; a small one has more, so that its days are not empty."""
    return max(3 * patients, min(5 * patients, patients + 1600))


def _quota(patients: int, doctors: int) -> int:
    return min(doctors * PER_DOCTOR, max(2, patients // 16))


def _days(made: plan.Clinic, at: datetime, first: int, stop: int) -> Iterator[tuple[Site, date, int]]:
    for offset in range(first, stop):
        for site in made.sites.values():
            today = _today(site.time_zone, at)
            on = today + timedelta(days=offset)
            if on.weekday() < 5 or on == today:
                yield site, on, offset


def _ahead(made: plan.Clinic, people: list[Person], at: datetime) -> Iterator[tuple[Site, date, int]]:
    full = _quota(len(people), 4)
    for site, on, offset in _days(made, at, 0, WEEKS_AHEAD * 7):
        share = 1.0 if offset <= FULL_DAYS else max(0.06, 0.75 - (offset - FULL_DAYS) / 70)
        yield site, on, max(1, round(full * share * (1 if site.slug == plan.NORTH else 0.6)))


def _lately(made: plan.Clinic, people: list[Person], at: datetime) -> Iterator[tuple[Site, date, int]]:
    full = _quota(len(people), 4) * 0.8
    for site, on, _ in _days(made, at, -14, 0):
        yield site, on, max(1, round(full * (1 if site.slug == plan.NORTH else 0.6)))


def _long_ago(made: plan.Clinic, at: datetime) -> Iterator[tuple[Site, date]]:
    for site, on, _ in _days(made, at, -365 * LONGEST_BACK, -14):
        yield site, on


class _Calendar:
    """What hours, breaks, holidays, leave and blocks leave free of a day, before any case."""

    def __init__(self, made: plan.Clinic, at: datetime) -> None:
        self.made, self.at = made, at
        self.weekly: dict[tuple[int, int], dict[int, tuple[int, int]]] = defaultdict(dict)
        for row in WeeklyHours.objects.order_by("pk"):
            work, pause = self.weekly[row.site_id, row.weekday].get(row.resource_id, (0, 0))
            bits = slots(row.starts, row.ends)
            self.weekly[row.site_id, row.weekday][row.resource_id] = (
                (work | bits, pause) if row.kind == "work" else (work, pause | bits)
            )
        self.dated: dict[tuple[int, date], dict[int, int]] = defaultdict(dict)
        for extra in DatedHours.objects.exclude(starts=None):
            assert extra.starts is not None and extra.ends is not None  # noqa: PT018  both or neither, by constraint
            self.dated[extra.site_id, extra.date][extra.resource_id] = slots(extra.starts, extra.ends)
        self.closed = set(Closure.objects.values_list("site_id", "date"))
        self.away = list(Absence.objects.values_list("resource_id", "starts_at", "ends_at"))
        self.blocks = list(BlockTime.objects.filter(releases_at__gt=at).select_related("block").order_by("pk"))
        self.rows = {row.pk: row for row in made.resources}

    def day(self, site: Site, on: date) -> Day:
        zone = ZoneInfo(site.time_zone)
        free = {
            pk: work & ~pause for pk, (work, pause) in self.weekly.get((site.pk, on.weekday()), {}).items() if pk in self.rows
        }
        free.update(self.dated.get((site.pk, on), {}))
        if (site.pk, on) in self.closed:
            free = {}
        noon = datetime.combine(on, time(12), tzinfo=zone).astimezone(UTC)
        for pk, starts_at, ends_at in self.away:
            if pk in free and starts_at < noon + timedelta(hours=13) and ends_at > noon - timedelta(hours=13):
                free[pk] &= ~self._mask(noon, starts_at, ends_at)
        hidden = [
            Hidden(row.resource_id, self._mask(noon, row.starts_at, row.ends_at), row.block.family, row.block.physician_id)
            for row in self.blocks
            if row.site_id == site.pk and abs(row.starts_at - noon) < timedelta(hours=12)
        ]
        doctors = [row for row in self.made.doctors if free.get(row.pk)]
        return Day(site.pk, on, zone, free, doctors, hidden)

    @staticmethod
    def _mask(noon: datetime, starts_at: datetime, ends_at: datetime) -> int:
        """Return an instant's stretch as bits of the local day, rounded outward and kept inside it."""
        first = max(0, 144 + (starts_at - noon) // timedelta(minutes=5))
        stop = min(288, 144 - (noon - ends_at) // timedelta(minutes=5))
        return ((1 << (stop - first)) - 1) << first if stop > first else 0


# --- rows ----------------------------------------------------------------------------------------------------------------
def _write_people(people: list[Person], cases: list[Case]) -> None:
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


def _write_cases(cases: list[Case], rng: random.Random, at: datetime) -> int:
    keys = reserve(Appointment, len(cases))
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


def _analyze() -> None:
    """Tell the planner what is there now; without it the first searches go wrong ways."""
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")
