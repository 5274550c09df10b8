"""Past procedures and scores out of another system's files: what is new comes in, what is there stays, the rest is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, ClassVar

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from patients import outcomes, records
from patients.models import Aspect, DrugKind, GivenDrug, Origin, Patient, PerformedProcedure, Phase, Role, Score, folded
from patients.sheets import CellError, Problem, Sheet, SheetRow, read_date
from procedures import levels as targets
from procedures.families import NAMES
from procedures.models import Procedure
from procedures.rules import offers

BATCH, MOST_NAMED = 500, 4
SIDES = {
    "left": ("left", "l", "lt", "links", "izquierdo", "izquierda"),
    "right": ("right", "r", "rt", "rechts", "derecho", "derecha"),
    "bilateral": ("bilateral", "both", "b", "bl", "bilat", "both sides", "beidseits"),
    "midline": ("midline", "m", "middle", "central"),
}
ROLES = {
    Role.DIAGNOSTIC: (
        "diagnostic",
        "diag",
        "d",
        "test",
        "test block",
        "prognostic",
        "diagnostisch",
        "diagnostico",
        "diagnostica",
    ),
    Role.THERAPEUTIC: ("therapeutic", "ther", "t", "treatment", "therapeutisch", "terapeutico", "terapeutica"),
}
UNKNOWN = ("unknown", "unk", "not known", "?", "-", "n/a", "na", "unbekannt", "desconocido", "desconocida")
PATIENT = ("patient id", "patientid", "mrn", "patient", "patient number", "chart", "pid")
PROCEDURES: dict[str, tuple[str, ...]] = {
    "external_id": ("id", "procedure id", "encounter id", "case id", "record id"),
    "patient_external_id": PATIENT,
    "procedure": ("code", "cpt", "cpt code", "procedure code", "procedure name", "what", "eingriff", "procedimiento"),
    "done_on": ("date", "date of service", "dos", "performed on", "procedure date", "datum", "fecha"),
    "family": ("kind of procedure", "counts as"),
    "role": ("purpose", "intent", "block type", "diagnostic or therapeutic", "diagnostic/therapeutic", "zweck", "finalidad"),
    "side": ("laterality", "seite", "lado"),
    "levels": ("level", "hohe", "nivel", "niveles"),
    "site": ("location", "clinic", "facility", "standort", "sede"),
    "physician": ("operator", "doctor", "provider", "by", "arzt", "medico"),
    "steroid": ("steroid drug", "steroid id"),
    "steroid_mg": ("dose mg", "steroid dose", "dose"),
    "note": ("comment", "remarks", "notes"),
}
SCORES: dict[str, tuple[str, ...]] = {
    "patient_external_id": PATIENT,
    "measure": ("instrument", "scale", "questionnaire"),
    "aspect": ("which", "item"),
    "value": ("score", "result", "total"),
    "scored_on": ("date", "day", "datum", "fecha"),
    "procedure_external_id": ("procedure id", "about", "encounter id", "case id"),
}
REQUIRED = {
    "procedures": ("external_id", "patient_external_id", "procedure", "done_on"),
    "scores": ("patient_external_id", "measure", "value", "scored_on"),
}
SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"procedures": PROCEDURES, "scores": SCORES}
PERMISSIONS = ("patients.record_performed", "patients.record_outcome")


@dataclass
class Outcome:
    """What became of the rows so far."""

    rows: int = 0
    new: int = 0
    same: int = 0
    refused: int = 0

    def summary(self) -> str:
        return f"{self.rows} rows: {self.new} new, {self.same} unchanged, {self.refused} refused"


class RowRefused(Exception):
    """This row stays out: which field, and why."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field_name


