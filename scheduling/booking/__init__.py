"""The booking transaction: the only way an appointment comes to be, moves, ends or returns.

Every verb locks in one order (patient, resources, appointment), judges under those locks, writes, and leaves the last
word to the exclusion constraints.
"""

from scheduling.booking.swapping import SameCase, Traded, preview_swap, swap
from scheduling.booking.verbs import book, cancel, confirm, preview, reinstate, reschedule
from scheduling.booking.words import HoldEnded, RulesRefused, SlotTaken, Stale, Target, Times

__all__ = [
    "HoldEnded",
    "RulesRefused",
    "SameCase",
    "SlotTaken",
    "Stale",
    "Target",
    "Times",
    "Traded",
    "book",
    "cancel",
    "confirm",
    "preview",
    "preview_swap",
    "reinstate",
    "reschedule",
    "swap",
]
