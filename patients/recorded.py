"""Read: what is on record about one patient, kind by kind, as pages list it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from pain_clinic.clock import days_in_words
from patients import mme
from patients.models import (
    Allergy,
    Asked,
    Condition,
    Implant,
    LabResult,
    Medication,
    MedicineKind,
    Patient,
    PlannedSurgery,
    Presentation,
    Recorded,
    Topic,
    Vaccination,
)
from procedures.tables import read

NOTHING_YET = "Nothing recorded yet"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact: its word in addresses, its model, its names on screen, and the topic under which it is asked."""

    code: str
    model: type[Recorded]
    one: str
    many: str
    topic: str = ""


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind("medicines", Medication, "medicine", "Medicines", Topic.ANTITHROMBOTICS),
        Kind("presentations", Presentation, "problem treated", "Problems treated"),
        Kind("allergies", Allergy, "allergy", "Allergies", Topic.ALLERGIES),
        Kind("conditions", Condition, "condition", "Conditions", Topic.CONDITIONS),
        Kind("implants", Implant, "implant", "Implants", Topic.IMPLANTS),
        Kind("labs", LabResult, "result", "Results"),
        Kind("vaccines", Vaccination, "vaccine", "Vaccines", Topic.VACCINES),
        Kind("surgery", PlannedSurgery, "planned operation", "Planned operations"),
        Kind("asked", Asked, "question asked with nothing found", "Asked, nothing known"),
    )
}


@dataclass(frozen=True, slots=True)
class FactLine:
    """One fact in words. `is_over`: it was stopped, ended or removed."""

    public_id: UUID
    text: str
    more: str
    on: date | None
    is_over: bool = False
    can_hurt: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """All facts of one kind, those that still hold first. Without any, `nothing` says what is known instead."""

    code: str
    title: str
    lines: tuple[FactLine, ...]
    nothing: str = NOTHING_YET


@dataclass(frozen=True, slots=True)
class OnRecord:
    """Everything on record about one patient, and the opioids of the day in morphine equivalents."""

    groups: tuple[Group, ...]
    mme: mme.Total
    takes_opioids: bool

    @property
    def can_hurt(self) -> tuple[FactLine, ...]:
        """Return what can hurt in a procedure."""
        return tuple(line for group in self.groups for line in group.lines if line.can_hurt and not line.is_over)


def on_record(*, patient: Patient, on: date) -> OnRecord:
    """Return what is on record about a patient, in one statement for each kind."""
    rows = {
        code: list(kind.model._default_manager.filter(patient=patient, is_in_error=False).order_by("-recorded_at", "-pk"))
        for code, kind in KINDS.items()
    }
    asked = {row.topic: row for row in reversed(rows["asked"]) if isinstance(row, Asked)}
    groups = tuple(_group(kind, rows[code], asked, on) for code, kind in KINDS.items())
    medicines = [row for row in rows["medicines"] if isinstance(row, Medication)]
    opioids = [row for row in medicines if row.kind == MedicineKind.OPIOID]
    taken = [mme.Taken(row.drug, row.daily_amount, row.started_on, row.stopped_on) for row in opioids]
    return OnRecord(groups, mme.total(taken, mme_factors(), on), any(one.is_taken_on(on) for one in taken))


def can_hurt(*, patient: Patient, on: date) -> tuple[tuple[str, FactLine], ...]:
    """Return what can hurt in a procedure by its kind, and nothing else: for where somebody is chosen. Four statements."""
    found = []
    for code in ("medicines", "allergies", "conditions", "implants"):
        rows = KINDS[code].model._default_manager.filter(patient=patient, is_in_error=False).order_by("-recorded_at", "-pk")
        found += [(code, _line(row, on)) for row in rows]
    return tuple((code, line) for code, line in found if line.can_hurt and not line.is_over)


@cache
def mme_factors() -> dict[str, Decimal]:
    """Return the table's factors by opioid (source: CDC 2022, in `procedures/data/outcomes.yaml`)."""
    rows = read(only=("outcomes",))["outcomes"].content["mme_factors"]
    return {row["opioid"]: Decimal(str(row["factor"])) for row in rows}


def problem_told(row: Presentation) -> str:
    """Return where a problem is and its diagnosis code."""
    return ", ".join(filter(None, [row.icd10, *row.levels, row.side, f"ended {row.ended_on}" if row.ended_on else ""]))


def _group(kind: Kind, rows: Sequence[Any], asked: dict[str, Asked], on: date) -> Group:
    lines = sorted((_line(row, on) for row in rows), key=lambda line: line.is_over)
    known = asked.get(kind.topic)
    nothing = days_in_words(f"Asked on {known.asked_on}: none") if known is not None else NOTHING_YET
    return Group(kind.code, kind.many, tuple(lines), nothing)


def _line(row: Any, on: date) -> FactLine:
    if isinstance(row, Presentation):
        is_over = row.ended_on is not None and row.ended_on <= on
        return FactLine(row.public_id, row.name, problem_told(row), row.pain_since, is_over)
    if isinstance(row, Medication):
        is_over = row.stopped_on is not None and row.stopped_on <= on
        more = ", ".join(part for part in (row.dose, f"stopped {row.stopped_on}" if row.stopped_on else "") if part)
        return FactLine(row.public_id, row.name, more, row.started_on, is_over, row.kind == MedicineKind.ANTITHROMBOTIC)
    if isinstance(row, Allergy):
        return FactLine(row.public_id, str(row), row.get_severity_display().lower(), None, can_hurt=True)
    if isinstance(row, Condition):
        is_over = row.ended_on is not None and row.ended_on <= on
        can_hurt = row.kind in {"pregnancy", "infection", "bleeding_risk"}
        return FactLine(row.public_id, str(row), row.icd10, row.began_on, is_over, can_hurt)
    if isinstance(row, Implant):
        is_over = row.removed_on is not None and row.removed_on <= on
        return FactLine(row.public_id, str(row), "", row.placed_on, is_over, can_hurt=True)
    if isinstance(row, LabResult):
        return FactLine(row.public_id, f"{row.get_test_display()}: {row.value.normalize():f}", "", row.taken_on)
    if isinstance(row, Vaccination):
        return FactLine(row.public_id, str(row), "", row.given_on)
    if isinstance(row, PlannedSurgery):
        return FactLine(row.public_id, row.get_kind_display(), row.site.replace("_", " "), row.planned_on, row.planned_on < on)
    assert isinstance(row, Asked)
    return FactLine(row.public_id, row.get_topic_display(), "none", row.asked_on)
