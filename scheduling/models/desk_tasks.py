"""What the desk has to do by hand: call somebody, because a mail could not or a patient asked."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

from pain_clinic.accounts.models import Site
from patients.models import Patient
from scheduling.models.appointments import Appointment
from scheduling.models.messages import Message

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class TaskKind(models.TextChoices):
    ANOTHER_TIME = "another_time", "Patient asks for another time"
    MAIL_FAILED = "mail_failed", "A mail could not be delivered"
    ADDRESS_BOUNCES = "address_bounces", "The e-mail address takes no mail"
    COMPLAINED = "complained", "Patient marked a mail as unwanted"
    NO_EMAIL = "no_email", "No e-mail address: tell the patient by telephone"
    UNCONFIRMED = "unconfirmed", "Visit not confirmed"
    MISSED = "missed", "Patient did not come"
    NO_ANSWER = "no_answer", "No answer to the questions after a visit"
    UNWELL = "unwell", "Something worries the patient after a visit"
    FOLLOW_UP = "follow_up", "Ask how it went after a visit"
    RULES_DOWN = "rules_down", "The rules could not be asked"
    # Readiness: what a booked case waits for. These close themselves when the fact arrives.
    RULES = "rules", "A rule speaks against a booked case"
    ASK = "ask", "Ask the patient"
    CLEARANCE = "clearance", "Prescriber's clearance"
    LAB = "lab", "Laboratory result"
    DRIVER = "driver", "Name a driver"
    CONSENT = "consent", "Consent"
    PREMEDICATION = "premedication", "Premedication before contrast"
    PLAN = "plan", "Say what is planned"
    DEVICE_PLAN = "device_plan", "Plan for an implanted device"
    AUTHORIZATION = "authorization", "Payer's authorisation"
    PAPERS = "papers", "Papers for the payer"


# What a booked case waits for; the rest is told or asked by telephone.
BEFORE_A_CASE = (
    TaskKind.RULES, TaskKind.ASK, TaskKind.CLEARANCE, TaskKind.LAB, TaskKind.DRIVER, TaskKind.CONSENT, TaskKind.PREMEDICATION,
    TaskKind.PLAN, TaskKind.DEVICE_PLAN, TaskKind.AUTHORIZATION, TaskKind.PAPERS,
)  # fmt: skip


# What is asked after a visit by call or in person, each on its day.
AFTER_A_VISIT = (TaskKind.FOLLOW_UP,)


class TaskRole(models.TextChoices):
    """Whose work a task is."""

    DESK = "desk", "Front desk"
    NURSE = "nurse", "Nurse"
    PHYSICIAN = "physician", "Physician"
    BILLER = "biller", "Billing"
    MANAGER = "manager", "Manager"


class TaskOutcome(models.TextChoices):
    REACHED = "reached", "Spoke with the patient"
    LEFT_WORD = "left_word", "Left word"
    NOT_REACHED = "not_reached", "Not reached"
    MENDED = "mended", "Mended (address, time or case)"
    NOT_NEEDED = "not_needed", "No longer needed"


class DeskTaskQuerySet(models.QuerySet["DeskTask"]):
    def visible_to(self, user: User) -> DeskTaskQuerySet:
        return self.filter(site__in=user.sites.all())

    def open(self) -> DeskTaskQuerySet:
        return self.filter(done_at=None)

    def by_telephone(self) -> DeskTaskQuerySet:
        return self.exclude(kind__in=(*BEFORE_A_CASE, *AFTER_A_VISIT))

    def after_a_visit(self) -> DeskTaskQuerySet:
        return self.filter(kind__in=AFTER_A_VISIT)

    def before_a_case(self) -> DeskTaskQuerySet:
        return self.filter(kind__in=BEFORE_A_CASE)

    def in_order(self) -> DeskTaskQuerySet:
        return self.order_by("due_at", "opened_at", "pk")


class DeskTask(models.Model):
    """One thing to do about one patient, by somebody of a role; at most one open of a kind for a case.

    Of the contacts after a visit each is there once, open or done; ``reason`` is its step.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=20, choices=TaskKind.choices)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="desk_tasks")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, blank=True, related_name="desk_tasks")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, blank=True, related_name="desk_tasks")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    role = models.CharField(max_length=9, choices=TaskRole.choices, default=TaskRole.DESK)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    outcome = models.CharField(max_length=12, choices=TaskOutcome.choices, blank=True)
    reason = models.CharField(max_length=60, blank=True)  # a code: why it was opened
    note = models.CharField(max_length=500, blank=True)  # what the patient or the desk wrote

    objects = DeskTaskQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [("work_tasks", "See, take and close what the desk has to do")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "patient", "appointment"],
                name="desk_task_open_once",
                condition=Q(done_at__isnull=True) & ~Q(kind=TaskKind.FOLLOW_UP),
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["appointment", "reason"], name="desk_task_follow_up_once", condition=Q(kind=TaskKind.FOLLOW_UP)
            ),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True, outcome="") | (Q(done_at__isnull=False) & ~Q(outcome="")),
                name="desk_task_done_has_outcome",
            ),
        ]
        indexes = [
            # The desk's list: what is open at a site, the most pressing first.
            models.Index(fields=["site", "due_at"], name="desk_task_open", condition=Q(done_at__isnull=True)),
            # A patient's tasks.
            models.Index(fields=["patient", "-opened_at"], name="desk_task_by_patient"),
            # What a case waits for.
            models.Index(fields=["appointment"], name="desk_task_of_case", condition=Q(done_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"
