"""What is on file, as the rules' facts: unknown stays unknown, mistakes count for nothing, one statement for any number."""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from patients import facts
from patients.models import (
    Allergy,
    Asked,
    Authorization,
    AuthorizationUse,
    Clearance,
    Condition,
    Coverage,
    GivenDrug,
    Implant,
    LabResult,
    Medication,
    Patient,
    PerformedProcedure,
    PlannedSurgery,
    Presentation,
    Recorded,
    Score,
    Vaccination,
)
from procedures.rules import Facts, Request
from procedures.rules import facts as told
from tests import factories
from tests.factories import NEW_YORK, NOW, TODAY

ON = TODAY + timedelta(days=20)
DAY = timedelta(days=1)
numbers = itertools.count(1)


def put(model: type[Recorded], patient: Patient, /, **values: Any) -> Any:
    return model._default_manager.create(patient=patient, recorded_at=NOW, **values)


def filled(patient: Patient, on: date = ON, at: datetime = NOW, **request: Any) -> Facts:
    request = {"procedure": "esi_caudal", "family": "esi", **request}
    return facts.facts_of(patient, Request(on=on, **request), at=at, zone=NEW_YORK)


@pytest.fixture
def patient(db: None) -> Patient:
    return factories.patient(birth_date=date(1970, 3, 1), sex="female")


def test_of_whom_nothing_is_on_file_everything_is_unknown(patient: Patient) -> None:
    found = filled(patient)
    unknown = (found.pregnant, found.conditions, found.has_infection, found.antibiotics_until, found.glp1, found.medications)
    assert (*unknown, found.vaccines, found.allergies, found.implants) == (None,) * 9
    assert (found.labs, found.sessions, found.stents, found.surgeries, found.bleeding_risk_factors) == ((), (), (), (), ())
    assert (found.coverage, found.presentation) == (told.Coverage(), told.Presentation())
    assert (found.birth_on, found.sex, found.age, found.is_complete) == (date(1970, 3, 1), "female", 56, False)


def test_asked_and_nothing_is_known_and_not_unknown(patient: Patient) -> None:
    for topic in ("antithrombotics", "allergies", "conditions", "implants", "pregnancy", "infection", "vaccines", "glp1"):
        put(Asked, patient, topic=topic, asked_on=TODAY)
    found = filled(patient)
    assert (found.pregnant, found.has_infection, found.glp1, found.conditions) == (False, False, "", frozenset())
    assert (found.medications, found.vaccines, found.allergies, found.implants) == ((), (), (), ())


@pytest.mark.parametrize(("days", "known"), [(30, False), (31, None)])
def test_no_infection_and_no_pregnancy_hold_for_thirty_days(patient: Patient, days: int, known: bool | None) -> None:
    for topic in ("pregnancy", "infection"):
        put(Asked, patient, topic=topic, asked_on=ON - timedelta(days=days))
    found = filled(patient)
    assert (found.pregnant, found.has_infection) == (known, known)


def test_what_was_written_by_mistake_counts_for_nothing(patient: Patient) -> None:
    wrong = {"is_in_error": True, "error_reason": "another patient's"}
    put(Asked, patient, topic="implants", asked_on=TODAY, **wrong)
    put(Allergy, patient, agent="iodinated_contrast", severity="severe", **wrong)
    put(PerformedProcedure, patient, other_name="x", is_elsewhere=True, done_on=TODAY, **wrong)
    found = filled(patient)
    assert (found.implants, found.allergies, found.sessions) == (None, None, ())


def test_conditions_infection_and_pregnancy_hold_from_their_first_to_the_day_before_their_last(patient: Patient) -> None:
    put(Condition, patient, kind="diabetes")
    put(Condition, patient, kind="osteoporosis", ended_on=ON)
    put(Condition, patient, kind="bleeding_risk", name="Von Willebrand")
    put(Condition, patient, kind="infection", began_on=TODAY, ended_on=ON + DAY, antibiotics_until=ON - DAY)
    put(Condition, patient, kind="pregnancy", began_on=ON)
    found = filled(patient)
    assert (found.conditions, found.bleeding_risk_factors) == (frozenset({"diabetes"}), ("Von Willebrand",))
    assert (found.has_infection, found.antibiotics_until, found.pregnant) == (True, ON - DAY, True)
    over = filled(patient, ON + DAY)
    assert (over.has_infection, over.pregnant) == (False, True)
    assert filled(patient, ON - DAY).pregnant is None  # nobody has said that she is not
    assert filled(patient, ON + timedelta(days=32)).has_infection is None  # long over: nobody has said that there is none


