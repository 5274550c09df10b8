"""The clinic's rules at booking and after it: what waits, what refuses, what is waived, and what is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from patients import records
from patients.models import (
    Asked,
    Clearance,
    Condition,
    Consent,
    Coverage,
    FactChange,
    LabResult,
    Medication,
    Patient,
    PerformedProcedure,
    Recorded,
)
from patients.records import FieldRefused
from procedures import rulebook, tables
from procedures.models import RuleRow
from procedures.rules import Waiver
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import booking, rechecking, waiting
from scheduling.assessing import Details
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, Target
from scheduling.models import (
    Appointment,
    AppointmentFinding,
    CaseDetails,
    DeskTask,
    RuleCheck,
    RuleOverride,
    Status,
    TaskKind,
)
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local

DAY = timedelta(days=1)
IN_TWO_WEEKS = TODAY + timedelta(days=14)
TOPICS = ("antithrombotics", "allergies", "conditions", "implants", "pregnancy", "infection", "vaccines", "glp1")


@cache
def files() -> Any:
    """Return the product's tables, read once for all tests."""
    return tables.read()


@pytest.fixture
def ruled(clinic: SmallClinic) -> SmallClinic:
    """Return the small clinic with the product's tables as its own; an epidural of intermediate bleeding class."""
    load_rules(files(), RuleReport())
    return clinic


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def physician(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


def put(model: type[Recorded], patient: Patient, /, **values: Any) -> Any:
    return model._default_manager.create(patient=patient, recorded_at=NOW, **values)


def ask_all(patient: Patient, on: date = TODAY) -> None:
    for topic in TOPICS:
        put(Asked, patient, topic=topic, asked_on=on)


def settle(clinic: SmallClinic, **coverage: Any) -> None:
    """Put on file everything that an ordinary case of the small clinic waits for."""
    ask_all(clinic.patient)
    put(Coverage, clinic.patient, **{"payer": "None", "payer_rules": "none", "plan_type": "self_pay", **coverage})
    put(Consent, clinic.patient, procedure=clinic.procedure, given_on=TODAY)


def booked(clinic: SmallClinic, by: Actor, on: date = IN_TWO_WEEKS, clock: str = "9:00", **values: Any) -> Appointment:
    start = local(on, clock)
    units = tuple(one.pk for one in clinic.resources)
    details = values.pop("details", Details(drug="none", has_driver=True))
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=Target(side="right", details=details), by=by, at=NOW,
        opening=Opening(start, start, start, start, clinic.site.pk, {"all": units}), **values,
    )  # fmt: skip


def said(case: Appointment) -> dict[str, str]:
    return dict(AppointmentFinding.objects.filter(appointment=case, gone_at=None).values_list("code", "severity"))


def standing(case: Appointment) -> set[str]:
    return set(AppointmentFinding.objects.filter(appointment=case, gone_at=None, stands=True).values_list("code", flat=True))


def tasks(case: Appointment) -> dict[str, DeskTask]:
    return {task.kind: task for task in DeskTask.objects.filter(appointment=case, done_at=None)}


# --- booking ---------------------------------------------------------------------------------------------------------


def test_patient_of_whom_nothing_is_known_is_booked_and_every_unknown_becomes_a_task(ruled: SmallClinic, by: Actor) -> None:
    case = booked(ruled, by, details=Details())
    assert set(said(case).values()) <= {"pending", "info"}
    assert {kind: (task.role, task.due_at) for kind, task in tasks(case).items() if kind in waiting.READINESS} == {
        TaskKind.ASK: ("nurse", case.arrives_at - 7 * DAY),
        TaskKind.PAPERS: ("biller", case.arrives_at - 5 * DAY),
        TaskKind.CONSENT: ("physician", case.arrives_at),
        TaskKind.PLAN: ("physician", case.arrives_at - 2 * DAY),
    }
    assert "Nobody has asked yet about blood thinners." in tasks(case)[TaskKind.ASK].note
    opened = AuditEvent.objects.get(act="scheduling.open_tasks")
    assert (opened.subject_id, opened.details["kinds"]) == (case.public_id, ["ask", "consent", "papers", "plan"])


