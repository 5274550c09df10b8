"""What is true of patients, who pays and what payers authorised, out of other systems' files: as for past procedures.

A row's identity is its patient and the fields in which no two facts of a kind are alike. A row that says something else than
what is on file under the same identity is refused, for amending is for people; an empty cell says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models

from patients import problems, records
from patients.importing_history import PATIENT, HistoryImport, RowRefused, levels_in, number_in, side_in
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    Condition,
    Coverage,
    Decision,
    Implant,
    LabResult,
    Medication,
    MedicineKind,
    Origin,
    Patient,
    PlannedSurgery,
    Presentation,
    Recorded,
    Vaccination,
    folded,
)
from patients.sheets import CellError, read_time
from procedures import rulebook
from procedures.models import Procedure
from procedures.tables import read

NO_RULES = "none"
END_OF_DAY = time(23, 59)  # of a last dose without a time: it may have been taken so late
LONGEST_NUMBER = 32_767
TRUE, FALSE = ("yes", "y", "true", "1", "si", "ja", "x"), ("no", "n", "false", "0", "nein")
_APART = re.compile(r"[\s,;|]+")


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of file: the model of its rows, their columns with synonyms, what each row needs, and what tells two apart.

    `coming` are the days that may lie ahead.
    """

    model: type[Recorded]
    columns: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    identity: tuple[str, ...]
    coming: frozenset[str] = frozenset()


