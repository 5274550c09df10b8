"""Letters to patients: the passages, what the case asks of the patient, and the mail made of both."""

from scheduling.letters.moments import long_day, short_day, time_of_day, weekday
from scheduling.letters.passages import PASSAGES, OwnWords, Passage, placeholders_of, said
from scheduling.letters.preparing import to_do
from scheduling.letters.writing import NOTHING, Known, Letter, message_id, write

__all__ = [
    "NOTHING",
    "PASSAGES",
    "Known",
    "Letter",
    "OwnWords",
    "Passage",
    "long_day",
    "message_id",
    "placeholders_of",
    "said",
    "short_day",
    "time_of_day",
    "to_do",
    "weekday",
    "write",
]
