"""Forms of the catalogue. They check shape; the verbs check meaning."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator, StepValueValidator

from pain_clinic.errors import DomainError
from pain_clinic.texts import PlainField
from procedures import families as named
from procedures.catalogue import SLOT_MINUTES
from procedures.listing import families
from procedures.models import NeedKind, NeedLeg, Procedure, Sedation

MOST_NEEDS = 20


class FilterForm(forms.Form):
    q = forms.CharField(label="Name, short name or code", required=False, max_length=80)
    family = forms.ChoiceField(label="Family", required=False)
    offered = forms.ChoiceField(
        label="Booking",
        required=False,
        choices=[("", "All"), ("yes", "Offered"), ("no", "Not offered"), ("retired", "Retired")],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["family"].choices = [("", "All"), *named.choices(families())]  # type: ignore[attr-defined]
        self.fields["q"].widget.input_type = "search"


class SwitchForm(forms.Form):
    is_offered = forms.TypedChoiceField(choices=[("1", "yes"), ("0", "no")], coerce=lambda word: word == "1")


def minutes_field(label: str, *, least: int, most: int, hint: str) -> forms.IntegerField:
    """Return a field for a length on the 5-minute grid."""
    on_the_grid = StepValueValidator(SLOT_MINUTES, message=f"Use a multiple of {SLOT_MINUTES} minutes.")
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        validators=[on_the_grid],
        widget=forms.NumberInput(attrs={"step": SLOT_MINUTES}),
        help_text=hint,
    )


class ProcedureForm(forms.Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    short_name = PlainField(label="Short name", max_length=32, help_text="As the board and lists show it.")
    prep_minutes = minutes_field("Preparation, minutes", least=0, most=240, hint="From arrival to the room.")
    room_minutes = minutes_field("Procedure, minutes", least=5, most=720, hint="Patient in the room to patient out.")
    recovery_minutes = minutes_field("Recovery, minutes", least=0, most=720, hint="0 if nobody stays.")
    turnover_minutes = minutes_field("Turnover, minutes", least=0, most=240, hint="Room and devices after the patient.")
    planned_sedation = forms.ChoiceField(
        label="Planned sedation", choices=Sedation.choices, help_text="Who must be there for it is set under needs."
    )
    max_levels = forms.IntegerField(label="Usual most levels at once", required=False, min_value=1, max_value=20)
    instructions = PlainField(
        label="Instructions for the patient",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="One thing to do on each line. Name no procedure and no drug, and never tell anybody to stop a medicine.",
    )
    is_offered = forms.BooleanField(label="Offered for booking", required=False)
    is_retired = forms.BooleanField(label="Retired", required=False, help_text="No longer done here. Cases already booked stay.")

    @classmethod
    def of(cls, procedure: Procedure) -> ProcedureForm:
        """Return the form filled with what holds now."""
        return cls(initial={name: getattr(procedure, name) for name in cls.base_fields})

    def clean_instructions(self) -> str:
        return "\n".join(str(self.cleaned_data["instructions"]).splitlines())

    def changes(self) -> dict[str, Any]:
        """Return what the verb is asked for: everything but the version."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}

    def refuse(self, refusal: DomainError) -> None:
        """Say why the verb refused, each reason on its own."""
        for problem in refusal.details.get("problems", [refusal.message]):
            self.add_error(None, problem)


class NeedForm(forms.Form):
    kind = forms.ChoiceField(label="What", required=False, choices=[("", "Nothing more"), *NeedKind.choices])
    attribute = forms.CharField(
        label="That has",
        required=False,
        max_length=40,
        validators=[RegexValidator(r"^[a-z0-9_]+$", "Use lower-case letters, digits and underscores, as in or_room.")],
        help_text="A word from the resource's attributes.",
    )
    count = forms.IntegerField(label="How many", required=False, min_value=0, max_value=9, help_text="0 removes it.")
    legs = forms.MultipleChoiceField(label="For", required=False, choices=NeedLeg.choices, widget=forms.CheckboxSelectMultiple)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("kind") and values.get("count") != 0 and not values.get("legs") and not self.errors:
            self.add_error("legs", "Tick at least one.")
        return values


NeedFormSet = forms.formset_factory(NeedForm, extra=2, max_num=MOST_NEEDS, validate_max=True, absolute_max=MOST_NEEDS + 2)


def needs_asked(formset: forms.BaseFormSet[NeedForm]) -> list[dict[str, Any]]:
    """Return the needs of a valid formset; empty rows and those with 0 are left out."""
    return [
        {
            "kind": form.cleaned_data["kind"],
            "attribute": form.cleaned_data["attribute"],
            "count": 1 if form.cleaned_data["count"] is None else form.cleaned_data["count"],
            "legs": form.cleaned_data["legs"],
        }
        for form in formset
        if form.cleaned_data.get("kind") and form.cleaned_data.get("count") != 0
    ]
