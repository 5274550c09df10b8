"""One set of verbs for every kind of recorded fact: write down, amend under row history, mark as written by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden
from patients.models import (
    Addendum,
    Allergy,
    Amendment,
    Asked,
    Authorization,
    AuthorizationUse,
    Clearance,
    ClinicalNote,
    Complication,
    Condition,
    Consent,
    Coverage,
    FactChange,
    GivenDrug,
    Implant,
    LabResult,
    Medication,
    Paper,
    Patient,
    PerformedProcedure,
    PlannedSurgery,
    Presentation,
    Recorded,
    RecordedQuerySet,
    Score,
    Vaccination,
)
from patients.records.cleaning import FieldRefused
from procedures.rules import offers

Fact = TypeVar("Fact", bound=Recorded)

CLINICAL, PERFORMED, COVERAGE = "patients.record_clinical", "patients.record_performed", "patients.change_coverage"
ALLOWED_BY: dict[type[Recorded], str] = {
    **dict.fromkeys(
        (Asked, Medication, Allergy, Condition, Implant, LabResult, Vaccination, PlannedSurgery, Presentation, Clearance, Paper),
        CLINICAL,
    ),
    **dict.fromkeys((PerformedProcedure, GivenDrug, Complication, ClinicalNote, Addendum, Amendment, Consent), PERFORMED),
    **dict.fromkeys((Coverage, Authorization, AuthorizationUse), COVERAGE),
    Score: "patients.record_outcome",
}
# What the verbs themselves set; everything else of a row may be given.
OWN = frozenset({"id", "public_id", "patient", "recorded_at", "recorded_by", "is_in_error", "error_reason", "version"})


class MayNotRecord(Forbidden):
    def __init__(self, permission: str) -> None:
        super().__init__("not_allowed", "You may not record this.", {"permission": permission})


class FactStale(Conflict):
    def __init__(self, row: Recorded) -> None:
        super().__init__(
            "stale",
            "Somebody else changed this in the meantime. Look at what is there now, then save again.",
            {"version": row.version},
        )


class NotAFact(Conflict):
    """It was marked as written by mistake: it can neither be amended nor marked once more."""

    def __init__(self) -> None:
        super().__init__("in_error", "This was marked as written down by mistake. Record it anew if it is true after all.")


def record(
    *, kind: type[Fact], patient: Patient, values: Mapping[str, Any], by: Actor, at: datetime, under: str = ""
) -> Fact:  # fmt: skip
    """Write down a fact of this kind, and leave the word that the patient's facts have changed.

    `under` is the permission of a verb that writes but a part of it, in the place of the kind's own. What was performed
    without a word about its role has that of its procedure.

    Raises:
        MayNotRecord: the actor may not record this kind.
        FieldRefused: a value cannot be kept; the first one is named.
    """
    _must_be_allowed(kind, by, under)
    with transaction.atomic():
        row = kind(patient=patient, recorded_at=at, recorded_by_id=by.user_id)
        _fill(row, {**_role(kind, values), **values})
        row.save(force_insert=True)
        _said(row, "record", patient, by, at, details={"fields": sorted(values)})
    return row


def _role(kind: type[Recorded], values: Mapping[str, Any]) -> Mapping[str, str]:
    procedure = values.get("procedure")
    if kind is not PerformedProcedure or procedure is None:
        return {}
    return {"role": offers.default_role(procedure.code, procedure.family)}


def amend_fact(
    *,
    row: Fact,
    changes: Mapping[str, Any],
    by: Actor,
    at: datetime,
    version: int | None = None,
    reason: str = "",
    under: str = "",
) -> Fact:
    """Change what is on file; the row history keeps what it said before. Without any difference nothing is written.

    `under` is as for `record`.

    Raises:
        MayNotRecord, FieldRefused: as for `record`.
        FactStale: `version` is not the present one.
        NotAFact: it was marked as written by mistake.
    """
    _must_be_allowed(type(row), by, under)
    with transaction.atomic():
        kept = _locked(row, version)
        changed = sorted(name for name, value in changes.items() if getattr(kept, name, None) != value)
        if not changed:
            return kept
        _fill(kept, {name: changes[name] for name in changed})
        kept.version += 1
        kept.save(update_fields=[*changed, "version"])
        _said(kept, "amend", kept.patient, by, at, reason_code=reason, details={"fields": changed, "version": kept.version})
    return kept


def mark_in_error(*, row: Fact, reason: str, by: Actor, at: datetime, version: int | None = None) -> Fact:
    """Say that this was written down by mistake, and why. It stays to be seen and counts for nothing.

    Raises:
        MayNotRecord, FactStale, NotAFact: as for `amend_fact`.
        FieldRefused: no reason was given.
    """
    _must_be_allowed(type(row), by)
    if not reason.strip():
        raise FieldRefused("missing", "error_reason", "Say why this was a mistake.")
    with transaction.atomic():
        kept = _locked(row, version)
        kept.is_in_error, kept.error_reason = True, reason.strip()[:200]
        kept.version += 1
        kept.save(update_fields=["is_in_error", "error_reason", "version"])
        _said(kept, "mark_in_error", kept.patient, by, at, details={"version": kept.version})
        if isinstance(kept, PerformedProcedure):
            _give_back(kept, by, at)
            _take_along(kept, by, at)
    return kept


def _give_back(performed: PerformedProcedure, by: Actor, at: datetime) -> None:
    """Give back what was drawn of authorisations for something that was not performed after all."""
    uses = AuthorizationUse.objects.standing().filter(performed=performed).order_by("pk")
    for use in uses.select_for_update(no_key=True, of=("self",)):
        use.is_in_error, use.error_reason = True, "what was performed was written down by mistake"
        use.version += 1
        use.save(update_fields=["is_in_error", "error_reason", "version"])
        _said(use, "give_back", performed.patient, by, at, details={"performed": str(performed.public_id)})


def _take_along(performed: PerformedProcedure, by: Actor, at: datetime) -> None:
    """Mark what was given and went wrong in something that was not performed after all: else a steroid would count on."""
    for kind in (GivenDrug, Complication):
        rows = kind._default_manager.filter(performed=performed, is_in_error=False).order_by("pk")
        for row in rows:
            mark_in_error(row=row, reason="What was performed was written down by mistake.", by=by, at=at)


def _must_be_allowed(kind: type[Recorded], by: Actor, under: str = "") -> None:
    permission = under or ALLOWED_BY[kind]
    if not by.may(permission):
        raise MayNotRecord(permission)


def _locked(row: Fact, version: int | None) -> Fact:
    rows: RecordedQuerySet = type(row)._default_manager.all()
    kept: Fact = rows.select_for_update(no_key=True, of=("self",)).select_related("patient").get(pk=row.pk)  # type: ignore[assignment]  # of the row's own table
    if version is not None and version != kept.version:
        raise FactStale(kept)
    if kept.is_in_error:
        raise NotAFact
    return kept


def _fill(row: Recorded, values: Mapping[str, Any]) -> None:
    """Put values into a row and check it whole, constraints included."""
    names = {field.name for field in row._meta.fields}
    for name, value in values.items():
        if name not in names or name in OWN:
            raise FieldRefused("field_unknown", name, "This cannot be recorded here.")
        setattr(row, name, value)
    try:
        row.full_clean(exclude={"patient", "recorded_by"}, validate_unique=False)
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise FieldRefused("unusable", "" if field == "__all__" else field, " ".join(problems)) from error


def _said(
    row: Recorded,
    verb: str,
    patient: Patient,
    by: Actor,
    at: datetime,
    *,
    reason_code: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    kind = row._meta.model_name or ""
    FactChange.objects.create(patient=patient, kind=kind, at=at)
    trail.record(
        by=by,
        act=f"patients.{verb}_{kind}",
        subject=row,
        patient=patient.public_id,
        site_id=patient.home_site_id,
        reason_code=reason_code[:80],
        details=dict(details or {}),
    )
