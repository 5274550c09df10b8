"""The shape that rows of the rule tables must have, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

SEVERITIES = ("deny", "warn", "info")
WINDOW_KINDS = ("rolling", "anchored_year", "calendar_year", "episode", "lifetime")
LONGEST = {"days": 36_500, "weeks": 5_200, "months": 1_200, "years": 100}
UNITS = ("days", "weeks", "months", "years")
COUNT_PER = ("patient", "payer_region", "joint", "anatomic_site")
PLAN_TYPES = ("original_medicare", "medicare_advantage", "commercial", "self_pay")
ROLES = ("diagnostic", "therapeutic")
MEASURES = ("pain", "function", "pain_for_duration")
GAINS = ("function_improved", "medication_reduced")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a table: which table and row, which field, and what was expected there."""

    table: str
    row: str
    field: str
    expected: str

    def __str__(self) -> str:
        return f"{self.table}: row {self.row or '-'}: field {self.field or '-'}: expected {self.expected}"


class MalformedRows(ValueError):
    """Rows of the rule tables cannot be used as they are."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, faults)))


@dataclass(slots=True)
class Checker:
    """Gather the faults of one table."""

    table: str
    faults: list[Fault] = field(default_factory=list)

    def say(self, row: str, name: str, expected: str) -> None:
        self.faults.append(Fault(self.table, row, name, expected))


Check = Callable[[Checker, str, str, Any], None]


def is_whole(value: object) -> bool:
    """Say whether it is a whole number, yes and no left out."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Say whether it is a finite number, yes and no left out."""
    return (is_whole(value) or isinstance(value, float)) and -1e9 < float(value) < 1e9  # type: ignore[arg-type]


def whole(least: int = 0) -> Check:
    """Expect a whole number from a least one."""

    def check(checker: Checker, row: str, name: str, value: Any) -> None:
        if not is_whole(value) or not least <= value <= 10_000:
            checker.say(row, name, f"a whole number of at least {least}")

    return check


