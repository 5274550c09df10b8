"""The outcome report in words and drawings: cells of a table, bars of intervals, the curve of relief that lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from patients.estimates import Estimate, Step, Survival
from patients.reports.shapes import Figures, OutcomeReport

TOO_FEW = "too few to show"
COLUMNS = (
    "Sessions", "No answer", "50 % relief or more", "80 % relief or more", "Relief lasts (median)", "Pain, of 10", "PEG, of 10",
    "Opioids, MME a day", "Until the next", "Complications",
)  # fmt: skip
MARKS = (0, 30, 90, 180, 270, 365, 540, 730)  # days that the curve's axis may name
LONGEST = 730
HIGH = 100  # units of the drawing


@dataclass(frozen=True, slots=True)
class Cell:
    """A value and, smaller, what it rests on."""

    text: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A share with its interval, in percent of the width."""

    at: float
    low: float
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    name: str
    url: str
    cells: tuple[Cell, ...]
    half: Bar | None
    most: Bar | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A day on the axis of the curve, in percent of the width."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The share for whom relief lasts, as the path of a line and of the band around it; 0 to 100 both ways."""

    path: str
    band: str
    marks: tuple[Mark, ...]
    points: tuple[tuple[str, str, str, int], ...]  # when, share, interval, at risk: the same as a table


def lines(report: OutcomeReport, address: Callable[[str], str]) -> tuple[Line, ...]:
    """Return a line for each group; `address` gives where a group's own report is, or nothing."""
    return tuple(_line(group.name, address(group.code), group.figures) for group in report.groups)


def total(report: OutcomeReport) -> Line | None:
    """Return the line over all groups."""
    return _line("All, hidden groups too" if report.hidden else "All", "", report.total) if report.total is not None else None


def _line(name: str, url: str, of: Figures) -> Line:
    people = f"{of.people:,} {'person' if of.people == 1 else 'people'}"
    cells = (
        Cell(f"{of.sessions:,}", people), _share(of.missing, with_n=False), _share(of.half), _share(of.most),
        _duration(of.duration), _change(of.pain), _change(of.peg), _change(of.opioids), _days(of.repeat),
        _share(of.complications, with_n=False),
    )  # fmt: skip
    return Line(name, url, cells, _bar(of.half), _bar(of.most))


def curve(survival: Survival | None) -> Curve | None:
    """Return the drawing of how long relief lasts, up to two years."""
    if survival is None or not survival.steps:
        return None
    steps = [step for step in survival.steps if step.day <= LONGEST]
    last = max(90, min(LONGEST, survival.steps[-1].day))

    def across(day: int) -> float:
        return round(day * HIGH / last, 2)

    path = _stairs([(across(step.day), step.share) for step in steps])
    known = [step for step in steps if step.low is not None and step.high is not None]
    upper = list(_corners([(across(step.day), step.high or 0) for step in known]))
    lower = list(_corners([(across(step.day), step.low or 0) for step in known]))
    band = "M" + " L".join(f"{x} {y}" for x, y in [*upper, *reversed(lower)]) + " Z" if known else ""
    marks = tuple(Mark(across(day), _when(day)) for day in MARKS if day <= last)
    points = tuple(_point(survival.steps, day) for day in MARKS[1:] if day <= last)
    return Curve(path, band, marks, points)


def _point(steps: Sequence[Step], day: int) -> tuple[str, str, str, int]:
    """Return what the curve says of a day, for the table beside it."""
    before = [step for step in steps if step.day <= day]
    at_risk = next((step.at_risk for step in steps if step.day >= day), 0)
    if not before:
        return _when(day), "100 %", "", at_risk
    step = before[-1]
    bounds = f"{step.low:.0%} to {step.high:.0%}".replace("%", " %") if step.low is not None and step.high is not None else ""
    return _when(day), f"{step.share:.0%}".replace("%", " %"), bounds, at_risk


def _stairs(points: Sequence[tuple[float, float]]) -> str:
    return "M0 0 " + " ".join(f"H{x} V{_down(share)}" for x, share in points) + f" H{HIGH}"


def _corners(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    before: float | None = None
    for x, share in points:
        if before is not None:
            yield x, _down(before)
        yield x, _down(share)
        before = share


def _down(share: float) -> float:
    return round(HIGH * (1 - share), 2)


def _when(day: int) -> str:
    return {0: "0", 30: "30 days", 365: "1 year", 730: "2 years"}.get(day, f"{round(day / 30)} months")


def _bar(of: Estimate | None) -> Bar | None:
    if of is None or of.value is None or of.low is None or of.high is None:
        return None
    return Bar(round(100 * of.value, 1), round(100 * of.low, 1), round(100 * (of.high - of.low), 1))


def _share(of: Estimate | None, *, with_n: bool = True) -> Cell:
    if of is None:
        return Cell("", TOO_FEW)
    if of.value is None or of.low is None or of.high is None:
        return Cell("", "nobody")
    digits = 1 if of.high < 0.095 else 0
    bounds = f"{100 * of.low:.{digits}f} to {100 * of.high:.{digits}f}"
    return Cell(f"{100 * of.value:.{digits}f} %", f"{bounds}, n {of.n:,}" if with_n else bounds)


def _change(of: Estimate | None) -> Cell:
    if of is None:
        return Cell("", TOO_FEW)
    if of.value is None or of.low is None or of.high is None:
        return Cell("", "nobody")
    return Cell(_signed(of.value), f"{_signed(of.low)} to {_signed(of.high)}, n {of.n:,}")


def _duration(of: Survival | None) -> Cell:
    if of is None:
        return Cell("", TOO_FEW)
    n = of.median.n
    if n == 0:
        return Cell("", "nobody")
    rest = f"n {n:,}, {of.censored:,} still open"
    if of.median.value is None:
        return Cell("not reached", rest)
    low = "?" if of.median.low is None else f"{of.median.low:.0f}"
    high = "?" if of.median.high is None else f"{of.median.high:.0f}"
    return Cell(f"{of.median.value:.0f} days", f"{low} to {high}, {rest}")


def _days(of: Estimate | None) -> Cell:
    if of is None:
        return Cell("", TOO_FEW)
    if of.value is None:
        return Cell("", "nobody")
    bounds = f"{of.low:.0f} to {of.high:.0f}, " if of.low is not None and of.high is not None else ""
    return Cell(f"{of.value:.0f} days", f"{bounds}n {of.n:,}")


def _signed(value: float) -> str:
    text = f"{value:.1f}"
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") and text != "-0.0" else f"+{text}" if value >= 0.05 else "0.0"
