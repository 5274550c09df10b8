"""People, rooms and devices, when they are there, and what they may do."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length

from pain_clinic.accounts.models import Site
from procedures.models import Procedure

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


models.BinaryField.register_lookup(Length)


class Kind(models.TextChoices):
    PHYSICIAN = "physician", "Physician"
    NURSE = "nurse", "Nurse"
    ROOM = "room", "Room"
    BAY = "bay", "Recovery bay"
    C_ARM = "c_arm", "C-arm"
    ULTRASOUND = "ultrasound", "Ultrasound"
    RF_GENERATOR = "rf_generator", "RF generator"
    COOLING_PUMP = "cooling_pump", "Cooling pump"
    DEVICE_REPRESENTATIVE = "device_representative", "Device representative"
    STIMULATOR_PROGRAMMER = "stimulator_programmer", "Stimulator programmer"


PEOPLE = (Kind.PHYSICIAN, Kind.NURSE, Kind.DEVICE_REPRESENTATIVE)


class ResourceQuerySet(models.QuerySet["Resource"]):
    def active(self) -> ResourceQuerySet:
        return self.filter(is_active=True)

    def visible_to(self, user: User) -> ResourceQuerySet:
        """Keep what works at a site of this user; one person is one resource at all sites."""
        return self.at_sites(user.sites.all())

    def at_sites(self, sites: Collection[int] | models.QuerySet[Site]) -> ResourceQuerySet:
        """Keep what is at home or has hours at one of these sites, be it on a single date."""
        weekly = WeeklyHours.objects.filter(site__in=sites).values("resource")
        dated = DatedHours.objects.filter(site__in=sites).values("resource")
        return self.filter(Q(site__in=sites) | Q(pk__in=weekly) | Q(pk__in=dated))

    def in_order(self) -> ResourceQuerySet:
        return self.order_by("kind", "position", "name", "pk")


@pghistory.track()
class Resource(models.Model):
    """One bookable person, room, bay or device. The primary key is the lock order."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=24, choices=Kind.choices)
    name = models.CharField(max_length=80)
    short_name = models.CharField(max_length=24)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="resources")
    attributes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    extra_turnover_minutes = models.PositiveSmallIntegerField(default=0)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="resource"
    )
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = ResourceQuerySet.as_manager()

    class Meta:
        permissions = [("manage_resources", "Change sites, people, rooms, devices and their hours")]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="resource_name_once_per_site"),
            models.CheckConstraint(
                condition=Q(extra_turnover_minutes__in=range(0, 121, 5)), name="resource_extra_turnover_in_fives"
            ),
        ]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class Privilege(models.Model):
    """This physician may do this procedure, with these guidance modalities, in this time of their own."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="privileges")
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="privileges")
    modalities = ArrayField(models.CharField(max_length=40), default=list, blank=True)  # empty: every modality
    procedure_minutes = models.PositiveSmallIntegerField(null=True, blank=True)  # None: the catalogue's room_minutes
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)  # last day, inclusive

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resource", "procedure"], name="privilege_once"),
            models.CheckConstraint(
                condition=Q(procedure_minutes=None) | Q(procedure_minutes__in=range(5, 721, 5)),
                name="privilege_minutes_in_fives",
            ),
        ]
        indexes = [models.Index(fields=["procedure", "resource"], name="privilege_by_procedure")]

    def __str__(self) -> str:
        return f"{self.resource_id} may {self.procedure_id}"


class HoursKind(models.TextChoices):
    WORK = "work"
    BREAK = "break"


@pghistory.track()
class WeeklyHours(models.Model):
    """Hours of every week at one site, in that site's wall time, within validity dates (both inclusive)."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="weekly_hours")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=HoursKind.choices, default=HoursKind.WORK)
    weekday = models.PositiveSmallIntegerField()  # Monday 0 .. Sunday 6
    starts = models.TimeField()
    ends = models.TimeField()
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="weekly_hours_weekday"),
            models.CheckConstraint(condition=Q(starts__lt=F("ends")), name="weekly_hours_start_before_end"),
        ]
        indexes = [models.Index(fields=["resource", "weekday"], name="weekly_hours_by_resource")]

    def __str__(self) -> str:
        return f"{self.resource_id} weekday {self.weekday} {self.starts}-{self.ends}"


