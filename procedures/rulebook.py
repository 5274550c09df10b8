"""The rules in force for a procedure on a date of service. Clinical and payer rules are loaded here when they come."""

from __future__ import annotations

from datetime import date

from procedures.rules import Rule

RULES: tuple[Rule, ...] = ()


def in_force(*, procedure: str, on: date) -> tuple[Rule, ...]:
    """Return every rule that speaks of this procedure on this date."""
    return RULES
