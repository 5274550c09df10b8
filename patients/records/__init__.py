"""Verbs that write down who somebody is and what is true of them."""

from patients.records.cleaning import FieldRefused, clean
from patients.records.facts import ALLOWED_BY, FactStale, MayNotRecord, NotAFact, amend_fact, mark_in_error, record
from patients.records.people import (
    CHANGEABLE,
    ExternalIdTaken,
    PossibleDuplicate,
    Stale,
    amend,
    numbers,
    possible_duplicates,
    record_number,
    register,
    same_names,
    same_person,
)

__all__ = [
    "ALLOWED_BY",
    "CHANGEABLE",
    "ExternalIdTaken",
    "FactStale",
    "FieldRefused",
    "MayNotRecord",
    "NotAFact",
    "PossibleDuplicate",
    "Stale",
    "amend",
    "amend_fact",
    "clean",
    "mark_in_error",
    "numbers",
    "possible_duplicates",
    "record",
    "record_number",
    "register",
    "same_names",
    "same_person",
]
