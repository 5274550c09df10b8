"""Two physicians complete one case, or amend one procedure, at one moment: one does, the other is told. With controls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from django.db import connection

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import amending, records
from patients.models import Amendment, GivenDrug, PerformedProcedure
from patients.records import FactStale
from scheduling import visits
from scheduling.models import Appointment, Completion, PlanCause, Status
from scheduling.visits import completing
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local, together, transactional

pytestmark = transactional
RIVALS = 4
ONCE = {  # what makes a second completion impossible, whatever the code does
    "patients_performedprocedure": "patients_performedprocedure_appointment_key",
    "scheduling_completion": "scheduling_completion_pkey",
}


def doctors(clinic: SmallClinic, count: int) -> list[Actor]:
    return [Actor.of_user(factories.user(role="physician", sites=(clinic.site,))) for _ in range(count)]


def case_in_recovery(clinic: SmallClinic) -> Appointment:
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(TODAY, "9:00"),
        resources=clinic.resources, status=Status.RECOVERY, side="left",
    )  # fmt: skip


def completions(clinic: SmallClinic, case: Appointment) -> list[Callable[[], Completion]]:
    """Return the calls of physicians who all have the same page open."""
    booked = visits.as_booked(case)
    drug = visits.Given("steroid", "dexamethasone")

    def call(by: Actor) -> Callable[[], Completion]:
        done = visits.Done(**{**{name: getattr(booked, name) for name in booked.__slots__}, "drugs": (drug,)})
        return lambda: visits.complete(appointment=case, done=done, by=by, at=case.ends_at, version=1, reason="On paper")

    return [call(by) for by in doctors(clinic, RIVALS)]


@contextmanager
def without_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the locks away, and let every rival have looked before one writes."""
    everyone_looked = threading.Barrier(RIVALS)
    look = completing._must_be_open

    def look_and_wait(case: Appointment) -> None:
        look(case)
        everyone_looked.wait(30)

    def read(case: Appointment, version: int | None) -> Appointment:
        return Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)

    with monkeypatch.context() as patched:
        patched.setattr(completing, "_must_be_open", look_and_wait)
        patched.setattr(completing.staging, "lock_patients", lambda *_: None)
        patched.setattr(completing.staging, "lock_resources", lambda *_: None)
        patched.setattr(completing.staging, "locked_case", read)
        yield


@contextmanager
def without_constraints() -> Iterator[None]:
    """Take away what PostgreSQL says last."""
    taken: list[tuple[str, str, str]] = []
    with connection.cursor() as cursor:
        for table, name in ONCE.items():
            cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name])
            taken.append((table, name, cursor.fetchone()[0]))
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute("SELECT pg_get_indexdef('plancause_completed_once_per_case'::regclass)")
        index = cursor.fetchone()[0]
        cursor.execute("DROP INDEX plancause_completed_once_per_case")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE patients_performedprocedure, scheduling_completion, scheduling_plancause CASCADE")
            for table, name, definition in taken:
                cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            cursor.execute(index)


def whole(case: Appointment) -> bool:
    """Say whether exactly one completion is there, with all that belongs to it and nothing twice."""
    counts = (
        Completion.objects.filter(appointment=case).count(),
        PerformedProcedure.objects.filter(appointment=case.public_id).count(),
        GivenDrug.objects.count(), PlanCause.objects.filter(kind="completed").count(),
        AuditEvent.objects.filter(act="scheduling.complete", outcome="done").count(),
    )  # fmt: skip
    return counts == (1, 1, 1, 1, 1)


def test_of_several_who_complete_one_case_one_does_and_the_others_are_told() -> None:
    clinic = factories.small_clinic()
    case = case_in_recovery(clinic)

    answers = together(*completions(clinic, case))

    won = [answer for answer in answers if isinstance(answer, Completion)]
    codes = {getattr(answer, "code", repr(answer)) for answer in answers if answer not in won}
    assert len(won) == 1
    assert codes <= {"stale", "already_completed", "busy"}
    assert whole(case)


def test_without_locks_the_database_still_keeps_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    case = case_in_recovery(clinic)
    calls = completions(clinic, case)
    with without_locks(monkeypatch):
        answers = together(*calls)

    won = [answer for answer in answers if isinstance(answer, Completion)]
    assert len(won) == 1
    assert {getattr(answer, "code", repr(answer)) for answer in answers if answer not in won} <= {"already_completed", "busy"}
    assert whole(case)


def test_control_without_locks_and_constraints_a_case_is_completed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    case = case_in_recovery(clinic)
    calls = completions(clinic, case)
    with without_constraints(), without_locks(monkeypatch):
        together(*calls)
        assert PerformedProcedure.objects.filter(appointment=case.public_id).count() > 1
        assert not whole(case)


def amendments(clinic: SmallClinic) -> tuple[PerformedProcedure, list[Callable[[], Amendment]]]:
    """Return a performed procedure and the calls of two who each amend another field of the same version."""
    people = doctors(clinic, 2)
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 1), "side": "left", "sedation": "none"}
    row = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=people[0], at=NOW)

    def call(by: Actor, changes: dict[str, Any]) -> Callable[[], Amendment]:
        return lambda: amending.amend(performed=row, changes=changes, reason="Was otherwise", by=by, at=NOW, version=1)

    # As two forms send it: each whole, with one field changed.
    return row, [
        call(people[0], {"side": "right", "sedation": "none"}),
        call(people[1], {"side": "left", "sedation": "minimal"}),
    ]


def test_of_two_amendments_of_one_version_one_stands_and_the_other_is_told() -> None:
    clinic = factories.small_clinic()
    for _ in range(5):
        row, calls = amendments(clinic)
        answers = together(*calls)

        won = [answer for answer in answers if isinstance(answer, Amendment)]
        lost = [answer for answer in answers if isinstance(answer, FactStale)]
        assert (len(won), len(lost)) == (1, 1), answers
        row.refresh_from_db()
        assert row.version == 2
        assert (row.side, row.sedation) in {("right", "none"), ("left", "minimal")}
        assert Amendment.objects.filter(performed=row).count() == 1


def test_control_without_the_lock_both_amend_and_one_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = factories.small_clinic()
    row, calls = amendments(clinic)
    both_looked = threading.Barrier(2)

    def look_and_wait(performed: PerformedProcedure) -> PerformedProcedure:
        found = PerformedProcedure.objects.get(pk=performed.pk)
        both_looked.wait(30)
        return found

    monkeypatch.setattr(amending, "_locked", look_and_wait)
    answers = together(*calls)

    assert all(isinstance(answer, Amendment) for answer in answers), answers
    row.refresh_from_db()
    assert (row.side, row.sedation) != ("right", "minimal")  # the first one's change is gone, and nobody was told
