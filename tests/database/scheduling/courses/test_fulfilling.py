"""What is planned has its openings found ahead, under every rule, and is booked from them in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pytest

from pain_clinic.errors import Forbidden
from patients.models import Authorization, Coverage, Presentation
from procedures.models import Procedure
from scheduling import booking, courses, openings
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, SlotTaken, Target
from scheduling.booking.pairs import RemovalNeeded
from scheduling.courses import BeforeWindow, CourseNotRunning, NothingPlanned, RemovalMissing, Terms, TermsRefused
from scheduling.models import Allocation, Appointment, Course, FoundOpenings, Kind
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NEW_YORK, NOW, TODAY, local

DAY = timedelta(days=1)


def opened(ward: Ward, found: dict[str, object]) -> Opening:
    """Return an opening that was packed for the list, as booking takes it."""
    units = {unit for pks in found["units"].values() for unit in pks}  # type: ignore[attr-defined]
    procedure = Procedure.objects.get(code=found["code"]) if "code" in found else Procedure.objects.get(code="mbb_lumbar")
    fit = openings.fit(
        procedure=procedure, starts_at=datetime.fromisoformat(str(found["starts_at"])), site=ward.clinic.site, at=NOW, units=units
    )
    assert fit.opening is not None, fit.findings
    return fit.opening


def days(course: Course) -> list[date]:
    found = FoundOpenings.objects.get(planned=current(course))
    return [datetime.fromisoformat(one["starts_at"]).astimezone(NEW_YORK).date() for one in found.openings]


# --- finding ahead ---------------------------------------------------------------------------------------------------


def test_the_three_openings_nearest_to_the_ideal_day_are_found(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    assert courses.refresh(at=NOW) == 1
    ideal = current(course).ideal
    assert ideal == TODAY + 7 * DAY  # a Monday
    assert days(course) == [ideal, ideal + DAY, ideal + 2 * DAY]
    told = FoundOpenings.objects.get().openings[0]
    assert (told["physician"], told["room"]) == ("Dr. Adler", "Room 1")
    assert courses.refresh(at=NOW + timedelta(minutes=5)) == 0
    assert courses.refresh(at=NOW + timedelta(minutes=11)) == 1


def test_only_days_on_which_no_rule_denies_are_offered(ward: Ward) -> None:
    plan = Coverage.objects.create(
        patient=ward.patient,
        recorded_at=NOW,
        payer="Medicare",
        payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )
    assert plan.pk
    # Four epidurals within a year: the oldest leaves it in the middle of the window.
    for ago in (352, 260, 180, 95):
        done = ward.done("esi_tf_lumbar", TODAY - ago * DAY, levels=["L4-L5"], pct=70)
        ward.told(done, TODAY - (ago - 93) * DAY, 3, "follow_up")
    terms = Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L4-L5",))
    course = ward.start(terms, since=TODAY - 400 * DAY)
    planned = current(course)
    assert planned.state == "proposed", planned.for_what
    assert (planned.earliest, len(planned.blocked_by)) == (TODAY + 13 * DAY, 2)  # the pathway's limit and the payer's
    courses.refresh(at=NOW)
    assert len(days(course)) == 3
    assert all(TODAY + 13 * DAY <= day <= planned.latest for day in days(course))


def test_nothing_is_looked_for_where_nothing_is_to_be_booked(ward: Ward) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY)
    waiting = ward.start()
    far = ward.start(replace(FACET, side="left", not_before=TODAY + 90 * DAY))
    stopped = ward.start(replace(FACET, side="bilateral", levels=("L3-L4",)))
    courses.stop(course=stopped, reason="No", by=ward.doctor, at=NOW)
    assert (current(waiting).state, current(far).state) == ("waiting", "proposed")
    assert courses.refresh(at=NOW) == 0


def test_why_there_is_no_opening_is_said(ward: Ward) -> None:
    ward.clinic.c_arm.is_active = False
    ward.clinic.c_arm.save(update_fields=["is_active"])
    ward.start()
    courses.refresh(at=NOW)
    found = FoundOpenings.objects.get()
    assert found.openings == []
    assert found.why_none


def test_an_overdue_window_is_looked_for_from_today(ward: Ward) -> None:
    course = ward.start(since=TODAY - 100 * DAY)
    planned = current(course)
    assert planned.latest is not None
    assert planned.latest < TODAY
    courses.refresh(at=NOW)
    assert days(course)[0] == TODAY


# --- booking ---------------------------------------------------------------------------------------------------------


def test_booking_from_the_list_books_once_and_is_in_the_plan_at_once(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    opening = opened(ward, FoundOpenings.objects.get().openings[0])
    planned = current(course)
    case = courses.book_next(planned=planned, opening=opening, by=ward.desk, at=NOW)
    assert (case.procedure.code, case.side, case.levels) == ("mbb_lumbar", "right", ["L4-L5", "L5-S1"])
    assert (current(course).appointment_id, current(course).booked_on) == (case.pk, case.local_date)
    with pytest.raises(NothingPlanned):
        courses.book_next(planned=planned, opening=opening, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == 1
    assert courses.sweep(at=NOW).changed == 0  # the cause that the booking left finds everything said


def test_a_step_is_booked_with_its_role_where_its_procedure_may_be_done_for_either(ward: Ward) -> None:
    factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code="si_joint_ia"))
    works = {"diagnostic": "si_joint_ia", "therapeutic": "si_joint_ia"}
    course = ward.start(Terms("si_pathway", works, side="right"), since=TODAY)
    planned = current(course)
    assert planned.step == "diagnostic", planned.for_what
    found = openings.find_openings(
        procedure=Procedure.objects.get(code="si_joint_ia"), at=NOW, site=ward.clinic.site, limit=1,
        earliest=NOW if planned.earliest is None else local(planned.earliest, "8:00"),
    )  # fmt: skip
    case = courses.book_next(planned=planned, opening=found.openings[0], by=ward.desk, at=NOW)
    assert case.details.role == "diagnostic"

    facet = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    first = FoundOpenings.objects.get(planned=current(facet)).openings[0]
    plain = courses.book_next(planned=current(facet), opening=opened(ward, first), by=ward.desk, at=NOW)
    assert (plain.details.role, plain.details.course) == ("", facet)


def test_a_taken_opening_books_nothing(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.refresh(at=NOW)
    opening = opened(ward, FoundOpenings.objects.get().openings[0])
    other = factories.patient(home=ward.clinic.site, last_name="Other")
    booking.book(
        patient=other, procedure=ward.clinic.procedure, target=Target("left"),
        opening=replace(opening, units={**opening.units}), by=ward.desk, at=NOW,
    )  # fmt: skip
    with pytest.raises(SlotTaken):
        courses.book_next(planned=current(course), opening=opening, by=ward.desk, at=NOW)
    assert current(course).appointment is None


def test_who_may_not_book_or_a_stopped_course_or_a_day_too_early_books_nothing(ward: Ward) -> None:
    course = ward.start(replace(FACET, not_before=TODAY + 10 * DAY))
    planned = current(course)
    early = openings.find_openings(procedure=Procedure.objects.get(code="mbb_lumbar"), at=NOW, limit=1).openings[0]
    with pytest.raises(BeforeWindow):
        courses.book_next(planned=planned, opening=early, by=ward.desk, at=NOW)
    for missing in ("scheduling.book_appointment", "scheduling.work_course"):
        with pytest.raises(Forbidden):
            courses.book_next(
                planned=planned, opening=early, by=replace(ward.desk, permissions=ward.desk.permissions - {missing}), at=NOW
            )
    courses.stop(course=course, reason="No", by=ward.doctor, at=NOW)
    with pytest.raises(CourseNotRunning):
        courses.book_next(planned=planned, opening=early, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == 0


# --- the stimulator trial and the removal of its leads ---------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A course whose trial may be booked, and times for it and for the removal of its leads."""

    course: Course
    trial: Opening
    removal: Opening


