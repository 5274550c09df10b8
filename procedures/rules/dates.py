"""Calendar arithmetic as the tables mean it: a week is 7 days, months are calendar months, hours are real hours."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

DAY = timedelta(days=1)


@lru_cache(maxsize=32_768)  # the days of some years, by the few lengths that tables have
def plus_months(day: date, months: int) -> date:
    """Return the same day of another month; where that month has no such day, its last one."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if day.day <= 28:
        return date(year, month + 1, day.day)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in whole days or whole calendar months."""

    days: int = 0
    months: int = 0

    def after(self, day: date) -> date:
        """Return the day that lies this long after another."""
        return plus_months(day, self.months) if self.months else day + timedelta(days=self.days)

    def before(self, day: date) -> date:
        """Return the day that lies this long before another."""
        return plus_months(day, -self.months) if self.months else day - timedelta(days=self.days)

    def left_on(self, day: date, *, is_inclusive: bool = False) -> date:
        """Return the first date whose window of this length no longer holds a day.

        A window reaches back from a date to this long before it, that edge left out unless `is_inclusive`. From
        31 August six months are left behind on 1 March, since 28 February minus six months is 28 August.
        """
        found = self.after(day)
        edge = self.before(found)
        if edge < day or (is_inclusive and edge == day):
            found += DAY
        return found

    def __str__(self) -> str:
        number, word = (self.months, "month") if self.months else (self.days, "day")
        return f"{number} {word}{'' if number == 1 else 's'}"


def period_of(written: Mapping[str, int]) -> Period:
    """Return a length that a table writes in days, weeks, months or years."""
    months = written.get("months", 0) + 12 * written.get("years", 0)
    return Period(days=written.get("days", 0) + 7 * written.get("weeks", 0), months=months)


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time in which a cap counts. `is_inclusive` counts the anniversary too (`window_edge`)."""

    kind: str
    period: Period = Period(months=12)
    is_inclusive: bool = False

    def start(self, on: date, anchor: date | None) -> date:
        """Return the first day of the year in which a date lies: 1 January, or the last anniversary of the anchor."""
        if self.kind == "calendar_year":
            return date(on.year, 1, 1)
        if anchor is None:
            return on
        return plus_months(anchor, 12 * _years_between(anchor, on))

    def next_start(self, on: date, anchor: date | None) -> date:
        """Return the first day of the year after the one in which a date lies."""
        if self.kind == "calendar_year" or anchor is None:
            return date(on.year + 1, 1, 1) if self.kind == "calendar_year" else plus_months(on, 12)
        return plus_months(anchor, 12 * (_years_between(anchor, on) + 1))

    def first(self, on: date, *, anchor: date | None, episode: date | None) -> date:
        """Return the first day whose sessions count when another is proposed for `on`; all count up to the day before it."""
        if self.kind == "rolling":
            edge = self.period.before(on)
            return edge if self.is_inclusive else edge + DAY
        if self.kind in ("anchored_year", "calendar_year"):
            return self.start(on, anchor)
        return date.min if self.kind == "lifetime" or episode is None else episode

    def holds(self, day: date, on: date, *, anchor: date | None, episode: date | None) -> bool:
        """Say whether a session of a day counts when another is proposed for `on`."""
        return self.first(on, anchor=anchor, episode=episode) <= day < on

    def turns(self, days: Iterable[date], on: date, *, anchor: date | None) -> list[date]:
        """Return the dates after `on` at which one of these days stops counting, in order."""
        if self.kind == "rolling":
            leaving = (self.period.left_on(day, is_inclusive=self.is_inclusive) for day in days)
            return sorted({day for day in leaving if day > on})
        if self.kind not in ("anchored_year", "calendar_year"):
            return []
        found, last = [self.next_start(on, anchor)], max(days, default=on)
        while found[-1] <= last:
            found.append(self.next_start(found[-1], anchor))
        return found

    def __str__(self) -> str:
        if self.kind == "rolling":
            return f"the {self.period} before"
        return {"anchored_year": "the plan year", "calendar_year": "the calendar year", "episode": "this episode of care"}.get(
            self.kind, "a lifetime"
        )


def _years_between(anchor: date, on: date) -> int:
    years = on.year - anchor.year
    return years if plus_months(anchor, 12 * years) <= on else years - 1


def instant(moment: datetime, zone: tzinfo) -> datetime:
    """Return the moment as an instant; without a zone of its own it is wall-clock time there."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    """Return an instant as the clock on the wall shows it there."""
    return moment.astimezone(zone).replace(tzinfo=None)


def day_start(day: date) -> datetime:
    """Return midnight at the beginning of a day, on the wall clock."""
    return datetime.combine(day, time())


def day_end(day: date) -> datetime:
    """Return midnight at the end of a day, on the wall clock."""
    return day_start(day + DAY)


def as_date(moment: date | datetime, zone: tzinfo) -> date:
    """Return the day on which a moment lies there."""
    if isinstance(moment, datetime):
        return wall_clock(moment, zone).date() if moment.tzinfo else moment.date()
    return moment


def told(moment: date | datetime | None) -> str:
    """Return a date or moment as people read it."""
    if moment is None:
        return "never by waiting"
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else moment.isoformat()
