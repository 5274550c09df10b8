"""Why there is nothing, and what single change would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import time

from scheduling.availability.search import Known, Opening, earliest, joint
from scheduling.availability.words import Question, wall_mask

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
PARTS = (("before 12:00", (time(0), time(12))), ("after 12:00", (time(12), time(0))))
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shortage:
    """A demand for which too little is free: everywhere asked (`cells` empty), or in these (weekday, part) cells."""

    key: str
    label: str
    cells: tuple[Cell, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One single change to what was asked, and the question that it makes."""

    kind: str
    label: str
    question: Question


@dataclass(frozen=True, slots=True)
class Help:
    """A single change that would help, and the first opening it gives."""

    kind: str
    label: str
    opening: Opening


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why there is nothing: the shortages, worst first, and the changes that would help, earliest opening first."""

    shortages: tuple[Shortage, ...]
    helps: tuple[Help, ...]
    text: str


def explain(question: Question, relaxations: Sequence[Relaxation] = ()) -> Explanation:
    """Return why a question has no opening and which single change gives the earliest one."""
    shortages = _shortages(question)
    helps = []
    for relaxation in relaxations:
        opening = earliest(relaxation.question)
        if opening is not None:
            helps.append(Help(relaxation.kind, relaxation.label, opening))
    helps.sort(key=lambda each: (each.opening.starts_at, each.kind, each.label))
    return Explanation(shortages, tuple(helps), _text(question, shortages))


def _text(question: Question, shortages: Sequence[Shortage]) -> str:
    if not question.plans:
        return "Nobody may do this procedure in the way asked."
    if not any(question.allowed(plan) for plan in question.plans):
        unhindered = replace(question, patient_busy=0)
        if any(unhindered.allowed(plan) for plan in question.plans):
            return "The patient is elsewhere at every time asked."
        return "The time asked leaves no start at all."
    if question.patient_busy and earliest(replace(question, patient_busy=0)) is not None:
        return "There are openings, but the patient is elsewhere at those times."
    if len(shortages) > 2 and _is_nothing_at_work(question, shortages):
        return "Nothing that is needed is at work at the times asked."
    if shortages:
        return "; ".join(shortage.text for shortage in shortages) + "."
    return "Everything needed is free at times, but never all of it together."


def _shortages(question: Question) -> tuple[Shortage, ...]:
    """Find the demands in the way: first those never free, then those whose absence alone keeps starts closed."""
    alone: dict[str, int] = {}
    rest: dict[str, int] = {}
    labels: dict[str, str] = {}
    able: set[str] = set()
    known: Known = {}
    for plan in question.plans:
        allowed = question.allowed(plan)
        for demand in plan.demands:
            others = [each for each in plan.demands if each is not demand]
            labels.setdefault(demand.key, demand.label or demand.key)
            able |= {demand.key} if demand.candidates else set()
            alone[demand.key] = alone.get(demand.key, 0) | (joint([demand], known) & allowed) << plan.prep
            rest[demand.key] = rest.get(demand.key, 0) | (joint(others, known) & allowed) << plan.prep
    never = [key for key, starts in alone.items() if not starts]
    if never:
        return tuple(Shortage(key, labels[key], (), _never(labels[key], key in able)) for key in never)
    found = []
    for key in sorted(rest, key=lambda key: (-rest[key].bit_count(), key)):
        if rest[key]:
            cells = _cells(question, rest[key], alone[key])
            found.append(Shortage(key, labels[key], cells, _in_words(labels[key], cells)))
    return tuple(found)


def _never(label: str, is_there: bool) -> str:
    return f"no {label} at any time asked" if is_there else f"there is no {label} at all"


def _is_nothing_at_work(question: Question, shortages: Sequence[Shortage]) -> bool:
    """Say whether all that is needed is missing at all times: a weekend, a night, a holiday."""
    missing = {shortage.key for shortage in shortages if not shortage.cells}
    return missing == {demand.key for plan in question.plans for demand in plan.demands}


def _cells(question: Question, wanted: int, there: int) -> tuple[Cell, ...]:
    """Return the (weekday, part of day) cells in which all else is free and this demand never is."""
    zone = question.plans[0].zone
    cells = []
    for weekday in range(7):
        for part, (_, hours) in enumerate(PARTS):
            mask = wall_mask(question.frame, zone, frozenset({weekday}), hours)
            if wanted & mask and not there & mask:
                cells.append((weekday, part))
    return tuple(cells)


def _in_words(label: str, cells: Sequence[Cell]) -> str:
    if not cells:
        return f"no {label} when all else is free"
    by_parts: dict[tuple[int, ...], list[int]] = {}
    for weekday in range(7):
        parts = tuple(part for day, part in cells if day == weekday)
        if parts:
            by_parts.setdefault(parts, []).append(weekday)
    phrases = []
    for parts, weekdays in by_parts.items():
        days = " and ".join(", ".join(WEEKDAYS[day] for day in weekdays).rsplit(", ", 1))
        phrases.append(f"on {days}" if len(parts) == len(PARTS) else f"on {days} {PARTS[parts[0]][0]}")
    return f"no {label} " + ", ".join(phrases)
