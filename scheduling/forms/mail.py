"""What the forms about messages may hold."""

from __future__ import annotations

from typing import Any

from django import forms

from pain_clinic.accounts.models import Site
from pain_clinic.texts import PlainField
from procedures import families
from procedures.models import Procedure
from scheduling.forms.setup import choice, time_field
from scheduling.models import AFTER_VISIT, CadenceStep, TaskOutcome, Weekend


class StepForm(forms.Form):
    """When one message leaves. Days are typed as a person says them: 3 days before, 14 days after."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    days = forms.IntegerField(min_value=0, max_value=730, initial=0)
    months = forms.IntegerField(min_value=0, max_value=24, initial=0)
    at_time = time_field("At (on the site's clocks)")
    weekend = forms.ChoiceField(label="On a Saturday or Sunday", choices=Weekend.choices)
    asks_to_confirm = forms.BooleanField(label="Asks the patient to confirm", required=False)
    is_on = forms.BooleanField(label="Send it", required=False)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_after = kind in AFTER_VISIT
        side = "after the visit" if self.is_after else "before the visit"
        self.fields["days"].label, self.fields["months"].label = f"Days {side}", f"And months {side}"
        if kind != "reminder":
            del self.fields["asks_to_confirm"]

    def values(self) -> dict[str, Any]:
        """Return what the verbs take: days before the visit are negative."""
        given, sign = self.cleaned_data, 1 if self.is_after else -1
        return {
            "offset_days": sign * given["days"], "offset_months": sign * given["months"], "at_time": given["at_time"],
            "weekend": given["weekend"], "asks_to_confirm": given.get("asks_to_confirm", False), "is_on": given["is_on"],
        }  # fmt: skip


def starting_with(step: CadenceStep) -> dict[str, Any]:
    """Return what the form shows of a step at first."""
    return {
        "version": step.version, "days": abs(step.offset_days), "months": abs(step.offset_months), "at_time": step.at_time,
        "weekend": step.weekend, "asks_to_confirm": step.asks_to_confirm, "is_on": step.is_on,
    }  # fmt: skip


class ExceptionForm(StepForm):
    """The same for one site, one family of procedures or one procedure."""

    site = forms.ModelChoiceField(queryset=Site.objects.none(), required=False, empty_label="All sites")
    family = forms.ChoiceField(label="Procedures of", required=False)
    procedure = forms.ModelChoiceField(queryset=Procedure.objects.none(), required=False, empty_label="All")
    field_order = ("site", "family", "procedure", "days", "months", "at_time", "weekend", "asks_to_confirm", "is_on")

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice(self, "site").queryset = Site.objects.visible_to(user).order_by("name", "pk")
        choice(self, "procedure").queryset = Procedure.objects.filter(is_retired=False).in_order()
        known = Procedure.objects.filter(is_retired=False).order_by("family").values_list("family", flat=True).distinct()
        self.fields["family"].choices = [("", "Any"), *families.choices(known)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("family") and cleaned.get("procedure"):
            self.add_error("procedure", "Choose a family or a procedure, not both.")
        if not any(cleaned.get(name) for name in ("site", "family", "procedure")):
            self.add_error("site", "Say for which site, family or procedure this is.")
        return cleaned


class StopForm(forms.Form):
    reason = PlainField(max_length=200, required=False, help_text="Colleagues see it on the home page.")


class CloseTaskForm(forms.Form):
    outcome = forms.ChoiceField(choices=TaskOutcome.choices)
    note = PlainField(max_length=300, required=False)
