"""What the API takes and gives of set-up: plain serializers, no logic."""

from __future__ import annotations

from datetime import date, time
from itertools import pairwise
from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from scheduling.forms import FIRST_DAY, LAST_DAY
from scheduling.models import Guidance


class FivesField(serializers.TimeField):
    """A wall time on a five-minute mark."""

    default_error_messages = {"fives": "Times are on five-minute marks, such as 09:15."}  # the framework reads a plain dict

    def to_internal_value(self, value: Any) -> time:
        found: time = super().to_internal_value(value)
        if found.tzinfo is not None or found.minute % 5 or found.second or found.microsecond:
            self.fail("fives")
        return found


class DayField(serializers.DateField):
    """A day in the years that a clinic can mean."""

    default_error_messages = {"unbelievable": "A year between 2000 and 2100 is expected."}  # the framework reads a plain dict

    def to_internal_value(self, value: Any) -> date:
        found: date = super().to_internal_value(value)
        if not FIRST_DAY <= found <= LAST_DAY:
            self.fail("unbelievable")
        return found


class SpanIn(serializers.Serializer[object]):
    """Hours in the site's wall time."""

    starts = FivesField()
    ends = FivesField()

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["starts"] >= values["ends"]:
            raise serializers.ValidationError({"ends": ["It ends before it begins."]})
        return values


class SiteHoursIn(serializers.Serializer[object]):
    """The hours at one site; none at all: closed there."""

    site = serializers.UUIDField()
    hours = serializers.ListField(child=SpanIn(), max_length=24)

    def validate_hours(self, spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
        spans.sort(key=lambda one: one["starts"])
        if any(after["starts"] < before["ends"] for before, after in pairwise(spans)):
            raise serializers.ValidationError(["Two of these overlap."])
        return spans


class DateHoursIn(serializers.Serializer[object]):
    """The hours of one date. At a site that is not named what holds there on that date goes on holding."""

    sites = serializers.ListField(child=SiteHoursIn(), min_length=1, max_length=50)
    reason = rest.Text(max_length=120, required=False, allow_blank=True, default="")
    accept = serializers.BooleanField(
        required=False, default=False, help_text="Save although booked cases lie outside; they stay booked."
    )


class RemovalIn(serializers.Serializer[object]):
    accept = serializers.BooleanField(
        required=False, default=False, help_text="Go on although booked cases lie outside; they stay booked."
    )


class SpanOut(serializers.Serializer[object]):
    starts = serializers.TimeField()
    ends = serializers.TimeField()


class SiteHoursOut(serializers.Serializer[object]):
    site = serializers.UUIDField()
    hours = SpanOut(many=True)


class DateHoursOut(serializers.Serializer[object]):
    """What holds on a date at the asker's sites."""

    on = serializers.DateField()
    is_own = serializers.BooleanField(help_text="Hours of its own, which the weekly ones give way to.")
    reason = serializers.CharField()
    sites = SiteHoursOut(many=True)


class DatesOut(serializers.Serializer[object]):
    """The dates from today on that have hours of their own, first date first."""

    results = DateHoursOut(many=True)


class PrivilegeIn(serializers.Serializer[object]):
    """Within what a privilege holds; what is left out sets no bound."""

    modalities = serializers.ListField(
        child=serializers.ChoiceField(choices=Guidance.choices),
        required=False,
        max_length=len(Guidance),
        default=list,
        help_text="Empty: under every guidance.",
    )
    procedure_minutes = serializers.IntegerField(
        min_value=5, max_value=720, required=False, allow_null=True, default=None, help_text="Null: the catalogue's."
    )
    valid_from = DayField(required=False, allow_null=True, default=None)
    valid_until = DayField(required=False, allow_null=True, default=None, help_text="The last day, inclusive.")
    accept = serializers.BooleanField(
        required=False, default=False, help_text="Save although booked cases would no longer be allowed; they stay booked."
    )

    def validate_procedure_minutes(self, minutes: int | None) -> int | None:
        if minutes is not None and minutes % 5:
            raise serializers.ValidationError(["Lengths are multiples of five minutes."])
        return minutes

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["valid_from"] and values["valid_until"] and values["valid_until"] < values["valid_from"]:
            raise serializers.ValidationError({"valid_until": ["The last day lies before the first."]})
        return values


class PrivilegeOut(serializers.Serializer[object]):
    """That a physician may perform a procedure, and within what."""

    procedure = serializers.UUIDField(source="procedure.public_id")
    code = serializers.CharField(source="procedure.code")
    modalities = serializers.ListField(child=serializers.CharField())
    procedure_minutes = serializers.IntegerField(allow_null=True)
    valid_from = serializers.DateField(allow_null=True)
    valid_until = serializers.DateField(allow_null=True)


class RemovedOut(serializers.Serializer[object]):
    """The privilege is not held any more."""

    procedure = serializers.UUIDField()


class WayIn(serializers.Serializer[object]):
    """How long somebody needs from one site to another, doors to doors."""

    origin = serializers.UUIDField()
    destination = serializers.UUIDField()
    minutes = serializers.IntegerField(
        min_value=0, max_value=720, allow_null=True, help_text="Null: not said, which counts as none."
    )

    def validate_minutes(self, minutes: int | None) -> int | None:
        if minutes is not None and minutes % 5:
            raise serializers.ValidationError(["Lengths are multiples of five minutes."])
        return minutes

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["origin"] == values["destination"]:
            raise serializers.ValidationError({"destination": ["A way leads to another site."]})
        return values


class TravelIn(serializers.Serializer[object]):
    """The ways that change; the others stay."""

    ways = serializers.ListField(child=WayIn(), min_length=1, max_length=200)
    accept = serializers.BooleanField(
        required=False, default=False, help_text="Save although somebody could not reach a booked case in time."
    )


class WayOut(serializers.Serializer[object]):
    origin = serializers.UUIDField()
    destination = serializers.UUIDField()
    minutes = serializers.IntegerField(allow_null=True, help_text="Null: nobody has said; counted as none.")


class TravelOut(serializers.Serializer[object]):
    """Every way between the asker's sites, each direction by itself."""

    ways = WayOut(many=True)
