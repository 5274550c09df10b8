"""The clinic's pathways as its physicians read and change them: what may be edited, and the verb that makes a new version.

A physician sets intervals, expiry, counts, gates and whether it is on. Which steps there are, and what a gate means, is code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused
from procedures.models import ClinicPathway
from procedures.pathways import Pathway, faults_of, pathways_of
from procedures.tables.courses import leaves

CHANGE = "procedures.change_pathways"
SPANS = ("earliest", "ideal", "latest", "expires")
UNITS = ("days", "weeks", "months", "years")
DAYS = {"days": 1, "weeks": 7, "months": 30, "years": 365}
Span: TypeAlias = Mapping[str, int]
# Gates that a physician may add to a way, as they begin.
MORE: Mapping[str, Mapping[str, Any]] = {
    "review": {"kind": "review", "of": "the course"},
    "authorised": {"kind": "authorised"},
    "same_target": {"kind": "same_target"},
    "relief": {"kind": "relief", "pct": 50},
}
GATES = {
    "relief": "Relief",
    "too_little": "Too little relief",
    "changed": "Something is changed",
    "same_target": "Same levels and side",
    "longer": "Relief lasts longer",
    "on_file": "On file",
    "authorised": "Authorised by the payer",
    "no_more_medicine": "No more medicine",
    "review": "A physician has looked",
}


class MayNotChange(Forbidden):
    def __init__(self) -> None:
        super().__init__("may_not_change_pathways", "You may see the pathways but not change them.")


class PathwayChanged(Conflict):
    def __init__(self, row: ClinicPathway) -> None:
        super().__init__(
            "stale",
            "Somebody else changed this pathway in the meantime, or a newer table was loaded. Look at it again, then save.",
            {"version": row.version},
        )


class UnusablePathway(Refused):
    """With these values no course could follow it; `field` says where."""

    def __init__(self, told: str, field_name: str = "") -> None:
        super().__init__("unusable", told, {"field": field_name})


class WhyMissing(Refused):
    def __init__(self) -> None:
        super().__init__("reason_missing", "Say why it is changed.", {"field": "reason"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a physician wants of a pathway. Names are `step.way.field`, gates `step.way.gates.place`; a way counts from 0.

    `spans` hold None where an interval is taken away; `gates` what is set of a gate; `more` the kinds of gates to add.
    """

    is_enabled: bool = True
    spans: Mapping[str, Span | None] = field(default_factory=dict)
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    ways_off: frozenset[str] = frozenset()
    staging: Span | None = None
    limit: Mapping[str, Any] | None = None


