"""A worker that plans courses and books from the worklist is killed at random moments: no course planned twice, none lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connections

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import DomainError
from patients.models import PerformedProcedure
from scheduling import courses, free_time
from scheduling.courses import Terms, planning
from scheduling.models import Appointment, Course, Kind, PlanCause, PlannedSession
from scheduling.openings import find_openings
from tests import factories
from tests.concurrency.test_one_slot import overlaps
from tests.factories import NOW, TODAY, transactional

KILLS = 100 if os.environ.get("CLINIC_FULL") else 5
COURSES = 4 * KILLS
DAY = timedelta(days=1)


@pytest.mark.timeout(1800)
@transactional
def test_a_worker_killed_while_it_plans_and_books_loses_no_course_and_plans_none_twice() -> None:
    clinic = factories.small_clinic()
    procedure = factories.procedure(family="tpi", needs=(("room", "", ("procedure",)),), prep_minutes=0, recovery_minutes=0)
    for number in range(2, 6):
        factories.weekly_hours(of=factories.resource(kind=Kind.ROOM, at_site=clinic.site, name=f"Room {number}"))
    factories.privilege(of=clinic.physician, for_procedure=procedure)
    factories.build_free_time(at=NOW)
    doctor = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    terms = Terms("tpi_series", {"trigger_points": procedure.code}, side="left")
    for number in range(COURSES):
        patient = factories.patient(home=clinic.site, last_name=f"Person{number}")
        courses.start(patient=patient, site=clinic.site, terms=terms, by=doctor, at=NOW, since=TODAY - 9 * DAY)
        if number % 2:  # done since: what is planned now is no longer so
            PerformedProcedure.objects.create(
                patient=patient, recorded_at=NOW, procedure=procedure, done_on=TODAY - DAY, site=clinic.site, side="left"
            )
        PlanCause.objects.create(patient=patient, kind="fact", at=NOW)

    def work(seed: int) -> None:
        """Plan a little and book a little, again and again, as a worker and a desk do."""
        dice = random.Random(seed)  # a test's dice
        while True:
            planned = planning.sweep_some(at=NOW, limit=2)
            rows = PlannedSession.objects.filter(is_current=True, state="proposed", appointment=None).select_related(
                "course__patient"
            )
            row = rows.order_by("pk")[dice.randrange(rows.count())] if rows.count() else None
            if row is None and planned is None:
                return
            if row is None:
                continue
            found = find_openings(procedure=procedure, at=NOW, earliest=NOW + dice.randrange(1, 30) * DAY, limit=1).openings
            try:
                courses.book_next(planned=row, opening=found[0], by=doctor, at=NOW)
            except DomainError:  # somebody else's, or planned anew meanwhile: the next round looks again
                continue

    context = multiprocessing.get_context("fork")
    dice, killed = random.Random(7), 0
    for number in range(KILLS * 4):
        connections.close_all()  # nobody shares a connection
        process = context.Process(target=work, args=(number,), daemon=True)
        process.start()
        time.sleep(dice.uniform(0.02, 0.5))
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join(10)
        if killed == KILLS:
            break
    connections.close_all()
    work(-1)  # the last one ends by itself

    booked = Appointment.objects.count()
    print(f"\n{killed} kills, {COURSES} courses, {booked} booked")
    assert killed >= KILLS // 2
    assert PlanCause.objects.filter(done_at=None).count() == 0
    assert Course.objects.filter(failures__gt=0).count() == 0
    for course in Course.objects.order_by("pk"):
        rows = list(PlannedSession.objects.filter(course=course).order_by("number"))
        assert [row.is_current for row in rows] == [False] * (len(rows) - 1) + [True]
        was_done = PerformedProcedure.objects.filter(patient=course.patient).exists()
        assert (rows[-1].number, rows[-1].state) == ((2, "waiting") if was_done else (1, "proposed"))
    # What was booked before the worker knew that it was done stays booked; nobody has two.
    plans = PlannedSession.objects.filter(appointment__isnull=False).values_list("appointment", flat=True)
    assert len(set(plans)) == len(list(plans))
    assert Appointment.objects.values("patient").distinct().count() == booked >= COURSES // 2
    assert overlaps() == 0
    assert free_time.check(at=NOW) == ()
    history = apps.get_model("scheduling", "PlannedSessionEvent").objects.filter(number=2, pgh_label="insert")
    assert history.count() == PlannedSession.objects.filter(number=2).count()
