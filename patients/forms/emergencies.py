"""Forms of records opened in an emergency, and of the list of who has seen a record."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms

from patients.emergencies import LONGEST
from patients.forms.facts import PlainField
from patients.models import EmergencyReason

KEPT = timedelta(days=6 * 366)
FIRST, LAST = date(2000, 1, 1), date(2200, 12, 31)


class EmergencyForm(forms.Form):
    """Who it is, exactly, and why."""

    record_number = PlainField(label="Record number", max_length=20, required=False)
    first_name = PlainField(label="First name", max_length=120, required=False)
    last_name = PlainField(label="Last name", max_length=120, required=False)
    birth_date = forms.DateField(
        label="Birth date",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )
    reason = forms.ChoiceField(label="Reason", choices=[("", "Choose"), *EmergencyReason.choices])
    text = PlainField(label="In your words", max_length=LONGEST)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        by_name = all(said.get(name) for name in ("first_name", "last_name", "birth_date"))
        if not said.get("record_number") and not by_name:
            self.add_error("record_number", "Give the record number, or first name, last name and birth date.")
        return said


class SpanForm(forms.Form):
    """From which day to which."""

    first_on = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    last_on = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    sort = forms.ChoiceField(label="Order", required=False, choices=[("day", "By day"), ("who", "By person"), ("what", "By act")])

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        last = said.get("last_on") or self.today
        if not FIRST <= last <= LAST:
            self.add_error("last_on", f"Choose a day from {FIRST.year} to {LAST.year}.")
            return said
        first = said.get("first_on") or min(last, self.today) - timedelta(days=365)
        if first > last:
            self.add_error("first_on", "The first day must not be after the last.")
        elif last - first > KEPT or first < FIRST:
            self.add_error("first_on", "Ask for six years at most.")
        return {**said, "first_on": first, "last_on": last, "sort": said.get("sort") or "day"}
