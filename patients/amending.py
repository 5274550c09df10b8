"""Amend what was done: every change under row history, with its reason and somebody who stands for it. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, Forbidden
from patients import coverage, notes, outcomes, records
from patients.models import Amendment, Complication, GivenDrug, PerformedProcedure
from patients.records import FactStale, FieldRefused, MayNotRecord
from procedures.levels import regions_in_words

RECORD, BILL = "patients.record_performed", "patients.change_coverage"
# What of a performed procedure may be amended, as the page and the amendment call it.
FIELDS: Mapping[str, str] = {
    "procedure": "Procedure", "side": "Side", "levels": "Levels", "regions": "Regions", "body_site": "Body part", "role": "Role",
    "guidance": "Guidance", "sedation": "Sedation", "operator": "Operator's account", "operator_name": "By",
    "fluoroscopy_seconds": "Fluoroscopy, seconds", "dose_ugy_m2": "Dose-area product, µGy·m²", "is_image_saved": "Image saved",
    "indication": "For the payer it was", "function_improved": "Function better", "medication_reduced": "Less medicine",
    "medication_reduction": "Less medicine, percent", "relief_matched_agent": "Relief lasted as the anaesthetic does",
    "lead_removed_on": "Leads removed on", "has_kx": "Billed with KX", "note": "Remark",
}  # fmt: skip
Part = TypeVar("Part", GivenDrug, Complication)
OF_SCORES = frozenset({"role"})  # by which scores say something else of the session


class NothingDiffers(Conflict):
    def __init__(self) -> None:
        super().__init__("nothing_differs", "Nothing is different from what is on record.")


class AmendmentSigned(Conflict):
    def __init__(self) -> None:
        super().__init__("amendment_signed", "This amendment is signed already.")


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug as it is to stand; `row` is the one on record that it replaces, None for one that was left out."""

    kind: str
    drug: str
    dose_mg: Decimal | None = None
    volume_ml: Decimal | None = None
    row: GivenDrug | None = None

    @property
    def words(self) -> str:
        return _drug_in_words(self.drug, self.dose_mg, self.volume_ml)


@dataclass(frozen=True, slots=True)
class Harm:
    """A complication that came up afterwards."""

    kind: str
    severity: str
    noticed_on: Any
    outcome: str = ""


def amend(
    *,
    performed: PerformedProcedure,
    changes: Mapping[str, Any],
    reason: str,
    by: Actor,
    at: datetime,
    version: int,
    drugs: Sequence[Drug] | None = None,
    harms: Sequence[Harm] = (),
    is_signed: bool = False,
) -> Amendment:
    """Amend a performed procedure; with `drugs`, those are all that stand afterwards. The amendment says what was, and why.

    Locks the procedure: of two who amend the same version one is told what the other did.

    Raises:
        MayNotRecord: the actor may not record what was done; Forbidden: nor sign, where it is to be signed.
        FactStale: it is no longer at `version`.
        FieldRefused: a value cannot be kept, or there is no reason.
        NothingDiffers: nothing is.
        NotAFact: it was marked as recorded by mistake.
    """
    _must_be_well_said(by, reason, is_signed)
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise FieldRefused("field_unknown", unknown[0], "This cannot be amended.")
    with transaction.atomic():
        kept = _locked(performed)
        if kept.version != version:
            raise FactStale(kept)
        told = [*_fields(kept, changes, by, at), *_drugs(kept, drugs, by, at), *_harms(kept, harms, by, at)]
        if not told:
            raise NothingDiffers
        if OF_SCORES & changes.keys():
            outcomes.refresh([kept.pk])
        return _keep(kept, told, reason, is_signed, by, at)


def amend_part(
    *, row: Part, changes: Mapping[str, Any], reason: str, by: Actor, at: datetime, version: int, is_signed: bool = False
) -> Part:
    """Amend one drug given or one complication; the amendment stands with the procedure that it belongs to.

    A steroid given outside any procedure has no amendments: why it was changed goes to its note, what it was to its history.

    Raises:
        As `amend`; `version` is that of the row itself.
    """
    _must_be_well_said(by, reason, is_signed)
    if row.performed is None:
        told = "; ".join(part for part in (row.note, reason.strip()) if part)[-300:]
        return records.amend_fact(row=row, changes={"note": told, **changes}, by=by, at=at, version=version)
    with transaction.atomic():
        kept = _locked(row.performed)
        before = _part_words(row)
        changed = records.amend_fact(row=row, changes=changes, by=by, at=at, version=version)
        if changed.version == version:
            raise NothingDiffers
        _keep(kept, [[_part_name(row), before, _part_words(changed)]], reason, is_signed, by, at)
    return changed


