"""The bench clinic: seeded, one site, 20 physicians among 50 resources, two years of bookings written by COPY.

Eight lanes of room, C-arm and nurse work in cycles of twenty minutes, each a phase behind the next, so that six bays
and the physicians suffice. Every place of that grid is free of conflict with every other: some are filled, the rest
is what the booking lines book.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils.text import slugify

from pain_clinic.accounts.models import Site, User
from pain_clinic.accounts.roles import sync_roles
from patients.models import Patient, PatientSite, folded
from procedures.models import Procedure, ProcedureNeed
from scheduling import free_time
from scheduling.demo.writing import copy, reserve
from scheduling.models import Allocation, Appointment, Kind, Privilege, Resource, WeeklyHours
from tests.bench.owning import analyze

ZONE = ZoneInfo("America/New_York")
OPENS, CLOSES = time(7), time(18)
PREP, ROOM, RECOVERY, TURNOVER, CYCLE = 5, 15, 15, 5, 20
LANES, TURNS = 8, 31
COUNTS = {Kind.PHYSICIAN: 20, Kind.ROOM: LANES, Kind.C_ARM: LANES, Kind.NURSE: LANES, Kind.BAY: 6}
FULL_DAY = 243  # 92 % of what eight rooms hold in eleven hours
FIVE = (
    (Kind.PHYSICIAN, ("procedure",)), (Kind.NURSE, ("prep", "procedure")), (Kind.ROOM, ("procedure", "turnover")),
    (Kind.BAY, ("recovery",)), (Kind.C_ARM, ("procedure", "turnover")),
)  # fmt: skip
FOUR = tuple(need for need in FIVE if need[0] != Kind.BAY)
FIRST = [
    "Ada",
    "Ben",
    "Cora",
    "Dan",
    "Eva",
    "Finn",
    "Gwen",
    "Hugo",
    "Iris",
    "Jon",
    "Kira",
    "Leo",
    "Mara",
    "Nils",
    "Olga",
    "Paul",
    "Rosa",
    "Sven",
    "Tess",
    "Uma",
    "Vera",
    "Wim",
    "Yara",
    "Zeno",
]
LAST_A = [
    "Ash",
    "Birch",
    "Cedar",
    "Dun",
    "Elm",
    "Fern",
    "Gar",
    "Hazel",
    "Ivor",
    "Jar",
    "Kel",
    "Lin",
    "Mar",
    "Nor",
    "Oak",
    "Pel",
    "Quin",
    "Rud",
    "Sten",
    "Thorn",
    "Ul",
    "Val",
    "Wex",
    "Yew",
]
LAST_B = [
    "berg",
    "by",
    "combe",
    "dale",
    "den",
    "field",
    "ford",
    "gate",
    "ham",
    "hurst",
    "ing",
    "land",
    "ley",
    "lock",
    "low",
    "mere",
    "more",
    "ridge",
    "shaw",
    "stead",
    "ton",
    "wick",
    "wood",
    "worth",
]


@dataclass(frozen=True, slots=True)
class Size:
    """How big: patients, visits of the busiest, bookings in the past and to come, full workdays ahead, days each way."""

    patients: int
    busiest: int
    past: int
    ahead: int
    full_days: int
    days: int


SIZES = {"full": Size(20_000, 774, 61_000, 36_000, 10, 365), "small": Size(1_000, 39, 3_050, 1_800, 4, 60)}


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the grid: when, and which units it takes (by need, in the order of `FIVE`)."""

    starts_at: datetime
    units: tuple[int, int, int, int, int]

    def runs(
        self, needs: tuple[tuple[Kind, tuple[str, ...]], ...] = FIVE
    ) -> list[tuple[int, str, list[str], datetime, datetime]]:
        """Return resource, kind, legs, start and end of each stretch taken."""
        out = self.starts_at + timedelta(minutes=ROOM)
        spans = {
            "prep": (self.starts_at - timedelta(minutes=PREP), self.starts_at), "procedure": (self.starts_at, out),
            "recovery": (out, out + timedelta(minutes=RECOVERY)), "turnover": (out, out + timedelta(minutes=TURNOVER)),
        }  # fmt: skip
        return [
            (unit, str(kind.value), list(legs), spans[legs[0]][0], spans[legs[-1]][1])
            for (kind, legs), unit in zip(FIVE, self.units, strict=True)
            if (kind, legs) in needs
        ]


