"""What the board reads: seven statements for one site and some days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, DateField, Exists, F, IntegerField, OuterRef, Q, TimeField, Value
from django.db.models.functions import Cast

from pain_clinic.accounts.models import Site
from patients.models import Patient
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
    Resource,
    WeeklyHours,
)

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


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


@dataclass(slots=True)
class Rows:
    """What the statements found, for one site and some days."""

    zone: ZoneInfo
    resources: list[Resource]
    hours: list[tuple[Any, ...]]
    absences: dict[int, list[Absence]]
    blocks: dict[int, list[BlockTime]]
    appointments: list[Appointment]
    allocations: dict[int, list[dict[str, Any]]]  # by resource
    by_appointment: dict[int, list[dict[str, Any]]]
    names: dict[int, Resource] = field(default_factory=dict)


def sites_of(user: User) -> tuple[Site, ...]:
    """Return the sites that a user works at, in name order."""
    return tuple(Site.objects.visible_to(user).active().order_by("name", "pk"))


def load(asked: Asked, days: Sequence[date], zone: ZoneInfo, at: datetime) -> Rows:
    starts, ends = local_day(days[0], zone).starts_at, local_day(days[-1], zone).ends_at
    site = asked.site
    at_site = WeeklyHours.objects.filter(site=site).values("resource")
    resources = list(Resource.objects.filter(Q(site=site) | Q(pk__in=at_site)).in_order())
    ids = [resource.pk for resource in resources]
    allocations: dict[int, list[dict[str, Any]]] = defaultdict(list)
    by_appointment: dict[int, list[dict[str, Any]]] = defaultdict(list)
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
        .values("resource_id", "appointment_id", "kind", "legs", "starts_at", "ends_at", "hold__ends_at")
    )
    for found in standing:
        row = dict(found)
        allocations[found["resource_id"]].append(row)
        if found["appointment_id"]:
            by_appointment[found["appointment_id"]].append(row)
    return Rows(
        zone=zone,
        resources=resources,
        hours=_hours(site, days),
        absences=_grouped(
            Absence.objects.filter(resource_id__in=ids, withdrawn_at=None, starts_at__lt=ends, ends_at__gt=starts).order_by(
                "starts_at", "pk"
            )
        ),
        blocks=_grouped(
            BlockTime.objects.filter(site=site, starts_at__lt=ends, ends_at__gt=starts, releases_at__gt=at)
            .select_related("block", "block__physician")
            .order_by("starts_at", "pk")
        ),
        appointments=_appointments(site, starts, ends),
        allocations=allocations,
        by_appointment=by_appointment,
        names={resource.pk: resource for resource in resources},
    )


def _appointments(site: Site, starts: datetime, ends: datetime) -> list[Appointment]:
    twins = Patient.objects.filter(search_name=OuterRef("patient__search_name")).exclude(pk=OuterRef("patient_id"))
    waiting = AppointmentFinding.objects.filter(appointment=OuterRef("pk"), severity="pending")
    return list(
        Appointment.objects.filter(site=site, starts_at__gte=starts, starts_at__lt=ends)
        .select_related("patient", "procedure")
        .annotate(has_twin=Exists(twins), is_waiting=Exists(waiting))
        .order_by("starts_at", "pk")
    )


def _hours(site: Site, days: Sequence[date]) -> list[tuple[Any, ...]]:
    """Return weekly hours, dated hours and closures in one statement, in the order of `columns`."""
    columns = ("tag", "who", "what", "weekday_", "on", "until", "starts_", "ends_", "name_")
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
    return list(weekly.values_list(*columns).union(dated.values_list(*columns), closed.values_list(*columns), all=True))


def _grouped(rows: Iterable[Any]) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.resource_id].append(row)
    return groups
