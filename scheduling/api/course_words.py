"""What the API takes and gives about courses: plain serializers, no logic."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from procedures.levels import ALL_REGIONS, BODY
from scheduling.models import CallOutcome, CourseStatus, PlanState, Side
from scheduling.worklist import TABS


class TermsIn(serializers.Serializer[object]):
    """What a physician orders: which procedure in each step, the target, the goal and the bounds."""

    works = serializers.DictField(
        child=rest.Text(max_length=60), help_text="For each step of the pathway the code of a procedure."
    )
    side = serializers.ChoiceField(choices=Side.choices, required=False, allow_blank=True, default="")
    levels = serializers.ListField(child=rest.Text(max_length=24), required=False, max_length=24, default=list)
    regions = serializers.ListField(
        child=serializers.ChoiceField(choices=[(region, ALL_REGIONS[region]) for region in BODY]),
        required=False, max_length=len(BODY), default=list,
    )  # fmt: skip
    is_staged = serializers.BooleanField(required=False, default=False, help_text="Both sides, on two dates.")
    first_side = serializers.ChoiceField(choices=[("left", "Left"), ("right", "Right")], required=False, default="left")
    physician = serializers.UUIDField(required=False, allow_null=True, default=None)
    problem = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="The patient's problem on record that is treated."
    )
    diagnosis = rest.Text(max_length=160, required=False, allow_blank=True, default="")
    goal = rest.Text(max_length=300, required=False, allow_blank=True, default="")
    most_sessions = serializers.IntegerField(min_value=1, max_value=50, required=False, allow_null=True, default=None)
    not_before = serializers.DateField(required=False, allow_null=True, default=None)
    not_after = serializers.DateField(required=False, allow_null=True, default=None)
    gap_days = serializers.IntegerField(min_value=1, max_value=730, required=False, allow_null=True, default=None)
    wishes = serializers.ListField(child=rest.Text(max_length=24), required=False, max_length=8, default=list)
    drug = rest.Text(
        max_length=40, required=False, allow_blank=True, default="", help_text="The steroid, where it is not the usual one."
    )
    rationale = rest.Text(max_length=500, required=False, allow_blank=True, default="")


class CourseChangeIn(TermsIn):
    """What is to be otherwise in a course: what is not named stays as it is, null clears it."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        found = super().get_fields()
        for one in found.values():
            one.required, one.default, one.allow_null = False, serializers.empty, True
        return found

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return what was named, what is cleared as a new course begins with it."""
        begins = {name: one.default for name, one in TermsIn().fields.items()}
        given = super().to_internal_value(data)
        return {name: _fresh(begins[name]) if value is None else value for name, value in given.items()}


def _fresh(default: Any) -> Any:
    return {} if default is serializers.empty else default() if callable(default) else default


class CourseIn(TermsIn):
    """A new course."""

    patient = serializers.UUIDField()
    site = serializers.UUIDField()
    pathway = rest.Text(max_length=60, help_text="The code of one of the clinic's pathways.")
    since = serializers.DateField(required=False, help_text="Sessions belong to it from this day on. Left out: six weeks ago.")
    started_from = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="The performed procedure from which it starts."
    )


class StopIn(serializers.Serializer[object]):
    reason = rest.Text(max_length=300)


class RestartIn(serializers.Serializer[object]):
    anew = serializers.BooleanField(
        required=False, default=False, help_text="From the first step on; else gates so far are taken as open by your word."
    )


class SnoozeIn(serializers.Serializer[object]):
    """Until when it is put off, and why; no day brings it back."""

    until = serializers.DateField(required=False, allow_null=True, default=None)
    reason = rest.Text(max_length=300, required=False, allow_blank=True, default="")


class CallIn(serializers.Serializer[object]):
    outcome = serializers.ChoiceField(choices=CallOutcome.choices)
    note = rest.Text(max_length=300, required=False, allow_blank=True, default="")


class BookNextIn(serializers.Serializer[object]):
    starts_at = rest.Instant(required=False, help_text="One of the openings found. Left out: the first of them.")


class CompanionOut(serializers.Serializer[object]):
    """What is booked together with it: so many days after it."""

    step = serializers.CharField()
    name = serializers.CharField()
    procedure = serializers.CharField()
    least_days = serializers.IntegerField()
    most_days = serializers.IntegerField()


class FoundOut(serializers.Serializer[object]):
    starts_at = serializers.DateTimeField()
    physician = serializers.CharField()
    room = serializers.CharField()
    with_at = serializers.DateTimeField(allow_null=True, help_text="When what is booked with it begins.")


class PlanOut(serializers.Serializer[object]):
    """What the planner says comes next, and why."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=PlanState.choices)
    step = serializers.CharField()
    name = serializers.CharField()
    code = serializers.CharField(help_text="Why it stopped.")
    procedure = serializers.CharField()
    side = serializers.CharField()
    earliest = serializers.DateField(allow_null=True)
    ideal = serializers.DateField(allow_null=True)
    latest = serializers.DateField(allow_null=True)
    waits_for = serializers.CharField(source="for_what")
    owner = serializers.CharField()
    due_on = serializers.DateField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    conditions = serializers.ListField(child=serializers.CharField())
    blocked_by = serializers.ListField(child=serializers.CharField())
    authorised_until = serializers.DateField(allow_null=True)
    companion = CompanionOut(allow_null=True)
    booked_on = serializers.DateField(allow_null=True)
    appointment = serializers.UUIDField(source="appointment.public_id", allow_null=True, default=None)
    planned_at = serializers.DateTimeField()
    openings = serializers.SerializerMethodField()
    why_none = serializers.SerializerMethodField()

    def get_openings(self, row: Any) -> list[dict[str, Any]]:
        found = getattr(row, "found", None)
        listed = found.openings if found is not None and row.state == PlanState.PROPOSED and row.appointment_id is None else ()
        return [
            dict(FoundOut({**one, "with_at": (one.get("removal") or {}).get("starts_at")}).data) for one in listed
        ]  # fmt: skip

    def get_why_none(self, row: Any) -> str:
        found = getattr(row, "found", None)
        return str(found.why_none) if found is not None else ""


