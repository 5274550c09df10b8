"""Pain, function and opioids over time, with procedures marked: figures made ready to be drawn. Pure, no database.

Across, everything is in percent of the chart's width, so that one drawing fits every screen; down, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

TOP, HEIGHT = 10, 120  # of pain and function, in pixels
MARKS_AT = TOP + HEIGHT + 14
LANES_AT, LANE, MOST_LANES = MARKS_AT + 14, 16, 4
MME_HEIGHT = 34
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value on a scale of 0 to 10."""

    on: date
    value: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """From this day on, so many morphine equivalents a day."""

    on: date
    mme: float


@dataclass(frozen=True, slots=True)
class Event:
    """A procedure, with the band of its relief where at least half of the pain was gone."""

    on: date
    label: str
    category: str
    family: str
    pct: int | None = None
    held_until: date | None = None
    is_open: bool = False  # its end is not on record
    lasted: str = ""
    tone: str = "none"


@dataclass(frozen=True, slots=True)
class Dot:
    x: str
    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A measure's line: the points of its path, and the same as dots."""

    name: str
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    x: str
    category: str
    family: str
    text: str
    y: int = MARKS_AT


@dataclass(frozen=True, slots=True)
class Band:
    x: str
    width: str
    y: int
    label: str  # empty where there is no room for it
    text: str
    tone: str
    is_open: bool

    @property
    def text_y(self) -> int:
        return self.y + LANE - 5


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One day of the table that says what the chart shows."""

    on: date
    pain: str
    function: str
    mme: str
    what: str
    relief: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the drawing needs, and the figures themselves."""

    first: date
    last: date
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    levels: tuple[tuple[int, int], ...]  # value and its place down
    mme_path: str
    mme_top: int
    mme_most: int
    rows: tuple[Row, ...]
    height: int
    summary: str
    pain: tuple[Reading, ...]
    function: tuple[Reading, ...]
    opioids: tuple[Step, ...]
    events: tuple[Event, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.marks or self.mme_path or any(line.dots for line in self.lines))

    @property
    def plot_end(self) -> int:
        return TOP + HEIGHT

    @property
    def label_y(self) -> int:
        return self.height - 4

    @property
    def mme_end(self) -> int:
        return self.mme_top + MME_HEIGHT


def height_of(value: float) -> float:
    """Return how far down a value of 0 to 10 stands."""
    return TOP + (10 - value) / 10 * HEIGHT


def across(on: date, first: date, last: date) -> float:
    """Return how far across a day stands, in percent."""
    return (on - first).days / max((last - first).days, 1) * 100


def draw(
    *,
    first: date,
    last: date,
    pain: Sequence[Reading],
    function: Sequence[Reading],
    opioids: Sequence[Step],
    events: Sequence[Event],
) -> Chart:
    """Return the chart of the days from `first` to `last`; what lies outside is left out, steps are carried in."""

    def x(on: date) -> str:
        return f"{across(on, first, last):.2f}"

    lines = tuple(_line(name, held, first, last) for name, held in (("Pain", pain), ("Function (PEG)", function)))
    shown = sorted((event for event in events if first <= event.on <= last), key=lambda event: event.on)
    bands, lanes = _bands(events, first, last)
    lanes_end = LANES_AT + lanes * LANE + (6 if lanes else 0)
    steps = _steps(opioids, first, last)
    most = max((step.mme for step in steps), default=0)
    mme_top = lanes_end + 8
    end = mme_top + MME_HEIGHT if most else lanes_end
    return Chart(
        first=first,
        last=last,
        lines=lines,
        marks=tuple(Mark(x(event.on), event.category, event.family, _event_words(event)) for event in shown),
        bands=bands,
        ticks=tuple(_ticks(first, last)),
        levels=tuple((value, round(height_of(value))) for value in (0, 5, 10)),
        mme_path=_mme_path(steps, first, last, mme_top, most) if most else "",
        mme_top=mme_top,
        mme_most=round(most),
        rows=_rows(pain, function, steps, shown, first, last),
        height=end + 22,
        summary=_summary(lines, shown, first, last),
        pain=tuple(one for one in pain if first <= one.on <= last),
        function=tuple(one for one in function if first <= one.on <= last),
        opioids=tuple(steps),
        events=tuple(shown),
    )


def _line(name: str, readings: Sequence[Reading], first: date, last: date) -> Line:
    dots, points = [], []
    for reading in readings:
        if first <= reading.on <= last:
            along, down = across(reading.on, first, last), height_of(reading.value)
            points.append(f"{along:.2f},{down:.1f}")
            note = f", {reading.note}" if reading.note else ""
            dots.append(Dot(f"{along:.2f}", f"{down:.1f}", f"{name} {reading.value:g}, {day_words(reading.on)}{note}"))
    return Line(name, " ".join(points), tuple(dots))


