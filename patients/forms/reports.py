"""What the outcome report is asked for."""

from __future__ import annotations

from typing import Any

from django import forms

from patients.reports import EDGES, By

YEARS = [(str(years), "1 year" if years == 1 else f"{years} years") for years in EDGES]


class OutcomesForm(forms.Form):
    """Grouping, window and, where one wishes, one procedure."""

    by = forms.ChoiceField(label="By", choices=By.choices, required=False)
    years = forms.ChoiceField(label="Over", choices=YEARS, required=False)
    procedure = forms.SlugField(label="Of", max_length=60, required=False)

    def asked(self) -> dict[str, Any]:
        """Return what the read takes."""
        said = self.cleaned_data
        return {"by": By(said["by"] or By.CATEGORY), "years": int(said["years"] or 1), "procedure": said["procedure"]}
