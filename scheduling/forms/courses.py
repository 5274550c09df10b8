"""What the forms about courses may hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet

from pain_clinic.texts import PlainField
from patients.models import Presentation
from procedures import pathwaybook
from procedures.levels import ALL_REGIONS, BODY, read_levels
from procedures.models import Procedure
from procedures.pathways import Pathway
from scheduling.courses import Terms
from scheduling.forms.desk import DayField
from scheduling.forms.details import steroids
from scheduling.models import CallOutcome, Course, Resource, Side
from scheduling.worklist import problem_told


def pathway_choices() -> list[tuple[str, str]]:
    """Return the pathways that a course may follow."""
    return [(pathway.id, pathway.name) for pathway in pathwaybook.pathways().values() if pathway.is_on]


class PathwayForm(forms.Form):
    """Which pathway, as the first question."""

    pathway = forms.ChoiceField(choices=pathway_choices)


class ProblemField(forms.ModelChoiceField):
    """One of the problems on record, told with where it is and since when."""

    def label_from_instance(self, row: Presentation) -> str:
        return problem_told(row)


class CourseForm(forms.Form):
    """What a physician orders: a procedure for each step, the target, the goal and the bounds."""

    side = forms.ChoiceField(choices=[("", "no side"), *Side.choices], required=False)
    levels = forms.CharField(max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    regions = forms.MultipleChoiceField(
        label="Or where on the body", required=False, choices=[(region, ALL_REGIONS[region]) for region in BODY],
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    is_staged = forms.BooleanField(label="Both sides on two dates", required=False)
    first_side = forms.ChoiceField(label="First side", choices=[("left", "Left"), ("right", "Right")], required=False)
    since = DayField(label="Sessions belong to it from", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    problem = ProblemField(
        label="Problem treated", queryset=Presentation.objects.none(), required=False, empty_label="none of those on record"
    )
    diagnosis = PlainField(label="Or the diagnosis in words", max_length=160, required=False)
    goal = PlainField(max_length=300, required=False)
    physician = forms.ModelChoiceField(queryset=Resource.objects.none(), required=False, empty_label="any")
    not_before = DayField(label="Not before", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    not_after = DayField(label="Not after", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    gap_days = forms.IntegerField(label="At least so many days between", required=False, min_value=1, max_value=730)
    most_sessions = forms.IntegerField(label="At most so many sessions", required=False, min_value=1, max_value=50)
    drug = forms.ChoiceField(label="Steroid, where it is not the usual one", required=False)
    rationale = PlainField(label="Reason to continue, where a payer asks for one", max_length=500, required=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, pathway: Pathway, physicians: Any, problems: QuerySet[Presentation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pathway = pathway
        self.fields["physician"].queryset = physicians  # type: ignore[attr-defined]
        self.fields["problem"].queryset = problems  # type: ignore[attr-defined]
        names = [choice for choice in steroids() if choice[0]]
        self.fields["drug"].choices = [("", "the usual one"), *names]  # type: ignore[attr-defined]
        offered = list(Procedure.objects.offered().filter(family__in=pathway.families).in_order())
        wishes = sorted({way.only_if for step in pathway.steps for way in step.then if way.only_if})
        for place, step in enumerate(pathway.steps):
            choices = [(one.code, one.name) for one in offered if one.family in step.families]
            self.fields[f"work_{step.id}"] = forms.ChoiceField(
                label=step.name, choices=[("", "not meant"), *choices], required=place == 0
            )
        for wish in wishes:
            self.fields[f"wish_{wish}"] = forms.BooleanField(label=wish.replace("_", " ").capitalize(), required=False)
        self.order_fields([*(name for name in self.fields if name.startswith("work_")), *self.base_fields])
        if pathway.staging is None:
            del self.fields["is_staged"]
            del self.fields["first_side"]

    def clean_levels(self) -> tuple[str, ...]:
        text: str = self.cleaned_data["levels"]
        try:
            return read_levels(text, runs=True) if text.strip() else ()
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def terms(self) -> Terms:
        """Return what was ordered."""
        given = self.cleaned_data
        return Terms(
            pathway=self.pathway.id,
            works={step.id: given[f"work_{step.id}"] for step in self.pathway.steps if given.get(f"work_{step.id}")},
            side=given["side"],
            levels=tuple(given["levels"]),
            regions=tuple(given["regions"]),
            is_staged=given.get("is_staged", False),
            first_side=given.get("first_side") or "left",
            physician=given["physician"],
            problem=given["problem"],
            diagnosis=given["diagnosis"],
            goal=given["goal"],
            most_sessions=given["most_sessions"],
            not_before=given["not_before"],
            not_after=given["not_after"],
            gap_days=given["gap_days"],
            wishes=tuple(name.removeprefix("wish_") for name, value in given.items() if name.startswith("wish_") and value),
            rationale=given["rationale"],
            drug=given["drug"],
        )

    @staticmethod
    def starting_with(course: Course) -> dict[str, Any]:
        """Return what the form shows of a course at first."""
        names = ("side", "is_staged", "first_side", "since", "diagnosis", "goal", "not_before", "not_after", "gap_days",
                 "most_sessions", "drug", "rationale", "version", "regions")  # fmt: skip
        values: dict[str, Any] = {name: getattr(course, name) for name in names}
        works: Mapping[str, str] = {f"work_{step}": code for step, code in course.works.items()}
        wishes = {f"wish_{wish}": True for wish in course.wishes}
        return {
            **values,
            **works,
            **wishes,
            "levels": " ".join(course.levels),
            "physician": course.physician_id,
            "problem": course.problem_id,
        }


class ReasonForm(forms.Form):
    """Why."""

    reason = PlainField(max_length=300)
    version = forms.IntegerField(required=False)


class CallForm(forms.Form):
    """What came of a call."""

    outcome = forms.ChoiceField(choices=CallOutcome.choices)
    note = PlainField(max_length=300, required=False)


class SnoozeForm(forms.Form):
    """Until when a course is put off, and why; without a day it comes back."""

    until = DayField(required=False)
    reason = PlainField(max_length=300, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("until") and not cleaned.get("reason"):
            self.add_error("reason", "Say why.")
        return cleaned


def default_since(today: date) -> date:
    """Return from when sessions belong to a new course: what was done within the last weeks is part of it."""
    return today - timedelta(days=42)
