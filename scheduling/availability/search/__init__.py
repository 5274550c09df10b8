"""The joint search: erosion per unit, Hall's condition per pool, one AND, lowest set bits."""

from scheduling.availability.search.pools import Known, joint, pool, unit_starts
from scheduling.availability.search.views import Opening
from scheduling.availability.search.walking import earliest, first_starts, open_dates, search

__all__ = ["Known", "Opening", "earliest", "first_starts", "joint", "open_dates", "pool", "search", "unit_starts"]
