"""What is true of a patient's body and medicines, as the rules and the physician's page need it.

No row is *unknown*, never *fine*: that somebody asked and there is nothing is a row of its own, `Asked`.
"""

from __future__ import annotations

import pghistory
from django.db import models
from django.db.models import F, Q

from patients.models.records import Recorded


class Topic(models.TextChoices):
    """What a patient is asked about before a procedure."""

    ANTITHROMBOTICS = "antithrombotics", "Blood thinners"
    ALLERGIES = "allergies", "Allergies"
    CONDITIONS = "conditions", "Conditions"
    IMPLANTS = "implants", "Implants"
    PREGNANCY = "pregnancy", "Pregnancy"
    INFECTION = "infection", "Infection and antibiotics"
    VACCINES = "vaccines", "Vaccines"
    GLP1 = "glp1", "GLP-1 medicines"


@pghistory.track()
class Asked(Recorded):
    """Somebody asked about this on a day, and there was nothing to record."""

    topic = models.CharField(max_length=16, choices=Topic.choices)
    asked_on = models.DateField()

    class Meta(Recorded.Meta):
        pass

    def __str__(self) -> str:
        return f"{self.topic}: nothing known"


class MedicineKind(models.TextChoices):
    ANTITHROMBOTIC = "antithrombotic", "Blood thinner or the like"
    OPIOID = "opioid", "Opioid"
    GLP1 = "glp1", "GLP-1 medicine"
    OTHER = "other", "Other"


@pghistory.track()
class Medication(Recorded):
    """A medicine that the patient takes or took.

    ``drug`` is a row id of the drug table of its kind (``antithrombotics.yaml``, the opioids of ``outcomes.yaml``, ``weekly``
    or ``daily`` for GLP-1); empty for others, which have a ``name`` only. ``daily_amount`` is mg a day, for a fentanyl patch
    micrograms an hour. ``last_dose_at`` may lie in the future: planned. Nothing in the product tells a patient to stop one.
    """

    kind = models.CharField(max_length=14, choices=MedicineKind.choices)
    drug = models.CharField(max_length=40, blank=True)
    name = models.CharField(max_length=120)
    dose = models.CharField(max_length=80, blank=True)
    daily_amount = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    indication = models.CharField(max_length=60, blank=True)
    prescriber = models.CharField(max_length=120, blank=True)
    prescriber_contact = models.CharField(max_length=200, blank=True)
    started_on = models.DateField(null=True, blank=True)
    last_dose_at = models.DateTimeField(null=True, blank=True)
    stopped_on = models.DateField(null=True, blank=True)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(name=""), name="medication_has_name"),
            models.CheckConstraint(condition=Q(kind=MedicineKind.OTHER) | ~Q(drug=""), name="medication_of_a_table_has_drug"),
            models.CheckConstraint(
                condition=Q(stopped_on=None) | Q(started_on=None) | Q(stopped_on__gte=F("started_on")),
                name="medication_stops_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Agent(models.TextChoices):
    """What a patient may react to."""

    IODINATED_CONTRAST = "iodinated_contrast", "Iodinated contrast"
    GADOLINIUM = "gadolinium", "Gadolinium"
    SHELLFISH = "shellfish", "Shellfish"
    STEROID_PRESERVATIVE = "steroid_preservative", "Preservative of a steroid"
    STEROID = "steroid", "Steroid"
    LOCAL_ANAESTHETIC = "local_anaesthetic", "Local anaesthetic"
    ANTISEPTIC = "antiseptic", "Antiseptic"
    LATEX = "latex", "Latex"
    ADHESIVE = "adhesive", "Adhesive"
    OTHER = "other", "Other"


class Grade(models.TextChoices):
    MILD = "mild", "Mild"
    MODERATE = "moderate", "Moderate"
    SEVERE = "severe", "Severe"
    UNKNOWN = "unknown", "Not known"


@pghistory.track()
class Allergy(Recorded):
    """A reaction in the past."""

    agent = models.CharField(max_length=24, choices=Agent.choices)
    name = models.CharField(max_length=120, blank=True)  # which one, where the agent is a group or other
    severity = models.CharField(max_length=8, choices=Grade.choices, default=Grade.UNKNOWN)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(agent=Agent.OTHER) | ~Q(name=""), name="allergy_other_has_name"),
        ]

    def __str__(self) -> str:
        return self.name or self.get_agent_display()


