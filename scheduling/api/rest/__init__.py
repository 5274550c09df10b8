"""Openings, holds, appointments and resources through the API: the same verbs and checks as the pages."""

from scheduling.api.rest.cases import Appointments, Cancel, Confirm, Move, MoveOn, OneAppointment, Reinstate, Swap
from scheduling.api.rest.places import Holds, OneHold, Openings, Resources, Sites

__all__ = [
    "Appointments",
    "Cancel",
    "Confirm",
    "Holds",
    "Move",
    "MoveOn",
    "OneAppointment",
    "OneHold",
    "Openings",
    "Reinstate",
    "Resources",
    "Sites",
    "Swap",
]
