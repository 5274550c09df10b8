"""When messages leave, in whose words, and whether they leave at all: what the clinic's manager changes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Q

from pain_clinic.accounts.models import Site
from pain_clinic.languages import LONGEST, SHAPE
from procedures.models import Procedure
from scheduling.models.messages import AFTER_VISIT, BEFORE_VISIT, MessageKind

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


class Weekend(models.TextChoices):
    """What becomes of a day that falls on a Saturday or Sunday."""

    AS_IS = "as_is", "Send on that day"
    EARLIER = "earlier", "The Friday before"
    LATER = "later", "The Monday after"


PLANNED_KINDS = (*BEFORE_VISIT, *AFTER_VISIT)
PLANNED_CHOICES = [(kind.value, kind.label) for kind in MessageKind if kind in PLANNED_KINDS]


class CadenceQuerySet(models.QuerySet["CadenceStep"]):
    def visible_to(self, user: User) -> CadenceQuerySet:
        """Keep the clinic's own steps and those of the sites of this user."""
        return self.filter(Q(site=None) | Q(site__in=user.sites.all()))

    def in_order(self) -> CadenceQuerySet:
        return self.order_by("position", "code", "procedure__name", "family", "site__name", "pk")


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class CadenceStep(models.Model):
    """One message that every case gets: how many days from the visit, at which hour of the site's clocks.

    Without site, family and procedure it holds for all; a row of the same code with one of them stands in its place
    there (procedure before family before site). Days before the visit are negative. ``is_on`` False leaves it out.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.SlugField(max_length=32)
    kind = models.CharField(max_length=16, choices=PLANNED_CHOICES)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    family = models.CharField(max_length=40, blank=True)
    procedure = models.ForeignKey(Procedure, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    offset_months = models.SmallIntegerField(default=0)
    offset_days = models.SmallIntegerField(default=0)
    at_time = models.TimeField()
    weekend = models.CharField(max_length=8, choices=Weekend.choices, default=Weekend.AS_IS)
    asks_to_confirm = models.BooleanField(default=False)
    is_on = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=50)
    source = models.JSONField(default=list, blank=True)
    verified = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = CadenceQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [("manage_messages", "Set when messages leave, their wording, and stop them")]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "site", "family", "procedure"], name="cadence_step_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(kind__in=BEFORE_VISIT, offset_days__lte=0, offset_months__lte=0)
                | Q(kind__in=AFTER_VISIT, offset_days__gte=0, offset_months__gte=0),
                name="cadence_step_on_its_side_of_the_visit",
            ),
            models.CheckConstraint(condition=Q(family="") | Q(procedure__isnull=True), name="cadence_step_has_one_scope"),
        ]

    def __str__(self) -> str:
        return self.code


class Wording(models.Model):
    """The clinic's own words for one passage in one language. Newest wins; an empty text means the words as shipped."""

    key = models.CharField(max_length=40)
    language = models.CharField(max_length=LONGEST)
    version = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "language", "version"], name="wording_version_once"),
            models.CheckConstraint(condition=Q(language__regex=SHAPE), name="wording_language_is_a_code"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.language} {self.version}"


class Dispatch(models.Model):
    """The one row that all workers share: the next free moment to send, whether sending is stopped, what is to be planned.

    Kept in the database, not in Redis: two workers must not send twice as fast when the cache is emptied.
    """

    ONLY = 1

    is_stopped = models.BooleanField(default=False)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    planned_at = models.DateTimeField(null=True, blank=True)  # when all cases were last planned
    plan_wanted_at = models.DateTimeField(null=True, blank=True)  # set by what makes planning anew necessary

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="dispatch_is_one_row"),
        ]

    def __str__(self) -> str:
        return "stopped" if self.is_stopped else "sending"
