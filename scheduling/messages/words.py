"""Words and numbers that laying down, planning and sending share."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, Refused
from patients.models import Patient
from scheduling.models import BounceKind, BouncingAddress, MessageKind, TaskKind

BATCH = 200
LEASE = timedelta(seconds=25)
BUDGET = timedelta(seconds=20)  # of one sweep: below the lease, far below the task's time limit
MOST_TRIES = 10  # of a letter that the server puts off: about three hours
MOST_ERRORS = 5  # of a letter that our own code cannot write
MOST_UNFINISHED = 20  # of a letter at which the worker ends each time
FRESH = timedelta(hours=1)  # what answers an act just made goes out at any hour
MERGED_WITHIN = timedelta(hours=2)  # what the cadence wants this soon is said in the mail that leaves now
NEAR = timedelta(hours=1)  # nothing planned goes out this close to the arrival
STALE = timedelta(hours=24)  # a planned message this late is no longer what was meant (a restored back-up, a long outage)
ACTOR = Actor.system("messages")
NO_PLAN = "no_plan"  # why a mail about the medicine plan does not leave
NOT_ASKED = "rules_not_asked"  # why a mail waits that must know whether that plan is ready

# Confirmations go first; what can wait goes last.
PRIORITY = {
    MessageKind.CONFIRMATION: 1,
    MessageKind.CHANGE: 2,
    MessageKind.CANCELLATION: 2,
    MessageKind.PLAN_READY: 3,
    MessageKind.ARRIVAL: 4,
    MessageKind.REMINDER: 5,
    MessageKind.PREPARATION: 6,
    MessageKind.NO_SHOW: 7,
    MessageKind.FOLLOW_UP: 7,
    MessageKind.RECALL: 8,
    MessageKind.COURSE: 8,
}
INVITES = (MessageKind.CONFIRMATION, MessageKind.CHANGE)

REASONS = {
    "superseded": "A newer message took its place",
    "cancelled": "The case was cancelled",
    "not_cancelled": "The case stands again",
    "arrived": "The patient is already here",
    "missed": "The patient did not come or has left",
    "not_missed": "The case stands again",
    "not_done": "The visit is not over",
    "nothing_asked": "Nothing is asked: what was done is not on record",
    "visit_over": "The time of the visit has passed",
    "no_email": "No e-mail address on file",
    "opted_out": "The patient wants no e-mail",
    "bounced": "Mails to this address come back",
    "complained": "The patient marked a mail as unwanted",
    "deceased": "The patient has died",
    "history": "Imported from the past",
    "imported": "The system it was imported from told the patient",
    "merged": "Said in the mail that left at that time",
    "past": "Its time had passed when it was planned",
    "too_late": "Too close to the arrival",
    "stale": "More than a day late",
    "restored": "The database was restored from a copy; it may have been sent before",
    "confirmed": "The patient has confirmed",
    "answered": "The patient has answered",
    "cadence": "Taken out of the plan of messages",
    "overtaken": "The next reminder took its place",
    NO_PLAN: "The medicine plan is not ready any more",
    NOT_ASKED: "The rules could not be asked whether the medicine plan is ready",
    "quiet_hours": "Waits until the quiet hours end",
    "server_unreachable": "The mail server cannot be reached",
    "server_refuses_us": "The mail server refuses our sign-in",
    "connection_lost": "The mail server broke off",
    "try_later": "The mail server asks to try later",
    "sender_refused": "The mail server refuses our sender address",
    "address_invalid": "The e-mail address is not valid",
    "address_refused": "The e-mail address does not exist or takes no mail",
    "mail_refused": "The mail server refuses this message",
    "error": "An error in the program",
    "gave_up": "Begun too often and never finished",
}


# What the desk does by telephone when a mail cannot.
CALLS = {
    "no_email": TaskKind.NO_EMAIL,
    "opted_out": TaskKind.NO_EMAIL,
    "bounced": TaskKind.ADDRESS_BOUNCES,
    "complained": TaskKind.COMPLAINED,
}


class AlreadySent(Conflict):
    """Only what did not leave can be sent again."""


class WouldNotLeave(Refused):
    """What kept a message back still does, so that sending it again is of no use."""

    def __init__(self, reason: str) -> None:
        super().__init__("would_not_leave", f"It would not leave: {reason_in_words(reason).lower()}.", {"reason": reason})


def reason_in_words(code: str) -> str:
    """Return a reason code as staff read it; a server's own number is added in brackets."""
    stem, _, number = code.rpartition("_")
    if number.replace(".", "").isdigit():
        return f"{REASONS.get(stem, stem)} ({number})"
    return REASONS.get(code, code.replace("_", " "))


def cannot_be_written_to(patient: Patient) -> str:
    """Return why a patient gets no e-mail, or an empty text."""
    if not patient.email.strip():
        return "no_email"
    if not patient.accepts_email:
        return "opted_out"
    kind = BouncingAddress.objects.kind_of(patient.email)
    if not kind:
        return ""
    return "complained" if kind == BounceKind.COMPLAINT else "bounced"


def database_now() -> datetime:
    """Return the instant of the database's clock, moved as the clinic's clock is."""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)
        cursor.execute("SELECT clinic_now()")
        now: datetime = cursor.fetchone()[0]
    return now
