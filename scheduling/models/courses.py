"""Courses: one patient on a pathway, the session that is planned next, calls about it, and how far planning has come."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from pain_clinic.accounts.models import Site
from patients.models import Patient, PerformedProcedure, Presentation
from procedures.models import words
from scheduling.models.appointments import Appointment, Side
from scheduling.models.resources import Resource

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class CourseStatus(models.TextChoices):
    ACTIVE = "active", "Running"
    STOPPED = "stopped", "Stopped"
    DONE = "done", "Finished"


class CourseQuerySet(models.QuerySet["Course"]):
    def visible_to(self, user: User) -> CourseQuerySet:
        return self.filter(site__in=user.sites.all())

    def planned(self) -> CourseQuerySet:
        """Keep those that the planner looks after: what a person stopped stays stopped, what fails again and again is parked."""
        return self.exclude(status=CourseStatus.STOPPED, is_stopped_by_hand=True).filter(is_parked=False)

    def firsts(self) -> CourseQuerySet:
        """Keep of those that the planner looks after each patient's oldest: their others are planned with it."""
        older = Course.objects.planned().filter(patient=OuterRef("patient"), pk__lt=OuterRef("pk"))
        return self.planned().filter(~Exists(older))

    def firsts_by_clock(self) -> CourseQuerySet:
        """Keep of those that the planner looks after each patient's oldest in each time zone: its day begins at another hour."""
        same = {"patient": OuterRef("patient"), "site__time_zone": OuterRef("site__time_zone"), "pk__lt": OuterRef("pk")}
        return self.planned().filter(~Exists(Course.objects.planned().filter(**same)))

    def in_order(self) -> CourseQuerySet:
        return self.order_by("-status", "created_at", "pk")


