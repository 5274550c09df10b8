"""Read the files of clinical tables and say everything that is wrong with them, by file, row and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pain_clinic.errors import Refused
from procedures import yaml_files
from procedures.levels import ALL_REGIONS, SIDES
from procedures.models import BleedingClass, Category, Driver, Fasting, Guidance, TableStatus
from procedures.rules.book import DATED, TABLES, Book, faults_of

DATA = Path(__file__).resolve().parent.parent / "data"
SHORTEST, LONGEST = 0, 720
STEROID = "yes yes_nonparticulate_only yes_nonparticulate_preferred yes_nonparticulate_first optional optional_small_dose no"
SEDATION = "none usually_none avoid minimal_optional minimal_or_moderate_optional moderate_common mac_common mac_or_general"

# The lists of rows that each table must have, and what names a row in them.
ROWS: dict[str, dict[str, str]] = {
    "catalogue": {"procedures": "id"},
    "payer_rules": {"payer_rule_sets": "id", "rules": "id", "region_schemes": "id", "conventions": "id"},
    "antithrombotics": {"drugs": "id", "conventions": "id"},
    "steroids": {"drugs": "id", "rules": "id", "conventions": "id"},
    "fasting": {"minimum_hours": "intake"},
    "pathways": {"pathways": "id"},
    "outcomes": {"measures": "id"},
    "short_names": {},
}
MAIN_ROWS = {"payer_rules": "rules", "fasting": "minimum_hours"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where it is and what was expected there."""

    file: str
    row: str
    field: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: row {self.row or '-'}: field {self.field or '-'}: expected {self.expected}"


class MalformedTables(Refused):
    """A table cannot be read as it is; nothing of any table was loaded."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        told = "; ".join(str(problem) for problem in problems)
        super().__init__("malformed_table", told, {"problems": [str(problem) for problem in problems]})


@dataclass(frozen=True, slots=True)
class Table:
    """One file as read."""

    name: str
    version: str
    reviewed_on: date | None
    digest: str
    row_count: int
    content: Mapping[str, Any]


@dataclass(slots=True)
class Checker:
    """Gather the problems of one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def say(self, row: str, name: str, expected: str) -> None:
        self.problems.append(Problem(self.file, row, name, expected))

    def text(self, row: str, name: str, value: object, *, longest: int = 2000, is_optional: bool = False) -> None:
        if value is None and is_optional:
            return
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            self.say(row, name, f"a text of 1 to {longest} characters")

    def one_of(self, row: str, name: str, value: object, words: list[str]) -> None:
        if not isinstance(value, str) or value not in words:
            self.say(row, name, f"one of {', '.join(words)}")

    def list_of(self, row: str, name: str, value: object, is_right: Callable[[str], bool], what: str) -> None:
        if not isinstance(value, list) or not all(isinstance(word, str) and is_right(word) for word in value):
            self.say(row, name, f"a list of {what}")
        elif len(set(value)) != len(value):
            self.say(row, name, f"a list of {what}, each once")

    def minutes(self, row: str, name: str, value: object, *, least: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LONGEST:
            self.say(row, name, f"whole minutes from {least} to {LONGEST}")

    def keys(self, row: str, value: object, required: set[str], optional: set[str]) -> bool:
        if not isinstance(value, dict):
            self.say(row, "", "a mapping of fields")
            return False
        for name in sorted(required - value.keys()):
            self.say(row, name, "a value; the field is missing")
        for name in sorted(str(key) for key in value.keys() - required - optional):
            self.say(row, name, "no such field")
        return not required - value.keys()


def read(folder: Path = DATA, *, only: Iterable[str] = ()) -> dict[str, Table]:
    """Return all tables of a folder, or only some of them.

    Raises:
        MalformedTables: with every problem of every file.
    """
    problems: list[Problem] = []
    tables: dict[str, Table] = {}
    for name in only or ROWS:
        checker = Checker(f"{name}.yaml")
        path = folder / f"{name}.yaml"
        if not path.exists() and name == "short_names":
            path = DATA / path.name  # a new version of the clinical tables comes without our own labels
        content, digest = _content(path, checker)
        if not checker.problems:
            _check(name, content, checker)
        if not checker.problems:
            tables[name] = _table(name, content, digest)
        problems.extend(checker.problems)
    if not problems and tables.keys() >= set(TABLES):
        problems.extend(_across(tables))
    if problems:
        raise MalformedTables(problems)
    return tables


def book_of_files(folder: Path = DATA) -> Book:
    """Return the book of rules that the files of a folder make, without a database.

    Raises:
        MalformedTables: with every problem of every file.
    """
    found = {name: table.content for name, table in read(folder, only=(*TABLES, "short_names")).items()}
    names: Mapping[str, str] = found.pop("short_names")["short_names"]
    rows = [{**row, "short_name": names.get(row["id"], "")} for row in found["catalogue"]["procedures"]]
    return Book({**found, "catalogue": {**found["catalogue"], "procedures": rows}})


def _content(path: Path, checker: Checker) -> tuple[dict[str, Any], str]:
    try:
        return yaml_files.read(path)
    except yaml_files.Unreadable as error:
        checker.say(error.where, "", error.expected)
        return {}, ""


def _check(name: str, content: dict[str, Any], checker: Checker) -> None:
    meta = content.get("meta")
    if not isinstance(meta, dict):
        checker.say("meta", "", "a mapping with title and version")
    else:
        checker.text("meta", "title", meta.get("title"))
        checker.text("meta", "version", meta.get("version"), longest=40)
        try:
            date.fromisoformat(str(meta.get("reviewed_on")))
        except ValueError:
            checker.say("meta", "reviewed_on", "a date, YYYY-MM-DD")
    for listed, identity in ROWS[name].items():
        _check_rows(listed, identity, content.get(listed), checker, is_dated=listed in DATED.get(name, ()))
    if name == "catalogue" and not checker.problems:
        for row in content["procedures"]:
            _check_procedure(row, checker)
    if name == "short_names":
        _check_short_names(content, checker)


def _check_rows(listed: str, identity: str, rows: object, checker: Checker, *, is_dated: bool) -> None:
    if not isinstance(rows, list) or not rows:
        checker.say(listed, "", "a list of rows")
        return
    seen: set[tuple[str, str]] = set()
    for place, row in enumerate(rows, start=1):
        where = f"{listed}[{place}]"
        if not isinstance(row, dict):
            checker.say(where, "", "a mapping of fields")
            continue
        name = row.get(identity)
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,59}", name):
            checker.say(where, identity, "an id of lower-case letters, digits and underscores")
        elif (version := (name, str(row.get("effective_from") or "") if is_dated else "")) in seen:
            checker.say(name, identity, "an id that no other row has" + (", or another first day" if is_dated else ""))
        else:
            seen.add(version)
        if "verified" in row and not isinstance(row["verified"], bool):
            checker.say(str(name), "verified", "true or false")


