"""What a prescriber answered about a blood thinner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from pain_clinic.texts import PlainField, WallField
from scheduling import clearing

WALL = "%Y-%m-%dT%H:%M"
HOW = [("telephone", "By telephone"), ("letter", "By letter"), ("fax", "By fax"), ("message", "By secure message")]


AGREES = [("yes", "Agrees"), ("no", "Does not agree")]
DECIDED = [("yes", "Decided together"), ("no", "Not decided")]


class ClearanceForm(forms.Form):
    is_agreed = forms.ChoiceField(label="Answer", choices=AGREES, widget=forms.RadioSelect)
    answered_by = PlainField(label="Who said it", max_length=120)
    how = forms.ChoiceField(label="How", choices=HOW)
    note = PlainField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, is_decision: bool = False, **kwargs: Any) -> None:
        """`is_decision`: it is not a hold to agree to; clinician and prescriber decide whether the medicine goes on."""
        super().__init__(*args, **kwargs)
        if is_decision:
            self.fields["is_agreed"].choices = DECIDED  # type: ignore[attr-defined]
            self.fields["note"].label = "What was decided: goes on, or held from when until when"
        is_agreed = self.data.get(self.add_prefix("is_agreed")) != "no"  # as it is told before a choice, too
        self.fields["note"].required = clearing.needs_note(is_decision=is_decision, is_agreed=is_agreed)
        self.fields["note"].error_messages["required"] = clearing.DECISION_NEEDS

    def values(self) -> dict[str, Any]:
        """Return what the verb is asked for."""
        return {**self.cleaned_data, "is_agreed": self.cleaned_data["is_agreed"] == "yes"}


class LastDoseForm(forms.Form):
    """When a medicine was last taken, on the wall clock of the site."""

    def __init__(self, *args: Any, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=WALL)
        self.fields["told_last_at"] = WallField(
            zone=zone, label="Last taken, as the patient says", widget=widget, input_formats=[WALL]
        )

    def moment(self) -> datetime:
        """Return what was typed, as an instant."""
        typed: datetime = self.cleaned_data["told_last_at"]
        return typed.astimezone(UTC)
