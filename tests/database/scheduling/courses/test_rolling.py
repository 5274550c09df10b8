"""A window that only a lead time holds moves on with the days, and is not written for that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from patients.models import Medication
from scheduling import courses, worklist
from scheduling.courses import planning, rolling
from scheduling.models import Course, PlannedSession
from tests import factories
from tests.database.scheduling.courses.conftest import Ward, current
from tests.database.scheduling.courses.test_planning import changes
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
TERMS = courses.Terms("esi_as_needed", {"epidural": "esi_il_lumbar"}, side="midline", levels=("L4-L5",))


@pytest.fixture
def course(ward: Ward) -> Course:
    """Return a course whose only bar is a blood thinner that is still taken."""
    Medication.objects.create(patient=ward.patient, recorded_at=NOW, kind="antithrombotic", drug="apixaban", name="Apixaban")
    return ward.start(TERMS, since=TODAY)


def night(number: int) -> planning.Tally:
    return courses.plan_all(at=NOW + number * DAY)


def test_the_window_moves_with_the_days_and_is_written_once(course: Course) -> None:
    first = current(course)
    assert first.blocked_by
    assert first.earliest is not None
    assert first.earliest > TODAY
    lead = first.earliest - TODAY
    assert night(0).changed == 0
    assert night(1).changed == 1  # what moves is written down as such
    written = changes(course)
    assert [night(number).changed for number in range(2, 9)] == [0] * 7
    assert changes(course) == written
    row = rolling.shown(current(course), TODAY + 8 * DAY)
    assert row.earliest == TODAY + 8 * DAY + lead
    assert f"still taken on {TODAY + 8 * DAY}" in row.blocked_by[0]


def test_the_worklist_never_calls_it_overdue(ward: Ward, course: Course) -> None:
    night(1)
    user = factories.user(role="desk", sites=(ward.clinic.site,))
    for ahead in (2, 60, 200):
        tabs = {
            tab: worklist.listed(user=user, today=TODAY + ahead * DAY, tab=tab).count() for tab in ("book", "overdue", "later")
        }
        assert tabs == {"book": 1, "overdue": 0, "later": 0}


def test_a_change_in_between_is_written_as_such(ward: Ward, course: Course) -> None:
    night(1)
    Medication.objects.update(stopped_on=TODAY - 40 * DAY, last_dose_at=NOW - 40 * DAY)
    assert night(2).changed == 1
    row = current(course)
    assert (row.rolls, row.rolls_from) == ([], None)
    assert night(3).changed == 0


def test_dates_that_move_otherwise_than_the_days_are_no_lead_time() -> None:
    row = PlannedSession(earliest=TODAY, ideal=TODAY, latest=TODAY, blocked_by=["from 2026-09-14"], conditions=[], reasons=[])
    values = {"earliest": TODAY + 2 * DAY, "ideal": TODAY, "latest": TODAY, "conditions": [], "reasons": [], "for_what": ""}
    assert rolling.rolled(row, TODAY, {**values, "blocked_by": ["from 2026-09-16"]}, TODAY + 2 * DAY) == {
        "blocked_by": ["from {day+0}"], "conditions": [], "reasons": [], "for_what": "", "rolls": ["earliest"],
        "rolls_from": TODAY + 2 * DAY,
    }  # fmt: skip
    for told in ("until 2026-09-16", "from 2026-09-15", "from 2026-09-16 to 2026-09-17"):
        assert rolling.rolled(row, TODAY, {**values, "blocked_by": [told]}, TODAY + 2 * DAY) is None
    assert rolling.rolled(row, TODAY, {**values, "earliest": TODAY + DAY, "blocked_by": []}, TODAY + 2 * DAY) is None


def test_what_is_said_otherwise_or_by_more_lines_is_no_lead_time() -> None:
    said = {"latest": None, "ideal": TODAY, "conditions": [], "reasons": ["since 2026-08-01, from 2026-09-14"], "for_what": "now"}
    row = PlannedSession(earliest=TODAY, blocked_by=[], **said)
    values = said | {"earliest": TODAY + DAY, "blocked_by": [], "reasons": ["since 2026-08-01, from 2026-09-15"]}
    found = rolling.rolled(row, TODAY, values, TODAY + DAY)
    assert found is not None
    assert found["reasons"] == ["since 2026-08-01, from {day+0}"]  # only the date that moved moves on
    assert rolling.rolled(row, TODAY, values | {"blocked_by": ["One more"]}, TODAY + DAY) is None
    assert rolling.rolled(row, TODAY, values | {"for_what": "then"}, TODAY + DAY) is None
