"""What the worklist offers after one of a patient's courses was booked holds: nothing that booking would refuse is shown."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from procedures.models import Procedure
from scheduling import booking, bulk, courses
from scheduling.courses import offering
from scheduling.courses.choosing import chosen
from scheduling.courses.fulfilling import what
from scheduling.models import Course, FoundOpenings, PlannedSession
from scheduling.worklist import rows_of
from scheduling.worklist.rows import joined
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.database.scheduling.courses.test_siblings import EPIDURAL, JOINT
from tests.factories import NOW, TODAY

SOON = NOW + timedelta(seconds=20)


def listed(course: Course) -> PlannedSession:
    return next(row for row in joined(PlannedSession.objects.filter(is_current=True)) if row.course_id == course.pk)


def press(ward: Ward, course: Course, place: int, *, in_bulk: bool) -> None:
    """Book a course at one of the openings found for it, the row by itself or in a bulk."""
    row = listed(course)
    packed = FoundOpenings.objects.get(planned=row).openings[place]
    if in_bulk:
        (result,) = bulk.book(wanted=[bulk.Wanted(row, packed)], key="k" * 20, by=ward.desk, at=SOON)
        assert result.refusal is None
    else:
        opening, _ = chosen(row, datetime.fromisoformat(packed["starts_at"]), SOON)
        courses.book_next(planned=row, opening=opening, by=ward.desk, at=SOON)


@pytest.mark.parametrize("in_bulk", [False, True])
def test_once_another_than_the_first_is_booked_the_other_course_offers_only_what_can_be_booked(
    ward: Ward, *, in_bulk: bool
) -> None:
    factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code="si_joint_ia"))
    factories.build_free_time(at=NOW)
    first, other = ward.start(EPIDURAL, since=TODAY), ward.start(JOINT, since=TODAY)
    courses.refresh(at=NOW)
    assert offering.still_free([listed(other)])[listed(other).pk]
    press(ward, first, -1, in_bulk=in_bulk)
    (row,) = rows_of([listed(other)], by=ward.desk, today=TODAY)
    assert (row.openings, row.is_searched) == ((), False)  # looked for again, and the row says so
    assert courses.refresh(at=SOON + timedelta(seconds=30)) >= 1
    (row,) = rows_of([listed(other)], by=ward.desk, today=TODAY)
    assert len(row.openings) == 3
    for place in range(3):
        opening, _ = chosen(listed(other), datetime.fromisoformat(row.openings[place].value), SOON)
        procedure, target = what(listed(other), other, listed(other).procedure, listed(other).side)
        found = booking.preview(
            patient=ward.patient, procedure=procedure, target=target, opening=opening, by=ward.desk, at=SOON
        )  # fmt: skip
        assert [one.key for one in found if one.refuses] == []


def test_a_course_that_shares_no_rule_offers_no_time_at_which_the_patient_is_elsewhere(ward: Ward) -> None:
    """Its plan does not change, and other people and things are meant: only the patient cannot be in two places."""
    factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code="si_joint_ia"))
    factories.build_free_time(at=NOW)
    first, other = ward.start(FACET, since=TODAY), ward.start(JOINT, since=TODAY)
    courses.refresh(at=NOW)
    there = FoundOpenings.objects.get(planned=current(first)).openings[1]
    somebody = factories.resource(kind="physician", at_site=ward.clinic.site, name="Dr. Else")
    at_once = {**there, "units": {"physician": [somebody.pk]}}
    FoundOpenings.objects.filter(planned=current(other)).update(openings=[at_once])
    before = current(other).planned_at
    assert offering.still_free([listed(other)]) == {current(other).pk: [at_once]}
    press(ward, first, 1, in_bulk=False)
    assert current(other).planned_at == before
    assert offering.still_free([listed(other)]) == {current(other).pk: []}
    assert current(other).pk in offering.taken_since(SOON)
    assert courses.refresh(at=SOON + timedelta(seconds=30)) >= 1
    assert FoundOpenings.objects.get(planned=current(other)).openings != [at_once]
    assert current(other).pk not in offering.taken_since(SOON + timedelta(seconds=30))


def test_a_case_of_somebody_else_leaves_what_was_found_for_a_patient(ward: Ward) -> None:
    one = ward.start(FACET, since=TODAY)
    rival = ward.start(FACET, since=TODAY, patient=factories.patient(home=ward.clinic.site, last_name="Rival"))
    courses.refresh(at=NOW)
    openings = FoundOpenings.objects.get(planned=current(one)).openings
    press(ward, rival, 0, in_bulk=False)
    theirs = FoundOpenings.objects.get(planned__course=rival).openings[0]
    assert offering.still_free([listed(one)])[current(one).pk] == [
        opening for opening in openings if opening["starts_at"] != theirs["starts_at"]
    ]
