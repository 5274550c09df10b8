"""One named start: what it would take, or everything that stands in its way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.catalogue import needs_under
from procedures.guidance import in_sentence, usual
from procedures.models import Procedure
from procedures.rules import Finding, structural
from scheduling.availability import Demand, Question, Unit, Window, search
from scheduling.intervals import SLOT, ones
from scheduling.models import Allocation, Appointment, Kind, Resource
from scheduling.openings.planning import plans_of
from scheduling.openings.reading import Stock, read_hindrances, read_stock
from scheduling.openings.words import AS_USUAL, Asked, Fit, Options, frame_of, round_up

_DAY = timedelta(days=1)


def fit(
    *,
    procedure: Procedure,
    starts_at: datetime,
    site: Site,
    at: datetime,
    units: Collection[int] | None = None,
    patient: Patient | None = None,
    moving: Appointment | None = None,
    options: Options = AS_USUAL,
) -> Fit:
    """Return what one named start would take, or every structural finding against it.

    `units` are the resources wanted: a need for which some of them would do takes those, every other need chooses
    from its pool. The appointment in `moving` neither hinders its patient nor its own resources' hours. Time that a
    block keeps is used only when there is no other; booking then finds `in_block`, which a reason lifts.
    """
    window = Window(starts_at, starts_at + SLOT, arrives_from=round_up(at))
    frame = frame_of(procedure, window, at)
    asked = Asked(procedure, options, at, site.pk, None, None, frozenset(units or ()))
    needs = needs_under(procedure, options.guidance)
    stock = read_stock(asked, needs, frame)
    if moving is not None:
        stock.give_back(moving, frame)
    blocked, busy = read_hindrances(asked, needs, frame, patient, moving)
    question = Question(frame, plans_of(asked, needs, stock, blocked, frame), window, patient_busy=busy, limit=1)
    is_on_mark = starts_at == round_up(starts_at)
    far = starts_at >= at + timedelta(days=settings.BOOKING_HORIZON_DAYS)
    openings = search(question) if is_on_mark and not far else ()
    if not openings and blocked:  # block time is a finding that a reason lifts: say what would be taken in spite of it
        question = replace(question, plans=plans_of(asked, needs, stock, [], frame))
        openings = search(question) if is_on_mark and not far else ()
    if openings:
        return Fit(openings[0], (), stock.units)
    return Fit(None, against(asked, site, starts_at, question, stock, is_on_mark, far), stock.units)


def against(
    asked: Asked,
    site: Site,
    starts_at: datetime,
    question: Question,
    stock: Stock,
    is_on_mark: bool,
    far: bool,
) -> tuple[Finding, ...]:
    """Return every structural finding against one named start that does not fit."""
    found: list[Finding] = []
    if not is_on_mark:
        found.append(structural("not_on_mark", "Times are multiples of five minutes."))
    if far:
        horizon = settings.BOOKING_HORIZON_DAYS
        found.append(structural("too_far_ahead", f"Bookings open {horizon} days ahead."))
    if starts_at - timedelta(minutes=asked.procedure.prep_minutes) < asked.at:
        found.append(structural("in_the_past", "The patient would have had to arrive before now. Choose a later time."))
    if question.patient_busy:
        stay = timedelta(minutes=asked.procedure.stay_minutes)
        first = question.frame.slot_after(starts_at - timedelta(minutes=asked.procedure.prep_minutes))
        if question.patient_busy & ones(first, first + -(-stay // SLOT)):
            found.append(structural("patient_elsewhere", "The patient has another case at that time."))
    strangers = sorted(set(asked.wanted) - set(stock.rows))
    for unit in Resource.objects.filter(pk__in=strangers).order_by("pk"):
        if unit.kind == Kind.PHYSICIAN:
            text = f"{unit.name} does not hold the privilege for {asked.procedure.name}."
            found.append(structural("not_privileged", text, about=str(unit.pk)))
        else:
            found.append(structural("resource_unfit", f"{unit.name} does not serve this procedure there.", about=str(unit.pk)))
    if not question.plans:
        guidance = asked.options.guidance
        under = f" under {in_sentence(guidance)}" if guidance and guidance != usual(asked.procedure) else ""
        text = f"Nobody asked for holds the privilege for {asked.procedure.name}{under} at {site.name}."
        found.append(structural("not_privileged", text))
    found += _lacking(site, starts_at, question)
    return tuple(found)


def _lacking(site: Site, starts_at: datetime, question: Question) -> list[Finding]:
    """Say of each demand that nobody can serve at this start whether its units are taken or not at work."""
    instant = question.frame.instant
    served: set[str] = set()
    lacking: dict[str, tuple[Demand, datetime, datetime]] = {}
    for plan in question.plans:
        arrival = question.frame.slot_after(starts_at) - plan.prep
        for demand in plan.demands:
            if sum(_is_free(unit, demand, arrival) for unit in demand.candidates) >= demand.count:
                served.add(demand.key)
            else:
                needed_from, needed_until = arrival + demand.runs[0][0], arrival + sum(demand.runs[-1])
                lacking[demand.key] = (demand, instant(needed_from), instant(needed_until))
    lacking = {key: lack for key, lack in lacking.items() if key not in served}
    allocations = Allocation.objects.filter(
        resource__in={unit.id for demand, _, _ in lacking.values() for unit in demand.candidates},
        released_at=None,
        starts_at__lt=starts_at + _DAY,
        ends_at__gt=starts_at - _DAY,
    ).values_list("resource_id", "starts_at", "ends_at")
    taken = list(allocations) if lacking else []
    return [_lack(site, demand, begins, ends, taken) for demand, begins, ends in lacking.values()]


def _lack(
    site: Site, demand: Demand, begins_at: datetime, ends_at: datetime, taken: Sequence[tuple[int, datetime, datetime]]
) -> Finding:
    units = {unit.id: unit.label for unit in demand.candidates}
    if not units:
        return structural("resource_unfit", f"{site.name} has no {demand.label}.", about=demand.key)
    if any(unit in units and starts < ends_at and ends > begins_at for unit, starts, ends in taken):
        only = next(iter(units.values())) if len(units) == 1 else ""
        text = f"{only} is taken at that time." if only else f"No {demand.label} is free at that time."
        return structural("taken", text, about=demand.key)
    return structural("outside_hours", f"No {demand.label} works at {site.name} then.", about=demand.key)


def _is_free(unit: Unit, demand: Demand, arrival: int) -> bool:
    wanted = 0  # the frame begins with the day of the arrival: no slot lies before it
    for offset, length in demand.runs_of(unit):
        wanted |= ones(arrival + offset, arrival + offset + length)
    return unit.free & wanted == wanted
