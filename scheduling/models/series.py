"""Series: several sessions of one patient ordered together, and the dates proposed for them jointly."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Q

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.models import words
from scheduling.models.appointments import Appointment
from scheduling.models.courses import Course
from scheduling.models.resources import Resource

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class SeriesStatus(models.TextChoices):
    OPEN = "open", "To book"
    WITHDRAWN = "withdrawn", "Withdrawn"


class SeriesQuerySet(models.QuerySet["Series"]):
    def visible_to(self, user: User) -> SeriesQuerySet:
        return self.filter(site__in=user.sites.all())


@pghistory.track()
class Series(models.Model):
    """What a physician ordered to be done in the next while. Its proposal takes no room; booking does.

    ``is_best`` says that no better dates can exist for it under the rules as they were at ``proposed_at``.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="series")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    physician = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    not_before = models.DateField(null=True, blank=True)
    is_one_weekday = models.BooleanField(default=False)  # the patient wishes to come on the same weekday
    status = models.CharField(max_length=9, choices=SeriesStatus.choices, default=SeriesStatus.OPEN)
    is_best = models.BooleanField(default=False)
    proposed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    objects = SeriesQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            # A patient's series, the newest first.
            models.Index(fields=["patient", "-id"], name="series_of_patient"),
        ]

    def __str__(self) -> str:
        return f"series {self.public_id}"


@pghistory.track()
class SeriesSession(models.Model):
    """One session of a series, what it follows at what distance, and the date proposed for it or why there is none.

    ``after`` is the number of the session that it follows; without one the three dates are its window. ``is_bound``:
    neither is done without the other, and ``most_days`` is a bound. ``fixed_on`` is a day that somebody chose.
    """

    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="sessions")
    number = models.PositiveSmallIntegerField()
    course = models.ForeignKey(Course, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    step = models.CharField(max_length=40, blank=True)
    name = models.CharField(max_length=120, blank=True)
    procedure = models.CharField(max_length=60)  # its code
    side = models.CharField(max_length=9, blank=True)
    levels = words(24)
    regions = words(24)
    role = models.CharField(max_length=12, blank=True)
    drug = models.CharField(max_length=40, blank=True)
    after = models.PositiveSmallIntegerField(null=True, blank=True)
    least_days = models.PositiveSmallIntegerField(default=0)
    ideal_days = models.PositiveSmallIntegerField(default=0)
    most_days = models.PositiveSmallIntegerField(default=0)
    is_bound = models.BooleanField(default=False)
    earliest = models.DateField(null=True, blank=True)
    ideal = models.DateField(null=True, blank=True)
    latest = models.DateField(null=True, blank=True)
    not_after = models.DateField(null=True, blank=True)
    is_skipped = models.BooleanField(default=False)
    fixed_on = models.DateField(null=True, blank=True)
    opening = models.JSONField(null=True, blank=True)
    findings = models.JSONField(default=list)  # of the rules about the date proposed
    why_none = models.CharField(max_length=600, blank=True)
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="seriessession_once_per_place"),
            models.UniqueConstraint(
                fields=["appointment"], condition=~Q(appointment=None), name="seriessession_one_per_appointment"
            ),
            models.CheckConstraint(
                condition=Q(after__isnull=False) | Q(earliest__isnull=False, ideal__isnull=False, latest__isnull=False),
                name="seriessession_has_its_place",
            ),
            models.CheckConstraint(condition=Q(is_skipped=False) | Q(appointment=None), name="seriessession_skipped_or_booked"),
        ]

    def __str__(self) -> str:
        return f"session {self.number} of {self.series_id}"
