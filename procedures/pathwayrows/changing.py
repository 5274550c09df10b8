"""Make a new version of a pathway: what a physician wishes of it, tried on a copy, checked, and kept with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from procedures.models import ClinicPathway
from procedures.pathwayrows.checking import check, must_be_rows
from procedures.pathwayrows.shaping import reshaped
from procedures.pathwayrows.words import CHANGE, SPANS, MayNotChange, PathwayChanged, Span, UnusablePathway, WhyMissing, ways_of
from procedures.pathways import Pathway, pathways_of

KEPT = ("id", "match", "ours")  # of a row; no physician's to change


@dataclass(frozen=True, slots=True)
class Wish:
    """What a physician wants of a pathway. Names are `step.way.field`, gates `step.way.gates.place`; a way counts from 0.

    `base` is the row in the shape that it has been given so far, None for the one that is kept; every name is one of its.
    `spans` hold None where an interval is taken away; `steps`, `ways` and `gates` what is set of one, a value of None
    taking it away; `more` the kinds of gates to add.
    """

    is_enabled: bool = True
    base: Mapping[str, Any] | None = None
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ways: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    spans: Mapping[str, Span | None] = field(default_factory=dict)
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    ways_off: frozenset[str] = frozenset()
    staging: Span | None = None
    limit: Mapping[str, Any] | None = None


def carried(row: ClinicPathway, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a shape that a row has been given; what no physician changes is the row's.

    Raises:
        UnusablePathway: it is none.
    """
    must_be_rows(base)
    names = [step["id"] for step in base["steps"]]
    if len(set(names)) != len(names) or any(way["to"] not in names for _, _, way in ways_of(base)):
        raise UnusablePathway("A way leads to a step that is not there.")
    return {
        **{name: value for name, value in deepcopy(dict(base)).items() if name not in KEPT},
        **{name: row.data[name] for name in KEPT if name in row.data},
    }


def applied(row: ClinicPathway, wish: Wish) -> dict[str, Any]:
    """Return the row of steps with what is wished, not yet checked as a whole.

    Raises:
        UnusablePathway: the shape that it was given is none.
    """
    data = carried(row, row.data if wish.base is None else wish.base)
    for name, kind in wish.more.items():
        if kind:
            data = reshaped(data, f"add_gate:{name}", kind=kind)
    for step in data["steps"]:
        _put(step, wish.steps.get(step["id"], {}))
        for place, gate in enumerate(step.get("begins", {}).get("gates", ())):
            _put(gate, wish.gates.get(f"{step['id']}.begins.gates.{place}", {}))
    for name, _, way in ways_of(data):
        _put_way(name, way, wish)  # type: ignore[arg-type]  # a copy of our own
    data.pop("limit", None)
    if wish.limit is not None:
        data["limit"] = {**row.data.get("limit", {}), **wish.limit}
        _put(data["limit"], {})
    if "staging" in row.data:
        data.pop("staging", None)
        if wish.staging is not None:
            data["staging"] = dict(wish.staging)
    # In the order of the row that is kept, so that nothing differs without a difference.
    return {name: data[name] for name in dict.fromkeys((*row.data, *data)) if name in data}


def proposed(row: ClinicPathway, wish: Wish) -> ClinicPathway:
    """Return an unsaved copy of a row with what is wished, of which all can be used.

    Raises:
        UnusablePathway: it could not be followed; the first thing that is wrong is named.
    """
    copy = ClinicPathway(**{one.attname: getattr(row, one.attname) for one in ClinicPathway._meta.concrete_fields})
    copy.data, copy.is_enabled = applied(row, wish), wish.is_enabled
    if "staging" in row.data and "staging" not in copy.data:
        raise UnusablePathway("Say how many days lie between two sides.", "staging")
    check(copy)
    return copy


def _put_way(name: str, way: dict[str, Any], wish: Wish) -> None:
    _put(way, wish.ways.get(name, {}))
    for kind in SPANS:
        key = f"{name}.{kind}"
        if key in wish.spans:
            way.pop(kind, None)
            if wish.spans[key]:
                way[kind] = dict(wish.spans[key] or {})
    for place, gate in enumerate(way["gates"]):
        _put(gate, wish.gates.get(f"{name}.gates.{place}", {}))
    way.pop("is_off", None)
    if name in wish.ways_off:
        way["is_off"] = True


# What has to stay where it is empty: the shape asks for it, or it is complained of at its field.
MUST_STAY = ("then", "gates", "why", "name", "what", "of", "families")


def _put(held: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Set values, and leave out what says nothing, so that nothing differs without a difference."""
    held.update(values)
    for name in [name for name, value in held.items() if value is None or (name not in MUST_STAY and _says_nothing(value))]:
        del held[name]


def _says_nothing(value: Any) -> bool:
    return value is False or value in ("", [])  # a number of 0 says something


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
