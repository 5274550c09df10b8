"""Forms of the rules: find rows, and change one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict

from procedures import rulebook
from procedures.models import RuleRow, RuleSeverity
from procedures.rulelists import Listed, listed
from procedures.rulerows import CHOICES, Figure, figures, label, unheld

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


class RuleCopyForm(forms.Form):
    """What another rule like one is called, and whose it is."""

    row_id = forms.CharField(
        label="Its id",
        max_length=60,
        help_text="Small letters, digits and underscores: it names the rule in findings and reports.",
    )
    payer = forms.ChoiceField(label="Payer's rules")

    def __init__(self, data: QueryDict | None = None, *, row: RuleRow) -> None:
        super().__init__(data, initial={"row_id": f"{row.row_id}_own"[:60], "payer": row.data.get("payer_rule_set", "")})
        self.fields["payer"].choices = [*rulebook.payer_names().items()]  # type: ignore[attr-defined]


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
        choice = CHOICES.get(row.row_id)
        if choice is not None:
            switch = self.fields["is_enabled"]
            switch.label = "Rule set"
            switch.choices = [("no", choice.off), ("yes", choice.on)]  # type: ignore[attr-defined]
        for name, one in self.figures.items():
            hint = "" if one.table == one.value else f"The table says {one.table}." if one.table is not None else ""
            self.fields[name] = forms.FloatField(
                label=one.label[:1].upper() + one.label[1:], min_value=0, max_value=100_000, help_text=hint,
                widget=forms.NumberInput(attrs={"step": "any"}),
            )  # fmt: skip

        self.days = {f"days-{place}": path for place, path in enumerate(unheld(row))}
        for name, path in self.days.items():
            self.fields[name] = forms.IntegerField(
                label=label(path)[:1].upper() + label(path)[1:],
                min_value=1,
                max_value=90,
                required=False,
                help_text="Where it is held.",
            )
        self.lists: dict[str, Listed] = {f"list-{place}": one for place, one in enumerate(listed(row))}
        for name, kept in self.lists.items():
            self.fields[name] = _list_field(kept)
            self.initial[name] = kept.value[0] if kept.is_one else ", ".join(kept.value) if kept.shape else list(kept.value)

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

    def values(self) -> dict[str, float | str | list[str]]:
        """Return the figures, the lists and the words, by where they stand."""
        figures = {one.path: self.cleaned_data[name] for name, one in self.figures.items()}
        figures |= {path: self.cleaned_data[name] for name, path in self.days.items() if self.cleaned_data[name] is not None}
        return figures | {one.path: one.kept(_words(self.cleaned_data[name])) for name, one in self.lists.items()}


def _words(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [word for word in re.split(r"[\s,;]+", value) if word]


def _list_field(one: Listed) -> forms.Field:
    name = label(one.path)
    title = name[:1].upper() + name[1:]
    if one.shape is not None:
        return forms.CharField(
            label=title, max_length=400, help_text="With commas between them.", validators=[_shaped(one.shape)]
        )
    if one.is_one:
        return forms.ChoiceField(label=title, choices=one.options)
    return forms.MultipleChoiceField(label=title, choices=one.options, widget=forms.CheckboxSelectMultiple)


def _shaped(shape: re.Pattern[str]) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not _words(value):
            raise forms.ValidationError("Give at least one.")
        for word in _words(value):
            if not shape.fullmatch(word):
                raise forms.ValidationError(
                    f"{word} is none of these; they are written like those in the table, with capital letters."
                )

    return check
