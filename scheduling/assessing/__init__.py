"""What the rules say about one case or a proposed one, and the first date on which none of them stands in its way."""

from scheduling.assessing.asking import BY_FACTS, NOT_ASKED, RulesNotAsked, asking_of
from scheduling.assessing.covering import Covering, covering
from scheduling.assessing.judging import (
    CLINIC,
    NOTHING_SAID,
    UNREADABLE,
    CountedCases,
    Details,
    Judged,
    Wish,
    counted_cases,
    details_row,
    facts_for,
    facts_with,
    judge,
    request_of,
    session_of,
    wish_of,
)
from scheduling.assessing.reading import fixed_ahead, is_fixed_ahead, open_cases
from scheduling.assessing.units import used_up

__all__ = [
    "BY_FACTS",
    "CLINIC",
    "NOTHING_SAID",
    "NOT_ASKED",
    "UNREADABLE",
    "CountedCases",
    "Covering",
    "Details",
    "Judged",
    "RulesNotAsked",
    "Wish",
    "asking_of",
    "counted_cases",
    "covering",
    "details_row",
    "facts_for",
    "facts_with",
    "fixed_ahead",
    "is_fixed_ahead",
    "judge",
    "open_cases",
    "request_of",
    "session_of",
    "used_up",
    "wish_of",
]
