"""What a patient may do through a link: say that they come, cancel, choose another time, ask to be called, stop e-mail.

A link stands in for a sign-in, so every act here names the purpose that permits it, carries what the page had shown,
and does nothing when the case is no longer that.
"""

from scheduling.answers.acting import (
    ALLOWS,
    UNDO_WITHIN,
    Answered,
    Shown,
    ask_for_call,
    cancel,
    confirm,
    move,
    subscribe,
    take_back,
    unsubscribe,
)
from scheduling.answers.offering import NOTICE, OFFERED, offers, place
from scheduling.answers.showing import PlanLine, VisitShown, calendar_of, medicine_plan, show
from scheduling.answers.upcoming import Upcoming, upcoming

__all__ = [
    "ALLOWS",
    "NOTICE",
    "OFFERED",
    "UNDO_WITHIN",
    "Answered",
    "PlanLine",
    "Shown",
    "Upcoming",
    "VisitShown",
    "ask_for_call",
    "calendar_of",
    "cancel",
    "confirm",
    "medicine_plan",
    "move",
    "offers",
    "place",
    "show",
    "subscribe",
    "take_back",
    "unsubscribe",
    "upcoming",
]
