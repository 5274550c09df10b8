"""The book of rules: the tables as plain rows, compiled once, and the rules in force for a coverage on a date."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any

from procedures.rules.clinic.antithrombotics import Antithrombotics
from procedures.rules.clinic.compiling import antithrombotics_of, fasting_of, steroids_of
from procedures.rules.clinic.drugs import SECOND_SET
from procedures.rules.clinic.shapes import check_antithrombotics, check_fasting, check_steroids
from procedures.rules.dates import DAY
from procedures.rules.earliest import turning_points
from procedures.rules.facts import Facts
from procedures.rules.findings import Rule
from procedures.rules.offers import Offer, offer_of
from procedures.rules.payer.compiling import compile_rows
from procedures.rules.payer.parts import number
from procedures.rules.payer.shapes import check_row
from procedures.rules.rows import Ruled, plain
from procedures.rules.shapes import Checker, Fault, MalformedRows, check_versions, date_of

Data = Mapping[str, Any]
TABLES = ("catalogue", "payer_rules", "antithrombotics", "steroids", "fasting")
# The clinic's own tables, which are compiled as wholes; and the lists of each table whose rows hold on some days only.
OWN = ("antithrombotics", "steroids", "fasting")
DATED: Mapping[str, tuple[str, ...]] = {
    "payer_rules": ("rules",), "antithrombotics": ("conventions", "drugs", "lab_limits"), "steroids": ("drugs", "rules"),
    "fasting": ("minimum_hours", "glp1", "escort"),
}  # fmt: skip
SWITCHED_WHOLE = frozenset(
    {("antithrombotics", "drugs"), ("antithrombotics", "lab_limits")}
)  # rows that are no rules by themselves
ALWAYS = frozenset({("steroids", "drugs")})  # what a steroid weighs and whether it has particles is so on every day
IDENTITIES = {"minimum_hours": "intake", "lab_limits": "lab"}  # where a row is not named by `id`


def faults_of(tables: Mapping[str, Data]) -> list[Fault]:
    """Return everything that is wrong with the rows of the rule tables; their ids are known to be sound."""
    checkers = {name: Checker(f"{name}.yaml") for name in TABLES}
    for row in tables["payer_rules"]["rules"]:
        check_row(checkers["payer_rules"], row)
    check_antithrombotics(checkers["antithrombotics"], tables["antithrombotics"])
    check_steroids(checkers["steroids"], tables["steroids"])
    check_fasting(checkers["fasting"], tables["fasting"])
    for name in ("payer_rules", *OWN):
        for section in DATED[name]:
            check_versions(checkers[name], tables[name].get(section) or (), IDENTITIES.get(section, "id"))
    found = [fault for checker in checkers.values() for fault in checker.faults]
    return found or _faults_in_time(tables["antithrombotics"])


def _faults_in_time(table: Data) -> list[Fault]:
    """Return what is wrong with the blood thinners on some day, although each row is sound: another one that it needs is away."""
    for day in (date.min, *_turns_of(table)):
        checker = Checker("antithrombotics.yaml")
        held = _on_day("antithrombotics", table, day)
        if held["drugs"] and held["lab_limits"]:
            check_antithrombotics(checker, held)
        else:
            checker.say("drugs" if held["lab_limits"] else "lab_limits", "effective_from", "a row that holds on every day")
        if checker.faults:
            since = "" if day == date.min else f" from {day}"
            return [
                Fault(one.table, one.row, one.field, f"{one.expected}, switched on and in force{since}") for one in checker.faults
            ]
    return []


@dataclass(frozen=True, slots=True)
class Switches:
    """What a written case tries: rows switched on and off, and rows of its own."""

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    extra: tuple[Data, ...] = ()


_NO_SWITCHES = Switches()


class Book:
    """The tables of a clinic, compiled. Reading it changes nothing that can be seen from outside."""

    def __init__(self, tables: Mapping[str, Data]) -> None:
        """Compile the rows.

        Raises:
            MalformedRows: with everything that is wrong; nothing is half-compiled.
        """
        faults = faults_of(tables)
        if faults:
            raise MalformedRows(faults)
        self.offers: Mapping[str, Offer] = {row["id"]: offer_of(row) for row in tables["catalogue"]["procedures"]}
        self.families_by_id: Mapping[str, str] = {offer.id: offer.family for offer in self.offers.values()}
        self.names_by_id: Mapping[str, str] = {offer.id: offer.name for offer in self.offers.values()}
        self.families = frozenset(offer.family for offer in self.offers.values())
        self.payer_names: Mapping[str, str] = {
            row["id"]: row.get("title") or plain(row["id"]) for row in tables["payer_rules"]["payer_rule_sets"]
        }
        self.payer_sets = frozenset(self.payer_names)
        self.payer_rows: Sequence[Data] = tuple(tables["payer_rules"]["rules"])
        self.payer_codes = frozenset(row["id"] for row in self.payer_rows)
        self.drug_ids = frozenset(row["id"] for row in tables["antithrombotics"]["drugs"])
        self.steroid_ids = frozenset(row["id"] for row in tables["steroids"]["drugs"])
        hours: dict[str, Fraction] = {}  # of several versions the longest: asking too much does no harm
        for row in tables["fasting"]["minimum_hours"]:
            hours[row["intake"]] = max(hours.get(row["intake"], Fraction(0)), number(row["hours"]))
        self.fasting_hours: Mapping[str, Fraction] = hours
        self.intakes = frozenset(self.fasting_hours)
        self._own: Mapping[str, Data] = {name: tables[name] for name in OWN}
        # For names and for what is ever asked: of a drug with several versions the last. Who judges asks for those of a day.
        self.thinners: Antithrombotics = antithrombotics_of(tables["antithrombotics"])
        self.clinic_rules: Sequence[tuple[Data, Ruled]] = (*steroids_of(tables["steroids"]), *fasting_of(tables["fasting"]))
        self.rule_ids = frozenset(
            {*(row["id"] for row in self.payer_rows), *(rule.code for _, rule in self.clinic_rules), *self.thinners.severities}
            | ({SECOND_SET} if self.thinners.second.source else set())
        )
        self.required_words = frozenset(
            {*words_required(self.payer_rows), *words_required([data for data, _ in self.clinic_rules])}
        )
        payer_turns = {day for data in self.payer_rows for day in _bounds(data)}
        self._turns = sorted(payer_turns.union(*(_turns_of(table) for table in self._own.values())))
        self._payer_cache: dict[object, Mapping[str, tuple[Ruled, ...]]] = {}
        self._clinic_cache: dict[object, tuple[Rule, ...]] = {}
        self._own_cache: dict[int, tuple[Sequence[tuple[Data, Ruled]], Antithrombotics]] = {}

    def joined_families(self, payer: str, on: date) -> tuple[frozenset[str], ...]:
        """Return the families of a payer of which one approval covers each, for work on a date of service."""
        held = (row["params"].get("covers_families") for row in self._approving(payer, on))
        return tuple(frozenset(families) for families in held if families)

    def approval_days(self, payer: str, family: str, on: date) -> int | None:
        """Return how many days an approval without an end of its own is good for work of a family; None for no limit.

        The rows in force on `on` count: the date of service.
        """
        days = [row["params"].get("approval_valid_days") for row in self._approving(payer, on) if family in row["applies_to"]]
        known = [one for one in days if one is not None]
        return max(known) if known and len(known) == len(days) else None

    def _approving(self, payer: str, on: date) -> Iterable[Data]:
        rows = (row for row in self.payer_rows if row["payer_rule_set"] == payer and row["type"] == "prior_authorization")
        return [row for row in rows if is_in_force(row, on)]

    def thinners_on(self, on: date) -> Antithrombotics:
        """Return what the table of blood thinners says on a date of service. A drug whose row does not count is unknown to it."""
        return self._own_on(on)[1]

    def _own_on(self, on: date) -> tuple[Sequence[tuple[Data, Ruled]], Antithrombotics]:
        """Return the rules of the clinic's own tables whose days hold a date, switched on or off, and its blood thinners."""
        place = bisect_right(self._turns, on)
        found = self._own_cache.get(place)
        if found is None:
            held = {name: _on_day(name, table, on) for name, table in self._own.items()}
            rules = (*steroids_of(held["steroids"]), *fasting_of(held["fasting"]))
            found = self._own_cache[place] = (rules, antithrombotics_of(held["antithrombotics"]))
        return found

    def rules(self, facts: Facts, on: date, switches: Switches = _NO_SWITCHES) -> tuple[Rule, ...]:
        """Return every rule in force on a date of service for what is asked and who pays."""
        by_family = self._payer_rules(facts.coverage.payer_rules, facts.coverage.plan_type, on, switches)
        found: dict[int, Rule] = {}
        for family in facts.families:
            for rule in by_family.get(family, ()):
                found[id(rule)] = rule
        return (*found.values(), *self._clinic_rules(on, switches))

    def turning_points(self, facts: Facts, on: date, switches: Switches = _NO_SWITCHES) -> set[date]:
        """Return the dates after one on which other rules come into force or the answer of one may change by itself."""
        dates = {*self._turns, *(day for data in switches.extra for day in _bounds(data))}
        dates.update(turning_points(self.rules(facts, on, switches), facts))
        return {day for day in dates if day > on}

    def _payer_rules(self, payer: str, plan_type: str, on: date, switches: Switches) -> Mapping[str, tuple[Ruled, ...]]:
        # Rows of a case's own are compiled anew; the book's are kept by what they depend on.
        key = None if switches.extra else (payer, plan_type, bisect_right(self._turns, on), switches.on, switches.off)
        found = self._payer_cache.get(key) if key else None
        if found is None:
            rows = [row for row in self.payer_rows if row["payer_rule_set"] == payer]
            rows += switches.extra
            in_force = [
                row for row in rows if is_in_force(row, on, switches) and plan_type in row.get("plan_types", (plan_type,))
            ]
            found = _indexed(compile_rows(in_force))
            if key:
                self._payer_cache[key] = found
        return found

    def _clinic_rules(self, on: date, switches: Switches) -> tuple[Rule, ...]:
        key = (bisect_right(self._turns, on), switches.on, switches.off)
        found = self._clinic_cache.get(key)
        if found is None:
            rules, thinners = self._own_on(on)
            kept: list[Rule] = [rule for data, rule in rules if is_in_force({**data, "id": rule.code}, on, switches)]
            second = thinners.second.tried(is_on=SECOND_SET in switches.on, is_off=SECOND_SET in switches.off)
            thinners = replace(thinners, off=switches.off & set(thinners.severities), second=second)
            found = self._clinic_cache[key] = (*kept, thinners)
        return found


