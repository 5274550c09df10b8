"""What the API records and reads about a patient, kind by kind: the fields, their shapes, and the verbs behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from rest_framework import serializers

from pain_clinic import rest
from patients import amending, coverage, elsewhere, outcomes, records
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    Complication,
    Condition,
    Consent,
    Coverage,
    GivenDrug,
    Implant,
    LabResult,
    Medication,
    Patient,
    PerformedProcedure,
    PlannedSurgery,
    Presentation,
    Recorded,
    Score,
    Vaccination,
)
from procedures.levels import SIDE_LABELS
from procedures.rules import offers

LONGEST_LIST = 40
SMALL, USUAL = 32_767, 2_147_483_647
# What a field that names another row is given as: the row's own id, but for procedures, whose code is their name.
NAMED = {"procedure": "code"}
Verb = Callable[..., Any]
Made = Callable[..., Any]
Shape = serializers.Serializer[object]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact: its word in addresses, its model and the fields that may be given. Those in `fixed` never change."""

    code: str
    model: type[Recorded]
    fields: tuple[str, ...]
    fixed: frozenset[str] = frozenset()
    record: Verb = records.record
    amend: Verb = records.amend_fact
    withdraw: Verb = records.mark_in_error
    has_reason: bool = False  # a change says why, and may be signed
    order: tuple[str, ...] = ("-recorded_at", "-pk")
    own: Mapping[str, Made] = field(default_factory=dict)  # fields that ask for more than their columns do
    worked_out: Mapping[str, Made] = field(default_factory=dict)  # fields of answers that no column holds
    prepare: Callable[[Sequence[Any]], Sequence[Any]] = list
    shapes: dict[str, type[Shape]] = field(default_factory=dict)

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the relations whose ids an answer names."""
        names = [one.name for one in self.model._meta.fields if isinstance(one, models.ForeignKey) and one.name in self.fields]
        return ("patient", "recorded_by", *names)


def _record_score(*, kind: Any, patient: Any, values: Any, by: Any, at: Any) -> Score:
    return outcomes.record_score(patient=patient, values=values, by=by, at=at)


def _amend_score(*, row: Any, changes: Any, by: Any, at: Any, version: int) -> Score:
    return outcomes.amend_score(score=row, changes=changes, by=by, at=at, version=version)


def _withdraw_score(*, row: Any, reason: str, by: Any, at: Any, version: int) -> Score:
    return outcomes.withdraw_score(score=row, reason=reason, by=by, at=at, version=version)


def _record_performed(*, kind: Any, patient: Patient, values: Any, by: Any, at: Any) -> PerformedProcedure:
    """Record what was performed; whoever sends it has to say the role where the procedure may have either.

    Of what was done elsewhere, what cannot be is refused; nobody is asked whether it is another one.
    """
    procedure = values.get("procedure")
    if procedure is not None and offers.needs_role(procedure.code) and not values.get("role"):
        raise records.FieldRefused("missing", "role", "Say whether this was diagnostic or therapeutic.")
    if values.get("is_elsewhere"):
        return elsewhere.record(patient=patient, values=values, by=by, at=at, is_another=True, is_unplaced=True)
    made: PerformedProcedure = records.record(kind=kind, patient=patient, values=values, by=by, at=at)
    return made


def _amend_performed(
    *, row: Any, changes: Any, by: Any, at: Any, version: int, reason: str, is_signed: bool
) -> PerformedProcedure:
    made = amending.amend(
        performed=row, changes=changes, reason=reason, by=by, at=at, version=version, is_signed=is_signed
    )  # fmt: skip
    return made.performed


def _amend_part(*, row: Any, changes: Any, by: Any, at: Any, version: int, reason: str, is_signed: bool) -> Any:
    return amending.amend_part(row=row, changes=changes, reason=reason, by=by, at=at, version=version, is_signed=is_signed)


def _table(*kinds: Kind) -> Mapping[str, Kind]:
    return {kind.code: kind for kind in kinds}


FACTS = _table(
    Kind("medicines", Medication, ("kind", "drug", "name", "dose", "daily_amount", "indication", "prescriber",
                                   "prescriber_contact", "started_on", "last_dose_at", "stopped_on", "origin", "note")),
    Kind("allergies", Allergy, ("agent", "name", "severity", "origin", "note")),
    Kind("conditions", Condition, ("kind", "name", "icd10", "began_on", "ended_on", "antibiotics_until", "origin", "note")),
    Kind("implants", Implant, ("device", "name", "placed_on", "removed_on", "is_after_acs", "has_plan", "origin", "note")),
    Kind("labs", LabResult, ("test", "value", "taken_on", "origin", "note")),
    Kind("vaccines", Vaccination, ("kind", "given_on", "origin", "note")),
    Kind("surgery", PlannedSurgery, ("kind", "site", "planned_on", "origin", "note")),
    Kind("asked", Asked, ("topic", "asked_on", "origin", "note")),
    Kind("presentations", Presentation, ("name", "indication", "icd10", "side", "levels", "pain_since", "conservative_since",
                                         "provocation_tests", "imaging_on", "episode_started_on", "ended_on", "missing",
                                         "on_file", "origin", "note")),
)  # fmt: skip
PERFORMED = _table(
    Kind("procedures", PerformedProcedure,
         ("procedure", "other_name", "other_family", "done_on", "done_at", "site", "is_elsewhere", "where_elsewhere", "side",
          "levels", "regions", "body_site", "role", "guidance", "sedation", "operator_name", "indication", "fluoroscopy_seconds",
          "dose_ugy_m2", "is_image_saved", "has_kx", "function_improved", "medication_reduced", "medication_reduction",
          "relief_matched_agent", "lead_removed_on", "origin", "note"),
         fixed=frozenset({"other_name", "other_family", "done_on", "done_at", "site", "is_elsewhere", "where_elsewhere",
                          "origin"}),
         record=_record_performed, amend=_amend_performed, has_reason=True),
    Kind("drugs", GivenDrug, ("performed", "kind", "drug", "dose_mg", "volume_ml", "given_on", "origin", "note"),
         fixed=frozenset({"performed"}), amend=_amend_part, withdraw=amending.withdraw_part, has_reason=True),
    Kind("complications", Complication, ("performed", "kind", "severity", "noticed_on", "outcome", "note"),
         fixed=frozenset({"performed"}), amend=_amend_part, withdraw=amending.withdraw_part, has_reason=True),
    Kind("consents", Consent, ("procedure", "appointment", "side", "levels", "given_on", "valid_until", "withdrawn_on", "note")),
)  # fmt: skip
SCORES = _table(
    Kind("scores", Score, ("measure", "aspect", "value", "range_text", "scored_on", "scored_at", "phase", "performed", "side",
                           "levels", "origin", "note"),
         record=_record_score, amend=_amend_score, withdraw=_withdraw_score),
)  # fmt: skip


def _like(pattern: str) -> Made:
    return partial(serializers.RegexField, pattern)


def _codes(**options: Any) -> Any:
    return serializers.ListField(child=serializers.RegexField(r"^[A-Z0-9]{5}$"), max_length=LONGEST_LIST, **options)


def _with_units(rows: Sequence[Any]) -> Sequence[Any]:
    """Give each authorisation the units that are left of it."""
    used = coverage.units_used(row.pk for row in rows)
    for row in rows:
        row.units_left = None if row.units is None else max(row.units - used.get(row.pk, 0), 0)
    return rows


COVERAGE = _table(
    Kind("coverage", Coverage, ("payer", "payer_rules", "plan_type", "member_number", "state", "place_of_service", "valid_from",
                                "valid_until", "year_anchor", "rank", "note"),
         order=("rank", "-recorded_at", "-pk"),
         own={"state": _like(r"^([A-Z]{2})?$"), "place_of_service": _like(r"^(\d{2})?$"),
              "rank": partial(serializers.IntegerField, min_value=1, max_value=9)}),
)  # fmt: skip
AUTHORIZATIONS = _table(
    Kind("authorizations", Authorization, ("coverage", "number", "covers", "codes", "side", "levels", "status", "asked_on",
                                           "decided_on", "valid_from", "valid_until", "units", "case", "note"),
         fixed=frozenset({"coverage"}),
         own={"codes": _codes, "side": partial(serializers.ChoiceField, list(SIDE_LABELS.items())),
              "units": partial(serializers.IntegerField, min_value=1, max_value=999)},
         worked_out={"units_left": partial(serializers.IntegerField, allow_null=True)}, prepare=_with_units),
)  # fmt: skip


def shape_out(kind: Kind) -> type[Shape]:
    """Return the serializer of answers."""
    common: dict[str, serializers.Field[Any, Any, Any, Any]] = {
        "id": serializers.UUIDField(source="public_id"),
        "patient": serializers.UUIDField(source="patient.public_id"),
        "recorded_at": serializers.DateTimeField(),
        "recorded_by": serializers.SerializerMethodField(),
        "is_in_error": serializers.BooleanField(),
        "version": serializers.IntegerField(),
    }
    fields = {name: _out(kind.model._meta.get_field(name)) for name in kind.fields}
    more = {name: made() for name, made in kind.worked_out.items()}
    return _made(kind, "Out", {**common, **fields, **more}, get_recorded_by=_recorded_by)


def shape_in(kind: Kind) -> type[Shape]:
    """Return the serializer of a new row: what the table needs is required."""
    return _made(kind, "In", {name: _given(kind, name) for name in kind.fields})


def shape_change(kind: Kind) -> type[Shape]:
    """Return the serializer of a change: leave out what stays."""
    names = [name for name in kind.fields if name not in kind.fixed]
    fields: dict[str, Any] = {name: _given(kind, name, is_optional=True) for name in names}
    if kind.has_reason:
        fields["reason"] = rest.Text(max_length=300, help_text="Why this is amended.")
        fields["is_signed"] = serializers.BooleanField(required=False, default=False, help_text="Sign the amendment at once.")
    return _made(kind, "Change", fields)


def _recorded_by(self: Any, row: Recorded) -> str:
    return row.recorded_by.shown_name if row.recorded_by else ""


def _made(kind: Kind, suffix: str, fields: Mapping[str, Any], **more: Any) -> type[Shape]:
    """Return a plain serializer of these fields, one for each kind and purpose, so that the description names it."""
    if suffix not in kind.shapes:
        body = {**fields, **more, "__doc__": f"{kind.model.__doc__ or ''}".strip().split("\n")[0]}
        kind.shapes[suffix] = type(f"{kind.model.__name__}{suffix}", (serializers.Serializer,), body)
    return kind.shapes[suffix]


def _out(one: Any) -> serializers.Field[Any, Any, Any, Any]:
    if isinstance(one, models.ForeignKey):
        if one.name in NAMED:
            return serializers.CharField(source=f"{one.name}.{NAMED[one.name]}", default="", allow_null=one.null)
        return serializers.UUIDField(source=f"{one.name}.public_id", default=None, allow_null=one.null)
    if isinstance(one, ArrayField):
        return serializers.ListField(child=serializers.CharField())
    if isinstance(one, models.DecimalField):
        return serializers.DecimalField(one.max_digits, one.decimal_places, allow_null=one.null)
    for model_field, made in _PLAIN.items():
        if isinstance(one, model_field):
            return made(allow_null=one.null)
    return serializers.CharField()


def _given(kind: Kind, name: str, *, is_optional: bool = False) -> serializers.Field[Any, Any, Any, Any]:
    one: Any = kind.model._meta.get_field(name)
    is_needed = not is_optional and not one.blank and not one.null and not one.has_default()
    options: dict[str, Any] = {"required": is_needed}
    if one.null:
        options["allow_null"] = True
    if name not in kind.own:
        return _in(one, options)
    if isinstance(one, models.CharField) and one.blank:
        options["allow_blank"] = True
    made: serializers.Field[Any, Any, Any, Any] = kind.own[name](**options)
    return made


def _in(one: Any, options: dict[str, Any]) -> serializers.Field[Any, Any, Any, Any]:
    if isinstance(one, models.ForeignKey):
        return serializers.CharField(max_length=60, **options) if one.name in NAMED else serializers.UUIDField(**options)
    if isinstance(one, ArrayField):
        longest = one.base_field.max_length or 60
        return serializers.ListField(child=rest.Text(max_length=longest), max_length=LONGEST_LIST, **options)
    if one.choices:
        return serializers.ChoiceField(choices=one.choices, allow_blank=one.blank and not one.null, **options)
    if isinstance(one, models.DecimalField):
        return serializers.DecimalField(one.max_digits, one.decimal_places, **options)
    if isinstance(one, models.DateTimeField):
        return rest.Instant(**options)
    if isinstance(one, models.PositiveSmallIntegerField | models.PositiveIntegerField):
        most = SMALL if isinstance(one, models.PositiveSmallIntegerField) else USUAL
        return serializers.IntegerField(min_value=0, max_value=most, **options)
    for model_field, made in _PLAIN.items():
        if isinstance(one, model_field):
            return made(**options)
    return rest.Text(max_length=one.max_length, allow_blank=one.blank, **options)


_PLAIN: Mapping[type[Any], Any] = {
    models.DateTimeField: serializers.DateTimeField,
    models.DateField: serializers.DateField,
    models.BooleanField: serializers.BooleanField,
    models.UUIDField: serializers.UUIDField,
    models.IntegerField: serializers.IntegerField,
}
