"""One case: who, what, when, with what, what is possible now, and its story."""

from scheduling.agenda.cases.acts import STATUS_ACTS, acts, consent_url, ways_to_leave, ways_to_start
from scheduling.agenda.cases.lines import Reasons, findings_behind, lines_of, message_line, wait_line, ways_of, where
from scheduling.agenda.cases.page import (
    PREVIEWED,
    READ,
    WAIVER_REASONS,
    case,
    changes_since,
    reason_word,
    same_name,
    sedation_word,
    twins_of,
)

__all__ = [
    "PREVIEWED",
    "READ",
    "STATUS_ACTS",
    "WAIVER_REASONS",
    "Reasons",
    "acts",
    "case",
    "changes_since",
    "consent_url",
    "findings_behind",
    "lines_of",
    "message_line",
    "reason_word",
    "same_name",
    "sedation_word",
    "twins_of",
    "wait_line",
    "ways_of",
    "ways_to_leave",
    "ways_to_start",
    "where",
]
