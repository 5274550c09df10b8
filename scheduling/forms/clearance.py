"""What a prescriber answered about a blood thinner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from pain_clinic.texts import PlainField, WallField

WALL = "%Y-%m-%dT%H:%M"
HOW = [("telephone", "By telephone"), ("letter", "By letter"), ("fax", "By fax"), ("message", "By secure message")]


class ClearanceForm(forms.Form):
    is_agreed = forms.ChoiceField(label="Answer", choices=[("yes", "Agrees"), ("no", "Does not agree")], widget=forms.RadioSelect)
    answered_by = PlainField(label="Who said it", max_length=120)
    how = forms.ChoiceField(label="How", choices=HOW)
    note = PlainField(label="Note", max_length=300, required=False)

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