@dataclass
class HistoryImport:
    """One run over one file of `what`, "procedures" or "scores". Batches are committed one by one; a dry run takes each back.

    A procedure's identity is its external id; a score's its patient, measure, day and procedure. A row that says
    something else than what is on file under the same identity is refused: amending is for people. `site` is that of rows
    that name none; without it such a row was done elsewhere. What was done at a site of ours has to be of the catalogue.
    A role that is not said, or is unknown, is the usual one of the procedure; where it may be either, that is told.
    """

    what: str
    by: Actor
    at: datetime
    tell: Callable[[Problem], None]
    date_order: str = ""
    is_dry_run: bool = False
    site: Site | None = None
    outcome: Outcome = field(default_factory=Outcome)
    _sites: dict[str, Site] = field(default_factory=dict)
    _procedures: dict[str, list[Procedure]] = field(default_factory=dict)
    required: ClassVar[Mapping[str, tuple[str, ...]]] = REQUIRED

    def run(self, sheet: Sheet, progress: Callable[[Outcome], None] = lambda outcome: None) -> Outcome:
        """Take every row of the sheet in; report each that stays out."""
        self.prepare()
        rows, take = sheet.rows(), self.taking()
        while batch := list(islice(rows, BATCH)):
            with transaction.atomic():
                known = self._patients(batch)
                for one in batch:
                    self._take(one, take, known)
                transaction.set_rollback(self.is_dry_run)
            progress(self.outcome)
        return self.outcome

    def prepare(self) -> None:
        """Read once what cells may name."""
        for site in Site.objects.order_by("pk"):
            self._sites.update({folded(site.slug): site, folded(site.name): site})
        for row in Procedure.objects.order_by("pk"):
            for word in {row.code, row.name, row.short_name, str(row.public_id), *row.cpt_primary}:
                self._procedures.setdefault(folded(word), []).append(row)

    def taking(self) -> Callable[[Mapping[str, str], Patient], bool]:
        """Return what takes one row in and says whether it is new."""
        return self._procedure if self.what == "procedures" else self._score

    def _patients(self, batch: list[SheetRow]) -> dict[str, Patient]:
        wanted = {row.cells.get("patient_external_id", "")[:80] for row in batch}
        return {str(one.external_id): one for one in Patient.objects.filter(external_id__in=wanted).select_related("home_site")}

    def _take(self, row: SheetRow, take: Callable[[Mapping[str, str], Patient], bool], known: Mapping[str, Patient]) -> None:
        self.outcome.rows += 1
        name = row.cells.get("external_id") or row.cells.get("patient_external_id", "")
        try:
            if row.problem:
                raise RowRefused("row", row.problem)
            for needed in self.required[self.what]:
                if not row.cells.get(needed):
                    raise RowRefused(needed, "is missing")
            patient = known.get(row.cells["patient_external_id"][:80])
            if patient is None:
                raise RowRefused("patient_external_id", "is nobody's here; import the patients first")
            with transaction.atomic():
                is_new = take(row.cells, patient)
        except RowRefused as refusal:
            self._refuse(row.line, refusal.field, str(refusal), name)
        except DomainError as error:
            self._refuse(row.line, str(error.details.get("field") or "row"), error.message, name)
        else:
            self.outcome.new += is_new
            self.outcome.same += not is_new
            if is_new and self._lacks_role(row.cells):
                reason = "is not said, and this may be either; it counts as therapeutic until somebody amends it"
                self.tell(Problem(row.line, "role", reason, external_id=name[:80], is_refused=False))

    def _lacks_role(self, cells: Mapping[str, str]) -> bool:
        """Say whether a procedure that may be diagnostic or therapeutic came in without a word about it."""
        if self.what != "procedures" or role_in(cells.get("role", "")):
            return False
        return any(offers.needs_role(one.code) for one in self._procedures.get(folded(cells["procedure"]), ()))

    def _procedure(self, cells: Mapping[str, str], patient: Patient) -> bool:
        """Take one procedure in; say whether it is new."""
        site = self._sites.get(folded(cells["site"])) if cells.get("site") else self.site
        procedure = self._meant(cells["procedure"], is_ours=site is not None)
        values: dict[str, Any] = {
            "external_id": cells["external_id"][:80],
            "done_on": self._day("done_on", cells["done_on"], patient),
            "procedure": procedure,
            "other_name": "" if procedure is not None else cells["procedure"][:160],
            "other_family": "" if procedure is not None else family_in(cells.get("family", "")),
            "side": side_in(cells.get("side", "")),
            "levels": levels_in(cells.get("levels", "")),
            "site": site,
            "is_elsewhere": site is None,
            "where_elsewhere": "" if site is not None else cells.get("site", "")[:160],
            "operator_name": cells.get("physician", "")[:120],
        }
        role = role_in(cells.get("role", ""))
        known = PerformedProcedure.objects.filter(external_id=values["external_id"]).first()
        if known is not None:
            if known.patient_id != patient.pk or any(getattr(known, name) != value for name, value in values.items()):
                raise RowRefused("external_id", "is on file and says something else; amend it there")
            if role and known.role != role:
                raise RowRefused("role", f"is {known.role} on file; amend it there")
            return False
        extra = {"origin": Origin.IMPORT, "note": cells.get("note", "")[:300], **({"role": role} if role else {})}
        performed = records.record(kind=PerformedProcedure, patient=patient, values=values | extra, by=self.by, at=self.at)
        if cells.get("steroid"):
            given = {
                "performed": performed, "kind": DrugKind.STEROID, "drug": cells["steroid"][:40], "given_on": values["done_on"],
                "dose_mg": number_in("steroid_mg", cells["steroid_mg"]) if cells.get("steroid_mg") else None,
                "origin": Origin.IMPORT,
            }  # fmt: skip
            records.record(kind=GivenDrug, patient=patient, values=given, by=self.by, at=self.at)
        return True

    def _meant(self, cell: str, *, is_ours: bool) -> Procedure | None:
        """Return the procedure that a cell means; what was done elsewhere may be none of the catalogue."""
        found = self._procedures.get(folded(cell), [])
        if len(found) > 1:
            named = ", ".join(sorted(one.code for one in found)[:MOST_NAMED])
            raise RowRefused("procedure", f"may be any of {named}; write one of them, or give it a meaning with --map FILE")
        if not found and is_ours:
            raise RowRefused(
                "procedure", "is none of the catalogue; write its code or name, or give it a meaning with --map FILE"
            )
        return found[0] if found else None

    def _score(self, cells: Mapping[str, str], patient: Patient) -> bool:
        """Take one score in; say whether it is new."""
        day = self._day("scored_on", cells["scored_on"], patient)
        aspect = cells.get("aspect", "").casefold() or (Aspect.AVERAGE if cells["measure"] == "nrs" else Aspect.TOTAL)
        if aspect not in Aspect.values:
            raise RowRefused("aspect", f"is none of {', '.join(Aspect.values)}")
        session = self._session(cells.get("procedure_external_id", ""), patient)
        value = number_in("value", cells["value"])
        is_before = session is not None and day <= session.done_on
        phase = Phase.ROUTINE if session is None else Phase.BEFORE if is_before else Phase.FOLLOW_UP
        same = {"patient": patient, "measure": cells["measure"], "aspect": aspect, "scored_on": day, "performed": session}
        known = Score.objects.standing().filter(**same).first()
        if known is not None:
            if known.value != value:
                raise RowRefused("value", "differs from the score on file of this day; amend it there")
            return False
        about = {"side": session.side, "levels": session.levels} if session is not None else {}
        values = {**same, **about, "value": value, "phase": phase, "origin": Origin.IMPORT}
        del values["patient"]
        outcomes.record_score(patient=patient, values=values, by=self.by, at=self.at)
        return True

    def _session(self, external_id: str, patient: Patient) -> PerformedProcedure | None:
        if not external_id:
            return None
        found = PerformedProcedure.objects.standing().filter(external_id=external_id[:80], patient=patient).first()
        if found is None:
            raise RowRefused("procedure_external_id", "is no procedure of this patient; import the procedures first")
        return found

    def _day(self, name: str, cell: str, patient: Patient, *, may_come: bool = False) -> date:
        """Read a day; one after today on the wall of the patient's home site has not come."""
        try:
            day = read_date(cell, self.date_order)
        except CellError as error:
            raise RowRefused(name, str(error)) from error
        if not may_come and day > patient.home_site.day_at(self.at):
            raise RowRefused(name, "is in the future")
        return day

    def _refuse(self, line: int, field_name: str, reason: str, external_id: str) -> None:
        self.outcome.refused += 1
        self.tell(Problem(line, field_name, reason, external_id=external_id[:80]))


