"""Calendars of physicians and rooms that other programs fetch from an address with a secret."""

from __future__ import annotations

import hashlib
import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from scheduling.models.resources import Resource


class FeedQuerySet(models.QuerySet["CalendarFeed"]):
    def in_force(self) -> FeedQuerySet:
        return self.filter(revoked_at=None)


class CalendarFeed(models.Model):
    """One address at which one person's calendar program reads one resource's times; only its hash is kept."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="calendar_feeds")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="calendar_feeds")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = FeedQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [("make_feed", "Let a calendar program read a physician's or room's times")]
        constraints = [
            models.UniqueConstraint(fields=["user", "resource"], name="calendar_feed_once", condition=Q(revoked_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"feed {self.public_id}"

    @staticmethod
    def make_secret() -> str:
        """Return a new secret of 192 random bits."""
        return secrets.token_urlsafe(24)

    @staticmethod
    def digest_of(secret: str) -> str:
        """Return the kept form of a secret. It is random, so a plain hash is enough and can be looked up."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
