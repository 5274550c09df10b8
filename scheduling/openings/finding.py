"""The first openings over a horizon, or why there are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from django.conf import settings

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.catalogue import needs_under
from procedures.guidance import in_sentence, usual
from procedures.models import Procedure, ProcedureNeed
from scheduling.availability import Explanation, Frame, Known, Opening, Question, Relaxation, Window, explain, open_dates, search
from scheduling.intervals import SLOT_MINUTES
from scheduling.models import Appointment, Kind, Resource
from scheduling.openings.planning import plans_of
from scheduling.openings.reading import LATER_DAYS, Blocked, Pair, Stock, read_hindrances, read_stock
from scheduling.openings.words import AS_USUAL, Asked, OpeningsFound, Options, frame_of, window_of


@dataclass(frozen=True, slots=True)
class Look:
    """What was read for one procedure and a window, to be asked as often as one likes without another statement."""

    question: Question
    asked: Asked
    needs: Sequence[ProcedureNeed]
    stock: Stock
    blocked: Sequence[Blocked]
    _known: Known = field(default_factory=dict)  # what was worked out of the plans, which all that is asked has in common

    def dates(self) -> tuple[date, ...]:
        """Return the local dates on which the procedure could start, without naming who and what."""
        return open_dates(self.question, self._known)

    def between(
        self, earliest: datetime, latest: datetime, *, grid_minutes: int, per_day: int, limit: int
    ) -> tuple[Opening, ...]:
        """Return openings of a part of the window."""
        window = self.question.window
        part = replace(window, earliest=max(earliest, window.earliest), latest=min(latest, window.latest))
        asked = replace(self.question, window=part, grid_slots=grid_minutes // SLOT_MINUTES, per_day=per_day, limit=limit)
        return search(asked, self._known)

    def why_none(self, site: Site | None, physician: Resource | None) -> Explanation:
        """Say why there are no openings in the whole window; this reads what the question left out."""
        changes, everything = relaxations(self.asked, self.needs, self.question, self.stock, self.blocked)
        explanation = explain(self.question, changes)
        if not self.question.plans:
            explanation = replace(explanation, text=_why_nobody(self.asked, physician, site, everything))
        return explanation

    def answer(self, openings: tuple[Opening, ...], explanation: Explanation | None = None) -> OpeningsFound:
        """Return openings with the names of what they speak of."""
        return OpeningsFound(openings, explanation, self.stock.units, self.stock.sites)


def look(
    *,
    procedure: Procedure,
    at: datetime,
    earliest: datetime | None = None,
    latest: datetime | None = None,
    site: Site | None = None,
    sites: Collection[int] | None = None,
    physician: Resource | None = None,
    weekdays: Iterable[int] = (),
    part_of_day: tuple[time, time] | None = None,
    patient: Patient | None = None,
    moving: Appointment | None = None,
    options: Options = AS_USUAL,
) -> Look:
    """Read what a search for openings rests on, in at most 4 queries; the arguments are those of `find_openings`."""
    window = window_of(at, earliest, latest, frozenset(weekdays), part_of_day)
    frame = frame_of(procedure, window, at)
    asked = Asked(procedure, options, at, site.pk if site else None, sites, physician.pk if physician else None)
    needs = needs_under(procedure, options.guidance)
    stock = read_stock(asked, needs, frame)
    if moving is not None:
        stock.give_back(moving, frame)
    blocked, busy = read_hindrances(asked, needs, frame, patient, moving)
    question = Question(frame, plans_of(asked, needs, stock, blocked, frame), window, patient_busy=busy)
    return Look(question, asked, needs, stock, blocked)


def find_openings(
    *,
    procedure: Procedure,
    at: datetime,
    earliest: datetime | None = None,
    latest: datetime | None = None,
    site: Site | None = None,
    sites: Collection[int] | None = None,
    physician: Resource | None = None,
    weekdays: Iterable[int] = (),
    part_of_day: tuple[time, time] | None = None,
    patient: Patient | None = None,
    moving: Appointment | None = None,
    options: Options = AS_USUAL,
    grid_minutes: int = SLOT_MINUTES,
    per_day: int | None = None,
    per_physician: bool = False,
    limit: int = 20,
    with_reasons: bool = True,
) -> OpeningsFound:
    """Return the first openings with `earliest <= starts_at < latest`, or why there are none, in at most 4 queries.

    `sites` are those the asker may see (none named: all); `moving` is an appointment whose own time counts neither
    against its patient nor against its people and things, which takes some more queries.
    """
    found = look(
        procedure=procedure, at=at, earliest=earliest, latest=latest, site=site, sites=sites, physician=physician,
        weekdays=weekdays, part_of_day=part_of_day, patient=patient, moving=moving, options=options,
    )  # fmt: skip
    question = replace(
        found.question, grid_slots=grid_minutes // SLOT_MINUTES, limit=limit, per_day=per_day, per_physician=per_physician
    )
    found = replace(found, question=question)
    openings = search(question)
    return found.answer(openings, found.why_none(site, physician) if not openings and with_reasons else None)


def relaxations(
    asked: Asked,
    needs: Sequence[ProcedureNeed],
    question: Question,
    stock: Stock,
    blocked: Sequence[Blocked],
) -> tuple[list[Relaxation], Stock]:
    """Return the single changes worth trying and what they rest on, from one more read of what the question left out.

    Another site or physician is worth it only where there is one.
    """
    window, frame = question.window, question.frame
    end = asked.at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    later_days = min(LATER_DAYS, max((end - window.latest).days, 0))
    wider = Frame(frame.first, frame.days + later_days)
    everything = stock
    if later_days or asked.site is not None or asked.physician is not None:
        everything = read_stock(asked.wider(), needs, frame, base=stock, later_days=later_days)

    def asking(changed: Asked, new_window: Window) -> Question:
        kept = {pair: bits for pair, bits in everything.free.items() if _is_asked(changed, pair, everything)}
        part = Stock(kept, everything.rows, everything.privileges, everything.sites)
        plans = plans_of(changed, needs, part, blocked, wider)
        return replace(question, frame=wider, plans=plans, window=new_window)

    found = []
    if asked.physician is not None and set(everything.privileges) - {asked.physician}:
        found.append(Relaxation("physician", "with another physician", asking(replace(asked, physician=None), window)))
    if asked.site is not None and set(everything.sites) - {asked.site}:  # one search less where there is no other
        found.append(Relaxation("site", "at another site", asking(replace(asked, site=None), window)))
    if window.weekdays:
        found.append(Relaxation("weekday", "on another weekday", asking(asked, replace(window, weekdays=frozenset()))))
    if window.part is not None:
        found.append(Relaxation("part_of_day", "at another time of day", asking(asked, replace(window, part=None))))
    if later_days:
        after = replace(window, earliest=window.latest, latest=window.latest + timedelta(days=later_days))
        found.append(Relaxation("later", "on a later date", asking(asked, after)))
    return found, everything


def _why_nobody(asked: Asked, physician: Resource | None, site: Site | None, everything: Stock) -> str:
    """Say why there is not one plan: who was named may not, or not in this way, or does not work there."""
    procedure, guidance = asked.procedure, asked.options.guidance or usual(asked.procedure)
    under = "" if guidance == usual(procedure) else f" under {in_sentence(guidance)}"
    if physician is None:
        where = f" at {site.name}" if site is not None else ""
        return f"Nobody{where} holds the privilege for {procedure.name}{under}."
    held = everything.privileges.get(physician.pk)
    if held is None:
        return f"{physician.name} does not hold the privilege for {procedure.name}."
    if held.modalities and guidance not in held.modalities:
        return f"{physician.name} does not hold the privilege for {procedure.name} under {in_sentence(guidance)}."
    return (
        f"{physician.name} has no hours at {site.name}." if site is not None else f"{physician.name} has no hours in this time."
    )


def _is_asked(asked: Asked, pair: Pair, stock: Stock) -> bool:
    if asked.site is not None and pair[1] != asked.site:
        return False
    return asked.physician is None or stock.rows[pair[0]][0].kind != Kind.PHYSICIAN or pair[0] == asked.physician
