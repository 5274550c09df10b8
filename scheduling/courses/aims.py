"""Put a course into the planner's words: what would be done in each step, and the bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from procedures import rulebook
from procedures.guidance import usual
from procedures.levels import levels_offered, regions_offered, touched
from procedures.models import Procedure
from procedures.pathways import Aim, Pathway, Step
from procedures.rules import Facts, Rule
from procedures.rules.book import Book
from procedures.rules.earliest import turning_points
from procedures.rules.facts import Wanted
from procedures.rules.offers import Offer, Told, want
from scheduling.courses.words import Terms
from scheduling.models import Course


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The clinic's book as the planner asks it; without tables there are the rules that are in none."""

    book: Book | None

    def rules(self, facts: Facts, on: date) -> Iterable[Rule]:
        """Return the rules in force on a date for what is asked."""
        return rulebook.in_force(self.book, facts, on)

    def turning_points(self, facts: Facts, on: date) -> Iterable[date]:
        """Return the dates after one on which the rules, or what they say, may change by themselves."""
        own = [day for day in turning_points(rulebook.RULES, facts) if day > on]
        return [*own, *(self.book.turning_points(facts, on) if self.book is not None else ())]

    def offer(self, procedure: Procedure) -> Offer:
        """Return what the book says of a procedure, as booking reads it."""
        found = self.book.offers.get(procedure.code) if self.book is not None else None
        return found or Offer(
            procedure.code, procedure.family, approach=procedure.approach, laterality=tuple(procedure.laterality)
        )

    @property
    def offers(self) -> Iterable[Offer]:
        """Return everything that the book offers."""
        return self.book.offers.values() if self.book is not None else ()


@dataclass(frozen=True, slots=True)
class Spot:
    """Where on the body one procedure of a course is done."""

    side: str
    levels: tuple[str, ...]
    regions: tuple[str, ...]


def spot_of(procedure: Procedure, side: str, levels: Sequence[str], regions: Sequence[str]) -> Spot:
    """Return a course's target as one of its procedures has it: on the midline what is done there, no level without a scheme."""
    only = procedure.laterality[0] if len(procedure.laterality) == 1 else ""
    if levels_offered(procedure):
        return Spot(only or side, tuple(levels), ())
    offered = regions_offered(procedure)
    meant = [region for region in touched(levels, regions) if region in offered]
    return Spot(only or side, (), tuple(meant) or (offered if len(offered) == 1 else tuple(regions)))


def aim_of(course: Course, pathway: Pathway, procedures: Mapping[str, Procedure], book: Rulebook) -> Aim:
    """Return what a course asks of the planner."""
    works = {}
    for step in pathway.steps:
        procedure = procedures.get(course.works.get(step.id, ""))
        if procedure is not None:
            works[step.id] = work_of(course, step, procedure, book)
    return Aim(
        works=works,
        since=course.since,
        is_staged=course.is_staged and course.side == "bilateral",
        first_side=course.first_side,
        most=course.most_sessions,
        not_before=course.not_before,
        not_after=course.not_after,
        gap_days=course.gap_days,
        trusted_until=course.trusted_until,
        wishes=frozenset(course.wishes),
        rationale=course.rationale,
    )


def work_of(course: Course | Terms, step: Step, procedure: Procedure, book: Rulebook) -> Wanted:
    """Return one step as it is wanted."""
    spot = spot_of(procedure, course.side, course.levels, course.regions)
    offer = book.offer(procedure)
    drug = course.drug if offer.steroid not in ("no", "") else ""
    where = touched(spot.levels, spot.regions)
    if not where and levels_offered(procedure):
        where = touched((), tuple(course.regions) or tuple(procedure.regions))  # no level is told: the part of the spine is
    told = Told(role=step.role, drug=drug, regions=where)
    return want(offer, book.offers, side=spot.side or "midline", levels=spot.levels, guidance=usual(procedure), told=told)