class ConditionKind(models.TextChoices):
    DIABETES = "diabetes", "Diabetes"
    OSTEOPOROSIS = "osteoporosis", "Osteoporosis"
    OSTEOPENIA = "osteopenia", "Osteopenia"
    POSTMENOPAUSAL = "postmenopausal", "After the menopause"
    BLEEDING_RISK = "bleeding_risk", "Raised risk of bleeding"
    PREGNANCY = "pregnancy", "Pregnancy"
    INFECTION = "infection", "Infection"
    OTHER = "other", "Other"


@pghistory.track()
class Condition(Recorded):
    """A condition with its first and, where it ended, its last day. An infection's antibiotics have their last day too."""

    kind = models.CharField(max_length=16, choices=ConditionKind.choices)
    name = models.CharField(max_length=160, blank=True)
    icd10 = models.CharField(max_length=8, blank=True)
    began_on = models.DateField(null=True, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    antibiotics_until = models.DateField(null=True, blank=True)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(
                condition=~Q(kind__in=[ConditionKind.OTHER, ConditionKind.BLEEDING_RISK]) | ~Q(name=""),
                name="condition_without_a_word_has_name",
            ),
            models.CheckConstraint(
                condition=Q(antibiotics_until=None) | Q(kind=ConditionKind.INFECTION), name="condition_antibiotics_of_infection"
            ),
            models.CheckConstraint(
                condition=Q(ended_on=None) | Q(began_on=None) | Q(ended_on__gte=F("began_on")),
                name="condition_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.get_kind_display()


class Device(models.TextChoices):
    PACEMAKER = "pacemaker", "Pacemaker"
    ICD = "icd", "Defibrillator"
    SCS = "scs", "Spinal cord stimulator"
    DBS = "dbs", "Deep brain stimulator"
    IT_PUMP = "it_pump", "Intrathecal pump"
    STENT_DRUG_ELUTING = "stent_drug_eluting", "Coronary stent, drug-eluting"
    STENT_BARE = "stent_bare", "Coronary stent, bare metal"
    OTHER = "other", "Other"


@pghistory.track()
class Implant(Recorded):
    """Something implanted. ``has_plan``: what to do about it in an ablation is recorded; None is not known."""

    device = models.CharField(max_length=18, choices=Device.choices)
    name = models.CharField(max_length=120, blank=True)
    placed_on = models.DateField(null=True, blank=True)
    removed_on = models.DateField(null=True, blank=True)
    is_after_acs = models.BooleanField(null=True, blank=True)  # stents: placed after an acute coronary syndrome
    has_plan = models.BooleanField(null=True, blank=True)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(device=Device.OTHER) | ~Q(name=""), name="implant_other_has_name"),
        ]

    def __str__(self) -> str:
        return self.name or self.get_device_display()


class LabTest(models.TextChoices):
    INR = "inr", "INR"
    CRCL = "crcl", "Creatinine clearance (mL/min)"
    HBA1C = "hba1c", "HbA1c (%)"
    GLUCOSE = "glucose", "Glucose (mg/dL)"


@pghistory.track()
class LabResult(Recorded):
    """A result with the day of its sample, in the unit that the test's name says."""

    test = models.CharField(max_length=8, choices=LabTest.choices)
    value = models.DecimalField(max_digits=8, decimal_places=2)
    taken_on = models.DateField()

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=Q(value__gte=0), name="labresult_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.test} {self.value}"


class VaccineKind(models.TextChoices):
    COVID_MRNA = "covid_mrna", "COVID-19, mRNA"
    COVID_VECTOR = "covid_vector", "COVID-19, vector"
    LIVE = "live", "Live"
    INACTIVATED = "inactivated", "Inactivated"


@pghistory.track()
class Vaccination(Recorded):
    """A vaccine given, or planned for a day to come."""

    kind = models.CharField(max_length=12, choices=VaccineKind.choices)
    given_on = models.DateField()

    class Meta(Recorded.Meta):
        pass

    def __str__(self) -> str:
        return self.get_kind_display()


class SurgeryKind(models.TextChoices):
    ARTHROPLASTY = "arthroplasty", "Joint replacement"
    OTHER = "other", "Other"


@pghistory.track()
class PlannedSurgery(Recorded):
    """An operation that is planned elsewhere."""

    kind = models.CharField(max_length=16, choices=SurgeryKind.choices)
    site = models.CharField(max_length=80, blank=True)  # for example right_knee
    planned_on = models.DateField()

    class Meta(Recorded.Meta):
        pass

    def __str__(self) -> str:
        return f"{self.kind} {self.planned_on}"
