"""What the API takes and gives of set-up: plain serializers, no logic."""

from __future__ import annotations

from datetime import time
from itertools import pairwise
from typing import Any

from rest_framework import serializers

from pain_clinic import rest


class FivesField(serializers.TimeField):
    """A wall time on a five-minute mark."""

    default_error_messages = {"fives": "Times are on five-minute marks, such as 09:15."}  # the framework reads a plain dict

    def to_internal_value(self, value: Any) -> time:
        found: time = super().to_internal_value(value)
        if found.tzinfo is not None or found.minute % 5 or found.second or found.microsecond:
            self.fail("fives")
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
    hours = SpanIn(many=True, max_length=24)

    def validate_hours(self, spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
        spans.sort(key=lambda one: one["starts"])
        if any(after["starts"] < before["ends"] for before, after in pairwise(spans)):
            raise serializers.ValidationError(["Two of these overlap."])
        return spans


class DateHoursIn(serializers.Serializer[object]):
    """The hours of one date. At a site that is not named what holds there on that date goes on holding."""

    sites = SiteHoursIn(many=True, min_length=1, max_length=50)
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
