"""What the API takes and gives about many rows of the worklist at once: plain serializers, no logic."""

from __future__ import annotations

from rest_framework import serializers

from pain_clinic import rest
from scheduling.bulk import MOST_ROWS
from scheduling.worklist import BOOKABLE


class RehearseIn(serializers.Serializer[object]):
    """Which rows: those of a tab, the most pressing first, or the next sessions of these courses."""

    tab = serializers.ChoiceField(choices=[(name, name) for name in BOOKABLE], required=False, default="book")
    courses = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MOST_ROWS, default=list,
        help_text="Left out or empty: as many of the tab as go at once.",
    )  # fmt: skip


class RehearsedOut(serializers.Serializer[object]):
    """What would become of one row. `offer` is sent to book it, within half an hour."""

    course = serializers.UUIDField()
    patient = serializers.UUIDField()
    step = serializers.CharField()
    procedure = serializers.CharField()
    starts_at = serializers.DateTimeField(allow_null=True)
    with_at = serializers.DateTimeField(allow_null=True, help_text="When what is booked with it begins.")
    physician = serializers.CharField()
    room = serializers.CharField()
    waits = serializers.ListField(child=serializers.CharField(), help_text="What is not on file yet; it becomes a task.")
    why_not = serializers.CharField()
    offer = serializers.CharField()


class RehearsalOut(serializers.Serializer[object]):
    rows = RehearsedOut(many=True)


class BulkRowIn(serializers.Serializer[object]):
    course = serializers.UUIDField()
    offer = rest.Text(max_length=4000)


class BulkIn(serializers.Serializer[object]):
    """The rows to be booked, each at the opening that the dry run offered."""

    rows = serializers.ListField(child=BulkRowIn(), min_length=1, max_length=MOST_ROWS)


class BulkRowOut(serializers.Serializer[object]):
    """What became of one row: its appointment, or the code and the words of its refusal."""

    course = serializers.UUIDField()
    appointment = serializers.UUIDField(allow_null=True)
    code = serializers.CharField()
    message = serializers.CharField()


class BulkOut(serializers.Serializer[object]):
    booked = serializers.IntegerField()
    rows = BulkRowOut(many=True)