def test_medicines_taken_stopped_and_planned_to_stop(patient: Patient) -> None:
    noon = datetime(2026, 10, 1, 16, 0, tzinfo=factories.NOW.tzinfo)  # noon in New York
    put(Medication, patient, kind="antithrombotic", drug="apixaban", name="Apixaban", dose="5 mg")
    put(Medication, patient, kind="antithrombotic", drug="warfarin", name="Warfarin", last_dose_at=noon, stopped_on=noon.date())
    put(Medication, patient, kind="antithrombotic", drug="clopidogrel", name="Long ago", stopped_on=TODAY - timedelta(days=60))
    put(Medication, patient, kind="antithrombotic", drug="ticagrelor", name="Lately", stopped_on=TODAY - DAY)
    put(Medication, patient, kind="glp1", drug="weekly", name="Semaglutide")
    put(Medication, patient, kind="other", name="Gabapentin")
    found = filled(patient)
    assert found.medications == (
        told.Medication("apixaban", None, is_taken=True, dose="5 mg"),
        told.Medication("warfarin", datetime(2026, 10, 1, 12, 0), is_taken=False),
        told.Medication("ticagrelor", TODAY - DAY, is_taken=False),
    )
    assert found.glp1 == "weekly"
    # Thirty days after it was stopped it still counts, a day later no more.
    assert len(filled(patient, TODAY + timedelta(days=29)).medications or ()) == 3
    assert len(filled(patient, TODAY + timedelta(days=30)).medications or ()) == 2


def test_implants_stents_labs_vaccines_surgery_and_allergies(patient: Patient) -> None:
    put(Implant, patient, device="pacemaker", has_plan=True)
    put(Implant, patient, device="scs", removed_on=TODAY)
    put(Implant, patient, device="stent_bare", placed_on=TODAY, is_after_acs=False)
    put(Implant, patient, device="stent_drug_eluting")
    put(LabResult, patient, test="inr", value=Decimal("1.30"), taken_on=TODAY)
    put(Vaccination, patient, kind="live", given_on=ON)
    put(PlannedSurgery, patient, kind="arthroplasty", site="right_knee", planned_on=ON)
    put(Allergy, patient, agent="iodinated_contrast")
    put(Allergy, patient, agent="shellfish", severity="mild")
    found = filled(patient)
    assert found.implants == (told.Implant("pacemaker", has_plan=True),)
    assert found.stents == (told.Stent("bare", TODAY), told.Stent("drug_eluting", None, is_after_acs=True))
    assert found.labs == (told.Lab("inr", TODAY, Fraction(13, 10)),)
    assert (found.vaccines, found.surgeries) == (
        (told.Vaccine("live", ON),),
        (told.Surgery("arthroplasty", "right_knee", ON),),
    )
    assert found.allergies == (told.Allergy("iodinated_contrast"), told.Allergy("shellfish", "mild"))


