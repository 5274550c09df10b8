"""The demo clinic's sites, people, rooms and devices, and when they are there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from pain_clinic.accounts.models import Site, User
from pain_clinic.accounts.roles import ROLE_NAMES, sync_roles
from procedures.models import Procedure
from scheduling.intervals import instant
from scheduling.models import Absence, Block, Closure, DatedHours, Kind, Privilege, Resource, Travel, WeeklyHours

NAME = "Harbour Pain Clinic (demo)"
PASSWORD = "pain-clinic-demo"  # noqa: S105  a public password for invented data; `build` refuses in production
NORTH, LAKE = "northside", "lakeside"
SITES = (
    (NORTH, "Northside (demo)", "America/New_York", "12 Harbour Street", "+1 212 555 0100"),
    (LAKE, "Lakeside (demo)", "America/Chicago", "4 Pier Road", "+1 312 555 0100"),
)
BOTH = (NORTH, LAKE)
# How to find them, in English and in Spanish.
WAYS = {
    NORTH: ("Second floor, the lift is on the left. Park behind the house.",
            "Segundo piso; el ascensor está a la izquierda. Aparque detrás del edificio."),
    LAKE: ("Ground floor, the door beside the pharmacy. Bus 12 stops in front of it.",
           "Planta baja, la puerta junto a la farmacia. El autobús 12 para delante."),
}  # fmt: skip
# User name, role, shown name, sites.
ACCOUNTS = (
    ("desk", "desk", "Dana Reyes", BOTH),
    ("desk-north", "desk", "Noor Haddad", (NORTH,)),
    ("nurse", "nurse", "Kim Osei", BOTH),
    ("physician", "physician", "Dr. Ada Marsh", BOTH),
    ("biller", "biller", "Bill Ashworth", BOTH),
    ("manager", "manager", "Marta Lund", BOTH),
    ("admin", "admin", "Alex Admin", BOTH),
    ("auditor", "auditor", "Audra Quist", BOTH),
)
WEEK = (0, 1, 2, 3, 4)
SPINE = ("epidural", "facet", "rfa", "sacroiliac", "disc")
SOFT = ("trigger_point", "nerve_block", "joint", "regenerative", "sacroiliac")
STIMULATION = ("neuromodulation", "vertebral", "disc", "epidural")


class Hours(NamedTuple):
    """Hours of some weekdays at a site, with a break or without."""

    site: str
    weekdays: tuple[int, ...]
    starts: str
    ends: str
    lunch: str = ""  # start of a break of 40 minutes


class Doctor(NamedTuple):
    """A physician: hours, what kinds of work, and how much of the catalogue's time they take for some of it."""

    name: str
    short: str
    hours: tuple[Hours, ...]
    categories: tuple[str, ...]
    pace: dict[str, float]  # category -> share of the catalogue's minutes


