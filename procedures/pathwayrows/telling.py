"""How a pathway became what it is: what the clinic has otherwise than the table, and every version with its author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from procedures.models import ClinicPathway
from procedures.pathwayrows.words import gate_told, span_told
from procedures.tables.courses import ORDER, leaves


def edits(row: ClinicPathway) -> list[tuple[str, str, str]]:
    """Return what the clinic has otherwise than the table: what, the clinic's value, the table's."""
    here, table = leaves(row.data), leaves(row.table_values)
    found = [] if row.is_enabled else [("switched", "off", "on")]
    return found + [
        (_label(place), _said(place, here), _said(place, table))
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
    last = 0
    events = history._default_manager.filter(pgh_obj_id=row.pk).select_related("changed_by")
    for event in events.order_by("pgh_created_at", "pgh_id"):
        now = {**leaves(event.data), ("switched",): "on" if event.is_enabled else "off"}
        if event.version != last:
            changes = () if before is None else tuple(
                (_label(place), _said(place, before), _said(place, now))
                for place in dict.fromkeys((*before, *now))
                if before.get(place) != now.get(place)
            )  # fmt: skip
            who = event.changed_by.shown_name if event.changed_by is not None else "the tables"
            found.append(Version(event.version, event.changed_at, who, event.reason, changes))
        before, last = now, event.version
    return found[::-1]


def _label(place: tuple[str, ...]) -> str:
    if place[-1] == ORDER:
        return f"{place[1].replace('_', ' ')}: order of the ways on" if len(place) > 1 else "order of the steps"
    parts = [part for part in place if part not in ("steps", "then", "gates")]
    return " ".join(part.replace("_", " ") for part in parts)


def _said(place: tuple[str, ...], held: Mapping[tuple[str, ...], Any]) -> str:
    told = _told(held.get(place))
    return told.replace("_", " ") if place[-1] == ORDER else told


def _told(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        if "kind" in value:
            return f"{gate_told(value)}{' (off)' if value.get('is_off') else ''}"
        if "most" in value:
            return f"{value['most']} in {value['months']} months for one {value['per']}"
        return span_told(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