@pytest.fixture
def trial(ward: Ward) -> Trial:
    site = ward.clinic.site
    suite = factories.resource(kind=Kind.ROOM, at_site=site, name="OR 1", attributes=["or_room"])
    helper = factories.resource(kind=Kind.DEVICE_REPRESENTATIVE, at_site=site, name="Rep")
    for each in (suite, helper):
        factories.weekly_hours(of=each)
    for code in ("scs_trial", "scs_trial_lead_pull", "scs_implant"):
        Procedure.objects.filter(code=code).update(is_offered=True)
        factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code=code))
    factories.build_free_time(at=NOW)
    word = "multidisciplinary_evaluation_including_psychological"
    Presentation.objects.create(patient=ward.patient, recorded_at=NOW, name="Failed back surgery", on_file=[word])
    plan = Coverage.objects.create(patient=ward.patient, recorded_at=NOW, payer="Own", payer_rules="none", plan_type="self_pay")
    assert Authorization.objects.filter(coverage=plan).count() == 0
    terms = Terms(
        "scs_trial_to_implant",
        {"trial": "scs_trial", "lead_removal": "scs_trial_lead_pull", "implant": "scs_implant"},
        side="midline",
        levels=("T12-L1",),
    )
    course = ward.start(terms, since=TODAY)
    planned = current(course)
    assert planned.companion is not None, (planned.state, planned.for_what)
    courses.refresh(at=NOW)
    found = FoundOpenings.objects.get(planned=planned)
    assert found.openings, found.why_none
    first = found.openings[0]
    return Trial(
        course, opened(ward, {**first, "code": "scs_trial"}), opened(ward, {**first["removal"], "code": "scs_trial_lead_pull"})
    )


