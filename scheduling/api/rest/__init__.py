"""Openings, holds, appointments, courses and resources through the API: the same verbs and checks as the pages."""

from scheduling.api.rest.cases import Appointments, Cancel, Confirm, Move, MoveOn, OneAppointment, Reinstate, Swap
from scheduling.api.rest.courses import (
    BookNext,
    CallCourse,
    ChangeCourse,
    Courses,
    OneCourse,
    Pathways,
    RestartCourse,
    SnoozeCourse,
    StopCourse,
    Worklist,
)
from scheduling.api.rest.places import Holds, OneHold, Openings, Resources, Sites
from scheduling.api.rest.ready import AskPrescriber, Clear, CloseTask, ConfirmDose, Medicines, Plan, Rules, TakeTask, Tasks, Waive

__all__ = [
    "Appointments",
    "AskPrescriber",
    "BookNext",
    "CallCourse",
    "Cancel",
    "ChangeCourse",
    "Clear",
    "CloseTask",
    "Confirm",
    "ConfirmDose",
    "Courses",
    "Holds",
    "Medicines",
    "Move",
    "MoveOn",
    "OneAppointment",
    "OneCourse",
    "OneHold",
    "Openings",
    "Pathways",
    "Plan",
    "Reinstate",
    "Resources",
    "RestartCourse",
    "Rules",
    "Sites",
    "SnoozeCourse",
    "StopCourse",
    "Swap",
    "TakeTask",
    "Tasks",
    "Waive",
    "Worklist",
]
