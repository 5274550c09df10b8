"""What every recorded fact has in common: who said it, when it was written down, and that it is amended, never deleted."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models.people import Patient, PatientSite

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


LONGEST_WORD = 80  # of the payers' tables, such as an indication; the longest as shipped is 74


class Origin(models.TextChoices):
    """Where a fact comes from."""

    CLINIC = "clinic", "Found or done here"
    PATIENT = "patient", "Told by the patient"
    ELSEWHERE = "elsewhere", "Another clinic's record"
    IMPORT = "import", "Imported"


class RecordedQuerySet(models.QuerySet["Recorded"]):
    """Reads that every kind of recorded fact offers."""

    def visible_to(self, user: User) -> Self:
        """Keep the facts of patients whom a site of this user knows."""
        mine = PatientSite.objects.filter(patient=models.OuterRef("patient_id"), site__in=user.sites.all())
        return self.filter(models.Exists(mine))

    def open_to(self, user: User, at: datetime) -> Self:
        """Keep those, and the facts of patients whose record this user has opened in an emergency that still lasts."""
        return self.filter(models.Exists(Patient.objects.open_to(user, at).filter(pk=models.OuterRef("patient_id"))))

    def standing(self) -> Self:
        """Leave out what was written down by mistake."""
        return self.filter(is_in_error=False)

    def of(self, patient: Patient) -> Self:
        return self.filter(patient=patient, is_in_error=False)


class Recorded(models.Model):
    """A row about one patient that staff record and amend.

    Old values are in the row history. What was written down by mistake stays, marked as such with its reason, and counts
    for nothing: reads start from ``of`` or ``standing``. ``version`` rises with every change and guards against lost updates.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    origin = models.CharField(max_length=9, choices=Origin.choices, default=Origin.CLINIC)
    note = models.CharField(max_length=300, blank=True)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    is_in_error = models.BooleanField(default=False)
    error_reason = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = RecordedQuerySet.as_manager()

    class Meta:
        abstract = True
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(is_in_error=False) | ~Q(error_reason=""), name="%(class)s_in_error_has_reason"),
        ]
        indexes = [
            # A patient's facts of one kind, newest first.
            models.Index(fields=["patient", "-recorded_at"], name="%(class)s_of_patient"),
        ]


class FactChangeQuerySet(models.QuerySet["FactChange"]):
    def broken(self) -> Self:
        """Keep the words for which the rules could not be asked so far: it broke down, or took too long."""
        return self.filter(done_at=None, failures__gt=0)


class FactChange(models.Model):
    """The word that something recorded about a patient has changed, for floors above: rules are asked again, plans renewed.

    Left by the verb in its own transaction. Whoever asks the rules again sets ``done_at``, the planner ``planned_at``.
    ``failures`` counts how often asking the rules broke down on this patient since, or took too long.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=24)  # the model's name
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    planned_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, db_default=0)

    objects = FactChangeQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            # The queue: changes that nobody has acted on.
            models.Index(fields=["id"], name="factchange_to_do", condition=Q(done_at__isnull=True)),
            # The planner's queue.
            models.Index(fields=["id"], name="factchange_to_plan", condition=Q(planned_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.patient_id}"