class CourseOut(serializers.Serializer[object]):
    """A course with what comes next in it."""

    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    site = serializers.UUIDField(source="site.public_id")
    pathway = serializers.CharField()
    works = serializers.DictField(child=serializers.CharField())
    side = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField())
    regions = serializers.ListField(child=serializers.CharField())
    is_staged = serializers.BooleanField()
    first_side = serializers.CharField()
    physician = serializers.UUIDField(source="physician.public_id", allow_null=True, default=None)
    problem = serializers.UUIDField(source="problem.public_id", allow_null=True, default=None)
    diagnosis = serializers.CharField()
    goal = serializers.CharField()
    most_sessions = serializers.IntegerField(allow_null=True)
    not_before = serializers.DateField(allow_null=True)
    not_after = serializers.DateField(allow_null=True)
    gap_days = serializers.IntegerField(allow_null=True)
    wishes = serializers.ListField(child=serializers.CharField())
    drug = serializers.CharField()
    rationale = serializers.CharField()
    since = serializers.DateField()
    status = serializers.ChoiceField(choices=CourseStatus.choices)
    stop_code = serializers.CharField()
    stop_reason = serializers.CharField()
    snoozed_until = serializers.DateField(allow_null=True)
    snooze_reason = serializers.CharField()
    version = serializers.IntegerField()
    plan = PlanOut(allow_null=True, source="current_plan")


class StopOut(serializers.Serializer[object]):
    """One stop of a course's line: done, next, or what may follow."""

    kind = serializers.CharField()
    name = serializers.CharField()
    on = serializers.DateField(allow_null=True)
    latest = serializers.DateField(allow_null=True)
    side = serializers.CharField()
    is_elsewhere = serializers.BooleanField()
    relief_pct = serializers.SerializerMethodField()
    told = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()

    def get_relief_pct(self, stop: Any) -> float | None:
        return None if stop.pct is None else round(float(stop.pct), 1)


class CallOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    outcome = serializers.ChoiceField(choices=CallOutcome.choices)
    note = serializers.CharField()
    at = serializers.DateTimeField()


class OneCourseOut(CourseOut):
    """A course whole: its line from the first session on, and the calls about it."""

    line = StopOut(many=True)
    calls = CallOut(many=True, source="last_calls")


class WorklistIn(serializers.Serializer[object]):
    tab = serializers.ChoiceField(choices=list(TABS.items()), required=False, default="book")


class CoursesIn(serializers.Serializer[object]):
    patient = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=CourseStatus.choices, required=False)


class PathwayOut(serializers.Serializer[object]):
    """One of the clinic's pathways: its steps, ways, gates and limits as rows of the table write them."""

    id = serializers.UUIDField(source="public_id")
    code = serializers.CharField()
    name = serializers.CharField()
    is_enabled = serializers.BooleanField()
    version = serializers.IntegerField()
    verified = serializers.BooleanField(allow_null=True)
    steps = serializers.JSONField(source="data")
