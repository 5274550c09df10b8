"""What the API takes and gives about the visit itself: the checklists and the completion."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from pain_clinic.texts import clean_lines
from patients import notes
from patients.models import Aspect, ComplicationKind, ComplicationSeverity, DrugKind, Phase, Role
from procedures import rulebook
from procedures.guidance import MODALITIES
from procedures.levels import ALL_REGIONS, BODY
from procedures.models import Sedation
from procedures.rules.places import is_level
from scheduling.api.ready_words import FindingOut
from scheduling.models import CheckAnswer, Side
from scheduling.visits.checking import LABELS

MOST = 12  # drugs, complications or scores of one case
KNOWN_ITEMS = sorted(LABELS)


class Lines(serializers.CharField):
    """Text of several lines, cleaned as on the pages, or refused in words."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_lines(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(f"This text {error}.", code="text_unusable") from error


class DrugIn(serializers.Serializer[object]):
    """A drug given; a steroid by its id of the clinic's table."""

    kind = serializers.ChoiceField(choices=DrugKind.choices)
    drug = rest.Text(max_length=40)
    dose_mg = serializers.DecimalField(
        max_digits=8, decimal_places=2, min_value=Decimal(0), required=False, allow_null=True, default=None
    )
    volume_ml = serializers.DecimalField(
        max_digits=6, decimal_places=2, min_value=Decimal(0), required=False, allow_null=True, default=None
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        book = rulebook.usable_book()
        if values["kind"] == DrugKind.STEROID and book is not None and values["drug"] not in book.steroid_ids:
            raise serializers.ValidationError({"drug": ["This is not a steroid of the clinic's table."]})
        return values


class HarmIn(serializers.Serializer[object]):
    kind = serializers.ChoiceField(choices=ComplicationKind.choices)
    severity = serializers.ChoiceField(choices=ComplicationSeverity.choices)
    outcome = rest.Text(max_length=200, required=False, allow_blank=True, default="")


class ToldIn(serializers.Serializer[object]):
    """A score told before the needle or right after it."""

    measure = rest.Text(max_length=24)
    aspect = serializers.ChoiceField(choices=Aspect.choices)
    value = serializers.DecimalField(max_digits=6, decimal_places=2)
    phase = serializers.ChoiceField(choices=Phase.choices)

    def validate_phase(self, phase: str) -> str:
        if phase not in (Phase.BEFORE, Phase.AFTER):
            raise serializers.ValidationError("At a completion scores are from before the needle or right after it.")
        return phase


class CompleteIn(serializers.Serializer[object]):
    """What was done. What is left out was done as booked; `drugs` left out are the planned steroid and those of last time."""

    procedure = serializers.CharField(max_length=60, required=False, help_text="The procedure's id or code.")
    side = serializers.ChoiceField(choices=Side.choices, required=False, allow_blank=True)
    levels = serializers.ListField(child=serializers.CharField(max_length=24), required=False, max_length=24)
    regions = serializers.ListField(
        child=serializers.ChoiceField(choices=[(region, ALL_REGIONS[region]) for region in BODY]),
        required=False,
        max_length=len(BODY),
    )
    role = serializers.ChoiceField(
        choices=Role.choices, required=False, help_text="Needed where the procedure may be either and the booking says none."
    )
    guidance = serializers.ChoiceField(choices=list(MODALITIES.items()), required=False)
    sedation = serializers.ChoiceField(choices=Sedation.choices, required=False)
    operator_name = rest.Text(max_length=120, required=False)
    fluoroscopy_seconds = serializers.IntegerField(min_value=0, max_value=36_000, required=False, allow_null=True)
    dose_ugy_m2 = serializers.DecimalField(max_digits=9, decimal_places=2, min_value=Decimal(0), required=False, allow_null=True)
    is_image_saved = serializers.BooleanField(required=False)
    drugs = DrugIn(many=True, required=False)
    complications = HarmIn(many=True, required=False)
    scores = ToldIn(many=True, required=False)
    sections = serializers.DictField(
        child=Lines(max_length=notes.LONGEST, allow_blank=True), required=False, help_text="Of the note, by code."
    )
    remark = rest.Text(max_length=300, required=False, allow_blank=True)
    reason = rest.Text(
        max_length=300,
        required=False,
        allow_blank=True,
        default="",
        help_text="Why with gaps in the checklist before the needle.",
    )
    is_signed = serializers.BooleanField(required=False, default=False, help_text="Sign the note at once.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        for level in values.get("levels", ()):
            if not is_level(level):
                raise serializers.ValidationError({"levels": ["Write levels such as L4-L5."]})
        for name in ("drugs", "complications", "scores"):
            if len(values.get(name, ())) > MOST:
                raise serializers.ValidationError({name: [f"At most {MOST}."]})
        return values


class CompletionOut(serializers.Serializer[object]):
    """The physician's word that a case is done."""

    id = serializers.UUIDField(source="public_id")
    appointment = serializers.UUIDField(source="appointment.public_id")
    performed = serializers.UUIDField(help_text="What was done: `/performed/procedures/`.")
    note = serializers.UUIDField()
    differs = serializers.ListField(child=serializers.CharField(), help_text="What was done otherwise than booked.")
    unchecked = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField()
    at = serializers.DateTimeField()
    version = serializers.IntegerField(source="appointment.version", help_text="The case's version now.")


class AnswerIn(serializers.Serializer[object]):
    item = serializers.ChoiceField(choices=KNOWN_ITEMS)
    answer = serializers.ChoiceField(choices=CheckAnswer.choices)
    note = rest.Text(max_length=200, required=False, allow_blank=True, default="")


class ChecklistIn(serializers.Serializer[object]):
    """Answers; items left out keep the answer that they have."""

    answers = AnswerIn(many=True)

    def validate_answers(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({one["item"] for one in answers}) < len(answers):
            raise serializers.ValidationError("An item is answered twice.")
        return answers


class LeavingIn(ChecklistIn):
    """Who takes the patient home, or why the patient goes all the same."""

    escort = rest.Text(max_length=120, required=False, allow_blank=True, default="")
    reason = rest.Text(max_length=200, required=False, allow_blank=True, default="")


class CheckOut(serializers.Serializer[object]):
    item = serializers.CharField()
    answer = serializers.CharField()
    note = serializers.CharField()
    answered_at = serializers.DateTimeField()
    answered_by = serializers.CharField(source="answered_by.shown_name", default="")


class ChecklistOut(serializers.Serializer[object]):
    answers = CheckOut(many=True)
    open = serializers.ListField(child=serializers.CharField(), help_text="Items not answered with yes or does not apply.")


class IntakeIn(serializers.Serializer[object]):
    """When what was last eaten or drunk ended, by kind; null takes back what was written, kinds left out stay."""

    intake = serializers.DictField(child=rest.Instant(allow_null=True), allow_empty=False)


class IntakeOut(serializers.Serializer[object]):
    """What is written down of a case, and what the rules say of it for its start, or for now once that is past."""

    is_asked = serializers.BooleanField(help_text="The patient will be sedated and has to fast.")
    kinds = serializers.ListField(child=serializers.CharField(), help_text="What may be written down, the shortest fast first.")
    intake = serializers.DictField(child=serializers.DateTimeField())
    findings = FindingOut(many=True)


class LeavingOut(ChecklistOut):
    escort = serializers.CharField()
    reason = serializers.CharField()
    needs_escort = serializers.BooleanField()
    lacking = serializers.ListField(
        child=serializers.CharField(), help_text="What is missing before the patient may be discharged; `escort` is one of them."
    )