def withdraw_part(*, row: Part, reason: str, by: Actor, at: datetime, version: int) -> Part:
    """Say that a drug or a complication was written down by mistake; its procedure keeps that as an amendment.

    Raises:
        As `records.mark_in_error`.
    """
    with transaction.atomic():
        performed: PerformedProcedure | None = row.performed
        kept = _locked(performed) if performed is not None else None
        gone = records.mark_in_error(row=row, reason=reason, by=by, at=at, version=version)
        if kept is not None:
            _keep(kept, [[_part_name(row), _part_words(row), ""]], reason, False, by, at)
    return gone


def sign(*, amendment: Amendment, by: Actor, at: datetime) -> Amendment:
    """Sign an amendment that somebody else wrote down; signing one's own signature again changes nothing.

    Raises:
        Forbidden: the actor may not sign.
        AmendmentSigned: somebody else signed it.
    """
    signer = notes.signer_of(by)
    with transaction.atomic():
        kept = Amendment.objects.select_for_update(no_key=True, of=("self",)).get(pk=amendment.pk)
        if kept.signed_at is not None:
            if kept.signed_by_id == by.user_id:
                return kept
            raise AmendmentSigned
        return records.amend_fact(row=kept, changes={"signed_at": at, "signed_by": signer}, by=by, at=at, reason="sign")


def bill_kx(
    *, performed: PerformedProcedure, has_kx: bool | None, by: Actor, at: datetime, version: int
) -> PerformedProcedure:  # fmt: skip
    """Say whether a diagnostic block was billed with the KX flag: without it payers count it as a treatment.

    It is billing's word, under the permission of coverage; nothing else of the procedure changes.

    Raises:
        MayNotRecord: the actor may not record coverage.
        FieldRefused: it is no diagnostic block, so nobody asks for the flag.
        FactStale, NotAFact: as for `amend`; NothingDiffers: it is so on record.
    """
    if not by.may(BILL):
        raise MayNotRecord(BILL)
    if not coverage.has_kx_question(performed):
        raise FieldRefused("no_block", "has_kx", "The KX flag is asked of diagnostic facet blocks only.")
    with transaction.atomic():
        kept = _locked(performed)
        before = _in_words(kept, "has_kx")
        row = records.amend_fact(row=kept, changes={"has_kx": has_kx}, by=by, at=at, version=version, under=BILL)
        if row.version == kept.version:
            raise NothingDiffers
        values = {"performed": kept, "changes": [[FIELDS["has_kx"], before, _in_words(row, "has_kx")]], "reason": "Billing"}
        records.record(kind=Amendment, patient=kept.patient, values=values, by=by, at=at, under=BILL)
    return row


def amendments_of(performed: PerformedProcedure, *, after_version: int = 0) -> list[Amendment]:
    """Return the amendments of a performed procedure, newest first; those since a version, where one is given."""
    rows = Amendment.objects.standing().filter(performed=performed).select_related("recorded_by", "signed_by")
    found = list(rows.order_by("-recorded_at", "-pk"))
    # Each amendment raised the version by one, so the newest ones are those since.
    return found if not after_version else found[: max(0, performed.version - after_version)]


def _must_be_well_said(by: Actor, reason: str, is_signed: bool) -> None:
    if not by.may(RECORD):
        raise MayNotRecord(RECORD)
    if is_signed and not by.may(notes.SIGN):
        raise Forbidden("not_allowed", "You may not sign amendments.")
    if not reason.strip():
        raise FieldRefused("missing", "reason", "Say why this is amended.")


def _keep(
    kept: PerformedProcedure, told: list[list[str]], reason: str, is_signed: bool, by: Actor, at: datetime
) -> Amendment:  # fmt: skip
    """Write the amendment of a procedure, locked at the version that it had before, and raise that by one."""
    _raise_version(kept.pk, kept.version)
    values: dict[str, Any] = {"performed": kept, "changes": told, "reason": reason.strip()[:300]}
    if is_signed:
        values |= {"signed_at": at, "signed_by": notes.signer_of(by)}
    return records.record(kind=Amendment, patient=kept.patient, values=values, by=by, at=at)


