"""What may be edited of a pathway, in words: intervals and gates as people read and write them, and how a change is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pain_clinic.errors import Conflict, Forbidden, Refused
from procedures.models import ClinicPathway

CHANGE = "procedures.change_pathways"
SPANS = ("earliest", "ideal", "latest", "expires")
UNITS = ("days", "weeks", "months", "years")
DAYS = {"days": 1, "weeks": 7, "months": 30, "years": 365}
Span: TypeAlias = Mapping[str, int]
NOTHING: Mapping[str, str] = {}
PER = {"region": "one region", "site": "one level and side", "patient": "one patient"}
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


def ways_of(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Give every way of a row with its name and the step from which it leads."""
    for step in data["steps"]:
        for place, way in enumerate(step["then"]):
            yield f"{step['id']}.{place}", step, way


def length(span: Span) -> int:
    """Return about how many days an interval has, to compare two of them."""
    return sum(DAYS[unit] * count for unit, count in span.items())


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


def step_names(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what the steps of a row are called, by their ids."""
    return {step["id"]: step["name"] for step in data.get("steps", ())}


def gate_told(gate: Mapping[str, Any], names: Mapping[str, str] = NOTHING) -> str:
    """Return what a gate asks, in words; `names` are those of the steps that it may speak of."""
    kind = gate["kind"]

    def step(one: object) -> str:
        return names.get(str(one)) or str(one).replace("_", " ")

    if kind == "relief":
        period = span_told({unit: gate[unit] for unit in UNITS if unit in gate})
        told = f"at least {gate['pct']} % better{f' for {period}' if period else ''}"
        told += " or better function" if gate.get("or_function") else ""
        after = [step(one) for one in gate.get("after", ())]
        return told + (f" after {' and '.join(after)}" if after else "")
    if kind == "too_little":
        return f"less than {gate['pct']} % better"
    if kind == "changed":
        return f"another {' or '.join(gate['of'])}"
    if kind == "longer":
        return f"{gate['pct']} % relief lasts longer than after {step(gate['than'])}"
    if kind == "on_file":
        return f"{gate['what']} is on file"
    if kind == "no_more_medicine":
        return f"no more medicine than before {step(gate['after'])}"
    if kind == "review":
        return f"a physician has looked at {gate['of']}"
    return {"same_target": "the same levels and side", "authorised": "the payer has authorised it"}[kind]


def stops_of(row: ClinicPathway) -> list[str]:
    """Return what stops a course on a pathway, in words."""
    found = []
    names = step_names(row.data)
    relief = sorted(
        {gate_told(gate, names) for _, _, way in ways_of(row.data) for gate in way["gates"] if gate["kind"] == "relief"}
    )
    if relief:
        found.append(f"The relief that a way asks for is not reached ({'; '.join(relief)}) and no other way is open.")
    ends = [f"{way['why']}: {span_told(way['expires'])}" for _, _, way in ways_of(row.data) if "expires" in way]
    if ends:
        found.append(f"The time for it has run out ({'; '.join(ends)}).")
    limit = row.data.get("limit")
    if limit:
        found.append(f"{limit['most']} sessions in {limit['months']} months for {PER[limit['per']]}, and none leaves that time.")
    found.append("A payer's limit that waiting does not lift, a physician's own limit, or a physician's word.")
    return found
