"""The board: one site's day, week or list, by physician, room or device, in six statements."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from scheduling.agenda import words
from scheduling.agenda.drawing import Drawing
from scheduling.agenda.rows import KINDS, Asked, Rows, load
from scheduling.agenda.shapes import Board, Choice, Tab, WeekDay, WeekRow
from scheduling.models.appointments import AWAY

VIEWS = {"day": "Day", "week": "Week", "list": "List"}
BYS = {"physician": "Physician", "room": "Room", "device": "Device"}


def board(*, asked: Asked, by: Actor, at: datetime) -> Board:
    """Return the board for a site's day or week; `selected` and `etag` are left to `finished`."""
    zone = ZoneInfo(asked.site.time_zone)
    today = at.astimezone(zone).date()
    monday = asked.day - timedelta(days=asked.day.weekday())
    days = [monday + timedelta(days=n) for n in range(7)] if asked.view == "week" else [asked.day]
    rows = load(asked, days, zone, at)
    may_book = by.may("scheduling.book_appointment")
    step = timedelta(days=7 if asked.view == "week" else 1)
    title_day = f"Week of {words.long_day(monday, today)}" if asked.view == "week" else words.long_day(asked.day, today)
    drawn = Drawing(asked, rows, asked.day, at)
    columns = drawn.columns(may_book) if asked.view == "day" else ()
    is_empty = not rows.cases
    return Board(
        title=f"{title_day}, {asked.site.name}",
        day=asked.day,
        view=asked.view,
        by=asked.by,
        url=asked.url(case=asked.case),
        previous_url=asked.url(day=asked.day - step),
        next_url=asked.url(day=asked.day + step),
        today_url=asked.url(day=today),
        day_url_base=asked.url(),
        views=tuple(Tab(label, asked.url(view=key), key == asked.view) for key, label in VIEWS.items()),
        bys=tuple(Tab(label, asked.url(by=key), key == asked.by) for key, label in BYS.items()),
        sites=tuple(Choice(site.slug, site.name, site.pk == asked.site.pk) for site in asked.sites),
        site=asked.site.slug,
        first_slot=drawn.first,
        slot_count=drawn.count,
        hours=drawn.hour_lines() if asked.view == "day" else (),
        now_slot=drawn.now_slot(at) if asked.view == "day" else None,
        columns=columns,
        rows=_week_rows(asked, rows, days, at) if asked.view == "week" else (),
        week_days=_week_days(asked, rows, days, today) if asked.view == "week" else (),
        cases=drawn.cases() if asked.view == "list" else (),
        count=len(rows.cases),
        loaded_at=at.astimezone(zone),
        book_url=words.book_url(day=max(asked.day, today)) if may_book else "",
        may_move=by.may("scheduling.move_appointment"),
        empty=_empty(drawn, asked, is_empty),
        close_url=asked.url(),
    )


def finished(shown: Board, selected: Any, seal: str) -> Board:
    """Return the board with its open case and the mark by which a poll knows that nothing changed; it ends with the seal."""
    whole = replace(shown, selected=selected)
    told = repr(
        replace(whole, loaded_at=shown.loaded_at.replace(year=2000, month=1, day=1, hour=0, minute=0, second=0, microsecond=0))
    )
    return replace(whole, etag=f"{hashlib.sha256(told.encode()).hexdigest()[:32]}-{seal}")


def _empty(drawn: Drawing, asked: Asked, is_empty: bool) -> str:
    if drawn.closure:
        return f"{asked.site.name} is closed on this day: {drawn.closure}."
    if asked.view == "list" and is_empty:
        return "Nothing is booked on this day."
    noun = {"physician": "No physician works", "room": "No room is open", "device": "No device is in service"}[asked.by]
    return f"{noun} at {asked.site.name} on this day."


# --- the week --------------------------------------------------------------------------------------------------------


def _week_days(asked: Asked, rows: Rows, days: Sequence[date], today: date) -> tuple[WeekDay, ...]:
    counts: dict[date, int] = defaultdict(int)
    for each in rows.cases:
        if each.status not in AWAY:
            counts[each.starts_at.astimezone(rows.zone).date()] += 1
    return tuple(WeekDay(day, asked.url(view="day", day=day), counts[day], day == today) for day in days)


def _week_rows(asked: Asked, rows: Rows, days: Sequence[date], at: datetime) -> tuple[WeekRow, ...]:
    drawings = [Drawing(asked, rows, day, at) for day in days]
    found = []
    for unit in rows.units:
        if unit.kind not in KINDS[asked.by]:
            continue
        cells = tuple(drawing.cell(unit.pk) for drawing in drawings)
        if unit.is_active or any(cell.chips for cell in cells):
            found.append(WeekRow(unit.name, "" if unit.is_active else "no longer in use", cells))
    return tuple(found)