def test_performed_procedures_with_their_drugs_and_relief(patient: Patient) -> None:
    site = patient.home_site
    caudal = factories.procedure(code="esi_caudal", approach="caudal", steroid="yes")
    first = put(
        PerformedProcedure, patient, procedure=caudal, site=site, done_on=TODAY - timedelta(days=100), appointment=uuid.uuid4(),
        has_kx=False, function_improved=True, medication_reduction=Decimal("20"), side="left", levels=["L4-L5", "nowhere"],
    )  # fmt: skip
    put(GivenDrug, patient, performed=first, kind="steroid", drug="triamcinolone_acetonide", dose_mg=40, given_on=first.done_on)
    put(GivenDrug, patient, performed=first, kind="contrast", drug="iohexol", given_on=first.done_on)
    for value, after, phase in ((8, 0, "before"), (2, 0, "after"), (3, 95, "follow_up")):
        put(Score, patient, measure="nrs", aspect="index", value=value, scored_on=first.done_on + DAY * after, phase=phase,
            performed=first)  # fmt: skip
    put(Score, patient, measure="odi", value=50, scored_on=first.done_on, phase="before", performed=first)
    put(Score, patient, measure="odi", value=20, scored_on=first.done_on + DAY * 95, phase="follow_up", performed=first)
    put(PerformedProcedure, patient, other_name="Knee, elsewhere", is_elsewhere=True, done_on=TODAY, body_site="right_knee")
    put(GivenDrug, patient, kind="steroid", drug="dexamethasone", dose_mg=10, given_on=TODAY - DAY)
    put(PerformedProcedure, patient, procedure=caudal, site=site, done_on=TODAY - DAY * 7)
    found = {(one.procedure, one.on): one for one in filled(patient).sessions}
    assert len(found) == 4
    kept = found["esi_caudal", first.done_on]
    assert (kept.family, kept.approach, kept.side, kept.levels) == ("esi", "caudal", "left", ("L4-L5",))
    assert (kept.drug, kept.dose_mg, kept.has_kx, kept.function_improved) == ("triamcinolone_acetonide", 40, False, True)
    assert kept.medication_reduction == 20
    assert kept.scores == (
        told.Score(first.done_on, Fraction(75), None),
        told.Score(first.done_on + DAY * 95, Fraction(125, 2), Fraction(60)),
    )
    knee = found["other", TODAY]
    assert (knee.is_elsewhere, knee.side, knee.site) == (True, "right", "knee")
    assert (found["other", TODAY - DAY].drug, found["other", TODAY - DAY].dose_mg) == ("dexamethasone", 10)
    # Nobody wrote down what was given, and the catalogue says that a steroid was.
    assert found["esi_caudal", TODAY - DAY * 7].drug == "dexamethasone"


def test_coverage_of_the_day_with_its_authorisations_and_units_left(patient: Patient) -> None:
    old = put(Coverage, patient, payer="Old", payer_rules="none", plan_type="commercial", valid_until=ON - DAY)
    now = put(Coverage, patient, payer="New", payer_rules="medicare_multi_mac_2026", plan_type="original_medicare", valid_from=ON,
              year_anchor=TODAY, place_of_service="22", state="OH")  # fmt: skip
    put(Coverage, patient, payer="Second", payer_rules="none", plan_type="commercial", rank=2)
    held = put(
        Authorization, patient, coverage=now, covers="rfa_facet_lumbar", codes=["64635"], side="left", levels=["L4-L5"],
        status="approved", decided_on=TODAY, valid_from=ON, valid_until=ON + DAY, units=2,
    )  # fmt: skip
    put(Authorization, patient, coverage=old, covers="facet_rfa")
    done = put(PerformedProcedure, patient, other_name="x", is_elsewhere=True, done_on=TODAY)
    put(AuthorizationUse, patient, authorization=held, performed=done, units=1, used_on=TODAY)
    found = filled(patient).coverage
    assert (found.payer_rules, found.plan_type, found.year_anchor) == ("medicare_multi_mac_2026", "original_medicare", TODAY)
    assert found.authorizations == (
        told.Authorization(
            "rfa_facet_lumbar", "rfa_facet_lumbar", "approved", TODAY, ON + DAY, ON, frozenset({"64635"}), frozenset({"left"}),
            frozenset({"L4-L5"}), 1,
        ),
    )  # fmt: skip
    assert filled(patient, ON - DAY).coverage.payer_rules == "none"
    known = facts.read([patient]).known[patient.pk]
    assert (known.place_of(ON), known.place_of(ON - DAY)) == (("22", "OH"), (None, None))
    assert known.has_coverage(ON)


