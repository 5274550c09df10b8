"""Letters to patients: the passages, what the case asks of the patient, and the mail made of both."""

from scheduling.letters.passages import PASSAGES, OwnWords, Passage, placeholders_of, said
from scheduling.letters.preparing import TIME, to_do
from scheduling.letters.writing import DAY, NOTHING, SHORT_DAY, Known, Letter, message_id, write

__all__ = [
    "DAY",
    "NOTHING",
    "PASSAGES",
    "SHORT_DAY",
    "TIME",
    "Known",
    "Letter",
    "OwnWords",
    "Passage",
    "message_id",
    "placeholders_of",
    "said",
    "to_do",
    "write",
]
