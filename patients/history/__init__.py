"""Read: the physician's page of a patient, whole, audited as it is read."""

from patients.history.opening import READ, open_history
from patients.history.shapes import FILTERS, SPANS, USUAL_SPAN, Asked, HistoryPage

__all__ = ["FILTERS", "READ", "SPANS", "USUAL_SPAN", "Asked", "HistoryPage", "open_history"]
