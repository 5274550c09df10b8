"""Facts are recorded, amended under history and marked as mistakes; each act leaves a word for the floors above."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import outcomes, records
from patients.models import (
    Allergy,
    Condition,
    FactChange,
    Medication,
    Patient,
    PerformedProcedure,
    Phase,
    Score,
    SessionOutcome,
)
from tests import factories
from tests.factories import SmallClinic


@pytest.fixture
def person(clinic: SmallClinic) -> Patient:
    return factories.patient(home=clinic.site)


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def done(clinic: SmallClinic, person: Patient, nurse: Actor, at: datetime) -> PerformedProcedure:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 3, 2), "side": "left"}
    return records.record(kind=PerformedProcedure, patient=person, values=values, by=nurse, at=at)


APIXABAN = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban", "dose": "5 mg twice a day"}


def test_recording_writes_the_row_its_audit_event_and_the_word_for_above(person: Patient, nurse: Actor, at: datetime) -> None:
    row = records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)

    assert Medication.objects.of(person).get() == row
    assert (row.recorded_by_id, row.recorded_at, row.version) == (nurse.user_id, at, 1)
    event = AuditEvent.objects.get(act="patients.record_medication")
    assert (event.subject_id, event.details) == (row.public_id, {"fields": ["dose", "drug", "kind", "name"]})
    assert list(FactChange.objects.values_list("patient", "kind", "done_at")) == [(person.pk, "medication", None)]


def test_amending_keeps_the_old_value_in_the_row_history(person: Patient, nurse: Actor, at: datetime) -> None:
    row = records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)
    kept = records.amend_fact(row=row, changes={"dose": "2.5 mg twice a day"}, by=nurse, at=at, version=1)

    assert (kept.dose, kept.version) == ("2.5 mg twice a day", 2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT dose FROM patients_medicationevent WHERE pgh_obj_id = %s ORDER BY pgh_id", [row.pk])
        assert cursor.fetchall() == [("5 mg twice a day",), ("2.5 mg twice a day",)]


def test_amending_to_the_same_writes_nothing(person: Patient, nurse: Actor, at: datetime) -> None:
    row = records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)

    assert records.amend_fact(row=row, changes={"dose": row.dose}, by=nurse, at=at).version == 1
    assert not AuditEvent.objects.filter(act="patients.amend_medication").exists()


def test_a_second_change_of_an_old_version_is_refused(person: Patient, nurse: Actor, at: datetime) -> None:
    row = records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)
    records.amend_fact(row=row, changes={"dose": "other"}, by=nurse, at=at, version=1)

    with pytest.raises(records.FactStale) as refusal:
        records.amend_fact(row=row, changes={"dose": "mine"}, by=nurse, at=at, version=1)
    assert (refusal.value.code, refusal.value.details) == ("stale", {"version": 2})


def test_what_was_a_mistake_stays_and_counts_for_nothing(person: Patient, nurse: Actor, at: datetime) -> None:
    row = records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)
    with pytest.raises(records.FieldRefused) as nameless:
        records.mark_in_error(row=row, reason="  ", by=nurse, at=at)
    records.mark_in_error(row=row, reason="another patient's list", by=nurse, at=at)

    assert nameless.value.field == "error_reason"
    assert not Medication.objects.of(person).exists()
    assert not Medication.objects.standing().exists()
    assert Medication.objects.get().error_reason == "another patient's list"
    with pytest.raises(records.NotAFact):
        records.amend_fact(row=row, changes={"dose": "x"}, by=nurse, at=at)


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        (Medication, {**APIXABAN, "patient": None}, "patient"),
        (Medication, {**APIXABAN, "colour": "red"}, "colour"),
        (Medication, {**APIXABAN, "kind": "potion"}, "kind"),
        (Medication, {**APIXABAN, "drug": ""}, ""),
        (Allergy, {"agent": "other"}, ""),
        (Condition, {"kind": "diabetes", "began_on": date(2026, 2, 2), "ended_on": date(2026, 2, 1)}, ""),
    ],
)
def test_what_cannot_be_kept_is_refused_by_field(
    person: Patient, nurse: Actor, at: datetime, kind: type[Any], values: dict[str, Any], field: str
) -> None:
    with pytest.raises(records.FieldRefused) as refusal:
        records.record(kind=kind, patient=person, values=values, by=nurse, at=at)

    assert refusal.value.field == field
    assert not kind.objects.exists()


def test_the_desk_may_record_a_score_but_no_medicine(person: Patient, by: Actor, at: datetime) -> None:
    with pytest.raises(records.MayNotRecord) as refusal:
        records.record(kind=Medication, patient=person, values=APIXABAN, by=by, at=at)
    outcomes.record_score(patient=person, values={"measure": "nrs", "value": 6, "scored_on": at.date()}, by=by, at=at)

    assert refusal.value.details == {"permission": "patients.record_clinical"}
    assert Score.objects.of(person).count() == 1


def test_facts_are_visible_where_the_patient_is_known(clinic: SmallClinic, person: Patient, nurse: Actor, at: datetime) -> None:
    records.record(kind=Medication, patient=person, values=APIXABAN, by=nurse, at=at)
    colleague = factories.user(role="nurse", sites=(clinic.site,))
    stranger = factories.user(role="nurse", sites=(factories.site(),))

    assert Medication.objects.all().visible_to(colleague).count() == 1
    assert Medication.objects.all().visible_to(stranger).count() == 0


def score(done: PerformedProcedure, on: date, value: str, phase: str, measure: str = "nrs") -> dict[str, Any]:
    return {"measure": measure, "aspect": "index", "value": Decimal(value), "scored_on": on, "phase": phase, "performed": done}


def test_scores_say_what_a_session_brought(person: Patient, done: PerformedProcedure, nurse: Actor, at: datetime) -> None:
    told = [
        score(done, date(2026, 3, 2), "8", Phase.BEFORE),
        score(done, date(2026, 3, 2), "7", Phase.BEFORE, "peg"),
        score(done, date(2026, 3, 16), "1", Phase.FOLLOW_UP),
        score(done, date(2026, 4, 13), "4", Phase.FOLLOW_UP),
        score(done, date(2026, 4, 13), "3", Phase.FOLLOW_UP, "peg"),
        score(done, date(2026, 6, 2), "5", Phase.FOLLOW_UP),
    ]
    for values in told:
        outcomes.record_score(patient=person, values=values, by=nurse, at=at)

    outcome = SessionOutcome.objects.get(performed=done)
    assert (outcome.measure, outcome.baseline, outcome.score_count) == ("nrs", 8, 3)
    assert (outcome.first_pct, outcome.best_pct, outcome.last_pct) == (Decimal("87.5"), Decimal("87.5"), Decimal("37.5"))
    assert (outcome.held_50_until, outcome.lost_50_on) == (date(2026, 4, 13), date(2026, 6, 2))
    assert (outcome.held_80_until, outcome.lost_80_on) == (date(2026, 3, 16), date(2026, 4, 13))
    assert (outcome.peg_before, outcome.peg_last) == (7, 3)


def test_an_amended_or_withdrawn_score_renews_the_outcome(
    person: Patient, done: PerformedProcedure, nurse: Actor, at: datetime
) -> None:
    outcomes.record_score(patient=person, values=score(done, date(2026, 3, 2), "8", Phase.BEFORE), by=nurse, at=at)
    later = outcomes.record_score(patient=person, values=score(done, date(2026, 3, 16), "4", Phase.FOLLOW_UP), by=nurse, at=at)
    outcomes.amend_score(score=later, changes={"value": Decimal(2)}, by=nurse, at=at)
    amended = SessionOutcome.objects.get(performed=done).last_pct
    outcomes.withdraw_score(score=later, reason="typed twice", by=nurse, at=at)

    assert amended == 75
    assert SessionOutcome.objects.get(performed=done).last_pct is None
    assert outcomes.refresh([done.pk]) == 0


def test_a_score_given_as_a_range_is_kept_and_proves_nothing(
    person: Patient, done: PerformedProcedure, nurse: Actor, at: datetime
) -> None:
    outcomes.record_score(patient=person, values=score(done, date(2026, 3, 2), "8", Phase.BEFORE), by=nurse, at=at)
    values = {**score(done, date(2026, 3, 9), "0", Phase.FOLLOW_UP), "value": None, "range_text": "2-8"}
    outcomes.record_score(patient=person, values=values, by=nurse, at=at)

    assert SessionOutcome.objects.get(performed=done).last_pct is None


def test_scores_that_cannot_be_are_refused(
    clinic: SmallClinic, person: Patient, done: PerformedProcedure, nurse: Actor, at: datetime
) -> None:
    good = score(done, date(2026, 3, 16), "4", Phase.FOLLOW_UP)
    stranger = factories.patient(home=clinic.site)
    for patient, values, code in [
        (person, {**good, "measure": "mood"}, "measure_unknown"),
        (person, {**good, "value": Decimal("10.01")}, "out_of_range"),
        (person, {**good, "scored_on": None}, "missing"),
        (person, {**good, "scored_on": date(2026, 3, 1)}, "before_the_procedure"),
        (person, {**good, "phase": Phase.BEFORE}, "after_the_procedure"),
        (stranger, good, "not_this_patient"),
    ]:
        with pytest.raises(records.FieldRefused) as refusal:
            outcomes.record_score(patient=patient, values=values, by=nurse, at=at)
        assert refusal.value.code == code
    assert not Score.objects.exists()
