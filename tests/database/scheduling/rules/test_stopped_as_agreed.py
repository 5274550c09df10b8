"""A blood thinner whose agreed hold has begun: the patient is asked whether it was stopped, and the answer decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients import records
from patients.models import Asked, Clearance, Medication
from patients.records import MayNotRecord
from procedures.models import RuleRow
from scheduling import agenda, booking, clearing, holdplan, rechecking
from scheduling.booking import staging
from scheduling.models import Appointment, AppointmentFinding, DeskTask
from tests import factories
from tests.database.scheduling.rules.ruling import ask_all
from tests.factories import NOW, TODAY, SmallClinic, local

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SLOT = TODAY + 21 * DAY
LAST = local(SLOT - 3 * DAY, "10:00")  # 72 hours before
KEY = "antithrombotic_hold:apixaban"


@pytest.fixture
def case(ruled: SmallClinic, nurse: Actor) -> Appointment:
    """Return a case of somebody on apixaban whose prescriber agreed to the times of its slot."""
    type(ruled.procedure).objects.filter(pk=ruled.procedure.pk).update(bleeding_class="intermediate")
    ask_all(ruled.patient)
    given = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    records.record(kind=Medication, patient=ruled.patient, values=given, by=nurse, at=NOW)
    made = factories.appointment(
        of=ruled.patient, at_site=ruled.site, for_procedure=ruled.procedure, starts_at=local(SLOT, "10:00"),
        resources=ruled.resources, side="left",
    )  # fmt: skip
    agree(made, nurse)
    return made


def agree(case: Appointment, by: Actor, at: datetime = NOW) -> None:
    clearing.answer(appointment=case, drug="apixaban", is_agreed=True, answered_by="Dr. Heart", how="letter", by=by, at=at)


def night(case: Appointment, at: datetime) -> AppointmentFinding | None:
    """Ask the rules at a moment and return what they say of the hold."""
    rechecking.recheck([case.patient_id], at=at)
    return AppointmentFinding.objects.filter(appointment=case, gone_at=None, code=KEY).first()


def asking(case: Appointment) -> list[DeskTask]:
    return [task for task in DeskTask.objects.filter(appointment=case, kind="ask", done_at=None) if "Apixaban" in task.note]


def confirm(case: Appointment, by: Actor, told: datetime, at: datetime) -> Clearance:
    return clearing.confirm(appointment=case, drug="apixaban", told_last_at=told, by=by, at=at)


def test_nothing_is_said_until_the_last_dose_of_the_plan_has_passed_and_then_somebody_asks(case: Appointment) -> None:
    assert night(case, LAST) is None
    found = night(case, LAST + MINUTE)
    assert found is not None
    assert (found.severity, found.stands) == ("pending", False)
    assert "its prescriber agreed to a last dose by 2026-10-02 10:00" in found.message
    (task,) = asking(case)
    assert task.role == "nurse"
    assert task.due_at == max(case.arrives_at - DAY, LAST + MINUTE + DAY)
    assert "nobody has written down whether it was stopped then" in task.note


def test_what_nobody_answered_refuses_when_its_day_has_come(case: Appointment) -> None:
    night(case, LAST + MINUTE)
    due = asking(case)[0].due_at
    before, after = night(case, due - MINUTE), night(case, due)
    assert before is not None
    assert after is not None
    assert (before.stands, after.severity, after.stands) == (False, "deny", True)


def test_stopped_as_agreed_closes_the_task_and_nothing_stands(case: Appointment, nurse: Actor) -> None:
    night(case, LAST + MINUTE)
    confirm(case, nurse, LAST, LAST + DAY)
    assert night(case, LAST + DAY) is None
    assert asking(case) == []
    assert night(case, case.arrives_at - MINUTE) is None


def test_taken_once_more_refuses_with_the_moment_from_which_it_would_do(case: Appointment, nurse: Actor) -> None:
    night(case, LAST + MINUTE)
    confirm(case, nurse, LAST + MINUTE, LAST + DAY)
    found = night(case, LAST + DAY)
    assert found is not None
    assert (found.severity, found.stands, found.earliest) == ("deny", True, f"{SLOT}T10:01")
    confirm(case, nurse, LAST, LAST + DAY)  # written down wrongly: what is right counts
    assert night(case, LAST + DAY) is None


def test_a_dose_on_file_after_the_plan_refuses_whatever_was_agreed(case: Appointment, nurse: Actor) -> None:
    row = Medication.objects.get()
    records.amend_fact(row=row, changes={"last_dose_at": LAST + MINUTE}, by=nurse, at=LAST + DAY)
    found = night(case, LAST + DAY)
    assert found is not None
    assert (found.severity, found.stands) == ("deny", True)
    confirm(case, nurse, LAST, LAST + DAY)
    assert night(case, LAST + DAY) is not None  # the later dose counts
    records.amend_fact(row=row, changes={"last_dose_at": LAST}, by=nurse, at=LAST + DAY)
    assert night(case, LAST + DAY) is None


def test_a_plan_written_on_the_medicine_is_no_answer(case: Appointment, nurse: Actor) -> None:
    records.amend_fact(row=Medication.objects.get(), changes={"last_dose_at": LAST}, by=nurse, at=NOW)
    found = night(case, LAST + DAY)
    assert found is not None
    assert found.severity == "pending"


def test_without_the_prescribers_word_it_refuses_at_once(case: Appointment) -> None:
    Clearance.objects.update(answer="refused")
    found = night(case, LAST + MINUTE)
    assert found is not None
    assert (found.severity, found.stands) == ("deny", True)


def test_a_word_for_any_case_holds_nothing_that_somebody_could_have_stopped(case: Appointment) -> None:
    Clearance.objects.update(has_times=False, last_dose="", restart="", case=None)
    found = night(case, LAST + MINUTE)
    assert found is not None
    assert (found.severity, found.stands) == ("deny", True)


def test_an_answer_is_for_the_times_of_its_hold_and_no_others(case: Appointment, nurse: Actor) -> None:
    confirm(case, nurse, LAST, LAST + DAY)
    later = {name: getattr(case, name) + DAY for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    Appointment.objects.filter(pk=case.pk).update(**later)
    found = night(case, LAST + DAY + MINUTE)
    assert found is not None
    assert (found.severity, found.stands) == ("deny", True)
    agree(Appointment.objects.get(pk=case.pk), nurse, LAST + DAY + MINUTE)
    waiting = night(case, LAST + DAY + MINUTE)
    assert waiting is not None
    assert waiting.severity == "pending"


def test_nobody_is_asked_before_the_hold_has_begun_nor_for_a_dose_that_lies_ahead(case: Appointment, nurse: Actor) -> None:
    with pytest.raises(clearing.NothingToConfirm):
        confirm(case, nurse, LAST - DAY, LAST - MINUTE)
    with pytest.raises(clearing.DoseAhead):
        confirm(case, nurse, LAST + MINUTE, LAST)
    desk = Actor.of_user(factories.user(role="desk", sites=(case.site,)))
    with pytest.raises(MayNotRecord):
        confirm(case, desk, LAST, LAST)
    assert confirm(case, nurse, LAST, LAST).told_last_at == LAST


def test_page_and_api_take_the_patients_answer(
    case: Appointment, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None], ruled: SmallClinic
) -> None:
    url = f"/appointments/{case.public_id}/medicines/"
    stand_at(LAST - DAY)
    client = signed_in("nurse", ruled.site)
    assert b"Write down the last dose" not in client.get(url).content
    stand_at(LAST + MINUTE)
    client = signed_in("nurse", ruled.site)
    assert b"Write down the last dose" in client.get(url).content
    name = "apixaban-last-told_last_at"
    assert client.post(f"{url}apixaban/", {"act": "confirm", name: "never"}).status_code == 422
    ahead = client.post(f"{url}apixaban/", {"act": "confirm", name: f"{SLOT}T09:00"})
    assert (ahead.status_code, b"not a time ahead" in ahead.content) == (422, True)
    assert client.post(f"{url}apixaban/", {"act": "confirm", name: f"{SLOT - 3 * DAY}T10:00"}).status_code == 303
    assert Clearance.objects.get().told_last_at == LAST
    assert b"The patient says: last taken" in client.get(url).content
    api = f"/api/v1/appointments/{case.public_id}/medicines/"
    body: Any = {"told_last_at": (LAST - DAY).isoformat()}
    answer = client.post(f"{api}apixaban/last-dose/", body, content_type="application/json", headers={"If-Match": '"1"'})
    assert answer.status_code == 200
    (held,) = client.get(api).json()["medicines"]
    assert datetime.fromisoformat(held["told_last_at"]) == LAST - DAY
    assert datetime.fromisoformat(held["hold_begins_at"]) == LAST


def given_up(case: Appointment, how: str) -> None:
    """Let a case give up its time and come back to it."""
    desk = Actor.system("tests")
    if how == "cancelled":
        booking.cancel(appointment=case, reason="transport", asked_by="patient", by=desk, at=LAST + DAY)
        booking.reinstate(appointment=Appointment.objects.get(pk=case.pk), by=desk, at=LAST + DAY)
        return
    place = staging.old_place(case)
    for day, back in ((SLOT + DAY, False), (SLOT, True)):
        there = replace(place, starts_at=local(day, "10:00"))
        booking.reschedule(
            appointment=Appointment.objects.get(pk=case.pk), opening=place if back else there, by=desk, at=LAST + DAY
        )


@pytest.mark.parametrize("how", ["cancelled", "moved"])
def test_an_answer_ends_with_the_time_that_it_was_given_for(case: Appointment, nurse: Actor, how: str) -> None:
    night(case, LAST + MINUTE)
    confirm(case, nurse, LAST, LAST + DAY)
    assert night(case, LAST + DAY) is None

    given_up(case, how)

    assert Clearance.objects.get(answer="given").told_last_at is None
    found = night(case, LAST + DAY + MINUTE)  # the prescriber's word stands for this slot; the patient is asked anew
    assert found is not None
    assert found.severity == "pending"


def test_a_dose_planned_and_agreed_with_an_earlier_answer_is_no_contradiction(case: Appointment, nurse: Actor) -> None:
    records.amend_fact(row=Medication.objects.get(), changes={"last_dose_at": LAST}, by=nurse, at=NOW)
    assert night(case, LAST + DAY) is not None
    confirm(case, nurse, LAST - 12 * 60 * MINUTE, LAST + DAY)
    assert night(case, LAST + DAY) is None


@pytest.mark.parametrize(("told", "is_taken"), [(-121 * DAY, False), (-119 * DAY, True), (timedelta(0), True), (MINUTE, False)])
def test_an_answer_of_another_year_or_of_tomorrow_is_a_slip_of_the_pen(
    case: Appointment, nurse: Actor, told: timedelta, is_taken: bool
) -> None:
    at = LAST + DAY
    if is_taken:
        assert confirm(case, nurse, at + told, at).told_last_at == at + told
        return
    with pytest.raises(clearing.DoseAhead):
        confirm(case, nurse, at + told, at)
    assert Clearance.objects.get(answer="given").told_last_at is None


def test_a_late_patient_in_the_house_keeps_the_hold_that_was_agreed(case: Appointment, nurse: Actor) -> None:
    night(case, LAST + MINUTE)
    confirm(case, nurse, LAST, LAST + DAY)
    Appointment.objects.filter(pk=case.pk).update(status="preparing")
    late = case.starts_at + 5 * MINUTE
    found = rechecking.look(appointment=case, at=late).findings
    assert [one.key for one in found if one.code in ("antithrombotic_hold", "antithrombotic_clearance")] == []


def test_nothing_is_ready_for_the_patient_beside_a_medicine_that_the_table_does_not_know(case: Appointment, nurse: Actor) -> None:
    assert holdplan.plan_of(case=case, at=NOW).is_cleared
    RuleRow.objects.filter(row_id="clopidogrel").update(is_enabled=False)
    given = {"kind": "antithrombotic", "drug": "clopidogrel", "name": "Clopidogrel"}
    records.record(kind=Medication, patient=case.patient, values=given, by=nurse, at=NOW)
    found = holdplan.plan_of(case=case, at=NOW)
    assert (found.unknown, found.is_cleared) == (("clopidogrel",), False)


@pytest.mark.parametrize("told", [LAST, LAST + MINUTE], ids=["as agreed", "later"])
def test_what_a_patient_in_the_house_says_is_judged_at_once(case: Appointment, nurse: Actor, told: datetime) -> None:
    night(case, LAST + MINUTE)
    Appointment.objects.filter(pk=case.pk).update(status="arrived")
    at = case.starts_at + 5 * MINUTE  # late

    confirm(Appointment.objects.get(pk=case.pk), nurse, told, at)

    found = AppointmentFinding.objects.filter(appointment=case, gone_at=None, code=KEY).first()
    assert (found is None) if told == LAST else (found is not None and found.stands)
    assert asking(case) == []


def test_once_in_the_room_nothing_is_written_down_any_more(case: Appointment, nurse: Actor) -> None:
    Appointment.objects.filter(pk=case.pk).update(status="in_room")
    with pytest.raises(clearing.CaseOver):
        confirm(Appointment.objects.get(pk=case.pk), nurse, LAST, LAST + DAY)


def test_the_task_leads_to_the_blood_thinners_of_the_case_and_other_questions_to_the_record(
    case: Appointment, nurse: Actor
) -> None:
    night(case, LAST + MINUTE)
    thinners = f"/appointments/{case.public_id}/medicines/"
    person = User.objects.get(pk=nurse.user_id)

    def ways(kind: str, role: str = "nurse") -> list[tuple[list[str], list[str]]]:
        page = agenda.tasks(user=person, at=LAST + MINUTE, kind=kind, number="1", role=role)
        return [([way.label for way in row.ways], [way.value for way in row.ways]) for row in page.rows]

    assert ways("ask") == [(["Blood thinners for this case"], [thinners])]
    Asked.objects.filter(topic="vaccines").delete()
    Asked.objects.filter(topic="infection").delete()
    night(case, LAST + MINUTE)
    ((labels, _),) = ways("ask")
    assert sorted(labels) == ["Blood thinners for this case", "Record"]
    night(case, case.arrives_at - MINUTE)  # nobody asked in time: it stands, and is answered at the same place
    ((labels, addresses),) = ways("rules", "desk")
    assert (sorted(labels), addresses[0]) == (["Blood thinners for this case", "Rules and plan"], thinners)