def ways_of(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Give every way of a row with its name and the step from which it leads."""
    for step in data["steps"]:
        for place, way in enumerate(step["then"]):
            yield f"{step['id']}.{place}", step, way


def proposed(row: ClinicPathway, wish: Wish) -> ClinicPathway:
    """Return an unsaved copy of a row with what is wished, of which all can be used.

    Raises:
        UnusablePathway: it could not be followed; the first thing that is wrong is named.
    """
    copy = ClinicPathway(**{one.attname: getattr(row, one.attname) for one in ClinicPathway._meta.concrete_fields})
    copy.data = deepcopy(row.data)
    copy.is_enabled = wish.is_enabled
    for name, _, way in ways_of(copy.data):
        _put_way(name, way, wish)  # type: ignore[arg-type]  # a copy of our own
    for step in copy.data["steps"]:
        for place, gate in enumerate(step.get("begins", {}).get("gates", ())):
            gate.update(wish.gates.get(f"{step['id']}.begins.gates.{place}", {}))
            _tidy(gate)
    if "staging" in row.data:
        if wish.staging is None:
            raise UnusablePathway("Say how many days lie between two sides.", "staging")
        copy.data["staging"] = dict(wish.staging)
    copy.data.pop("limit", None)
    if wish.limit is not None:
        copy.data["limit"] = {**row.data.get("limit", {}), **wish.limit}
    _check(copy)
    return copy


def _put_way(name: str, way: dict[str, Any], wish: Wish) -> None:
    for kind in SPANS:
        key = f"{name}.{kind}"
        if key in wish.spans:
            way.pop(kind, None)
            if wish.spans[key]:
                way[kind] = dict(wish.spans[key] or {})
    for place, gate in enumerate(way["gates"]):
        gate.update(wish.gates.get(f"{name}.gates.{place}", {}))
        _tidy(gate)
    if wish.more.get(name):
        way["gates"].append(dict(MORE[wish.more[name]]))
    way.pop("is_off", None)
    if name in wish.ways_off:
        way["is_off"] = True


def _tidy(gate: dict[str, Any]) -> None:
    """Leave out what says nothing, so that nothing differs without a difference."""
    for name in [name for name, value in gate.items() if value is None or (name == "is_off" and not value)]:
        del gate[name]


def _check(row: ClinicPathway) -> None:
    faults = faults_of([row.data])
    if faults:
        raise UnusablePathway(f"{faults[0].field}: expected {faults[0].expected}.", faults[0].field)
    for name, step, way in ways_of(row.data):
        told = [(kind, way[kind]) for kind in SPANS if kind in way]
        for (first, before), (second, after) in pairwise(told):
            if length(after) < length(before):
                raise UnusablePathway(f"{way['why']}: {second} comes before {first}.", f"{name}.{second}")
        if step.get("pairs_with") == way["to"]:
            _check_pair(row, name, way)
        if step["then"] and all(one.get("is_off") for one in step["then"]):
            raise UnusablePathway(f"Leave at least one way on after {step['name']}.", f"{name}.off")


def _check_pair(row: ClinicPathway, name: str, way: Mapping[str, Any]) -> None:
    """Refuse to part what is booked together further than the table has it: the body sets these days, not the clinic."""
    table = next((one for place, _, one in ways_of(row.table_values) if place == name), way)
    if way.get("is_off"):
        raise UnusablePathway("What is booked together stays together.", f"{name}.off")
    for kind, is_wider in (
        ("earliest", length(way.get("earliest", {})) < length(table["earliest"])),
        ("latest", length(way.get("latest", {"years": 99})) > length(table["latest"])),
    ):
        if is_wider:
            bounds = f"{span_told(table['earliest'])} to {span_told(table['latest'])}"
            raise UnusablePathway(f"{way['why']}: only within {bounds}.", f"{name}.{kind}")


def length(span: Span) -> int:
    """Return about how many days an interval has, to compare two of them."""
    return sum(DAYS[unit] * count for unit, count in span.items())


def compiled(row: ClinicPathway) -> Pathway:
    """Return one row as the planner reads it."""
    off = () if row.is_enabled else (row.code,)
    return pathways_of([row.data], names={row.code: row.name}, off=off)[row.code]


def change(*, row: ClinicPathway, wish: Wish, reason: str, version: int, by: Actor, at: datetime) -> ClinicPathway:
    """Make a new version of a pathway; running courses follow it, and are planned anew by the causes that it leaves.

    Without any difference nothing is written.

    Raises:
        MayNotChange: the actor may not.
        WhyMissing: no reason is given.
        PathwayChanged: `version` is not the present one.
        UnusablePathway: no course could follow it.
    """
    if not by.may(CHANGE):
        raise MayNotChange
    if not reason.strip():
        raise WhyMissing
    with transaction.atomic():
        kept = ClinicPathway.objects.select_for_update(no_key=True).get(pk=row.pk)
        if kept.version != version:
            raise PathwayChanged(kept)
        wanted = proposed(kept, wish)
        if (kept.data, kept.is_enabled) == (wanted.data, wanted.is_enabled):
            return kept
        kept.data, kept.is_enabled = wanted.data, wanted.is_enabled
        kept.changed_by_id, kept.changed_at, kept.reason = by.user_id, at, reason.strip()[:300]
        kept.version += 1
        kept.save(update_fields=["data", "is_enabled", "changed_by", "changed_at", "reason", "version"])
        trail.record(
            by=by, act="procedures.change_pathway", subject=kept, details={"pathway": kept.code, "version": kept.version}
        )
        return kept


# --- in words --------------------------------------------------------------------------------------------------------


def span_told(span: Span | None) -> str:
    """Return an interval as people write it: 14 days, 2 years 1 day."""
    if not span:
        return ""
    told = [(unit, span[unit]) for unit in reversed(UNITS) if unit in span]
    return " ".join(f"{count} {unit if count != 1 else unit.removesuffix('s')}" for unit, count in told)


def read_span(text: str) -> Span | None:
    """Return the interval that people wrote; None for nothing.

    Raises:
        ValueError: it is none, with what is expected.
    """
    found: dict[str, int] = {}
    words = text.replace(",", " ").casefold().split()
    if len(words) % 2:
        raise ValueError("Write a number and a unit, as 14 days or 2 years 1 day.")
    for number, word in zip(words[::2], words[1::2], strict=True):
        unit = next((unit for unit in UNITS if word in (unit, unit.removesuffix("s"))), "")
        if not unit or not number.isascii() or not number.isdigit() or int(number) > 10_000 or unit in found:
            raise ValueError("Write a number and a unit, as 14 days or 2 years 1 day.")
        found[unit] = int(number)
    return found or None


def gate_told(gate: Mapping[str, Any]) -> str:
    """Return what a gate asks, in words."""
    kind = gate["kind"]
    if kind == "relief":
        period = span_told({unit: gate[unit] for unit in UNITS if unit in gate})
        told = f"at least {gate['pct']} % better{f' for {period}' if period else ''}"
        told += " or better function" if gate.get("or_function") else ""
        after = [str(name).replace("_", " ") for name in gate.get("after", ())]
        return told + (f" after {' and '.join(after)}" if after else "")
    if kind == "too_little":
        return f"less than {gate['pct']} % better"
    if kind == "changed":
        return f"another {' or '.join(gate['of'])}"
    if kind == "longer":
        return f"{gate['pct']} % relief lasts longer than after {str(gate['than']).replace('_', ' ')}"
    if kind == "on_file":
        return f"{gate['what']} is on file"
    if kind == "no_more_medicine":
        return f"no more medicine than before {str(gate['after']).replace('_', ' ')}"
    if kind == "review":
        return f"a physician has looked at {gate['of']}"
    return {"same_target": "the same levels and side", "authorised": "the payer has authorised it"}[kind]


def stops_of(row: ClinicPathway) -> list[str]:
    """Return what stops a course on a pathway, in words."""
    found = []
    relief = sorted({gate_told(gate) for _, _, way in ways_of(row.data) for gate in way["gates"] if gate["kind"] == "relief"})
    if relief:
        found.append(f"The relief that a way asks for is not reached ({'; '.join(relief)}) and no other way is open.")
    ends = [f"{way['why']}: {span_told(way['expires'])}" for _, _, way in ways_of(row.data) if "expires" in way]
    if ends:
        found.append(f"The time for it has run out ({'; '.join(ends)}).")
    limit = row.data.get("limit")
    if limit:
        found.append(f"{limit['most']} sessions in {limit['months']} months for one {limit['per']}, and none leaves that time.")
    found.append("A payer's limit that waiting does not lift, a physician's own limit, or a physician's word.")
    return found


def edits(row: ClinicPathway) -> list[tuple[str, str, str]]:
    """Return what the clinic has otherwise than the table: what, the clinic's value, the table's."""
    here, table = leaves(row.data), leaves(row.table_values)
    found = [] if row.is_enabled else [("switched", "off", "on")]
    return found + [
        (_label(place), _told(here.get(place)), _told(table.get(place)))
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
                (_label(place), _told(before.get(place)), _told(now.get(place)))
                for place in dict.fromkeys((*before, *now))
                if before.get(place) != now.get(place)
            )  # fmt: skip
            who = event.changed_by.shown_name if event.changed_by is not None else "the tables"
            found.append(Version(event.version, event.changed_at, who, event.reason, changes))
        before, last = now, event.version
    return found[::-1]


def _label(place: tuple[str, ...]) -> str:
    parts = [part for part in place if part not in ("steps", "then", "gates")]
    return " ".join(part.replace("_", " ") for part in parts)


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
