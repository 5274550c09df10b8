"""How a pathway became what it is: what the clinic has otherwise than the table, and every version with its author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from procedures.families import name_of
from procedures.models import ClinicPathway
from procedures.pathwayrows.words import GATES, PER, gate_told, span_told, step_names
from procedures.tables.courses import ORDER, leaves

# What people call the values of a row; what is not named here is told by its own name.
WORDS = {
    "families": "what is done", "why": "what for", "earliest": "not before", "ideal": "best", "latest": "until",
    "expires": "lapses after", "is_off": "off", "is_staged": "two sides on two dates",
    "staging": "between two sides on two dates", "pairs_with": "booked together with", "only_if": "only where wished",
    "ours": "our own",
}  # fmt: skip


def edits(row: ClinicPathway) -> list[tuple[str, str, str]]:
    """Return what the clinic has otherwise than the table: what, the clinic's value, the table's."""
    here, table = leaves(row.data), leaves(row.table_values)
    names = _names(row.data, row.table_values)
    found = [] if row.is_enabled else [("switched", "off", "on")]
    return found + [
        (_label(place, names), _said(place, here, names), _said(place, table, names))
        for place in dict.fromkeys((*table, *here))
        if here.get(place) != table.get(place)
    ]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a pathway as its history tells it."""

    version: int
    at: datetime
    by: str
    reason: str
    changes: tuple[tuple[str, str, str], ...]


def versions(row: ClinicPathway) -> list[Version]:
    """Return every version of a pathway with who made it, why and what changed, newest first."""
    history: Any = ClinicPathway._meta.get_field("events").related_model
    found: list[Version] = []
    before: dict[tuple[str, ...], Any] | None = None
    rows: list[Mapping[str, Any]] = []
    last = 0
    events = history._default_manager.filter(pgh_obj_id=row.pk).select_related("changed_by")
    for event in events.order_by("pgh_created_at", "pgh_id"):
        now = {**leaves(event.data), ("switched",): "on" if event.is_enabled else "off"}
        if event.version != last:
            names = _names(event.data, *rows)
            changes = () if before is None else tuple(
                (_label(place, names), _said(place, before, names), _said(place, now, names))
                for place in dict.fromkeys((*before, *now))
                if before.get(place) != now.get(place)
            )  # fmt: skip
            who = event.changed_by.shown_name if event.changed_by is not None else "the tables"
            found.append(Version(event.version, event.changed_at, who, event.reason, changes))
        before, rows, last = now, [event.data], event.version
    return found[::-1]


def _names(*rows: Mapping[str, Any]) -> dict[str, str]:
    """Return what steps are called, by their ids; a step that a row lacks as another one calls it."""
    return {step: name for row in reversed(rows) for step, name in step_names(row).items()}


def _label(place: tuple[str, ...], names: Mapping[str, str]) -> str:
    """Return where a value stands: the step, the way that leads on from it, and what of it."""
    if place[0] != "steps":
        return "order of the steps" if place[-1] == ORDER else _word(place[0])
    step, *rest = place[1:]
    start = names.get(step, step)
    if rest[0] == "then":
        start, rest = f"{start}, then {_way(rest[1], names)}", rest[2:]
    elif rest[0] == "begins":
        start, rest = f"{start}, before a course begins", rest[1:]
    if rest[0] == "gates":
        kind, _, number = rest[1].rpartition(" ")
        return f"{start}, gate {GATES[kind].lower()}{'' if number == '1' else f' ({number})'}"
    return f"{start}, {'order of the ways on' if rest[0] == ORDER else _word(rest[0])}"


def _way(called: str, names: Mapping[str, str]) -> str:
    """Return a way by the step to which it leads; with its number where several lead there."""
    step, _, number = called.rpartition(" ")
    return f"{names.get(step, step)}{'' if number == '1' else f' ({number})'}"


def _word(name: str) -> str:
    return WORDS.get(name, name.replace("_", " "))


def _said(place: tuple[str, ...], held: Mapping[tuple[str, ...], Any], names: Mapping[str, str]) -> str:
    """Return a value in words."""
    value = held.get(place)
    if value is None or value == "":
        return "none"
    if place[-1] == "families":
        return ", ".join(map(name_of, value))
    if place[-1] == ORDER:
        return ", ".join(names.get(one, "") or _way(one, names) for one in value)
    if place[-1] == "only_if":
        return _word(str(value))
    if place[-1] in ("to", "pairs_with"):
        return names.get(str(value), str(value))
    return _told(value, names)


def _told(value: Any, names: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        if "kind" in value:
            return f"{gate_told(value, names)}{' (off)' if value.get('is_off') else ''}"
        if "most" in value:
            counted = ", ".join(map(name_of, value.get("families") or ()))
            return f"{value['most']} in {value['months']} months for {PER[value['per']]}{f', of {counted}' if counted else ''}"
        return span_told(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
