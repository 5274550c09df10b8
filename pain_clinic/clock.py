"""The one clock. Locally a file may move it, for simulated days and clock tests; production refuses that."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

# A day, and the wall time behind it. A moment with an offset stays as it is: its clock is not that of who reads it.
_ISO_DAY = re.compile(
    r"\b(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}):(\d{2})(?::\d{2})?(?!\w|:\d|\.\d|[+-]\d))?(?!\w|-\d| \d{2}:\d{2}(:\d{2})?[+-]\d)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_read: dict[Path, tuple[int, timedelta]] = {}
_moved: list[bool] = []  # whether this process ever told a connection of a moved clock


def offset() -> timedelta:
    """Return how far the clock is moved: the seconds written in the file that `CLINIC_CLOCK` names."""
    if not settings.CLINIC_CLOCK:
        return timedelta()
    path = Path(settings.CLINIC_CLOCK)
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return timedelta()
    known = _read.get(path)
    if known is None or known[0] != changed:
        known = (changed, timedelta(seconds=float(path.read_text(encoding="ascii").strip() or 0)))
        _read[path] = known
    return known[1]


def now() -> datetime:
    """Return the clinic's instant in UTC."""
    return datetime.now(tz=UTC) + offset()


def days_in_words(text: str) -> str:
    """Return a text with its days and moments as people write them: 2026-08-24 07:30 is 24 Aug 2026 7:30."""
    return _ISO_DAY.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    try:
        day = date.fromisoformat(found[1])
    except ValueError:  # looks like a day and is none: a number of somebody's
        return found[0]
    time = f" {int(found[2])}:{found[3]}" if found[2] else ""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}{time}"


def wall(moment: datetime) -> str:
    """Return what a clock on the wall shows, "8:15"; with the zone's name, "1:30 EST", in an hour that comes twice."""
    text = f"{moment.hour}:{moment.minute:02d}"
    is_twice = moment.utcoffset() != moment.replace(fold=1 - moment.fold).utcoffset()
    return f"{text} {moment.tzname()}" if is_twice else text


def wall_there(moment: datetime) -> str:
    """Return what a clock on the wall shows with the name of its zone, "8:15 EST": for readers who may sit in another."""
    return f"{moment.hour}:{moment.minute:02d} {moment.tzname()}"


def apply_clock(cursor: Any) -> None:
    """Make `clinic_now()` of this connection agree with `now()`; call it before SQL that compares due times."""
    if not settings.CLINIC_CLOCK and not _moved:
        return  # nobody has moved it, so there is nothing to tell
    _moved[:] = [True]
    cursor.execute("SELECT set_config('clinic.clock_offset', %s, false)", [f"{offset().total_seconds()} seconds"])
