"""Whether a course could walk a row of steps from its first step to an end, and at which field it could not. Pure.

The shape of the row is right already: this asks what the shape cannot say. A field is `step.name` of a step, `step.way.name`
of a way, which counts from 0, and `step.way.gates.place.name` of a gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
MOST_STEPS, MOST_WAYS, MOST_GATES = 12, 6, 8
BEFORE_IT_BEGINS = ("on_file", "authorised", "review")  # gates that ask nothing about a session before
DAYS = {"days": 1, "weeks": 7, "months": 30, "years": 365}
_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,59}")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why no course could follow it, and where."""

    field: str
    told: str


def problems_of(row: Row, *, table: Row, families: Iterable[str]) -> Iterator[Problem]:
    """Yield what is wrong with a row of steps; `table` is the row as the tables have it, `families` those of the catalogue."""
    steps: Sequence[Row] = row["steps"]
    if len(steps) > MOST_STEPS:
        yield Problem("new_name", f"A pathway has at most {MOST_STEPS} steps.")
    known, names, ids = frozenset(families), set[str](), {step["id"] for step in steps}
    before = _before(steps)
    reached = _reached(steps)
    loose = {step["id"] for step in table.get("steps", ())} - _reached(table.get("steps", ()))
    for place, step in enumerate(steps):
        yield from _of_step(step, known, names)
        names.add(step["name"].casefold())
        if step["id"] not in reached | loose:
            yield Problem(f"{step['id']}.name", f"No way leads to {step['name']}: add one that ends there, or take it away.")
        yield from _of_beginning(step, is_first=place == 0)
        if len(step["then"]) > MOST_WAYS:
            yield Problem(f"{step['id']}.to", f"At most {MOST_WAYS} ways lead on from one step.")
        for number, way in enumerate(step["then"]):
            yield from _of_way(f"{step['id']}.{number}", step, way, ids, before)
    counted = row.get("limit", {}).get("families")
    if counted is not None and not set(counted) & {family for step in steps for family in step["families"]}:
        yield Problem("counted", "The limit counts only what no step has any more. Choose what it counts, or leave it empty.")


def _of_step(step: Row, known: frozenset[str], names: set[str]) -> Iterator[Problem]:
    here = step["id"]
    if not _ID.fullmatch(here):
        yield Problem(f"{here}.name", "A step's id is of small letters, digits and underscores.")
    if not step["name"].strip():
        yield Problem(f"{here}.name", "Give the step a name.")
    elif step["name"].casefold() in names:
        yield Problem(f"{here}.name", f"There is another step called {step['name']}.")
    strange = [family for family in step["families"] if family not in known]
    if strange:
        yield Problem(f"{here}.family_0", f"No procedure of the catalogue is of the kind {strange[0]}.")


def _of_beginning(step: Row, *, is_first: bool) -> Iterator[Problem]:
    gates = step.get("begins", {}).get("gates", ())
    if gates and not is_first:
        yield Problem(
            f"{step['id']}.name",
            f"What is asked before {step['name']} is only asked where a course begins with it: it has to be the first step.",
        )
    for place, gate in enumerate(gates):
        if gate["kind"] not in BEFORE_IT_BEGINS:
            field = f"{step['id']}.begins.gates.{place}.on"
            yield Problem(field, "Before the first step there is no session that this could be asked about.")


def _of_way(name: str, step: Row, way: Row, ids: set[str], before: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    if way["to"] not in ids:
        yield Problem(f"{name}.why", "It leads to a step that is not there any more.")
    if not way["why"].strip():
        yield Problem(f"{name}.why", "Say in words what this way is for.")
    if "earliest" in way and _days(way["earliest"]) == 0:
        yield Problem(f"{name}.earliest", "At least one day: a session is one date.")
    if len(way["gates"]) > MOST_GATES:
        yield Problem(f"{name}.more", f"At most {MOST_GATES} gates stand on one way.")
    asked = [(place, gate) for place, gate in enumerate(way["gates"]) if not gate.get("is_off")]
    for place, gate in asked:
        yield from _of_gate(f"{name}.gates.{place}", step, gate, before)
    yield from _never_opens(name, step, way, [gate for _, gate in asked])


def _of_gate(name: str, step: Row, gate: Row, before: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """A gate speaks of sessions that a course has had when it stands there; of others it would ask nothing."""
    after = gate.get("after", ())
    for about in [after] if isinstance(after, str) else after:
        if about not in before[step["id"]]:
            yield Problem(f"{name}.after", f"{_said(about)} does not come before this way: it would ask about nothing.")
    than = gate.get("than")
    if than is not None and than not in before[step["id"]] - {step["id"]}:
        yield Problem(f"{name}.than", f"Choose a step that comes before {step['name']} to compare with.")
    if gate["kind"] == "review" and not gate["of"].strip():
        yield Problem(f"{name}.of", "Say what the physician looks at.")
    if gate["kind"] == "on_file" and not gate["what"].strip():
        yield Problem(f"{name}.what", "Say what has to be on file.")


def _never_opens(name: str, step: Row, way: Row, gates: Sequence[Row]) -> Iterator[Problem]:
    """Gates that no session could open together, or not before the way has lapsed."""
    about = [gate for gate in gates if gate["kind"] == "relief" and (not gate.get("after") or step["id"] in gate["after"])]
    little = min((gate["pct"] for gate in gates if gate["kind"] == "too_little"), default=None)
    most = max((gate["pct"] for gate in about if not gate.get("or_function")), default=None)
    if little is not None and most is not None and most >= little:
        yield Problem(f"{name}.more", f"No relief is both at least {most} % and less than {little} %.")
    lasting = max((_days(gate) for gate in about if not gate.get("or_function")), default=0)
    if "expires" in way and _days(way["expires"]) < lasting:
        yield Problem(f"{name}.expires", "It lapses before relief could have lasted as long as its gate asks.")


def _reached(steps: Sequence[Row]) -> set[str]:
    """Return the steps to which ways lead from the first one."""
    by_id = {step["id"]: step for step in steps}
    found: set[str] = set()
    left = [steps[0]["id"]] if steps else []
    while left:
        here = left.pop()
        if here in found or here not in by_id:
            continue
        found.add(here)
        left += [way["to"] for way in by_id[here]["then"] if not way.get("is_off")]
    return found


def _before(steps: Sequence[Row]) -> dict[str, frozenset[str]]:
    """Return for each step those that a course may have done when it stands there, itself among them."""
    found = {step["id"]: {step["id"]} for step in steps}
    is_moving = True
    while is_moving:
        is_moving = False
        for step in steps:
            for way in step["then"]:
                held = found.get(way["to"])
                if held is not None and not way.get("is_off") and not found[step["id"]] <= held:
                    held |= found[step["id"]]
                    is_moving = True
    return {name: frozenset(held) for name, held in found.items()}


def _days(span: Mapping[str, Any]) -> int:
    return sum(days * span.get(unit, 0) for unit, days in DAYS.items())


def _said(name: str) -> str:
    told = name.replace("_", " ")
    return told[:1].upper() + told[1:]
