"""Scores in three clicks, and the sections of a note."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms

from pain_clinic.clock import days_in_words
from pain_clinic.texts import PlainField, clean_lines
from patients import notes, outcomes
from patients.models import Aspect, PerformedProcedure, Phase
from patients.notes import Section

TEN = [(str(number), str(number)) for number in range(11)]
PAIN = (("now", "Pain now"), ("worst", "Worst"), ("average", "Average"), ("index", "The pain that was treated"))
QUICK = frozenset({"nrs", "peg"})


class ScoreForm(forms.Form):
    """What the patient says today. One click for each number; what is left open is not recorded."""

    now = forms.ChoiceField(label="Pain now", choices=TEN, required=False, widget=forms.RadioSelect)
    index = forms.ChoiceField(label="The pain that was treated", choices=TEN, required=False, widget=forms.RadioSelect)
    average = forms.ChoiceField(label="Average of the week", choices=TEN, required=False, widget=forms.RadioSelect)
    worst = forms.ChoiceField(label="Worst of the week", choices=TEN, required=False, widget=forms.RadioSelect)
    peg = forms.DecimalField(
        label="PEG, total 0 to 10", min_value=0, max_value=10, max_digits=4, decimal_places=2, required=False
    )
    measure = forms.ChoiceField(label="Another measure", required=False)
    value = forms.DecimalField(label="Its total", max_digits=6, decimal_places=2, required=False)
    performed = forms.ChoiceField(label="About", required=False)
    scored_on = forms.DateField(
        label="On", input_formats=["%Y-%m-%d"], widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    note = PlainField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, sessions: Sequence[PerformedProcedure], today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sessions = {str(one.public_id): one for one in sessions}
        others = [
            (one.code, f"{one.name} ({one.least} to {one.most})") for one in outcomes.measures().values() if one.code not in QUICK
        ]
        self.fields["measure"].choices = [("", "none"), *others]  # type: ignore[attr-defined]
        about = [
            (key, f"{one.procedure or one.other_name}, {days_in_words(str(one.done_on))}") for key, one in self.sessions.items()
        ]
        self.fields["performed"].choices = [("", "no procedure"), *about]  # type: ignore[attr-defined]
        self.fields["scored_on"].initial = today
        if about:
            self.fields["performed"].initial = about[0][0]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if bool(values.get("measure")) != (values.get("value") is not None) and "value" not in self.errors:
            self.add_error("value", "Give both the measure and its total.")
        if not self.errors and not list(self.scores()):
            raise forms.ValidationError("Nothing is filled in yet.")
        return values

    def scores(self) -> list[dict[str, Any]]:
        """Return the values of each score that was given."""
        said = self.cleaned_data
        told = [("nrs", name, int(said[name])) for name, _ in PAIN if said.get(name)]
        if said.get("peg") is not None:
            told.append(("peg", Aspect.TOTAL, said["peg"]))
        if said.get("measure") and said.get("value") is not None:
            told.append((said["measure"], Aspect.TOTAL, said["value"]))
        session = self.sessions.get(said.get("performed", ""))
        day = said.get("scored_on")
        phase = _phase(session, day)
        about = session if phase != Phase.ROUTINE else None
        return [
            {"measure": measure, "aspect": aspect, "value": value, "scored_on": day, "phase": phase, "performed": about,
             "side": about.side if about else "", "levels": list(about.levels) if about else [], "note": said.get("note", "")}
            for measure, aspect, value in told
        ]  # fmt: skip


def _phase(session: PerformedProcedure | None, day: date | None) -> Phase:
    """Return how a score stands to the session that it is about: of the same day staff score what came after."""
    if session is None or day is None:
        return Phase.ROUTINE
    if day < session.done_on:
        return Phase.BEFORE
    return Phase.AFTER if day == session.done_on else Phase.FOLLOW_UP


class NoteForm(forms.Form):
    """The sections of a note that is not signed."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, sections: Sequence[Section], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for section in sections:
            self.fields[f"section_{section.code}"] = forms.CharField(
                label=section.name, max_length=notes.LONGEST, required=False, widget=forms.Textarea(attrs={"rows": 4})
            )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for name in list(values):
            if name.startswith("section_"):
                try:
                    values[name] = clean_lines(values[name])
                except ValueError as error:
                    self.add_error(name, f"This text {error}.")
        return values

    def sections(self) -> dict[str, str]:
        """Return the texts by section."""
        return {name.removeprefix("section_"): text for name, text in self.cleaned_data.items() if name.startswith("section_")}
