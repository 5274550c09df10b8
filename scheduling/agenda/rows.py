"""What the board reads: six statements for one site and some days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, DateField, Exists, F, IntegerField, OuterRef, Q, TimeField, Value
from django.db.models.functions import Cast

from pain_clinic.accounts.models import Site
from patients.models import FactChange, Patient, PatientSite
from scheduling.agenda import words
from scheduling.intervals import local_day
from scheduling.models import (
    Absence,
    Allocation,
    Appointment,
    AppointmentFinding,
    BlockTime,
    Closure,
    DatedHours,
    Kind,
    Resource,
    WeeklyHours,
)

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


KINDS: dict[str, tuple[str, ...]] = {"physician": (Kind.PHYSICIAN,), "room": (Kind.ROOM,), "device": words.DEVICES}
NAMED = frozenset(kind for kinds in KINDS.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which board: everything that its address says."""

    site: Site
    sites: tuple[Site, ...]
    day: date
    view: str = "day"
    by: str = "physician"
    case: UUID | None = None

    def url(self, **other: Any) -> str:
        given = {"site": self.site.slug, "day": self.day, "view": self.view, "by": self.by, **other}
        return words.board_url(**given)


class UnitRow(NamedTuple):
    """A person, room, bay or device of the site."""

    pk: int
    public_id: UUID
    kind: str
    name: str
    short_name: str
    is_active: bool


class HoursRow(NamedTuple):
    """Weekly hours, dated hours or a closure, by `tag`."""

    tag: str
    who: int | None
    what: str
    weekday: int
    on: date | None
    until: date | None
    starts: time | None
    ends: time | None
    name: str


class AwayRow(NamedTuple):
    """A resource's absence."""

    resource_id: int
    kind: str
    starts_at: datetime
    ends_at: datetime


class KeptRow(NamedTuple):
    """One date of a block that is still kept."""

    resource_id: int
    starts_at: datetime
    ends_at: datetime
    name: str
    family: str
    owner: str | None


class CaseRow(NamedTuple):
    """An appointment with what the board says of its patient and procedure."""

    pk: int
    public_id: UUID
    version: int
    status: str
    side: str
    levels: list[str]
    regions: list[str]
    arrives_at: datetime
    starts_at: datetime
    ends_at: datetime
    leaves_at: datetime
    first_name: str
    last_name: str
    birth_date: date
    deceased_on: date | None
    language: str
    procedure: str
    category: str
    family: str
    level_scheme: str
    offered_regions: list[str]
    has_twin: bool
    is_waiting: bool
    is_refused: bool
    is_unasked: bool

    @property
    def target(self) -> tuple[tuple[str, ...], str, str, tuple[str, ...], tuple[str, ...]]:
        """Return what names the target, as `words.target` takes it."""
        return tuple(self.levels), self.side, self.level_scheme, tuple(self.regions), tuple(self.offered_regions)


Row = TypeVar("Row", AwayRow, KeptRow)


class UseRow(NamedTuple):
    """A standing allocation: of a case, or of a hold where `case` is empty."""

    resource_id: int
    case: int | None
    kind: str
    legs: list[str]
    starts_at: datetime
    ends_at: datetime


@dataclass(slots=True)
class Rows:
    """What the statements found, for one site and some days."""

    zone: ZoneInfo
    units: list[UnitRow]
    hours: dict[int, list[HoursRow]]  # by resource
    closures: dict[date, str]
    absences: dict[int, list[AwayRow]]  # by resource
    blocks: dict[int, list[KeptRow]]  # by resource
    cases: list[CaseRow]
    uses: dict[int, list[UseRow]]  # by resource
    by_case: dict[int, list[UseRow]]
    names: dict[int, str] = field(default_factory=dict)


def sites_of(user: User) -> tuple[Site, ...]:
    """Return the sites that a user works at, in name order."""
    return tuple(Site.objects.visible_to(user).active().order_by("name", "pk"))


def load(asked: Asked, days: Sequence[date], zone: ZoneInfo, at: datetime) -> Rows:
    """Read the board in six statements: plain rows, since making objects of them would cost more than reading them."""
    starts, ends = local_day(days[0], zone).starts_at, local_day(days[-1], zone).ends_at
    units = _units(asked.site, days)
    # A week shows who has whom; days and lists also name the others' rooms and devices. Nobody shows nurses and bays.
    kinds = KINDS[asked.by] if asked.view == "week" else NAMED
    uses, by_case = _uses(asked.site, [unit.pk for unit in units if unit.kind in kinds], starts, ends, at)
    hours, closures = _hours(asked.site, days)
    ids = [unit.pk for unit in units]
    away = Absence.objects.filter(resource_id__in=ids, withdrawn_at=None, starts_at__lt=ends, ends_at__gt=starts)
    kept = BlockTime.objects.filter(site=asked.site, starts_at__lt=ends, ends_at__gt=starts, releases_at__gt=at)
    return Rows(
        zone=zone,
        units=units,
        hours=hours,
        closures=closures,
        absences=_grouped(
            AwayRow._make(row)
            for row in away.order_by("starts_at", "pk").values_list("resource_id", "kind", "starts_at", "ends_at")
        ),
        blocks=_grouped(
            KeptRow._make(row)
            for row in kept.order_by("starts_at", "pk").values_list(
                "resource_id", "starts_at", "ends_at", "block__name", "block__family", "block__physician__short_name"
            )
        ),
        cases=_cases(asked.site, starts, ends),
        uses=uses,
        by_case=by_case,
        names={unit.pk: unit.short_name for unit in units},
    )