DOCTORS = (
    Doctor("Dr. Ada Marsh", "Marsh", (Hours(NORTH, WEEK, "08:00", "16:30", "12:00"),), (*SPINE, *SOFT), {}),
    Doctor(
        "Dr. Ben Okafor", "Okafor", (Hours(NORTH, (0, 1, 2, 3), "07:30", "15:30", "11:40"),), SPINE, {"rfa": 0.8, "facet": 0.8}
    ),
    Doctor(
        "Dr. Chloé Lindqvist", "Lindqvist", (Hours(NORTH, (1, 2, 3, 4), "09:00", "17:30", "12:40"),), SOFT, {"nerve_block": 1.25}
    ),
    Doctor(
        "Dr. Daniel Haddad",
        "Haddad",
        (
            Hours(NORTH, (0, 1, 4), "08:00", "16:00", "12:00"),
            Hours(NORTH, (2,), "08:00", "11:30"),
            Hours(LAKE, (2,), "12:30", "17:00"),
            Hours(LAKE, (3,), "08:00", "16:30", "12:00"),
        ),
        (*STIMULATION, "rfa", "nerve_block"),
        {},
    ),
    Doctor(
        "Dr. Elena Petrov",
        "Petrov",
        (Hours(LAKE, WEEK, "07:30", "15:45", "11:30"),),
        (*SPINE, "nerve_block", "vertebral"),
        {"epidural": 0.9},
    ),
    Doctor(
        "Dr. Femi Adeyemi", "Adeyemi", (Hours(LAKE, (0, 2, 3, 4), "08:30", "17:00", "12:20"),), (*SOFT, "epidural", "facet"), {}
    ),
)
NURSES = (
    (NORTH, ("Kim Osei", "Lena Brandt", "Marco Silva", "Nora Walsh", "Piotr Zając")),
    (LAKE, ("Quinn Avery", "Rosa Delgado", "Sam Whitfield")),
)
LUNCHES = ("11:30", "12:00", "12:30", "13:00", "13:20")
THINGS = (
    (
        NORTH,
        Kind.ROOM,
        (
            ("Procedure room 1", "Room 1", ()),
            ("Procedure room 2", "Room 2", ()),
            ("Procedure room 3", "Room 3", ()),
            ("Operating room", "OR", ("or_room",)),
        ),
    ),
    (
        LAKE,
        Kind.ROOM,
        (("Procedure room 5", "Room 5", ()), ("Procedure room 6", "Room 6", ()), ("Operating room 2", "OR 2", ("or_room",))),
    ),
    (NORTH, Kind.BAY, tuple((f"Recovery bay {n}", f"Bay {n}", ()) for n in range(1, 7))),
    (LAKE, Kind.BAY, tuple((f"Recovery bay {n}", f"Bay {n}", ()) for n in range(7, 11))),
    (NORTH, Kind.C_ARM, (("C-arm 1", "C-arm 1", ()), ("C-arm 2", "C-arm 2", ()))),
    (LAKE, Kind.C_ARM, (("C-arm 3", "C-arm 3", ()),)),
    (NORTH, Kind.ULTRASOUND, (("Ultrasound 1", "US 1", ()),)),
    (LAKE, Kind.ULTRASOUND, (("Ultrasound 2", "US 2", ()),)),
    (NORTH, Kind.RF_GENERATOR, (("RF generator 1", "RF 1", ()),)),
    (LAKE, Kind.RF_GENERATOR, (("RF generator 2", "RF 2", ()),)),
    (NORTH, Kind.COOLING_PUMP, (("Cooling pump", "Pump", ()),)),
)
REPRESENTATIVE = (Hours(NORTH, (0, 1), "08:00", "16:00"), Hours(LAKE, (2, 3), "08:00", "16:00"))
OPEN = ("07:00", "18:00")  # rooms, bays and devices
HOLIDAYS = ("New Year's Day", "Memorial Day", "Independence Day", "Labor Day", "Thanksgiving Day", "Christmas Day")
LEAVE_WEEKS = (-172, -146, -120, -94, -68, -42, -17, 4, 11)  # weeks from now; each physician a few weeks further on


@dataclass(frozen=True)
class Clinic:
    """What was made, in the order of the lists above."""

    sites: dict[str, Site]
    resources: tuple[Resource, ...]
    doctors: tuple[Resource, ...]


def on_the_wall(at: datetime) -> datetime:
    """Return a moment as clocks say it where the day begins last: its date has come at every site, in an evening too."""
    return min((at.astimezone(ZoneInfo(zone)) for _, _, zone, *_ in SITES), key=lambda wall: wall.replace(tzinfo=None))


def make_users(sites: dict[str, Site]) -> dict[str, User]:
    """Return the demo's accounts, made or brought back to what they were."""
    sync_roles()
    made = {}
    password = make_password(PASSWORD)  # one hash for all: the password is public, and hashing is slow by design
    for username, role, shown, where in ACCOUNTS:
        user = User.objects.filter(username=username).first() or User(username=username)
        user.display_name, user.is_active, user.must_change_password = shown, True, False
        user.password = password
        user.save()
        user.groups.set(Group.objects.filter(name=role))
        user.sites.set([sites[slug] for slug in where])
        made[username] = user
    return made


