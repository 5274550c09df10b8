"""Windows that move on with the calendar because a lead time is all that holds them: written once, read as of any day.

Such a row keeps the day from which its dates count (`rolls_from`), which of them move (`rolls`), and in its texts a token
in the place of each date that moves. As of another day everything that moves has moved by as many days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from scheduling.models import PlannedSession

DATES = ("earliest", "ideal", "latest")
LISTS, TEXTS = ("blocked_by", "conditions", "reasons"), ("for_what",)
# The time of day behind a date says when planning ran, where a lead time counts from that moment.
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?")
_TOKEN = re.compile(r"\{day([+-]\d+)\}")


def as_of(row: PlannedSession, today: date) -> dict[str, Any]:
    """Return what a row says as of a day, by column."""
    said = {name: getattr(row, name) for name in (*DATES, *LISTS, *TEXTS)}
    if row.rolls_from is None:
        return said
    moved = today - row.rolls_from
    for name in row.rolls:
        said[name] = said[name] + moved if said[name] is not None else None
    for name in LISTS:
        said[name] = [_filled(text, today) for text in said[name]]
    return {**said, **{name: _filled(said[name], today) for name in TEXTS}}


def shown(row: PlannedSession, today: date) -> PlannedSession:
    """Return a row, not to be saved, with everything as of a day."""
    if row.rolls_from is not None:
        for name, value in as_of(row, today).items():
            setattr(row, name, value)
        row.rolls_from, row.rolls = None, []
    return row


def is_said(row: PlannedSession, values: Mapping[str, Any], today: date) -> bool:
    """Say whether a row says these values already, as of a day; in texts that hold a lead time the hour is nothing new."""
    said = as_of(row, today)
    return all(said[name] == values[name] for name in DATES) and all(
        said[name] == values[name] or _plain(said[name]) == _plain(values[name]) for name in (*LISTS, *TEXTS)
    )


def rolled(row: PlannedSession, written_on: date, values: Mapping[str, Any], today: date) -> dict[str, Any] | None:
    """Return how to keep these values so that they hold on any day, when all that changed is that days went by; else None."""
    passed = today - written_on
    if not passed or row.rolls_from is not None:
        return None
    rolls = []
    for name in DATES:
        old, new = getattr(row, name), values[name]
        if old == new:
            continue
        if old is None or new is None or new - old != passed:
            return None
        rolls.append(name)
    texts: dict[str, Any] = {}
    for name in LISTS:
        old, new = getattr(row, name), values[name]
        if len(old) != len(new):
            return None
        texts[name] = [_tokens(*pair, passed, today) for pair in zip(old, new, strict=True)]
        if None in texts[name]:
            return None
    for name in TEXTS:
        texts[name] = _tokens(getattr(row, name), values[name], passed, today)
        if texts[name] is None:
            return None
    return {**texts, "rolls": rolls, "rolls_from": today} if rolls else None


def _tokens(old: str, new: str, passed: timedelta, today: date) -> str | None:
    """Return a text with a token for each date that moved; None when it says something else."""
    before, after = _DATE.findall(old), _DATE.findall(new)
    if _DATE.sub("", old) != _DATE.sub("", new) or len(before) != len(after):
        return None
    moves = []
    for one, other in zip(before, after, strict=True):
        if one != other and date.fromisoformat(other) - date.fromisoformat(one) != passed:
            return None
        moves.append(one != other)
    turn = iter(moves)

    def token(found: re.Match[str]) -> str:
        if not next(turn):
            return found[0]
        return f"{{day{(date.fromisoformat(found[1]) - today).days:+d}}}"

    return _DATE.sub(token, new)


def _filled(text: str, today: date) -> str:
    return _TOKEN.sub(lambda found: (today + timedelta(days=int(found[1]))).isoformat(), text)


def _plain(said: Any) -> Any:
    return [_plain(one) for one in said] if isinstance(said, list) else _DATE.sub(r"\1", said)
