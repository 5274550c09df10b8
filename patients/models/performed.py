"""What was done: a row for each performed procedure, here or elsewhere, with drugs, note, consent and complications."""

from __future__ import annotations

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from pain_clinic.accounts.models import Site
from patients.models.records import LONGEST_WORD, Recorded
from procedures.models import Procedure, words


class Role(models.TextChoices):
    DIAGNOSTIC = "diagnostic", "Diagnostic"
    THERAPEUTIC = "therapeutic", "Therapeutic"


@pghistory.track()
class PerformedProcedure(Recorded):
    """One procedure on one date of service.

    ``appointment`` is the public id of the case it came from: a case leaves a row here, this floor does not know it.
    ``levels``, ``regions`` and ``side`` are coded as on the appointment. ``fluoroscopy_seconds`` is beam time, ``dose_ugy_m2``
    the dose-area product in microgray square metres. ``function_improved`` to ``relief_matched_agent`` are None where nobody
    said.
    """

    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    other_name = models.CharField(max_length=160, blank=True)  # an injection outside the catalogue
    other_family = models.CharField(max_length=60, blank=True, default="", db_default="")  # in which family rules count it
    appointment = models.UUIDField(null=True, blank=True, unique=True)
    external_id = models.CharField(max_length=80, null=True, blank=True, unique=True)
    done_on = models.DateField()
    done_at = models.DateTimeField(null=True, blank=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_elsewhere = models.BooleanField(default=False)
    where_elsewhere = models.CharField(max_length=160, blank=True)
    side = models.CharField(max_length=9, blank=True)
    levels = words(24)
    regions = words(24)
    body_site = models.CharField(max_length=40, blank=True)  # joint or body part, for example right_knee
    role = models.CharField(max_length=11, choices=Role.choices, default=Role.THERAPEUTIC)
    guidance = models.CharField(max_length=12, blank=True)
    sedation = models.CharField(max_length=10, default="none")
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    operator_name = models.CharField(max_length=120, blank=True)  # as printed: a resource, or somebody elsewhere
    indication = models.CharField(max_length=LONGEST_WORD, blank=True)
    fluoroscopy_seconds = models.PositiveIntegerField(null=True, blank=True)
    dose_ugy_m2 = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    is_image_saved = models.BooleanField(null=True, blank=True)
    has_kx = models.BooleanField(null=True, blank=True)  # billed with the KX flag
    function_improved = models.BooleanField(null=True, blank=True)
    medication_reduced = models.BooleanField(null=True, blank=True)
    medication_reduction = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)  # percent
    relief_matched_agent = models.BooleanField(null=True, blank=True)
    lead_removed_on = models.DateField(null=True, blank=True)

    class Meta(Recorded.Meta):
        permissions = [
            ("record_performed", "Record and amend what was done"),
            ("sign_note", "Sign and co-sign notes"),
            ("record_clinical", "Record medicines, allergies, conditions and results"),
            ("record_outcome", "Record scores"),
            ("view_safety", "See what can hurt: blood thinner, allergy, implant, pregnancy, infection"),
            ("import_history", "Import performed procedures and scores from a file"),
            ("view_outcomes", "See outcomes over all patients"),
            ("break_glass", "Open a record in an emergency"),
        ]
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=Q(procedure__isnull=False) | ~Q(other_name=""), name="performed_has_procedure"),
            models.CheckConstraint(condition=Q(is_elsewhere=True) | Q(site__isnull=False), name="performed_here_has_site"),
        ]
        indexes = [
            # The history and every window of a cap: a patient's procedures by date of service.
            models.Index(fields=["patient", "done_on", "id"], name="performed_of_patient"),
            # Outcomes by procedure and period.
            models.Index(fields=["procedure", "done_on"], name="performed_by_procedure"),
        ]

    def __str__(self) -> str:
        return f"{self.procedure or self.other_name} {self.done_on}"


class DrugKind(models.TextChoices):
    STEROID = "steroid", "Steroid"
    LOCAL_ANAESTHETIC = "local_anaesthetic", "Local anaesthetic"
    CONTRAST = "contrast", "Contrast"
    SEDATIVE = "sedative", "Sedative"
    OTHER = "other", "Other"


