"""Courses of treatment: start, change, stop and restart them; plan what comes next; book it."""

from scheduling.courses.choosing import chosen
from scheduling.courses.fulfilling import BeforeWindow, RemovalMissing, book_by_hand, book_next, fills, ordered
from scheduling.courses.informing import inform
from scheduling.courses.judging import Fresh, as_json, lines
from scheduling.courses.offering import refresh, refresh_some
from scheduling.courses.planning import plan, plan_all, plan_nights, rehearse, sweep
from scheduling.courses.starting import change, note_call, restart, snooze, start, stop, terms_of
from scheduling.courses.telling import Stop, last_step, stops
from scheduling.courses.words import (
    CourseNotRunning,
    CourseStale,
    NothingPlanned,
    NotOfThisCourse,
    ProblemChanged,
    ReasonMissing,
    Terms,
    TermsRefused,
)

__all__ = [
    "BeforeWindow",
    "CourseNotRunning",
    "CourseStale",
    "Fresh",
    "NotOfThisCourse",
    "NothingPlanned",
    "ProblemChanged",
    "ReasonMissing",
    "RemovalMissing",
    "Stop",
    "Terms",
    "TermsRefused",
    "as_json",
    "book_by_hand",
    "book_next",
    "change",
    "chosen",
    "fills",
    "inform",
    "last_step",
    "lines",
    "note_call",
    "ordered",
    "plan",
    "plan_all",
    "plan_nights",
    "refresh",
    "refresh_some",
    "rehearse",
    "restart",
    "snooze",
    "start",
    "stop",
    "stops",
    "sweep",
    "terms_of",
]
