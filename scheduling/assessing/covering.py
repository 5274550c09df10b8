"""From when on a proposed case is covered and safe: the first date on which no rule blocks, and which others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from patients.facts import Known, Reading, read
from patients.models import Patient
from procedures import rulebook
from procedures.rules import Facts, Finding, Rule, assess
from procedures.rules.earliest import at_date, blocks, earliest_covered
from procedures.rules.rows import asked_by
from scheduling.assessing.asking import NOT_ASKED, RulesNotAsked, asking_of
from scheduling.assessing.judging import Wish, facts_for
from scheduling.assessing.reading import open_cases
from scheduling.models import Appointment

# Some facts are read by date (a coverage that begins, a condition that ends): so often the date found is looked at again.
LOOKS = 6


@dataclass(slots=True)
class Covering:
    """What rules say about the dates of one wish. Only what is not allowed counts; what needs a reason is for the desk.

    Where they break down on what is on file, that stands in the way of the date, and no date is known to be covered.
    """

    wish: Wish
    patient: Patient
    reading: Reading
    known: Known
    others: Sequence[Appointment]
    at: datetime
    _by_date: dict[date, tuple[Finding, ...]] = field(default_factory=dict)

    def blocking(self, on: date) -> tuple[Finding, ...]:
        """Return what blocks on a date of service."""
        found = self._by_date.get(on)
        if found is None:
            try:
                with asking_of(self.patient):
                    facts = self._facts(on)
                    found = tuple(finding for finding in assess(self._rules(facts, on), facts, on) if blocks(finding))
            except RulesNotAsked:
                found = (NOT_ASKED,)
            self._by_date[on] = found
        return found

    def first(self, from_: date) -> date | None:
        """Return the first date, not before another, on which nothing blocks; None when waiting alone does not help."""
        try:
            with asking_of(self.patient):
                return self._first(from_)
        except RulesNotAsked:
            return None

    def _first(self, from_: date) -> date | None:
        on = from_
        for _ in range(LOOKS):
            found_on = self.blocking(on)
            if not found_on or NOT_ASKED in found_on:
                return None if found_on else on
            facts, book = self._facts(on), self.reading.book
            turns = None if book is None else (lambda day, facts=facts, book=book: book.turning_points(facts, day))
            found = earliest_covered(lambda day, facts=facts: self._rules(facts, day), facts, on, turns=turns)  # type: ignore[misc]
            if found is None or found == on:
                return None
            on = found
        return None if self.blocking(on) else on

    def asks(self) -> frozenset[str]:
        """Return what may be said of the case on which the answer of some rule turns, on the date of the wish."""
        try:
            with asking_of(self.patient):
                facts = self._facts(self.wish.on)
                return asked_by(self._rules(facts, self.wish.on), facts)
        except RulesNotAsked:
            return frozenset()

    def _facts(self, on: date) -> Facts:
        """Return the facts as they are read for a date, at the wish's time of day."""
        zone = self.wish.zone
        local = self.wish.starts_at.astimezone(zone)
        moved = replace(self.wish, starts_at=datetime.combine(on, local.time(), tzinfo=zone))
        return at_date(facts_for(moved, self.reading, self.known, self.others, self.at), on)

    def _rules(self, facts: Facts, on: date) -> tuple[Rule, ...]:
        return rulebook.in_force(self.reading.book, facts, on)


def covering(*, wish: Wish, patient: Patient, at: datetime, moving: Appointment | None = None) -> Covering:
    """Return what rules say about the dates of a wish, in two statements; `moving` is the patient's case that would move."""
    reading = read([patient])
    others = [other for other in open_cases([patient.pk], at) if moving is None or other.pk != moving.pk]
    return Covering(wish, patient, reading, reading.known[patient.pk], others, at)