_NOTE = {"note": ("comment", "remarks", "notes")}
_SINCE = ("since", "start", "start date", "onset", "from", "begin")
_UNTIL = ("until", "end", "end date", "resolved", "stop", "stop date")
SORTS: Mapping[str, Sort] = {
    "coverage": Sort(
        Coverage,
        {
            "payer": ("insurance", "insurer", "payer name", "carrier", "versicherung", "aseguradora"),
            "payer_rules": ("rules", "rule set", "policy"),
            "plan_type": ("plan", "line of business", "lob", "type"),
            "member_number": ("member id", "member", "subscriber id", "policy number", "insurance id"),
            "state": ("st",),
            "place_of_service": ("pos",),
            "valid_from": ("effective date", "effective from", *_SINCE),
            "valid_until": ("termination date", "effective to", "expires", *_UNTIL),
            "year_anchor": ("plan year", "plan year start"),
            "rank": ("order", "priority", "cob"),
        },
        ("payer", "payer_rules", "plan_type"), ("payer", "valid_from"), frozenset({"valid_from", "valid_until", "year_anchor"}),
    ),
    "authorizations": Sort(
        Authorization,
        {
            "coverage": ("payer", "insurance", "plan", "payer name"),
            "number": ("authorization number", "auth number", "reference", "auth id", "id"),
            "covers": ("procedure", "family", "for", "service"),
            "codes": ("cpt", "cpt codes", "code", "hcpcs"),
            "side": ("laterality", "seite", "lado"),
            "levels": ("level", "nivel", "niveles"),
            "status": ("state", "decision"),
            "asked_on": ("requested", "requested on", "request date"),
            "decided_on": ("decided", "decision date", "approved on"),
            "valid_from": ("effective date", "effective from", *_SINCE),
            "valid_until": ("expires", "expiration", "effective to", *_UNTIL),
            "units": ("visits", "quantity", "units approved"),
        },
        ("covers", "status"), ("number", "covers", "asked_on", "decided_on"), frozenset({"valid_from", "valid_until"}),
    ),
    "medicines": Sort(
        Medication,
        {
            "kind": ("class",),
            "drug": ("table drug", "drug id"),
            "name": ("medicine", "medication", "description", "drug name"),
            "dose": ("strength", "sig"),
            "daily_amount": ("mg a day", "daily mg", "daily dose"),
            "indication": ("for what", "reason", "reasondescription"),
            "prescriber": ("prescribed by", "doctor", "provider"),
            "prescriber_contact": ("prescriber phone", "prescriber fax"),
            "started_on": _SINCE,
            "last_dose_at": ("last dose", "last taken"),
            "stopped_on": _UNTIL,
        },
        ("kind", "name"), ("kind", "drug", "name", "started_on"), frozenset({"last_dose_at", "stopped_on"}),
    ),
    "allergies": Sort(
        Allergy,
        {
            "agent": ("substance", "allergen", "code"), "name": ("description", "text"),
            "severity": ("severity1", "reaction", "grade"),
        },
        ("agent",), ("agent", "name"),
    ),
    "conditions": Sort(
        Condition,
        {
            "kind": ("condition", "problem", "code"), "name": ("description", "text"),
            "icd10": ("icd", "icd 10", "diagnosis code"),
            "began_on": _SINCE, "ended_on": _UNTIL, "antibiotics_until": ("antibiotics", "antibiotics end"),
        },
        ("kind",), ("kind", "name", "began_on"), frozenset({"antibiotics_until"}),
    ),
    "implants": Sort(
        Implant,
        {
            "device": ("implant", "code"), "name": ("description", "text"), "placed_on": ("implanted", *_SINCE),
            "removed_on": ("explanted", *_UNTIL), "is_after_acs": ("after acs",), "has_plan": ("device plan",),
        },
        ("device",), ("device", "name", "placed_on"),
    ),
    "labs": Sort(
        LabResult,
        {"test": ("lab", "analyte", "code"), "value": ("result", "amount"), "taken_on": ("date", "collected", "sample date")},
        ("test", "value", "taken_on"), ("test", "value", "taken_on"),
    ),
    "vaccines": Sort(
        Vaccination, {"kind": ("vaccine", "type"), "given_on": ("date", "given", "planned")},
        ("kind", "given_on"), ("kind", "given_on"), frozenset({"given_on"}),
    ),
    "surgery": Sort(
        PlannedSurgery, {"kind": ("operation", "type"), "site": ("where", "body site"), "planned_on": ("date", "planned")},
        ("kind", "planned_on"), ("kind", "site", "planned_on"), frozenset({"planned_on"}),
    ),
    "presentations": Sort(
        Presentation,
        {
            "name": ("problem", "complaint", "description", "text"),
            "indication": ("payer indication", "for the payer"),
            "icd10": ("icd", "icd 10", "diagnosis code", "code"),
            "side": ("laterality", "seite", "lado"),
            "levels": ("level", "nivel", "niveles"),
            "pain_since": ("pain since", *_SINCE),
            "conservative_since": ("conservative care since", "conservative care", "therapy since"),
            "provocation_tests": ("positive provocation tests", "provocation"),
            "imaging_on": ("imaging", "imaging date", "mri date"),
            "episode_started_on": ("episode", "episode start"),
            "ended_on": _UNTIL,
            "on_file": ("papers on file", "documents on file", "papers"),
            "missing": ("papers missing", "not met"),
        },
        ("name",), ("name", "side", "pain_since"), frozenset({"ended_on"}),
    ),
    "asked": Sort(
        Asked, {"topic": ("question", "about"), "asked_on": ("date", "asked")}, ("topic", "asked_on"), ("topic", "asked_on"),
    ),
}  # fmt: skip
SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    what: {"patient_external_id": PATIENT, **sort.columns, **_NOTE} for what, sort in SORTS.items()
}
REQUIRED: Mapping[str, tuple[str, ...]] = {what: ("patient_external_id", *sort.required) for what, sort in SORTS.items()}
PERMISSIONS = ("patients.record_clinical", "patients.change_coverage")


