"""What was done to a patient elsewhere, with the drugs given there: written down so that rules, totals and courses count it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict
from patients import records
from patients.models import GivenDrug, Origin, Patient, PerformedProcedure, folded
from patients.records import FieldRefused
from procedures import levels as targets
from procedures.families import NAMES
from procedures.models import Procedure
from procedures.rules.offers import Offer

# Of what is wrong with a target, what counts for work of the past: not whether it is offered here, nor by which imaging.
OF_TARGET = {"side_not_offered": "side", "level_not_offered": "levels", "region_not_offered": "regions"}


class PossibleDouble(Conflict):
    """The same work of the same day is on record; `found` are those rows."""

    def __init__(self, found: Sequence[PerformedProcedure]) -> None:
        super().__init__(
            "possible_double",
            "The same procedure of the same day is on record already. Look at it, or say that this is another one.",
            {"count": len(found)},
        )
        self.found = tuple(found)


@dataclass(frozen=True, slots=True)
class Given:
    """A drug that was given there."""

    kind: str
    drug: str
    dose_mg: Decimal | None = None
    volume_ml: Decimal | None = None


def record(
    *,
    patient: Patient,
    values: Mapping[str, Any],
    drugs: Sequence[Given] = (),
    by: Actor,
    at: datetime,
    is_another: bool = False,
    is_unplaced: bool = False,
) -> PerformedProcedure:
    """Write down what was done elsewhere, with what was given.

    `is_another` says that it is another one than what is on record of that day; `is_unplaced` that side, level or region
    are not known. Locks the patient, so that of two who write down the same one is asked.

    Raises:
        MayNotRecord: the actor may not record what was done.
        FieldRefused: it has no day or one to come, names neither a procedure nor what it was, or a place that it is not done at.
        PossibleDouble: the same procedure of the same day is on record.
    """
    given = {"origin": Origin.ELSEWHERE, **values, "is_elsewhere": True}
    procedure: Procedure | None = given.get("procedure")
    if procedure is not None:  # where there is one side or region only, it need not be said
        given["side"] = given.get("side") or targets.default_side(procedure)
        given["regions"] = list(given.get("regions") or targets.default_regions(procedure))
    check(patient=patient, values=given, at=at, is_unplaced=is_unplaced)
    with transaction.atomic():
        Patient.objects.select_for_update(no_key=True, of=("self",)).get(pk=patient.pk)
        found = [] if is_another else doubles(patient=patient, values=given)
        if found:
            raise PossibleDouble(found)
        row = records.record(kind=PerformedProcedure, patient=patient, values=given, by=by, at=at)
        for drug in drugs:
            told = {
                "performed": row, "kind": drug.kind, "drug": drug.drug, "dose_mg": drug.dose_mg, "volume_ml": drug.volume_ml,
                "given_on": row.done_on, "origin": Origin.ELSEWHERE,
            }  # fmt: skip
            records.record(kind=GivenDrug, patient=patient, values=told, by=by, at=at)
    return row


def check(*, patient: Patient, values: Mapping[str, Any], at: datetime, is_unplaced: bool = False) -> None:
    """See that something done elsewhere can have been so.

    Raises:
        FieldRefused: as for `record`.
    """
    done_on: date | None = values.get("done_on")
    if done_on is None:
        raise FieldRefused("missing", "done_on", "Say on which day.")
    if done_on > at.astimezone(ZoneInfo(patient.home_site.time_zone)).date():
        raise FieldRefused("in_the_future", "done_on", "This day is still to come.")
    if done_on < patient.birth_date:
        raise FieldRefused("before_birth", "done_on", "This day is before the patient was born.")
    procedure: Procedure | None = values.get("procedure")
    family = values.get("other_family", "")
    if procedure is None and not str(values.get("other_name", "")).strip():
        raise FieldRefused("missing", "procedure", "Choose the procedure, or write what it was.")
    if family and (procedure is not None or family not in NAMES):
        raise FieldRefused("family_unknown", "other_family", "A family is said only where no procedure of ours is chosen.")
    if procedure is None:
        return
    wrong = targets.validate_target(
        procedure, values.get("side", ""), values.get("levels", ()), values.get("regions", ()), is_booked=is_unplaced
    )
    for finding in wrong:
        field = OF_TARGET.get(finding.code)
        if field is not None and not (is_unplaced and not values.get(field)):
            raise FieldRefused(finding.code, field, finding.message)


def doubles(*, patient: Patient, values: Mapping[str, Any]) -> list[PerformedProcedure]:
    """Return what is on record of the same procedure, or under the same name, of the same day."""
    rows = PerformedProcedure.objects.of(patient).filter(done_on=values["done_on"]).select_related("procedure").order_by("pk")
    procedure, name = values.get("procedure"), folded(str(values.get("other_name", "")))
    if procedure is not None:
        return [row for row in rows if row.procedure_id == procedure.pk]
    return [row for row in rows if row.procedure_id is None and folded(row.other_name) == name]


def usual_role(procedure: Procedure | None) -> str:
    """Return the role that work has where nobody says which."""
    return "therapeutic" if procedure is None else Offer(procedure.code, procedure.family).default_role