def _units(site: Site, days: Sequence[date]) -> list[UnitRow]:
    at_site = WeeklyHours.objects.filter(site=site).values("resource")
    these_days = DatedHours.objects.filter(site=site, date__range=(days[0], days[-1])).exclude(starts=None).values("resource")
    found = Resource.objects.filter(Q(site=site) | Q(pk__in=at_site) | Q(pk__in=these_days)).in_order()
    return [UnitRow._make(row) for row in found.values_list(*UnitRow._fields)]


def _uses(
    site: Site, ids: Sequence[int], starts: datetime, ends: datetime, at: datetime
) -> tuple[dict[int, list[UseRow]], dict[int, list[UseRow]]]:
    """Return standing allocations by resource and by case."""
    standing = (
        Allocation.objects.filter(
            site=site,
            resource_id__in=ids,
            released_at=None,
            starts_at__gte=starts - timedelta(days=1),
            starts_at__lt=ends,
            ends_at__gt=starts,
        )
        .filter(Q(hold=None) | Q(appointment__isnull=False) | Q(hold__ends_at__gt=at))
        .order_by("starts_at", "pk")
        .values_list("resource_id", "appointment_id", "kind", "legs", "starts_at", "ends_at")
    )
    by_resource: dict[int, list[UseRow]] = defaultdict(list)
    by_case: dict[int, list[UseRow]] = defaultdict(list)
    for values in standing:
        row = UseRow._make(values)
        by_resource[row.resource_id].append(row)
        if row.case:
            by_case[row.case].append(row)
    return by_resource, by_case


def _cases(site: Site, starts: datetime, ends: datetime) -> list[CaseRow]:
    # Namesakes whom this site knows: a mark must not tell of people at other sites.
    known = PatientSite.objects.filter(patient=OuterRef("pk"), site=site)
    twins = Patient.objects.filter(Exists(known), search_name=OuterRef("patient__search_name")).exclude(pk=OuterRef("patient_id"))
    said = AppointmentFinding.objects.filter(appointment=OuterRef("pk"), gone_at=None)
    found = (
        Appointment.objects.filter(site=site, starts_at__gte=starts, starts_at__lt=ends)
        .annotate(
            has_twin=Exists(twins),
            is_waiting=Exists(said.filter(severity="pending")),
            is_refused=Exists(said.filter(stands=True)),
            is_unasked=Exists(FactChange.objects.broken().filter(patient=OuterRef("patient_id"))),
        )
        .order_by("starts_at", "pk")
        .values_list(
            "pk", "public_id", "version", "status", "side", "levels", "regions",
            "arrives_at", "starts_at", "ends_at", "leaves_at",
            "patient__first_name", "patient__last_name", "patient__birth_date", "patient__deceased_on", "patient__language",
            "procedure__short_name", "procedure__category", "procedure__family", "procedure__level_scheme",
            "procedure__regions",
            "has_twin", "is_waiting", "is_refused", "is_unasked",
        )
    )  # fmt: skip
    return [CaseRow._make(row) for row in found]


def _hours(site: Site, days: Sequence[date]) -> tuple[dict[int, list[HoursRow]], dict[date, str]]:
    """Return weekly and dated hours by resource, and closures by day, in one statement."""
    columns = ("tag", "who", "what", "weekday_", "on", "until", "starts_", "ends_", "name_")  # as `HoursRow` has them
    first, last = days[0], days[-1]
    nobody = Cast(Value(None), BigIntegerField())
    no_day, no_time = Cast(Value(None), DateField()), Cast(Value(None), TimeField())
    no_weekday = Value(0, output_field=IntegerField())
    weekly = (
        WeeklyHours.objects.filter(site=site, weekday__in={day.weekday() for day in days})
        .filter(Q(valid_from=None) | Q(valid_from__lte=last), Q(valid_until=None) | Q(valid_until__gte=first))
        .annotate(
            tag=Value("weekly"),
            who=F("resource_id"),
            what=F("kind"),
            weekday_=Cast("weekday", IntegerField()),
            on=F("valid_from"),
            until=F("valid_until"),
            starts_=F("starts"),
            ends_=F("ends"),
            name_=Value(""),
        )
    )
    dated = DatedHours.objects.filter(site=site, date__range=(first, last)).annotate(
        tag=Value("dated"),
        who=F("resource_id"),
        what=Value("work"),
        weekday_=no_weekday,
        on=F("date"),
        until=F("date"),
        starts_=F("starts"),
        ends_=F("ends"),
        name_=F("reason"),
    )
    closed = Closure.objects.filter(site=site, date__range=(first, last)).annotate(
        tag=Value("closed"),
        who=nobody,
        what=Value(""),
        weekday_=no_weekday,
        on=F("date"),
        until=no_day,
        starts_=no_time,
        ends_=no_time,
        name_=F("name"),
    )
    hours: dict[int, list[HoursRow]] = defaultdict(list)
    closures: dict[date, str] = {}
    for values in weekly.values_list(*columns).union(dated.values_list(*columns), closed.values_list(*columns), all=True):
        row = HoursRow._make(values)
        if row.who is not None:
            hours[row.who].append(row)
        else:
            assert row.on is not None  # a closure is of one day
            closures.setdefault(row.on, row.name)
    return hours, closures


def _grouped(rows: Iterable[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.resource_id].append(row)
    return groups
