"""Which of the facts a finding rests on: found by asking its rule again and watching what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Protocol, TypeAlias, runtime_checkable

from procedures.rules.facts import Facts, Lab
from procedures.rules.findings import Finding, Rule

Names: TypeAlias = frozenset[str]

_FIELDS = frozenset(field.name for field in fields(Facts))
# They pass by themselves from day to day, or say only how to read the others.
_NOT_FACTS = frozenset({"as_of", "zone", "is_complete", "age"})


@dataclass(frozen=True, slots=True)
class Rests:
    """What a finding rests on: the names of facts, and of the laboratory results those that were looked up."""

    names: Names
    labs: tuple[str, ...] = ()


@runtime_checkable
class Parted(Protocol):
    """A rule that says one thing after the other, and of each only once it has read what that rests on."""

    def parts(self, facts: Facts, on: date) -> Iterator[Iterator[Finding]]:
        """Yield findings that rest on nothing of each other's part."""


class _Watched(Facts):
    """Facts that note which of their fields are read, and which result was found for a test."""

    def __getattribute__(self, name: str) -> Any:
        held = object.__getattribute__(self, "__dict__")
        if name in _FIELDS:
            held["_seen"].add(name)
        return object.__getattribute__(self, name)

    def lab(self, test: str, *, until: date, since: date | None = None) -> Lab | None:
        held = self.__dict__
        was_seen = "labs" in held["_seen"]
        found = super().lab(test, until=until, since=since)
        if not was_seen:
            held["_seen"].discard("labs")
        held["_labs"].add(f"{test} {found.value} {found.on}" if found is not None else f"{test} none")
        return found


def _watched(facts: Facts) -> _Watched:
    made = object.__new__(_Watched)
    made.__dict__.update({name: getattr(facts, name) for name in _FIELDS}, _seen=set(), _labs=set())
    return made


def read_by(rules: Iterable[Rule], facts: Facts, on: date, keys: Iterable[str]) -> Mapping[str, Rests]:
    """Return for each of these findings that is found, by key, what its rule reads to find it."""
    wanted = set(keys)
    found: dict[str, Rests] = {}
    for rule in rules:
        if not wanted:
            break
        watched = _watched(facts)
        for part in _parts(rule, watched, on):
            watched.__dict__["_labs"].clear()
            for finding in part:
                if finding.key in wanted:
                    wanted.discard(finding.key)
                    seen, labs = watched.__dict__["_seen"], watched.__dict__["_labs"]
                    found[finding.key] = Rests(frozenset(seen - _NOT_FACTS), tuple(sorted(labs)))
    return found


def _parts(rule: Rule, facts: Facts, on: date) -> Iterator[Iterator[Finding]]:
    if isinstance(rule, Parted):
        yield from rule.parts(facts, on)
    else:
        yield _said(rule, facts, on)


def _said(rule: Rule, facts: Facts, on: date) -> Iterator[Finding]:
    said = rule.check(facts, on)
    yield from (said,) if isinstance(said, Finding) else said or ()
