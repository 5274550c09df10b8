"""What is due is claimed once, confirmations first, and claimed again when it was never finished."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduling import messages
from scheduling.models import Message
from tests.database.scheduling.messages.office import CHANGE, Recorder, case, changed, laid, swept
from tests.factories import NOW


def test_claim_takes_confirmations_first_and_nothing_twice(db: None, set_clock: Any) -> None:
    moved = case()
    laid(moved)
    swept(Recorder())
    change = laid(changed(moved), CHANGE, at=NOW - timedelta(hours=1))
    confirmation = laid(case())

    assert [claim.message_id for claim in messages.claim_due()] == [confirmation.pk, change.pk]
    assert messages.claim_due() == ()


def test_claim_counts_what_is_late_as_due_and_leaves_what_is_to_come(db: None, set_clock: Any) -> None:
    late, exact, early = laid(case()), laid(case()), laid(case())
    Message.objects.filter(pk=late.pk).update(due_at=NOW - timedelta(hours=3))
    Message.objects.filter(pk=early.pk).update(due_at=NOW + timedelta(minutes=5))

    assert [claim.message_id for claim in messages.claim_due()] == [late.pk, exact.pk]
    set_clock(NOW + timedelta(minutes=5, seconds=1))
    assert early.pk in [claim.message_id for claim in messages.claim_due()]


def test_claim_takes_at_most_the_limit(db: None, set_clock: Any) -> None:
    for _ in range(3):
        laid(case())

    assert [len(messages.claim_due(limit=2)), len(messages.claim_due(limit=2))] == [2, 1]


@pytest.mark.parametrize(("after", "count"), [(23, 0), (26, 1)])
def test_claim_takes_again_what_was_never_finished(db: None, set_clock: Any, after: int, count: int) -> None:
    laid(case())
    messages.claim_due()

    set_clock(NOW + timedelta(seconds=after))

    assert len(messages.claim_due()) == count