@dataclass
class BenchClinic:
    """What the lines measure on."""

    at: datetime
    size: Size
    site: Site
    desk: User
    five: Procedure
    four: Procedure
    never: Procedure  # too long for any day
    late: Procedure  # nobody may do it before day 300
    patients: list[int]
    free: list[Place]  # to be booked, in the order of time, beyond the full days
    day: date  # a full day
    seed: int

    def take(self, count: int) -> list[Place]:
        """Take places out of those free, from all over the year."""
        chosen = [self.free.pop() for _ in range(count)]
        return chosen


def build(size_name: str, *, at: datetime, seed: int = 42) -> BenchClinic:
    """Write the clinic into an empty database, all constraints and triggers on."""
    size, rng = SIZES[size_name], random.Random(seed)  # seeded on purpose
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        if Patient.objects.exists():
            raise SystemExit("The bench builds its clinic in an empty database of its own: use `python3 dev.py bench`.")
        site = Site.objects.create(name="Bench clinic", slug=slugify("bench"), time_zone=ZONE.key)
        sync_roles()
        desk = User.objects.create(username="bench-desk", display_name="Bench desk", date_joined=at)
        desk.groups.set([Group.objects.get(name="desk")])
        desk.sites.set([site])
        units = _resources(site)
        five, four = _procedure("bench_five", FIVE), _procedure("bench_four", FOUR)
        never, late = _procedure("bench_never", FIVE, minutes=690), _procedure("bench_late", FIVE)
        today = at.astimezone(ZONE).date()
        for physician in units[Kind.PHYSICIAN]:
            for procedure in (five, four, never):
                Privilege.objects.create(resource_id=physician, procedure=procedure)
        late_day = today + timedelta(days=300)
        Privilege.objects.create(resource_id=units[Kind.PHYSICIAN][0], procedure=late, valid_from=late_day)
        people = _people(site, size, rng, at)
        filled, free = _places(size, units, rng, today)
        _cases(filled, people, five, site, desk, size, rng, at)
        free_time.rebuild(at=at)
    analyze()
    rng.shuffle(free)
    ahead = next(on for on in (today + timedelta(days=n) for n in range(1, 5)) if on.weekday() < 5)
    return BenchClinic(at, size, site, desk, five, four, never, late, people, free, ahead, seed)


def _resources(site: Site) -> dict[Kind, list[int]]:
    units: dict[Kind, list[int]] = {}
    for kind, count in COUNTS.items():
        made = Resource.objects.bulk_create(
            Resource(kind=kind, name=f"{kind.label} {n + 1}", short_name=f"{kind.label} {n + 1}"[:24], site=site, position=n)
            for n in range(count)
        )
        units[kind] = [one.pk for one in made]
        WeeklyHours.objects.bulk_create(
            WeeklyHours(resource=one, site=site, weekday=weekday, starts=OPENS, ends=CLOSES)
            for one in made
            for weekday in range(5)
        )
    return units


def _procedure(code: str, needs: tuple[tuple[Kind, tuple[str, ...]], ...], *, minutes: int = ROOM) -> Procedure:
    made = Procedure.objects.create(
        code=code, name=code.replace("_", " ").capitalize(), short_name=code[:32], prep_minutes=PREP, room_minutes=minutes,
        recovery_minutes=RECOVERY, turnover_minutes=TURNOVER, is_offered=True, category="epidural", family="esi",
        regions=["lumbar"], laterality=["left", "right", "bilateral"], max_levels=2, guidance_default="fluoroscopy",
        sedation="none", steroid="yes", bleeding_class="intermediate", driver="required_if_sedated",
        fasting="none_when_local_only",
    )  # fmt: skip
    ProcedureNeed.objects.bulk_create(
        ProcedureNeed(procedure=made, kind=kind, attribute="", legs=list(legs)) for kind, legs in needs
    )
    return made


def _people(site: Site, size: Size, rng: random.Random, at: datetime) -> list[int]:
    keys = reserve(Patient, size.patients)
    rows = []
    for key in keys:
        first, last = rng.choice(FIRST), rng.choice(LAST_A) + rng.choice(LAST_B)
        born = date(1935, 1, 1) + timedelta(days=rng.randrange(25_000))
        rows.append((
            key, uuid.UUID(int=rng.getrandbits(128)), f"B{key:07d}", last, first, folded(f"{last} {first}"), born, "unknown",
            f"p{key}@example.invalid", "", "en", "", site.pk, True, True, 1, at - timedelta(days=800),
        ))  # fmt: skip
    copy(
        Patient,
        ("id", "public_id", "record_number", "last_name", "first_name", "search_name", "birth_date", "sex", "email", "phone",
         "language", "payer", "home_site", "accepts_email", "is_demo", "version", "created_at"),
        rows,
    )  # fmt: skip
    copy(PatientSite, ("patient", "site", "because", "since"), ((key, site.pk, "home", at - timedelta(days=800)) for key in keys))
    return keys


