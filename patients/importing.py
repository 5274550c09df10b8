"""Patients out of another system's file: whoever is new comes in, whoever changed is amended, the rest is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any

from django.db import transaction

from pain_clinic import languages
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from patients import records
from patients.models import Patient, Sex, folded
from patients.sheets import CellError, Problem, Sheet, SheetRow, read_date

BATCH = 500
FIELDS = (
    "external_id", "last_name", "first_name", "birth_date", "sex", "email", "phone", "language", "payer",
    "time_zone", "deceased_on", "site",
)  # fmt: skip
REQUIRED = ("external_id", "last_name", "first_name", "birth_date")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "external_id": ("id", "patient id", "patientid", "mrn", "medical record number", "chart", "chart number", "patient number",
                    "account number", "pid", "patientnr", "patienten id", "id paciente", "uuid"),
    "last_name": ("last", "surname", "family name", "family", "lastname", "lname", "patient last name", "nachname", "apellido",
                  "apellidos", "nom"),
    "first_name": ("first", "given name", "given", "forename", "firstname", "fname", "patient first name", "vorname", "nombre",
                   "prenom", "christian name"),
    "birth_date": ("birthdate", "dob", "date of birth", "birthday", "born", "patient dob", "geburtsdatum", "fecha de nacimiento",
                   "fecha nacimiento", "date de naissance"),
    "sex": ("gender", "geschlecht", "sexo", "administrative sex", "birth sex"),
    "email": ("e-mail", "email address", "mail", "correo", "correo electronico"),
    "phone": ("mobile", "mobile phone", "cell", "cell phone", "telephone", "phone number", "tel", "home phone", "handy",
              "telefon", "telefono", "movil", "phone 1", "primary phone"),
    "language": ("preferred language", "lang", "sprache", "idioma"),
    "payer": ("insurance", "insurer", "payer name", "primary insurance", "plan", "versicherung", "aseguradora"),
    "time_zone": ("timezone", "time zone", "tz", "zeitzone", "zona horaria"),
    "deceased_on": ("deathdate", "death date", "date of death", "deceased", "deceased date", "dod"),
    "site": ("location", "clinic", "facility", "home site", "standort", "sede"),
}  # fmt: skip
SEXES = {
    Sex.FEMALE: ("f", "female", "w", "woman", "weiblich", "frau", "mujer", "femenino", "2"),
    Sex.MALE: ("m", "male", "man", "mann", "mannlich", "hombre", "masculino", "1"),
    Sex.OTHER: ("o", "other", "x", "d", "diverse", "divers", "nonbinary", "non binary", "9"),
    Sex.UNKNOWN: ("u", "unknown", "unk", "n/a", "na", "not known", "0", "?"),
}
# Beside code and names of a language, and what its translation's header says (`X-Also`).
ALSO_LANGUAGES = {"en": ("eng", "ingles"), "es": ("spa", "esp")}
NO_VALUE = {"null", "none", "n/a", "na", "-", "--", "nil", "unknown"}
# A field that cannot be read costs the row only where the person would not be known without it.
DECIDES = frozenset({"external_id", "last_name", "first_name", "birth_date", "site"})


@dataclass
class Outcome:
    """What became of the rows so far."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    repeated: int = 0
    refused: int = 0
    notes: int = 0

    def summary(self) -> str:
        return (
            f"{self.rows} rows: {self.new} new, {self.changed} changed, {self.same} unchanged, {self.repeated} repeated, "
            f"{self.refused} refused; {self.notes} fields left out"
        )


@dataclass(frozen=True, slots=True)
class Person:
    """One readable row: whose it is and what it says; an empty cell says nothing."""

    line: int
    external_id: str
    values: dict[str, Any]
    site: Site

    @property
    def key(self) -> tuple[str, date]:
        return folded(f"{self.values['last_name']} {self.values['first_name']}"), self.values["birth_date"]


