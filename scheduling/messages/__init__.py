"""Messages to patients: lay down, plan, claim, deliver, retry. The row is the queue."""

from scheduling.messages.laying import follow, lay_down, plan_ready, send_again, tell_returned_plans, withdraw
from scheduling.messages.looking import draft
from scheduling.messages.planning import Planned, after_visit, plan_ahead, plan_case, plan_if_wanted, suppose
from scheduling.messages.restoring import mind_a_restore, skip_due
from scheduling.messages.sending import Claim, claim_due, deliver, sweep
from scheduling.messages.switch import resume, state, stop, want_plan
from scheduling.messages.words import (
    BATCH,
    LEASE,
    MOST_ERRORS,
    MOST_TRIES,
    REASONS,
    AlreadySent,
    WouldNotLeave,
    database_now,
    reason_in_words,
)

__all__ = [
    "BATCH",
    "LEASE",
    "MOST_ERRORS",
    "MOST_TRIES",
    "REASONS",
    "AlreadySent",
    "Claim",
    "Planned",
    "WouldNotLeave",
    "after_visit",
    "claim_due",
    "database_now",
    "deliver",
    "draft",
    "follow",
    "lay_down",
    "mind_a_restore",
    "plan_ahead",
    "plan_case",
    "plan_if_wanted",
    "plan_ready",
    "reason_in_words",
    "resume",
    "send_again",
    "skip_due",
    "state",
    "stop",
    "suppose",
    "sweep",
    "tell_returned_plans",
    "want_plan",
    "withdraw",
]
