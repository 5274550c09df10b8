"""The hold plan of a case: computed for its slot, told to the patient only once the prescriber has agreed, asked by letter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from pain_clinic import papers
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import records
from patients.models import Answer, Asked, Clearance, Medication
from patients.records import MayNotRecord
from procedures import tables
from procedures.models import RuleRow
from scheduling import clearing, holdplan, rechecking
from scheduling.forms import ClearanceForm
from scheduling.models import Appointment, AppointmentFinding, DeskTask, Message, MessageKind
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local

BY = Actor.system("tests")
SLOT = TODAY + timedelta(days=21)


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    tables.load(by=BY, at=NOW)


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    type(clinic.procedure).objects.filter(pk=clinic.procedure.pk).update(bleeding_class="intermediate")
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(SLOT, "10:00"),
        resources=clinic.resources, side="left",
    )  # fmt: skip


@pytest.fixture
def takes(clinic: SmallClinic, nurse: Actor) -> Callable[..., Medication]:
    def make(drug: str = "apixaban", **values: Any) -> Medication:
        given = {"kind": "antithrombotic", "drug": drug, "name": drug.title(), **values}
        return records.record(kind=Medication, patient=clinic.patient, values=given, by=nurse, at=NOW)

    return make


def agree(case: Appointment, by: Actor, drug: str = "apixaban", *, is_agreed: bool = True) -> Clearance:
    said = {"is_agreed": is_agreed, "answered_by": "Dr. Heart", "how": "telephone", "note": "As we spoke"}
    return clearing.answer(appointment=case, drug=drug, by=by, at=NOW, **said)


def plan(case: Appointment) -> holdplan.Plan:
    return holdplan.plan_of(case=Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk), at=NOW)


def told(case: Appointment) -> list[tuple[str, str, str]]:
    fresh = Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)
    return [(held.name, str(held.last_dose), str(held.restart)) for held in holdplan.told_to_patient(case=fresh, at=NOW)]


def test_patient_is_told_nothing_before_the_prescriber_agreed(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    assert told(case) == []

    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)

    assert told(case) == []
    assert not Message.objects.filter(kind=MessageKind.PLAN_READY).exists()


def test_patient_is_told_last_dose_and_restart_once_it_is_cleared(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()

    word = agree(case, nurse)

    assert told(case) == [("Apixaban", f"{SLOT - timedelta(days=3)} 10:00:00", f"{SLOT + timedelta(days=1)} 10:00:00")]
    assert (word.answer, word.case, word.answered_by, word.how, word.answered_on) == (
        "given", case.public_id, "Dr. Heart", "telephone", TODAY,
    )  # fmt: skip
    assert Message.objects.filter(appointment=case, kind=MessageKind.PLAN_READY).count() == 1
    assert AuditEvent.objects.filter(act="patients.record_clearance").count() == 1


def move(case: Appointment, **shift: int) -> None:
    fresh = Appointment.objects.get(pk=case.pk)
    moments = ("arrives_at", "starts_at", "ends_at", "leaves_at")
    Appointment.objects.filter(pk=case.pk).update(**{name: getattr(fresh, name) + timedelta(**shift) for name in moments})


def asked_again(case: Appointment) -> list[str]:
    rechecking.recheck([case.patient_id], at=NOW)
    waiting = AppointmentFinding.objects.filter(appointment=case, code__startswith="antithrombotic_clearance", gone_at=None)
    return [row.severity for row in waiting]


def test_a_word_given_for_other_times_is_asked_for_again_and_tells_the_patient_nothing(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    takes()
    agree(case, nurse)
    assert asked_again(case) == []

    move(case, days=1, hours=2)

    assert told(case) == []
    assert asked_again(case) == ["pending"]
    assert DeskTask.objects.filter(appointment=case, kind="clearance", done_at=None).count() == 1
    (line,) = plan(case).lines
    before = (datetime.combine(SLOT - timedelta(days=3), time(10)), datetime.combine(SLOT + timedelta(days=1), time(10)))
    assert (line.is_for_others, line.word_for, line.held.cleared_for, line.held.is_agreed) == (True, before, before, None)

    agree(case, nurse)

    assert told(case) == [("Apixaban", f"{SLOT - timedelta(days=2)} 12:00:00", f"{SLOT + timedelta(days=2)} 12:00:00")]
    assert asked_again(case) == []
    move(case, days=-1, hours=-2)
    assert told(case) == []  # the newest word counts


def test_a_word_holds_while_last_dose_and_restart_stay_the_same(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    agree(case, nurse)
    move(case, days=1)
    move(case, days=-1)

    assert len(told(case)) == 1
    assert asked_again(case) == []


def test_a_hold_of_whole_days_with_an_open_restart_outlasts_a_move_within_the_day(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    for row in RuleRow.objects.filter(table="antithrombotics", section="drugs", row_id="clopidogrel"):
        row.data["restart_after"] = {}
        row.save()
    takes("clopidogrel")
    agree(case, nurse, "clopidogrel")

    move(case, hours=2)
    assert len(told(case)) == 1
    assert asked_again(case) == []

    move(case, days=1)
    assert told(case) == []
    assert asked_again(case) == ["pending"]


def test_a_word_about_whole_days_with_an_open_restart_is_read_back_as_it_was_said(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    for row in RuleRow.objects.filter(table="antithrombotics", section="drugs", row_id="clopidogrel"):
        row.data["restart_after"] = {}
        row.save()
    takes("clopidogrel")
    agree(case, nurse, "clopidogrel")

    (line,) = plan(case).lines

    assert not isinstance(line.held.last_dose, datetime)
    assert line.word_for == (line.held.last_dose, None)


def test_a_refusal_stands_whatever_the_times(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    agree(case, nurse, is_agreed=False)
    before = asked_again(case)

    move(case, days=1)

    assert asked_again(case) == before == ["warn"]


def test_an_answer_counts_for_the_times_that_were_asked_about(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    move(case, days=1)

    agree(case, nurse)

    assert told(case) == []
    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    agree(case, nurse)
    assert len(told(case)) == 1


def test_who_was_asked_about_other_times_may_be_asked_about_these(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    move(case, days=1)

    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)

    with pytest.raises(clearing.AlreadyAsked):
        clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)


def waits_for_decision(case: Appointment) -> list[str]:
    rechecking.recheck([case.patient_id], at=NOW)
    return [task.note for task in DeskTask.objects.filter(appointment=case, kind="clearance", done_at=None)]


def test_what_is_decided_together_has_no_times_and_counts_on_its_day_whatever_the_hour(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    takes("aspirin_secondary", indication="secondary")
    word = agree(case, nurse, "aspirin_secondary")
    assert (word.has_times, word.last_dose, word.restart, word.decided_for) == (False, "", "", case.starts_at)

    for hours in (4, -6):  # which the table does not count
        move(case, hours=hours)
        assert (plan(case).lines[0].held.is_agreed, waits_for_decision(case)) == (True, [])


def test_what_was_decided_for_another_day_counts_no_more_and_a_task_names_it(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes("aspirin_secondary", indication="secondary")
    agree(case, nurse, "aspirin_secondary")

    move(case, days=1)

    (line,) = plan(case).lines
    assert (line.held.is_agreed, line.is_old_decision) == (None, True)
    (note,) = waits_for_decision(case)
    assert f'was for {SLOT.isoformat()} ("As we spoke")' in note
    move(case, days=-1)
    assert (plan(case).lines[0].held.is_agreed, waits_for_decision(case)) == (True, [])


def test_a_decision_is_confirmed_for_the_new_day_without_being_typed_again(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes("aspirin_secondary", indication="secondary")
    old = agree(case, nurse, "aspirin_secondary")
    move(case, days=1)
    fresh = Appointment.objects.get(pk=case.pk)
    shown = {"drug": "aspirin_secondary", "word": str(old.public_id), "shown": fresh.starts_at, "by": nurse, "at": NOW}
    with pytest.raises(clearing.AskedOtherwise):
        clearing.keep_decision(appointment=fresh, **{**shown, "shown": case.starts_at})
    with pytest.raises(clearing.AskedOtherwise):
        clearing.keep_decision(appointment=fresh, **{**shown, "word": "another"})

    kept = clearing.keep_decision(appointment=fresh, **shown)

    assert (kept.note, kept.answered_by, kept.answered_on, kept.decided_for, kept.confirmed_on, kept.recorded_by_id) == (
        "As we spoke", "Dr. Heart", TODAY, fresh.starts_at, TODAY, nurse.user_id,
    )  # fmt: skip
    assert (plan(case).lines[0].held.is_agreed, waits_for_decision(case)) == (True, [])
    assert clearing.keep_decision(appointment=fresh, **shown) == kept  # pressed twice
    assert Clearance.objects.count() == 2
    with pytest.raises(clearing.NothingToKeep):
        clearing.keep_decision(appointment=fresh, **{**shown, "shown": case.starts_at})
    agree(case, nurse, "aspirin_secondary")  # anew, and for this day: that is no word for another
    with pytest.raises(clearing.NothingToKeep):
        clearing.keep_decision(appointment=fresh, **shown)


def test_a_decision_from_before_days_were_kept_stays_whatever_the_day(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes("aspirin_secondary", indication="secondary")
    agree(case, nurse, "aspirin_secondary")
    Clearance.objects.update(decided_for=None)

    move(case, days=1)

    assert (plan(case).lines[0].held.is_agreed, waits_for_decision(case)) == (True, [])


def test_who_was_asked_for_another_day_answers_for_that_and_may_be_asked_about_this(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    takes("aspirin_secondary", indication="secondary")
    asked = {"drug": "aspirin_secondary", "by": nurse, "at": NOW}
    clearing.ask(appointment=case, **asked)
    with pytest.raises(clearing.AlreadyAsked):
        clearing.ask(appointment=case, **asked)
    move(case, days=1)

    assert agree(case, nurse, "aspirin_secondary").decided_for == case.starts_at
    assert plan(case).lines[0].is_old_decision
    clearing.ask(appointment=case, **asked)
    assert agree(case, nurse, "aspirin_secondary").decided_for == Appointment.objects.get(pk=case.pk).starts_at
    assert plan(case).lines[0].held.is_agreed is True


def test_the_page_shows_a_decision_as_old_and_confirms_it_with_one_press(
    case: Appointment, takes: Any, clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client]
) -> None:
    takes("aspirin_secondary", indication="secondary")
    word = agree(case, nurse, "aspirin_secondary")
    address, client = f"/appointments/{case.public_id}/medicines/", signed_in("nurse", clinic.site)
    assert "counts no more until" not in client.get(address).content.decode()
    move(case, days=1)

    page = client.get(address).content.decode()

    assert "Decided for another day" in page
    assert "counts no more until it is confirmed" in page
    slot = Appointment.objects.get(pk=case.pk).starts_at.isoformat()
    press = {"act": "keep", "word": str(word.public_id), "slot": slot}
    assert client.post(f"{address}aspirin_secondary/", {**press, "slot": case.starts_at.isoformat()}).status_code == 409
    assert client.post(f"{address}aspirin_secondary/", {**press, "slot": "never"}).status_code == 409
    assert client.post(f"{address}aspirin_secondary/", press).status_code == 303
    kept = client.get(address).content.decode()
    assert ("decided for another time and confirmed for this one" in kept, "As we spoke" in kept) == (True, True)
    assert client.post(f"{address}aspirin_secondary/", press).status_code == 303
    assert Clearance.objects.count() == 2
    Clearance.objects.update(decided_for=None)
    assert "for no day in particular" in client.get(address).content.decode()


def test_what_is_said_beside_one_slot_is_not_taken_for_another(
    case: Appointment, takes: Any, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    takes("aspirin_secondary", indication="secondary")
    address, client = f"/appointments/{case.public_id}/medicines/", signed_in("nurse", clinic.site)
    said = {f"aspirin_secondary-{name}": value for name, value in (
        ("is_agreed", "yes"), ("answered_by", "Dr. Heart"), ("how", "fax"), ("note", "Goes on this Monday"),
    )} | {"act": "answer", "kind": "decision", "slot": case.starts_at.isoformat()}  # fmt: skip
    move(case, days=1)

    refused = client.post(f"{address}aspirin_secondary/", said)

    assert (refused.status_code, Clearance.objects.count()) == (409, 0)
    assert "Goes on this Monday" in refused.content.decode()
    assert client.post(f"{address}aspirin_secondary/", {**said, "slot": ""}).status_code == 303  # nobody looked


def test_the_form_does_not_call_optional_what_a_decision_needs(case: Appointment) -> None:
    decision, hold = ClearanceForm(is_decision=True), ClearanceForm()
    assert (decision.fields["note"].required, hold.fields["note"].required) == (True, False)
    typed = {"is_agreed": "no", "answered_by": "Dr. Heart", "how": "fax"}
    assert ClearanceForm(typed, is_decision=True).is_valid()
    assert ClearanceForm({**typed, "is_agreed": "yes"}, is_decision=True).errors["note"] == [clearing.DECISION_NEEDS]


def test_a_word_that_is_for_any_case_has_no_times(case: Appointment, takes: Any, nurse: Actor, clinic: SmallClinic) -> None:
    given = {"medication": takes(), "answer": "given", "answered_on": TODAY, "answered_by": "Dr. Heart", "how": "fax"}
    records.record(kind=Clearance, patient=clinic.patient, values=given, by=nurse, at=NOW)

    move(case, days=1)

    assert len(told(case)) == 1


def test_one_medicine_that_nobody_cleared_keeps_the_whole_plan_back(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    takes("clopidogrel")

    agree(case, nurse)
    assert told(case) == []
    assert not Message.objects.filter(kind=MessageKind.PLAN_READY).exists()
    agree(case, nurse, "clopidogrel")

    assert [name for name, _, _ in told(case)] == ["Apixaban", "Clopidogrel"]


def test_a_prescriber_who_does_not_agree_keeps_it_back(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    agree(case, nurse)

    agree(case, nurse, is_agreed=False)

    assert told(case) == []


def test_agreement_to_another_case_does_not_count(case: Appointment, takes: Any, nurse: Actor, clinic: SmallClinic) -> None:
    takes()
    agree(case, nurse)
    Clearance.objects.update(case="00000000-0000-0000-0000-000000000001")

    assert told(case) == []


def test_cancelled_case_tells_nothing(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    agree(case, nurse)
    gone = {"status": "cancelled", "cancel_reason": "other", "asked_by": "patient", "cancelled_at": NOW}
    Appointment.objects.filter(pk=case.pk).update(**gone)

    assert told(case) == []
    with pytest.raises(clearing.CaseOver):
        agree(case, nurse)


def test_answer_closes_what_was_asked_and_its_task(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    asked = clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    rechecking.recheck([case.patient_id], at=NOW)
    assert DeskTask.objects.filter(appointment=case, kind="clearance", done_at=None).count() == 1

    agree(case, nurse)

    asked.refresh_from_db()
    assert (asked.answer, Clearance.objects.count()) == (Answer.GIVEN, 1)
    assert not DeskTask.objects.filter(appointment=case, kind="clearance", done_at=None).exists()


def test_asking_twice_is_refused_and_a_new_question_after_a_no_is_not(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    with pytest.raises(clearing.AlreadyAsked):
        clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW)
    agree(case, nurse, is_agreed=False)

    assert clearing.ask(appointment=case, drug="apixaban", by=nurse, at=NOW).answer == Answer.ASKED


def test_medicine_that_needs_no_word_is_refused(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes("ssri_snri")

    with pytest.raises(clearing.NothingToClear):
        agree(case, nurse, "ssri_snri")


def test_desk_may_not_record_a_clearance(case: Appointment, takes: Any, clinic: SmallClinic) -> None:
    takes()
    desk = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))

    with pytest.raises(MayNotRecord):
        agree(case, desk)


def test_plan_is_told_again_only_while_it_is_cleared(case: Appointment, takes: Any, nurse: Actor) -> None:
    takes()
    with pytest.raises(clearing.PlanNotReady):
        clearing.tell_again(appointment=case, by=nurse, at=NOW)
    agree(case, nurse)
    Appointment.objects.filter(pk=case.pk).update(calendar_sequence=case.calendar_sequence + 1)

    assert clearing.tell_again(appointment=case, by=nurse, at=NOW).state == "due"
    assert Message.objects.filter(appointment=case, kind=MessageKind.PLAN_READY).count() == 2


def test_nobody_asked_is_not_nothing_taken(case: Appointment, nurse: Actor, clinic: SmallClinic) -> None:
    assert plan(case) == holdplan.Plan((), False)

    known = {"topic": "antithrombotics", "asked_on": TODAY}
    records.record(kind=Asked, patient=clinic.patient, values=known, by=nurse, at=NOW)

    assert plan(case) == holdplan.Plan((), True)


def test_letter_names_the_medicine_the_moments_and_the_source(case: Appointment, takes: Any) -> None:
    takes(prescriber="Dr. #Heart $x$", prescriber_contact="fax 1", dose="5 mg twice", indication="atrial_fibrillation")

    content = holdplan.clearance_letter(case=case, line=plan(case).lines[0], at=NOW)

    assert (content["drug"], content["length"], content["prescriber"]) == ("Apixaban", "72 hours", "Dr. #Heart $x$")
    assert content["last"] == holdplan.told(plan(case).lines[0].held.last_dose)
    assert papers.pdf(holdplan.SOURCE, content, at=NOW)[:5] == b"%PDF-"


def test_nurse_asks_and_answers_by_page(
    case: Appointment, takes: Any, signed_in: Callable[..., Client], clinic: SmallClinic
) -> None:
    takes()
    client, address = signed_in("nurse", clinic.site), f"/appointments/{case.public_id}/medicines/"

    assert "Last dose not after" in client.get(address).content.decode()
    assert client.get(f"{address}apixaban/letter.pdf")["Content-Type"] == "application/pdf"
    assert client.get(f"{address}aspirin/letter.pdf").status_code == 422
    assert client.post(f"{address}apixaban/", {"act": "ask"}).status_code == 303
    assert client.post(f"{address}apixaban/", {"act": "ask"}).status_code == 409
    assert client.post(f"{address}apixaban/", {"act": "answer", "apixaban-is_agreed": "yes"}).status_code == 422
    said = {"apixaban-is_agreed": "yes", "apixaban-answered_by": "Dr. Heart", "apixaban-how": "fax"}
    assert client.post(f"{address}apixaban/", {"act": "answer", **said}).status_code == 303
    assert "Every prescriber has agreed." in client.get(address).content.decode()
    page = client.get(address)
    form = {name: page.context[name] for name in ("request_key", "told")}
    assert (f'value="{form["request_key"]}"' in page.content.decode(), bool(form["told"])) == (True, True)
    assert client.post(f"{address}tell/", form).status_code == 303
    Message.objects.filter(kind=MessageKind.PLAN_READY).update(state="sent")
    again = {**form, "told": client.get(address).context["told"]}
    assert client.post(f"{address}tell/", again).status_code == 422  # one key, two meanings
    for pressed in (form, {**form, "request_key": "another tab"}):
        assert client.post(f"{address}tell/", pressed).status_code == 303
    assert Message.objects.filter(kind=MessageKind.PLAN_READY).count() == 1
    assert client.post(f"{address}tell/", {**again, "request_key": "looked anew"}).status_code == 303
    assert Message.objects.filter(kind=MessageKind.PLAN_READY).count() == 2
    move(case, days=1)
    assert client.post(f"{address}tell/", {**again, "request_key": "looked before"}).status_code == 422
    moved = client.get(address).content.decode()
    assert "Given for other times" in moved
    assert "Every prescriber has agreed." not in moved


def test_who_may_see_and_who_may_not(case: Appointment, signed_in: Callable[..., Client], clinic: SmallClinic) -> None:
    address = f"/appointments/{case.public_id}/medicines/"

    assert signed_in("desk", clinic.site).get(address).status_code == 200
    assert signed_in("biller", clinic.site).get(address).status_code == 403
    assert signed_in("desk", clinic.site).post(f"{address}apixaban/", {"act": "ask"}).status_code == 403
    assert signed_in("nurse", factories.site()).get(address).status_code == 404


def test_letter_about_a_decision_names_no_moments(case: Appointment, takes: Any) -> None:
    takes("aspirin_primary")

    content = holdplan.clearance_letter(case=case, line=plan(case).lines[0], at=NOW)

    assert (content["is_hold"], content["last"], content["restart"]) == (False, "", "")
    assert content["day"] == holdplan.told(SLOT)


def test_of_a_decision_it_is_written_down_what_was_decided(
    case: Appointment, takes: Any, clinic: SmallClinic, signed_in: Any
) -> None:
    takes("aspirin_primary")
    address, client = f"/appointments/{case.public_id}/medicines/", signed_in("nurse", clinic.site)
    said = {"act": "answer", "aspirin_primary-answered_by": "Dr. Heart", "aspirin_primary-how": "fax"}

    page = client.get(address).content.decode()
    assert ("Decided together" in page, "Does not agree" in page) == (True, False)
    unsaid = client.post(f"{address}aspirin_primary/", {**said, "aspirin_primary-is_agreed": "yes"})
    assert (unsaid.status_code, Clearance.objects.count()) == (422, 0)
    client.post(f"{address}aspirin_primary/", {**said, "aspirin_primary-is_agreed": "yes", "aspirin_primary-note": "Goes on"})
    shown = client.get(address).content.decode()
    assert "decided together: Dr. Heart" in shown
    assert "Goes on" in shown
    client.post(f"{address}aspirin_primary/", {**said, "aspirin_primary-is_agreed": "no"})
    assert "not decided: Dr. Heart" in client.get(address).content.decode()


def test_an_answer_to_another_question_than_the_one_shown_is_not_taken(
    case: Appointment, takes: Any, clinic: SmallClinic, signed_in: Any
) -> None:
    takes()  # which is held
    address, client = f"/appointments/{case.public_id}/medicines/", signed_in("nurse", clinic.site)
    said = {
        "act": "answer", "apixaban-answered_by": "Dr. Heart", "apixaban-how": "fax", "apixaban-is_agreed": "yes",
        "apixaban-note": "Goes on",
    }  # fmt: skip
    old = client.post(f"{address}apixaban/", {**said, "kind": "decision"})
    assert (old.status_code, Clearance.objects.count()) == (409, 0)
    assert 'name="kind" value="hold"' in old.content.decode()
    assert client.post(f"{address}apixaban/", {**said, "kind": "hold"}).status_code == 303
    assert Clearance.objects.get().kind == "hold"


def test_a_decision_without_a_word_of_what_was_decided_is_refused_by_the_verb(
    case: Appointment, takes: Any, nurse: Actor
) -> None:
    takes("aspirin_primary")
    said = {"answered_by": "Dr. Heart", "how": "fax", "by": nurse, "at": NOW}
    with pytest.raises(records.FieldRefused, match=clearing.DECISION_NEEDS):
        clearing.answer(appointment=case, drug="aspirin_primary", is_agreed=True, note=" ", **said)
    assert clearing.answer(appointment=case, drug="aspirin_primary", is_agreed=False, **said).kind == "decision"
    assert clearing.answer(appointment=case, drug="aspirin_primary", is_agreed=True, note="Goes on", **said).note == "Goes on"
