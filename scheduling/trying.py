"""Read what a case that is tried begins with: what is on file about a patient, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients.facts import read
from patients.models import Patient
from procedures import tables
from procedures.cases import can_be_written, not_on_file, written_case
from procedures.rules import Facts, Request
from procedures.rules.book import Book
from scheduling.assessing import asking_of, open_cases, session_of

# What a role must see to be given parts of the written case, and what these parts are called.
_SHOWN = {
    "patients.view_history": (("history", "presentation"), "what was done and how it helped"),
    "patients.view_safety": (
        ("medications", "labs", "vaccines", "allergies", "implants", "patient"),
        "medicines, allergies, results, implants and conditions",
    ),
    "patients.view_coverage": (("coverage",), "coverage"),
}


@dataclass(frozen=True, slots=True)
class Start:
    """What the form begins with, what is not on file, and what the reader's role leaves out."""

    case: dict[str, Any]
    unknown: tuple[str, ...]
    hidden: tuple[str, ...]


def from_patient(*, patient: Patient, by: Actor, at: datetime, zone: ZoneInfo) -> Start:
    """Return what is on file about a patient, without a request; reading it is a recorded act.

    Raises:
        RulesNotAsked: what is on file cannot be read as the rules read it.
    """
    reading = read([patient])
    book = reading.book or tables.book_of_files()
    known, today = reading.known[patient.pk], at.astimezone(zone).date()
    place, state = known.place_of(today)
    request = Request(today, "", "", place_of_service=place, state=state)
    others = [other for other in open_cases([patient.pk], at) if other.public_id not in known.cases]
    with asking_of(patient):
        sessions = [session_of(other, reading.book) for other in others]
        facts = known.facts(request, sessions, at=at, zone=zone, families=book.families_by_id)
    start = _start(facts, book, has_plan=known.has_coverage(today), may=by.may)
    asked = start.case["request"]
    start.case["request"] = {name: asked[name] for name in ("place_of_service", "state") if name in asked}
    trail.record(by=by, act="scheduling.try_rules", subject=patient, patient=patient.public_id, site_id=patient.home_site_id)
    return start


def _start(facts: Facts, book: Book, *, has_plan: bool, may: Callable[[str], bool]) -> Start:
    case = written_case(facts, book)
    unknown = (*not_on_file(facts), *(() if has_plan else ("who pays",)))
    left_out = [one for one in facts.coverage.authorizations if not can_be_written(one)]
    if not has_plan:
        case.pop("coverage", None)  # nobody pays is not the same as nobody knows who pays
    hidden = ["authorisations that are used up, or for one side, level, code or case only"] if left_out else []
    for permission, (parts, told) in _SHOWN.items():
        if not may(permission):
            hidden.append(told)
            for part in parts:
                case.pop(part, None)
    return Start(case, unknown if any(map(may, _SHOWN)) else (), tuple(hidden))
