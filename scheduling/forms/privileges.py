"""What the form of one privilege may hold."""

from __future__ import annotations

from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from procedures.guidance import MODALITIES, guidance_offered
from procedures.models import Procedure
from scheduling.forms.setup import day_field
from scheduling.resources import Terms


class PrivilegeForm(forms.Form):
    version = PlainField(required=False, max_length=16, widget=forms.HiddenInput)
    modalities = forms.MultipleChoiceField(
        label="Under", required=False, widget=forms.CheckboxSelectMultiple, help_text="Nothing ticked: under any of them."
    )
    procedure_minutes = forms.IntegerField(
        label="Minutes of their own",
        required=False,
        min_value=5,
        max_value=720,
        step_size=5,
        error_messages={"step_size": "Give minutes in steps of five, such as 15."},
    )
    valid_from = day_field("First day", required=False)
    valid_until = day_field("Last day", required=False)
    accept = forms.BooleanField(label="Save although booked cases would no longer be allowed", required=False)

    def __init__(self, *args: Any, procedure: Procedure, terms: Terms, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What was ticked before the catalogue changed can still be seen and unticked.
        offered = dict.fromkeys((*guidance_offered(procedure), *terms.modalities))
        self.fields["modalities"].choices = [(one, MODALITIES.get(one, one)) for one in offered]  # type: ignore[attr-defined]
        usual = f"empty: {procedure.room_minutes}, as the catalogue has it."
        self.fields["procedure_minutes"].help_text = f"From patient in to patient out; {usual}"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("valid_from") and cleaned.get("valid_until") and cleaned["valid_until"] < cleaned["valid_from"]:
            self.add_error("valid_until", "The last day lies before the first.")
        return cleaned

    def terms(self) -> Terms:
        given = self.cleaned_data
        return Terms(tuple(given["modalities"]), given["procedure_minutes"], given["valid_from"], given["valid_until"])
