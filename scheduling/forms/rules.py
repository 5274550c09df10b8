"""Forms of the rules: find rows, and change one."""

from __future__ import annotations

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
    """What a manager may set of one row: its weight, its days, its switch, its figures."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    severity = forms.ChoiceField(label="Weight", choices=RuleSeverity.choices)
    is_enabled = forms.TypedChoiceField(
        label="Switched on", choices=[("yes", "Yes"), ("no", "No")], coerce=lambda word: word == "yes"
    )
    effective_from = day_field("Holds from")
    effective_to = day_field("Holds until")

    def __init__(self, data: QueryDict | None = None, *, row: RuleRow) -> None:
        start: dict[str, Any] = {
            "version": row.version, "severity": row.severity, "is_enabled": "yes" if row.is_enabled else "no",
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

    def changes(self) -> dict[str, Any]:
        """Return what is set besides figures."""
        kept = ("severity", "is_enabled", "effective_from", "effective_to")
        return {name: self.cleaned_data[name] for name in kept if name in self.cleaned_data}

    def numbers(self) -> dict[str, float]:
        """Return the figures, by where they stand."""
        return {one.path: self.cleaned_data[name] for name, one in self.figures.items()}
