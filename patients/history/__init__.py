"""Read: the physician's page of a patient, whole, audited as it is read."""

from patients.history.beyond import Beyond, Letter, Plan, Visit
from patients.history.opening import PRINT, READ, open_history
from patients.history.paper import MOST_ENTRIES, SOURCE, content
from patients.history.shapes import FILTERS, SPANS, USUAL_SPAN, WHOLE, Asked, HistoryPage
from patients.history.targets import is_place

__all__ = [
    "FILTERS",
    "MOST_ENTRIES",
    "PRINT",
    "READ",
    "SOURCE",
    "SPANS",
    "USUAL_SPAN",
    "WHOLE",
    "Asked",
    "Beyond",
    "HistoryPage",
    "Letter",
    "Plan",
    "Visit",
    "content",
    "is_place",
    "open_history",
]
