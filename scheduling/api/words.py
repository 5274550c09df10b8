"""What the API takes and gives: plain serializers, no logic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from pain_clinic import rest
from procedures import rulebook
from procedures.levels import ALL_REGIONS, BODY
from procedures.models import Sedation
from scheduling.forms import MOVE_REASONS
from scheduling.models import (
    COLDEST_C,
    HOTTEST_C,
    AskedBy,
    CancelReason,
    Guidance,
    Kind,
    ModicType,
    PlannedContrast,
    PlannedRole,
    Premedication,
    Side,
    Status,
    TargetClass,
    Technique,
)


class Chosen(serializers.Serializer[object]):
    """The procedure and where on the body."""

    procedure = serializers.CharField(max_length=60, help_text="The procedure's id or code.")
    side = serializers.ChoiceField(choices=Side.choices, required=False, allow_blank=True, default="")
    levels = serializers.ListField(child=serializers.CharField(max_length=24), required=False, max_length=24, default=list)
    regions = serializers.ListField(
        child=serializers.ChoiceField(choices=[(region, ALL_REGIONS[region]) for region in BODY]),
        required=False,
        max_length=len(BODY),
        default=list,
        help_text="Where on the body, for work without levels. Left out: the only one there is.",
    )
    guidance = serializers.ChoiceField(
        choices=Guidance.choices, required=False, allow_blank=True, default="", help_text="Left out: the usual one."
    )
    sedation = serializers.ChoiceField(choices=Sedation.choices, required=False, default="none")


class WaiverIn(serializers.Serializer[object]):
    """A named finding to go on in spite of, and why."""

    code = serializers.CharField(max_length=160)
    reason_code = serializers.CharField(max_length=40)
    text = rest.Text(max_length=500)


class Place(serializers.Serializer[object]):
    """When and where. Without resources, the least-loaded that are free are taken."""

    site = serializers.UUIDField()
    starts_at = rest.Instant()
    resources = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=20, default=list)
    waivers = WaiverIn(many=True, required=False, default=list)


class HoldIn(Chosen, Place):
    patient = serializers.UUIDField(required=False, allow_null=True, default=None)


class Said(serializers.Serializer[object]):
    """What is said about a case beyond its target; what is left out nobody has said yet."""

    role = serializers.ChoiceField(choices=PlannedRole.choices, required=False, allow_blank=True, default="")
    drug = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        default="",
        help_text="The steroid by the clinic's table, or none.",
    )
    dose_mg = serializers.DecimalField(
        max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False, allow_null=True, default=None
    )
    has_driver = serializers.BooleanField(required=False, allow_null=True, default=None)
    premedication = serializers.ChoiceField(choices=Premedication.choices, required=False, allow_blank=True, default="")
    bleeding_class = serializers.ChoiceField(choices=TargetClass.choices, required=False, allow_blank=True, default="")
    rationale = rest.Text(max_length=500, required=False, allow_blank=True, default="")
    site_reason = rest.Text(max_length=300, required=False, allow_blank=True, default="")
    bilateral_reason = rest.Text(max_length=300, required=False, allow_blank=True, default="")
    technique = serializers.ChoiceField(
        choices=Technique.choices, required=False, allow_blank=True, default="", help_text="Of a lesion. Left out: the usual one."
    )
    temperature_c = serializers.DecimalField(
        max_digits=4, decimal_places=1, min_value=Decimal(COLDEST_C), max_value=Decimal(HOTTEST_C), required=False,
        allow_null=True, default=None, help_text="Of the lesion.",
    )  # fmt: skip
    modic_type = serializers.ChoiceField(choices=ModicType.choices, required=False, allow_null=True, default=None)
    contrast = serializers.ChoiceField(
        choices=PlannedContrast.choices, required=False, allow_blank=True, default="", help_text="Left out: the usual one."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        book = rulebook.usable_book()
        if values["drug"] not in {"", "none", *(book.steroid_ids if book is not None else ())}:
            raise serializers.ValidationError({"drug": ["This is not a steroid of the clinic's table."]})
        if values["dose_mg"] is not None and values["drug"] in ("", "none"):
            raise serializers.ValidationError({"dose_mg": ["Name the steroid of which this is the dose."]})
        return values


class AppointmentIn(Chosen, Place):
    patient = serializers.UUIDField()
    details = Said(required=False)
    hold = serializers.UUIDField(required=False, allow_null=True, default=None)
    note = rest.Text(max_length=500, required=False, allow_blank=True, default="")


class MoveIn(Place):
    reason = serializers.ChoiceField(choices=list(MOVE_REASONS.items()), required=False, allow_blank=True, default="")


class ReinstateIn(serializers.Serializer[object]):
    """Where it comes back to, if not to its old place; without resources, the least-loaded that are free are taken."""

    site = serializers.UUIDField(required=False)
    starts_at = rest.Instant(required=False)
    resources = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=20, default=list)
    waivers = WaiverIn(many=True, required=False, default=list)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("site" in values) != ("starts_at" in values):
            missing = "starts_at" if "site" in values else "site"
            raise serializers.ValidationError({missing: ["Give site and starts_at both, or neither for the old place."]})
        if values["resources"] and "site" not in values:
            raise serializers.ValidationError({"resources": ["Name the place too: site and starts_at."]})
        return values


class AppointmentsIn(serializers.Serializer[object]):
    """Which cases: days are those of the site's calendar, both counted in."""

    first_on = serializers.DateField(required=False)
    last_on = serializers.DateField(required=False)
    site = serializers.UUIDField(required=False)
    patient = serializers.UUIDField(required=False)
    resource = serializers.UUIDField(required=False, help_text="Whose time it takes: a person, a room or a device.")
    procedure = rest.Text(max_length=60, required=False, help_text="Its code.")
    status = serializers.ChoiceField(choices=Status.choices, required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if "first_on" in values and "last_on" in values and values["last_on"] < values["first_on"]:
            raise serializers.ValidationError({"last_on": ["The last day lies before the first."]})
        return values


class SwapIn(serializers.Serializer[object]):
    """The other case, at the version that was read of it. Waivers are for the findings of one case each."""

    other = serializers.UUIDField()
    other_version = serializers.IntegerField(min_value=1)
    waivers = WaiverIn(many=True, required=False, default=list)
    other_waivers = WaiverIn(many=True, required=False, default=list)


class CancelIn(serializers.Serializer[object]):
    reason = serializers.ChoiceField(choices=CancelReason.choices)
    asked_by = serializers.ChoiceField(choices=AskedBy.choices)
    note = rest.Text(max_length=300, required=False, allow_blank=True, default="")


class StatusIn(serializers.Serializer[object]):
    to = serializers.ChoiceField(choices=Status.choices)
    reason = rest.Text(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="To discharge a patient who was sedated, or must not drive, without a complete leaving checklist; or, of a "
        "physician, to take one into the room whose fast is too short for a start now (`fast_too_short`).",
    )


class OpeningsIn(Chosen):
    """A search. Instants carry their offset; weekdays count from Monday 0; a part of the day is the site's wall time."""

    site = serializers.UUIDField(required=False)
    physician = serializers.UUIDField(required=False)
    patient = serializers.UUIDField(required=False)
    earliest = rest.Instant(required=False)
    latest = rest.Instant(required=False)
    weekdays = serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=6), required=False, default=list)
    from_time = serializers.TimeField(required=False)
    until_time = serializers.TimeField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False, default=20)
    per_day = serializers.IntegerField(min_value=1, max_value=50, required=False)
    details = Said(required=False)
    covered = serializers.BooleanField(
        required=False, default=False, help_text="Only times on whose date no rule refuses. Asks for a patient."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("from_time" in values) != ("until_time" in values):
            raise serializers.ValidationError({"until_time": ["Give both times of a part of the day, or neither."]})
        if "from_time" in values and values["from_time"] >= values["until_time"]:
            raise serializers.ValidationError({"until_time": ["The part of the day has to end after it begins."]})
        if values["covered"] and "patient" not in values:
            raise serializers.ValidationError({"patient": ["Name the patient for whom it has to be covered."]})
        if "earliest" in values and "latest" in values and values["earliest"] >= values["latest"]:
            raise serializers.ValidationError({"latest": ["This has to be after earliest."]})
        return values


class UnitOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    kind = serializers.ChoiceField(choices=Kind.choices)
    name = serializers.CharField()


class OpeningOut(serializers.Serializer[object]):
    site = serializers.UUIDField()
    arrives_at = serializers.DateTimeField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    leaves_at = serializers.DateTimeField()
    resources = UnitOut(many=True)
    reasons = serializers.ListField(child=serializers.CharField())


class BlockingOut(serializers.Serializer[object]):
    """What does not allow the first free date."""

    code = serializers.CharField(source="key")
    message = serializers.CharField()
    reference = serializers.CharField(source="source")
    earliest = serializers.SerializerMethodField()

    def get_earliest(self, finding: Any) -> str | None:
        return finding.earliest.isoformat() if finding.earliest is not None else None


class OpeningsOut(serializers.Serializer[object]):
    openings = OpeningOut(many=True)
    free_from = serializers.DateField(allow_null=True, help_text="The first date with everything free, whatever rules say.")
    covered_from = serializers.DateField(
        allow_null=True,
        help_text="The first date from there on which no rule refuses; null without a patient, or where waiting never helps.",
    )
    not_covered_because = BlockingOut(many=True)
    nothing_because = serializers.CharField(allow_blank=True)
    would_help = serializers.ListField(child=serializers.CharField())


class HoldOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(help_text="When the hold itself runs out.")
    released_at = serializers.DateTimeField(allow_null=True)


class AllocationOut(serializers.Serializer[object]):
    resource = serializers.UUIDField(source="resource.public_id")
    kind = serializers.CharField()
    name = serializers.CharField(source="resource.name")
    legs = serializers.ListField(child=serializers.CharField())
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class AppointmentOut(serializers.Serializer[object]):
    """A case. Instants are UTC; ``local_date``, ``local_time`` and ``zone`` are the promised wall time."""

    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    procedure = serializers.CharField(source="procedure.code")
    site = serializers.UUIDField(source="site.public_id")
    side = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField())
    regions = serializers.ListField(child=serializers.CharField())
    guidance = serializers.CharField(help_text="fluoroscopy, ct, ultrasound or none; empty on old cases: the usual one.")
    sedation = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    arrives_at = serializers.DateTimeField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    leaves_at = serializers.DateTimeField()
    local_date = serializers.DateField()
    local_time = serializers.TimeField()
    zone = serializers.CharField()
    cancel_reason = serializers.CharField()
    asked_by = serializers.CharField()
    is_late = serializers.BooleanField()
    version = serializers.IntegerField()
    resources = serializers.SerializerMethodField()

    def get_resources(self, appointment: Any) -> list[dict[str, Any]]:
        return list(AllocationOut(appointment.standing_allocations, many=True).data)


class SwapOut(serializers.Serializer[object]):
    """Both cases as they are now."""

    case = AppointmentOut()
    other = AppointmentOut()


class ResourceOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    kind = serializers.ChoiceField(choices=Kind.choices)
    name = serializers.CharField()
    site = serializers.UUIDField(source="site.public_id")
    attributes = serializers.ListField(child=serializers.CharField())
    is_active = serializers.BooleanField()


class SiteOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    name = serializers.CharField()
    time_zone = serializers.CharField()
    phone = serializers.CharField()
    directions = serializers.CharField()
    directions_es = serializers.CharField()
