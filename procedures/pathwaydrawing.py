"""A pathway as a small picture: steps as boxes one below the other, ways as numbered arrows. A template draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from procedures.families import told
from procedures.pathwayrows import span_told

LEFT, TOP, BOX, BETWEEN = 1, 30, 220, 58
NAME_AT, FIRST_LINE_AT, LINE, BELOW = 27, 45, 15, 15
LETTERS = 34  # of a line that fits into a box
LANE_AT, LANE, ROUND, LABEL = 248, 34, 8, 132


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in a box, and where it stands."""

    text: str
    y: int


@dataclass(frozen=True, slots=True)
class Box:
    """One step: its name, and in lines what is done in it."""

    name: str
    y: int
    name_y: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One way: its line, where its number stands, and from when on it leads."""

    number: int
    line: str
    x: int
    y: int
    label: str
    label_x: int
    is_off: bool

    @property
    def text_y(self) -> int:
        return self.y + 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A pathway to be drawn. All its boxes are of one size."""

    width: int
    height: int
    box_left: int
    box_width: int
    box_height: int
    middle: int  # of the boxes
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """An arrow that runs beside the boxes, from one height to another, in a lane of its own."""

    number: int
    begins: int
    ends: int
    way: Mapping[str, Any]


def draw(data: Mapping[str, Any]) -> Picture:
    """Return the picture of a row of steps."""
    steps: Sequence[Mapping[str, Any]] = data["steps"]
    texts = [wrap(told(step["families"]), LETTERS) for step in steps]
    tall = FIRST_LINE_AT + LINE * (max(map(len, texts)) - 1) + BELOW
    boxes = tuple(
        _box(step["name"], lines, TOP + place * (tall + BETWEEN))
        for place, (step, lines) in enumerate(zip(steps, texts, strict=True))
    )
    down, beside = [], []
    for number, at, to, way in _ways(steps):
        if to == at + 1:
            down.append(_down(number, boxes[at].y + tall, boxes[to].y, way))
        else:
            beside.append((number, at, to, way))
    sides = _sides(beside, boxes, tall)
    lanes = _lanes(sides)
    column = LANE_AT + LANE * max(lanes.values(), default=0) + 18
    arrows = [*down, *(_beside(side, lanes[side.number], column) for side in sides)]
    in_order = tuple(sorted(arrows, key=lambda arrow: arrow.number))
    return Picture(column + LABEL, boxes[-1].y + tall + 8, LEFT, BOX, tall, LEFT + BOX // 2, boxes, in_order)


def _box(name: str, texts: Sequence[str], y: int) -> Box:
    lines = tuple(Line(text, y + FIRST_LINE_AT + LINE * place) for place, text in enumerate(texts))
    return Box(name, y, y + NAME_AT, lines)


def _ways(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, int, Mapping[str, Any]]]:
    """Give every way with its number, and the places of the steps that it joins."""
    places = {step["id"]: place for place, step in enumerate(steps)}
    number = 0
    for place, step in enumerate(steps):
        for way in step["then"]:
            number += 1
            yield number, place, places[way["to"]], way


def _down(number: int, begins: int, below: int, way: Mapping[str, Any]) -> Arrow:
    x, ends = LEFT + BOX // 2, below - 7
    return Arrow(number, f"M {x} {begins} V {ends}", x, (begins + ends) // 2, _label(way), x + 18, bool(way.get("is_off")))


def _sides(ways: Sequence[tuple[int, int, int, Mapping[str, Any]]], boxes: Sequence[Box], tall: int) -> list[_Side]:
    """Spread the ends of all arrows over the sides of their boxes."""
    ends: dict[int, list[tuple[int, str]]] = {place: [] for place in range(len(boxes))}
    for number, at, to, _ in ways:
        ends[at].append((number, "begins"))
        ends[to].append((number, "ends"))
    heights = {
        (number, end): boxes[place].y + (slot + 1) * tall // (len(held) + 1)
        for place, held in ends.items()
        for slot, (number, end) in enumerate(held)
    }
    return [_Side(number, heights[number, "begins"], heights[number, "ends"], way) for number, _, _, way in ways]


def _lanes(sides: Sequence[_Side]) -> dict[int, int]:
    """Give each arrow the innermost lane that is free along its whole length, the shortest arrows first."""
    found: dict[int, int] = {}
    taken: list[list[tuple[int, int]]] = []
    for side in sorted(sides, key=lambda one: (abs(one.ends - one.begins), one.number)):
        low, high = min(side.begins, side.ends), max(side.begins, side.ends)
        lane = next((at for at, held in enumerate(taken) if all(high < a or low > b for a, b in held)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        found[side.number] = lane
    return found


def _beside(side: _Side, lane: int, column: int) -> Arrow:
    x, edge = LANE_AT + LANE * lane, LEFT + BOX
    turn = min(ROUND, abs(side.ends - side.begins) // 2)
    way = turn if side.ends > side.begins else -turn
    line = (
        f"M {edge} {side.begins} H {x - turn} Q {x} {side.begins} {x} {side.begins + way} V {side.ends - way} "
        f"Q {x} {side.ends} {x - turn} {side.ends} H {edge + 7}"
    )
    return Arrow(
        side.number,
        line,
        x,
        (side.begins + side.ends) // 2,
        f"{side.number}: {_label(side.way)}",
        column,
        bool(side.way.get("is_off")),
    )


def _label(way: Mapping[str, Any]) -> str:
    return f"from {span_told(way.get('earliest', {'days': 1}))}"
