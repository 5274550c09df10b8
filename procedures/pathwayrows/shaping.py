"""Give a pathway another shape: steps and ways added, taken away and moved, gates added and taken away. Nothing is saved.

Each takes a row of steps and returns another. What comes out may still lack something: it is checked when it is looked at
and when it is saved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, TypeAlias

from procedures.pathwayrows.words import UnusablePathway

Data: TypeAlias = dict[str, Any]
EVALUATION = "multidisciplinary_evaluation_including_psychological"
# Gates as they begin when somebody adds one.
MORE: Mapping[str, Mapping[str, Any]] = {
    "relief": {"kind": "relief", "pct": 50},
    "too_little": {"kind": "too_little", "pct": 50},
    "changed": {"kind": "changed", "of": ["approach", "level", "medication"]},
    "same_target": {"kind": "same_target"},
    "longer": {"kind": "longer", "pct": 50},
    "on_file": {"kind": "on_file", "word": EVALUATION, "what": "Psychological evaluation", "owner": "desk"},
    "authorised": {"kind": "authorised"},
    "no_more_medicine": {"kind": "no_more_medicine"},
    "review": {"kind": "review", "of": "the course"},
}
BEGINS = "begins"


def reshaped(
    data: Mapping[str, Any], act: str, *, name: str = "", families: Iterable[str] = (), to: str = "", kind: str = ""
) -> Data:
    """Return a row after one act, as a button names it: `what:where`, or `what` alone.

    Raises:
        UnusablePathway: there is no such act or place, or something that it needs is missing.
    """
    copy: Data = deepcopy(dict(data))
    what, _, where = act.partition(":")
    try:
        if what == "add_step":
            _add_step(copy, name, list(families))
        elif what == "add_way":
            _add_way(copy, where, to)
        elif what == "add_gate":
            _add_gate(copy, where, kind)
        else:
            _ACTS[what](copy, where)
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise UnusablePathway("The pathway has no such place any more. Look at it again.") from error
    return copy


def new_id(name: str, taken: Iterable[str]) -> str:
    """Return an id for a step of this name that no other has."""
    stem = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:50] or "step"
    held, number, found = set(taken), 1, stem
    while found in held:
        number += 1
        found = f"{stem}_{number}"
    return found


def _step(data: Data, where: str) -> Data:
    found: Data = next(step for step in data["steps"] if step["id"] == where)
    return found


def _way(data: Data, where: str) -> tuple[Data, int]:
    name, _, place = where.rpartition(".")
    step, number = _step(data, name), int(place)
    if not 0 <= number < len(step["then"]):
        raise IndexError(number)
    return step, number


def _add_step(data: Data, name: str, families: list[str]) -> None:
    if not name.strip():
        raise UnusablePathway("Give the step a name.", "new_name")
    if not families:
        raise UnusablePathway("Choose what is done in the step.", "new_family")
    made = new_id(name, (step["id"] for step in data["steps"]))
    last = data["steps"][-1]
    data["steps"].append({"id": made, "name": name.strip(), "families": families, "then": []})
    if not last["then"]:  # the course was finished with it: now it goes on
        last["then"].append({"to": made, "why": f"{name.strip()} after {last['name']}", "earliest": {"days": 14}, "gates": []})


def _remove_step(data: Data, where: str) -> None:
    step = _step(data, where)
    if len(data["steps"]) == 1:
        raise UnusablePathway("A pathway has at least one step.")
    held = next((one for one in data["steps"] if one.get("pairs_with") == where), None)
    if held is not None:
        raise UnusablePathway(f"What is booked together stays together: take {held['name']} away first.", f"{where}.name")
    data["steps"].remove(step)
    for one in data["steps"]:
        one["then"] = [way for way in one["then"] if way["to"] != where]
        for place, way in enumerate(one["then"]):
            for number, gate in enumerate(way["gates"]):
                _forget(gate, where, f"{one['id']}.{place}.gates.{number}.on")


def _forget(gate: Data, where: str, field: str) -> None:
    """Let a gate no longer ask about a step; where it asks about nothing else, refuse: a person has to say what it asks then."""
    after = gate.get("after", [])
    if gate.get("than") == where or after in (where, [where]):
        raise UnusablePathway("This gate asks about the step: take the gate away first, or let it ask about another.", field)
    if where in after:
        gate["after"] = [name for name in after if name != where]


def _moved(by: int) -> Callable[[Data, str], None]:
    def move(data: Data, where: str) -> None:
        steps = data["steps"]
        _shift(steps, steps.index(_step(data, where)), by)

    return move


def _way_moved(by: int) -> Callable[[Data, str], None]:
    def move(data: Data, where: str) -> None:
        step, place = _way(data, where)
        _shift(step["then"], place, by)

    return move


def _shift(held: list[Any], place: int, by: int) -> None:
    to = min(max(place + by, 0), len(held) - 1)
    held.insert(to, held.pop(place))


def _add_way(data: Data, where: str, to: str) -> None:
    step, target = _step(data, where), _step(data, to) if to else None
    if target is None:
        raise UnusablePathway("Choose where the way leads.", f"{where}.to")
    step["then"].append({"to": to, "why": f"{target['name']} after {step['name']}", "earliest": {"days": 14}, "gates": []})


def _remove_way(data: Data, where: str) -> None:
    step, place = _way(data, where)
    if step.get("pairs_with") == step["then"][place]["to"]:
        raise UnusablePathway("What is booked together stays together.", f"{where}.off")
    del step["then"][place]


def _add_gate(data: Data, where: str, kind: str) -> None:
    if kind not in MORE:
        raise UnusablePathway("Choose what the gate asks.", f"{where}.more")
    gate = deepcopy(dict(MORE[kind]))
    if where.endswith(f".{BEGINS}"):
        step = _step(data, where.removesuffix(f".{BEGINS}"))
        step.setdefault(BEGINS, {"gates": []})["gates"].append(gate)
        return
    step, place = _way(data, where)
    # What is compared with an earlier step begins with the first one of the pathway.
    about = {"longer": "than", "no_more_medicine": "after"}.get(kind)
    if about is not None:
        gate[about] = data["steps"][0]["id"]
    step["then"][place]["gates"].append(gate)


def _remove_gate(data: Data, where: str) -> None:
    """Take a gate away: `step.way.gates.place`, or `step.begins.gates.place`."""
    start, _, place = where.rpartition(".gates.")
    if start.endswith(f".{BEGINS}"):
        step = _step(data, start.removesuffix(f".{BEGINS}"))
        del step[BEGINS]["gates"][int(place)]
        if not step[BEGINS]["gates"]:
            del step[BEGINS]
        return
    step, number = _way(data, start)
    del step["then"][number]["gates"][int(place)]


_ACTS: Mapping[str, Callable[[Data, str], None]] = {
    "remove_step": _remove_step,
    "up": _moved(-1),
    "down": _moved(1),
    "remove_way": _remove_way,
    "way_up": _way_moved(-1),
    "way_down": _way_moved(1),
    "remove_gate": _remove_gate,
}
