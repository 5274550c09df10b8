"""A case moves through its day, is checked before the needle and before leaving, and is completed by the physician."""

from scheduling.visits.checking import (
    Checklist,
    Leaving,
    LeavingOpen,
    answer_checks,
    checklist,
    leave_ready,
    leaving,
    needs_escort,
)
from scheduling.visits.completing import (
    AlreadyCompleted,
    ChecklistOpen,
    Done,
    Given,
    Harm,
    RegionNotSaid,
    RoleNotSaid,
    Told,
    as_booked,
    complete,
    done_as,
    lacks_region,
    usual_role,
)
from scheduling.visits.moving import mark_no_show, move_on
from scheduling.visits.roles import OtherRole, other_roles, take_over

__all__ = [
    "AlreadyCompleted",
    "Checklist",
    "ChecklistOpen",
    "Done",
    "Given",
    "Harm",
    "Leaving",
    "LeavingOpen",
    "OtherRole",
    "RegionNotSaid",
    "RoleNotSaid",
    "Told",
    "answer_checks",
    "as_booked",
    "checklist",
    "complete",
    "done_as",
    "lacks_region",
    "leave_ready",
    "leaving",
    "mark_no_show",
    "move_on",
    "needs_escort",
    "other_roles",
    "take_over",
    "usual_role",
]
