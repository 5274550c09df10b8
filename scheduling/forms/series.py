"""What the order of several sessions together may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from procedures.levels import ALL_REGIONS, BODY, read_levels
from procedures.models import Procedure
from scheduling.agenda import WAIVER_REASONS
from scheduling.forms.desk import DayField
from scheduling.models import Course, Resource, Side
from scheduling.series import MOST_SESSIONS, FromCourse, Item

ITEMS = 4  # places for procedures on the form


class SeriesForm(forms.Form):
    """How many steps of which course, and what holds for all sessions."""

    physician = forms.ModelChoiceField(queryset=Resource.objects.none(), required=False, empty_label="any")
    not_before = DayField(label="Not before", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    is_one_weekday = forms.BooleanField(label="The same weekday throughout", required=False)

    def __init__(
        self, *args: Any, courses: Sequence[tuple[Course, str]], physicians: Any, chosen: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.courses = [course for course, _ in courses]
        for course, name in courses:
            self.fields[f"course_{course.public_id}"] = forms.IntegerField(
                label=name, required=False, min_value=0, max_value=MOST_SESSIONS, help_text="How many of its next sessions.",
                initial=2 if str(course.public_id) == chosen else 0,
            )  # fmt: skip
        self.fields["physician"].queryset = physicians  # type: ignore[attr-defined]
        self.order_fields([*(name for name in self.fields if name.startswith("course_")), *self.base_fields])

    def from_courses(self) -> list[FromCourse]:
        """Return the steps of courses that are ordered."""
        given = self.cleaned_data
        counts = ((course, given.get(f"course_{course.public_id}") or 0) for course in self.courses)
        return [FromCourse(course, count) for course, count in counts if count]


class ItemForm(forms.Form):
    """A procedure listed by hand."""

    procedure = forms.ModelChoiceField(queryset=Procedure.objects.none(), required=False, empty_label="none")
    count = forms.IntegerField(label="How often", min_value=1, max_value=MOST_SESSIONS, initial=1, required=False)
    side = forms.ChoiceField(choices=[("", "no side"), *Side.choices], required=False)
    levels = PlainField(max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    region = forms.ChoiceField(
        label="Or where on the body", required=False, choices=[("", "as usual"), *((one, ALL_REGIONS[one]) for one in BODY)]
    )
    least_days = forms.IntegerField(label="At least so many days between", min_value=0, max_value=365, initial=14, required=False)
    is_after = forms.BooleanField(label="After what stands above", required=False, initial=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["procedure"].queryset = Procedure.objects.offered().in_order()  # type: ignore[attr-defined]

    def clean_levels(self) -> tuple[str, ...]:
        text: str = self.cleaned_data["levels"]
        try:
            return read_levels(text, runs=True) if text.strip() else ()
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def item(self) -> Item | None:
        """Return what is ordered here, None where no procedure is chosen."""
        given = self.cleaned_data
        if given["procedure"] is None:
            return None
        least = given["least_days"]
        return Item(
            procedure=given["procedure"], side=given["side"], levels=tuple(given["levels"]),
            regions=(given["region"],) if given["region"] else (), count=given["count"] or 1,
            least_days=14 if least is None else least, is_after=given["is_after"],
        )  # fmt: skip


class SkipForm(forms.Form):
    """Leave a session out, or take it in again."""

    version = forms.IntegerField(required=False)
    skip = forms.ChoiceField(choices=[("1", "Skip"), ("0", "Take in")])


class SessionDayForm(forms.Form):
    """The day that somebody chose for a session; empty means the best one."""

    version = forms.IntegerField(required=False)
    on = DayField(required=False)


class VersionForm(forms.Form):
    """Which version of a series was seen."""

    version = forms.IntegerField(required=False)


class BookSeriesForm(forms.Form):
    """All together or each for itself, and the reason where one is needed."""

    version = forms.IntegerField(required=False)
    how = forms.ChoiceField(choices=[("whole", "All or none"), ("each", "Each for itself")])
    reason_code = forms.ChoiceField(choices=[("", "none"), *WAIVER_REASONS.items()], required=False)
    reason = PlainField(max_length=500, required=False)
