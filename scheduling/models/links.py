"""Links that patients get in their mails."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q

from patients.models import Patient
from scheduling.models.appointments import Appointment
from scheduling.models.messages import Message


class LinkPurpose(models.TextChoices):
    VISIT = "visit", "Look at the visit and answer"
    UNSUBSCRIBE = "unsubscribe", "Get no more e-mail"
    SCORE = "score", "Answer a score"
    COURSE = "course", "Read what comes next"


class LinkAnswer(models.TextChoices):
    CONFIRMED = "confirmed", "Will come"
    CANCELLED = "cancelled", "Cancelled"
    TAKEN_BACK = "taken_back", "Took the cancellation back"
    MOVED = "moved", "Chose another time"
    ASKED_FOR_CALL = "asked_for_call", "Asked to be called"
    UNSUBSCRIBED = "unsubscribed", "Wants no e-mail"
    SUBSCRIBED = "subscribed", "Wants e-mail again"


class LinkQuerySet(models.QuerySet["Link"]):
    def live(self) -> LinkQuerySet:
        return self.filter(revoked_at=None)


class Link(models.Model):
    """One address given to one patient for one purpose. Only the hash of its secret is kept.

    ``version`` and ``calendar_sequence`` are those of the appointment when the mail was written: a rise of the second
    tells that the mail's time no longer holds. Without ``expires_at`` the link ends with the visit.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=12, choices=LinkPurpose.choices)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="links")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="links")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="links")
    version = models.PositiveIntegerField()
    calendar_sequence = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=16, choices=LinkAnswer.choices, blank=True)  # the last one given through it
    answered_at = models.DateTimeField(null=True, blank=True)
    wrong_proofs = models.PositiveSmallIntegerField(default=0)  # birth dates that were not the patient's

    objects = LinkQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=~Q(digest=""), name="link_has_digest"),
        ]
        indexes = [
            # Revoking the links of a case or a patient.
            models.Index(fields=["appointment"], name="link_by_appointment", condition=Q(revoked_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} link {self.public_id}"

    @staticmethod
    def make_secret() -> str:
        """Return a new secret of 128 random bits."""
        return secrets.token_urlsafe(16)

    @staticmethod
    def digest_of(secret: str) -> str:
        """Return the kept form of a secret. It is random, so a plain hash is enough and can be looked up."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

    def is_over(self, at: datetime) -> bool:
        """Say whether the link is past its own end; the visit's end is judged by who reads the appointment."""
        return self.revoked_at is not None or (self.expires_at is not None and at >= self.expires_at)
