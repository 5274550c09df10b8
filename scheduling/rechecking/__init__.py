"""Ask the rules again about cases that are booked: when a fact about the patient changed, every night, and when rules change.

Only what rules say is asked anew; time, people and rooms were settled when the case was booked or moved. Nothing is moved or
cancelled: what now speaks against a case becomes a task, and a waiver whose facts have changed ends.
"""

from scheduling.rechecking.alone import AGAIN, DOWN, IN_A_ROW, NOT_ASKED, ask_alone, leave
from scheduling.rechecking.asking import BY, JOINED, WAITING_IN_HOUSE, Asked, InHouse, Looked, judge_cases, look, recheck
from scheduling.rechecking.passes import check_all, follow_changes
from scheduling.rechecking.saying import NothingToWaive, ask_in_house, plan_case, waive

__all__ = [
    "AGAIN",
    "BY",
    "DOWN",
    "IN_A_ROW",
    "JOINED",
    "NOT_ASKED",
    "WAITING_IN_HOUSE",
    "Asked",
    "InHouse",
    "Looked",
    "NothingToWaive",
    "ask_alone",
    "ask_in_house",
    "check_all",
    "follow_changes",
    "judge_cases",
    "leave",
    "look",
    "plan_case",
    "recheck",
    "waive",
]
