"""What the desk types about a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Q

from pain_clinic import languages
from pain_clinic.accounts.models import Site, User
from patients import records
from patients.models import Patient, Sex

DATE = {"type": "date", "autocomplete": "off"}
PLAIN = {"autocomplete": "off", "autocapitalize": "words", "spellcheck": "false"}


class PatientForm(forms.Form):
    """Who somebody is and how to reach them. Everything wrong is said at once."""

    last_name = forms.CharField(label="Last name", max_length=120, widget=forms.TextInput(attrs=PLAIN))
    first_name = forms.CharField(label="First name", max_length=120, widget=forms.TextInput(attrs=PLAIN))
    birth_date = forms.DateField(
        label="Birth date",
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs=DATE),
        error_messages={"invalid": "Write the birth date as year-month-day, 1958-03-02."},
    )
    sex = forms.ChoiceField(label="Sex", choices=Sex.choices, initial=Sex.UNKNOWN)
    external_id = forms.CharField(
        label="Number elsewhere",
        max_length=80,
        required=False,
        help_text="The person's number in the system that sends us files.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    phone = forms.CharField(
        label="Telephone", max_length=40, required=False, widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"})
    )
    email = forms.CharField(
        label="E-mail",
        max_length=254,
        required=False,
        widget=forms.TextInput(attrs={"type": "email", "autocomplete": "off", "spellcheck": "false"}),
    )
    language = forms.ChoiceField(label="Language", choices=languages.choices, initial=languages.ENGLISH)
    accepts_email = forms.BooleanField(label="May get e-mail about appointments", required=False, initial=True)
    accepts_details = forms.BooleanField(
        label="Subject and calendar may name the procedure",
        required=False,
        help_text="Only if the patient agreed: others may see a mail's subject and a calendar.",
    )
    time_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        required=False,
        help_text="Where the patient lives, if not in the home site's zone, for instance America/Denver. No mail at night there.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    payer = forms.CharField(label="Payer", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    home_site = forms.ModelChoiceField(label="Home site", queryset=Site.objects.none(), empty_label=None)

    def __init__(self, *args: Any, user: User, at: datetime, patient: Patient | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.at = at
        self.patient = patient
        mine = Q(pk__in=user.sites.all(), is_active=True)
        spoken = languages.choices()
        if patient is not None:
            if patient.language not in languages.codes():
                spoken.append((patient.language, f"{patient.speaks}, no longer offered: gets {languages.name(patient.reads)}"))
            mine |= Q(pk=patient.home_site_id)  # a colleague's site may stay what it is
            self.fields["version"] = forms.IntegerField(widget=forms.HiddenInput)
            self.fields["deceased_on"] = forms.DateField(
                label="Died on",
                required=False,
                input_formats=["%Y-%m-%d"],
                widget=forms.DateInput(format="%Y-%m-%d", attrs=DATE),
                error_messages={"invalid": "Write the date as year-month-day, 2026-03-02."},
            )
        self.fields["language"].choices = spoken  # type: ignore[attr-defined]
        self.fields["language"].error_messages["invalid_choice"] = f"Choose one of: {languages.known()}."
        self.fields["home_site"].queryset = Site.objects.filter(mine).order_by("name", "pk")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Give every value its kept form, and say what cannot be kept, field by field."""
        values: dict[str, Any] = super().clean() or {}
        home = values.get("home_site") or (self.patient.home_site if self.patient is not None else None)
        today = home.day_at(self.at) if home is not None else self.at.date()
        for name in records.CHANGEABLE:
            if name in values and not (name == "language" and self.patient and values[name] == self.patient.language):
                try:
                    values.update(records.clean({name: values[name]}, today=today))
                except records.FieldRefused as refusal:
                    self.add_error(name, refusal.message)
        return values

    def values(self) -> dict[str, Any]:
        """Return what the verbs take."""
        return {name: value for name, value in self.cleaned_data.items() if name in records.CHANGEABLE}


def starting_with(patient: Patient) -> dict[str, Any]:
    """Return what the form shows of a patient at first."""
    values = {name: getattr(patient, name) for name in records.CHANGEABLE if name != "home_site"}
    return {**values, "home_site": patient.home_site_id, "version": patient.version, "phone": str(patient.phone or "")}