def _part_name(row: GivenDrug | Complication) -> str:
    return "Drug" if isinstance(row, GivenDrug) else "Complication"


def _part_words(row: GivenDrug | Complication) -> str:
    """Return a drug or a complication whole, so that whatever was changed is seen."""
    if isinstance(row, GivenDrug):
        told = [_words_of(row), row.get_kind_display().lower(), row.given_on.isoformat(), row.note]
    else:
        told = [row.get_kind_display(), row.severity, row.noticed_on.isoformat(), row.outcome, row.note]
    return ", ".join(part for part in told if part)


def _locked(performed: PerformedProcedure) -> PerformedProcedure:
    return PerformedProcedure.objects.select_for_update(no_key=True, of=("self",)).get(pk=performed.pk)


def _fields(kept: PerformedProcedure, changes: Mapping[str, Any], by: Actor, at: datetime) -> Iterator[list[str]]:
    before = {name: _in_words(kept, name) for name in changes}
    row = records.amend_fact(row=kept, changes=changes, by=by, at=at)
    for name in FIELDS:
        if name in changes and getattr(kept, name) != getattr(row, name):
            yield [FIELDS[name], before[name], _in_words(row, name)]


def _drugs(kept: PerformedProcedure, drugs: Sequence[Drug] | None, by: Actor, at: datetime) -> Iterator[list[str]]:
    if drugs is None:
        return
    standing = {row.pk: row for row in GivenDrug.objects.standing().filter(performed=kept).order_by("pk")}
    named = {drug.row.pk for drug in drugs if drug.row is not None}
    if named - set(standing):
        raise FieldRefused("not_this_procedure", "drugs", "This drug was given in another procedure.")
    for key, row in standing.items():
        if key not in named:
            records.mark_in_error(row=row, reason="Amended: it was not given.", by=by, at=at)
            yield ["Drug", _words_of(row), ""]
    for drug in drugs:
        values = {"kind": drug.kind, "drug": drug.drug, "dose_mg": drug.dose_mg, "volume_ml": drug.volume_ml}
        if drug.row is None:
            given = {**values, "performed": kept, "given_on": kept.done_on}
            records.record(kind=GivenDrug, patient=kept.patient, values=given, by=by, at=at)
            yield ["Drug", "", drug.words]
            continue
        row, before = standing[drug.row.pk], _words_of(standing[drug.row.pk])
        if records.amend_fact(row=row, changes=values, by=by, at=at).version != row.version:
            yield ["Drug", before, drug.words]


def _harms(kept: PerformedProcedure, harms: Sequence[Harm], by: Actor, at: datetime) -> Iterator[list[str]]:
    for harm in harms:
        values = {
            "performed": kept, "kind": harm.kind, "severity": harm.severity, "noticed_on": harm.noticed_on,
            "outcome": harm.outcome,
        }  # fmt: skip
        row = records.record(kind=Complication, patient=kept.patient, values=values, by=by, at=at)
        yield ["Complication", "", f"{row.get_kind_display()}, {row.severity}"]


def _raise_version(key: int, version: int) -> None:
    """Let every amendment raise the procedure's version by exactly one, whatever it changed."""
    PerformedProcedure.objects.filter(pk=key).update(version=version + 1)


def _words_of(row: GivenDrug) -> str:
    return _drug_in_words(row.drug, row.dose_mg, row.volume_ml)


def _drug_in_words(drug: str, dose_mg: Decimal | None, volume_ml: Decimal | None) -> str:
    amounts = [f"{amount.normalize():f} {unit}" for amount, unit in ((dose_mg, "mg"), (volume_ml, "mL")) if amount is not None]
    return " ".join([drug.replace("_", " "), *amounts])


def _in_words(row: PerformedProcedure, name: str) -> str:
    value = getattr(row, name)
    if name == "regions":
        return regions_in_words(value)
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return (
        ""
        if value is None
        else str(value).replace("_", " ")
        if name in {"guidance", "sedation", "role", "body_site"}
        else str(value)
    )
