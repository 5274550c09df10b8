"""Who we treat: people as the clinic knows them, and which sites may see them."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import date, datetime
from typing import TYPE_CHECKING

import pghistory
from django.apps import apps
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from phonenumber_field.modelfields import PhoneNumberField

from pain_clinic import languages
from pain_clinic.accounts.models import Site, check_time_zone

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User


def short_name(first_name: str, last_name: str, birth_date: date) -> str:
    """Return first name and initial with birth year, as the board shows a person."""
    return f"{first_name} {last_name[:1]}. {birth_date.year}"


def folded(text: str) -> str:
    """Give the text as names are compared: lower case, no accents, single spaces.

    The database sorts by code point, so this column also gives lists their order.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    return " ".join(bare.replace("'", "").replace("’", "").replace("-", " ").split())


class Sex(models.TextChoices):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class PatientQuerySet(models.QuerySet["Patient"]):
    def visible_to(self, user: User) -> PatientQuerySet:
        """Keep the patients with a home, referral or appointment at a site of this user."""
        mine = PatientSite.objects.filter(patient=models.OuterRef("pk"), site__in=user.sites.all())
        return self.filter(models.Exists(mine))

    def open_to(self, user: User, at: datetime) -> PatientQuerySet:
        """Keep those, and the ones whose record this user has opened in an emergency that still lasts.

        For reaching one record by its id; lists and searches never hold more than `visible_to`.
        """
        emergencies = apps.get_model("patients", "EmergencyAccess").objects
        mine = PatientSite.objects.filter(patient=models.OuterRef("pk"), site__in=user.sites.all())
        opened = emergencies.filter(patient=models.OuterRef("pk"), user=user, ends_at__gt=at)
        return self.filter(models.Exists(mine) | models.Exists(opened))

    def in_name_order(self) -> PatientQuerySet:
        return self.order_by("search_name", "birth_date", "pk")

    def with_home(self) -> PatientQuerySet:
        return self.select_related("home_site")

    def matching(self, text: str) -> PatientQuerySet:
        """Keep those whose names, record number or telephone hold every word of the text."""
        found = self
        for word in folded(text).split():
            digits = "".join(sign for sign in word if sign.isdigit())
            match = Q(search_name__contains=word) | Q(record_number=word.upper())  # each by its index
            if len(digits) >= 4:
                match |= Q(phone__contains=digits)
            found = found.filter(match)
        return found

    def born_on(self, day: date) -> PatientQuerySet:
        return self.filter(birth_date=day)


@pghistory.track()
class Patient(models.Model):
    """A person the clinic treats. ``external_id`` is the identity given by another system's export."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    record_number = models.CharField(max_length=20, unique=True)
    external_id = models.CharField(max_length=80, unique=True, null=True, blank=True)
    last_name = models.CharField(max_length=120)
    first_name = models.CharField(max_length=120)
    search_name = models.CharField(max_length=260, editable=False)
    birth_date = models.DateField()
    sex = models.CharField(max_length=8, choices=Sex.choices, default=Sex.UNKNOWN)
    email = models.EmailField(blank=True)
    phone = PhoneNumberField(blank=True)
    # Of the languages that are offered when it is written; one whose translation is taken away stays, and reads English.
    language = models.CharField(max_length=languages.LONGEST, default=languages.ENGLISH)
    payer = models.CharField(max_length=120, blank=True)
    home_site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="home_patients")
    # Empty: the home site's. The database has the defaults too, for those who write rows by COPY.
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="", validators=[check_time_zone])
    accepts_email = models.BooleanField(default=True)
    accepts_details = models.BooleanField(default=False, db_default=False)  # subject and calendar entry may name the procedure
    deceased_on = models.DateField(null=True, blank=True)
    is_demo = models.BooleanField(default=False, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()

    objects = PatientQuerySet.as_manager()

    class Meta:
        permissions = [
            ("search_patients", "Find patients"),
            ("register_patient", "Register a patient"),
            ("import_patients", "Import patients from a file"),
            ("view_history", "Read the clinical history"),
            ("print_access_list", "Print who has seen a record"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(last_name=""), name="patient_has_last_name"),
            models.CheckConstraint(condition=~Q(first_name=""), name="patient_has_first_name"),
            models.CheckConstraint(condition=Q(language__regex=languages.SHAPE), name="patient_language_is_a_code"),
        ]
        indexes = [
            # Patient search: any part of a name.
            GinIndex(fields=["search_name"], name="patient_search_name", opclasses=["gin_trgm_ops"]),
            # Patient search: any part of a telephone number.
            GinIndex(fields=["phone"], name="patient_phone", opclasses=["gin_trgm_ops"]),
            # Patient lists and the birth-date half of a search.
            models.Index(fields=["search_name", "birth_date", "id"], name="patient_in_name_order"),
            models.Index(fields=["birth_date"], name="patient_by_birth_date"),
        ]

    def __str__(self) -> str:
        return f"{self.last_name}, {self.first_name}"

    def save(self, *args: object, **kwargs: object) -> None:
        self.fold_names()
        super().save(*args, **kwargs)  # type: ignore[arg-type]  # same signature, passed through

    def fold_names(self) -> None:
        """Bring the search column in line with the names (bulk writers call it themselves)."""
        self.search_name = folded(f"{self.last_name} {self.first_name}")

    @property
    def zone(self) -> str:
        """The zone in which this person's quiet hours are kept."""
        return self.time_zone or self.home_site.time_zone

    @property
    def reads(self) -> str:
        """The code of the language in which we write to this person."""
        return languages.readable(self.language)

    @property
    def speaks(self) -> str:
        """What staff call this person's language."""
        return languages.name(self.language)

    @property
    def short_name(self) -> str:
        """First name and initial with birth year, as the board shows a person."""
        return short_name(self.first_name, self.last_name, self.birth_date)


class PatientSite(models.Model):
    """Why a site knows a patient. Upper floors leave a row here; visibility is read from it alone."""

    class Because(models.TextChoices):
        HOME = "home"
        REFERRAL = "referral"
        APPOINTMENT = "appointment"

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="known_at")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="known_patients")
    because = models.CharField(max_length=12, choices=Because.choices)
    since = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "site", "because"], name="patient_site_because_once"),
        ]
        indexes = [
            # visible_to: the patients of a site.
            models.Index(fields=["site", "patient"], name="patient_site_lookup"),
        ]

    def __str__(self) -> str:
        return f"{self.patient_id} at {self.site_id} ({self.because})"
