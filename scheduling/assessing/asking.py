"""Ask the rules of one patient: what is on file and breaks them becomes a refusal in words, and never leave to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from pain_clinic.errors import Refused
from patients.models import Patient
from procedures.rules import structural
from scheduling.models import Appointment

TOLD = (
    "The rules could not be asked about this patient: the product broke down on what is on file. Nothing is allowed by that: "
    "as long as it lasts, nobody knows what speaks against a case."
)
NEXT = (
    "Look by hand, and tell a manager or whoever runs the product; its log says where (rules_broke_down). Once what is on file "
    "is mended, the rules can be asked again."
)
# What a value that nobody foresaw comes to in the rules. Not more: a time limit or a database that fails is no patient's fault.
BY_FACTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
NOT_ASKED = structural("rules_not_asked", TOLD)  # that nobody waives
log = structlog.get_logger(__name__)


class RulesNotAsked(Refused):
    """The rules broke down on what is on file about one patient."""

    def __init__(self) -> None:
        super().__init__(NOT_ASKED.code, f"{TOLD} {NEXT}")


@contextmanager
def asking_of(subject: Appointment | Patient) -> Iterator[None]:
    """Turn what breaks down while the rules are asked of a case, or of a patient, into `RulesNotAsked`; the log keeps why."""
    try:
        yield
    except BY_FACTS as error:
        log.error("rules_broke_down", kind=subject._meta.model_name, subject=str(subject.public_id), exc_info=error)
        raise RulesNotAsked from error