def test_what_is_found_out_at_short_notice_is_due_in_a_day_or_when_the_patient_comes(ruled: SmallClinic, by: Actor) -> None:
    soon = booked(ruled, by, TODAY + 3 * DAY)
    assert tasks(soon)[TaskKind.ASK].due_at == NOW + DAY
    today = booked(ruled, by, TODAY, "12:00")
    assert tasks(today)[TaskKind.ASK].due_at == today.arrives_at


def test_case_of_which_all_is_on_file_has_no_task_and_waits_for_nothing(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    case = booked(ruled, by)
    assert "pending" not in said(case).values()
    assert set(tasks(case)) <= {TaskKind.NO_EMAIL}


def test_known_bad_fact_refuses_the_desk_and_a_physician_goes_on_with_a_reason(
    ruled: SmallClinic, by: Actor, physician: Actor
) -> None:
    settle(ruled)
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    waiver = Waiver("active_infection", "clinical_judgement", "Healing, seen today.")
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by, waivers=[waiver])
    assert [(one.code, one.severity.value) for one in refusal.value.standing] == [("active_infection", "deny")]
    assert not Appointment.objects.exists()
    case = booked(ruled, physician, waivers=[waiver])
    override = RuleOverride.objects.get(appointment=case)
    assert (override.code, len(override.fingerprint), override.ended_at) == ("active_infection", 64, None)
    assert standing(case) == set()
    assert TaskKind.RULES not in tasks(case)


