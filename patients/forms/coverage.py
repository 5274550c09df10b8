"""What staff type about a plan or an authorisation: in seconds, with what matters first."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from patients.models import Coverage, Decision, Patient, PlanType
from procedures import rulebook
from procedures.families import name_of
from procedures.levels import SIDE_LABELS
from procedures.models import Procedure
from procedures.rules.places import is_level

SIDES = [("", "any"), *SIDE_LABELS.items()]
_APART = re.compile(r"[\s,;]+")


def day_field(label: str, hint: str = "") -> forms.DateField:
    """Return a field for a day that may stay empty."""
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget, input_formats=["%Y-%m-%d"], help_text=hint)


def rule_sets() -> list[tuple[str, str]]:
    """Return the payers' rule sets that the clinic has, and no rules."""
    return [*rulebook.payer_names().items(), ("none", "No payer's rules")]


def coverable() -> list[tuple[str, str]]:
    """Return what an authorisation may be for: families of procedures, then single ones."""
    rows = list(Procedure.objects.order_by("name", "pk").values_list("code", "name", "family"))
    return [
        ("", "Choose"),
        *((family, f"All {name_of(family)}") for family in sorted({family for _, _, family in rows}, key=name_of)),
        *((code, name) for code, name, _ in rows),
    ]


class _CoverForm(forms.Form):
    """A form of a row of coverage. `patient` is whose it is."""

    def __init__(self, *args: Any, patient: Patient, row: Any = None, **kwargs: Any) -> None:
        if row is not None:
            kwargs["initial"] = {name: self.typed(getattr(row, name)) for name in self.base_fields}
        super().__init__(*args, **kwargs)
        self.patient = patient

    @staticmethod
    def typed(value: Any) -> Any:
        """Return a value as its field shows it."""
        return ", ".join(value) if isinstance(value, list) else value

    @property
    def main(self) -> list[forms.BoundField]:
        return list(self)


class PlanForm(_CoverForm):
    payer = PlainField(label="Payer", max_length=120)
    payer_rules = forms.ChoiceField(label="Judged by the rules of", choices=rule_sets)
    plan_type = forms.ChoiceField(label="Plan", choices=PlanType.choices)
    state = forms.RegexField(r"^[A-Za-z]{2}$", label="State", required=False, help_text="Two letters.")
    place_of_service = forms.RegexField(
        r"^\d{2}$", label="Place of service", required=False, help_text="Two digits; left empty, the site's own."
    )
    member_number = PlainField(label="Member number", max_length=40, required=False)
    valid_from = day_field("Valid from")
    valid_until = day_field("Valid until")
    year_anchor = day_field("Plan year starts on")
    rank = forms.IntegerField(label="Pays as number", min_value=1, max_value=9, initial=1)
    note = PlainField(label="Note", max_length=300, required=False)

    def clean_state(self) -> str:
        return str(self.cleaned_data["state"]).upper()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        begins, ends = values.get("valid_from"), values.get("valid_until")
        if begins and ends and ends < begins:
            self.add_error("valid_until", "It cannot end before it begins.")
        return values


class AuthorizationForm(_CoverForm):
    coverage = forms.ChoiceField(label="Under")
    covers = forms.ChoiceField(label="For", choices=coverable)
    status = forms.ChoiceField(label="State", choices=Decision.choices)
    number = PlainField(label="Number", max_length=40, required=False)
    decided_on = day_field("Decided on", "Needed once it is approved or refused.")
    valid_from = day_field("Valid from")
    valid_until = day_field("Valid until")
    units = forms.IntegerField(
        label="Units", min_value=1, max_value=999, required=False, help_text="One for each procedure; empty: without a number."
    )
    side = forms.ChoiceField(label="Side", choices=SIDES, required=False)
    levels = PlainField(label="Levels", max_length=200, required=False, help_text="As L4-L5, L5-S1; empty: any.")
    codes = PlainField(label="Code numbers", max_length=200, required=False, help_text="As 64493, 64494; empty: any.")
    asked_on = day_field("Asked on")
    note = PlainField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, patient: Patient, row: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, patient=patient, row=row, **kwargs)
        self.plans = {str(plan.public_id): plan for plan in Coverage.objects.of(patient).order_by("rank", "-recorded_at", "-pk")}
        self.fields["coverage"].choices = [(key, str(plan)) for key, plan in self.plans.items()]  # type: ignore[attr-defined]
        if row is not None:
            self.initial["coverage"] = str(row.coverage.public_id)

    def clean_coverage(self) -> Coverage:
        return self.plans[self.cleaned_data["coverage"]]

    def clean_levels(self) -> list[str]:
        found = [part for part in _APART.split(self.cleaned_data["levels"].upper()) if part]
        wrong = [part for part in found if not is_level(part)]
        if wrong:
            raise forms.ValidationError(f"{wrong[0]} is not a level: write them as L4-L5, S1, L4.")
        return list(dict.fromkeys(found))

    def clean_codes(self) -> list[str]:
        found = [part for part in _APART.split(self.cleaned_data["codes"].upper()) if part]
        wrong = [part for part in found if not re.fullmatch(r"[A-Z0-9]{5}", part)]
        if wrong:
            raise forms.ValidationError(f"{wrong[0]} is not a code of five digits or letters.")
        return list(dict.fromkeys(found))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("status") in {Decision.APPROVED, Decision.REFUSED} and not values.get("decided_on") and not self.errors:
            self.add_error("decided_on", "Give the day on which the payer decided.")
        begins, ends = values.get("valid_from"), values.get("valid_until")
        if begins and ends and ends < begins:
            self.add_error("valid_until", "It cannot end before it begins.")
        return values


class KxForm(forms.Form):
    """Whether a diagnostic block was billed with the KX flag."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    has_kx = forms.ChoiceField(
        label="Billed with KX", choices=[("", "not said"), ("yes", "with KX"), ("no", "without KX")], required=False
    )

    def clean_has_kx(self) -> bool | None:
        return {"yes": True, "no": False}.get(self.cleaned_data["has_kx"])


COVER_FORMS: dict[str, type[_CoverForm]] = {"plans": PlanForm, "authorizations": AuthorizationForm}
