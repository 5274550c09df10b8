"""Free places to book: read the bitmaps of everything a procedure may need, and ask `availability`."""

from scheduling.availability import Explanation, Opening
from scheduling.openings.finding import Look, find_openings, look
from scheduling.openings.fitting import fit
from scheduling.openings.words import Fit, FoundSite, FoundUnit, OpeningsFound, Options

__all__ = [
    "Explanation",
    "Fit",
    "FoundSite",
    "FoundUnit",
    "Look",
    "Opening",
    "OpeningsFound",
    "Options",
    "find_openings",
    "fit",
    "look",
]
