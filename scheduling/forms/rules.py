"""Forms of the rules: find rows, and change one."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict

from procedures import rulebook
from procedures.models import RuleRow, RuleSeverity
from procedures.rulerows import Figure, figures

TABLES = [
    ("", "All"), ("payer_rules", "Payer"), ("antithrombotics", "Blood thinners"), ("steroids", "Steroids and safety"),
    ("fasting", "Fasting and escort"),
]  # fmt: skip
YES_NO = [("", "All"), ("yes", "Yes"), ("no", "No")]


def day_field(label: str, hint: str = "") -> forms.DateField:
    """Return a field for a day that may stay empty."""
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget, input_formats=["%Y-%m-%d"], help_text=hint)


class RuleFilterForm(forms.Form):
    q = forms.CharField(label="Words or id", required=False, max_length=80)
    table = forms.ChoiceField(label="Kind", required=False, choices=TABLES)
    payer = forms.ChoiceField(label="Payer", required=False)
    severity = forms.ChoiceField(label="Weight", required=False, choices=[("", "All"), *RuleSeverity.choices])
    verified = forms.ChoiceField(label="Verified", required=False, choices=YES_NO)
    enabled = forms.ChoiceField(label="Switched on", required=False, choices=YES_NO)
    edited = forms.ChoiceField(label="Changed here", required=False, choices=YES_NO)
    on = day_field("Holds on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["payer"].choices = [("", "All"), *rulebook.payer_names().items()]  # type: ignore[attr-defined]


class RuleForm(forms.Form):
    """What a manager may set of one row: from which date of service on, its weight, its days, its switch, its figures.

    A version that counts today is left as it is and followed by another, unless the manager empties the day.
    """

    version = forms.IntegerField(widget=forms.HiddenInput)
    starts_on = day_field(
        "For cases from",
        "A new version from that day on; cases before it stay judged by this one. Empty: this version was wrong.",
    )
    severity = forms.ChoiceField(label="Weight", choices=RuleSeverity.choices)
    is_enabled = forms.TypedChoiceField(
        label="Switched on", choices=[("yes", "Yes"), ("no", "No")], coerce=lambda word: word == "yes"
    )
    effective_from = day_field("Holds from")
    effective_to = day_field("Holds until")

    def __init__(self, data: QueryDict | None = None, *, row: RuleRow, today: date) -> None:
        is_fresh = row.effective_from is not None and row.effective_from >= today
        is_over = row.effective_to is not None and row.effective_to < today
        start: dict[str, Any] = {
            "version": row.version,
            "starts_on": None if is_fresh or is_over else today,
            "severity": row.severity, "is_enabled": "yes" if row.is_enabled else "no",
            "effective_from": row.effective_from, "effective_to": row.effective_to,
        }  # fmt: skip
        self.figures: dict[str, Figure] = {f"figure-{place}": one for place, one in enumerate(figures(row))}
        start |= {name: one.value for name, one in self.figures.items()}
        super().__init__(data, initial=start)
        if not row.severity:
            del self.fields["severity"]
        for name, one in self.figures.items():
            hint = "" if one.table == one.value else f"The table says {one.table}." if one.table is not None else ""
            self.fields[name] = forms.FloatField(
                label=one.label[:1].upper() + one.label[1:], min_value=0, max_value=100_000, help_text=hint,
                widget=forms.NumberInput(attrs={"step": "any"}),
            )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("starts_on") and data.get("effective_from") != self.initial["effective_from"]:
            self.add_error(
                "effective_from", "That is the first day of the version as it is. To correct it, empty the day of a new version."
            )
        return data

    def first_day(self) -> date | None:
        """Return the first date of service of a new version; None where this one is corrected."""
        found: date | None = self.cleaned_data["starts_on"]
        return found

    def changes(self) -> dict[str, Any]:
        """Return what is set besides figures."""
        kept = (
            ("severity", "is_enabled", "effective_to")
            if self.first_day()
            else ("severity", "is_enabled", "effective_from", "effective_to")
        )
        return {name: self.cleaned_data[name] for name in kept if name in self.cleaned_data}

    def numbers(self) -> dict[str, float]:
        """Return the figures, by where they stand."""
        return {one.path: self.cleaned_data[name] for name, one in self.figures.items()}
