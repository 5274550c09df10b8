"""What staff type about one fact of a patient: a small form for each kind, with the fields that matter first."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db import models

from pain_clinic.texts import PlainField, WallField
from patients.models import MedicineKind
from patients.recorded import KINDS
from procedures.tables import read

# The fields of each kind in the order of the page. What is not named is set by verbs or by the API.
FIELDS: dict[str, tuple[str, ...]] = {
    "medicines": ("kind", "drug", "name", "dose", "daily_amount", "indication", "prescriber", "prescriber_contact",
                  "started_on", "last_dose_at", "stopped_on", "note"),
    "allergies": ("agent", "name", "severity", "note"),
    "conditions": ("kind", "name", "icd10", "began_on", "ended_on", "antibiotics_until", "note"),
    "implants": ("device", "name", "placed_on", "removed_on", "is_after_acs", "has_plan", "note"),
    "labs": ("test", "value", "taken_on", "note"),
    "vaccines": ("kind", "given_on", "note"),
    "surgery": ("kind", "site", "planned_on", "note"),
    "asked": ("topic", "asked_on"),
}  # fmt: skip
LABELS = {
    "kind": "Kind", "drug": "Drug of the table", "name": "Name", "dose": "Dose", "daily_amount": "mg a day (patch: µg an hour)",
    "indication": "For what", "prescriber": "Prescribed by", "prescriber_contact": "How to reach the prescriber",
    "started_on": "Since", "last_dose_at": "Last dose", "stopped_on": "Stopped on", "note": "Note", "agent": "To what",
    "severity": "How bad", "icd10": "ICD-10", "began_on": "Since", "ended_on": "Until", "antibiotics_until": "Antibiotics until",
    "device": "Device", "placed_on": "Placed on", "removed_on": "Removed on", "is_after_acs": "After an acute coronary syndrome",
    "has_plan": "Plan for ablations recorded", "test": "Test", "value": "Value", "taken_on": "Taken on", "given_on": "Given on",
    "site": "Where", "planned_on": "Planned on", "topic": "Asked about", "asked_on": "Asked on",
}  # fmt: skip
UNKNOWN = [("", "not known"), ("yes", "Yes"), ("no", "No")]


@cache
def table_drugs() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the drugs that the rules know, by kind."""
    tables = read(only=("antithrombotics", "outcomes"))
    thinners = [(row["id"], row["drug"]) for row in tables["antithrombotics"].content["drugs"]]
    opioids = [(row["opioid"], _words(row["opioid"])) for row in tables["outcomes"].content["mme_factors"]]
    return [
        (str(MedicineKind.ANTITHROMBOTIC.label), thinners),
        (str(MedicineKind.OPIOID.label), [*opioids, ("buprenorphine", "Buprenorphine")]),
        (str(MedicineKind.GLP1.label), [("weekly", "Once a week"), ("daily", "Every day")]),
    ]


def _words(code: str) -> str:
    return code.replace("_", " ").capitalize()


class FactForm(forms.Form):
    """The fields of one kind of fact, made from its model. Moments are those of the clocks of the patient's site, `zone`."""

    def __init__(self, *args: Any, kind: str, today: date, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        model = KINDS[kind].model
        for name in FIELDS[kind]:
            self.fields[name] = _field(model._meta.get_field(name), kind, zone)
        for name in ("taken_on", "asked_on"):
            if name in self.fields:
                self.fields[name].initial = today

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for name in ("is_after_acs", "has_plan"):
            if name in values:
                values[name] = {"yes": True, "no": False}.get(values[name])
        if self.kind == "medicines":
            self._check_medicine(values)
        return values

    def _check_medicine(self, values: dict[str, Any]) -> None:
        """Fill what the table says: a drug's kind and, where nobody typed one, its name."""
        for label, drugs in table_drugs():
            named = dict(drugs)
            if values.get("drug") in named:
                values["kind"] = next(kind for kind in MedicineKind if str(kind.label) == label)
                values["name"] = values.get("name") or named[values["drug"]]
        if values.get("kind") == MedicineKind.OTHER:
            values["drug"] = ""
        elif not values.get("drug"):
            self.add_error("drug", "Choose the drug from the table, or the kind “Other”.")
        if not values.get("name"):
            self.add_error("name", "Give the name of the medicine.")

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in FIELDS[self.kind]]


def _field(field: Any, kind: str, zone: ZoneInfo) -> forms.Field:
    label = LABELS[field.name]
    is_required = not field.blank
    if field.name == "drug":
        return forms.ChoiceField(label=label, choices=[("", "none of these"), *table_drugs()], required=False)
    if field.name == "name" and kind == "medicines":
        return PlainField(label=label, max_length=field.max_length, required=False)
    if field.choices:
        return forms.ChoiceField(label=label, choices=list(field.choices), required=is_required)
    if isinstance(field, models.BooleanField):
        return forms.ChoiceField(label=label, choices=UNKNOWN, required=False)
    if isinstance(field, models.DateTimeField):
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        return WallField(zone=zone, label=label, required=is_required, widget=widget, input_formats=["%Y-%m-%dT%H:%M"])
    if isinstance(field, models.DateField):
        day = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        return forms.DateField(label=label, required=is_required, widget=day, input_formats=["%Y-%m-%d"])
    if isinstance(field, models.DecimalField):
        return forms.DecimalField(
            label=label, required=is_required, max_digits=field.max_digits, decimal_places=field.decimal_places, min_value=0
        )  # fmt: skip
    return PlainField(label=label, max_length=field.max_length, required=is_required)


class ErrorForm(forms.Form):
    """Why something was written down by mistake."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    error_reason = PlainField(label="Why it was a mistake", max_length=200)


def form_for(kind: str, *args: Any, today: date, zone: ZoneInfo, row: Any = None, **kwargs: Any) -> FactForm:
    """Return the form of a kind, showing a row where one is given."""
    if row is not None:
        start = {name: getattr(row, name) for name in FIELDS[kind]}
        for name in ("is_after_acs", "has_plan"):
            if name in start:
                start[name] = {True: "yes", False: "no", None: ""}[start[name]]
        kwargs["initial"] = start
    return FactForm(*args, kind=kind, today=today, zone=zone, **kwargs)