@pghistory.track()
class Course(models.Model):
    """One patient on a pathway, for one target. ``works`` says by step which procedure (its code) is meant.

    ``since`` is the first date whose sessions belong to it; gates about sessions up to ``trusted_until`` are taken as open
    by a physician's word. What the planner says is in `PlannedSession`; a stop by the planner is lifted by it, too, when
    the facts change.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="courses")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    pathway = models.CharField(max_length=60)
    works = models.JSONField(default=dict)
    side = models.CharField(max_length=9, choices=Side.choices, blank=True)
    levels = words(24)
    regions = words(24)
    drug = models.CharField(max_length=40, blank=True)  # of the steroid, where it is not the usual one
    is_staged = models.BooleanField(default=False)  # both sides, on two dates
    first_side = models.CharField(max_length=9, choices=Side.choices, default=Side.LEFT)
    physician = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    problem = models.ForeignKey(Presentation, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    diagnosis = models.CharField(max_length=160, blank=True)  # in words, where it is not on record
    started_from = models.ForeignKey(PerformedProcedure, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    goal = models.CharField(max_length=300, blank=True)
    most_sessions = models.PositiveSmallIntegerField(null=True, blank=True)
    not_before = models.DateField(null=True, blank=True)
    not_after = models.DateField(null=True, blank=True)
    gap_days = models.PositiveSmallIntegerField(null=True, blank=True)
    wishes = words(24)
    rationale = models.CharField(max_length=500, blank=True)  # the written reason that some payers ask for
    since = models.DateField()
    trusted_until = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=8, choices=CourseStatus.choices, default=CourseStatus.ACTIVE)
    is_stopped_by_hand = models.BooleanField(default=False)
    stop_code = models.CharField(max_length=40, blank=True)
    stop_reason = models.TextField(blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateField(null=True, blank=True)
    snooze_reason = models.CharField(max_length=300, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)  # times in a row that planning it broke down
    is_parked = models.BooleanField(default=False)
    told_of = models.CharField(max_length=120, blank=True)  # what the patient was last written about
    news_at = models.DateTimeField(null=True, blank=True)  # since when there is something else to write about
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    objects = CourseQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_course", "See courses and the worklist"),
            ("order_course", "Start, change, stop and restart courses"),
            ("work_course", "Work on the worklist: call, put off, book"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(status="stopped") | ~Q(stop_code=""), name="course_stopped_has_reason"),
            models.CheckConstraint(condition=Q(snoozed_until=None) | ~Q(snooze_reason=""), name="course_snoozed_has_reason"),
            models.CheckConstraint(
                condition=Q(not_after=None) | Q(not_before=None) | Q(not_after__gte=F("not_before")),
                name="course_bounds_in_order",
            ),
        ]
        indexes = [
            # A patient's courses, and whether a booking leaves the planner a cause.
            models.Index(fields=["patient", "id"], name="course_of_patient"),
            # The night's walk over a site.
            models.Index(fields=["site", "id"], name="course_of_site"),
            # Of whom there is something to write.
            models.Index(fields=["news_at"], name="course_with_news", condition=Q(news_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.pathway} {self.public_id}"


class PlanState(models.TextChoices):
    PROPOSED = "proposed", "To book"
    WAITING = "waiting", "Waiting"
    STOPPED = "stopped", "Stopped"
    DONE = "done", "Finished"


@pghistory.track()
class PlannedSession(models.Model):
    """What the planner says comes next in a course: one row per course and step, of which one is current.

    ``number`` is the place of the session in the course. Rows that are no longer current stay as they were.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="plans")
    number = models.PositiveSmallIntegerField()
    step = models.CharField(max_length=40, blank=True)
    name = models.CharField(max_length=120, blank=True)
    is_current = models.BooleanField(default=True)
    state = models.CharField(max_length=8, choices=PlanState.choices)
    code = models.CharField(max_length=40, blank=True)  # why it stopped
    procedure = models.CharField(max_length=60, blank=True)  # its code
    side = models.CharField(max_length=9, blank=True)
    earliest = models.DateField(null=True, blank=True)
    ideal = models.DateField(null=True, blank=True)
    latest = models.DateField(null=True, blank=True)
    for_what = models.TextField(blank=True)
    owner = models.CharField(max_length=9, blank=True)
    due_on = models.DateField(null=True, blank=True)
    reasons = models.JSONField(default=list)
    conditions = models.JSONField(default=list)
    blocked_by = models.JSONField(default=list)
    authorised_until = models.DateField(null=True, blank=True)
    companion = models.JSONField(null=True, blank=True)
    booked_on = models.DateField(null=True, blank=True)
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # What a lead time holds moves on with the days: which dates do, counted from which day (scheduling.courses.rolling).
    rolls = words(8)
    rolls_from = models.DateField(null=True, blank=True)
    asked_for = models.DateField(null=True, blank=True)  # the due day for whose answer questions are laid down
    planned_at = models.DateTimeField()  # when the planner last said something else

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["course", "number"], name="plannedsession_once_per_place"),
            models.UniqueConstraint(fields=["course"], condition=Q(is_current=True), name="plannedsession_one_is_current"),
            models.CheckConstraint(condition=Q(rolls=[]) | Q(rolls_from__isnull=False), name="plannedsession_rolls_from_a_day"),
            models.CheckConstraint(
                condition=~Q(state="proposed") | Q(earliest__lte=F("ideal"), ideal__lte=F("latest")),
                name="plannedsession_window_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.course_id} {self.step} {self.state}"


class FoundOpenings(models.Model):
    """The best openings found for a planned session, kept fresh by the clock; offers, not holds."""

    planned = models.OneToOneField(PlannedSession, on_delete=models.CASCADE, primary_key=True, related_name="found")
    openings = models.JSONField(default=list)
    why_none = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [
            # The next to be looked at again.
            models.Index(fields=["found_at"], name="foundopenings_oldest"),
        ]

    def __str__(self) -> str:
        return f"openings for {self.planned_id}"


class CallOutcome(models.TextChoices):
    REACHED = "reached", "Spoke with the patient"
    LEFT_WORD = "left_word", "Left word"
    NOT_REACHED = "not_reached", "Not reached"
    WANTS_LATER = "wants_later", "Wants it later"
    DECLINED = "declined", "Does not want it"


class CourseCall(models.Model):
    """One attempt to reach a patient about a course; never changed."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="calls")
    outcome = models.CharField(max_length=12, choices=CallOutcome.choices)
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        indexes = [
            # A course's calls, newest first.
            models.Index(fields=["course", "-at"], name="coursecall_of_course"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.at:%Y-%m-%d}"


class PlanRun(models.Model):
    """One night's planning of one site: how far it has come. ``last_course`` is written with the batch that it ends."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    last_course = models.BigIntegerField(default=0)
    planned = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["site", "day"], name="planrun_once_a_night"),
        ]

    def __str__(self) -> str:
        return f"planning of {self.day}"
