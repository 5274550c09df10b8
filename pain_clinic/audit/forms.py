"""What an auditor asks for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms

from pain_clinic.accounts.models import User


class AuditForm(forms.Form):
    """A span of days, and at will one person and one patient."""

    LONGEST = timedelta(days=366)

    first_on = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last_on = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    user = forms.ModelChoiceField(
        label="Member of staff", queryset=User.objects.none(), required=False, to_field_name="username", empty_label="everybody"
    )
    patient = forms.UUIDField(label="Patient id", required=False)
    act = forms.CharField(label="Act", required=False, max_length=80)
    outcome = forms.ChoiceField(label="Outcome", required=False, choices=[("", "any"), ("done", "done"), ("refused", "refused")])
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["user"].queryset = User.objects.order_by("username", "pk")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        last = cleaned.get("last_on") or self.today
        first = cleaned.get("first_on") or min(last, self.today) - timedelta(days=0 if cleaned.get("last_on") else 1)
        if first > last:
            self.add_error("first_on", "The first day must not be after the last.")
        elif last - first > self.LONGEST:
            self.add_error("first_on", "Ask for a year at most.")
        elif not 2000 <= first.year <= last.year <= 2200:
            self.add_error("first_on", "Those days are out of range.")
        return {**cleaned, "first_on": first, "last_on": last}
