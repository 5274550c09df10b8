"""Workers plan at once: each cause is acted on once, no plan is lost or written twice; and what happens without the lock."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import PerformedProcedure
from scheduling import courses
from scheduling.courses import Terms, planning
from scheduling.models import Course, PlanCause, PlannedSession, PlanRun
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, together, transactional

pytestmark = transactional
DAY = timedelta(days=1)
COURSES = 12


def begun(clinic: SmallClinic) -> list[Course]:
    """Return courses whose first session has been done since, each with a cause."""
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    procedure = factories.procedure(family="tpi", needs=())
    terms = Terms("tpi_series", {"trigger_points": procedure.code}, side="left")
    found = []
    for number in range(COURSES):
        patient = factories.patient(home=clinic.site, last_name=f"Person{number}")
        found.append(courses.start(patient=patient, site=clinic.site, terms=terms, by=doctor, at=NOW, since=TODAY - 9 * DAY))
        PerformedProcedure.objects.create(
            patient=patient, recorded_at=NOW, procedure=procedure, done_on=TODAY - DAY, site=clinic.site, side="left"
        )
        PlanCause.objects.create(patient=patient, kind="completed", at=NOW)
    return found


def writings() -> int:
    """Return how many rows of plans the row history saw written."""
    history: Any = apps.get_model("scheduling", "PlannedSessionEvent")
    return int(history.objects.count())


def test_workers_at_once_act_on_each_cause_once(clinic: SmallClinic) -> None:
    found = begun(clinic)
    before = writings()
    tallies = together(*[lambda: courses.sweep(at=NOW)] * 4)
    assert not [one for one in tallies if isinstance(one, BaseException)]
    assert PlanCause.objects.filter(done_at=None).count() == 0
    assert sum(one.changed for one in tallies if isinstance(one, planning.Tally)) == COURSES
    # Of each course the first row retired and the second was made: two writings, no third.
    assert writings() - before == 2 * COURSES
    for course in found:
        rows = PlannedSession.objects.filter(course=course).order_by("number").values_list("number", "is_current")
        assert list(rows) == [(1, False), (2, True)]


def test_without_the_claim_the_same_cause_is_acted_on_more_than_once(
    clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: causes that are read and not claimed are planned by every worker."""
    begun(clinic)
    meeting, mine = threading.Barrier(4), threading.local()

    def unclaimed(*, at: Any, limit: int = 200) -> planning.Tally | None:
        causes = list(PlanCause.objects.filter(done_at=None))
        if not getattr(mine, "has_met", False):  # all have read before the first one writes
            mine.has_met = True
            with suppress(threading.BrokenBarrierError):
                meeting.wait(30)
        if not causes:
            return None
        with transaction.atomic():
            keys = list(Course.objects.order_by("pk").values_list("pk", flat=True))
            tally = courses.plan(keys, at=at)
            PlanCause.objects.filter(pk__in=[one.pk for one in causes]).update(done_at=at)
        return tally

    monkeypatch.setattr(planning, "sweep_some", unclaimed)
    tallies = together(*[lambda: courses.sweep(at=NOW)] * 4)
    assert sum(one.planned for one in tallies if isinstance(one, planning.Tally)) > COURSES


def test_two_workers_share_a_night_and_plan_no_course_twice(clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(clinic)
    before = writings()
    monkeypatch.setattr(planning, "BATCH", 3)
    together(*[lambda: courses.plan_nights(at=NOW)] * 3)
    courses.plan_nights(at=NOW)  # whoever found the run in other hands has left it to them
    run = PlanRun.objects.get()
    assert (run.planned, run.changed, run.finished_at is not None) == (COURSES, COURSES, True)
    assert writings() - before == 2 * COURSES
    assert AuditEvent.objects.filter(act="scheduling.plan_courses", details__changed__gt=3).count() == 0
