"""From when on what is asked for is covered: beside the first free time, as a filter of times, and where a case may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures import levels as anatomy
from procedures.models import Procedure
from procedures.rules import Finding
from scheduling.agenda import words
from scheduling.agenda.shapes import BookPage, Line, OpeningLine
from scheduling.assessing import Covering, RulesNotAsked, Wish, asking_of, covering, wish_of
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.models import Appointment
from scheduling.openings import OpeningsFound
from scheduling.views import doors

NEVER = "Waiting alone does not help."
FREE = 3  # of the times before the first covered day, so many are shown besides


@dataclass(frozen=True, slots=True)
class Times:
    """Free times for a case that stands or stood, with what rules say of their days and from when on none is in the way."""

    lines: tuple[OpeningLine, ...] = ()
    told: str = ""
    against: tuple[Line, ...] = ()


class Asking(Protocol):
    """What the booking page knows of what is asked for."""

    by: Actor
    at: datetime
    sites: tuple[Site, ...]
    patient: Patient | None
    procedure: Procedure | None
    target: Target
    given: dict[str, Any]
    covering: Covering | None

    def problems(self, procedure: Procedure) -> list[Finding]:
        """Return what is missing or wrong about where and how."""


def covering_of(desk: Asking, found: OpeningsFound) -> Covering | None:
    """Return what rules say about dates, once it is known who, what and where; None before that or with nothing free."""
    if not found.openings or desk.patient is None or desk.procedure is None or desk.problems(desk.procedure):
        return None
    opening, target = found.openings[0], desk.target
    site = next((site for site in desk.sites if site.pk == opening.site), None)
    if site is None:
        return None
    wish = Wish(
        procedure=desk.procedure,
        site=site,
        starts_at=opening.starts_at,
        side=target.side,
        levels=tuple(target.levels),
        regions=anatomy.touched(target.levels, target.regions),
        guidance=target.guidance,
        sedation=target.sedation,
        details=target.details,
    )
    return covering(wish=wish, patient=desk.patient, at=desk.at)


def told(
    desk: Asking, page: BookPage, found: OpeningsFound, search: Callable[[date], OpeningsFound]
) -> tuple[BookPage, OpeningsFound]:
    """Say from when on no rule stands in the way; with the filter, leave out the times before it."""
    wanted = bool(desk.given.get("covered"))
    page = replace(page, only_covered=wanted)
    if desk.covering is None:
        return page, found
    free = desk.covering.wish.on
    bad = desk.covering.blocking(free)
    if not bad:
        return page, replace(found, openings=_fitting(desk, found)) if wanted else found
    first = desk.covering.first(free)
    page = replace(page, uncovered=tuple(doors.line_of(finding, desk.by, {}) for finding in bad))
    if first is None:
        return replace(page, covered=NEVER), replace(found, openings=()) if wanted else found
    later = search(first)
    fitting = _fitting(desk, later)
    if fitting:
        page = replace(page, first_covered=doors.offer(fitting[0], later.units, later.sites))
    page = replace(page, covered=from_when(free, first))
    return page, replace(later, openings=fitting) if wanted else found


def of_case(
    row: Appointment, found: OpeningsFound, *, by: Actor, at: datetime, search: Callable[[date], OpeningsFound] | None = None
) -> Times:
    """Return where a case may go, each time marked whose day a rule does not allow; two statements more than the search.

    With `search`, which looks again from a day on: where the first free day is not covered, the covered times follow it.
    """
    if not found.openings:
        return Times()
    zone = ZoneInfo(row.site.time_zone)
    try:
        with asking_of(row):
            wish = replace(wish_of(row), starts_at=found.openings[0].starts_at)
    except RulesNotAsked as error:
        return Times(
            tuple(replace(doors.offer(each, found.units, found.sites), worst="deny", line_count=1) for each in found.openings),
            error.message,
        )
    rules = covering(wish=wish, patient=row.patient, at=at, moving=row)
    bad, first = rules.blocking(wish.on), None
    shown, units, sites = found.openings, found.units, found.sites
    if bad and search is not None:
        first = rules.first(wish.on)
    if first is not None and search is not None:
        later = search(first)
        fitting = [each for each in later.openings if not rules.blocking(each.starts_at.astimezone(zone).date())]
        before = [each for each in shown if each.starts_at.astimezone(zone).date() < first][:FREE]
        shown, units, sites = (*before, *fitting), {**units, **later.units}, {**sites, **later.sites}
    lines = []
    for each in shown:
        against_it = rules.blocking(each.starts_at.astimezone(zone).date())
        mark: dict[str, Any] = {"worst": "deny", "line_count": len(against_it)} if against_it else {}
        lines.append(replace(doors.offer(each, units, sites), **mark))
    if not bad or search is None:
        return Times(tuple(lines))
    told = NEVER if first is None else from_when(wish.on, first)
    return Times(tuple(lines), told, tuple(doors.line_of(finding, by, {}) for finding in bad))


def from_when(free: date, first: date) -> str:
    """Say from when on it is covered, with the year where that is another one."""
    return f"Free on {words.short_day(free)}, covered from {words.short_day(first, free)}."


def against(desk: Asking, opening: Opening) -> dict[str, Any]:
    """Return the mark of an opening on whose day something is not allowed."""
    bad = desk.covering.blocking(_date(desk, opening)) if desk.covering is not None else ()
    return {"worst": "deny", "line_count": len(bad)} if bad else {}


def _fitting(desk: Asking, found: OpeningsFound) -> tuple[Opening, ...]:
    assert desk.covering is not None
    return tuple(each for each in found.openings if not desk.covering.blocking(_date(desk, each)))


def _date(desk: Asking, opening: Opening) -> date:
    zones = {site.pk: ZoneInfo(site.time_zone) for site in desk.sites}
    return opening.starts_at.astimezone(zones[opening.site]).date()
