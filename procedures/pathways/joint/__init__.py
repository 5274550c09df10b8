"""Dates for several sessions together: intervals, caps and shared days given as data, every rule asked. Pure.

An answer is better than another by these, in this order, and nothing of a later one outweighs an earlier one:

1. more sessions have a date;
2. fewer of them need a reason;
3. fewer days beyond their windows, added up;
4. fewer journeys: dates on which the patient would not come anyway;
5. nearer to the ideal days, the distances added up;
6. earlier, the dates added up.

The search is branch and bound. It is exact unless it gives up after so many days tried, which it then says.
"""

from procedures.pathways.joint.costing import cost_of
from procedures.pathways.joint.placing import MOST_TRIES, place
from procedures.pathways.joint.words import (
    BLOCKED,
    FINE,
    NEEDS_REASON,
    Apart,
    Cap,
    Cost,
    Gap,
    Joint,
    Judge,
    Packs,
    Part,
    Placed,
    Together,
)

__all__ = [
    "BLOCKED",
    "FINE",
    "MOST_TRIES",
    "NEEDS_REASON",
    "Apart",
    "Cap",
    "Cost",
    "Gap",
    "Joint",
    "Judge",
    "Packs",
    "Part",
    "Placed",
    "Together",
    "cost_of",
    "place",
]