def side_in(cell: str) -> str:
    if not cell:
        return ""
    for side, words in SIDES.items():
        if folded(cell) in words:
            return side
    raise RowRefused("side", "is not a side known here; give it a meaning with --map FILE")


def role_in(cell: str) -> str:
    """Return the role that a cell names; empty where it is unknown, so that the procedure's usual one holds."""
    said = folded(cell)
    if not said or said in UNKNOWN:
        return ""
    for role, words in ROLES.items():
        if said in words:
            return str(role)
    raise RowRefused("role", f"is none of {', '.join(map(str, ROLES))}, unknown; give it a meaning with --map FILE")


def family_in(cell: str) -> str:
    """Return the family that a cell names, by its code or as people say it."""
    if not cell:
        return ""
    for code, name in NAMES.items():
        if folded(cell.replace("_", " ")) in (folded(code.replace("_", " ")), folded(name)):
            return code
    raise RowRefused("family", f"is none of {', '.join(NAMES)}; give it a meaning with --map FILE")


def levels_in(cell: str) -> list[str]:
    try:
        return list(targets.read_levels(cell)) if cell else []
    except ValueError as error:
        raise RowRefused("levels", str(error)) from error


def number_in(name: str, cell: str) -> Decimal:
    try:
        value = Decimal(cell.replace(",", "."))
    except InvalidOperation as error:
        raise RowRefused(name, "is not a number") from error
    if not value.is_finite() or value < 0:
        raise RowRefused(name, "is not a number that can be kept")
    return value
