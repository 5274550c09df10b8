"""How the patient does: scores on named measures, by day and instant, about a session where one is meant."""

from __future__ import annotations

import pghistory
from django.db import models
from django.db.models import Q

from patients.models.performed import PerformedProcedure
from patients.models.records import Recorded
from procedures.models import words


class Phase(models.TextChoices):
    """When, as seen from the session that a score is about."""

    BEFORE = "before", "Before it"
    AFTER = "after", "Right after it"
    DIARY = "diary", "Block diary"
    FOLLOW_UP = "follow_up", "Follow-up"
    ROUTINE = "routine", "Not about a session"


class Aspect(models.TextChoices):
    """Which of a measure's questions, where it has several of one scale (the pain scale's)."""

    NOW = "now", "Now"
    WORST = "worst", "Worst"
    AVERAGE = "average", "Average"
    INDEX = "index", "The pain that was treated"
    TOTAL = "total", "Total"


@pghistory.track()
class Score(Recorded):
    """One value on one measure of ``outcomes.yaml``.

    ``value`` is None for an answer written as a range, which is kept in ``range_text`` and proves nothing. ``percent_relief``
    is a measure of its own, typed by the patient; relief computed from two scores on one scale is never stored.
    """

    measure = models.CharField(max_length=24)
    aspect = models.CharField(max_length=8, choices=Aspect.choices, default=Aspect.TOTAL)
    value = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    range_text = models.CharField(max_length=16, blank=True)
    scored_on = models.DateField()
    scored_at = models.DateTimeField(null=True, blank=True)
    phase = models.CharField(max_length=9, choices=Phase.choices, default=Phase.ROUTINE)
    performed = models.ForeignKey(PerformedProcedure, on_delete=models.PROTECT, null=True, blank=True, related_name="scores")
    side = models.CharField(max_length=9, blank=True)
    levels = words(24)
    ask = models.UUIDField(null=True, blank=True)  # the question set that it answers: another floor's row

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=Q(value__isnull=False) | ~Q(range_text=""), name="score_has_value_or_range"),
            models.CheckConstraint(
                condition=Q(phase=Phase.ROUTINE) | Q(performed__isnull=False), name="score_about_a_session_names_it"
            ),
            models.UniqueConstraint(
                fields=["ask", "measure", "aspect"],
                condition=Q(ask__isnull=False, is_in_error=False),
                name="score_answers_a_question_once",
            ),
        ]
        indexes = [
            # Charts and relief: a patient's scores by day.
            models.Index(fields=["patient", "scored_on", "id"], name="score_of_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.measure} {self.value if self.value is not None else self.range_text}"


class SessionOutcome(models.Model):
    """What a performed procedure has brought so far, computed from its scores by `patients.relief` whenever one changes.

    Percentages are of the pain scale that has the most scores. ``held_50_until`` is the last day on which at least 50 % was
    recorded before the first score below it, ``lost_50_on`` the day of that score; both are None where 50 % was never reached.
    What begins with ``later`` leaves out, of a treatment, the scores of its own day: those show the local anaesthetic. Of a
    diagnostic block, which is judged by the anaesthetic, it is all of them. Rebuilt by `manage.py check_outcomes`; reports
    read only this.
    """

    performed = models.OneToOneField(PerformedProcedure, on_delete=models.PROTECT, related_name="outcome", primary_key=True)
    measure = models.CharField(max_length=24, blank=True)
    baseline = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    score_count = models.PositiveSmallIntegerField(default=0)  # scores after the procedure
    first_pct = models.DecimalField(max_digits=8, decimal_places=4, null=True)
    best_pct = models.DecimalField(max_digits=8, decimal_places=4, null=True)
    last_pct = models.DecimalField(max_digits=8, decimal_places=4, null=True)
    last_on = models.DateField(null=True)
    held_50_until = models.DateField(null=True)
    lost_50_on = models.DateField(null=True)
    held_80_until = models.DateField(null=True)
    lost_80_on = models.DateField(null=True)
    peg_before = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    peg_last = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    later_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    later_best_pct = models.DecimalField(max_digits=8, decimal_places=4, null=True)
    later_50_until = models.DateField(null=True)
    later_50_lost_on = models.DateField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"outcome of {self.performed_id}"
