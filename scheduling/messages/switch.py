"""The stop switch, and the pace that all workers keep together."""

from __future__ import annotations

import time
from datetime import datetime

from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden
from scheduling.models import Dispatch


def stop(*, reason: str, by: Actor, at: datetime) -> Dispatch:
    """Stop all sending; what is due waits, and a mail being handed over at this moment still goes.

    Raises:
        Forbidden: the actor may not.
    """
    return _turn(is_stopped=True, reason=reason, by=by, at=at)


def resume(*, by: Actor, at: datetime) -> Dispatch:
    """Let mails leave again; what waited meanwhile is late, and late is due.

    Raises:
        Forbidden: the actor may not.
    """
    return _turn(is_stopped=False, reason="", by=by, at=at)


def want_plan(*, at: datetime) -> None:
    """Ask the worker to plan the messages of all cases anew."""
    Dispatch.objects.update_or_create(pk=Dispatch.ONLY, defaults={"plan_wanted_at": at})


def state() -> Dispatch:
    """Return the shared row as it is, or as it would be made."""
    return Dispatch.objects.select_related("stopped_by").filter(pk=Dispatch.ONLY).first() or Dispatch(pk=Dispatch.ONLY)


class Pace:
    """Moments at which one worker may send, taken from the common row a half second's worth at a time."""

    AHEAD = 0.5  # seconds

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._moments: list[float] = []

    def wait(self, more: int) -> float | None:
        """Return the next moment (of the monotonic clock), `more` being wanted after it; None while sending is stopped."""
        if not self._moments:
            count = max(1, min(more + 1, int(self.per_second * self.AHEAD)))
            wait = wait_before_next(self.per_second, count)
            if wait is None:
                return None
            first = time.monotonic() + wait
            self._moments = [first + place / self.per_second for place in range(count)]
        return self._moments.pop(0)


def wait_before_next(per_second: float, count: int = 1) -> float | None:
    """Take the next free moments to send and return the seconds until the first; None while sending is stopped.

    One row for all workers, so that two sweeps at once do not send twice as fast.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scheduling_dispatch (id, is_stopped, reason, next_at)
            VALUES (1, false, '', clock_timestamp() + make_interval(secs => %(pause)s))
            ON CONFLICT (id) DO UPDATE
            SET next_at = LEAST(GREATEST(scheduling_dispatch.next_at, clock_timestamp()),
                                clock_timestamp() + interval '5 seconds') + make_interval(secs => %(pause)s)
            WHERE NOT scheduling_dispatch.is_stopped
            RETURNING extract(epoch FROM next_at - clock_timestamp())::float8 - %(pause)s
            """,
            {"pause": count / per_second},
        )
        row = cursor.fetchone()
    return max(float(row[0]), 0.0) if row else None


def _turn(*, is_stopped: bool, reason: str, by: Actor, at: datetime) -> Dispatch:
    if not by.may("scheduling.manage_messages"):
        raise Forbidden("not_allowed", "You may not stop or resume sending.")
    with transaction.atomic():
        row, _ = Dispatch.objects.select_for_update().get_or_create(pk=Dispatch.ONLY)
        if row.is_stopped != is_stopped:
            row.is_stopped, row.reason = is_stopped, reason[:200]
            row.stopped_at, row.stopped_by_id = (at, by.user_id) if is_stopped else (None, None)
            row.save(update_fields=["is_stopped", "reason", "stopped_at", "stopped_by"])
            trail.record(by=by, act="scheduling.stop_messages" if is_stopped else "scheduling.resume_messages")
    return row
