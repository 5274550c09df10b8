"""Appointments out of another system's file: what is to come is booked like any other, what is past becomes history."""

from scheduling.importing.run import AppointmentImport
from scheduling.importing.words import REQUIRED, SYNONYMS, Outcome

__all__ = ["REQUIRED", "SYNONYMS", "AppointmentImport", "Outcome"]
