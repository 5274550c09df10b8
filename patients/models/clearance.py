"""The prescriber's word on a blood thinner before a procedure."""

from __future__ import annotations

import pghistory
from django.db import models
from django.db.models import Q

from patients.models.clinical import Medication
from patients.models.records import Recorded


class ClearanceKind(models.TextChoices):
    HOLD = "hold", "May be held"
    DECISION = "decision", "Decided together"


class Answer(models.TextChoices):
    ASKED = "asked", "Asked for"
    GIVEN = "given", "Given"
    REFUSED = "refused", "Refused"


@pghistory.track()
class Clearance(Recorded):
    """Whether a medicine may be held, or what was decided together, asked of its prescriber and answered.

    ``case`` is the public id of the appointment that it is for; empty for any. The newest word on a medicine counts.
    ``last_dose`` and ``restart`` are the times that the prescriber was asked about, a day or an instant, written as ISO 8601
    does; a hold that is given counts for these alone, unless ``has_times`` is false and it counts for any. ``told_last_at`` is
    what the patient gave as the last dose once this hold had begun.
    ``decided_for`` is the start of the slot for which it was decided together, or asked: a decision counts on that day alone
    (where the table counts in hours, at that hour alone), and without it, as those that were written down before it was kept,
    on any. ``confirmed_on`` is when somebody said that a decision for another slot holds for this one too.
    """

    medication = models.ForeignKey(Medication, on_delete=models.PROTECT, related_name="clearances")
    kind = models.CharField(max_length=8, choices=ClearanceKind.choices, default=ClearanceKind.HOLD)
    answer = models.CharField(max_length=7, choices=Answer.choices, default=Answer.ASKED)
    case = models.UUIDField(null=True, blank=True)
    asked_on = models.DateField(null=True, blank=True)
    answered_on = models.DateField(null=True, blank=True)
    answered_by = models.CharField(max_length=120, blank=True)
    how = models.CharField(max_length=60, blank=True)  # by telephone, letter, fax
    has_times = models.BooleanField(default=False)
    last_dose = models.CharField(max_length=32, blank=True)
    restart = models.CharField(max_length=32, blank=True)
    told_last_at = models.DateTimeField(null=True, blank=True)
    decided_for = models.DateTimeField(null=True, blank=True)
    confirmed_on = models.DateField(null=True, blank=True)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(
                condition=Q(answer=Answer.ASKED) | (Q(answered_on__isnull=False) & ~Q(answered_by="")),
                name="clearance_answered_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.answer}"

    @property
    def is_given(self) -> bool:
        """Say whether the answer was a yes."""
        return self.answer == Answer.GIVEN