@dataclass
class PatientImport:
    """One run over one file. Batches are committed one by one; a dry run takes each back.

    `same_person` says what becomes of a row with the name and birth date of somebody known under another id:
    "refuse" it, "link" it to a record that has no external id yet, or take it as a "new" person.
    """

    home_site: Site
    by: Actor
    at: datetime
    tell: Callable[[Problem], None]
    date_order: str = ""
    same_person: str = "refuse"
    is_dry_run: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # external id -> line, hash of what it said
    _people: dict[tuple[str, date], tuple[int, str]] = field(default_factory=dict)  # name and birth date -> line, id
    _sites: dict[str, Site] = field(default_factory=dict)

    def run(self, sheet: Sheet, progress: Callable[[Outcome], None] = lambda outcome: None) -> Outcome:
        """Take every row of the sheet in; report each that stays out."""
        for site in Site.objects.active().order_by("pk"):
            self._sites.update({folded(site.slug): site, folded(site.name): site})
        rows = sheet.rows()
        while batch := list(islice(rows, BATCH)):
            with transaction.atomic():
                self._take(list(self._readable(batch)))
                transaction.set_rollback(self.is_dry_run)
            progress(self.outcome)
        return self.outcome

    def _readable(self, batch: list[SheetRow]) -> Iterator[Person]:
        for row in batch:
            self.outcome.rows += 1
            person = self._read(row)
            if person is None or self._is_repeated(person):
                continue
            yield person

    def _read(self, row: SheetRow) -> Person | None:
        name = row.cells.get("external_id", "")[:80]
        if row.problem:
            self._refuse(row.line, "row", row.problem, name)
            return None
        values: dict[str, Any] = {}
        for field_name in FIELDS:
            cell = row.cells.get(field_name, "")
            if not cell or (field_name not in DECIDES and cell.casefold() in NO_VALUE):
                if field_name in REQUIRED:
                    self._refuse(row.line, field_name, "is missing", name)
                    return None
                continue
            try:
                values[field_name] = self._value(field_name, cell)
            except (CellError, DomainError) as error:
                reason = error.message if isinstance(error, DomainError) else str(error)
                if field_name in DECIDES:
                    self._refuse(row.line, field_name, reason, name)
                    return None
                self.outcome.notes += 1
                self.tell(Problem(row.line, field_name, reason, is_refused=False, external_id=name))
        if values.get("deceased_on") and values["deceased_on"] < values["birth_date"]:
            self._refuse(row.line, "deceased_on", "is before the birth date", name)
            return None
        return Person(row.line, values.pop("external_id"), values, values.pop("site", self.home_site))

    def _value(self, name: str, cell: str) -> Any:
        if name in {"birth_date", "deceased_on"}:
            value: Any = read_date(cell, self.date_order)
        elif name == "sex":
            value = _one_of(SEXES, cell)
        elif name == "language":
            value = _language(cell)
        elif name == "site":
            if folded(cell) not in self._sites:
                raise CellError("is not a site of this clinic")
            return self._sites[folded(cell)]
        else:
            value = cell
        return records.clean({name: value}, today=self.home_site.day_at(self.at))[name]

    def _is_repeated(self, person: Person) -> bool:
        said = hash((person.site.pk, *sorted((name, str(value)) for name, value in person.values.items())))
        line, before = self._seen.setdefault(person.external_id, (person.line, said))
        if line == person.line:
            return False
        if before == said:
            self.outcome.repeated += 1
        else:
            self._refuse(person.line, "external_id", f"is the one of line {line}, which says something else", person.external_id)
        return True

    def _take(self, people: list[Person]) -> None:
        known = {
            patient.external_id: patient
            for patient in Patient.objects.filter(external_id__in=[person.external_id for person in people]).select_related(
                "home_site"
            )
        }
        dates = {person.values["birth_date"] for person in people}
        names = {person.key[0] for person in people}
        alike: dict[tuple[str, date], Patient] = {}
        rows = Patient.objects.filter(search_name__in=names, birth_date__in=dates).select_related("home_site").order_by("-pk")
        for patient in rows:
            alike[patient.search_name, patient.birth_date] = patient
        for person in people:
            try:
                self._take_one(person, known.get(person.external_id), alike.get(person.key))
            except DomainError as error:
                self._refuse(person.line, str(error.details.get("field", "row")), error.message, person.external_id)

    def _take_one(self, person: Person, patient: Patient | None, alike: Patient | None) -> None:
        line, other = self._people.setdefault(person.key, (person.line, person.external_id))
        if patient is None and self.same_person != "new":
            if other != person.external_id:
                reason = f"has the name and birth date of line {line}, under another id"
                self._refuse(person.line, "row", reason, person.external_id)
                return
            if alike is not None and self.same_person == "link" and alike.external_id is None:
                patient, person.values["external_id"] = alike, person.external_id
            elif alike is not None:
                reason = f"has the name and birth date of record {alike.record_number}, known under another id"
                self._refuse(person.line, "row", reason, person.external_id)
                return
        if patient is None:
            records.register(
                **person.values, external_id=person.external_id, home_site=person.site, by=self.by, at=self.at,
                is_another_person=True,
            )  # fmt: skip
            self.outcome.new += 1
        elif any(getattr(patient, name) != value for name, value in person.values.items()):
            records.amend(patient=patient, changes=person.values, by=self.by, at=self.at)
            self.outcome.changed += 1
        else:
            self.outcome.same += 1

    def _refuse(self, line: int, field_name: str, reason: str, external_id: str) -> None:
        self.outcome.refused += 1
        self.tell(Problem(line, field_name, reason, external_id=external_id))


def _one_of(table: dict[Any, tuple[str, ...]], cell: str) -> str:
    word = folded(cell)
    for value, words in table.items():
        if word in words:
            return str(value)
    raise CellError("is not a word known here; give it a meaning with --map FILE")


def _language(cell: str) -> str:
    """Return the code of a language that is offered: by code, name, or as a kind of it, "es-MX"."""
    word = folded(cell.replace("_", "-"))
    meant = {
        folded(said): one.code
        for one in reversed(languages.offered())
        for said in (one.code, one.name, one.own_name, *one.also, *ALSO_LANGUAGES.get(one.code, ()))
    }
    kind, _space, rest = word.partition(" ")
    code = meant.get(word) or (meant.get(kind, "") if kind in languages.codes() and rest.isalnum() and len(rest) < 5 else "")
    if not code:
        raise CellError(f"is no language known here: {languages.known()}; give it a meaning with --map FILE")
    return code
