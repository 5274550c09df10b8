"""Turn the rows of a file of steps into pathways, or say everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from procedures.pathways.gates import (
    Authorised,
    Changed,
    Longer,
    NoMoreMedicine,
    OnFile,
    Relief,
    Review,
    SameTarget,
    TooLittle,
)
from procedures.pathways.words import Gate, Limit, Match, Owner, Pathway, Span, Step, Way
from procedures.rules.dates import Period, period_of
from procedures.rules.responses import Response
from procedures.rules.shapes import Check, Checker, Fault, MalformedRows, fields, list_of, one_of, percent, some_of, text, whole

Row = Mapping[str, Any]
UNITS = ("days", "weeks", "months", "years")
CHANGES = ("approach", "level", "medication")


def _flag(checker: Checker, row: str, name: str, value: Any) -> None:
    if not isinstance(value, bool):
        checker.say(row, name, "true or false")


def _texts(checker: Checker, row: str, name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        checker.say(row, name, "a list of texts")


def _span(checker: Checker, row: str, name: str, value: Any) -> None:
    lengths = value.values() if isinstance(value, dict) else ()
    is_whole = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 10_000 for one in lengths)
    if not isinstance(value, dict) or not value or not set(value) <= set(UNITS) or not is_whole:
        checker.say(row, name, f"whole numbers of {', '.join(UNITS)}")


_LENGTHS: Mapping[str, Check] = {unit: whole() for unit in UNITS}
_GATES: Mapping[str, tuple[Mapping[str, Check], tuple[str, ...]]] = {
    "relief": ({"pct": percent, "or_function": _flag, "after": _texts, **_LENGTHS}, ("pct",)),
    "too_little": ({"pct": percent}, ("pct",)),
    "changed": ({"of": some_of(*CHANGES)}, ("of",)),
    "same_target": ({}, ()),
    "longer": ({"pct": percent, "than": text}, ("pct", "than")),
    "on_file": ({"word": text, "what": text, "owner": one_of(*(owner.value for owner in Owner))}, ("word", "what")),
    "authorised": ({}, ()),
    "no_more_medicine": ({"after": text}, ("after",)),
    "review": ({"of": text}, ("of",)),
}


def _gate_shape(checker: Checker, row: str, name: str, value: Any) -> None:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _GATES:
        checker.say(row, name, f"a gate of kind {', '.join(_GATES)}")
        return
    known, required = _GATES[kind]
    fields({"kind": text, "is_off": _flag, **known}, required=required)(checker, row, name, value)


def _list(check: Check) -> Check:
    """Expect a list that may be empty."""

    def checked(checker: Checker, row: str, name: str, value: Any) -> None:
        if value != []:
            list_of(check)(checker, row, name, value)

    return checked


_WAY = fields(
    {
        "to": text, "why": text, "earliest": _span, "ideal": _span, "latest": _span, "expires": _span, "only_if": text,
        "is_off": _flag, "gates": _list(_gate_shape),
    },
    required=("to", "why", "gates"),
)  # fmt: skip
_STEP = fields(
    {
        "id": text, "name": text, "families": list_of(text), "role": one_of("diagnostic", "therapeutic"), "is_staged": _flag,
        "pairs_with": text, "begins": fields({"gates": _list(_gate_shape)}, required=("gates",)), "then": _list(_WAY),
    },
    required=("id", "name", "families", "then"),
)  # fmt: skip
_PATHWAY = fields(
    {
        "id": text, "name": text, "match": one_of(*(match.value for match in Match)), "staging": _span, "ours": _texts,
        "limit": fields(
            {"most": whole(1), "months": whole(1), "per": one_of("region", "site", "patient"), "families": list_of(text)},
            required=("most", "months", "per"),
        ),
        "steps": list_of(_STEP),
    },
    required=("id", "match", "steps"),
)  # fmt: skip


FILE = "pathway_steps.yaml"


def shape_faults_of(rows: Iterable[Any]) -> list[Fault]:
    """Return what is wrong with the shape of rows, whatever they name."""
    checker = Checker(FILE)
    for row in rows:
        name = row.get("id") if isinstance(row, dict) else None
        _PATHWAY(checker, name if isinstance(name, str) else "", "", row)
    return checker.faults


def faults_of(rows: Iterable[Any], families: Iterable[str] | None = None) -> list[Fault]:
    """Return everything that is wrong with the rows; families are checked where they are told."""
    checker = Checker(FILE)
    known = None if families is None else frozenset(families)
    for place, row in enumerate(rows, start=1):
        name = row.get("id") if isinstance(row, dict) else None
        told = name if isinstance(name, str) else f"number {place}"
        before = len(checker.faults)
        _PATHWAY(checker, told, "", row)
        if len(checker.faults) == before:
            _check_names(checker, told, row, known)
    return checker.faults


def _check_names(checker: Checker, told: str, row: Row, families: frozenset[str] | None) -> None:
    steps = [step["id"] for step in row["steps"]]
    if len(set(steps)) != len(steps):
        checker.say(told, "steps", "steps with an id each of its own")
    for step in row["steps"]:
        if families is not None:
            for family in step["families"]:
                if family not in families:
                    checker.say(told, f"steps.{step['id']}.families", f"a family of the catalogue, not {family}")
        named = [way["to"] for way in step["then"]]
        named += [step["pairs_with"]] if "pairs_with" in step else []
        for gate in (gate for way in (*step["then"], step.get("begins", {"gates": []})) for gate in way["gates"]):
            after = gate.get("after", [])
            named += [after] if isinstance(after, str) else after
            named += [gate["than"]] if "than" in gate else []
        for name in named:
            if name not in steps:
                checker.say(told, f"steps.{step['id']}", f"the id of a step, not {name}")
        if "pairs_with" in step and step["pairs_with"] not in [way["to"] for way in step["then"]]:
            checker.say(told, f"steps.{step['id']}.pairs_with", "a step that follows it")


def pathways_of(rows: Iterable[Row], *, names: Mapping[str, str] | None = None, off: Iterable[str] = ()) -> dict[str, Pathway]:
    """Return the pathways of valid rows by id; `names` are used where a row has none of its own, `off` are switched off.

    Raises:
        MalformedRows: with everything that is wrong.
    """
    listed = list(rows)
    faults = faults_of(listed)
    if faults:
        raise MalformedRows(faults)
    unused = frozenset(off)
    return {row["id"]: _pathway(row, (names or {}).get(row["id"], row["id"]), is_on=row["id"] not in unused) for row in listed}


def _pathway(row: Row, name: str, *, is_on: bool) -> Pathway:
    families = frozenset(family for step in row["steps"] for family in step["families"])
    limit = row.get("limit")
    return Pathway(
        id=row["id"],
        name=row.get("name", name),
        match=Match(row["match"]),
        steps=tuple(_step(step) for step in row["steps"]),
        staging=span_of(row["staging"]) if "staging" in row else None,
        limit=Limit(limit["most"], Period(months=limit["months"]), limit["per"], frozenset(limit.get("families", families)))
        if limit
        else None,
        is_on=is_on,
    )


def _step(row: Row) -> Step:
    return Step(
        id=row["id"],
        name=row["name"],
        families=frozenset(row["families"]),
        role=row.get("role", ""),
        is_staged=row.get("is_staged", False),
        pairs_with=row.get("pairs_with", ""),
        begins=_gates(row.get("begins", {"gates": ()})["gates"]),
        then=tuple(_way(way) for way in row["then"] if not way.get("is_off")),
    )


def _way(row: Row) -> Way:
    return Way(
        to=row["to"],
        why=row["why"],
        earliest=span_of(row.get("earliest", {"days": 1})),
        ideal=span_of(row["ideal"]) if "ideal" in row else None,
        latest=span_of(row["latest"]) if "latest" in row else None,
        expires=span_of(row["expires"]) if "expires" in row else None,
        gates=_gates(row["gates"]),
        only_if=row.get("only_if", ""),
    )


def span_of(row: Mapping[str, int]) -> Span:
    """Return a length of time that may have months and days."""
    months = {unit: row[unit] for unit in ("months", "years") if unit in row}
    days = {unit: row[unit] for unit in ("days", "weeks") if unit in row}
    return Span(period_of(months), period_of(days))


def _relief(row: Row) -> Gate:
    lengths = {unit: row[unit] for unit in UNITS if unit in row}
    any_of = ("pain", "function") if row.get("or_function") else ("pain",)
    return Relief(Response(Fraction(row["pct"]), period_of(lengths), any_of), tuple(row.get("after", ())))


_MAKERS: Mapping[str, Callable[[Row], Gate]] = {
    "relief": _relief,
    "too_little": lambda row: TooLittle(Fraction(row["pct"])),
    "changed": lambda row: Changed(tuple(row["of"])),
    "same_target": lambda row: SameTarget(),
    "longer": lambda row: Longer(Fraction(row["pct"]), row["than"]),
    "on_file": lambda row: OnFile(row["word"], row["what"], Owner(row.get("owner", Owner.DESK.value))),
    "authorised": lambda row: Authorised(),
    "no_more_medicine": lambda row: NoMoreMedicine(row["after"]),
    "review": lambda row: Review(row["of"]),
}


def _gates(rows: Iterable[Row]) -> tuple[Gate, ...]:
    return tuple(_gate(row) for row in rows if not row.get("is_off"))


def _gate(row: Row) -> Gate:
    return _MAKERS[row["kind"]](row)
