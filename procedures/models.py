"""The catalogue, what its procedures need, and the clinic's rows of the rule tables, with the tables they came from."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pghistory
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Mod
from django.db.models.lookups import Exact
from django.urls import reverse


class Category(models.TextChoices):
    EPIDURAL = "epidural", "Epidural"
    FACET = "facet", "Facet"
    RFA = "rfa", "Ablation"
    SACROILIAC = "sacroiliac", "Sacroiliac"
    TRIGGER_POINT = "trigger_point", "Trigger point"
    NERVE_BLOCK = "nerve_block", "Nerve block"
    JOINT = "joint", "Joint"
    DISC = "disc", "Disc"
    VERTEBRAL = "vertebral", "Vertebral"
    NEUROMODULATION = "neuromodulation", "Neuromodulation"
    REGENERATIVE = "regenerative", "Regenerative"


class TableStatus(models.TextChoices):
    ACTIVE = "active"
    FUTURE = "future"


class Sedation(models.TextChoices):
    NONE = "none", "None"
    MINIMAL = "minimal", "Minimal"
    MODERATE = "moderate", "Moderate"
    DEEP = "deep", "Deep"
    MAC = "mac", "Monitored anaesthesia care"
    GENERAL = "general", "General anaesthesia"


class Guidance(models.TextChoices):
    FLUOROSCOPY = "fluoroscopy", "Fluoroscopy"
    CT = "ct", "CT"
    ULTRASOUND = "ultrasound", "Ultrasound"
    NONE = "none", "None"
    OPTIONAL_FLUOROSCOPY = "optional_fluoroscopy", "Fluoroscopy where wanted"
    ULTRASOUND_WITH_DOCUMENTED_REASON = "ultrasound_with_documented_reason", "Ultrasound with a documented reason"


class BleedingClass(models.TextChoices):
    LOW = "low", "Low"
    INTERMEDIATE = "intermediate", "Intermediate"
    HIGH = "high", "High"
    BY_TARGET = "by_target", "Depends on the target"


class Driver(models.TextChoices):
    REQUIRED = "required", "Required"
    REQUIRED_IF_SEDATED = "required_if_sedated", "Required if sedated"
    NOT_NEEDED = "not_needed", "Not needed"


class Fasting(models.TextChoices):
    NONE_WHEN_LOCAL_ONLY = "none_when_local_only", "None when only local anaesthetic is used"
    ASA_WHEN_SEDATED = "asa_when_sedated", "Usual hours when sedated"


class NeedKind(models.TextChoices):
    PHYSICIAN = "physician", "Physician"
    NURSE = "nurse", "Nurse"
    ROOM = "room", "Room"
    BAY = "bay", "Recovery bay"
    C_ARM = "c_arm", "C-arm"
    ULTRASOUND = "ultrasound", "Ultrasound"
    RF_GENERATOR = "rf_generator", "RF generator"
    COOLING_PUMP = "cooling_pump", "Cooling pump"
    DEVICE_REPRESENTATIVE = "device_representative", "Device representative"


class NeedLeg(models.TextChoices):
    PREP = "prep", "Preparation"
    PROCEDURE = "procedure", "Procedure"
    RECOVERY = "recovery", "Recovery"
    TURNOVER = "turnover", "Turnover"


@pghistory.track()
class ClinicalTable(models.Model):
    """One file of clinical defaults, as it was last loaded; earlier versions are in its row history."""

    name = models.CharField(max_length=40, unique=True)
    version = models.CharField(max_length=40)
    reviewed_on = models.DateField(null=True)
    digest = models.CharField(max_length=64)
    row_count = models.PositiveIntegerField(default=0)
    loaded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class ProcedureQuerySet(models.QuerySet["Procedure"]):
    def offered(self) -> ProcedureQuerySet:
        """Keep what may be booked today."""
        return self.filter(is_offered=True, is_retired=False)

    def matching(self, text: str) -> ProcedureQuerySet:
        """Keep those that hold every word of the text in name, short name, code, family or code number."""
        found = self
        for word in text.split():
            found = found.filter(
                Q(name__icontains=word)
                | Q(short_name__icontains=word)
                | Q(code__icontains=word)
                | Q(family__icontains=word)
                | Q(cpt_primary__contains=[word])
                | Q(cpt_add_on__contains=[word])
                | Q(hcpcs__contains=[word])
            )
        return found

    def in_order(self) -> ProcedureQuerySet:
        return self.order_by("position", "name", "pk")


def words(max_length: int = 40) -> ArrayField:
    """Return a column that holds a list of short words."""
    return ArrayField(models.CharField(max_length=max_length), default=list, blank=True)


@pghistory.track()
class Procedure(models.Model):
    """Something the clinic does: its times, what it needs, where on the body, and the facts that rules speak of.

    ``table_values`` are the values as last loaded from the table; what differs from them is the clinic's own edit.
    ``version`` rises with every change and guards against lost updates.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=60, unique=True)
    name = models.CharField(max_length=160)
    short_name = models.CharField(max_length=32)
    category = models.CharField(max_length=20, choices=Category.choices)
    family = models.CharField(max_length=40)
    approach = models.CharField(max_length=40, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=8, choices=TableStatus.choices, default=TableStatus.ACTIVE)
    is_offered = models.BooleanField(default=False)
    is_retired = models.BooleanField(default=False)
    cpt_primary = words(5)
    cpt_add_on = words(5)
    hcpcs = words(5)
    regions = words()
    level_scheme = models.CharField(max_length=24, blank=True)
    levels_note = models.CharField(max_length=300, blank=True)
    max_levels = models.PositiveSmallIntegerField(null=True, blank=True)
    laterality = words(9)
    guidance_default = models.CharField(max_length=40, choices=Guidance.choices)
    guidance_alternatives = words()
    prep_minutes = models.PositiveSmallIntegerField(default=15)
    room_minutes = models.PositiveSmallIntegerField()
    recovery_minutes = models.PositiveSmallIntegerField()
    turnover_minutes = models.PositiveSmallIntegerField(default=10)
    equipment = words()
    sedation = models.CharField(max_length=40)
    planned_sedation = models.CharField(max_length=10, choices=Sedation.choices, default=Sedation.NONE)
    steroid = models.CharField(max_length=40)
    bleeding_class = models.CharField(max_length=14, choices=BleedingClass.choices)
    bleeding_alternative = models.JSONField(default=dict, blank=True)
    driver = models.CharField(max_length=20, choices=Driver.choices)
    fasting = models.CharField(max_length=24, choices=Fasting.choices)
    notes = models.TextField(blank=True)
    instructions = models.TextField(blank=True)
    source = models.JSONField(default=list, blank=True)
    verified = models.BooleanField(default=False)
    unverified_fields = words()
    table_values = models.JSONField(default=dict, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = ProcedureQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [
            ("view_catalogue", "See the catalogue of procedures"),
            ("change_catalogue", "Change the catalogue of procedures"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(room_minutes__gte=5, room_minutes__lte=720)
                & Q(prep_minutes__lte=240)
                & Q(recovery_minutes__lte=720)
                & Q(turnover_minutes__lte=240),
                name="procedure_minutes_in_range",
            ),
            models.CheckConstraint(
                condition=Q(*(Exact(Mod(F(f"{leg}_minutes"), 5), 0) for leg in ("prep", "room", "recovery", "turnover"))),
                name="procedure_minutes_are_multiples_of_five",
            ),
            models.CheckConstraint(condition=~Q(is_retired=True, is_offered=True), name="procedure_retired_is_not_offered"),
            models.CheckConstraint(condition=~Q(short_name="") & ~Q(name=""), name="procedure_has_names"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("procedures:detail", args=[self.public_id])

    @property
    def is_bookable(self) -> bool:
        """Say whether it may be booked today."""
        return self.is_offered and not self.is_retired

    @property
    def stay_minutes(self) -> int:
        """Minutes from the patient's arrival to leaving."""
        return self.prep_minutes + self.room_minutes + self.recovery_minutes


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class ProcedureNeed(models.Model):
    """``count`` of ``kind`` that have ``attribute``, for these legs."""

    procedure = models.ForeignKey(Procedure, on_delete=models.CASCADE, related_name="needs")
    kind = models.CharField(max_length=24, choices=NeedKind.choices)
    attribute = models.CharField(max_length=40, blank=True)
    count = models.PositiveSmallIntegerField(default=1)
    legs = ArrayField(models.CharField(max_length=9, choices=NeedLeg.choices))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["procedure", "kind", "attribute"], name="procedure_need_once"),
            models.CheckConstraint(condition=Q(count__gte=1, count__lte=9), name="procedure_need_count_in_range"),
            models.CheckConstraint(condition=Q(legs__len__gte=1), name="procedure_need_has_legs"),
        ]

    def __str__(self) -> str:
        return f"{self.count} x {self.kind}"


class RuleSeverity(models.TextChoices):
    DENY = "deny", "Not allowed"
    WARN = "warn", "Needs a reason"
    INFO = "info", "Note"


class DaysHeld(Func):
    """The days of service on which a version of a row holds, the first and the last among them; without either it has no end."""

    function = "daterange"
    output_field = DateRangeField()


class RuleRowQuerySet(models.QuerySet["RuleRow"]):
    def in_order(self) -> RuleRowQuerySet:
        """Order the rows as their tables have them, and versions of one row by the days on which they hold."""
        return self.order_by("table", "section", "position", "row_id", F("effective_from").asc(nulls_first=True), "pk")

    def versions_of(self, row: RuleRow) -> RuleRowQuerySet:
        """Return every version of a row, by the days of service on which they hold."""
        return self.filter(table=row.table, section=row.section, row_id=row.row_id).in_order()


@pghistory.track()
class RuleRow(models.Model):
    """One row of a rule table as the clinic has it. What the row means is code; which rows count is this.

    A row may have several versions, of which at most one holds on each date of service: a new policy is a new version with a
    later ``effective_from``, and the one before ends the day before.

    ``data`` is the row without what stands in the columns; ``table_values`` the whole row as last loaded: what differs
    from them is the clinic's own edit. A row outside the lists of rows (the limits of a laboratory, the drug classes that
    raise a bleeding class) holds its value in ``data`` under ``value``.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    table = models.CharField(max_length=40)
    section = models.CharField(max_length=40)
    row_id = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=0)
    data = models.JSONField(default=dict)
    severity = models.CharField(max_length=4, choices=RuleSeverity.choices, blank=True)
    is_enabled = models.BooleanField(default=True)
    effective_from = models.DateField(null=True, blank=True)
    effective_to = models.DateField(null=True, blank=True)
    source = models.JSONField(default=list, blank=True)
    verified = models.BooleanField(null=True, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    table_values = models.JSONField(default=dict, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = RuleRowQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [
            ("view_rules", "See the rules and try them on written cases"),
            ("change_rules", "Change what the rules weigh, when they hold and whether they are on"),
        ]
        constraints: ClassVar = [
            ExclusionConstraint(
                name="rule_row_once_a_day",
                expressions=[
                    ("table", RangeOperators.EQUAL),
                    ("section", RangeOperators.EQUAL),
                    ("row_id", RangeOperators.EQUAL),
                    (DaysHeld("effective_from", "effective_to", models.Value("[]")), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(effective_from__isnull=True)
                | Q(effective_to__isnull=True)
                | Q(effective_from__lte=F("effective_to")),
                name="rule_row_begins_before_it_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}"


class ClinicPathwayQuerySet(models.QuerySet["ClinicPathway"]):
    def in_order(self) -> ClinicPathwayQuerySet:
        return self.order_by("position", "code", "pk")


@pghistory.track()
class ClinicPathway(models.Model):
    """One plan of repeat sessions as the clinic has it: courses follow the newest version.

    ``data`` is the row of steps, ``table_values`` the row as last loaded: what differs from it is the clinic's own edit. Each
    change is a new version with its author and reason; the row history keeps what it was.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    position = models.PositiveSmallIntegerField(default=0)
    data = models.JSONField(default=dict)
    is_enabled = models.BooleanField(default=True)
    notes = models.TextField(blank=True)
    source = models.JSONField(default=list, blank=True)
    verified = models.BooleanField(null=True, blank=True)
    table_values = models.JSONField(default=dict, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()
    reason = models.CharField(max_length=300)

    objects = ClinicPathwayQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions: ClassVar = [
            ("view_pathways", "See the pathways that courses follow"),
            ("change_pathways", "Change intervals, gates and limits of pathways, and switch them on and off"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(reason=""), name="clinic_pathway_version_has_reason"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("scheduling:pathway", args=[self.public_id])