def number(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a number that is not negative."""
    if not is_number(value) or value < 0:
        checker.say(row, name, "a number that is not negative")


def more_than_nothing(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a number above 0: a limit or a time of 0 would hold always or never."""
    if not is_number(value) or value <= 0:
        checker.say(row, name, "a number above 0")


def percent(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a percentage."""
    if not is_number(value) or not 0 <= value <= 100:
        checker.say(row, name, "a percentage from 0 to 100")


def text(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a text."""
    if not isinstance(value, str):
        checker.say(row, name, "a text")


def flag(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect true or false."""
    if not isinstance(value, bool):
        checker.say(row, name, "true or false")


def texts(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a list of texts."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        checker.say(row, name, "a list of texts")


def wholes(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a list of whole numbers."""
    if not isinstance(value, list) or not all(is_whole(one) and one >= 1 for one in value):
        checker.say(row, name, "a list of whole numbers of at least 1")


def anything(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect whatever it is: words for readers that no rule acts on."""


def one_of(*allowed: str) -> Check:
    """Expect one of some words."""

    def check(checker: Checker, row: str, name: str, value: Any) -> None:
        if value not in allowed or not isinstance(value, str):
            checker.say(row, name, f"one of {', '.join(allowed)}")

    return check


def some_of(*allowed: str) -> Check:
    """Expect a list of some words."""

    def check(checker: Checker, row: str, name: str, value: Any) -> None:
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one in allowed for one in value):
            checker.say(row, name, f"a list of {', '.join(allowed)}")

    return check


def pairs(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a list of lists of texts."""
    if not isinstance(value, list) or not all(isinstance(one, list) and all(isinstance(w, str) for w in one) for one in value):
        checker.say(row, name, "a list of lists of ids")


def doses(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect milligrams by drug."""
    if not isinstance(value, dict) or not all(isinstance(key, str) and is_number(mg) and mg >= 0 for key, mg in value.items()):
        checker.say(row, name, "milligrams by drug")


def period(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a length of time with one unit: longer than nothing, and within a life."""
    is_one = isinstance(value, dict) and len(value) == 1 and set(value) <= set(UNITS)
    if not is_one or not all(is_whole(one) and 1 <= one <= LONGEST[unit] for unit, one in value.items()):
        checker.say(row, name, "one of days, weeks, months or years with a whole number of at least 1")


def window(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a window: its kind, and a length where it rolls."""
    if not isinstance(value, dict) or value.get("kind") not in WINDOW_KINDS:
        checker.say(row, name, f"a window of kind {', '.join(WINDOW_KINDS)}")
        return
    lengths = {unit: value[unit] for unit in UNITS if unit in value}
    if value["kind"] == "rolling":
        period(checker, row, name, lengths)
    elif lengths:
        checker.say(row, name, "no length, since only a rolling window has one")
    if value.get("window_edge", "exclusive") not in ("exclusive", "inclusive"):
        checker.say(row, f"{name}.window_edge", "exclusive or inclusive")
    if value.get("anchor", "first_approved_session") != "first_approved_session":
        checker.say(row, f"{name}.anchor", "first_approved_session")
    for unknown in sorted(set(value) - {"kind", "anchor", "window_edge", *UNITS}):
        checker.say(row, f"{name}.{unknown}", "no such field")


def fields(known: Mapping[str, Check], *, required: Iterable[str] = ()) -> Check:
    """Expect a mapping of known fields."""
    needed = tuple(required)

    def check(checker: Checker, row: str, name: str, value: Any) -> None:
        if not isinstance(value, dict):
            checker.say(row, name, "a mapping of fields")
            return
        for key in needed:
            if key not in value:
                checker.say(row, f"{name}.{key}" if name else key, "a value; the field is missing")
        for key, held in value.items():
            path = f"{name}.{key}" if name else str(key)
            if key not in known:
                checker.say(row, path, "no such field")
            else:
                known[key](checker, row, path, held)

    return check


def list_of(check_one: Check) -> Check:
    """Expect a list in which each entry has a shape."""

    def check(checker: Checker, row: str, name: str, value: Any) -> None:
        if not isinstance(value, list) or not value:
            checker.say(row, name, "a list")
            return
        for place, one in enumerate(value, start=1):
            check_one(checker, row, f"{name}[{place}]", one)

    return check


def a_date(checker: Checker, row: str, name: str, value: Any) -> None:
    """Expect a date."""
    if date_of(value) is None:
        checker.say(row, name, "a date, YYYY-MM-DD")


def in_order(checker: Checker, row: str, values: Mapping[str, Any]) -> None:
    """Expect the days on which a row holds in their order."""
    first, last = (date_of(values.get(name)) for name in ("effective_from", "effective_to"))
    if first is not None and last is not None and last < first:
        checker.say(row, "effective_to", f"a day not before effective_from, {first}")


def check_versions(checker: Checker, rows: Sequence[Any], identity: str) -> None:
    """Expect that of the versions of one row at most one holds on each day."""
    versions: dict[str, list[tuple[date, date]]] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get(identity), str):
            continue  # said where its shape is looked at
        begins, ends = date_of(row.get("effective_from")) or date.min, date_of(row.get("effective_to")) or date.max
        others = versions.setdefault(row[identity], [])
        if any(begins <= last and first <= ends for first, last in others):
            checker.say(row[identity], "effective_from", "days on which no other row with this id holds")
        others.append((begins, ends))


def one_unit(checker: Checker, row: str, name: str, values: Mapping[str, Any]) -> None:
    """Expect a length in one unit among other fields: of two only one would count."""
    given = [unit for unit in UNITS if unit in values]
    if len(given) > 1:
        checker.say(row, name, f"one of days, weeks, months or years, not {' and '.join(given)}")


def date_of(value: Any) -> date | None:
    """Return a date that is written as one, or as a text; None for everything else."""
    if isinstance(value, datetime):
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None