@pghistory.track()
class DatedHours(models.Model):
    """The hours of one date at one site; all rows of a date together replace its weekly hours. No times: closed."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="dated_hours")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    date = models.DateField()
    starts = models.TimeField(null=True, blank=True)
    ends = models.TimeField(null=True, blank=True)
    reason = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(starts=None, ends=None) | Q(starts__lt=F("ends")), name="dated_hours_start_before_end"
            ),
        ]
        indexes = [models.Index(fields=["resource", "date"], name="dated_hours_by_resource")]

    def __str__(self) -> str:
        return f"{self.resource_id} on {self.date}"


class AbsenceKind(models.TextChoices):
    LEAVE = "leave", "Leave"
    OUT_OF_SERVICE = "out_of_service", "Out of service"
    MEETING = "meeting", "Meeting"


@pghistory.track()
class Absence(models.Model):
    """Time a resource is away or broken, wherever it works. Ended early or withdrawn, never deleted."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="absences")
    kind = models.CharField(max_length=16, choices=AbsenceKind.choices, default=AbsenceKind.LEAVE)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="absence_start_before_end"),
        ]
        indexes = [models.Index(fields=["resource", "ends_at"], name="absence_by_resource")]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.kind} {self.starts_at:%Y-%m-%d}"


@pghistory.track()
class Closure(models.Model):
    """A day on which a whole site is closed, a public holiday for instance."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="closures")
    date = models.DateField()
    name = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "date"], name="closure_once_per_day")]

    def __str__(self) -> str:
        return f"{self.name} {self.date}"


@pghistory.track()
class Travel(models.Model):
    """Minutes a person needs from one site to another, doors to doors. No row: no time at all."""

    origin = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    destination = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    minutes = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["origin", "destination"], name="travel_once"),
            models.CheckConstraint(condition=~Q(origin=F("destination")), name="travel_between_two_sites"),
            models.CheckConstraint(condition=Q(minutes__in=range(0, 721, 5)), name="travel_in_fives"),
        ]

    def __str__(self) -> str:
        return f"{self.origin_id} to {self.destination_id}: {self.minutes} min"


@pghistory.track()
class Block(models.Model):
    """Weekly time of a resource kept for one physician or one procedure family until N days before."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="blocks")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    weekday = models.PositiveSmallIntegerField()
    starts = models.TimeField()
    ends = models.TimeField()
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True)
    family = models.CharField(max_length=40, blank=True)
    physician = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="owned_blocks")
    release_days = models.PositiveSmallIntegerField(default=7)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="block_weekday"),
            models.CheckConstraint(condition=Q(starts__lt=F("ends")), name="block_start_before_end"),
            models.CheckConstraint(condition=~Q(family="") | ~Q(physician=None), name="block_has_owner"),
        ]

    def __str__(self) -> str:
        return self.name


class BlockTime(models.Model):
    """One date of a block as instants; hides its time from other searches while ``releases_at`` is to come."""

    block = models.ForeignKey(Block, on_delete=models.CASCADE, related_name="times")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    releases_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="block_time_start_before_end"),
        ]
        indexes = [models.Index(fields=["resource", "ends_at"], name="block_time_by_resource")]

    def __str__(self) -> str:
        return f"{self.block_id} {self.starts_at:%Y-%m-%d}"


class FreeTime(models.Model):
    """288 bits of one UTC day: bit i (byte i//8, bit i%8) set when slot i is free at that site.

    Working hours less breaks, absences and closures, less unreleased allocations, less the way to and from
    allocations at other sites. Written by the transaction that changes any of these; allocations are the truth
    and ``manage.py check_free_time`` compares.
    """

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="free_time")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    bits = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resource", "site", "day"], name="free_time_once"),
            models.CheckConstraint(condition=Q(bits__length=36), name="free_time_is_288_bits"),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.day}"
