"""What the API takes and gives about a booked case's rules, its hold plan and the tasks before it: plain serializers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from procedures import rulebook
from scheduling.api.words import Said, WaiverIn
from scheduling.forms.clearance import HOW
from scheduling.models import TaskKind, TaskOutcome, TaskRole


class WaiveIn(serializers.Serializer[object]):
    """The findings to go on in spite of, each with its reason."""

    waivers = WaiverIn(many=True)


class PlanIn(Said):
    """What is planned for a case beyond its target; what is left out stays as it is."""

    driver_name = rest.Text(max_length=120, required=False, allow_blank=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "partial": True})

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        book = rulebook.usable_book()
        if values.get("drug") not in {None, "", "none", *(book.steroid_ids if book is not None else ())}:
            raise serializers.ValidationError({"drug": ["This is not a steroid of the clinic's table."]})
        return values


class PlannedOut(serializers.Serializer[object]):
    """What is planned; what is empty or null nobody has said yet."""

    role = serializers.CharField()
    drug = serializers.CharField()
    dose_mg = serializers.DecimalField(max_digits=8, decimal_places=2, allow_null=True)
    has_driver = serializers.BooleanField(allow_null=True)
    driver_name = serializers.CharField()
    premedication = serializers.CharField()
    bleeding_class = serializers.CharField()
    rationale = serializers.CharField()
    site_reason = serializers.CharField()
    bilateral_reason = serializers.CharField()
    technique = serializers.CharField()
    temperature_c = serializers.DecimalField(max_digits=4, decimal_places=1, allow_null=True)
    modic_type = serializers.IntegerField(allow_null=True)
    contrast = serializers.CharField()
    course = serializers.UUIDField(
        source="course.public_id", allow_null=True, default=None, help_text="From which the case was booked."
    )
    problem = serializers.UUIDField(
        source="problem.public_id", allow_null=True, default=None,
        help_text="On record, that this course is for: rules read it. Null: they choose one by level and side.",
    )  # fmt: skip


class FindingOut(serializers.Serializer[object]):
    """One thing that a rule says now. `code` is the name under which it is waived."""

    code = serializers.CharField(source="finding.key")
    severity = serializers.CharField(source="finding.severity.value")
    message = serializers.CharField(source="finding.message")
    evidence = serializers.DictField(source="finding.facts")
    reference = serializers.CharField(source="finding.source")
    earliest = serializers.SerializerMethodField(help_text="A date, or a wall-clock time; null where waiting never helps.")
    is_waived = serializers.BooleanField()

    def get_earliest(self, one: Any) -> str | None:
        earliest = one.finding.earliest
        return None if earliest is None else earliest.isoformat()


class WaitOut(serializers.Serializer[object]):
    """Work without which the case is not ready."""

    kind = serializers.ChoiceField(choices=TaskKind.choices)
    role = serializers.ChoiceField(choices=TaskRole.choices)
    due_at = serializers.DateTimeField()
    messages = serializers.ListField(child=serializers.CharField(), source="texts")


class RulesOut(serializers.Serializer[object]):
    """What rules say about a booked case now, what it waits for, and what is planned."""

    findings = FindingOut(many=True)
    waits = WaitOut(many=True)
    planned = PlannedOut()
    asks = serializers.ListField(
        child=serializers.CharField(), help_text="Of what may be planned, that on which the answer of some rule turns."
    )
    version = serializers.IntegerField(help_text="Of the case; send it in If-Match.")


class ClearanceIn(serializers.Serializer[object]):
    """The prescriber's word, for the times that were asked about, else for those of the slot."""

    is_agreed = serializers.BooleanField()
    answered_by = rest.Text(max_length=120)
    how = serializers.ChoiceField(choices=HOW)
    note = rest.Text(
        max_length=300,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of a decision (`action` shared_decision): what it was.",
    )
    starts_at = rest.Instant(
        required=False,
        help_text="Of the case, as it was shown to who answered: moved meanwhile, nothing is written down (409).",
    )