@pghistory.track()
class GivenDrug(Recorded):
    """A drug given. Steroids feed the ledger; ``performed`` is empty for a steroid given outside any procedure.

    ``drug`` is a row id of ``steroids.yaml`` for steroids. ``dose_mg`` is of that drug, not of its equivalent.
    """

    performed = models.ForeignKey(PerformedProcedure, on_delete=models.PROTECT, null=True, blank=True, related_name="drugs")
    kind = models.CharField(max_length=18, choices=DrugKind.choices)
    drug = models.CharField(max_length=40)
    dose_mg = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    volume_ml = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    given_on = models.DateField()

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(drug=""), name="givendrug_has_drug"),
            models.CheckConstraint(condition=Q(dose_mg=None) | Q(dose_mg__gte=0), name="givendrug_dose_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.drug} {self.dose_mg or ''}".strip()


class ComplicationKind(models.TextChoices):
    VASOVAGAL = "vasovagal", "Vasovagal reaction"
    BLEEDING = "bleeding", "Bleeding or haematoma"
    DURAL_PUNCTURE = "dural_puncture", "Dural puncture"
    HEADACHE = "headache", "Headache after it"
    INFECTION = "infection", "Infection"
    NERVE_INJURY = "nerve_injury", "Nerve injury or new deficit"
    INTRAVASCULAR = "intravascular", "Injection into a vessel"
    PNEUMOTHORAX = "pneumothorax", "Pneumothorax"
    ALLERGIC = "allergic", "Allergic reaction"
    SEDATION = "sedation", "Sedation event"
    STEROID_EFFECT = "steroid_effect", "Steroid effect"
    PAIN_FLARE = "pain_flare", "Flare of pain"
    WRONG_SITE = "wrong_site", "Wrong side, level or patient"
    OTHER = "other", "Other"


class ComplicationSeverity(models.TextChoices):
    MINOR = "minor", "Minor"
    MODERATE = "moderate", "Moderate"
    SEVERE = "severe", "Severe"


@pghistory.track()
class Complication(Recorded):
    """Something that went wrong during or after a procedure."""

    performed = models.ForeignKey(PerformedProcedure, on_delete=models.PROTECT, related_name="complications")
    kind = models.CharField(max_length=16, choices=ComplicationKind.choices)
    severity = models.CharField(max_length=8, choices=ComplicationSeverity.choices)
    noticed_on = models.DateField()
    outcome = models.CharField(max_length=200, blank=True)

    class Meta(Recorded.Meta):
        pass

    def __str__(self) -> str:
        return self.get_kind_display()


@pghistory.track()
class ClinicalNote(Recorded):
    """The note of a performed procedure, by the sections of its template. Once signed it is not edited: addenda follow it."""

    performed = models.OneToOneField(PerformedProcedure, on_delete=models.PROTECT, related_name="clinical_note")
    template = models.CharField(max_length=40)
    sections = models.JSONField(default=dict)  # section code -> text
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    cosigned_at = models.DateTimeField(null=True, blank=True)
    cosigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(
                condition=Q(signed_at__isnull=True, signed_by__isnull=True) | Q(signed_at__isnull=False, signed_by__isnull=False),
                name="clinicalnote_signed_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(cosigned_at=None) | Q(signed_at__isnull=False), name="clinicalnote_cosigned_after_signed"
            ),
        ]

    def __str__(self) -> str:
        return f"note {self.public_id}"


@pghistory.track(pghistory.InsertEvent())
class Addendum(Recorded):
    """What was added to a signed note; never changed itself."""

    clinical_note = models.ForeignKey(ClinicalNote, on_delete=models.PROTECT, related_name="addenda")
    text = models.TextField()

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(text=""), name="addendum_has_text"),
        ]

    def __str__(self) -> str:
        return f"addendum {self.public_id}"


@pghistory.track()
class Amendment(Recorded):
    """What was changed afterwards about a performed procedure, why, and who stands for it.

    ``changes`` is a list of [field, old, new] in the words of the day; the rows' own history keeps the values. Whoever may
    sign notes signs it, at once or later: a signed note is not changed by an amendment, it is added to.
    """

    performed = models.ForeignKey(PerformedProcedure, on_delete=models.PROTECT, related_name="amendments")
    changes = models.JSONField(default=list)
    reason = models.CharField(max_length=300)
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(reason=""), name="amendment_has_reason"),
            models.CheckConstraint(
                condition=Q(signed_at__isnull=True, signed_by__isnull=True) | Q(signed_at__isnull=False, signed_by__isnull=False),
                name="amendment_signed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"amendment {self.public_id}"


@pghistory.track()
class Consent(Recorded):
    """Consent to a procedure at a place of the body, until it expires or is withdrawn."""

    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, related_name="+")
    appointment = models.UUIDField(null=True, blank=True)
    side = models.CharField(max_length=9, blank=True)
    levels = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    given_on = models.DateField()
    valid_until = models.DateField(null=True, blank=True)
    withdrawn_on = models.DateField(null=True, blank=True)

    class Meta(Recorded.Meta):
        pass

    def __str__(self) -> str:
        return f"consent {self.given_on}"
