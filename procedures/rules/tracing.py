"""Which of the facts a finding rests on: found by asking its rule again and watching what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date
from typing import Any, TypeAlias

from procedures.rules.facts import Facts
from procedures.rules.findings import Finding, Rule

Names: TypeAlias = frozenset[str]

_FIELDS = frozenset(field.name for field in fields(Facts))
# They pass by themselves from day to day, or say only how to read the others.
_NOT_FACTS = frozenset({"as_of", "zone", "is_complete", "age"})


class _Watched(Facts):
    """Facts that note which of their fields are read."""

    def __getattribute__(self, name: str) -> Any:
        held = object.__getattribute__(self, "__dict__")
        if name in _FIELDS:
            held["_seen"].add(name)
        return object.__getattribute__(self, name)


def _watched(facts: Facts) -> _Watched:
    made = object.__new__(_Watched)
    made.__dict__.update({name: getattr(facts, name) for name in _FIELDS}, _seen=set())
    return made


def read_by(rules: Iterable[Rule], facts: Facts, on: date, keys: Iterable[str]) -> Mapping[str, Names]:
    """Return for each of these findings that is found, by key, the names of the facts that its rule reads."""
    wanted = set(keys)
    found: dict[str, Names] = {}
    for rule in rules:
        if not wanted:
            break
        watched = _watched(facts)
        said = rule.check(watched, on)
        for finding in (said,) if isinstance(said, Finding) else said or ():
            if finding.key in wanted:
                wanted.discard(finding.key)
                found[finding.key] = frozenset(watched.__dict__["_seen"] - _NOT_FACTS)
    return found
