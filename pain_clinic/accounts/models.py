"""Staff, the sites they work at, their API tokens, and what the doors remember for them."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import date, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac


def check_time_zone(name: str) -> None:
    """Refuse a name that the zone data do not know."""
    if name not in available_timezones():
        raise ValidationError("Choose an IANA time zone such as America/New_York.", code="time_zone_unknown")


class SiteQuerySet(models.QuerySet["Site"]):
    def active(self) -> SiteQuerySet:
        return self.filter(is_active=True)

    def visible_to(self, user: Any) -> SiteQuerySet:
        """Return the sites that a member of staff works at."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(staff=user)


class Site(models.Model):
    """A place where the clinic treats; its zone decides what its local times mean."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=64, validators=[check_time_zone])
    address = models.CharField(max_length=300, blank=True)
    directions = models.TextField(max_length=1000, blank=True)  # how to find it, as patients read it in their mails
    directions_es = models.TextField(max_length=1000, blank=True)  # the same in Spanish; empty: the text above in every language
    phone = models.CharField(max_length=40, blank=True)
    email = models.EmailField(blank=True)
    state = models.CharField(max_length=2, blank=True)  # two letters: some payers' rules hold in some states only
    place_of_service = models.CharField(max_length=2, default="11")  # as payers count it: 11 an office, 22 and 24 a hospital's
    is_active = models.BooleanField(default=True)

    objects = SiteQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def day_at(self, moment: datetime) -> date:
        """Return the date on this site's wall; in an American evening the UTC date is tomorrow's."""
        return moment.astimezone(ZoneInfo(self.time_zone)).date()

    def directions_in(self, language: str) -> str:
        """Return how to find it in a language, in the usual one where nobody wrote it in that."""
        return self.directions_es if language == "es" and self.directions_es.strip() else self.directions


class StaffManager(UserManager["User"]):
    def visible_to(self, user: Any) -> models.QuerySet[User]:
        """Return the colleagues whom a user may see: everybody with `manage_staff`, else those who share a site."""
        if not user.is_authenticated:
            return self.none()
        if user.has_perm("accounts.manage_staff"):
            return self.all()
        return self.filter(Q(pk=user.pk) | Q(sites__in=user.sites.all())).distinct()


class User(AbstractUser):
    """A member of staff. Nobody is deleted: whoever leaves is disabled, and the trail keeps the row."""

    username = models.CharField(
        max_length=60,
        unique=True,
        validators=[RegexValidator(r"\A[a-z0-9][a-z0-9._-]*\Z", "Use small letters, digits, dots, dashes and underscores.")],
        error_messages={"unique": "Somebody has this name already."},
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    display_name = models.CharField(max_length=120, blank=True)
    sites = models.ManyToManyField(Site, related_name="staff", blank=True)
    must_change_password = models.BooleanField(default=False)
    # Chosen last on the board: where home and board begin.
    last_site = models.ForeignKey(Site, on_delete=models.SET_NULL, related_name="+", null=True, blank=True)
    # Part of the session's hash: raising it ends every session of this user at once.
    session_epoch = models.PositiveIntegerField(default=0)

    objects: ClassVar[StaffManager] = StaffManager()

    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        default_permissions = ()
        permissions = (
            ("view_home", "Open the home page"),
            ("manage_staff", "Create staff, set roles and sites, disable"),
            ("view_audit", "Read the audit trail"),
            ("use_api", "Use the API and make tokens"),
        )

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """Return the name that colleagues read."""
        return self.display_name or self.get_full_name() or self.username

    def get_session_auth_hash(self) -> str:
        return self._session_hash()

    def get_session_auth_fallback_hash(self) -> Any:
        for key in settings.SECRET_KEY_FALLBACKS:
            yield self._session_hash(secret=key)

    def _session_hash(self, secret: str | None = None) -> str:
        salt = "pain_clinic.accounts.User.session"
        return salted_hmac(salt, f"{self.password}|{self.session_epoch}", secret=secret, algorithm="sha256").hexdigest()


class ApiToken(models.Model):
    """A key for a program that acts as a member of staff; only its hash is kept."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_tokens")
    label = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=8)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.label} ({self.hint}…)"

    @staticmethod
    def make_secret() -> str:
        """Return a new secret of 256 random bits."""
        return f"clinic_{secrets.token_urlsafe(32)}"

    @staticmethod
    def digest_of(secret: str) -> str:
        """Return the kept form of a secret. It is random, so a plain hash is enough and can be looked up."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class RequestKey(models.Model):
    """What was answered to a request key, so that a repeated request gets the same bytes and acts once."""

    actor_key = models.CharField(max_length=80)
    verb = models.CharField(max_length=80)
    key = models.CharField(max_length=120)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    # Text, not JSON: jsonb reorders keys, and the second answer must be the same bytes.
    answer = models.TextField(blank=True)
    location = models.CharField(max_length=500, blank=True)
    # The entity tag of an API answer, the htmx event of a page's.
    etag = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("actor_key", "verb", "key"), name="requestkey_is_unique_per_actor_and_verb"),
        )
        indexes = (models.Index(fields=("created_at",), name="requestkey_created_at"),)

    def __str__(self) -> str:
        return f"{self.verb} {self.key}"


class KeptInput(models.Model):
    """What somebody had typed when the session ended, kept for that same person to take up again."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="kept_inputs")
    path = models.CharField(max_length=300)
    data = models.JSONField()
    kept_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("user", "path"), name="keptinput_is_one_per_user_and_path"),)

    def __str__(self) -> str:
        return f"{self.user_id} {self.path}"
