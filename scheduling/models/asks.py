"""What a patient is asked after a visit: one row for each question set, with when it is meant and until when it counts."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from patients.models import Patient
from procedures.models import words
from scheduling.models.appointments import Appointment
from scheduling.models.messages import Message

AGAIN = "-again"  # ends the step of the one mail that asks a second time


class AskQuerySet(models.QuerySet["Ask"]):
    def behind(self, message: Message) -> AskQuerySet:
        """Keep those that a mail's link answers; the mail that asks again asks the same."""
        return self.filter(appointment=message.appointment_id, step=message.step.removesuffix(AGAIN))

    def waiting(self) -> AskQuerySet:
        """Keep those that nobody has answered and nobody was told of."""
        return self.filter(answered_at=None, missed_at=None)


class Ask(models.Model):
    """One question set for one session: a follow-up, or one moment of a block diary (``slot``).

    ``questions`` are "measure.aspect" of the outcomes table, and "adverse" for whether anything is wrong. ``step`` is the
    cadence's code: the message of that step carries the link that answers it. ``performed`` is the public id of the session.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="asks")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    performed = models.UUIDField()
    step = models.CharField(max_length=32)
    slot = models.CharField(max_length=12, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    questions = words(40)
    meant_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    is_adverse = models.BooleanField(null=True, blank=True)  # the answer to "adverse"
    missed_at = models.DateTimeField(null=True, blank=True)

    objects = AskQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["appointment", "step", "slot"], name="ask_once_per_slot"),
            models.CheckConstraint(condition=Q(closes_at__gt=F("meant_at")), name="ask_closes_after_it_is_meant"),
        ]
        indexes = [
            # The chase: what is over and was not answered.
            models.Index(
                fields=["closes_at"], name="ask_to_chase", condition=Q(answered_at__isnull=True) & Q(missed_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.slot}".strip()