def test_hold_of_a_blood_thinner_refuses_inside_it_and_waits_for_clearance_beyond(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    hours = next(row for row in RuleRow.objects.get(row_id="apixaban").data["hold_before"].items() if row[0] == "intermediate")[1]
    assert hours["hours"] == 72
    with pytest.raises(RulesRefused) as refusal:  # still taken when it is booked: 72 hours end on Thursday at 7:00
        booked(ruled, by, TODAY + 2 * DAY, "16:00")
    assert [one.code for one in refusal.value.standing] == ["antithrombotic_hold"]
    assert refusal.value.standing[0].earliest == datetime(2026, 9, 17, 7, 0)
    case = booked(ruled, by, TODAY + 3 * DAY, "8:15")
    assert said(case)["antithrombotic_clearance:apixaban"] == "pending"
    assert tasks(case)[TaskKind.CLEARANCE].role == "nurse"


def test_payers_limit_is_judged_by_the_date_of_service_and_says_when_it_fits(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled, payer_rules="medicare_multi_mac_2026", plan_type="original_medicare")
    for months in (1, 2, 3, 11):
        put(PerformedProcedure, ruled.patient, procedure=ruled.procedure, site=ruled.site, side="right", levels=["L4-L5"],
            done_on=IN_TWO_WEEKS - timedelta(days=30 * months))  # fmt: skip
    start = local(IN_TWO_WEEKS, "9:00")
    with pytest.raises(RulesRefused) as refusal:
        booking.book(
            patient=ruled.patient, procedure=ruled.procedure, by=by, at=NOW,
            target=Target(side="right", levels=("L4-L5",), details=Details(drug="none")),
            opening=Opening(start, start, start, start, ruled.site.pk, {"all": tuple(one.pk for one in ruled.resources)}),
        )  # fmt: skip
    caps = {one.code: one for one in refusal.value.standing}
    assert (caps["mcr_esi_cap"].facts["counted"], caps["mcr_esi_cap"].facts["limit"]) == (4, 4)
    oldest = IN_TWO_WEEKS - timedelta(days=330)
    assert caps["mcr_esi_cap"].earliest == date(oldest.year + 1, oldest.month, oldest.day)
    RuleRow.objects.filter(row_id="mcr_esi_cap").update(is_enabled=False)
    assert rulebook.book() is not None
    again = booking.preview(
        patient=ruled.patient, procedure=ruled.procedure, by=by, at=NOW,
        target=Target(side="right", levels=("L4-L5",), details=Details(drug="none")),
        opening=Opening(start, start, start, start, ruled.site.pk, {"all": tuple(one.pk for one in ruled.resources)}),
    )  # fmt: skip
    assert "mcr_esi_cap" not in {finding.code for finding in again}


def test_other_case_of_the_same_week_counts_and_one_on_record_as_performed_counts_once(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    first = booked(ruled, by, details=Details(drug="dexamethasone", dose_mg=None, has_driver=True))
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by, IN_TWO_WEEKS + 7 * DAY, details=Details(drug="dexamethasone", has_driver=True))
    assert {one.code for one in refusal.value.standing} == {"min_interval_steroid"}
    Appointment.objects.filter(pk=first.pk).update(status=Status.DISCHARGED)
    put(PerformedProcedure, ruled.patient, procedure=ruled.procedure, site=ruled.site, done_on=first.local_date, side="right",
        appointment=first.public_id)  # fmt: skip
    case = factories.appointment(
        of=ruled.patient, at_site=ruled.site, for_procedure=ruled.procedure, starts_at=local(IN_TWO_WEEKS + 28 * DAY, "9:00"),
        side="right",
    )  # fmt: skip
    later = local(IN_TWO_WEEKS + DAY, "7:00")
    findings, _ = rechecking.judge_cases([_whole(case)], later)[case.pk](())
    total = next(finding for finding in findings if finding.code == "cumulative_general")
    assert total.facts["sessions"].count(first.local_date.isoformat()) == 1


def _whole(case: Appointment) -> Appointment:
    return Appointment.objects.select_related(*rechecking.JOINED).get(pk=case.pk)


# --- moving ----------------------------------------------------------------------------------------------------------


def test_move_asks_again_and_what_was_waived_at_the_old_place_counts_no_more(
    ruled: SmallClinic, by: Actor, physician: Actor
) -> None:
    settle(ruled)
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    waiver = Waiver("active_infection", "clinical_judgement", "Healing.")
    case = booked(ruled, physician, waivers=[waiver])
    start = local(IN_TWO_WEEKS + DAY, "9:00")
    place = Opening(start, start, start, start, ruled.site.pk, {"all": tuple(one.pk for one in ruled.resources)})
    with pytest.raises(RulesRefused):
        booking.reschedule(appointment=case, opening=place, by=physician, at=NOW)
    moved = booking.reschedule(appointment=case, opening=place, by=physician, at=NOW + DAY, waivers=[waiver])
    assert list(RuleOverride.objects.filter(appointment=moved).order_by("pk").values_list("ended_at", flat=True)) == [
        NOW + DAY, None,
    ]  # fmt: skip


def test_due_days_follow_a_case_that_is_moved(ruled: SmallClinic, by: Actor) -> None:
    case = booked(ruled, by)
    start = local(IN_TWO_WEEKS + 7 * DAY, "9:00")
    place = Opening(start, start, start, start, ruled.site.pk, {"all": tuple(one.pk for one in ruled.resources)})
    moved = booking.reschedule(appointment=case, opening=place, by=by, at=NOW)
    assert tasks(moved)[TaskKind.ASK].due_at == moved.arrives_at - 7 * DAY
    assert DeskTask.objects.filter(appointment=moved, kind=TaskKind.ASK).count() == 1


def test_cancelled_case_waits_for_nothing(ruled: SmallClinic, by: Actor) -> None:
    case = booked(ruled, by)
    booking.cancel(appointment=case, reason="patient_ill", asked_by="patient", by=by, at=NOW)
    assert not set(tasks(case)) & set(waiting.READINESS)


# --- a fact changes --------------------------------------------------------------------------------------------------


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


# --- every night -----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(ruled: SmallClinic) -> Callable[[int], list[Appointment]]:
    """Return a function that books so many cases of people of whom nothing is known."""

    def make(count: int) -> list[Appointment]:
        return [
            factories.appointment(
                of=factories.patient(home=ruled.site, last_name=f"Person {number}"), for_procedure=ruled.procedure, side="right",
                at_site=ruled.site, starts_at=local(IN_TWO_WEEKS, "9:00") + timedelta(hours=number),
            )
            for number in range(count)
        ]  # fmt: skip

    return make


def test_night_asks_about_every_coming_case_in_batches_and_goes_on_after_a_stop(
    many: Callable[[int], list[Appointment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechecking, "BATCH", 2)
    cases = many(5)
    factories.appointment(status=Status.CANCELLED)
    ticks: Iterator[datetime] = (NOW + timedelta(minutes=number) for number in range(100))
    first = rechecking.check_all(at=NOW, budget=timedelta(seconds=90), now=lambda: next(ticks))
    assert first == rechecking.Asked(4, 4)
    run = RuleCheck.objects.get()
    assert (run.because, run.cursor, run.seen, run.done_at) == ("night", cases[3].pk, 4, None)
    assert rechecking.check_all(at=NOW) == rechecking.Asked(1, 1)
    run.refresh_from_db()
    assert (run.seen, run.changed, run.done_at) == (5, 5, NOW)
    assert all(said(case) for case in cases)
    # Once a night; the next one finds nothing new to say.
    assert rechecking.check_all(at=NOW + timedelta(hours=1)) == rechecking.Asked()
    assert rechecking.check_all(at=NOW + DAY) == rechecking.Asked(5, 0)


def test_changed_rule_is_asked_about_before_the_night(many: Callable[[int], list[Appointment]]) -> None:
    (case,) = many(1)
    rechecking.check_all(at=NOW)
    assert said(case)["active_infection:not yet asked"] == "pending"
    RuleRow.objects.filter(row_id="active_infection").update(is_enabled=False)
    assert rechecking.check_all(at=NOW) == rechecking.Asked(1, 1)
    assert "active_infection:not yet asked" not in said(case)
    assert [run.because for run in RuleCheck.objects.order_by("pk")] == ["night", "rules"]


def test_as_many_statements_for_three_cases_as_for_one(many: Callable[[int], list[Appointment]]) -> None:
    def statements(cases: list[Appointment]) -> int:
        with CaptureQueriesContext(connection) as asked:
            rechecking.recheck([case.patient_id for case in cases], at=NOW)
        return len([one for one in asked.captured_queries if "SAVEPOINT" not in one["sql"]])

    cases = many(4)
    rechecking.recheck([case.patient_id for case in cases], at=NOW)
    assert statements(cases[:1]) == statements(cases[1:]) == 7


def test_unusable_rule_stops_the_booking_for_all_but_a_physician_and_says_which(
    ruled: SmallClinic, by: Actor, physician: Actor
) -> None:
    settle(ruled)
    row = RuleRow.objects.get(row_id="mcr_esi_cap")
    row.data = row.data | {"params": {"max_sessions": "four"}}
    row.save(update_fields=["data"])
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by)
    assert refusal.value.standing[0].code == "rules_unreadable"
    assert "mcr_esi_cap" in refusal.value.standing[0].message
    booked(ruled, physician, waivers=[Waiver("rules_unreadable", "urgent", "Checked on paper.")])


def test_cases_that_are_over_have_their_tasks_closed_at_night(ruled: SmallClinic, by: Actor) -> None:
    case = booked(ruled, by)
    assert TaskKind.ASK in tasks(case)
    rechecking.check_all(at=case.leaves_at + DAY)
    assert not set(tasks(case)) & set(waiting.READINESS)