def _bands(events: Iterable[Event], first: date, last: date) -> tuple[tuple[Band, ...], int]:
    """Return the bands of relief in as few lanes as they need, and how many lanes that is."""
    ends: list[date] = []
    found = []
    for event in sorted(events, key=lambda event: event.on):
        until = event.held_until
        if until is None or event.pct is None or until < first or event.on > last:
            continue
        begins, finishes = max(event.on, first), min(max(until, event.on + timedelta(days=1)), last)
        lane = next((place for place, end in enumerate(ends) if end <= begins), len(ends))
        lane = min(lane, MOST_LANES - 1)
        if lane == len(ends):
            ends.append(finishes)
        ends[lane] = max(ends[lane], finishes)
        width = max(across(finishes, first, last) - across(begins, first, last), 0.4)
        words = f"{event.pct} %, {event.lasted.removeprefix('for ')}" if event.lasted else f"{event.pct} %"
        found.append(
            Band(
                x=f"{across(begins, first, last):.2f}",
                width=f"{width:.2f}",
                y=LANES_AT + lane * LANE,
                label=words if width > len(words) * 1.15 else f"{event.pct} %" if width > 5 else "",
                text=f"{event.label}: {words}",
                tone=event.tone,
                is_open=event.is_open,
            )
        )
    return tuple(found), len(ends)


def _steps(opioids: Sequence[Step], first: date, last: date) -> list[Step]:
    """Return the steps inside the window, begun with what was taken on its first day."""
    before = [step for step in opioids if step.on <= first]
    inside = [step for step in opioids if first < step.on <= last]
    carried = Step(first, before[-1].mme) if before else Step(first, 0)
    return [carried, *inside] if opioids else []


def _mme_path(steps: Sequence[Step], first: date, last: date, top: int, most: float) -> str:
    base = top + MME_HEIGHT
    points = [f"0,{base}"]
    for step, after in zip(steps, [*(one.on for one in steps[1:]), last], strict=True):
        down = base - step.mme / most * MME_HEIGHT
        points += [f"{across(step.on, first, last):.2f},{down:.1f}", f"{across(after, first, last):.2f},{down:.1f}"]
    return " ".join([*points, f"100,{base}"])


def _ticks(first: date, last: date) -> Iterable[Tick]:
    days = (last - first).days
    every = 1 if days < 220 else 3 if days < 800 else 12
    year, month = first.year, first.month
    while True:
        month += 1
        if month > 12:
            year, month = year + 1, 1
        on = date(year, month, 1)
        if on > last:
            return
        along = across(on, first, last)
        if (month - 1) % every == 0 and along < 94:
            yield Tick(f"{along:.2f}", str(year) if month == 1 else MONTHS[month - 1])


def _rows(
    pain: Sequence[Reading], function: Sequence[Reading], steps: Sequence[Step], events: Sequence[Event], first: date, last: date
) -> tuple[Row, ...]:
    """Return a row for each day on which anything is drawn, the latest first."""
    days: dict[date, dict[str, list[str]]] = {}
    for name, held in (("pain", pain), ("function", function)):
        for reading in held:
            if first <= reading.on <= last:
                note = f" ({reading.note})" if reading.note else ""
                days.setdefault(reading.on, {}).setdefault(name, []).append(f"{reading.value:g}{note}")
    for step in steps:
        days.setdefault(step.on, {}).setdefault("mme", []).append(f"{step.mme:g}")
    for event in events:
        day = days.setdefault(event.on, {})
        day.setdefault("what", []).append(event.label)
        if event.pct is not None:
            day.setdefault("relief", []).append(f"{event.pct} %" + (f" {event.lasted}" if event.lasted else ""))

    def cell(day: dict[str, list[str]], name: str) -> str:
        return ", ".join(day.get(name, ()))

    return tuple(
        Row(on, cell(day, "pain"), cell(day, "function"), cell(day, "mme"), cell(day, "what"), cell(day, "relief"))
        for on, day in sorted(days.items(), reverse=True)
    )


def _event_words(event: Event) -> str:
    relief = "not scored" if event.pct is None else f"{event.pct} % {event.lasted}".strip()
    return f"{event.label}, {day_words(event.on)}: {relief}"


def _summary(lines: Sequence[Line], events: Sequence[Event], first: date, last: date) -> str:
    told = [f"{line.name}: {len(line.dots)} values, the last {line.dots[-1].text}" for line in lines if line.dots]
    count = f"{len(events)} procedure{'' if len(events) == 1 else 's'}"
    return "; ".join([f"{day_words(first)} to {day_words(last)}", *told, count]) + "."


def day_words(on: date) -> str:
    """Return a day as the page says it: 2 Mar 2026."""
    return f"{on.day} {MONTHS[on.month - 1]} {on.year}"
