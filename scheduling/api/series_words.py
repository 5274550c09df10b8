"""What the API takes and gives about several sessions together: plain serializers, no logic."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from procedures.levels import ALL_REGIONS, BODY
from scheduling.agenda import WAIVER_REASONS
from scheduling.models import Series, SeriesSession, SeriesStatus, Side
from scheduling.series import MOST_SESSIONS, is_booked

STATES = ("booked", "proposed", "none", "skipped")


class CourseStepsIn(serializers.Serializer[object]):
    """How many of the next sessions of a running course."""

    course = serializers.UUIDField()
    count = serializers.IntegerField(min_value=1, max_value=MOST_SESSIONS)


class ItemIn(serializers.Serializer[object]):
    """A procedure listed by hand."""

    procedure = rest.Text(max_length=60, help_text="The procedure's id or code.")
    side = serializers.ChoiceField(choices=Side.choices, required=False, allow_blank=True, default="")
    levels = serializers.ListField(child=rest.Text(max_length=24), required=False, max_length=24, default=list)
    regions = serializers.ListField(
        child=serializers.ChoiceField(choices=[(region, ALL_REGIONS[region]) for region in BODY]),
        required=False,
        max_length=len(BODY),
        default=list,
    )
    count = serializers.IntegerField(min_value=1, max_value=MOST_SESSIONS, required=False, default=1)
    least_days = serializers.IntegerField(min_value=0, max_value=365, required=False, default=14)
    is_after = serializers.BooleanField(required=False, default=True, help_text="It follows what stands above it.")


class SeriesIn(serializers.Serializer[object]):
    """An order: the next steps of courses, procedures listed by hand, or both."""

    patient = serializers.UUIDField()
    site = serializers.UUIDField()
    courses = CourseStepsIn(many=True, required=False, default=list)
    items = ItemIn(many=True, required=False, default=list)
    physician = serializers.UUIDField(required=False, allow_null=True, default=None)
    not_before = serializers.DateField(required=False, allow_null=True, default=None)
    is_one_weekday = serializers.BooleanField(required=False, default=False)


class SkipIn(serializers.Serializer[object]):
    session = serializers.IntegerField(source="number", min_value=1, max_value=MOST_SESSIONS)
    skip = serializers.BooleanField(source="is_skipped", required=False, default=True)


class SessionDayIn(serializers.Serializer[object]):
    session = serializers.IntegerField(source="number", min_value=1, max_value=MOST_SESSIONS)
    on = serializers.DateField(allow_null=True, help_text="Null for the best day.")


class BookSeriesIn(serializers.Serializer[object]):
    """``whole`` books all or none, ``each`` every session for itself. The reason is for what the proposal says needs one."""

    how = serializers.ChoiceField(choices=[("whole", "All or none"), ("each", "Each for itself")])
    reason_code = serializers.ChoiceField(choices=list(WAIVER_REASONS.items()), required=False, allow_blank=True, default="")
    reason = rest.Text(max_length=500, required=False, allow_blank=True, default="")


class SeriesFindingOut(serializers.Serializer[object]):
    code = serializers.CharField(source="key")
    severity = serializers.CharField()
    message = serializers.CharField()
    pending = serializers.BooleanField()


class SeriesSessionOut(serializers.Serializer[object]):
    """A session with its opening, or the reason why there is none."""

    number = serializers.IntegerField()
    course = serializers.UUIDField(source="course.public_id", allow_null=True, default=None)
    name = serializers.CharField()
    procedure = serializers.CharField()
    side = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField())
    regions = serializers.ListField(child=serializers.CharField())
    after = serializers.IntegerField(allow_null=True)
    least_days = serializers.IntegerField()
    is_bound = serializers.BooleanField()
    fixed_on = serializers.DateField(allow_null=True)
    state = serializers.SerializerMethodField()
    starts_at = serializers.SerializerMethodField()
    findings = SeriesFindingOut(many=True)
    why_none = serializers.CharField()
    appointment = serializers.UUIDField(source="appointment.public_id", allow_null=True, default=None)

    def get_state(self, session: SeriesSession) -> str:
        if is_booked(session):
            return "booked"
        return "skipped" if session.is_skipped else "proposed" if session.opening else "none"

    def get_starts_at(self, session: SeriesSession) -> str | None:
        return str(session.opening["starts_at"]) if session.opening else None


class SeriesOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    site = serializers.UUIDField(source="site.public_id")
    status = serializers.ChoiceField(choices=SeriesStatus.choices)
    is_one_weekday = serializers.BooleanField()
    not_before = serializers.DateField(allow_null=True)
    is_best = serializers.BooleanField(help_text="No better dates can exist under the rules as they were then.")
    proposed_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()
    sessions = serializers.SerializerMethodField()

    def get_sessions(self, series: Series) -> list[dict[str, Any]]:
        return list(SeriesSessionOut(series.shown, many=True).data)  # type: ignore[attr-defined]
