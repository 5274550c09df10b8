"""What the rules say about one case or a proposed one, and the first date on which none of them stands in its way."""

from scheduling.assessing.covering import Covering, covering
from scheduling.assessing.judging import (
    NOTHING_SAID,
    Details,
    Judged,
    Wish,
    details_row,
    facts_for,
    judge,
    request_of,
    session_of,
    wish_of,
)
from scheduling.assessing.reading import open_cases

__all__ = [
    "NOTHING_SAID",
    "Covering",
    "Details",
    "Judged",
    "Wish",
    "covering",
    "details_row",
    "facts_for",
    "judge",
    "open_cases",
    "request_of",
    "session_of",
    "wish_of",
]
