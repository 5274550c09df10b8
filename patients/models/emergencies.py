"""Records opened in an emergency: who, whose, why, and for how long."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from patients.models.people import Patient

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class EmergencyReason(models.TextChoices):
    TREATING = "treating", "I am treating this person now"
    CALLED = "called", "Somebody who treats this person has called"
    COVERING = "covering", "I stand in for a colleague of the other site"
    OTHER = "other", "Another reason"


class EmergencyAccessQuerySet(models.QuerySet["EmergencyAccess"]):
    def lasting(self, at: datetime) -> EmergencyAccessQuerySet:
        """Keep those that have not ended."""
        return self.filter(ends_at__gt=at)

    def to_review(self) -> EmergencyAccessQuerySet:
        """Keep those that nobody has looked at yet."""
        return self.filter(reviewed_at=None)

    def visible_to(self, user: User) -> EmergencyAccessQuerySet:
        """Keep the openings of records that a site of this user knows, or by colleagues who share a site."""
        knows = models.Exists(Patient.objects.visible_to(user).filter(pk=models.OuterRef("patient_id")))
        return self.filter(knows | Q(user__sites__in=user.sites.all())).distinct()


class EmergencyAccess(models.Model):
    """One record opened past `visible_to`, by one person, for a limited time. It ends by itself; a manager looks at it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=10, choices=EmergencyReason.choices)
    text = models.CharField(max_length=300)
    opened_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    objects = EmergencyAccessQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [("review_emergencies", "See and review records opened in an emergency")]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="emergencyaccess_has_reason"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("opened_at")), name="emergencyaccess_ends_after_it_began"),
            models.CheckConstraint(
                condition=Q(reviewed_at=None, reviewed_by=None) | Q(reviewed_at__isnull=False, reviewed_by__isnull=False),
                name="emergencyaccess_reviewed_by_somebody",
            ),
        ]
        indexes = [
            # Whether a person may reach a patient just now.
            models.Index(fields=["user", "patient", "ends_at"], name="emergencyaccess_lasting"),
            # Those that nobody has looked at.
            models.Index(fields=["opened_at"], name="emergencyaccess_to_review", condition=Q(reviewed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} opened {self.patient_id} in an emergency"