@dataclass
class FactImport(HistoryImport):
    """One run over one file of a sort of facts. Batches are committed one by one; a dry run takes each back."""

    required: ClassVar[Mapping[str, tuple[str, ...]]] = REQUIRED
    _covered: frozenset[str] = frozenset()
    _payers: frozenset[str] = frozenset()
    _thinners: frozenset[str] = frozenset()
    _indications: tuple[str, ...] = ()
    _wanted: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Read once what cells may name."""
        book = rulebook.usable_book()
        self._payers = frozenset({NO_RULES, *(book.payer_sets if book is not None else ())})
        self._thinners = book.drug_ids if book is not None else frozenset()
        self._indications, self._wanted = problems.indications(), tuple(sorted(problems.papers_known()))
        rows = Procedure.objects.order_by("pk").values_list("code", "family")
        self._covered = frozenset(name for row in rows for name in row)

    def taking(self) -> Callable[[Mapping[str, str], Patient], bool]:
        """Return what takes one row in."""
        return self._fact

    def _fact(self, cells: Mapping[str, str], patient: Patient) -> bool:
        """Take one fact in; say whether it is new."""
        sort = SORTS[self.what]
        given = {name: self._value(sort, name, cells[name], patient) for name in (*sort.columns, *_NOTE) if cells.get(name)}
        self._check(given)
        identity = ("number",) if given.get("number") else sort.identity  # a payer's own number tells it by itself
        same = {name: given.get(name, _empty(sort.model._meta.get_field(name))) for name in identity}
        known = sort.model._default_manager.filter(patient=patient, is_in_error=False, **same).order_by("pk").first()
        if known is None:
            values = {**given, "origin": Origin.IMPORT}
            records.record(kind=sort.model, patient=patient, values=values, by=self.by, at=self.at)
            return True
        for name, value in given.items():
            if getattr(known, name) != value:
                raise RowRefused(name, "differs from what is on file; amend it there")
        return False

    def _value(self, sort: Sort, name: str, cell: str, patient: Patient) -> Any:
        """Return what a cell says, as its column of the table keeps it."""
        if name == "coverage":
            return self._plan(cell, patient)
        column: Any = sort.model._meta.get_field(name)
        if name == "side":
            return side_in(cell)
        if name == "levels":
            return levels_in(cell)
        if name in ("on_file", "missing"):
            return self._papers(name, cell)
        if isinstance(column, ArrayField):
            return _codes(name, cell)
        if column.choices:
            return _choice(name, cell, column.choices)
        if isinstance(column, models.BooleanField):
            return _yes_or_no(name, cell)
        if isinstance(column, models.DateTimeField):
            return self._moment(name, cell, patient)
        if isinstance(column, models.DateField):
            return self._day(name, cell, patient, may_come=name in sort.coming)
        if isinstance(column, models.DecimalField):
            return number_in(name, cell)
        if isinstance(column, models.PositiveSmallIntegerField):
            return _whole(name, cell, least=0 if name == "provocation_tests" else 1)
        if name == "indication" and sort.model is Presentation:
            return _word(name, cell, self._indications)
        text = cell.upper() if name in ("state", "icd10") else cell
        if len(text) > (column.max_length or 0):
            raise RowRefused(name, f"is longer than {column.max_length} signs")
        return text

    def _check(self, given: dict[str, Any]) -> None:
        """See that a row names what the clinic's tables know, and fill in what follows from it."""
        if self.what == "coverage":
            if given["payer_rules"] not in self._payers:
                raise RowRefused("payer_rules", f"is none of {', '.join(sorted(self._payers))}")
            if not re.fullmatch(r"([A-Z]{2})?", given.get("state", "")):
                raise RowRefused("state", "is not two letters")
            if not re.fullmatch(r"(\d{2})?", given.get("place_of_service", "")):
                raise RowRefused("place_of_service", "is not two digits")
        elif self.what == "authorizations":
            if given["covers"] not in self._covered:
                raise RowRefused("covers", "is no procedure and no family of the catalogue")
            if given["status"] != Decision.PENDING and not given.get("decided_on"):
                raise RowRefused("decided_on", "is missing: the payer decided")
        elif self.what == "presentations":
            both = sorted(set(given.get("on_file", ())) & set(given.get("missing", ())))
            if both:
                raise RowRefused("missing", f"says that {both[0]} is missing, and on_file that it is there")
            begun, ended = given.get("pain_since"), given.get("ended_on")
            if begun and ended and ended < begun:
                raise RowRefused("ended_on", "is before the pain began")
        elif self.what == "medicines":
            drugs = self._drugs().get(given["kind"])
            if drugs is None:
                given.pop("drug", None)
            elif given.get("drug") not in drugs:
                raise RowRefused("drug", f"is none of the table's: {', '.join(sorted(drugs))}")

    def _papers(self, name: str, cell: str) -> list[str]:
        """Return the papers that a cell lists, each by the word of the tables or as pages say it."""
        found = {_word(name, part, self._wanted) for part in re.split(r"[;,|]", cell) if part.strip()}
        return sorted(found)

    def _drugs(self) -> Mapping[str, frozenset[str]]:
        return {MedicineKind.ANTITHROMBOTIC: self._thinners, MedicineKind.OPIOID: _opioids(), MedicineKind.GLP1: _SCHEDULES}

    def _plan(self, cell: str, patient: Patient) -> Coverage:
        plans = list(Coverage.objects.of(patient).order_by("rank", "pk"))
        found = [plan for plan in plans if folded(cell) in (folded(plan.payer), folded(plan.member_number))]
        if len(found) != 1:
            raise RowRefused(
                "coverage", "is no plan of this patient; import the coverage first" if not found else "names two plans"
            )
        return found[0]

    def _moment(self, name: str, cell: str, patient: Patient) -> datetime:
        """Return a moment on the wall clock of the patient's home site; a day alone is meant to its end."""
        written, _, clock = cell.replace("T", " ").partition(" ")
        try:
            at = read_time(clock) if clock else END_OF_DAY
        except CellError as error:
            raise RowRefused(name, str(error)) from error
        day = self._day(name, written, patient, may_come=True)
        return datetime.combine(day, at, tzinfo=ZoneInfo(patient.home_site.time_zone))