def grid(on: date, units: dict[Kind, list[int]]) -> list[Place]:
    """Return every place of a day; together they never ask for one unit twice at a time."""
    opens = datetime.combine(on, OPENS, ZONE).astimezone(UTC)
    turns = sorted((PREP + lane % 4 * 5 + turn * CYCLE, lane, turn) for lane in range(LANES) for turn in range(TURNS))
    bays = [0] * len(units[Kind.BAY])  # when each is free again
    places = []
    for minute, lane, turn in turns:
        recovery = minute + ROOM
        bay = next(n for n, until in enumerate(bays) if until <= recovery)
        bays[bay] = recovery + RECOVERY
        doctor = (lane * 2 + turn % 2 + on.toordinal()) % len(units[Kind.PHYSICIAN])
        places.append(
            Place(
                opens + timedelta(minutes=minute),
                (
                    units[Kind.PHYSICIAN][doctor],
                    units[Kind.NURSE][lane],
                    units[Kind.ROOM][lane],
                    units[Kind.BAY][bay],
                    units[Kind.C_ARM][lane],
                ),
            )
        )
    return places


def _places(size: Size, units: dict[Kind, list[int]], rng: random.Random, today: date) -> tuple[list[list[Place]], list[Place]]:
    """Return the filled places by day, the past first, and the free ones beyond the full days."""
    before = [today - timedelta(days=n) for n in range(size.days, 0, -1)]
    after = [today + timedelta(days=n) for n in range(size.days)]
    past, ahead = ([on for on in days if on.weekday() < 5] for days in (before, after))
    full, thin = ahead[: size.full_days], ahead[size.full_days :]
    wanted = [*_shares(size.past, len(past)), *[FULL_DAY] * len(full), *_shares(size.ahead - FULL_DAY * len(full), len(thin))]
    filled, free = [], []
    for on, count in zip([*past, *ahead], wanted, strict=True):
        places = grid(on, units)
        chosen = set(rng.sample(range(len(places)), count))
        filled.append([place for n, place in enumerate(places) if n in chosen])
        if on in thin:
            free += [place for n, place in enumerate(places) if n not in chosen]
    return filled, free


def _shares(total: int, days: int) -> list[int]:
    return [total // days + (n < total % days) for n in range(days)]


def _cases(
    filled: list[list[Place]],
    people: list[int],
    procedure: Procedure,
    site: Site,
    desk: User,
    size: Size,
    rng: random.Random,
    at: datetime,
) -> None:
    total, busiest_left = sum(map(len, filled)), size.busiest
    keys = iter(reserve(Appointment, total))
    cases: list[tuple[int, int, Place]] = []
    for day in filled:
        whom = rng.sample(people[1:], len(day))
        for place in (0, len(day) // 2):
            if busiest_left:
                whom[place] = people[0]
                busiest_left -= 1
        cases += [(next(keys), patient, place) for patient, place in zip(whom, day, strict=True)]
    created = at - timedelta(days=400)

    def row(key: int, patient: int, place: Place) -> tuple[object, ...]:
        starts, wall = place.starts_at, place.starts_at.astimezone(ZONE)
        out = starts + timedelta(minutes=ROOM)
        leaves = out + timedelta(minutes=RECOVERY)
        return (
            key, uuid.UUID(int=rng.getrandbits(128)), patient, procedure.pk, site.pk, "left", [], [], "fluoroscopy", "none",
            "discharged" if leaves < at else "booked", starts - timedelta(minutes=PREP), starts, out, leaves, wall.date(), wall.time(),
            ZONE.key, "demo", False, "", "", "", "", False, 1, 0, created, desk.pk,
        )  # fmt: skip

    copy(
        Appointment,
        ("id", "public_id", "patient", "procedure", "site", "side", "levels", "regions", "guidance", "sedation", "status",
         "arrives_at", "starts_at", "ends_at", "leaves_at", "local_date", "local_time", "zone", "source", "is_history", "note", "cancel_reason",
         "cancel_note", "asked_by", "is_late", "version", "calendar_sequence", "created_at", "created_by"),
        (row(*case) for case in cases),
    )  # fmt: skip
    copy(
        Allocation,
        ("resource", "site", "appointment", "kind", "legs", "starts_at", "ends_at", "created_at"),
        (
            (unit, site.pk, key, kind, legs, starts_at, ends_at, created)
            for key, _, place in cases
            for unit, kind, legs, starts_at, ends_at in place.runs()
        ),
    )
