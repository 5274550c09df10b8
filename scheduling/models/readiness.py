"""What has to be known about a case itself before it is ready, and the nights in which all coming cases are asked again."""

from __future__ import annotations

import pghistory
from django.db import models
from django.db.models import Q

from patients.models import Presentation
from scheduling.models.appointments import Appointment


class PlannedRole(models.TextChoices):
    DIAGNOSTIC = "diagnostic", "Diagnostic"
    THERAPEUTIC = "therapeutic", "Therapeutic"


class Premedication(models.TextChoices):
    ORAL_PREDNISONE = "oral_prednisone", "Prednisone by mouth"
    ORAL_METHYLPREDNISOLONE = "oral_methylprednisolone", "Methylprednisolone by mouth"
    IV_ACCELERATED = "iv_accelerated", "Accelerated, into a vein"
    NONE = "none", "None"


class TargetClass(models.TextChoices):
    LOW = "low", "Low"
    INTERMEDIATE = "intermediate", "Intermediate"
    HIGH = "high", "High"


class Technique(models.TextChoices):
    """How a lesion is made."""

    THERMAL = "thermal", "Thermal"
    COOLED = "cooled", "Cooled"
    PULSED = "pulsed", "Pulsed"
    CRYO = "cryo", "Cryo"
    CHEMICAL = "chemical", "Chemical"
    LASER = "laser", "Laser"
    ENDOSCOPIC = "endoscopic", "Endoscopic"
    LOW_TEMPERATURE = "low_temperature", "Low temperature"


class PlannedContrast(models.TextChoices):
    IODINATED = "iodinated", "Iodinated"
    GADOLINIUM = "gadolinium", "Gadolinium"
    NONE = "none", "None"


class ModicType(models.IntegerChoices):
    ONE = 1, "Type 1"
    TWO = 2, "Type 2"
    THREE = 3, "Type 3"


COLDEST_C, HOTTEST_C = -90, 110  # that a lesion may be made at


@pghistory.track()
class CaseDetails(models.Model):
    """What is said about a case beyond its target; what is empty nobody has said yet.

    ``drug`` is a row id of the steroid table, or ``none``. ``course`` is the one from which it was booked, ``problem`` the one
    on record that this course is for: rules read it, and choose one by level and side where it is empty. Old values are in
    the row history.
    """

    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="details", primary_key=True)
    role = models.CharField(max_length=11, choices=PlannedRole.choices, blank=True)
    drug = models.CharField(max_length=40, blank=True)
    dose_mg = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    has_driver = models.BooleanField(null=True, blank=True)
    driver_name = models.CharField(max_length=120, blank=True)
    premedication = models.CharField(max_length=23, choices=Premedication.choices, blank=True)
    bleeding_class = models.CharField(max_length=12, choices=TargetClass.choices, blank=True)
    rationale = models.CharField(max_length=500, blank=True)
    site_reason = models.CharField(max_length=300, blank=True)
    bilateral_reason = models.CharField(max_length=300, blank=True)
    technique = models.CharField(max_length=15, choices=Technique.choices, blank=True, default="", db_default="")
    temperature_c = models.DecimalField(max_digits=4, decimal_places=1, null=True, blank=True)  # of the lesion
    modic_type = models.PositiveSmallIntegerField(choices=ModicType.choices, null=True, blank=True)
    contrast = models.CharField(max_length=10, choices=PlannedContrast.choices, blank=True, default="", db_default="")
    # On the day: when each intake of the fasting table ended, by its name, as ISO 8601 writes instants.
    intake = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    course = models.ForeignKey("scheduling.Course", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    problem = models.ForeignKey(
        Presentation, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )  # fmt: skip

    class Meta:
        default_permissions = ()
        permissions = [("plan_case", "Say what is planned for a case: role, steroid, driver, premedication, reasons")]
        constraints = [
            models.CheckConstraint(
                condition=Q(dose_mg=None) | (Q(dose_mg__gt=0) & ~Q(drug="") & ~Q(drug="none")),
                name="casedetails_dose_is_of_a_drug",
            ),
            models.CheckConstraint(
                condition=Q(temperature_c=None) | Q(temperature_c__gte=COLDEST_C, temperature_c__lte=HOTTEST_C),
                name="casedetails_lesion_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(modic_type=None) | Q(modic_type__in=ModicType.values), name="casedetails_modic_is_a_type"
            ),
        ]

    def __str__(self) -> str:
        return f"details of {self.appointment_id}"


class RuleCheck(models.Model):
    """One asking of the rules about every coming case: how far it has come, so that it goes on where it was left."""

    begun_at = models.DateTimeField()
    because = models.CharField(max_length=8, choices=[("night", "Night"), ("rules", "Rules changed")])
    stamp = models.CharField(max_length=160)  # of the rules with which it began
    cursor = models.BigIntegerField(default=0)  # the last case that was asked about, by key
    seen = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, db_default=0)  # patients on whom asking broke down; they are asked again
    done_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            # The one under way.
            models.Index(fields=["id"], name="rulecheck_under_way", condition=Q(done_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.because} {self.begun_at:%Y-%m-%d}"
