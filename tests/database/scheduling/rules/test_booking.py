"""The clinic's rules at booking and moving: what waits, what refuses, what is waived."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import (
    Condition,
    Medication,
    PerformedProcedure,
)
from procedures import rulebook
from procedures.models import RuleRow
from procedures.rules import Waiver
from scheduling import booking, rechecking, waiting
from scheduling.assessing import Details
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, Target
from scheduling.models import (
    Appointment,
    DeskTask,
    RuleOverride,
    Status,
    TaskKind,
)
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, IN_TWO_WEEKS, booked, put, said, settle, standing, tasks
from tests.factories import NOW, TODAY, SmallClinic, local


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
