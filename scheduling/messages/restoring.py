"""After a restore from a back-up: what may have left before, by a database that is lost, does not leave again by itself."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from pain_clinic import clock
from pain_clinic.audit import sealing, trail
from scheduling.messages.words import ACTOR
from scheduling.models import Message, MessageState

log = structlog.get_logger("scheduling.messages")


def mind_a_restore() -> int:
    """Skip what was due while a database lived that is newer than this one; return how many messages.

    The file of the trail's heads lies outside the database and says until when that one was at work: every mail it sent
    is an event that it sealed within seconds. What was due later has not left.
    """
    until = sealing.known_beyond()
    return skip_due(until=until) if until is not None else 0


def skip_due(*, until: datetime) -> int:
    """Record what was due by then as not sent; the desk sees it and can send each again. Twice does nothing more."""
    with transaction.atomic():
        rows = Message.objects.filter(state=MessageState.DUE, due_at__lte=until)
        count = rows.update(
            state=MessageState.SKIPPED, reason="restored", done_at=clock.now(), lease_until=None, lease_token=None
        )
        if count:
            trail.record(by=ACTOR, act="scheduling.skip_after_restore", details={"messages": count, "until": until.isoformat()})
            log.warning("database restored: messages not sent", count=count)
    return count
