"""What the desk sees, each page in a fixed number of statements: the board, a case, home, lists."""

from scheduling.agenda.board import BYS, VIEWS, Asked, board, finished, sites_of
from scheduling.agenda.cases import READ, WAIVER_REASONS, case, lines_of
from scheduling.agenda.lists import STATES, findings, home, messages, patient_dates, patient_messages, person

__all__ = [
    "BYS", "READ", "STATES", "VIEWS", "WAIVER_REASONS", "Asked", "board", "case", "findings", "finished", "home", "lines_of", "messages",
    "patient_dates", "patient_messages", "person", "sites_of",
]  # fmt: skip
