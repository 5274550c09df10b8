"""Find times at which everything a procedure needs is free together, and say why there is none.

Time is a bitmap: a Python integer whose bit k is the 5-minute slot k from 00:00 UTC of a frame's first day. Working
hours, breaks, leave and bookings are already in each unit's bitmap; nothing here knows the clock or the database.
"""

from scheduling.availability.bitmaps import at_least, erode
from scheduling.availability.explanation import Explanation, Help, Relaxation, Shortage, explain
from scheduling.availability.search import Known, Opening, earliest, first_starts, open_dates, search
from scheduling.availability.words import Demand, Frame, Plan, Question, Unit, Window, runs_of

__all__ = [
    "Demand",
    "Explanation",
    "Frame",
    "Help",
    "Known",
    "Opening",
    "Plan",
    "Question",
    "Relaxation",
    "Shortage",
    "Unit",
    "Window",
    "at_least",
    "earliest",
    "erode",
    "explain",
    "first_starts",
    "open_dates",
    "runs_of",
    "search",
]
