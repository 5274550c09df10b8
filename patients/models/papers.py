"""What comes on paper: scans of consents, referrals and clearances, kept as they came."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.db import models
from django.db.models import Q

from patients.models.performed import Consent
from patients.models.records import Recorded


class PaperKind(models.TextChoices):
    CONSENT = "consent", "Consent"
    REFERRAL = "referral", "Referral"
    CLEARANCE = "clearance", "Clearance"
    OTHER = "other", "Other"


class MediaType(models.TextChoices):
    PDF = "application/pdf", "PDF"
    JPEG = "image/jpeg", "JPEG"
    PNG = "image/png", "PNG"

    @property
    def ending(self) -> str:
        return {MediaType.PDF: "pdf", MediaType.JPEG: "jpg", MediaType.PNG: "png"}[self]


@pghistory.track()
class Paper(Recorded):
    """A scan of something on paper. Its bytes stand apart and are never changed: another scan is another row.

    ``media_type`` is what the bytes are, not what the name says; ``file_name`` is what the person's computer called it.
    """

    kind = models.CharField(max_length=9, choices=PaperKind.choices)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, null=True, blank=True, related_name="papers")
    file_name = models.CharField(max_length=120, blank=True)
    media_type = models.CharField(max_length=15, choices=MediaType.choices)
    size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)  # SHA-256 of the bytes

    class Meta(Recorded.Meta):
        constraints = [
            *Recorded.Meta.constraints,
            models.CheckConstraint(condition=Q(size__gt=0), name="paper_is_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.recorded_at:%Y-%m-%d}"

    @property
    def download_name(self) -> str:
        """Return a name that says nothing about the patient."""
        return f"{self.kind}-{self.recorded_at:%Y-%m-%d}-{str(self.public_id)[:8]}.{MediaType(self.media_type).ending}"


class PaperContent(models.Model):
    """The bytes of a paper: read only when somebody takes the file away."""

    paper = models.OneToOneField(Paper, on_delete=models.PROTECT, primary_key=True, related_name="content")
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        triggers = [pgtrigger.Protect(name="kept_as_it_came", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"bytes of {self.paper_id}"