def account_lines() -> list[str]:
    """Return a line for each account of the demo that exists: user name, password, role, sites."""
    there = set(User.objects.filter(username__in=[row[0] for row in ACCOUNTS], is_active=True).values_list("username", flat=True))
    names = {slug: name for slug, name, *_ in SITES}
    return [
        f"{username:<11} {PASSWORD}   {ROLE_NAMES[role]}, {' and '.join(names[slug] for slug in where)}"
        for username, role, _, where in ACCOUNTS
        if username in there
    ]


def make_clinic(*, at: datetime) -> Clinic:
    """Write down sites, resources, hours, privileges, holidays, leave, blocks and the way between the sites."""
    sites = {}
    for slug, name, zone, address, phone in SITES:
        values = {
            "name": name, "time_zone": zone, "address": address, "phone": phone, "is_active": True,
            "directions": WAYS[slug][0], "directions_es": WAYS[slug][1],
        }  # fmt: skip
        sites[slug] = Site.objects.update_or_create(slug=slug, defaults=values)[0]
    users = make_users(sites)
    resources = _resources(sites, users)
    _hours(resources, sites)
    _privileges(resources)
    Travel.objects.bulk_create(
        Travel(origin=sites[one], destination=sites[other], minutes=75) for one, other in (BOTH, tuple(reversed(BOTH)))
    )
    _holidays(sites, at)
    _extra_list(resources, sites, at)
    _absences(resources, at)
    _blocks(resources, sites, at)
    everyone = tuple(resources.values())
    return Clinic(sites, everyone, tuple(row for row in everyone if row.kind == Kind.PHYSICIAN))


def _resources(sites: dict[str, Site], users: dict[str, User]) -> dict[str, Resource]:
    rows: list[Resource] = []

    def add(kind: str, name: str, short: str, slug: str, attributes: tuple[str, ...] = (), user: User | None = None) -> None:
        rows.append(
            Resource(
                kind=kind,
                name=name,
                short_name=short,
                site=sites[slug],
                attributes=list(attributes),
                user=user,
                position=len(rows),
                extra_turnover_minutes=5 if name == "Operating room" else 0,
            )
        )

    for doctor in DOCTORS:
        add(Kind.PHYSICIAN, doctor.name, doctor.short, doctor.hours[0].site, user=users["physician"] if not rows else None)
    for slug, names in NURSES:
        for name in names:
            add(Kind.NURSE, f"Nurse {name}", name.split()[0], slug, user=users["nurse"] if name == "Kim Osei" else None)
    for slug, kind, things in THINGS:
        for name, short, attributes in things:
            add(kind, name, short, slug, attributes)
    add(Kind.DEVICE_REPRESENTATIVE, "Device representative", "Rep", NORTH)
    return {row.name: row for row in Resource.objects.bulk_create(rows)}


def hours_of(name: str, slug: str, kind: str, turn: int) -> tuple[Hours, ...]:
    """Return the weekly hours of a resource of the lists above."""
    for doctor in DOCTORS:
        if doctor.name == name:
            return doctor.hours
    if kind == Kind.NURSE:
        return (Hours(slug, WEEK, "07:00", "18:00", LUNCHES[turn % len(LUNCHES)]),)
    if kind == Kind.DEVICE_REPRESENTATIVE:
        return REPRESENTATIVE
    return (Hours(slug, WEEK, *OPEN),)


def _hours(resources: dict[str, Resource], sites: dict[str, Site]) -> None:
    slugs = {site.pk: slug for slug, site in sites.items()}
    rows = []
    for turn, resource in enumerate(resources.values()):
        for hours in hours_of(resource.name, slugs[resource.site_id], resource.kind, turn):
            spans = [("work", hours.starts, hours.ends)]
            if hours.lunch:
                spans.append(("break", hours.lunch, _later(hours.lunch, 40)))
            rows += [
                WeeklyHours(
                    resource=resource,
                    site=sites[hours.site],
                    kind=kind,
                    weekday=weekday,
                    starts=time.fromisoformat(starts),
                    ends=time.fromisoformat(ends),
                )
                for weekday in hours.weekdays
                for kind, starts, ends in spans
            ]
    WeeklyHours.objects.bulk_create(rows)


