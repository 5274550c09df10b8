"""The way back: a written case as the form shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduling.forms.assess.asks import Part


def at_path(case: Mapping[str, Any], path: str) -> Any:
    held: Any = case
    for name in filter(None, path.split(".")):
        held = held.get(name, {}) if isinstance(held, Mapping) else {}
    return held


def taken_apart(case: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a case whose first procedure stands among what is asked for, as the form has it, and the others beside it."""
    request = case.get("request", {})
    if not request.get("procedures"):
        return case
    first, *others = request["procedures"]
    return {**case, "request": {**request, **first, "procedures": others}}


def start_of(part: Part, case: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for ask in part.asks:
        held = dict(at_path(case, ask.key or part.path))
        if "starts_at" in held:
            held["date"], _, held["time"] = held["starts_at"].partition("T")
        if ask.name in held:
            found[ask.name] = ask.typed(held[ask.name])
    return found


def row_start(part: Part, row: Mapping[str, Any]) -> dict[str, Any]:
    held = dict(row)
    if "follow_up" in held:
        held["follow_up"] = [_record_told(one) for one in held["follow_up"]]
    return {ask.name: ask.typed(held[ask.name]) for ask in part.asks if ask.name in held}


def _record_told(one: Mapping[str, Any]) -> str:
    return " ".join(str(one[name]) for name in ("date", "relief", "function_gain") if name in one)