_SCHEDULES = frozenset({"weekly", "daily"})


@cache
def _opioids() -> frozenset[str]:
    rows = read(only=("outcomes",))["outcomes"].content["mme_factors"]
    return frozenset({*(row["opioid"] for row in rows), "buprenorphine"})


def _empty(column: Any) -> Any:
    """Return what a column holds where nothing was said."""
    return None if column.null else column.get_default()


def _choice(name: str, cell: str, choices: Any) -> str:
    word = folded(cell.replace("_", " "))
    for value, label in choices:
        if word in (folded(str(value).replace("_", " ")), folded(str(label))):
            return str(value)
    raise RowRefused(name, f"is none of {', '.join(str(value) for value, _ in choices)}; give it a meaning with --map FILE")


def _yes_or_no(name: str, cell: str) -> bool:
    word = folded(cell)
    if word not in (*TRUE, *FALSE):
        raise RowRefused(name, "is neither yes nor no")
    return word in TRUE


def _codes(name: str, cell: str) -> list[str]:
    found = [part for part in _APART.split(cell.upper()) if part]
    if not all(re.fullmatch(r"[A-Z0-9]{5}", part) for part in found):
        raise RowRefused(name, "are not codes of five digits or letters")
    return list(dict.fromkeys(found))


def _word(name: str, cell: str, known: Sequence[str]) -> str:
    """Return the word of the tables that a cell means."""
    meant = folded(cell.replace("_", " "))
    for word in known:
        if meant in (folded(word.replace("_", " ")), folded(problems.in_words(word))):
            return word
    raise RowRefused(name, f"is none of {', '.join(known) or 'the rules: none are loaded'}; give it a meaning with --map FILE")


def _whole(name: str, cell: str, *, least: int = 1) -> int:
    value = number_in(name, cell)
    if value != int(value) or not least <= value <= LONGEST_NUMBER:
        raise RowRefused(name, f"is not a whole number of at least {least}")
    return int(value)
