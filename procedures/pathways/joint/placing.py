"""Place sessions: search each weekday that they may share, or all days at once, and say whether nothing better can exist."""

from __future__ import annotations

from datetime import date

from procedures.pathways.joint.searching import Best, Search
from procedures.pathways.joint.words import Joint, Together

# Days tried: about what a second allows.
MOST_TRIES = 10_000


def place(question: Together, *, most_tries: int = MOST_TRIES) -> Joint:
    """Return the best dates for these sessions."""
    best: Best | None = None
    is_proven = True
    weekdays = range(7) if question.is_one_weekday else (None,)
    for weekday in weekdays:
        search = Search(question, weekday, most_tries // len(weekdays), best)
        search.run()
        best, is_proven = search.best, is_proven and search.is_proven
    assert best is not None
    cost, ordinals = best
    days = tuple(None if day is None else date.fromordinal(day) for day in ordinals)
    return Joint(days, cost, is_proven)
