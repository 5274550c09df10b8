"""What staff type about something that was done elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from patients import elsewhere, problems
from patients.elsewhere import Given
from patients.forms.amending import drug_choices
from patients.forms.levels import LevelsField
from patients.models import Role
from procedures import levels as targets
from procedures.families import NAMES, choices
from procedures.models import Procedure
from procedures.rules.offers import needs_role

DRUGS = 2
SIDES = [("", "not known, or none"), *targets.SIDE_LABELS.items()]
REGIONS = [("", "not known, or none"), *((code, targets.ALL_REGIONS[code]) for code in targets.BODY)]
LAST_OF_MONTH = "Only the month is known? Give its last day and say so in the note: intervals then count from the latest day."


class ElsewhereForm(forms.Form):
    """A procedure of the catalogue, or what it was called there with the family that rules count it in."""

    procedure = forms.ModelChoiceField(
        queryset=Procedure.objects.none(), empty_label="none of these", to_field_name="code", required=False,
        label="Procedure of the catalogue",
    )  # fmt: skip
    other_name = PlainField(label="Or what it was called", max_length=160, required=False)
    other_family = forms.ChoiceField(label="And what rules count it as", required=False)
    done_on = forms.DateField(
        label="Done on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), input_formats=["%Y-%m-%d"],
        help_text=LAST_OF_MONTH,
    )  # fmt: skip
    where_elsewhere = PlainField(label="Where", max_length=160, required=False)
    operator_name = PlainField(label="By", max_length=120, required=False)
    side = forms.ChoiceField(label="Side", choices=SIDES, required=False)
    levels = LevelsField(label="Levels", max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    region = forms.ChoiceField(label="Where on the body", choices=REGIONS, required=False, help_text="Of work without levels.")
    is_unplaced = forms.BooleanField(
        label="Side, level or place are not known: caps of a region then do not count it", required=False
    )
    role = forms.ChoiceField(label="Role", choices=[("", "as usual for the procedure"), *Role.choices], required=False)
    indication = forms.ChoiceField(label="For the payer it was", required=False)
    note = PlainField(label="Note", max_length=300, required=False)
    is_another = forms.BooleanField(label="This is another one", required=False)

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["procedure"].queryset = Procedure.objects.in_order()  # type: ignore[attr-defined]
        families = [("", "not said: only its drugs count"), *choices(NAMES)]
        self.fields["other_family"].choices = families  # type: ignore[attr-defined]
        words = [("", "not said"), *((word, problems.in_words(word)) for word in problems.indications())]
        self.fields["indication"].choices = words  # type: ignore[attr-defined]
        for place in range(DRUGS):
            self.fields[f"drug_{place}"] = forms.ChoiceField(
                label="Drug", choices=[("", "none said"), *drug_choices()], required=False
            )
            for name, label, digits in (("dose", "mg", 8), ("volume", "mL", 6)):
                self.fields[f"{name}_{place}"] = forms.DecimalField(
                    label=label, min_value=0, max_digits=digits, decimal_places=2, required=False
                )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("done_on") and values["done_on"] > self.today:
            self.add_error("done_on", "This day is still to come.")
        if "procedure" in values and "other_name" in values:
            has_procedure = values["procedure"] is not None
            if has_procedure and values["other_name"]:
                self.add_error("other_name", "Choose a procedure or write what it was, not both.")
            elif not has_procedure and not values["other_name"]:
                self.add_error("procedure", "Choose the procedure, or write below what it was.")
            elif has_procedure and values.get("other_family"):
                self.add_error("other_family", "The procedure that you chose has its own.")
        procedure = values.get("procedure")
        if procedure is not None and needs_role(procedure.code) and not values.get("role"):
            self.add_error("role", "This may be either: say whether it was diagnostic or therapeutic.")
        for place in range(DRUGS):
            amounts = (values.get(f"dose_{place}"), values.get(f"volume_{place}"))
            if not values.get(f"drug_{place}") and any(amount is not None for amount in amounts):
                self.add_error(f"drug_{place}", "Say which drug this dose is of.")
        return values

    def values(self) -> dict[str, Any]:
        """Return what was done, as the verb takes it."""
        said = self.cleaned_data
        plain = ("procedure", "other_name", "other_family", "done_on", "where_elsewhere", "operator_name", "side", "levels",
                 "indication", "note")  # fmt: skip
        return {
            **{name: said[name] for name in plain},
            "regions": [said["region"]] if said["region"] else [],
            "role": said["role"] or elsewhere.usual_role(said["procedure"]),
        }

    def given(self) -> tuple[Given, ...]:
        """Return the drugs that were given."""
        return tuple(self._given())

    def _given(self) -> Iterator[Given]:
        for place in range(DRUGS):
            kind, _, drug = self.cleaned_data[f"drug_{place}"].partition(":")
            if drug:
                yield Given(kind, drug, self.cleaned_data[f"dose_{place}"], self.cleaned_data[f"volume_{place}"])

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields under the headings of the page."""
        given = [f"{name}_{place}" for place in range(DRUGS) for name in ("drug", "dose", "volume")]
        named = (
            ("What", ("procedure", "other_name", "other_family")),
            ("When and where", ("done_on", "where_elsewhere", "operator_name")),
            ("At which place of the body", ("side", "levels", "region", "is_unplaced")),
            ("For what", ("role", "indication", "note")),
            ("Given", tuple(given)),
        )
        return [(title, [self[name] for name in names]) for title, names in named]
