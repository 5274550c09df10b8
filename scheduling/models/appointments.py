"""Appointments, the holds that precede them and the allocations both own."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import pghistory
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Deferrable, F, Func, Q

from pain_clinic.accounts.models import Site
from pain_clinic.errors import Conflict
from patients.models import Patient
from procedures.guidance import MODALITIES
from procedures.levels import SIDE_LABELS
from procedures.models import Procedure
from scheduling.models.resources import Kind, Resource

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class TsTzRange(Func):
    """``tstzrange(a, b)``, half-open; only constraints build it, pages read the two instants."""

    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class InvalidMove(Conflict):
    """The appointment is no longer in a status from which this act is possible."""


class Status(models.TextChoices):
    BOOKED = "booked", "Booked"
    CONFIRMED = "confirmed", "Confirmed"
    ARRIVED = "arrived", "Arrived"
    PREPARING = "preparing", "Preparing"
    READY = "ready", "Ready"
    IN_ROOM = "in_room", "In room"
    RECOVERY = "recovery", "Recovery"
    DISCHARGED = "discharged", "Discharged"
    CANCELLED = "cancelled", "Cancelled"
    NO_SHOW = "no_show", "No-show"
    LEFT_BEFORE_SEEN = "left_before_seen", "Left before seen"


AWAY = (Status.CANCELLED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN)
BEFORE_ARRIVAL = (Status.BOOKED, Status.CONFIRMED)
NOT_IN_THE_ROOM = (*BEFORE_ARRIVAL, Status.ARRIVED, Status.PREPARING, Status.READY)
PRESENT = (Status.ARRIVED, Status.PREPARING, Status.READY, Status.IN_ROOM, Status.RECOVERY)

LEGAL_MOVES: dict[str, tuple[str, ...]] = {
    Status.BOOKED: (Status.CONFIRMED, Status.ARRIVED, Status.CANCELLED, Status.NO_SHOW),
    Status.CONFIRMED: (Status.BOOKED, Status.ARRIVED, Status.CANCELLED, Status.NO_SHOW),
    Status.ARRIVED: (Status.PREPARING, Status.READY, Status.IN_ROOM, Status.LEFT_BEFORE_SEEN, Status.CANCELLED),
    Status.PREPARING: (Status.READY, Status.IN_ROOM, Status.LEFT_BEFORE_SEEN, Status.CANCELLED),
    Status.READY: (Status.IN_ROOM, Status.LEFT_BEFORE_SEEN, Status.CANCELLED),
    Status.IN_ROOM: (Status.RECOVERY, Status.DISCHARGED),
    Status.RECOVERY: (Status.DISCHARGED,),
    Status.DISCHARGED: (),
    Status.CANCELLED: (Status.BOOKED,),
    Status.NO_SHOW: (Status.BOOKED,),
    Status.LEFT_BEFORE_SEEN: (Status.BOOKED,),
}


class Side(models.TextChoices):
    LEFT = "left", SIDE_LABELS["left"]
    RIGHT = "right", SIDE_LABELS["right"]
    BILATERAL = "bilateral", SIDE_LABELS["bilateral"]
    MIDLINE = "midline", SIDE_LABELS["midline"]


class Guidance(models.TextChoices):
    """By which imaging a case is done; the catalogue's own words are those of `procedures.models.Guidance`."""

    FLUOROSCOPY = "fluoroscopy", MODALITIES["fluoroscopy"]
    CT = "ct", MODALITIES["ct"]
    ULTRASOUND = "ultrasound", MODALITIES["ultrasound"]
    NONE = "none", MODALITIES["none"]


class Source(models.TextChoices):
    DESK = "desk"
    API = "api"
    IMPORT = "import"
    DEMO = "demo"


class CancelReason(models.TextChoices):
    PATIENT_ILL = "patient_ill", "Patient is ill"
    PATIENT_WISH = "patient_wish", "Patient does not want it now"
    TRANSPORT = "transport", "No driver or transport"
    NOT_PREPARED = "not_prepared", "Not prepared (fasting, medicines, laboratory)"
    NOT_AUTHORISED = "not_authorised", "Not authorised by the payer"
    BETTER = "better", "Pain is better"
    CLINIC_STAFF = "clinic_staff", "Staff not available"
    CLINIC_EQUIPMENT = "clinic_equipment", "Room or device not available"
    MEDICAL = "medical", "Medical reason found by the clinic"
    BOOKED_IN_ERROR = "booked_in_error", "Booked in error"
    OTHER = "other", "Other"


