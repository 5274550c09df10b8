"""Other times that a patient may choose: free for everything the case needs, allowed and covered without anybody's override."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict
from scheduling import booking, openings
from scheduling.assessing import RulesNotAsked, asking_of, covering, wish_of
from scheduling.availability import Opening
from scheduling.booking import staging
from scheduling.intervals import local_day
from scheduling.models import BEFORE_ARRIVAL, Allocation, Appointment, Kind, Resource

OFFERED = 3
LOOKED_AT = 8  # openings judged at most for one page
NOTICE = timedelta(hours=24)  # neither leaving nor taking a place at shorter notice: that goes by telephone
APART = timedelta(hours=2)  # what lies nearer to the present time is no other time
AHEAD = timedelta(days=60)
GRID = 15
HALVES = ((time(0), time(12)), (time(12), time(23, 59)))


def offers(*, appointment: Appointment, by: Actor, at: datetime) -> tuple[Opening, ...]:
    """Return up to three openings on different days, with the same physician at the same site, or none."""
    if appointment.status not in BEFORE_ARRIVAL or appointment.arrives_at < at + NOTICE:
        return ()
    zone = ZoneInfo(appointment.site.time_zone)
    try:
        with asking_of(appointment):
            wish = wish_of(appointment)
    except RulesNotAsked:
        return ()
    rules = covering(wish=wish, patient=appointment.patient, at=at, moving=appointment)
    first = rules.first((at + NOTICE).astimezone(zone).date())
    if first is None:
        return ()
    halves = [iter(found) for found in _free(appointment, first, at)]
    chosen: dict[date, Opening] = {}
    judged = 0
    while halves and len(chosen) < OFFERED and judged < LOOKED_AT:
        half = halves.pop(0)
        for opening in half:
            day = opening.starts_at.astimezone(zone).date()
            if day in chosen or abs(opening.starts_at - appointment.starts_at) < APART or rules.blocking(day):
                continue
            judged += 1
            if _is_allowed(appointment, opening, by, at):
                chosen[day] = opening
            halves.append(half)  # the other half of the day has its turn
            break
    return tuple(sorted(chosen.values(), key=lambda opening: opening.starts_at))


def place(*, appointment: Appointment, starts_at: datetime, units: Collection[int], at: datetime) -> Opening:
    """Return an offered opening as it can be taken now.

    Raises:
        SlotTaken: it is no longer free.
    """
    fit = openings.fit(
        procedure=appointment.procedure,
        starts_at=starts_at,
        site=appointment.site,
        at=at,
        units=units,
        patient=appointment.patient,
        moving=appointment,
        options=openings.Options(sedation=appointment.sedation, guidance=appointment.guidance),
    )
    if fit.opening is None:
        raise booking.SlotTaken
    return fit.opening


def _free(appointment: Appointment, first: date, at: datetime) -> list[Sequence[Opening]]:
    """Return the first free mornings and afternoons from a day on: who asks for another time may need the other half of it."""
    physician = _physician_of(appointment)
    earliest = max(at + NOTICE, local_day(first, ZoneInfo(appointment.site.time_zone)).starts_at)
    if earliest >= at + AHEAD:
        return []
    return [
        openings.find_openings(
            procedure=appointment.procedure,
            at=at,
            earliest=earliest,
            latest=at + AHEAD,
            site=appointment.site,
            physician=physician,
            patient=appointment.patient,
            moving=appointment,
            options=openings.Options(sedation=appointment.sedation, guidance=appointment.guidance),
            part_of_day=half,
            grid_minutes=GRID,
            per_day=1,
            limit=LOOKED_AT,
            with_reasons=False,
        ).openings
        for half in HALVES
    ]


def _is_allowed(appointment: Appointment, opening: Opening, by: Actor, at: datetime) -> bool:
    """Say whether the case could be moved there with nothing to waive; a place being changed just now counts as taken."""
    try:
        findings = booking.preview(
            patient=appointment.patient,
            procedure=appointment.procedure,
            target=staging.target_of(appointment),
            opening=opening,
            by=by,
            at=at,
            appointment=appointment,
        )
    except (Conflict, RulesNotAsked):
        return False
    return not any(finding.refuses for finding in findings)


def _physician_of(appointment: Appointment) -> Resource | None:
    row = (
        Allocation.objects.filter(appointment=appointment, kind=Kind.PHYSICIAN, released_at=None)
        .select_related("resource")
        .order_by("pk")
        .first()
    )
    return row.resource if row is not None else None
