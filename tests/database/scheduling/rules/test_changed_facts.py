"""A fact changes: what is asked again of the cases that stand, and what was waived for other facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from patients import records
from patients.models import (
    Asked,
    Clearance,
    Condition,
    FactChange,
    LabResult,
    Medication,
)
from patients.records import FieldRefused
from procedures.rules import Waiver
from scheduling import booking, rechecking, waiting
from scheduling.assessing import Details
from scheduling.booking import RulesRefused
from scheduling.models import (
    CaseDetails,
    DeskTask,
    RuleOverride,
    TaskKind,
)
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, IN_TWO_WEEKS, booked, put, said, settle, standing, tasks
from tests.factories import NOW, TODAY, SmallClinic


def test_new_blood_thinner_puts_the_booked_case_on_the_list_and_its_clearance_takes_it_off(
    ruled: SmallClinic, by: Actor, nurse: Actor
) -> None:
    settle(ruled)
    case = booked(ruled, by, TODAY + 2 * DAY)
    assert not FactChange.objects.exists()
    values = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    taken = records.record(kind=Medication, patient=ruled.patient, values=values, by=nurse, at=NOW)
    assert rechecking.follow_changes(at=NOW) == rechecking.Asked(1, 1)
    assert standing(case) == {"antithrombotic_hold:apixaban"}
    assert set(tasks(case)) >= {TaskKind.RULES, TaskKind.CLEARANCE}
    assert not FactChange.objects.filter(done_at=None).exists()
    last = {"last_dose_at": NOW - 2 * DAY, "stopped_on": TODAY - 2 * DAY}
    records.amend_fact(row=taken, changes=last, by=nurse, at=NOW)
    cleared = {"medication": taken, "answer": "given", "answered_on": TODAY, "answered_by": "Dr. Vance", "case": case.public_id}
    records.record(kind=Clearance, patient=ruled.patient, values=cleared, by=nurse, at=NOW)
    rechecking.follow_changes(at=NOW)
    assert standing(case) == set()
    assert not set(tasks(case)) & set(waiting.READINESS)
    closed = DeskTask.objects.get(appointment=case, kind=TaskKind.RULES)
    assert (closed.outcome, closed.done_at) == ("not_needed", NOW)


@pytest.mark.parametrize(("answer", "pending"), [("refused", False), ("asked", True)])
def test_refused_clearance_refuses_and_one_asked_for_still_waits(
    ruled: SmallClinic, by: Actor, answer: str, pending: bool
) -> None:
    settle(ruled)
    taken = put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    case = booked(ruled, by)
    told = {"answered_on": TODAY, "answered_by": "Dr. Vance"} if answer == "refused" else {}
    put(Clearance, ruled.patient, medication=taken, answer=answer, **told)
    rechecking.recheck([ruled.patient.pk], at=NOW)
    assert said(case)["antithrombotic_clearance:apixaban"] == ("pending" if pending else "warn")
    assert ("antithrombotic_clearance:apixaban" in standing(case)) is not pending


def test_a_patient_without_a_coming_case_is_asked_nothing_about(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    case = booked(ruled, by)
    put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    before = said(case)
    assert rechecking.recheck([ruled.patient.pk], at=case.starts_at) == rechecking.Asked()
    assert said(case) == before


def test_waiver_holds_for_its_facts_and_no_others(ruled: SmallClinic, physician: Actor, nurse: Actor) -> None:
    settle(ruled)
    infected = put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    case = booked(ruled, physician, waivers=[Waiver("active_infection", "clinical_judgement", "Healing.")])
    records.record(kind=LabResult, patient=ruled.patient, values={"test": "inr", "value": 1, "taken_on": TODAY}, by=nurse, at=NOW)
    rechecking.follow_changes(at=NOW)
    assert standing(case) == set()  # the control: another fact leaves it alone
    records.amend_fact(row=infected, changes={"name": "Abscess"}, by=nurse, at=NOW)
    rechecking.follow_changes(at=NOW)
    assert standing(case) == {"active_infection"}
    assert RuleOverride.objects.get(appointment=case).ended_at == NOW
    rechecking.waive(
        appointment=case, waivers=[Waiver("active_infection", "clinical_judgement", "Drained, dry.")], by=physician, at=NOW
    )
    assert standing(case) == set()
    assert TaskKind.RULES not in tasks(case)
    assert RuleOverride.objects.filter(appointment=case, ended_at=None).count() == 1


def test_waiver_of_a_result_ends_with_another_result_of_that_test_alone(
    ruled: SmallClinic, physician: Actor, nurse: Actor
) -> None:
    settle(ruled)
    type(ruled.procedure).objects.filter(pk=ruled.procedure.pk).update(bleeding_class="intermediate")
    taken = put(Medication, ruled.patient, kind="antithrombotic", drug="warfarin", name="Warfarin", stopped_on=TODAY)
    put(Clearance, ruled.patient, medication=taken, answer="given", answered_on=TODAY, answered_by="Dr. Heart", how="fax")
    put(LabResult, ruled.patient, test="inr", value=2, taken_on=IN_TWO_WEEKS)
    case = booked(ruled, physician, waivers=[Waiver("antithrombotic_lab:warfarin", "clinical_judgement", "Seen.")])

    def after(**result: Any) -> set[str]:
        records.record(kind=LabResult, patient=ruled.patient, values=result, by=nurse, at=NOW)
        rechecking.follow_changes(at=NOW)
        return standing(case)

    assert after(test="glucose", value=300, taken_on=TODAY) == set()
    assert after(test="inr", value=4, taken_on=TODAY) == set()  # too old to be the one that counts
    assert after(test="inr", value=3, taken_on=IN_TWO_WEEKS) == {"antithrombotic_lab:warfarin"}


def test_waiving_a_booked_case_asks_for_reason_and_role(ruled: SmallClinic, by: Actor, physician: Actor) -> None:
    settle(ruled)
    case = booked(ruled, by)
    waiver = Waiver("active_infection", "clinical_judgement", "Healing.")
    with pytest.raises(rechecking.NothingToWaive):
        rechecking.waive(appointment=case, waivers=[waiver], by=physician, at=NOW)
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    for who, given in ((by, waiver), (physician, Waiver("active_infection", "", ""))):
        with pytest.raises(RulesRefused):
            rechecking.waive(appointment=case, waivers=[given], by=who, at=NOW)
    with pytest.raises(booking.Stale):
        rechecking.waive(appointment=case, waivers=[waiver], by=physician, at=NOW, version=case.version + 1)
    rechecking.waive(appointment=case, waivers=[waiver], by=physician, at=NOW, version=case.version)
    assert AuditEvent.objects.filter(act="scheduling.waive", subject_id=case.public_id).count() == 1


def test_deadline_turns_what_waits_into_what_refuses(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    Asked.objects.filter(topic="infection").update(is_in_error=True, error_reason="x")
    case = booked(ruled, by)
    key = "active_infection:not yet asked"
    due = case.arrives_at - 7 * DAY
    rechecking.recheck([ruled.patient.pk], at=due - timedelta(seconds=1))
    assert said(case)[key] == "pending"
    rechecking.recheck([ruled.patient.pk], at=due)
    assert (said(case)[key], standing(case) >= {key}) == ("deny", True)
    assert set(tasks(case)) >= {TaskKind.RULES, TaskKind.ASK}


def test_details_of_a_case_close_what_waited_for_them_at_once(ruled: SmallClinic, by: Actor, nurse: Actor) -> None:
    settle(ruled)
    case = booked(ruled, by, details=Details())
    assert TaskKind.PLAN in tasks(case)
    rechecking.plan_case(appointment=case, changes={"drug": "dexamethasone", "dose_mg": 10}, by=nurse, at=NOW)
    assert TaskKind.PLAN not in tasks(case)
    kept = CaseDetails.objects.get(appointment=case)
    assert (kept.drug, kept.dose_mg) == ("dexamethasone", 10)
    assert FactChange.objects.filter(kind="casedetails", done_at=None).count() == 1
    rechecking.plan_case(appointment=case, changes={"drug": "dexamethasone"}, by=nurse, at=NOW)  # nothing new is said
    assert FactChange.objects.count() == 1
    for changes in ({"drug": "sugar"}, {"drug": "none", "dose_mg": 4}, {"role": "curious"}):
        with pytest.raises(FieldRefused):
            rechecking.plan_case(appointment=case, changes=changes, by=nurse, at=NOW)
    biller = Actor.of_user(factories.user(role="biller", sites=(ruled.site,)))
    with pytest.raises(Forbidden):
        rechecking.plan_case(appointment=case, changes={"drug": "none"}, by=biller, at=NOW)
