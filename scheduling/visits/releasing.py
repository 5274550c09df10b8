"""Give back the time of a room, a physician or a device that a case no longer needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from scheduling import free_time
from scheduling.booking import taking
from scheduling.models import Allocation, Appointment, Leg

GRID = timedelta(minutes=5)
IN_THE_ROOM = {Leg.PROCEDURE, Leg.TURNOVER}


def release_rest(case: Appointment, own: Sequence[Allocation], at: datetime) -> int:
    """Shorten what stands for procedure and turnover to what is still needed; return how many allocations were cut.

    The caller holds the resources' locks, and the patient has left the room. The old allocation is released and a
    shorter one takes its place: allocations are never edited.
    """
    cut = []
    for one in own:
        if not one.legs or not set(one.legs) <= IN_THE_ROOM or not one.starts_at < at < one.ends_at:
            continue
        until = _next_mark(at) + _turnover(case, one)
        if until < one.ends_at:
            cut.append((one, until))
    if not cut:
        return 0
    taking.give_back([one for one, _ in cut], at)
    Allocation.objects.bulk_create(
        Allocation(
            resource_id=one.resource_id, site_id=one.site_id, appointment=case, kind=one.kind, legs=one.legs,
            starts_at=one.starts_at, ends_at=until, created_at=at,
        )
        for one, until in cut
    )  # fmt: skip
    free_time.rebuild({one.resource_id: {day for day, _ in taking.masks(one.starts_at, one.ends_at)} for one, _ in cut})
    return len(cut)


def _turnover(case: Appointment, one: Allocation) -> timedelta:
    if Leg.TURNOVER not in one.legs:
        return timedelta()
    return timedelta(minutes=case.procedure.turnover_minutes + one.resource.extra_turnover_minutes)


def _next_mark(at: datetime) -> datetime:
    """Return the 5-minute mark at or after this instant."""
    past = (at - datetime(1970, 1, 1, tzinfo=UTC)) % GRID
    return at if not past else at + GRID - past