def _later(clock: str, minutes: int) -> str:
    whole = int(clock[:2]) * 60 + int(clock[3:]) + minutes
    return f"{whole // 60:02d}:{whole % 60:02d}"


def _privileges(resources: dict[str, Resource]) -> None:
    rows = []
    for doctor in DOCTORS:
        for procedure in Procedure.objects.filter(category__in=doctor.categories).order_by("pk"):
            pace = doctor.pace.get(procedure.category)
            own = max(10, round(procedure.room_minutes * pace / 5) * 5) if pace else None
            rows.append(Privilege(resource=resources[doctor.name], procedure=procedure, procedure_minutes=own))
    Privilege.objects.bulk_create(rows)


def _holidays(sites: dict[str, Site], at: datetime) -> None:
    calendar = holidays.country_holidays("US", years=range(at.year - 6, at.year + 3), observed=False)
    for site in sites.values():
        today = at.astimezone(ZoneInfo(site.time_zone)).date()
        Closure.objects.bulk_create(
            Closure(site=site, date=on, name=name) for on, name in sorted(calendar.items()) if name in HOLIDAYS and on != today
        )


def _extra_list(resources: dict[str, Resource], sites: dict[str, Site], at: datetime) -> None:
    """Open today even on a weekend, so that the board of a demo is never empty."""
    for site in sites.values():
        today = at.astimezone(ZoneInfo(site.time_zone)).date()
        if today.weekday() in WEEK:
            continue
        rows = [
            DatedHours(resource=row, site=site, date=today, starts=time(7, 30), ends=time(18), reason="Extra list")
            for row in resources.values()
            if row.site_id == site.pk
        ]
        DatedHours.objects.bulk_create(rows)


def _absences(resources: dict[str, Resource], at: datetime) -> None:
    monday = at.date() - timedelta(days=at.weekday())
    rows = []

    def away(name: str, kind: str, first: date, last: date, note: str, starts: str = "00:00", ends: str = "00:00") -> None:
        resource = resources[name]
        zone = ZoneInfo(resource.site.time_zone)
        rows.append(
            Absence(
                resource=resource,
                kind=kind,
                note=note,
                starts_at=instant(first, time.fromisoformat(starts), zone),
                ends_at=instant(last, time.fromisoformat(ends), zone),
            )
        )

    for turn, doctor in enumerate(DOCTORS):
        for week in LEAVE_WEEKS:
            first = monday + timedelta(weeks=week + turn)
            away(doctor.name, "leave", first, first + timedelta(days=7), "Holiday")
    soon = monday + timedelta(days=7)
    away("C-arm 2", "out_of_service", soon + timedelta(days=2), soon + timedelta(days=3), "Yearly inspection")
    away("Dr. Chloé Lindqvist", "meeting", soon + timedelta(days=3), soon + timedelta(days=3), "Teaching", "13:30", "17:30")
    away("Nurse Lena Brandt", "leave", monday + timedelta(days=8), monday + timedelta(days=10), "Leave")
    Absence.objects.bulk_create(rows)


def _blocks(resources: dict[str, Resource], sites: dict[str, Site], at: datetime) -> None:
    start = at.date() - timedelta(days=400)

    def block(name: str, resource: str, slug: str, weekday: int, starts: str, ends: str, **whose: object) -> Block:
        return Block(
            name=name,
            resource=resources[resource],
            site=sites[slug],
            weekday=weekday,
            starts=time.fromisoformat(starts),
            ends=time.fromisoformat(ends),
            valid_from=start,
            **whose,
        )

    Block.objects.bulk_create(
        [
            block(
                "Stimulation morning",
                "Operating room",
                NORTH,
                1,
                "08:00",
                "12:00",
                physician=resources["Dr. Daniel Haddad"],
                release_days=10,
            ),
            block("Ablation morning", "RF generator 1", NORTH, 2, "07:30", "11:40", family="facet_rfa", release_days=7),
            block("Epidural morning", "C-arm 3", LAKE, 0, "08:00", "11:00", family="esi", release_days=5),
        ]
    )
