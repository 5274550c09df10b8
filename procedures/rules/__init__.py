"""The rules engine: facts in, findings out. It decides nothing by itself; booking refuses what stands unwaived.

What is true of a patient comes in as `Facts`, what a clinic wants checked as `Rule`s. `assess` asks every rule, hides
no answer and gives them in one order, whatever the order of the rules. `book.Book` compiles the tables into rules;
`earliest.earliest_covered` finds the first date on which none blocks. Standard library only.
"""

from procedures.rules.facts import Facts, Request, Session
from procedures.rules.findings import (
    Decision,
    Finding,
    Moment,
    Plain,
    Rule,
    Said,
    Severity,
    Waiver,
    assess,
    decision,
    matured,
    ordered,
    structural,
    unwaived,
)

__all__ = [
    "Decision",
    "Facts",
    "Finding",
    "Moment",
    "Plain",
    "Request",
    "Rule",
    "Said",
    "Session",
    "Severity",
    "Waiver",
    "assess",
    "decision",
    "matured",
    "ordered",
    "structural",
    "unwaived",
]
