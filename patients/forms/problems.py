"""What staff type about the problem that is treated, and which papers for the payer are on file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from patients import problems
from patients.forms.coverage import SIDES, day_field
from patients.forms.levels import LevelsField
from patients.models import Patient, Presentation
from patients.problems import Wanted

ON_FILE, MISSING = "yes", "no"
STATES = [("", "not yet on file"), (ON_FILE, "on file"), (MISSING, "known not to be met")]
PLAIN = ("name", "indication", "icd10", "side", "levels", "pain_since", "conservative_since", "provocation_tests", "imaging_on",
         "episode_started_on", "ended_on", "note")  # fmt: skip
PAST = ("pain_since", "conservative_since", "imaging_on", "episode_started_on")
MOST_TESTS = 20
ICD10 = re.compile(r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?")


class PapersForm(forms.Form):
    """Each paper that a rule asks for, as it stands. `row` is the problem that they are about."""

    def __init__(self, *args: Any, wanted: Sequence[Wanted], row: Presentation | None = None, **kwargs: Any) -> None:
        if row is not None:
            kwargs["initial"] = {**kwargs.get("initial", {}), **_standing(row)}
        super().__init__(*args, **kwargs)
        self.wanted = wanted
        for group in wanted:
            for word in group.words:
                self.fields[_named(word)] = forms.ChoiceField(label=problems.in_words(word), choices=STATES, required=False)

    def papers(self, state: str) -> list[str]:
        """Return the papers in one state."""
        return sorted(
            word for group in self.wanted for word in group.words if self.cleaned_data.get(_named(word)) == state
        )  # fmt: skip

    @property
    def paper_parts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the papers under the work that they are for."""
        return [(group.title, [self[_named(word)] for word in group.words]) for group in self.wanted]


class ProblemForm(PapersForm):
    """A problem treated, whole."""

    name = PlainField(label="What hurts", max_length=160)
    indication = forms.ChoiceField(label="For the payer it is", required=False)
    icd10 = PlainField(label="ICD-10", max_length=8, required=False, help_text="As M54.16.")
    side = forms.ChoiceField(label="Side", choices=SIDES, required=False)
    levels = LevelsField(label="Levels", max_length=200, required=False, help_text="As L4-L5, L5-S1; empty: any.")
    pain_since = day_field("Pain since")
    conservative_since = day_field("Conservative care since")
    provocation_tests = forms.IntegerField(
        label="Positive provocation tests",
        min_value=0,
        max_value=MOST_TESTS,
        required=False,
        help_text="Of the sacroiliac joint.",
    )
    imaging_on = day_field("Imaging of")
    episode_started_on = day_field("This episode began on", "Sessions before it belong to an earlier one.")
    ended_on = day_field("No longer treated from")
    note = PlainField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, patient: Patient, today: date, row: Presentation | None = None, **kwargs: Any) -> None:
        super().__init__(*args, wanted=problems.wanted(patient=patient, on=today), row=row, **kwargs)
        self.today = today
        known = {one for one in Presentation.objects.of(patient).values_list("indication", flat=True) if one}
        words = dict.fromkeys((*problems.indications(), *sorted(known)))
        choices = [("", "none of these, or not said"), *((word, problems.in_words(word)) for word in words)]
        self.fields["indication"].choices = choices  # type: ignore[attr-defined]

    def clean_icd10(self) -> str:
        code = str(self.cleaned_data["icd10"]).upper().strip()
        if code and not ICD10.fullmatch(code):
            raise forms.ValidationError("This is not a code of ICD-10: write it as M54.16.")
        return code

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        for name in PAST:
            if said.get(name) and said[name] > self.today:
                self.add_error(name, "This day is still to come.")
        begun, ended = said.get("pain_since"), said.get("ended_on")
        if begun and ended and ended < begun:
            self.add_error("ended_on", "It cannot end before it began.")
        values = {name: said[name] for name in PLAIN if name in said}
        return {**values, "on_file": self.papers(ON_FILE), "missing": self.papers(MISSING)}

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields under the headings of the page."""
        named = (
            ("The problem", ("name", "icd10", "indication", "side", "levels")),
            ("Since when, and what was tried", ("pain_since", "conservative_since", "imaging_on", "provocation_tests")),
            ("Course", ("episode_started_on", "ended_on", "note")),
        )
        papers = [(f"Papers: {title[:1].lower()}{title[1:]}", fields) for title, fields in self.paper_parts]
        return [*((title, [self[name] for name in names]) for title, names in named), *papers]


def _named(word: str) -> str:
    return f"paper_{word}"


def _standing(row: Presentation) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    values["levels"] = ", ".join(row.levels)
    return {**values, **{_named(one): ON_FILE for one in row.on_file}, **{_named(one): MISSING for one in row.missing}}
