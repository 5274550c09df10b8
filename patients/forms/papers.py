"""What staff type when something comes on paper: a consent with its sheet, or another scan."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.conf import settings

from pain_clinic.texts import PlainField
from patients.forms.coverage import day_field
from patients.forms.levels import LevelsField
from patients.models import MediaType, PaperKind
from procedures import levels as targets
from procedures.models import Procedure

SIDES = [("", "no side"), *targets.SIDE_LABELS.items()]
LATER = ("given_on", "valid_until", "withdrawn_on", "note")  # of a consent; what was consented to stays as it was signed
RENAMED = ("kind", "note")  # of a scan


def paper_field(label: str, *, is_required: bool) -> forms.FileField:
    """Return a field for a scan; the browser offers what is kept, the verb looks at the bytes."""
    most = settings.LARGEST_PAPER
    widget = forms.FileInput(attrs={"accept": ",".join(MediaType.values), "data-most": str(most)})
    hint = f"PDF, JPEG or PNG, {most // 1024**2} MB at most."
    return forms.FileField(label=label, required=is_required, widget=widget, help_text=hint, allow_empty_file=True)


class _PaperForm(forms.Form):
    """A form of a consent or a scan; of a row that stands only what may change later."""

    later: tuple[str, ...] = ()
    only_later: tuple[str, ...] = ()

    def __init__(self, *args: Any, row: Any = None, is_change: bool = False, **kwargs: Any) -> None:
        if row is not None:
            kwargs["initial"] = {name: getattr(row, name) for name in self.later}
        super().__init__(*args, **kwargs)
        for name in list(self.fields):
            if name in self.only_later if not is_change else name not in self.later:
                del self.fields[name]
        if not is_change:
            self.add_paper()

    def add_paper(self) -> None:
        """Ask for the scan too."""
        raise NotImplementedError

    @property
    def main(self) -> list[forms.BoundField]:
        return list(self)


class ConsentForm(_PaperForm):
    """A consent: to what, where, from when to when, and the signed sheet."""

    later = LATER
    only_later = ("withdrawn_on",)
    case = forms.UUIDField(widget=forms.HiddenInput, required=False)
    procedure = forms.ModelChoiceField(queryset=Procedure.objects.none(), empty_label="Choose", to_field_name="code")
    side = forms.ChoiceField(choices=SIDES, required=False)
    levels = LevelsField(max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    given_on = forms.DateField(
        label="Signed on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), input_formats=["%Y-%m-%d"]
    )
    valid_until = day_field("Good until", "Left empty, until it is withdrawn.")
    withdrawn_on = day_field("Withdrawn on")
    note = PlainField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        self.today = today
        super().__init__(*args, **kwargs)

    def add_paper(self) -> None:
        self.fields["procedure"].queryset = Procedure.objects.in_order()  # type: ignore[attr-defined]
        self.fields["given_on"].initial = self.today
        self.fields["paper"] = paper_field("The signed sheet, scanned", is_required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse days that cannot be together."""
        values: dict[str, Any] = super().clean() or {}
        given = values.get("given_on")
        if given and given > self.today:
            self.add_error("given_on", "This day has not come yet.")
        for name in ("valid_until", "withdrawn_on"):
            if given and values.get(name) and values[name] < given:
                self.add_error(name, "This is before it was signed.")
        return values


class PaperForm(_PaperForm):
    """A scan that belongs to no consent."""

    later = RENAMED
    kind = forms.ChoiceField(label="What it is", choices=PaperKind.choices)
    note = PlainField(label="Note", max_length=300, required=False)

    def add_paper(self) -> None:
        kinds = [pair for pair in PaperKind.choices if pair[0] != PaperKind.CONSENT]  # that comes with the consent
        self.fields["kind"] = forms.ChoiceField(label="What it is", choices=kinds)
        self.fields["paper"] = paper_field("The scan", is_required=True)
