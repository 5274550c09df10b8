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

__all__ = [
    "Appointments",
    "BookNext",
    "CallCourse",
    "Cancel",
    "ChangeCourse",
    "Confirm",
    "Courses",
    "Holds",
    "Move",
    "MoveOn",
    "OneAppointment",
    "OneCourse",
    "OneHold",
    "Openings",
    "Pathways",
    "Reinstate",
    "Resources",
    "RestartCourse",
    "Sites",
    "SnoozeCourse",
    "StopCourse",
    "Swap",
    "Worklist",
]