def test_the_trial_is_offered_and_booked_together_with_the_removal_of_its_leads(ward: Ward, trial: Trial) -> None:
    with pytest.raises(RemovalMissing):
        courses.book_next(planned=current(trial.course), opening=trial.trial, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == 0
    case = courses.book_next(planned=current(trial.course), opening=trial.trial, companion=trial.removal, by=ward.desk, at=NOW)
    pull = Appointment.objects.exclude(pk=case.pk).get()
    assert (case.procedure.code, pull.procedure.code) == ("scs_trial", "scs_trial_lead_pull")
    assert 3 <= (pull.local_date - case.local_date).days <= 7


def test_a_removal_that_cannot_be_booked_takes_the_trial_with_it(ward: Ward, trial: Trial) -> None:
    elsewhere = factories.appointment(at_site=ward.clinic.site)
    Allocation.objects.create(
        resource=ward.clinic.physician, site=ward.clinic.site, appointment=elsewhere, kind="physician",
        legs=["procedure"], starts_at=trial.removal.starts_at, ends_at=trial.removal.ends_at, created_at=NOW,
    )  # fmt: skip
    factories.build_free_time(at=NOW)
    before = Appointment.objects.count()
    with pytest.raises((SlotTaken, RulesRefused)):
        courses.book_next(planned=current(trial.course), opening=trial.trial, companion=trial.removal, by=ward.desk, at=NOW)
    assert Appointment.objects.count() == before


def test_no_door_books_a_trial_alone_or_with_a_removal_out_of_time(ward: Ward, trial: Trial) -> None:
    procedure = Procedure.objects.get(code="scs_trial")

    def alone() -> Appointment:
        return booking.book(
            patient=ward.patient, procedure=procedure, target=Target("midline", ("T12-L1",), "mac"), opening=trial.trial,
            by=ward.doctor, at=NOW,
        )  # fmt: skip

    with pytest.raises(RulesRefused) as refusal:
        alone()
    assert "trial_without_removal" in {finding.code for finding in refusal.value.standing}
    late = openings.find_openings(
        procedure=Procedure.objects.get(code="scs_trial_lead_pull"), at=NOW,
        earliest=trial.trial.starts_at + 8 * DAY, limit=1,
    ).openings[0]  # fmt: skip
    booking.book(
        patient=ward.patient, procedure=Procedure.objects.get(code="scs_trial_lead_pull"),
        target=Target("midline", regions=("thoracic",)),
        opening=late,
        by=ward.desk, at=NOW,
    )  # fmt: skip
    with pytest.raises(RulesRefused):
        alone()


def test_the_removal_can_neither_be_cancelled_nor_moved_away_while_its_trial_stands(ward: Ward, trial: Trial) -> None:
    case = courses.book_next(planned=current(trial.course), opening=trial.trial, companion=trial.removal, by=ward.desk, at=NOW)
    pull = Appointment.objects.exclude(pk=case.pk).get()
    with pytest.raises(RemovalNeeded):
        booking.cancel(appointment=pull, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    late = openings.find_openings(procedure=pull.procedure, at=NOW, earliest=case.starts_at + 8 * DAY, limit=1).openings[0]
    with pytest.raises(RulesRefused) as refusal:
        booking.reschedule(appointment=pull, opening=late, by=ward.desk, at=NOW)
    assert {finding.code for finding in refusal.value.standing} == {"removal_out_of_time"}
    booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    pull.refresh_from_db()
    gone = booking.cancel(appointment=pull, reason="patient_wish", asked_by="patient", by=ward.desk, at=NOW)
    assert gone.status == "cancelled"


def done(trial: Trial, ward: Ward) -> tuple[Appointment, Appointment]:
    """Return the trial as done, and the removal of its leads that is booked."""
    case = courses.book_next(planned=current(trial.course), opening=trial.trial, companion=trial.removal, by=ward.desk, at=NOW)
    pull = Appointment.objects.exclude(pk=case.pk).get()
    Appointment.objects.filter(pk=case.pk).update(status="discharged")
    ward.done("scs_trial", case.local_date, side="midline", levels=["T12-L1"], appointment=case.public_id)
    case.refresh_from_db()
    return case, pull


def test_after_the_trial_its_removal_is_not_moved_past_the_seventh_day_but_may_come_early(ward: Ward, trial: Trial) -> None:
    case, pull = done(trial, ward)
    at = case.leaves_at + timedelta(minutes=5)

    def on(day: date) -> Opening:
        found = openings.find_openings(
            procedure=pull.procedure, at=at, earliest=datetime(day.year, day.month, day.day, tzinfo=NEW_YORK), limit=1
        ).openings[0]  # fmt: skip
        assert found.starts_at.astimezone(NEW_YORK).date() == day
        return found

    late = case.local_date + 8 * DAY
    late += (7 - late.weekday()) * DAY if late.weekday() > 4 else timedelta()
    with pytest.raises(RulesRefused) as refusal:
        booking.reschedule(appointment=pull, opening=on(late), by=ward.desk, at=at)
    assert [finding.code for finding in refusal.value.standing] == ["removal_out_of_time"]
    assert f"come out by {case.local_date + 7 * DAY}" in refusal.value.standing[0].message
    last = case.local_date + 7 * DAY
    moved = booking.reschedule(appointment=pull, opening=on(last), by=ward.desk, at=at)
    assert moved.local_date == last
    early = case.local_date + DAY
    early += (7 - early.weekday()) * DAY if early.weekday() > 4 else timedelta()
    moved = booking.reschedule(appointment=moved, opening=on(early), by=ward.desk, at=at)
    assert moved.local_date == early


def test_leads_that_are_in_for_more_than_a_week_may_come_out_on_any_day(ward: Ward, trial: Trial) -> None:
    case, pull = done(trial, ward)
    Appointment.objects.filter(pk=pull.pk).update(status="no_show")
    at = case.leaves_at + 8 * DAY
    found = openings.find_openings(procedure=pull.procedure, at=at, limit=1).openings[0]
    made = booking.book(
        patient=ward.patient, procedure=pull.procedure, target=Target("midline", regions=("thoracic",)), opening=found,
        by=ward.desk, at=at,
    )  # fmt: skip
    assert made.status == "booked"


@pytest.mark.parametrize(("works", "drug"), [("esi_tf_lumbar", "methylprednisolone_acetate"), ("mbb_lumbar", "")])
def test_what_the_physician_ordered_is_said_of_the_case_the_steroid_only_where_one_may_be_given(
    ward: Ward, works: str, drug: str
) -> None:
    order = Terms("esi_as_needed", {"epidural": works}, side="right", levels=("L4-L5",)) if drug else FACET
    order = replace(order, drug="methylprednisolone_acetate", rationale="The pain is back and walking fails")
    course = ward.start(order, since=TODAY)
    courses.refresh(at=NOW)
    opening = opened(ward, FoundOpenings.objects.get(planned=current(course)).openings[0] | {"code": works})
    case = courses.book_next(planned=current(course), opening=opening, by=ward.desk, at=NOW)
    assert (case.details.drug, case.details.rationale) == (drug, "The pain is back and walking fails")


def test_steroid_that_is_in_no_table_is_refused(ward: Ward) -> None:
    with pytest.raises(TermsRefused) as refusal:
        ward.start(replace(FACET, drug="snake oil"), since=TODAY)
    assert refusal.value.field == "drug"