class AskedBy(models.TextChoices):
    PATIENT = "patient", "Patient"
    CLINIC = "clinic", "Clinic"
    REFERRER = "referrer", "Referrer"


class AppointmentQuerySet(models.QuerySet["Appointment"]):
    def visible_to(self, user: User) -> AppointmentQuerySet:
        return self.filter(site__in=user.sites.all())

    def standing(self) -> AppointmentQuerySet:
        """Keep those that take, or took, room: neither cancelled nor missed nor left."""
        return self.exclude(status__in=AWAY)

    def upcoming(self, at: datetime) -> AppointmentQuerySet:
        return self.standing().filter(leaves_at__gt=at).order_by("starts_at", "pk")

    def past(self, at: datetime) -> AppointmentQuerySet:
        return self.filter(starts_at__lt=at).order_by("-starts_at", "-pk")


@pghistory.track()
class Appointment(models.Model):
    """One patient's date for one procedure ("case" on screen).

    The patient is in the clinic from ``arrives_at`` to ``leaves_at``; the procedure leg, patient in room to patient
    out of room, is ``starts_at`` to ``ends_at`` and names the appointment's time. All are instants on 5-minute
    marks; ``local_date``, ``local_time`` and ``zone`` keep the promised wall time should zone data change.
    ``version`` rises with every change and guards against lost updates; ``calendar_sequence`` rises with those that
    the patient's calendar must hear of.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    external_id = models.CharField(max_length=80, unique=True, null=True, blank=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="appointments")
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="appointments")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="appointments")
    side = models.CharField(max_length=9, choices=Side.choices, blank=True)
    levels = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    regions = ArrayField(models.CharField(max_length=24), default=list, blank=True)  # where no level says it
    guidance = models.CharField(max_length=12, choices=Guidance.choices, blank=True)  # empty: the usual one
    sedation = models.CharField(max_length=10, default="none")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.BOOKED)
    arrives_at = models.DateTimeField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    leaves_at = models.DateTimeField()
    local_date = models.DateField()
    local_time = models.TimeField()
    zone = models.CharField(max_length=40)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.DESK)
    is_history = models.BooleanField(default=False)  # imported from the past: takes no room
    note = models.CharField(max_length=500, blank=True)
    cancel_reason = models.CharField(max_length=20, choices=CancelReason.choices, blank=True)
    cancel_note = models.CharField(max_length=300, blank=True)
    asked_by = models.CharField(max_length=8, choices=AskedBy.choices, blank=True)
    is_late = models.BooleanField(default=False)  # cancelled inside the clinic's late window
    cancelled_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    calendar_sequence = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    objects = AppointmentQuerySet.as_manager()

    class Meta:
        permissions = [
            ("view_board", "See the board"),
            ("book_appointment", "Book"),
            ("move_appointment", "Move and swap"),
            ("cancel_appointment", "Cancel"),
            ("reinstate_appointment", "Reinstate"),
            ("confirm_appointment", "Confirm"),
            ("check_in", "Move a patient through the day"),
            ("hold_opening", "Hold an opening"),
            ("override_warn", "Go on with a reason where one is needed"),
            ("override_deny", "Override what is not allowed"),
            ("import_appointments", "Import appointments from a file"),
        ]
        constraints = [
            ExclusionConstraint(
                name="patient_not_in_two_places",
                expressions=[
                    ("patient", RangeOperators.EQUAL),
                    (TsTzRange("arrives_at", "leaves_at"), RangeOperators.OVERLAPS),
                ],
                condition=~Q(status__in=AWAY) & Q(is_history=False),
                deferrable=Deferrable.IMMEDIATE,  # a swap of one patient's two cases looks at the end only
            ),
            models.CheckConstraint(
                condition=Q(arrives_at__lte=F("starts_at")) & Q(starts_at__lt=F("ends_at")) & Q(ends_at__lte=F("leaves_at")),
                name="appointment_legs_in_order",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.CANCELLED) | (~Q(cancel_reason="") & ~Q(asked_by="") & Q(cancelled_at__isnull=False)),
                name="appointment_cancelled_has_reason",
            ),
            models.CheckConstraint(
                condition=~Q(is_late=True) | Q(status=Status.CANCELLED), name="appointment_late_only_when_cancelled"
            ),
        ]
        indexes = [
            # The board's day and the day sheet.
            models.Index(fields=["site", "starts_at"], name="appointment_by_site_and_time"),
            # A patient's page and the patient's other appointments when booking.
            models.Index(fields=["patient", "starts_at"], name="appointment_by_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} {self.status}"

    def move_to(self, status: str) -> None:
        """Take the next status if the table of legal moves has it.

        Raises:
            InvalidMove: the appointment cannot go there from where it is.
        """
        if status not in LEGAL_MOVES[self.status]:
            raise InvalidMove(
                "invalid_move",
                f"This case is {self.get_status_display().lower()}, so it cannot become {Status(status).label.lower()}.",
                {"status": self.status, "wanted": str(status)},
            )
        self.status = status

    @property
    def is_standing(self) -> bool:
        return self.status not in AWAY


class HoldQuerySet(models.QuerySet["Hold"]):
    def visible_to(self, user: User) -> HoldQuerySet:
        """Keep one's own holds at one's own sites; nobody needs to see a colleague's."""
        return self.filter(held_by=user, site__in=user.sites.all())


