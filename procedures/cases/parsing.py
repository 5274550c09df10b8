"""Take one field after another out of a written mapping, and say what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any, TypeVar

from procedures.rules.places import is_level
from procedures.rules.shapes import is_number, is_whole

T = TypeVar("T")
D = TypeVar("D")
_RANGE = re.compile(r"\s*\d+(\.\d+)?\s*(-|–|to)\s*\d+(\.\d+)?\s*")
_MISSING = object()


class Wrong(Exception):
    """A value is not what was expected."""


@dataclass(frozen=True, slots=True)
class CaseProblem:
    """One thing wrong with a file of cases."""

    file: str
    case: str
    field: str
    expected: str

    def __str__(self) -> str:
        told = f"{self.file}: case {self.case or '-'}: field {self.field or '-'}: {self.expected}"
        return " ".join(told.split())


@dataclass(slots=True)
class Problems:
    """Gather the problems of one file."""

    file: str
    found: list[CaseProblem] = field(default_factory=list)

    def say(self, case: str, path: str, expected: str) -> None:
        self.found.append(CaseProblem(self.file, case, path, expected))


class Fields:
    """The fields of one mapping of a case. Ask for each that is known, then `end` for those that are not."""

    def __init__(self, problems: Problems, case: str, path: str, data: Any) -> None:
        self.problems, self.case, self.path = problems, case, path
        self.taken: set[str] = set()
        self.data: dict[Any, Any] = {}
        if isinstance(data, dict):
            self.data = data
        else:
            problems.say(case, path, "expected a mapping of fields")

    def at(self, name: str) -> str:
        """Return the full name of a field."""
        return f"{self.path}.{name}" if self.path else name

    def say(self, name: str, expected: str) -> None:
        """Note what is wrong with a field."""
        self.problems.say(self.case, self.at(name), expected)

    def has(self, name: str) -> bool:
        """Say whether a field is written."""
        return name in self.data

    def get(self, name: str, parse: Callable[[Any], T], default: D) -> T | D:
        """Return a field, or its default when it is left out or wrong; what is wrong is noted."""
        self.taken.add(name)
        value = self.data.get(name, _MISSING)
        if value is _MISSING:
            return default
        try:
            return parse(value)
        except Wrong as wrong:
            self.say(name, f"expected {wrong}")
            return default

    def need(self, name: str, parse: Callable[[Any], T]) -> T | None:
        """Return a field that must be there, or None when it is not or is wrong; what is wrong is noted."""
        if name not in self.data:
            self.taken.add(name)
            self.say(name, "is required and is missing")
            return None
        return self.get(name, parse, None)

    def parts(self, name: str) -> list[Fields]:
        """Return the mappings of a list."""
        value = self.get(name, a_list, [])
        return [Fields(self.problems, self.case, f"{self.at(name)}[{place}]", one) for place, one in enumerate(value, start=1)]

    def part(self, name: str) -> Fields:
        """Return a mapping inside this one; an empty one when it is left out."""
        self.taken.add(name)
        return Fields(self.problems, self.case, self.at(name), self.data.get(name, {}))

    def end(self) -> None:
        """Note every field that nobody asked for."""
        for name in self.data:
            if name not in self.taken:
                self.say(str(name), "is not a known key")


def a_text(value: Any) -> str:
    """Expect a text."""
    if not isinstance(value, str):
        raise Wrong("a text")
    return value


def a_loose_text(value: Any) -> str:
    """Expect a text; a number counts as one."""
    if is_number(value):
        return str(value)
    return a_text(value)


def a_word(allowed: Iterable[str], what: str = "") -> Callable[[Any], str]:
    """Expect one of some words."""
    known = frozenset(allowed)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            shown = what or f"one of {', '.join(sorted(known))}"
            raise Wrong(f"{shown}, not {value!r}")
        return value

    return parse


def yes_no(value: Any) -> bool:
    """Expect a yes or a no."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("yes", "no"):
        return value.lower() == "yes"
    raise Wrong("yes or no")


def a_day(value: Any) -> date:
    """Expect a date."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise Wrong("a date, YYYY-MM-DD")


def a_time(value: Any) -> datetime:
    """Expect a day and a wall-clock time."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise Wrong("a wall-clock time, YYYY-MM-DDTHH:MM")


def a_moment(value: Any) -> date | datetime:
    """Expect a date, or a day and a wall-clock time."""
    try:
        return a_day(value)
    except Wrong:
        pass
    try:
        return a_time(value)
    except Wrong:
        raise Wrong("a date, YYYY-MM-DD, or a wall-clock time, YYYY-MM-DDTHH:MM") from None


def a_whole(least: int = 0, most: int = 10_000) -> Callable[[Any], int]:
    """Expect a whole number."""

    def parse(value: Any) -> int:
        if not is_whole(value) or not least <= value <= most:
            raise Wrong(f"a whole number from {least} to {most}")
        return int(value)

    return parse


def a_number(least: float = 0, most: float = 1_000_000) -> Callable[[Any], Fraction]:
    """Expect a number, kept exactly as it is written."""

    def parse(value: Any) -> Fraction:
        if not is_number(value) or not least <= value <= most:
            raise Wrong(f"a number from {least:g} to {most:g}")
        return Fraction(str(value))

    return parse


def a_score(value: Any) -> Fraction | None:
    """Expect a score; one that is written as a range is None."""
    if isinstance(value, str) and _RANGE.fullmatch(value):
        return None
    try:
        return a_number()(value)
    except Wrong:
        raise Wrong('a score, one number, or a range as "2-8"') from None


def a_list(value: Any) -> list[Any]:
    """Expect a list."""
    if not isinstance(value, list):
        raise Wrong("a list")
    return value


def a_list_of(parse_one: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """Expect a list in which every entry is of a kind."""

    def parse(value: Any) -> tuple[T, ...]:
        return tuple(map(parse_one, a_list(value)))

    return parse


def levels(value: Any) -> tuple[str, ...]:
    """Expect one level or a list of them; each is kept once."""
    names = [value] if isinstance(value, str) else a_list(value)
    for name in names:
        if not isinstance(name, str) or not is_level(name):
            raise Wrong(f"levels as the tables write them (L4-L5, S1, L4), not {name!r}")
    return tuple(dict.fromkeys(names))
