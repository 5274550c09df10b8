"""Who pays, by which rules, and what the payer has authorised."""

from __future__ import annotations

import pghistory
from django.db import models
from django.db.models import F, Q

from patients.models.records import LONGEST_WORD, Recorded
from procedures.models import words


class PlanType(models.TextChoices):
    ORIGINAL_MEDICARE = "original_medicare", "Original Medicare"
    MEDICARE_ADVANTAGE = "medicare_advantage", "Medicare Advantage"
    COMMERCIAL = "commercial", "Commercial"
    SELF_PAY = "self_pay", "Pays himself or herself"


@pghistory.track()
class Coverage(Recorded):
    """One plan of one patient. ``payer_rules`` is a rule set of ``payer_rules.yaml``, or ``none`` where no payer rules apply."""

    payer = models.CharField(max_length=120)
    payer_rules = models.CharField(max_length=60)
    plan_type = models.CharField(max_length=20, choices=PlanType.choices)
    member_number = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=2, blank=True)
    place_of_service = models.CharField(max_length=2, blank=True)  # where it differs from the site's own
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)
    year_anchor = models.DateField(null=True, blank=True)  # on which the plan year starts
    rank = models.PositiveSmallIntegerField(default=1)  # 1 pays first

    class Meta(Recorded.Meta):
        permissions = [
            ("view_coverage", "See coverage and authorisations"),
            ("change_coverage", "Record coverage and authorisations"),
        ]
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(payer="") & ~Q(payer_rules=""), name="coverage_has_payer_and_rules"),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_from=None) | Q(valid_until__gte=F("valid_from")),
                name="coverage_ends_after_it_begins",
            ),
        ]

    def __str__(self) -> str:
        return self.payer


class Decision(models.TextChoices):
    PENDING = "pending", "Asked for"
    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"


@pghistory.track()
class Authorization(Recorded):
    """The payer's word on a procedure or a family of them, for a place of the body and a number of units.

    ``covers`` is a catalogue id or a family. ``units`` None is without a number. ``case`` names the appointment that it is
    bound to, if any.
    """

    coverage = models.ForeignKey(Coverage, on_delete=models.PROTECT, related_name="authorizations")
    number = models.CharField(max_length=40, blank=True)
    covers = models.CharField(max_length=60)
    codes = words(5)
    side = models.CharField(max_length=9, blank=True)
    levels = words(24)
    status = models.CharField(max_length=8, choices=Decision.choices, default=Decision.PENDING)
    asked_on = models.DateField(null=True, blank=True)
    decided_on = models.DateField(null=True, blank=True)
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)
    units = models.PositiveSmallIntegerField(null=True, blank=True)
    case = models.UUIDField(null=True, blank=True)

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(covers=""), name="authorization_covers_something"),
            models.CheckConstraint(
                condition=Q(status=Decision.PENDING) | Q(decided_on__isnull=False), name="authorization_decided_has_day"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_from=None) | Q(valid_until__gte=F("valid_from")),
                name="authorization_ends_after_it_begins",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number or 'authorisation'} {self.status}"


@pghistory.track()
class AuthorizationUse(Recorded):
    """Units of an authorisation drawn down by what was performed; taken back by being marked as in error."""

    authorization = models.ForeignKey(Authorization, on_delete=models.PROTECT, related_name="uses")
    performed = models.ForeignKey("patients.PerformedProcedure", on_delete=models.PROTECT, related_name="authorization_uses")
    units = models.PositiveSmallIntegerField()
    used_on = models.DateField()

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.UniqueConstraint(
                fields=["authorization", "performed"], condition=Q(is_in_error=False), name="authorizationuse_once"
            ),
            models.CheckConstraint(condition=Q(units__gte=1), name="authorizationuse_has_units"),
        ]

    def __str__(self) -> str:
        return f"{self.units} used"


@pghistory.track()
class Presentation(Recorded):
    """The problem that is treated, as payers ask about it. ``missing`` and ``on_file`` are words of the tables' ``requires``
    lists: known not to be met, and known to be. Everything else is not yet on file."""

    name = models.CharField(max_length=160)
    indication = models.CharField(max_length=LONGEST_WORD, blank=True)
    icd10 = models.CharField(max_length=8, blank=True)
    side = models.CharField(max_length=9, blank=True)
    levels = words(24)
    pain_since = models.DateField(null=True, blank=True)
    conservative_since = models.DateField(null=True, blank=True)
    provocation_tests = models.PositiveSmallIntegerField(null=True, blank=True)
    imaging_on = models.DateField(null=True, blank=True)
    episode_started_on = models.DateField(null=True, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    missing = words(LONGEST_WORD)
    on_file = words(LONGEST_WORD)

    class Meta(Recorded.Meta):
        permissions = [("keep_payer_papers", "Say which papers for the payer are on file")]
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=~Q(name=""), name="presentation_has_name"),
        ]

    def __str__(self) -> str:
        return self.name
