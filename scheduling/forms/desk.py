"""What the desk's forms may hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from datetime import time as wall_time
from typing import Any

from django import forms
from django.http import QueryDict

from pain_clinic.texts import PlainField, clean_text
from procedures.levels import BODY, FORAMINA, PAIRS, SPINE
from procedures.models import Sedation
from procedures.rules import Waiver
from scheduling.agenda import WAIVER_REASONS
from scheduling.agenda.shapes import Pair
from scheduling.forms.details import SaidFields
from scheduling.models import AskedBy, CancelReason, Guidance, Side

PARTS = {"any": "Any time", "morning": "Morning", "afternoon": "Afternoon"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOVE_REASONS = {
    "patient_asked": "The patient asked",
    "clinic_staff": "Staff not available",
    "clinic_equipment": "Room or device not available",
    "medical": "Medical reason",
    "better_fit": "Better fit for the day",
    "other": "Other",
}
ALL_LEVELS = tuple(dict.fromkeys((*PAIRS, *SPINE, *FORAMINA)))
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)


def pairs(form: forms.Form) -> tuple[Pair, ...]:
    """Return a form's errors as (field name, words)."""
    return tuple(
        Pair("" if name == "__all__" else name, " ".join(str(error) for error in errors)) for name, errors in form.errors.items()
    )


def waivers_in(data: QueryDict) -> tuple[Waiver, ...]:
    """Return the waivers that were ticked, complete or not; the verb judges whether they do."""
    return tuple(
        Waiver(
            code,
            reason if (reason := data.get(f"reason_{code}", "")) in WAIVER_REASONS else "",
            _words(data.get(f"text_{code}", ""))[:500],
        )
        for code in data.getlist("waive")[:50]
    )


def _words(text: str) -> str:
    """Return what was typed as it is kept; what cannot be kept counts as nothing, and a reason is asked for again."""
    try:
        return clean_text(text)
    except ValueError:
        return ""


def typed_waivers(data: QueryDict) -> Mapping[str, tuple[bool, str, str]]:
    """Return for each finding what was typed about it: ticked, reason, words."""
    ticked = set(data.getlist("waive"))
    codes = ticked | {name.partition("_")[2] for name in data if name.startswith(("reason_", "text_"))}
    return {code: (code in ticked, data.get(f"reason_{code}", ""), data.get(f"text_{code}", "")) for code in codes if code}


class DayField(forms.DateField):
    """A day as date inputs send it, within reason."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], error_messages={"invalid": "Give the day as 2026-11-26."}, **kwargs)

    def clean(self, value: Any) -> date | None:
        day: date | None = super().clean(value)
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise forms.ValidationError("This day is too far away.")
        return day


class BookForm(SaidFields):
    """Everything the booking page posts; nothing is required, since the page fills step by step."""

    q = PlainField(required=False, max_length=120)
    patient = forms.UUIDField(required=False)
    pick = forms.UUIDField(required=False)  # of the people found, the one that was pressed
    procedure = forms.CharField(required=False, max_length=60)
    side = forms.ChoiceField(required=False, choices=[("", ""), *Side.choices])
    levels = forms.MultipleChoiceField(required=False, choices=[(level, level) for level in ALL_LEVELS])
    regions = forms.MultipleChoiceField(required=False, choices=[(region, region) for region in BODY])
    sedation = forms.ChoiceField(required=False, choices=[("", ""), *Sedation.choices])
    guidance = forms.ChoiceField(required=False, choices=[("", ""), *Guidance.choices])
    site = forms.SlugField(required=False)
    physician = forms.UUIDField(required=False)
    earliest = DayField(required=False)
    latest = DayField(required=False)
    weekday = forms.TypedMultipleChoiceField(required=False, coerce=int, choices=list(enumerate(WEEKDAYS)))
    part = forms.ChoiceField(required=False, choices=[("", ""), *PARTS.items()])
    covered = forms.BooleanField(required=False)
    after = DayField(required=False)
    hold = forms.UUIDField(required=False)
    opening = forms.CharField(required=False, max_length=4000)
    course = forms.UUIDField(required=False)  # for which it is booked, by way of its plan
    problem = forms.UUIDField(required=False)  # for which that course was when the page was drawn

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("earliest") and cleaned.get("latest") and cleaned["latest"] < cleaned["earliest"]:
            self.add_error("latest", "The last day lies before the first.")
        return cleaned


class MoveForm(forms.Form):
    """Where a case shall go: a wall time at its site, and the people and things wanted (empty: any that is free)."""

    version = forms.IntegerField(min_value=1)
    day = DayField()
    time = forms.TimeField(
        input_formats=["%H:%M", "%H:%M:%S"], error_messages={"invalid": "Give the time as 9:15.", "required": "Give a time."}
    )
    later = forms.BooleanField(required=False)  # of two equal hours, when clocks are put back, the second
    minutes = forms.IntegerField(required=False, min_value=5, max_value=720)
    physician = forms.UUIDField(required=False)
    room = forms.UUIDField(required=False)
    device = forms.UUIDField(required=False)
    reason = forms.ChoiceField(required=False, choices=[("", ""), *MOVE_REASONS.items()])

    def clean_time(self) -> wall_time:
        given: wall_time = self.cleaned_data["time"]
        if given.minute % 5 or given.second:
            raise forms.ValidationError("Cases start on five-minute marks, such as 9:15.")
        return given


class SwapAskForm(forms.Form):
    """Whom to swap with, from a query string: a case, or the day of which to see the cases."""

    day = DayField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["with"] = forms.UUIDField(required=False)  # the word is Python's own


class SwapForm(forms.Form):
    version = forms.IntegerField(min_value=1)
    other = forms.UUIDField(error_messages={"required": "Choose the other case."})
    other_version = forms.IntegerField(min_value=1)


class CancelForm(forms.Form):
    version = forms.IntegerField(min_value=1)
    asked_by = forms.ChoiceField(choices=AskedBy.choices, error_messages={"required": "Say who asked."})
    reason = forms.ChoiceField(choices=CancelReason.choices, error_messages={"required": "Choose a reason."})
    text = PlainField(required=False, max_length=300)


class ActForm(forms.Form):
    """A one-button act: which version of the case the person saw, for a status which one, and why all the same."""

    version = forms.IntegerField(min_value=1)
    to = forms.CharField(required=False, max_length=20)
    reason = PlainField(required=False, max_length=200)


class SpanForm(forms.Form):
    """Two days from a query string."""

    from_ = DayField(required=False)
    to = DayField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("from_") and cleaned.get("to") and cleaned["to"] < cleaned["from_"]:
            self.add_error("to", "The last day lies before the first.")
        return cleaned


def at_in(data: QueryDict) -> datetime | None:
    """Return the start that a pressed "free near by" button named, in its site's wall time, if one was pressed."""
    text = data.get("at", "").partition(" ")[0]
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