def is_in_force(row: Data, on: date, switches: Switches = _NO_SWITCHES) -> bool:
    """Say whether a row counts on a date of service: switched on, and between its first and its last day."""
    if row["id"] in switches.off or (not row.get("enabled_by_default", True) and row["id"] not in switches.on):
        return False
    begins, ends = date_of(row.get("effective_from")), date_of(row.get("effective_to"))
    return (begins is None or begins <= on) and (ends is None or on <= ends)


def _bounds(row: Data) -> list[date]:
    begins, ends = date_of(row.get("effective_from")), date_of(row.get("effective_to"))
    return [*([begins] if begins else []), *([ends + DAY] if ends and ends < date.max else [])]


def _turns_of(table: Data) -> list[date]:
    """Return the days on which another version of some row of a table begins to count, or one ends."""
    rows = (row for held in table.values() if isinstance(held, list) for row in held if isinstance(row, Mapping))
    return sorted({day for row in rows for day in _bounds(row)})


def _on_day(name: str, table: Data, on: date) -> dict[str, Any]:
    """Return a table with the rows whose days hold a date. A drug or a limit that is switched off is out of it too.

    Rules that are switched off stay, since a written case may switch them on; a steroid is never away.
    """
    held = dict(table)
    for section in DATED[name]:
        rows = table.get(section) or ()
        if (name, section) in ALWAYS:
            held[section] = _nearest(rows, on)
            continue
        is_kept = (name, section) not in SWITCHED_WHOLE
        held[section] = [
            row for row in rows
            if is_in_force({**row, "id": "", "enabled_by_default": is_kept or row.get("enabled_by_default", True)}, on)
        ]  # fmt: skip
    return held


def _nearest(rows: Iterable[Data], on: date) -> list[Data]:
    """Return of each row the version of a day, switched on or off; where none holds then, the one before, else the first."""
    versions: dict[str, list[Data]] = {}
    for row in rows:
        versions.setdefault(row["id"], []).append(row)
    found = []
    for held in versions.values():
        held.sort(key=lambda row: date_of(row.get("effective_from")) or date.min)
        begun = [row for row in held if (date_of(row.get("effective_from")) or date.min) <= on]
        found.append(begun[-1] if begun else held[0])
    return found


def _indexed(rules: Iterable[Ruled]) -> Mapping[str, tuple[Ruled, ...]]:
    found: dict[str, list[Ruled]] = {}
    for rule in rules:
        for family in rule.row.families:
            found.setdefault(family, []).append(rule)
    return {family: tuple(held) for family, held in found.items()}


def words_required(rows: Iterable[Data]) -> set[str]:
    """Return the words of the `requires` lists of some rows."""
    return {word for row in rows for word in (row.get("params") or {}).get("requires", ())}
