"""The days on which a session could be: the pathway's own limit, and every rule in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from procedures.pathways.following import regions_of
from procedures.pathways.words import Aim, Book, Limit, Pathway
from procedures.rules.dates import DAY, as_date
from procedures.rules.earliest import at_date, blocks, earliest_covered
from procedures.rules.facts import Facts, Request, Session, Wanted
from procedures.rules.findings import Finding, Rule, assess
from procedures.rules.rows import latest

# How often the caps of the pathway and the rules may push each other on before the search gives up.
MOST_ROUNDS = 60


class Search:
    """The days on which a request would stand: the pathway's own limit, and every rule in force."""

    def __init__(self, pathway: Pathway, aim: Aim, book: Book, facts: Facts, on: date) -> None:
        self.pathway, self.aim, self.book, self.facts, self.on = pathway, aim, book, facts, on

    def first(self, from_: date) -> date | None:
        """Return the first day from one on on which nothing stands in the way; None when waiting alone never helps."""
        day = from_
        while True:  # it ends: the limit moves the day on at most once for each session that it counts
            fits = self.fits_from(day)
            covered = earliest_covered(self._rules, self.facts, fits, turns=self._turns)
            if covered is None or covered == fits:
                return covered
            day = covered

    def calm(self, from_: date) -> date | None:
        """Return the first day from one on that needs no reason either; None when that does not come by waiting."""
        day: date | None = from_
        for _ in range(MOST_ROUNDS):
            standing = [finding for finding in self.findings(day) if finding.refuses] if day is not None else []
            if not standing or day is None:
                return day
            waits = latest(as_date(one.earliest, self.facts.zone) if one.earliest else None for one in standing)
            if waits is None:
                return None
            day = self.first(max(waits, day + DAY))
        return None

    def last(self, from_: date, until: date) -> date:
        """Return the last day of a stretch on which nothing stands in the way; its first day is known to be such."""
        day = until
        while day > from_ and not self.is_free(day):
            day -= DAY
        return day

    def findings(self, day: date) -> tuple[Finding, ...]:
        """Return everything that the rules say about a day."""
        return assess(self._rules(day), at_date(self.facts, day), day)

    def held(self, day: date) -> tuple[str, ...]:
        """Return what stands in the way on a day."""
        told = [finding.message for finding in self.findings(day) if blocks(finding)]
        limit = self.pathway.limit
        if limit is not None and self.fits_from(day) != day:
            told.append(f"At most {limit.most} sessions in {limit.period} by the pathway.")
        return tuple(dict.fromkeys(told))

    def never(self, day: date) -> tuple[Finding, ...]:
        """Return what stands in the way and does not pass by waiting."""
        standing = [finding for finding in self.findings(day) if blocks(finding)]
        return tuple(finding for finding in standing if finding.earliest is None) or tuple(standing)

    def counted(self, day: date) -> tuple[int, int] | None:
        """Return how many sessions the pathway's own limit counts on a day, and of how many."""
        limit = self.pathway.limit
        if limit is None or not self._asks_for(limit):
            return None
        return len(self._counted(limit, day)), limit.most

    def is_free(self, day: date) -> bool:
        """Say whether nothing stands in the way on a day."""
        return self.fits_from(day) == day and not any(blocks(finding) for finding in self.findings(day))

    def is_calm(self, day: date) -> bool:
        """Say whether nothing asks for a reason on a day either."""
        return not any(finding.refuses for finding in self.findings(day))

    def _rules(self, day: date) -> Iterable[Rule]:
        return self.book.rules(self.facts, day)

    def _turns(self, day: date) -> Iterable[date]:
        return self.book.turning_points(at_date(self.facts, day), day)

    def _asks_for(self, limit: Limit) -> bool:
        return bool(self.facts.families & limit.families)

    def _days(self, limit: Limit) -> list[date]:
        wanted = self.facts.request.wanted[0]
        held = self.facts.of(limit.families)
        if limit.per == "region":
            held = tuple(session for session in held if regions_of(session) & regions_of(wanted))
        elif limit.per == "site":
            held = tuple(session for session in held if session.sites & wanted.sites)
        return sorted({session.on for session in held})

    def _counted(self, limit: Limit, day: date) -> list[date]:
        first = limit.period.before(day)
        return [on for on in self._days(limit) if first < on < day]

    def fits_from(self, day: date) -> date:
        """Return the first day from one on on which the pathway's limit leaves room."""
        limit = self.pathway.limit
        if limit is None or not self._asks_for(limit):
            return day
        days = self._days(limit)
        # What is booked later counts too: the window that holds it must not be filled up from below. When the last of
        # them has left the window there is room, since a limit is of one session or more. One date is one session, so
        # the date of one that counts anyway takes no more room.
        return next(
            candidate
            for candidate in sorted({day, *days, *(limit.period.left_on(on) for on in days)})
            if candidate >= day
            and all(
                sum(limit.period.before(end) < on <= end for on in {*days, candidate}) <= limit.most
                for end in (candidate, *(on for on in days if on > candidate))
            )
        )


def asking(facts: Facts, wanted: Wanted, on: date, aim: Aim, *, without: Sequence[Session]) -> Facts:
    """Return the facts with a request for this work, and without the bookings that it stands for."""
    pattern = facts.request
    request = Request(
        on, wanted.procedure, wanted.family, wanted.side, wanted.levels, None, pattern.sedation, guidance=wanted.guidance,
        regions=pattern.regions, several=(wanted,), place_of_service=pattern.place_of_service, state=pattern.state,
        has_driver=pattern.has_driver, intake=pattern.intake, premedication=pattern.premedication,
        rationale=aim.rationale or pattern.rationale, site_reason=pattern.site_reason,
        is_planned_series=pattern.is_planned_series,
    )  # fmt: skip
    sessions = tuple(session for session in facts.sessions if session not in without)
    return replace(facts, request=request, sessions=sessions)