class KeepIn(serializers.Serializer[object]):
    """What was decided together for another slot, and the slot for which it is to hold too."""

    word = serializers.UUIDField(help_text="`word_id` of the medicine, as it was shown.")
    starts_at = rest.Instant(help_text="Of the case, as it was shown beside it.")


class LastDoseIn(serializers.Serializer[object]):
    told_last_at = rest.Instant(help_text="When the patient says that it was last taken.")


class HeldOut(serializers.Serializer[object]):
    """One medicine of the hold plan. Times are days or wall-clock times at the site; null where people decide."""

    drug = serializers.CharField(source="held.drug")
    name = serializers.CharField(source="held.name")
    action = serializers.CharField(source="held.action")
    bleeding_class = serializers.CharField(source="held.bleeding_class")
    last_dose = serializers.SerializerMethodField()
    restart = serializers.SerializerMethodField()
    notes = serializers.ListField(child=serializers.CharField(), source="held.notes", help_text="What the table adds in words.")
    needs_word = serializers.BooleanField(source="held.needs_word")
    is_agreed = serializers.BooleanField(source="held.is_agreed", allow_null=True, help_text="Null: not for these times yet.")
    word = serializers.SerializerMethodField(help_text="asked, given, refused, or empty.")
    word_id = serializers.UUIDField(
        source="clearance.public_id", default=None, allow_null=True, help_text="Of the newest word; null: nobody was asked."
    )
    is_word_for_other_times = serializers.BooleanField(
        source="is_for_others",
        help_text="Of a decision: for another day, or another hour where hours count; it does not count until it is confirmed.",
    )
    decided_for = serializers.DateTimeField(
        allow_null=True, help_text="The start for which it was decided together, or asked; null: for none, so it stays on a move."
    )
    hold_begins_at = serializers.DateTimeField(
        source="begins_at",
        allow_null=True,
        help_text="From then on the patient is asked for the last dose; null: no agreed hold.",
    )
    told_last_at = serializers.SerializerMethodField(help_text="The last dose as the patient gave it for this hold.")

    def get_last_dose(self, line: Any) -> str | None:
        return None if line.held.last_dose is None else line.held.last_dose.isoformat()

    def get_restart(self, line: Any) -> str | None:
        return None if line.held.restart is None else line.held.restart.isoformat()

    def get_told_last_at(self, line: Any) -> str | None:
        told = None if line.clearance is None else line.clearance.told_last_at
        return None if told is None else told.isoformat()

    def get_word(self, line: Any) -> str:
        return "" if line.clearance is None else str(line.clearance.answer)


class HoldPlanOut(serializers.Serializer[object]):
    medicines = HeldOut(many=True, source="lines")
    is_asked = serializers.BooleanField(help_text="Whether anybody has asked about blood thinners at all.")
    is_cleared = serializers.BooleanField(help_text="Whether the patient's page shows the times.")


class TasksIn(serializers.Serializer[object]):
    """Which tasks: the open ones, unless those that are done are asked for."""

    kind = serializers.ChoiceField(choices=TaskKind.choices, required=False)
    role = serializers.ChoiceField(choices=TaskRole.choices, required=False)
    appointment = serializers.UUIDField(required=False)
    done = serializers.BooleanField(required=False, default=False)


class TaskOut(serializers.Serializer[object]):
    """One thing to be done by hand."""

    id = serializers.UUIDField(source="public_id")
    kind = serializers.ChoiceField(choices=TaskKind.choices)
    role = serializers.ChoiceField(choices=TaskRole.choices)
    patient = serializers.UUIDField(source="patient.public_id")
    appointment = serializers.UUIDField(source="appointment.public_id", default=None, allow_null=True)
    site = serializers.UUIDField(source="site.public_id")
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    owner = serializers.SerializerMethodField()
    done_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField()
    note = serializers.CharField()

    def get_owner(self, task: Any) -> str:
        return task.owner.shown_name if task.owner else ""


class CloseIn(serializers.Serializer[object]):
    outcome = serializers.ChoiceField(choices=TaskOutcome.choices)
    note = rest.Text(max_length=300, required=False, allow_blank=True, default="")