def test_problem_of_the_same_levels_comes_before_any_other_and_one_of_the_other_side_not_at_all(patient: Patient) -> None:
    put(Presentation, patient, name="Right leg", side="right", levels=["L5-S1"], icd10="M54.16")
    put(Presentation, patient, name="Left leg", side="left", levels=["L4-L5"], icd10="M54.17", pain_since=TODAY - DAY * 41,
        imaging_on=date(2025, 9, 14), on_file=["written_consent", "x"], missing=["x"])  # fmt: skip
    put(Presentation, patient, name="All over", icd10="M79.7")
    put(Score, patient, measure="nrs", value=7, scored_on=TODAY - DAY)
    put(Score, patient, measure="nrs", value=4, scored_on=TODAY - DAY * 9)
    found = filled(patient, several=(told.Wanted("esi_tf_lumbar", "esi", "left", ("L4-L5",)),)).presentation
    assert (found.icd10, found.pain_weeks, found.imaging_months, found.pain_score) == ("M54.17", 5, 12, 7)
    assert (found.on_file, found.missing) == (frozenset({"written_consent"}), frozenset({"x"}))
    other = filled(patient, several=(told.Wanted("esi_tf_lumbar", "esi", "right", ("L4-L5",)),)).presentation
    assert other.icd10 == "M79.7"


@pytest.mark.parametrize("values", [{}, {"ended_on": TODAY}], ids=["runs", "ended"])
def test_problem_that_is_named_comes_before_the_nearest_whether_it_has_ended_or_not(patient: Patient, values: Any) -> None:
    put(Presentation, patient, name="Left leg", side="left", levels=["L4-L5"], icd10="M54.17")
    meant = put(Presentation, patient, name="Neck", side="right", levels=["C5-C6"], icd10="M54.12", **values)
    wanted = (told.Wanted("esi_tf_lumbar", "esi", "left", ("L4-L5",)),)
    assert filled(patient, several=wanted).presentation.icd10 == "M54.17"
    assert filled(patient, several=wanted, problem=meant.pk).presentation.icd10 == "M54.12"
    Presentation.objects.filter(pk=meant.pk).update(is_in_error=True, error_reason="Another patient")
    assert filled(patient, several=wanted, problem=meant.pk).presentation.icd10 == "M54.17"


def test_one_statement_reads_one_patient_and_many(patient: Patient, django_assert_num_queries: Any) -> None:
    people = [patient, *(factories.patient(home=patient.home_site) for _ in range(4))]
    for number, one in enumerate(people):
        for _ in range(number):
            put(LabResult, one, test="inr", value=1, taken_on=TODAY)
    with django_assert_num_queries(1):
        facts.read([patient])
    with django_assert_num_queries(1):
        known = facts.read(people).known
    assert [len(known[one.pk].rows.get("lab", ())) for one in people] == [0, 1, 2, 3, 4]


def test_stamp_changes_with_the_rows_behind_a_fact_and_with_no_others(patient: Patient) -> None:
    def stamps() -> tuple[str, str]:
        known = facts.read([patient]).known[patient.pk]
        return known.stamp({"labs"}), known.stamp({"medications", "labs"})

    before = stamps()
    put(Allergy, patient, agent="latex")
    assert stamps() == before
    put(Medication, patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    assert stamps()[0] == before[0]
    assert stamps()[1] != before[1]


def test_a_word_for_no_day_is_stamped_as_before_days_were_kept_so_that_waivers_last(patient: Patient) -> None:
    taken = put(Medication, patient, kind="antithrombotic", drug="warfarin", name="Warfarin")
    said = {"kind": "decision", "answer": "given", "answered_on": TODAY, "answered_by": "Dr. Heart", "note": "Goes on"}
    word = put(Clearance, patient, medication=taken, **said)

    def stamp() -> str:
        return facts.read([patient]).known[patient.pk].stamp({"medications"})

    known = facts.read([patient]).known[patient.pk]
    as_before = {**known.rows, "clearance": [row[:8] for row in known.rows["clearance"]]}
    rows = [[kind, as_before.get(kind, [])] for kind in ("asked", "clearance", "medication")]
    assert stamp() == hashlib.sha256(json.dumps(rows, default=str, sort_keys=True).encode()).hexdigest()
    before = stamp()
    Clearance.objects.filter(pk=word.pk).update(decided_for=NOW)
    assert stamp() != before


@pytest.mark.parametrize(("ended", "icd10"), [(ON + DAY, "M54.16"), (ON, None)])
def test_problem_that_is_over_on_the_day_is_none_any_more(patient: Patient, ended: date, icd10: str | None) -> None:
    put(Presentation, patient, name="Right leg", icd10="M54.16", ended_on=ended)
    assert filled(patient).presentation.icd10 == icd10
