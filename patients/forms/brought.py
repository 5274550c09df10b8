"""What staff say of a session beside its scores; only what a rule or a gate reads of such work is asked."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from patients import brought
from patients.amending import FIELDS as LABELS
from patients.forms.coverage import day_field
from patients.models import PerformedProcedure

UNKNOWN = [("", "not known"), ("yes", "Yes"), ("no", "No")]
YES_NO = frozenset({"function_improved", "medication_reduced", "relief_matched_agent"})
HINTS = {
    "medication_reduction": "Of opioids, against before; below 0 when more was needed.",
    "relief_matched_agent": "No: it lasted much longer or shorter than the anaesthetic works. The block then counts as not met.",
    "medication_reduced": "Less pain medicine than before.",
}


class BroughtForm(forms.Form):
    """What is asked of this session, as it stands."""

    read_version = forms.IntegerField(widget=forms.HiddenInput)
    why = PlainField(label="Why it is different now", max_length=300, required=False)

    def __init__(self, *args: Any, row: PerformedProcedure, today: date, **kwargs: Any) -> None:
        self.asked, self.row, self.today = brought.asked_of(row), row, today
        kwargs.setdefault("initial", {"read_version": row.version, **{name: _typed(getattr(row, name)) for name in self.asked}})
        super().__init__(*args, **kwargs)
        for name in self.asked:
            self.fields[name] = _field(name)
        if all(getattr(row, name) is None for name in self.asked):
            del self.fields["why"]

    def said(self) -> dict[str, Any]:
        """Return what was said, as the verb takes it."""
        given = {name: self.cleaned_data[name] for name in self.asked}
        return {name: {"yes": True, "no": False}.get(value) if name in YES_NO else value for name, value in given.items()}

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in (*self.asked, "why") if name in self.fields]


def _field(name: str) -> forms.Field:
    label, hint = LABELS[name], HINTS.get(name, "")
    if name in YES_NO:
        return forms.ChoiceField(label=label, choices=UNKNOWN, required=False, help_text=hint)
    if name == "lead_removed_on":
        return day_field(label)
    return forms.DecimalField(
        label=label, min_value=-100, max_value=100, max_digits=5, decimal_places=2, required=False, help_text=hint
    )


def _typed(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
