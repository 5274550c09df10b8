"""The trail of acts, its seals, and the pulse of the background processes."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AuditEvent(models.Model):
    """One act: who, when, what, on whom, with which outcome. Ids only; the database refuses change and removal."""

    class Outcome(models.TextChoices):
        DONE = "done", "done"
        REFUSED = "refused", "refused"

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=120)
    act = models.CharField(max_length=80)
    outcome = models.CharField(max_length=8, choices=Outcome)
    subject_kind = models.CharField(max_length=60, blank=True)
    subject_id = models.UUIDField(null=True)
    patient_id = models.UUIDField(null=True)
    site_id = models.IntegerField(null=True)
    reason_code = models.CharField(max_length=80, blank=True)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    context_id = models.UUIDField(null=True)
    details = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        constraints = (
            models.CheckConstraint(
                condition=models.Q(outcome__in=["done", "refused"]), name="auditevent_outcome_is_done_or_refused"
            ),
        )
        indexes = (
            models.Index(fields=("at", "id"), name="auditevent_at"),  # the audit page, by day
            models.Index(fields=("user", "at"), name="auditevent_user_at"),  # the audit page, by person
            models.Index(fields=("patient_id", "at"), name="auditevent_patient_at"),  # the audit page, by patient
            models.Index(fields=("subject_id", "at"), name="auditevent_subject_at"),  # the story of an appointment
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.act}"


class AuditSeal(models.Model):
    """A link of the chain over the trail: the HMAC of one event, its position and the link before."""

    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="seal")
    position = models.BigIntegerField(unique=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.position} {self.digest[:12]}"


class Heartbeat(models.Model):
    """When a background process last did something; `/health/ready` reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"
