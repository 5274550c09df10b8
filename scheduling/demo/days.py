"""Which day of the demo holds how many cases, and what is free of it before the first."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pain_clinic.accounts.models import Site
from procedures.models import Procedure
from scheduling.demo import clinic as plan
from scheduling.demo.cases import Case, Day, Hidden, Packer, slots
from scheduling.demo.people import Person
from scheduling.models import Absence, BlockTime, Closure, DatedHours, Privilege, WeeklyHours

YEARS_BACK = 5
LONGEST_BACK = 9  # years, when the days of five do not hold everything
WEEKS_AHEAD = 10
FULL_DAYS = 14  # days from today that are well filled
OLD = 2  # sessions of each person of a small clinic, before the last weeks: enough to report on
PER_DOCTOR = 12  # cases of a full day

Tell = Callable[[str], None]


def local_date(zone: str, at: datetime) -> date:
    """Return the date at a place."""
    return at.astimezone(ZoneInfo(zone)).date()


Placer = Callable[["Packer", "Calendar"], Iterator[Case]]


def pack(
    made: plan.Clinic, people: list[Person], rng: random.Random, at: datetime, tell: Tell, first: Placer
) -> Iterator[Case]:  # fmt: skip
    """Yield the cases of everybody; those of `first` are placed before all others and do not count among them."""
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
    calendar = Calendar(made, at)
    yield from first(packer, calendar)
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
    wanted = max(wanted, count + OLD * len(people))  # a small clinic has years behind it too
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
    return max(3 * patients, min(5 * patients, patients + 2200))


def _quota(patients: int, doctors: int) -> int:
    return min(doctors * PER_DOCTOR, max(2, patients // 12))


def _days(made: plan.Clinic, at: datetime, first: int, stop: int) -> Iterator[tuple[Site, date, int]]:
    for offset in range(first, stop):
        for site in made.sites.values():
            today = local_date(site.time_zone, at)
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


class Calendar:
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
        self.blocks: dict[tuple[int, date], list[BlockTime]] = defaultdict(list)
        for block in BlockTime.objects.filter(releases_at__gt=at).select_related("block", "site").order_by("pk"):
            self.blocks[block.site_id, local_date(block.site.time_zone, block.starts_at)].append(block)
        self.rows = {row.pk: row for row in made.resources}
        self.kept: dict[tuple[int, date], Day] = {}

    def keep(self, site: Site, on: date) -> Day:
        """Return a day that `day` gives again as it was left."""
        return self.kept.setdefault((site.pk, on), self.day(site, on))

    def day(self, site: Site, on: date) -> Day:
        if (site.pk, on) in self.kept:
            return self.kept[site.pk, on]
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
            for row in self.blocks.get((site.pk, on), ())
        ]
        doctors = [row for row in self.made.doctors if free.get(row.pk)]
        return Day(site.pk, on, zone, free, doctors, hidden)

    @staticmethod
    def _mask(noon: datetime, starts_at: datetime, ends_at: datetime) -> int:
        """Return an instant's stretch as bits of the local day, rounded outward and kept inside it."""
        first = max(0, 144 + (starts_at - noon) // timedelta(minutes=5))
        stop = min(288, 144 - (noon - ends_at) // timedelta(minutes=5))
        return ((1 << (stop - first)) - 1) << first if stop > first else 0
