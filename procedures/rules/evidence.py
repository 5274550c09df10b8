"""What a finding rests on, in words that people read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from procedures.rules.rows import plain

# What is not named here is told by its own name.
NAMES: Mapping[str, str] = {
    "sessions": "Sessions counted",
    "same_day": "The same day",
    "later": "Booked for later",
    "reference": "Judged by the session",
    "needed": "Needed",
    "scores": "Recorded",
    "blocks": "Blocks before",
    "missing": "Not met",
    "since": "Last time",
    "interval": "Interval",
    "authorizations": "Authorisations on file",
    "hold": "Time without it",
    "last_dose": "Last dose",
    "bleeding_class": "Bleeding class",
    "restart_after_hours": "Hours until it may be restarted",
    "planned": "Planned now",
    "year_from": "Plan year began",
}
# Figures and windows that the message of a finding gives already.
IN_THE_MESSAGE = frozenset({"counted", "limit", "adds", "window", "group"})
_WORD = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+(, [a-z0-9_]+)*")


def told(evidence: Iterable[tuple[str, object]], *, without: frozenset[str] = IN_THE_MESSAGE) -> tuple[tuple[str, str], ...]:
    """Return names and values as people read them, without what is told elsewhere and what is empty."""
    return tuple(
        (NAMES.get(name, plain(name).capitalize()), _value(str(value)))
        for name, value in evidence
        if name not in without and value not in (None, "")
    )


def line(evidence: Iterable[tuple[str, object]]) -> str:
    """Return what a finding rests on beside its message, in one line."""
    return "; ".join(f"{name}: {value}" for name, value in told(evidence))


def _value(written: str) -> str:
    """Return a value; a word of the tables, or a list of them, as people read it."""
    return plain(written) if _WORD.fullmatch(written) else written
