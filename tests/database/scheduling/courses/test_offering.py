"""What the worklist offers stays fresh: an opening that somebody takes is gone at once and replaced at the next sweep."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from scheduling import booking, courses, openings
from scheduling.booking import SlotTaken, Target
from scheduling.courses import offering
from scheduling.models import FoundOpenings, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.factories import NOW, TODAY

LATER = NOW + timedelta(minutes=2)


def starts() -> list[str]:
    return [one["starts_at"] for one in FoundOpenings.objects.get().openings]


def take(ward: Ward, starts_at: str, *, at: datetime) -> None:
    """Let another patient be booked at an opening."""
    fit = openings.fit(
        procedure=ward.clinic.procedure, starts_at=datetime.fromisoformat(starts_at), site=ward.clinic.site, at=at
    ).opening
    assert fit is not None
    booking.book(
        patient=factories.patient(home=ward.clinic.site, last_name="Rival"), procedure=ward.clinic.procedure,
        target=Target("left"), opening=fit, by=ward.desk, at=at,
    )  # fmt: skip


def rows(ward: Ward) -> list[PlannedSession]:
    return list(PlannedSession.objects.filter(is_current=True).select_related("found"))


def test_an_opening_that_somebody_took_is_offered_no_more(ward: Ward) -> None:
    ward.start(since=TODAY)
    courses.refresh(at=NOW)
    before = starts()
    take(ward, before[0], at=LATER)
    (left,) = offering.still_free(rows(ward)).values()
    assert [one["starts_at"] for one in left] == before[1:]


def test_the_next_sweep_finds_another_however_fresh_the_others_are(ward: Ward) -> None:
    ward.start(since=TODAY)
    courses.refresh(at=NOW)
    before = starts()
    assert courses.refresh(at=LATER) == 0
    take(ward, before[0], at=LATER)
    assert courses.refresh(at=LATER + timedelta(seconds=30)) == 1
    after = starts()
    assert before[0] not in after
    assert len(after) == 3
    assert courses.refresh(at=LATER + timedelta(seconds=60)) == 0


def test_a_window_that_moved_is_looked_for_at_the_next_sweep(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    PlannedSession.objects.filter(pk=current(course).pk).update(planned_at=LATER)
    assert courses.refresh(at=LATER + timedelta(seconds=30)) == 1


def test_a_booking_elsewhere_touches_nothing_that_was_found(ward: Ward) -> None:
    ward.start(since=TODAY)
    courses.refresh(at=NOW)
    last = datetime.fromisoformat(starts()[-1]) + timedelta(days=1, hours=3)
    take(ward, last.isoformat(), at=LATER)
    assert offering.taken_since(LATER) == []
    assert courses.refresh(at=LATER + timedelta(seconds=30)) == 0


def test_an_opening_whose_things_are_out_of_use_is_no_longer_taken(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    opening, companion = courses.chosen(current(course), None, NOW)
    assert (opening.starts_at, companion) == (datetime.fromisoformat(starts()[0]), None)
    ward.clinic.c_arm.is_active = False
    ward.clinic.c_arm.save(update_fields=["is_active"])
    with pytest.raises(SlotTaken):
        courses.chosen(current(course), None, NOW)
