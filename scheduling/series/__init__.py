"""Series: several sessions of a patient ordered together, dates proposed for all of them jointly, booked together."""

from scheduling.series.fulfilling import book
from scheduling.series.proposing import is_booked, propose
from scheduling.series.verbs import move, order, read, replan, skip, withdraw
from scheduling.series.words import (
    MOST_SESSIONS,
    Booked,
    DayRefused,
    FromCourse,
    Item,
    NothingToBook,
    NotWhole,
    OrderRefused,
    Proposal,
    SeriesClosed,
    SeriesStale,
    Suggested,
)

__all__ = [
    "MOST_SESSIONS",
    "Booked",
    "DayRefused",
    "FromCourse",
    "Item",
    "NotWhole",
    "NothingToBook",
    "OrderRefused",
    "Proposal",
    "SeriesClosed",
    "SeriesStale",
    "Suggested",
    "book",
    "is_booked",
    "move",
    "order",
    "propose",
    "read",
    "replan",
    "skip",
    "withdraw",
]
