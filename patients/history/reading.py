"""Read everything that is on record about one patient, in seven statements whatever there is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import BigIntegerField, CharField, DateField, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Coalesce

from patients.models import (
    Allergy,
    Complication,
    Condition,
    Coverage,
    GivenDrug,
    Implant,
    LabResult,
    Medication,
    Patient,
    PerformedProcedure,
    PlannedSurgery,
    Score,
    Vaccination,
)
from patients.models import Asked as Topics
from procedures import tables
from procedures.models import RuleRow

NOBODY = -1  # stands for the patient in statements that are put together once


@dataclass(frozen=True, slots=True)
class Done:
    """A performed procedure with its note and its outcome."""

    pk: int
    public_id: UUID
    short_name: str | None
    name: str | None
    category: str | None
    family: str | None
    level_scheme: str | None
    own_regions: list[str] | None
    other_name: str
    done_on: date
    done_at: datetime | None
    is_elsewhere: bool
    where_elsewhere: str
    side: str
    levels: list[str]
    regions: list[str]
    body_site: str
    role: str
    guidance: str
    operator_name: str
    fluoroscopy_seconds: int | None
    dose_ugy_m2: Decimal | None
    note_id: UUID | None
    note_signed_at: datetime | None
    note_is_in_error: bool | None
    score_count: int | None
    baseline: Decimal | None
    best_pct: Decimal | None  # of all scores, those of the day itself included
    later_pct: Decimal | None  # of those by which a session is judged: see `SessionOutcome`
    held_50_until: date | None
    lost_50_on: date | None


DONE = (
    "pk", "public_id", "procedure__short_name", "procedure__name", "procedure__category", "procedure__family",
    "procedure__level_scheme", "procedure__regions", "other_name", "done_on", "done_at", "is_elsewhere", "where_elsewhere",
    "side", "levels", "regions", "body_site", "role", "guidance", "operator_name", "fluoroscopy_seconds", "dose_ugy_m2",
    "clinical_note__public_id", "clinical_note__signed_at", "clinical_note__is_in_error", "outcome__score_count",
    "outcome__baseline", "outcome__best_pct", "outcome__later_best_pct", "outcome__later_50_until", "outcome__later_50_lost_on",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    performed_id: int | None
    kind: str
    drug: str
    dose_mg: Decimal | None
    given_on: date


@dataclass(frozen=True, slots=True)
class Scored:
    measure: str
    aspect: str
    value: Decimal | None
    range_text: str
    scored_on: date
    scored_at: datetime | None
    phase: str
    performed_id: int | None
    origin: str


@dataclass(frozen=True, slots=True)
class Taken:
    kind: str
    drug: str
    name: str
    dose: str
    daily_amount: Decimal | None
    indication: str
    started_on: date | None
    last_dose_at: datetime | None
    stopped_on: date | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact of any other kind, in the columns that all of them have."""

    what: str
    code: str
    name: str
    more: str
    on: date | None
    until: date | None
    about: int | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Covered:
    """A coverage, with one of its authorisations or none."""

    payer: str
    plan_type: str
    member_number: str
    valid_from: date | None
    valid_until: date | None
    rank: int
    number: str | None
    covers: str | None
    side: str | None
    levels: list[str] | None
    status: str | None
    asked_on: date | None
    decided_on: date | None
    allowed_from: date | None
    allowed_until: date | None
    units: int | None
    is_withdrawn: bool | None
    used: int | None


