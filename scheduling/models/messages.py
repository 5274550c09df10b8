"""What leaves for patients. The row is the queue: a verb writes it, a sweep claims it, a worker sends it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from patients.models import Patient
from scheduling.models.appointments import BEFORE_ARRIVAL, PRESENT, Appointment, Status

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class MessageKind(models.TextChoices):
    CONFIRMATION = "confirmation", "Confirmation"
    CHANGE = "change", "Change"
    CANCELLATION = "cancellation", "Cancellation"
    PLAN_READY = "plan_ready", "Medicine plan ready"
    PREPARATION = "preparation", "Preparation"
    REMINDER = "reminder", "Reminder"
    ARRIVAL = "arrival", "Arrival"
    FOLLOW_UP = "follow_up", "Follow-up score"
    NO_SHOW = "no_show", "After a missed visit"
    RECALL = "recall", "Recall"
    COURSE = "course", "What comes next"


# What a verb tells at once, and what the cadence plans on this or that side of the visit.
TOLD_AT_ONCE = (MessageKind.CONFIRMATION, MessageKind.CHANGE, MessageKind.CANCELLATION, MessageKind.PLAN_READY)
BEFORE_VISIT = (MessageKind.PREPARATION, MessageKind.REMINDER, MessageKind.ARRIVAL)
AFTER_VISIT = (MessageKind.FOLLOW_UP, MessageKind.NO_SHOW, MessageKind.RECALL)


class MessageState(models.TextChoices):
    DUE = "due", "Due"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Not sent"
    WITHDRAWN = "withdrawn", "Withdrawn"


# Reasons that no second try can take away.
LASTING = frozenset({"superseded", "merged", "overtaken", "stale", "confirmed", "answered", "too_late", "past", "visit_over"})


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: User) -> MessageQuerySet:
        return self.filter(appointment__site__in=user.sites.all())


class Message(models.Model):
    """One message about one date of an appointment: once by case, kind, step of the cadence and calendar sequence.

    What is told about a course hangs at one of the patient's cases, too, and has a step of its own each time.

    ``planned_at`` is the instant that the cadence gave it; what a verb tells at once has none. ``due_at``, when it is
    to be tried next, is compared with the database's clock. While a worker has it, ``lease_until`` is in the future and
    ``lease_token`` names the claim. ``FAILED`` is final; a failure that will be tried again stays ``DUE`` with a later
    ``due_at`` and its reason. Subject and text are kept as sent.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="messages")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="messages")
    course = models.ForeignKey("scheduling.Course", on_delete=models.PROTECT, null=True, blank=True, related_name="messages")
    kind = models.CharField(max_length=16, choices=MessageKind.choices)
    step = models.CharField(max_length=32, blank=True)  # the cadence's code; empty for what a verb tells at once
    version = models.PositiveIntegerField()  # the appointment's version when it was laid down
    state = models.CharField(max_length=10, choices=MessageState.choices, default=MessageState.DUE)
    planned_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()
    priority = models.PositiveSmallIntegerField(default=5)  # confirmations go first
    attempts = models.PositiveSmallIntegerField(default=0)  # tries begun, those that a worker's end cut off among them
    failures = models.PositiveSmallIntegerField(default=0, db_default=0)  # tries that ended badly
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    calendar_sequence = models.PositiveIntegerField(default=0)  # which date of the case it speaks of
    reason = models.CharField(max_length=60, blank=True)  # why skipped, withdrawn, failed or put off: a code
    subject = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        permissions = [("view_messages", "See what was sent"), ("read_patient_messages", "See what was sent to a patient")]
        constraints = [
            models.UniqueConstraint(fields=["appointment", "kind", "step", "calendar_sequence"], name="message_once_per_date"),
        ]
        indexes = [
            # The claim: due rows in sending order.
            models.Index(fields=["priority", "due_at", "id"], name="message_to_claim", condition=Q(state="due")),
            # A patient's messages.
            models.Index(fields=["patient", "-created_at"], name="message_by_patient"),
            # The desk's list: a line of time for each state.
            models.Index("state", Coalesce("done_at", "due_at"), "public_id", name="message_in_time"),
            # The same list of one kind that is seldom among the others.
            models.Index(
                "kind",
                "state",
                Coalesce("done_at", "due_at"),
                "public_id",
                name="message_seldom_in_time",
                condition=Q(kind__in=["change", "cancellation", "plan_ready", "no_show", "recall", "course"]),
            ),
            # When a patient was last told about a course.
            models.Index(fields=["course", "-id"], name="message_of_course", condition=Q(course__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    def against(self) -> str:
        """Return why the status of the case speaks against this message, or an empty text."""
        kind, status = self.kind, self.appointment.status
        if kind == MessageKind.COURSE:  # it speaks of no visit
            return ""
        if kind == MessageKind.CANCELLATION:
            return "" if status == Status.CANCELLED else "not_cancelled"
        if kind == MessageKind.NO_SHOW:
            return "" if status == Status.NO_SHOW else "not_missed"
        if kind in (MessageKind.FOLLOW_UP, MessageKind.RECALL):
            return "" if status == Status.DISCHARGED else "not_done"
        if status == Status.CANCELLED:
            return "cancelled"
        if status in PRESENT:
            return "arrived"
        if status not in BEFORE_ARRIVAL:
            return "visit_over" if status == Status.DISCHARGED else "missed"
        return ""

    @property
    def may_help_again(self) -> bool:
        """Say whether sending a message that did not leave once more can be of use (appointment and patient joined)."""
        is_for_an_older_date = self.planned_at is not None and self.calendar_sequence < self.appointment.calendar_sequence
        return (
            self.state in (MessageState.FAILED, MessageState.SKIPPED)
            and self.reason not in LASTING
            and not is_for_an_older_date
            and not self.against()
            and bool(self.patient.email.strip())
            and self.patient.accepts_email
            and self.patient.deceased_on is None
        )