class Hold(models.Model):
    """An opening kept for someone while a form is filled in; ends by itself at ``ends_at``."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=9, choices=Side.choices, blank=True)
    levels = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    regions = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    guidance = models.CharField(max_length=12, choices=Guidance.choices, blank=True)
    sedation = models.CharField(max_length=10, default="none")
    arrives_at = models.DateTimeField()
    starts_at = models.DateTimeField()
    procedure_ends_at = models.DateTimeField()
    leaves_at = models.DateTimeField()
    held_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    held_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # when the hold itself runs out
    released_at = models.DateTimeField(null=True, blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        indexes = [
            # The sweep: holds that ran out and were not released.
            models.Index(fields=["ends_at"], name="hold_to_sweep", condition=Q(released_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"hold {self.public_id}"


class Leg(models.TextChoices):
    PREP = "prep"
    PROCEDURE = "procedure"
    RECOVERY = "recovery"
    TURNOVER = "turnover"


class Allocation(models.Model):
    """One resource taken for one stretch of an appointment or hold; released, never deleted."""

    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="allocations")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, related_name="allocations")
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="allocations")
    kind = models.CharField(max_length=24, choices=Kind.choices)
    legs = ArrayField(models.CharField(max_length=9, choices=Leg.choices), default=list)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="allocation_no_double_booking",
                expressions=[
                    ("resource", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at"), RangeOperators.OVERLAPS),
                ],
                condition=Q(released_at__isnull=True),
            ),
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="allocation_start_before_end"),
            models.CheckConstraint(condition=Q(appointment__isnull=False) | Q(hold__isnull=False), name="allocation_has_owner"),
        ]
        indexes = [
            # Rebuilding a resource's free time and the board's columns.
            models.Index(fields=["resource", "starts_at"], name="allocation_standing", condition=Q(released_at__isnull=True)),
            # What holds have at this moment: every booking looks for ended ones.
            models.Index(
                fields=["resource"],
                name="allocation_held",
                condition=Q(released_at__isnull=True) & Q(appointment__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.starts_at:%Y-%m-%d %H:%M}"


class AppointmentFinding(models.Model):
    """What was said about this appointment, kept as it was said; ``gone_at``: from then on it was no longer said.

    ``code`` is the finding's key. ``stands``: it refuses, and nobody waived it for the facts as they are: found after the
    booking, since before it would have refused. ``due_at`` is by when a pending one has to be settled.
    """

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="findings")
    code = models.CharField(max_length=160)
    severity = models.CharField(max_length=16)
    message = models.TextField()
    evidence = models.JSONField(default=dict)
    source = models.CharField(max_length=400, default="booking")
    earliest = models.CharField(max_length=19, blank=True)  # a date or a wall-clock moment, as findings write them
    due_at = models.DateTimeField(null=True)
    stands = models.BooleanField(default=False)
    found_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    context_id = models.UUIDField(null=True)

    class Meta:
        indexes = [
            # The board's marks, a case's page and every new judging: what is said of a case now.
            models.Index(fields=["appointment", "severity"], name="finding_said_now", condition=Q(gone_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.code


class RuleOverride(models.Model):
    """Who waived which finding, and why. Waives that finding of that appointment only, and only for the facts it rested on.

    ``fingerprint`` tells these facts from any others; empty where the finding rests on none. Once they change, or the case
    moves, it has ended (``ended_at``) and must be asked for again.
    """

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="overrides")
    code = models.CharField(max_length=160)
    fingerprint = models.CharField(max_length=64, blank=True)
    ended_at = models.DateTimeField(null=True)
    severity = models.CharField(max_length=16)
    message = models.TextField()
    reason_code = models.CharField(max_length=40)
    text = models.CharField(max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason_code="") & ~Q(text=""), name="override_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.code} waived"
