"""Sessions on record under another role than they were booked in are listed, amended when asked, and left where people spoke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import amending
from patients.models import Amendment, FactChange, PerformedProcedure, SessionOutcome
from scheduling import visits
from scheduling.models import Appointment, CaseDetails, Status
from tests import factories
from tests.factories import SmallClinic

Complete = Callable[..., PerformedProcedure]


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


@pytest.fixture
def completed(clinic: SmallClinic, doctor: Actor) -> Complete:
    """Return a function that completes a case booked in a role, and makes its record say another as if it were old."""
    hours = iter(range(6, 20, 2))

    def make(
        code: str = "si_joint_ia", booked: str = "diagnostic", done: str = "", on_record: str = "", family: str = "si_injection"
    ) -> PerformedProcedure:
        procedure = factories.procedure(code=code, family=family, needs=())
        case = factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=procedure, side="left", status=Status.DISCHARGED,
            starts_at=factories.local(factories.TODAY, f"{next(hours)}:00"),
        )  # fmt: skip
        if booked:
            CaseDetails.objects.create(appointment=case, role=booked)
        said = visits.as_booked(case)
        visits.complete(
            appointment=case, done=replace(said, role=done or said.role), by=doctor, at=case.ends_at, reason="On paper"
        )
        rows = PerformedProcedure.objects.filter(appointment=case.public_id)
        if on_record:
            rows.update(role=on_record)
        return rows.get()

    return make


def run(*options: str) -> tuple[list[str], str]:
    out, err = StringIO(), StringIO()
    call_command("check_roles", *options, stdout=out, stderr=err)
    return out.getvalue().splitlines(), err.getvalue().strip()


def test_a_dry_run_lists_case_number_day_and_both_roles_and_changes_nothing(clinic: SmallClinic, completed: Complete) -> None:
    old = completed(on_record="therapeutic")
    completed(code="facet_ia_lumbar", family="facet_injection")
    events = AuditEvent.objects.count()

    lines, summary = run()

    where = f"{old.appointment} {clinic.patient.record_number} 2026-09-14 si_joint_ia"
    assert lines == [f"{where}: booked as diagnostic, on record as therapeutic"]
    assert summary == "1 sessions would be amended; 0 stay as they are."
    old.refresh_from_db()
    assert (old.role, old.version, Amendment.objects.count(), AuditEvent.objects.count()) == ("therapeutic", 1, 0, events)


def test_applied_each_is_amended_once_by_the_system_with_its_reason(clinic: SmallClinic, completed: Complete) -> None:
    old = completed(on_record="therapeutic")
    facts = FactChange.objects.count()

    lines, summary = run("--apply")

    assert (len(lines), summary) == (1, "1 sessions amended; 0 stay as they are.")
    old.refresh_from_db()
    assert (old.role, old.version) == ("diagnostic", 2)
    amendment = Amendment.objects.get()
    assert (amendment.changes, amendment.recorded_by, amendment.signed_at) == (
        [["Role", "therapeutic", "diagnostic"]],
        None,
        None,
    )
    assert amendment.reason.startswith("The case was booked as diagnostic;")
    event = AuditEvent.objects.get(act="patients.amend_performedprocedure")
    assert (event.actor_kind, event.actor_name, event.patient_id) == ("system", "check_roles", clinic.patient.public_id)
    history: Any = PerformedProcedure._meta.apps.get_model("patients", "PerformedProcedureEvent")
    assert set(history.objects.filter(pgh_obj=old.pk).values_list("role", flat=True)) == {"diagnostic", "therapeutic"}
    assert FactChange.objects.count() > facts  # the planner and coming cases are asked anew
    assert SessionOutcome.objects.filter(performed=old).exists()
    assert run("--apply") == ([], "0 sessions amended; 0 stay as they are.")


@pytest.mark.parametrize(("code", "family"), [("snrb", "esi"), ("si_lateral_branch_block", "si_injection")])
def test_a_block_of_which_nobody_said_the_role_has_its_usual_one(completed: Complete, code: str, family: str) -> None:
    old = completed(code=code, family=family, booked="", on_record="therapeutic")

    lines, _ = run("--apply")

    assert lines[0].endswith("booked as diagnostic (usual), on record as therapeutic")
    old.refresh_from_db()
    assert old.role == "diagnostic"
    assert "as is usual for it" in Amendment.objects.get().reason


def test_what_a_person_amended_since_stays(completed: Complete, doctor: Actor, at: datetime) -> None:
    old = completed(on_record="therapeutic")
    amending.amend(performed=old, changes={"side": "right"}, reason="Wrong side", by=doctor, at=at, version=1)

    lines, summary = run("--apply")

    assert lines[0].endswith("on record as therapeutic; stays: it was amended since")
    assert summary == "0 sessions amended; 1 stay as they are."
    old.refresh_from_db()
    assert (old.role, Amendment.objects.count()) == ("therapeutic", 1)


def test_what_is_amended_between_list_and_change_stays(completed: Complete, doctor: Actor, at: datetime) -> None:
    old = completed(on_record="therapeutic")
    [found] = visits.other_roles()
    amending.amend(performed=old, changes={"side": "right"}, reason="Wrong side", by=doctor, at=at, version=1)

    kept = visits.take_over(found=found, by=Actor.system("check_roles", amending.RECORD), at=at)

    assert (found.why_not, kept.why_not) == ("", "it was amended since")
    old.refresh_from_db()
    assert old.role == "therapeutic"


def test_what_the_physician_completed_otherwise_stays(completed: Complete) -> None:
    old = completed(done="therapeutic")

    lines, summary = run("--apply")

    assert lines[0].endswith("stays: the physician completed it so")
    assert summary == "0 sessions amended; 1 stay as they are."
    old.refresh_from_db()
    assert old.role == "therapeutic"


def test_agreeing_records_and_those_of_which_the_booking_said_nothing_are_not_listed(
    clinic: SmallClinic, completed: Complete, doctor: Actor, at: datetime
) -> None:
    completed()  # as booked
    completed(code="facet_ia_lumbar", family="facet_injection", booked="", done="therapeutic")  # somebody had to say
    another = completed(on_record="therapeutic", code="facet_ia_cervical", family="facet_injection")
    PerformedProcedure.objects.filter(pk=another.pk).update(procedure=clinic.procedure)  # another one was done
    wrong = completed(on_record="therapeutic", code="snrb", family="esi", booked="")
    PerformedProcedure.objects.filter(pk=wrong.pk).update(is_in_error=True, error_reason="Other patient")

    assert run() == ([], "0 sessions would be amended; 0 stay as they are.")


def test_many_sessions_are_listed_in_as_many_statements_as_one(completed: Complete) -> None:
    completed(on_record="therapeutic")
    with CaptureQueriesContext(connection) as one:
        assert len(list(visits.other_roles())) == 1
    for code in ("facet_ia_lumbar", "facet_ia_cervical", "snrb"):
        completed(code=code, family="facet_injection", on_record="therapeutic")
    with CaptureQueriesContext(connection) as many:
        assert len(list(visits.other_roles())) == 4
    assert (len(one), len(many)) == (len(many), len(one))


def test_cases_without_a_completion_are_passed_over(clinic: SmallClinic) -> None:
    case: Appointment = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, status=Status.DISCHARGED
    )
    CaseDetails.objects.create(appointment=case, role="diagnostic")

    assert list(visits.other_roles()) == []
