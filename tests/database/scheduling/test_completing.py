"""A case is completed once: what was done is on record, unused time is free, the planner has its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden, Refused
from patients import notes, records
from patients.models import (
    Authorization,
    AuthorizationUse,
    ClinicalNote,
    Complication,
    Coverage,
    GivenDrug,
    PerformedProcedure,
    Score,
    SessionOutcome,
)
from scheduling import free_time, visits
from scheduling.models import Allocation, Appointment, Check, CheckItem, Completion, InvalidMove, PlanCause, Status
from tests import factories
from tests.factories import SmallClinic


@pytest.fixture
def doctor(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


def case_at(clinic: SmallClinic, clock: str, status: str = Status.RECOVERY) -> Appointment:
    return factories.appointment(
        of=clinic.patient,
        at_site=clinic.site,
        for_procedure=clinic.procedure,
        starts_at=factories.local(factories.TODAY, clock),
        resources=clinic.resources,
        status=status,
        side="left",
    )


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    return case_at(clinic, "9:00")


def checked(case: Appointment, nurse: Actor, at: datetime) -> None:
    answers = {str(item): ("yes", "") for item in CheckItem.values}
    visits.answer_checks(appointment=case, moment="before", answers=answers, by=nurse, at=at)


def test_completing_as_booked_writes_what_was_booked(case: Appointment, doctor: Actor, nurse: Actor, at: datetime) -> None:
    checked(case, nurse, at)
    done = visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=case.ends_at)

    performed = PerformedProcedure.objects.get()
    assert (done.performed, performed.appointment) == (performed.public_id, case.public_id)
    assert (performed.procedure_id, performed.side, performed.levels) == (case.procedure_id, case.side, case.levels)
    assert (performed.done_on, performed.done_at, performed.site_id) == (case.local_date, case.starts_at, case.site_id)
    assert (done.differs, done.unchecked) == ([], [])
    note = ClinicalNote.objects.get()
    assert note.template == notes.template_for(case.procedure).code
    assert note.signed_at is None
    assert list(PlanCause.objects.values_list("appointment", "kind", "done_at")) == [(case.pk, "completed", None)]
    assert AuditEvent.objects.filter(act="scheduling.complete", subject_id=case.public_id).count() == 1


def test_what_differs_from_the_booking_is_named(case: Appointment, doctor: Actor, nurse: Actor, at: datetime) -> None:
    checked(case, nurse, at)
    booked = visits.as_booked(case)
    other = replace(booked, side="right" if booked.side != "right" else "left", sedation="minimal")

    assert visits.complete(appointment=case, done=other, by=doctor, at=case.ends_at).differs == ["side", "sedation"]
    assert PerformedProcedure.objects.get().side == other.side


def test_drugs_complications_and_scores_are_recorded_with_it(
    case: Appointment, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    checked(case, nurse, at)
    done = replace(
        visits.as_booked(case),
        fluoroscopy_seconds=42,
        dose_ugy_m2=Decimal("61.5"),
        drugs=(visits.Given("steroid", "dexamethasone", Decimal(10), Decimal(1)),),
        harms=(visits.Harm("vasovagal", "minor", "Gone after ten minutes"),),
        scores=(visits.Told("nrs", "index", Decimal(8)), visits.Told("nrs", "index", Decimal(2), "after")),
    )
    visits.complete(appointment=case, done=done, by=doctor, at=case.ends_at)

    performed = PerformedProcedure.objects.get()
    assert (performed.fluoroscopy_seconds, performed.dose_ugy_m2) == (42, Decimal("61.5"))
    assert GivenDrug.objects.values_list("performed", "drug", "dose_mg", "given_on").get() == (
        performed.pk, "dexamethasone", Decimal(10), case.local_date,
    )  # fmt: skip
    assert Complication.objects.values_list("performed", "kind").get() == (performed.pk, "vasovagal")
    assert Score.objects.filter(performed=performed).count() == 2
    assert SessionOutcome.objects.get(performed=performed).last_pct == 75


def test_what_nobody_touched_in_the_note_says_what_was_done_and_what_went_wrong(
    case: Appointment, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    checked(case, nurse, at)
    booked = visits.as_booked(case)
    harms = (visits.Harm("vasovagal", "minor", "Gone after ten minutes"),)
    done = replace(booked, side="right", harms=harms, sections={**booked.sections, "plan": "Again if it helps"})

    visits.complete(appointment=case, done=done, by=doctor, at=case.ends_at)

    told = ClinicalNote.objects.get().sections
    assert (", left" in booked.sections["technique"], ", right" in told["technique"]) == (True, True)
    assert (told["course"], told["plan"]) == ("Vasovagal reaction (minor). Gone after ten minutes", "Again if it helps")


def test_the_note_of_another_procedure_has_its_own_headings_and_loses_nothing(
    case: Appointment, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    checked(case, nurse, at)
    booked, other = visits.as_booked(case), factories.procedure(family="mbb_diagnostic", name="Medial branch block", needs=())
    own = {code: text for code, text in booked.sections.items() if code not in ("findings", "technique")}
    typed = {**own, "findings": "Scar tissue", "technique": "Typed by hand"}

    visits.complete(appointment=case, done=replace(booked, procedure=other, sections=typed), by=doctor, at=case.ends_at)

    note = ClinicalNote.objects.get()
    assert set(note.sections) == {one.code for one in notes.template_for(other).sections}
    assert note.sections["technique"] == "Typed by hand"
    assert note.sections["course"].endswith("Scar tissue")


def test_what_is_typed_waits_while_the_checklist_is_answered(
    clinic: SmallClinic, case: Appointment, signed_in: Callable[..., Client]
) -> None:
    client, address = signed_in("physician", clinic.site), f"/appointments/{case.public_id}/complete/"
    typed = {"version": case.version, "side": "right", "harm_outcome": "Well", "section_plan": "Later", "act": "checklist"}
    listed = f"/appointments/{case.public_id}/checklist/before/"

    assert client.post(address, typed)["Location"] == listed
    assert client.post(listed, {"act": "all", "request_key": "k" * 16})["Location"] == address
    form = client.get(address).context["form"]

    assert [form[name].value() for name in ("side", "harm_outcome", "section_plan")] == ["right", "Well", "Later"]
    assert (form["is_signed"].value(), "reason" in form.fields) == (False, False)
    assert client.get(address).context["form"]["side"].value() == "left"  # given back once
    assert not Completion.objects.exists()


def test_the_next_case_of_the_same_hand_starts_from_the_same_drugs(
    clinic: SmallClinic, case: Appointment, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    checked(case, nurse, at)
    given = (visits.Given("steroid", "dexamethasone", Decimal(10), None),)
    visits.complete(appointment=case, done=replace(visits.as_booked(case), drugs=given), by=doctor, at=case.ends_at)
    later = case_at(clinic, "13:00")

    assert visits.as_booked(later).drugs == given


def test_an_unanswered_checklist_needs_a_reason(case: Appointment, doctor: Actor, nurse: Actor, at: datetime) -> None:
    answers = {str(item): ("yes", "") for item in CheckItem.values if item != "consent"}
    visits.answer_checks(appointment=case, moment="before", answers=answers, by=nurse, at=at)
    booked = visits.as_booked(case)

    with pytest.raises(visits.ChecklistOpen) as refusal:
        visits.complete(appointment=case, done=booked, by=doctor, at=case.ends_at)
    assert (refusal.value.code, refusal.value.details) == ("checklist_open", {"items": ["consent"]})
    assert not PerformedProcedure.objects.exists()

    done = visits.complete(appointment=case, done=booked, by=doctor, at=case.ends_at, reason="On paper")
    assert (done.unchecked, done.reason) == (["consent"], "On paper")


def test_answering_no_leaves_the_item_open(case: Appointment, nurse: Actor, at: datetime) -> None:
    checked(case, nurse, at)
    said = visits.answer_checks(appointment=case, moment="before", answers={"side": ("no", "asked again")}, by=nurse, at=at)

    assert said.open_items == ("side",)
    row = Check.objects.get(item="side")
    assert (row.answer, row.answered_by_id, row.answered_at) == ("no", nurse.user_id, at)


def test_a_case_is_completed_once(case: Appointment, doctor: Actor, at: datetime) -> None:
    booked = visits.as_booked(case)
    visits.complete(appointment=case, done=booked, by=doctor, at=case.ends_at, reason="On paper")
    case.refresh_from_db()

    with pytest.raises(visits.AlreadyCompleted) as refusal:
        visits.complete(appointment=case, done=booked, by=doctor, at=case.ends_at, reason="On paper")
    assert refusal.value.code == "already_completed"
    assert (Completion.objects.count(), PerformedProcedure.objects.count()) == (1, 1)


def test_a_case_that_has_not_begun_is_not_completed(clinic: SmallClinic, doctor: Actor, at: datetime) -> None:
    made = case_at(clinic, "9:00", status=Status.ARRIVED)

    with pytest.raises(InvalidMove):
        visits.complete(appointment=made, done=visits.as_booked(made), by=doctor, at=at, reason="x")


def test_a_nurse_does_not_complete(case: Appointment, nurse: Actor, at: datetime) -> None:
    with pytest.raises(Forbidden) as refusal:
        visits.complete(appointment=case, done=visits.as_booked(case), by=nurse, at=at, reason="x")
    assert refusal.value.code == "not_allowed"


def test_unused_room_time_is_given_back(case: Appointment, doctor: Actor, at: datetime) -> None:
    early = case.starts_at + timedelta(minutes=6)
    room = Allocation.objects.get(appointment=case, kind="room")
    room.legs, room.ends_at = ["procedure", "turnover"], case.ends_at + timedelta(minutes=case.procedure.turnover_minutes)
    room.save()
    factories.build_free_time(at=at)
    visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=early, reason="On paper")

    room.refresh_from_db()
    assert room.released_at == early
    shorter = Allocation.objects.get(appointment=case, kind="room", released_at=None)
    turnover = timedelta(minutes=case.procedure.turnover_minutes)
    assert (shorter.starts_at, shorter.ends_at) == (room.starts_at, case.starts_at + timedelta(minutes=10) + turnover)
    assert free_time.check(at=at) == ()


def test_time_is_given_back_when_the_patient_leaves_the_room_after_the_completion(
    case: Appointment, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    Appointment.objects.filter(pk=case.pk).update(status=Status.IN_ROOM)
    room = Allocation.objects.get(appointment=case, kind="room")
    room.legs, room.ends_at = ["procedure", "turnover"], case.ends_at + timedelta(minutes=case.procedure.turnover_minutes)
    room.save()
    factories.build_free_time(at=at)
    early, left = case.starts_at + timedelta(minutes=4), case.starts_at + timedelta(minutes=11)
    visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=early, reason="On paper")
    still = Allocation.objects.get(appointment=case, kind="room", released_at=None)
    case.refresh_from_db()
    gone = visits.move_on(appointment=case, to=Status.RECOVERY, by=nurse, at=left)
    visits.move_on(appointment=gone, to=Status.DISCHARGED, by=nurse, at=left + timedelta(minutes=2))

    assert still.ends_at == room.ends_at  # the patient was still in it
    shorter = Allocation.objects.get(appointment=case, kind="room", released_at=None)
    assert shorter.ends_at == case.starts_at + timedelta(minutes=15 + case.procedure.turnover_minutes)
    assert free_time.check(at=at) == ()


def test_leaving_the_room_gives_nothing_back_before_the_completion(case: Appointment, nurse: Actor, at: datetime) -> None:
    Appointment.objects.filter(pk=case.pk).update(status=Status.IN_ROOM)
    before = list(Allocation.objects.order_by("pk").values_list("resource", "ends_at", "released_at"))
    visits.move_on(appointment=case, to=Status.RECOVERY, by=nurse, at=case.starts_at + timedelta(minutes=11))

    assert list(Allocation.objects.order_by("pk").values_list("resource", "ends_at", "released_at")) == before


def test_a_patient_leaves_with_somebody_or_with_a_reason(case: Appointment, nurse: Actor, at: datetime) -> None:
    case.procedure.driver = "required"
    case.procedure.save(update_fields=["driver"])
    fine = dict.fromkeys(("vitals", "walks", "no_deficit", "site", "instructions"), ("yes", ""))

    with pytest.raises(Exception, match="nobody takes the patient home") as refusal:
        visits.leave_ready(appointment=case, answers=fine, escort="", reason="", by=nurse, at=at)
    assert refusal.value.details == {"items": ["escort"]}  # type: ignore[attr-defined]
    row = visits.leave_ready(appointment=case, answers=fine, escort="Daughter", reason="", by=nurse, at=at)
    assert (row.escort, row.by_id, row.at) == ("Daughter", nurse.user_id, at)


def test_completing_draws_one_unit_of_what_the_payer_authorised_for_it(
    case: Appointment, clinic: SmallClinic, doctor: Actor, nurse: Actor, at: datetime
) -> None:
    biller = Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))
    plan = {"payer": "Payer", "payer_rules": "none", "plan_type": "commercial"}
    held = records.record(kind=Coverage, patient=clinic.patient, values=plan, by=biller, at=at)
    word = {"coverage": held, "covers": clinic.procedure.code, "status": "approved", "decided_on": factories.TODAY, "units": 1}
    records.record(kind=Authorization, patient=clinic.patient, values=word, by=biller, at=at)
    checked(case, nurse, at)

    done = visits.complete(appointment=case, done=visits.as_booked(case), by=doctor, at=case.ends_at)

    use = AuthorizationUse.objects.get()
    assert (use.performed.public_id, use.units, use.used_on) == (done.performed, 1, factories.TODAY)
    assert AuditEvent.objects.filter(act="patients.draw_down_authorization").count() == 1


def test_a_checklist_takes_known_answers_from_who_may_and_keeps_what_is_unchanged(
    case: Appointment, nurse: Actor, by: Actor, at: datetime
) -> None:
    with pytest.raises(Forbidden):
        visits.answer_checks(appointment=case, moment="before", answers={}, by=by, at=at)  # the desk
    for wrong in ({"horoscope": ("yes", "")}, {"consent": ("maybe", "")}):
        with pytest.raises(Refused) as refusal:
            visits.answer_checks(appointment=case, moment="before", answers=wrong, by=nurse, at=at)
        assert refusal.value.code == "check_unknown"
    checked(case, nurse, at)
    later = at + timedelta(minutes=5)
    answers = {"consent": ("no", "asks for time"), "side": ("yes", "")}
    visits.answer_checks(appointment=case, moment="before", answers=answers, by=nurse, at=later)
    given = dict(Check.objects.filter(appointment=case).values_list("item", "answered_at"))
    assert (given["consent"], given["side"]) == (later, at)