_REQUIRED = {
    "id",
    "name",
    "category",
    "family",
    "status",
    "cpt",
    "regions",
    "laterality",
    "guidance",
    "room_minutes",
    "recovery_minutes",
    "equipment",
    "sedation",
    "steroid",
    "bleeding_risk",
    "driver",
    "fasting",
    "source",
    "verified",
    "unverified_fields",
}
_OPTIONAL = {"approach", "levels", "max_levels_per_session_default", "notes"}


def _check_procedure(row: dict[str, Any], checker: Checker) -> None:
    name = row["id"]
    if not checker.keys(name, row, _REQUIRED, _OPTIONAL):
        return
    checker.text(name, "name", row["name"], longest=160)
    checker.text(name, "levels", row.get("levels"), longest=300, is_optional=True)
    checker.text(name, "notes", row.get("notes"), is_optional=True)
    for key in ("family", "approach"):
        if key in row and not _is_word(row[key]):
            checker.say(name, key, "a word of lower-case letters, digits and underscores")
    for key, words in {
        "category": Category.values,
        "status": TableStatus.values,
        "driver": Driver.values,
        "fasting": Fasting.values,
        "steroid": STEROID.split(),
        "sedation": SEDATION.split(),
    }.items():
        checker.one_of(name, key, row[key], words)
    checker.list_of(name, "regions", row["regions"], lambda word: word in ALL_REGIONS, "known regions")
    checker.list_of(name, "laterality", row["laterality"], lambda word: word in SIDES, "known sides")
    checker.list_of(name, "equipment", row["equipment"], _is_word, "words")
    checker.list_of(name, "unverified_fields", row["unverified_fields"], _is_word, "words")
    if not row["laterality"] or not row["regions"]:
        checker.say(name, "laterality" if not row["laterality"] else "regions", "at least one")
    checker.minutes(name, "room_minutes", row["room_minutes"], least=5)
    checker.minutes(name, "recovery_minutes", row["recovery_minutes"], least=SHORTEST)
    most = row.get("max_levels_per_session_default", 1)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= 20:
        checker.say(name, "max_levels_per_session_default", "a whole number from 1 to 20")
    _check_parts(name, row, checker)


