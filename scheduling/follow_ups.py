"""The contacts after a visit, as the outcomes table has them: when, how, and what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from procedures.tables import read

# What the table's modes mean here: a form, a diary or a message may come by mail; visits and calls are somebody's work.
BY_MAIL = ("form", "message", "diary")


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact after procedures of one family; `step` is its code in the cadence, `mode` how the table says it is made."""

    family: str
    step: str
    days: int
    months: int
    collect: tuple[str, ...]
    is_diary: bool
    is_by_mail: bool
    mode: str
    source: tuple[Mapping[str, str], ...]


@cache
def contacts() -> tuple[Contact, ...]:
    """Return every contact of the table, in its order."""
    found = []
    for row in read()["outcomes"].content["follow_up"]:
        for contact in row["contacts"]:
            days, months, mode = int(contact.get("days", 0)), int(contact.get("months", 0)), str(contact["mode"])
            found.append(
                Contact(
                    family=row["after"],
                    step=f"score-{months}m" if months else f"score-{days}d",
                    days=days,
                    months=months,
                    collect=tuple(contact["collect"]),
                    is_diary=mode == "diary",
                    is_by_mail=any(word in mode for word in BY_MAIL),
                    mode=mode,
                    source=tuple(row["source"]),
                )
            )
    return tuple(found)
