"""What the desk sees, each page in a fixed number of statements: the board, a case, home, lists."""

from scheduling.agenda.board import BYS, VIEWS, board, finished
from scheduling.agenda.cases import (
    PREVIEWED,
    READ,
    WAIVER_REASONS,
    case,
    changes_since,
    consent_url,
    lines_of,
    wait_line,
    ways_to_leave,
    ways_to_start,
)
from scheduling.agenda.lists import findings, home, patient_dates, patient_messages, person, swappable
from scheduling.agenda.mail import AFTER, CASES, DONE, alerts, next_day, one_message, tasks, unconfirmed
from scheduling.agenda.outbox import STATES, messages
from scheduling.agenda.rows import Asked, sites_of
from scheduling.agenda.shapes import CaseLine

__all__ = [
    "AFTER",
    "BYS",
    "CASES",
    "DONE",
    "PREVIEWED",
    "READ",
    "STATES",
    "VIEWS",
    "WAIVER_REASONS",
    "Asked",
    "CaseLine",
    "alerts",
    "board",
    "case",
    "changes_since",
    "consent_url",
    "findings",
    "finished",
    "home",
    "lines_of",
    "messages",
    "next_day",
    "one_message",
    "patient_dates",
    "patient_messages",
    "person",
    "sites_of",
    "swappable",
    "tasks",
    "unconfirmed",
    "wait_line",
    "ways_to_leave",
    "ways_to_start",
]
