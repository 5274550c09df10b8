"""What happens around the needle: the checklist before it, the completion after it, the discharge, and the word to plan on."""

from __future__ import annotations

import uuid

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models import Patient
from scheduling.models.appointments import Appointment


class CheckItem(models.TextChoices):
    """What is asked before the needle (D3)."""

    PATIENT = "patient", "Correct patient"
    SIDE = "side", "Correct side"
    LEVEL = "level", "Correct level"
    CONSENT = "consent", "Consent"
    ALLERGY = "allergy", "Allergies asked"
    BLOOD_THINNER = "blood_thinner", "Blood thinner asked"


class SedatedItem(models.TextChoices):
    """What is asked before the needle, too, of whom will be sedated."""

    FASTING = "fasting", "Fasting as told"


class ReadyItem(models.TextChoices):
    """What is asked before the patient leaves (D4)."""

    VITALS = "vitals", "Vital signs as before"
    WALKS = "walks", "Stands and walks as before"
    NO_DEFICIT = "no_deficit", "No new weakness or numbness"
    SITE = "site", "Puncture site dry"
    INSTRUCTIONS = "instructions", "Instructions given in writing"


class CheckAnswer(models.TextChoices):
    YES = "yes", "Yes"
    NO = "no", "No"
    NOT_APPLICABLE = "na", "Does not apply"


class CheckMoment(models.TextChoices):
    BEFORE = "before", "Before the needle"
    LEAVING = "leaving", "Before leaving"


@pghistory.track()
class Check(models.Model):
    """One answer on one case: who said it and when. Answering anew changes the row; the row history keeps the old one."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="checks")
    moment = models.CharField(max_length=7, choices=CheckMoment.choices)
    item = models.CharField(max_length=16)
    answer = models.CharField(max_length=3, choices=CheckAnswer.choices)
    note = models.CharField(max_length=200, blank=True)
    answered_at = models.DateTimeField()
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        permissions = [
            ("answer_checklist", "Answer the checklists before the needle and before leaving"),
            ("complete_case", "Complete a case: say what was done"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["appointment", "moment", "item"], name="check_once_per_item"),
        ]

    def __str__(self) -> str:
        return f"{self.item} {self.answer}"


@pghistory.track()
class Discharge(models.Model):
    """Whether a patient may go, and with whom; beside the status, which only says that the patient has gone."""

    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="discharge", primary_key=True)
    escort = models.CharField(max_length=120, blank=True)  # who takes the patient home
    reason = models.CharField(max_length=200, blank=True)  # why without an escort, or although something is not as it should be
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"discharge of {self.appointment_id}"


class Completion(models.Model):
    """The physician's word that a case is done, once per case. ``performed`` is the public id of what was done."""

    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="completion", primary_key=True)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    performed = models.UUIDField(unique=True)
    differs = models.JSONField(default=list)  # the names of what was done otherwise than booked
    unchecked = models.JSONField(default=list)  # items of the checklist that were not answered with yes
    reason = models.CharField(max_length=300, blank=True)  # why it was completed all the same
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(unchecked=[]) | ~Q(reason=""), name="completion_unchecked_has_reason"),
        ]

    def __str__(self) -> str:
        return f"completion of {self.appointment_id}"


class CauseKind(models.TextChoices):
    COMPLETED = "completed", "A session was completed"
    OUTCOME = "outcome", "An outcome arrived"
    FACT = "fact", "A fact changed"
    BOOKING = "booking", "A booking changed"
    COURSE = "course", "A course was started or changed"
    PATHWAY = "pathway", "A pathway was changed"


class PlanCause(models.Model):
    """The word that a patient's courses are to be planned anew. Written by a verb in its transaction; the planner consumes
    it once and sets ``done_at``."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=10, choices=CauseKind.choices)
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["appointment"], condition=Q(kind=CauseKind.COMPLETED), name="plancause_completed_once_per_case"
            ),
        ]
        indexes = [
            # The planner's queue.
            models.Index(fields=["id"], name="plancause_to_do", condition=Q(done_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.patient_id}"