def _check_parts(name: str, row: dict[str, Any], checker: Checker) -> None:
    def is_code(word: str) -> bool:
        return re.fullmatch(r"[0-9A-Z][0-9]{3}[0-9A-Z]", word) is not None

    if checker.keys(f"{name}.cpt", row["cpt"], {"primary"}, {"add_on", "hcpcs"}):
        for key, codes in row["cpt"].items():
            checker.list_of(name, f"cpt.{key}", codes, is_code, "code numbers of five characters, quoted")
    if checker.keys(f"{name}.guidance", row["guidance"], {"default"}, {"alternatives"}):
        checker.one_of(name, "guidance.default", row["guidance"]["default"], Guidance.values)
        others = row["guidance"].get("alternatives", [])
        checker.list_of(name, "guidance.alternatives", others, lambda word: word in Guidance.values, "known guidance")
    if checker.keys(f"{name}.bleeding_risk", row["bleeding_risk"], {"asra_2018"}, {"alternative"}):
        checker.one_of(name, "bleeding_risk.asra_2018", row["bleeding_risk"]["asra_2018"], BleedingClass.values)
        if "alternative" in row["bleeding_risk"]:
            checker.keys(f"{name}.bleeding_risk.alternative", row["bleeding_risk"]["alternative"], {"system", "value"}, set())
    if not isinstance(row["source"], list) or not row["source"]:
        checker.say(name, "source", "a list of sources")
        return
    for entry in row["source"]:
        if checker.keys(f"{name}.source", entry, {"title"}, {"url", "citation"}):
            checker.text(name, "source.title", entry["title"])
            if not str(entry.get("url", "https://")).startswith(("https://", "http://")):
                checker.say(name, "source.url", "a web address")


def _check_short_names(content: dict[str, Any], checker: Checker) -> None:
    names = content.get("short_names")
    if not isinstance(names, dict):
        checker.say("short_names", "", "a mapping from catalogue id to label")
        return
    for name, label in names.items():
        checker.text("short_names", str(name), label, longest=32)
    extra = content.get("extra_equipment", {})
    if not isinstance(extra, dict):
        checker.say("extra_equipment", "", "a mapping from catalogue id to words")
        return
    for name, listed in extra.items():
        checker.list_of("extra_equipment", str(name), listed, _is_word, "words")


def _across(tables: dict[str, Table]) -> list[Problem]:
    procedures = {row["id"] for row in tables["catalogue"].content["procedures"]}
    sets = {row["id"] for row in tables["payer_rules"].content["payer_rule_sets"]}
    found: list[Problem] = []
    for rule in tables["payer_rules"].content["rules"]:
        if rule.get("payer_rule_set") not in sets:
            found.append(Problem("payer_rules.yaml", rule["id"], "payer_rule_set", "the id of a payer rule set"))
        listed = rule.get("procedure_ids", (rule.get("params") or {}).get("procedure_ids", []))
        if not set(listed) <= procedures:
            found.append(Problem("payer_rules.yaml", rule["id"], "procedure_ids", "ids of the catalogue"))
    faults = faults_of({name: table.content for name, table in tables.items()})
    return [*found, *(Problem(fault.table, fault.row, fault.field, fault.expected) for fault in faults)]


def _table(name: str, content: dict[str, Any], digest: str) -> Table:
    main = MAIN_ROWS.get(name) or next(iter(ROWS[name]), "short_names")
    meta = content["meta"]
    reviewed_on = date.fromisoformat(str(meta["reviewed_on"]))
    return Table(name, meta["version"], reviewed_on, digest, len(content[main]), content)


def _is_word(word: object) -> bool:
    return isinstance(word, str) and re.fullmatch(r"[a-z0-9_]{1,40}", word) is not None
