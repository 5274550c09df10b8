"""The lists and words of a row of the rules that a manager may choose: what they are called, and what can be chosen.

Only words that the tables use somewhere for the same thing can be chosen, since a word that no rule knows would silence it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from procedures import families
from procedures.guidance import MODALITIES
from procedures.models import Procedure, RuleRow
from procedures.rules.rows import plain
from procedures.rules.shapes import COUNT_PER, MEASURES, PLAN_TYPES, ROLES

__all__ = ["Listed", "chosen", "listed"]

# Texts for readers, sources, and what names a row or its kind: nobody chooses them.
TOLD_ONLY = frozenset({"examples", "unverified_fields", "source", "notes", "note", "usual_mg", "other_guidelines", "modifiers"})
FAMILIES = frozenset({"applies_to", "families", "exception", "family_any_of", "covers_families", "not_with"})
PROCEDURES = frozenset({"procedure_ids", "not_with_same_side"})
# Lists that may hold what no table has yet, typed with commas, and what each entry looks like.
TYPED: Mapping[str, re.Pattern[str]] = {
    "codes": re.compile(r"[0-9A-Z][0-9]{3}[0-9A-Z]"), "icd10_prefixes": re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?"),
    "states": re.compile(r"[A-Z]{2}"),
}  # fmt: skip
# Single words that decide something. Each is chosen among those that its tables use.
WORDS = frozenset({"action", "scope", "kind", "for_role", "role"})
KNOWN: Mapping[str, tuple[str, ...]] = {
    "plan_types": PLAN_TYPES, "for_role": ROLES, "role": ROLES, "count_per": COUNT_PER,
    "measure_any_of": MEASURES, "measure_all_of": MEASURES,
    **dict.fromkeys(("allowed", "not_allowed", "not_covered", "investigational", "applies_to_guidance"), tuple(MODALITIES)),
}  # fmt: skip

CAPITALS = frozenset({"mri", "ct", "asc", "icd", "dbs", "scs", "mac", "it"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One list or word of a row: where it stands, what it has, and what it may have. `shape` is set where it is typed."""

    path: str
    value: tuple[str, ...]
    is_one: bool
    options: tuple[tuple[str, str], ...] = ()
    shape: re.Pattern[str] | None = None

    def told(self) -> str:
        """Return what it has, as people read it."""
        names = dict(self.options)
        return ", ".join(names.get(word, word) for word in self.value)

    def kept(self, words: Iterable[str]) -> list[str] | str:
        """Return what is chosen as the row holds it, in the order of the row and then of the choice."""
        chosen = list(dict.fromkeys(words))
        return (
            chosen[0]
            if self.is_one
            else [*(one for one in self.value if one in chosen), *(one for one in chosen if one not in self.value)]
        )


def listed(row: RuleRow) -> list[Listed]:
    """Return the lists and words of a row that decide something, in its order."""
    held = list(chosen(row.data))
    if not held:
        return []
    used: dict[str, dict[str, None]] = {}
    for data in RuleRow.objects.filter(table=row.table).in_order().values_list("data", flat=True):
        for path, value, _ in chosen(data):
            used.setdefault(_name(path), {}).update(dict.fromkeys(value))
    return [_listed(path, value, is_one, used) for path, value, is_one in held]


def _listed(path: str, value: tuple[str, ...], is_one: bool, used: Mapping[str, Mapping[str, None]]) -> Listed:
    name = _name(path)
    if name in TYPED:
        return Listed(path, value, is_one, shape=TYPED[name])
    if name in FAMILIES:
        return Listed(path, value, is_one, tuple(families.choices(dict.fromkeys((*families.NAMES, *value)))))
    if name in PROCEDURES:
        named = dict(Procedure.objects.order_by("name", "pk").values_list("code", "name"))
        return Listed(path, value, is_one, tuple((named | {code: code for code in value if code not in named}).items()))
    words = dict.fromkeys((*KNOWN.get(name, ()), *used.get(name, ()), *value))
    return Listed(path, value, is_one, tuple((word, _told(word)) for word in words))


def chosen(held: Any, path: str = "") -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Give every list of words, and every word that decides something, with where it stands, and whether it is one word."""
    if isinstance(held, Mapping):
        for name, inner in held.items():
            if name not in TOLD_ONLY:
                yield from chosen(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(held, list):
        if held and all(isinstance(one, str) for one in held):
            yield path, tuple(held), False
        else:
            for place, inner in enumerate(held):
                yield from chosen(inner, f"{path}.{place}")
    elif isinstance(held, str) and _name(path) in WORDS:
        yield path, (held,), True


def _name(path: str) -> str:
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), "")


def _told(word: str) -> str:
    said = " ".join(part.upper() if part in CAPITALS else part for part in plain(word).split(" "))
    return said[:1].upper() + said[1:]