COVERED = (
    "payer", "plan_type", "member_number", "valid_from", "valid_until", "rank", "authorizations__number",
    "authorizations__covers", "authorizations__side", "authorizations__levels", "authorizations__status",
    "authorizations__asked_on", "authorizations__decided_on", "authorizations__valid_from", "authorizations__valid_until",
    "authorizations__units", "authorizations__is_in_error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """All of it."""

    done: tuple[Done, ...]  # the latest first
    given: tuple[Given, ...]
    scores: tuple[Scored, ...]  # the earliest first
    medicines: tuple[Taken, ...]
    facts: tuple[Fact, ...]
    covered: tuple[Covered, ...]
    steroids: tuple[tuple[str, str, dict[str, Any]], ...]  # section, row, what the row says

    def drugs_of(self) -> dict[int | None, list[Given]]:
        """Return the drugs given in each session."""
        found: dict[int | None, list[Given]] = defaultdict(list)
        for one in self.given:
            found[one.performed_id].append(one)
        return found

    def scores_of(self) -> dict[int | None, list[Scored]]:
        """Return the scores about each session, in the order in which they were given."""
        found: dict[int | None, list[Scored]] = defaultdict(list)
        for one in self.scores:
            found[one.performed_id].append(one)
        return found

    def of(self, what: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.what == what]


def read(patient: Patient, on: date) -> Rows:
    """Return what stands on record about a patient; the steroid rows are those in force on a day."""
    found = {name: _run(name, patient) for name in _compiled()}
    return Rows(
        done=tuple(Done(*row) for row in found["done"]),
        given=tuple(Given(*row) for row in found["given"]),
        scores=tuple(Scored(*row) for row in found["scores"]),
        medicines=tuple(Taken(*row) for row in found["medicines"]),
        facts=tuple(Fact(*row) for row in found["facts"]),
        covered=tuple(Covered(*row) for row in found["covered"]),
        steroids=_steroids(on),
    )


def _run(name: str, patient: Patient) -> list[tuple[Any, ...]]:
    sql, params = _compiled()[name]
    with connection.cursor() as cursor:
        cursor.execute(sql, [patient.pk if param == NOBODY else param for param in params])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


@cache
def _compiled() -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Return the statements, put together once for nobody in particular: building them costs more than running them."""
    nobody = Patient(pk=NOBODY)
    given = GivenDrug.objects.of(nobody).order_by("given_on", "pk")
    scores = Score.objects.of(nobody).order_by("scored_on", F("scored_at").asc(nulls_first=True), "pk")
    medicines = Medication.objects.of(nobody).order_by("-started_on", "name", "pk")
    rows: dict[str, QuerySet[Any, Any]] = {
        "done": PerformedProcedure.objects.of(nobody).order_by("-done_on", "-done_at", "-pk").values_list(*DONE),
        "given": given.values_list("performed_id", "kind", "drug", "dose_mg", "given_on"),
        "scores": scores.values_list(
            "measure", "aspect", "value", "range_text", "scored_on", "scored_at", "phase", "performed_id", "origin"
        ),
        "medicines": medicines.values_list(
            "kind",
            "drug",
            "name",
            "dose",
            "daily_amount",
            "indication",
            "started_on",
            "last_dose_at",
            "stopped_on",
            "recorded_at",
        ),
        "facts": _facts(nobody),
        "covered": _covered(nobody),
    }
    return {name: one.query.sql_with_params() for name, one in rows.items()}


def _facts(patient: Patient) -> QuerySet[Any, Any]:
    """Return every other kind of fact as one statement."""
    first, *others = (
        _of_kind(Allergy, patient, code="agent", name="name", more="severity"),
        # An infection's last antibiotic day stands where another condition has its code.
        _of_kind(
            Condition, patient, code="kind", name="name", on="began_on", until="ended_on",
            more=Coalesce(Cast("antibiotics_until", CharField()), Cast("icd10", CharField())),
        ),
        _of_kind(Implant, patient, code="device", name="name", on="placed_on", until="removed_on"),
        _of_kind(LabResult, patient, code="test", name="value", on="taken_on"),
        _of_kind(Vaccination, patient, code="kind", on="given_on"),
        _of_kind(PlannedSurgery, patient, code="kind", name="site", on="planned_on"),
        _of_kind(Complication, patient, code="kind", name="severity", more="outcome", on="noticed_on", about="performed_id"),
        _of_kind(Topics, patient, code="topic", on="asked_on"),
    )  # fmt: skip
    return first.union(*others, all=True)


def _of_kind(
    kind: Any, patient: Patient, *, code: str, name: str = "", more: Any = "", on: str = "", until: str = "", about: str = ""
) -> QuerySet[Any, Any]:
    def text(what: Any) -> Any:
        return Cast(what, CharField()) if what else Value("", CharField())

    rows: QuerySet[Any, Any] = kind.objects.of(patient)
    told: QuerySet[Any, Any] = rows.annotate(
        a_what=Value(kind._meta.model_name, CharField()),
        a_code=text(code),
        a_name=text(name),
        a_more=text(more),
        a_on=F(on) if on else Cast(Value(None), DateField()),
        a_until=F(until) if until else Cast(Value(None), DateField()),
        a_about=F(about) if about else Cast(Value(None), BigIntegerField()),
    ).values_list("a_what", "a_code", "a_name", "a_more", "a_on", "a_until", "a_about", "recorded_at")  # fmt: skip
    return told


def _covered(patient: Patient) -> QuerySet[Any, Any]:
    rows = Coverage.objects.of(patient).values_list(*COVERED)
    used = Sum("authorizations__uses__units", filter=Q(authorizations__uses__is_in_error=False))
    return rows.annotate(used=used).order_by("rank", "-authorizations__valid_until", "pk", "authorizations__pk")


def _steroids(on: date) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Return the rows of the clinic's steroid table in force on a day; the shipped ones where none were loaded."""
    rows = RuleRow.objects.filter(table="steroids").in_order()
    loaded = list(rows.values_list("section", "row_id", "data", "is_enabled", "effective_from", "effective_to"))
    if not loaded:
        return _shipped_steroids()
    return tuple(
        (section, code, data)
        for section, code, data, is_enabled, begins, ends in loaded
        if is_enabled and (begins is None or begins <= on) and (ends is None or on <= ends)
    )


@cache
def _shipped_steroids() -> tuple[tuple[str, str, dict[str, Any]], ...]:
    table = tables.read(only=("steroids",))["steroids"].content
    return tuple((section, row["id"], row) for section in ("drugs", "rules") for row in table[section])
