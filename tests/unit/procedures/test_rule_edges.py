"""What written cases cannot say: facts not yet on file, and rules of families that nobody asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from procedures.rules import Session, assess
from procedures.rules.book import Switches
from procedures.rules.facts import (
    Allergy,
    Authorization,
    Coverage,
    Implant,
    Lab,
    Medication,
    Presentation,
    Score,
    Stent,
    Vaccine,
)
from procedures.rules.payer.criteria import DiagnosisList
from procedures.rules.rows import latest
from tests.unit.procedures.live_facts import BOOK, MEDICARE, ON, judged, live, pending, refusing, want


def test_patient_of_whom_nothing_is_on_file_waits_and_can_be_booked() -> None:
    facts = live(want("esi_il_cervical", levels=("C7-T1",)), sex="female", birth_on=date(1990, 3, 10))
    assert refusing(facts) == set()
    assert pending(facts) == {
        "antithrombotic_hold",
        "mcr_esi_initial",
        "pregnancy_fluoro",
        "escort_catalogue",
        "cervical_il_level",
        "active_infection",
        "recent_antibiotics",
        "contrast_mild_reaction",
        "contrast_severe",
    }


def test_word_on_file_is_met_and_word_known_to_be_missing_refuses() -> None:
    words = frozenset({"prior_imaging_reviewed"})
    wanted = want("esi_il_cervical", levels=("C7-T1",))
    met = live(wanted, medications=(), presentation=Presentation(on_file=words))
    assert "cervical_il_level" not in pending(met) | refusing(met)
    bad = live(wanted, medications=(), presentation=Presentation(missing=words, pain_weeks=2))
    assert {"cervical_il_level", "mcr_esi_initial"} <= refusing(bad)


def test_low_risk_work_too_waits_until_somebody_asked_about_blood_thinners() -> None:
    """The table holds heparin and enoxaparin and wants a shared decision for apixaban at low risk too."""
    assert pending(live(want("tpi"))) == {"antithrombotic_hold", "mcr_tpi_dx", "active_infection", "recent_antibiotics"}
    assert "antithrombotic_hold" not in pending(live(want("tpi"), medications=()))
    apixaban = live(want("tpi"), medications=(Medication("apixaban"),))
    assert "antithrombotic_shared_decision" in pending(apixaban)


@pytest.mark.parametrize(("drugs", "waits"), [({"aspirin_primary"}, False), ({"aspirin_primary", "ufh_iv"}, True)])
def test_nobody_has_to_ask_where_the_table_asks_nothing_of_any_drug(drugs: set[str], waits: bool) -> None:
    table = BOOK.thinners.drugs
    kept = {drug: table[drug] for drug in drugs}
    found = list(replace(BOOK.thinners, drugs=kept).check(live(want("tpi")), ON))
    assert [finding.code for finding in found] == ["antithrombotic_hold"] * waits


STEROID: dict[str, Any] = {"drug": "methylprednisolone_acetate", "dose_mg": Fraction(80)}


@pytest.mark.parametrize(
    ("wanted", "facts", "code", "waits", "refuses"),
    [
        ("tpi", {"has_infection": None}, "active_infection", True, False),
        ("tpi", {"has_infection": False}, "active_infection", False, False),
        ("tpi", {"has_infection": True}, "active_infection", False, True),
        ("tpi", {"has_infection": None, "antibiotics_until": ON}, "recent_antibiotics", False, True),
        ("tpi", {"has_infection": False}, "recent_antibiotics", False, False),
        ("esi_caudal", {"allergies": None}, "contrast_severe", True, False),
        ("esi_caudal", {"allergies": ()}, "contrast_severe", False, False),
        ("esi_caudal", {"allergies": (Allergy("iodinated_contrast", "severe"),)}, "contrast_severe", False, True),
        ("esi_caudal", {"allergies": (Allergy("iodinated_contrast"),)}, "contrast_severe", True, False),
        ("esi_caudal", {"allergies": (Allergy("iodinated_contrast"),)}, "contrast_mild_reaction", True, False),
        ("esi_caudal", {"allergies": (Allergy("iodinated_contrast", "mild"),)}, "contrast_mild_reaction", False, True),
        ("tpi", {"allergies": None}, "contrast_severe", False, False),  # no contrast is planned
        ("rfa_pulsed", {"implants": None}, "cied_rfa", True, False),
        ("rfa_pulsed", {"implants": ()}, "cied_rfa", False, False),
        ("rfa_pulsed", {"implants": (Implant("icd", has_plan=False),)}, "cied_rfa", False, True),
        ("tpi", {"implants": None}, "cied_rfa", False, False),  # nothing is ablated
        ("esi_caudal", {"vaccines": None}, "vaccine_live", True, False),
        ("esi_caudal", {"vaccines": ()}, "vaccine_live", False, False),
        ("esi_caudal", {"vaccines": (Vaccine("live", ON),)}, "vaccine_live", False, True),
        ("esi_caudal", {"conditions": None}, "diabetes_a1c", True, False),
        ("esi_caudal", {"conditions": frozenset({"diabetes"})}, "diabetes_a1c", True, False),
        ("esi_caudal", {"conditions": frozenset()}, "diabetes_a1c", False, False),
        ("esi_caudal", {"conditions": None, "labs": (Lab("hba1c", ON, Fraction(9)),)}, "diabetes_a1c", False, True),
    ],
)  # fmt: skip
def test_what_nobody_asked_waits_and_what_is_known_does_not(
    wanted: str, facts: dict[str, Any], code: str, waits: bool, refuses: bool
) -> None:
    details = {"side": "left", "levels": ("L4-L5",)} if wanted == "rfa_pulsed" else STEROID if wanted == "esi_caudal" else {}
    known = {"medications": (), "has_infection": False, "allergies": (), "implants": (), "conditions": frozenset(), **facts}
    told = live(want(wanted, **details), **known)
    assert (code in pending(told), code in refusing(told)) == (waits, refuses)
    # Whoever writes a case vouches for it: there nothing is unknown.
    assert code not in pending(replace(told, is_complete=True))


def test_premedication_that_nobody_planned_yet_waits_and_none_refuses() -> None:
    allergies = (Allergy("iodinated_contrast", "mild"),)
    unplanned = live(want("esi_caudal"), allergies=allergies, request={"premedication": None})
    assert "contrast_mild_reaction" in pending(unplanned)
    none = live(want("esi_caudal"), allergies=allergies, request={"premedication": ""})
    assert "contrast_mild_reaction" in refusing(none)


def test_glp1_waits_only_before_sedation() -> None:
    assert "glp1_weekly" in pending(live(want("tpi"), glp1=None, request={"sedation": "moderate"}))
    assert "glp1_weekly" not in pending(live(want("tpi"), glp1=None, request={"sedation": "minimal"}))
    assert "glp1_weekly" not in pending(live(want("tpi"), glp1="", request={"sedation": "moderate"}))
    assert "glp1_weekly" in refusing(live(want("tpi"), glp1="weekly", request={"sedation": "moderate"}))


def test_pregnancy_waits_where_nobody_knows_the_sex_either() -> None:
    assert "pregnancy_fluoro" in pending(live(want("esi_caudal"), sex=None, birth_on=date(1990, 3, 10)))
    assert "pregnancy_fluoro" not in pending(live(want("esi_caudal"), sex="male", birth_on=date(1990, 3, 10)))


def test_steroid_that_nobody_chose_yet_waits_where_particles_matter() -> None:
    usual = replace(want("esi_tf_cervical", side="left", levels=("C5-C6",)), has_drug_told=False)
    assert "no_particulate_cervical_tf" in pending(live(usual))
    assert "no_particulate_cervical_tf" not in pending(live(replace(usual, has_drug_told=True)))
    bad = replace(usual, drug="methylprednisolone_acetate", has_drug_told=True)
    assert "no_particulate_cervical_tf" in refusing(live(bad))


def test_total_that_only_unknown_bones_or_an_untold_dose_make_too_much_waits() -> None:
    days = (ON - timedelta(days=60), ON - timedelta(days=120))
    given = tuple(Session(on, "esi_caudal", "esi", "performed", **STEROID) for on in days)
    told = want("esi_caudal", **STEROID)
    asked = {"sessions": given, "medications": ()}
    assert "cumulative_bone_risk" in pending(live(told, conditions=None, **asked))
    assert "cumulative_bone_risk" in refusing(live(told, conditions=frozenset({"osteoporosis"}), **asked))
    assert "cumulative_bone_risk" not in judged(live(told, conditions=frozenset(), **asked))
    assert "cumulative_bone_risk" not in judged(live(told, conditions=None, medications=()))  # kept, whoever it is
    guessed = replace(told, has_drug_told=False)
    assert "cumulative_bone_risk" in pending(live(guessed, conditions=frozenset({"osteoporosis"}), **asked))


def test_stent_of_an_unknown_day_waits() -> None:
    taken = (Medication("clopidogrel", date(2027, 2, 1), is_taken=False, is_cleared=True),)
    unknown = live(want("esi_caudal"), medications=taken, stents=(Stent("drug_eluting", None),))
    assert "antithrombotic_stent" in pending(unknown)
    young = live(want("esi_caudal"), medications=taken, stents=(Stent("drug_eluting", ON - timedelta(days=30)),))
    assert "antithrombotic_stent" in refusing(young)


def test_drug_that_the_clinic_took_out_of_its_table_is_not_passed_over() -> None:
    found = judged(live(want("esi_caudal"), medications=(Medication("unheard_of"),)))
    assert "antithrombotic_specialist:unheard_of" in found


@pytest.mark.parametrize(
    ("limits", "is_covered"),
    [
        ({}, True),
        ({"sides": frozenset({"left"})}, True),
        ({"sides": frozenset({"right"})}, False),
        ({"levels": frozenset({"L4-L5"})}, True),
        ({"levels": frozenset({"L3-L4"})}, False),
        ({"codes": frozenset({"64635"})}, True),
        ({"codes": frozenset({"62323"})}, False),
        ({"valid_from": ON}, True),
        ({"valid_from": ON + timedelta(days=1)}, False),
        ({"units_left": 1}, True),
        ({"units_left": 0}, False),
        ({"case": "this"}, True),
        ({"case": "another"}, False),
    ],
)
def test_authorization_covers_only_its_own_place_days_units_and_case(limits: dict[str, Any], is_covered: bool) -> None:
    held = Authorization("rfa_facet_lumbar", "facet_rfa", "approved", ON - timedelta(days=20), None, **limits)
    coverage = replace(MEDICARE, authorizations=(held,))
    asked = want("rfa_facet_lumbar", side="left", levels=("L4-L5",))
    facts = live(asked, coverage=coverage, request={"place_of_service": "22", "case": "this"})
    assert ("mcr_opd_pa_facet" not in refusing(facts) | pending(facts)) is is_covered


def test_clearance_decision_lab_and_device_plan_wait_for_their_facts() -> None:
    taken = (Medication("warfarin", date(2027, 3, 1), is_taken=False),)
    facts = live(want("esi_caudal"), medications=taken, implants=(Implant("scs"),))
    assert {"antithrombotic_clearance", "antithrombotic_lab"} <= pending(facts)
    shared = live(want("si_joint_ia", side="left"), medications=(Medication("warfarin"),))
    assert "antithrombotic_shared_decision" in pending(shared)
    ablation = live(want("rfa_pulsed", side="left", levels=("L4-L5",)), medications=(), implants=(Implant("pacemaker"),))
    assert "cied_rfa" in pending(ablation)


def test_response_without_a_record_waits_and_a_poor_one_refuses() -> None:
    before = Session(date(2026, 10, 1), "tpi", "tpi", "performed")
    facts = live(want("tpi"), sessions=(before,), medications=())
    assert "mcr_tpi_repeat" in pending(facts)
    poor = replace(before, scores=(Score(before.on, Fraction(10), Fraction(10)),))
    assert "mcr_tpi_repeat" in refusing(replace(facts, sessions=(poor,)))


@pytest.mark.parametrize(
    ("state", "place", "waits"),
    [(None, "11", True), (None, "23", False), ("CA", "11", False), ("OH", "11", True)],
)
def test_authorization_of_some_states_waits_where_nobody_knows_the_state(state: str | None, place: str, waits: bool) -> None:
    facts = live(want("esi_caudal"), request={"state": state, "place_of_service": place})
    found = [finding for finding in judged(facts).values() if finding.code == "mcr_wiser"]
    assert [(finding.pending, finding.about) for finding in found] == [(True, "" if state else "state not on file")] * waits
    # Written cases are complete: no state means none of these.
    assert ("mcr_wiser" in refusing(replace(facts, is_complete=True))) is (state == "OH")
    approved = Authorization("esi", "esi", "approved", ON - timedelta(days=1))
    known = live(want("esi_caudal"), request={"place_of_service": "11"}, coverage=replace(MEDICARE, authorizations=(approved,)))
    assert "mcr_wiser" not in pending(known) | refusing(known)


def test_authorization_waits_until_it_is_decided() -> None:
    wanted = want("mbb_lumbar", side="left", levels=("L4-L5",))
    place = {"place_of_service": "22"}
    assert "mcr_opd_pa_facet" in pending(live(wanted, request=place))
    asked = Coverage(
        *("medicare_multi_mac_2026", "original_medicare"), (Authorization("mbb_lumbar", "mbb_diagnostic", "pending"),)
    )
    assert "mcr_opd_pa_facet" in pending(live(wanted, request=place, coverage=asked))
    refused = replace(asked, authorizations=(Authorization("mbb_lumbar", "mbb_diagnostic", "refused"),))
    assert "mcr_opd_pa_facet" in refusing(live(wanted, request=place, coverage=refused))
    # Written cases are complete: nothing waits there.
    assert "mcr_opd_pa_facet" in refusing(replace(live(wanted, request=place), is_complete=True))


@pytest.mark.parametrize(
    ("status", "limits", "waits"),
    [
        ("approved", {"valid_until": ON - timedelta(days=1)}, True),
        ("approved", {"sides": frozenset({"right"})}, True),
        ("approved", {"units_left": 0}, True),
        ("refused", {"sides": frozenset({"right"})}, True),
        ("refused", {"sides": frozenset({"left"})}, False),
        ("refused", {"levels": frozenset({"L4-L5"}), "units_left": 0}, False),
    ],
)
def test_only_a_refusal_of_this_very_work_is_known_to_be_bad(status: str, limits: dict[str, Any], waits: bool) -> None:
    held = Authorization("mbb_diagnostic", "mbb_diagnostic", status, ON - timedelta(days=9), **limits)
    facts = live(
        want("mbb_lumbar", side="left", levels=("L4-L5",)), request={"place_of_service": "22"},
        coverage=replace(MEDICARE, authorizations=(held,)),
    )  # fmt: skip
    assert ("mcr_opd_pa_facet" in pending(facts), "mcr_opd_pa_facet" in refusing(facts)) == (waits, not waits)


def test_lesion_temperature_and_modic_type_wait() -> None:
    ablation = want("rfa_facet_lumbar", side="left", levels=("L4-L5",), technique="thermal")
    assert "mcr_facet_rfa_thermal" in pending(live(ablation))
    assert "mcr_facet_rfa_thermal" in refusing(replace(live(ablation), is_complete=True))
    assert "mcr_bvn_lifetime" in pending(live(want("bvn_ablation", levels=("L4",))))


def test_trial_and_blocks_that_are_only_booked_wait() -> None:
    trial = Session(date(2027, 3, 3), "scs_trial", "scs_trial", "booked")
    assert "mcr_scs_trial_success" in pending(live(want("scs_implant"), sessions=(trial,), medications=()))
    block = Session(date(2027, 3, 3), "mbb_lumbar", "mbb_diagnostic", "booked", "left", ("L4-L5",), role="diagnostic")
    other = replace(block, on=date(2027, 2, 1), status="performed")
    found = pending(live(want("rfa_facet_lumbar", side="left", levels=("L4-L5",)), sessions=(block, other), medications=()))
    assert "mcr_facet_rfa_prereq" in found


def test_rules_of_other_families_say_nothing() -> None:
    facts = live(want("tpi"), medications=(), presentation=Presentation(indication="axial_spine_pain_only", icd10="X"))
    own = BOOK._payer_rules("medicare_multi_mac_2026", "original_medicare", ON, Switches())
    rules = {rule for family, held in own.items() if family != "tpi" for rule in held if "tpi" not in rule.row.families}
    assert assess(rules, facts, ON) == ()


def test_restart_of_a_drug_without_hours_is_the_prescribers_word() -> None:
    facts = live(want("bvn_ablation", levels=("L4",)), medications=(Medication("dipyridamole", ON, is_taken=False),))
    assert judged(facts)["antithrombotic_restart:dipyridamole"].earliest is None


def test_gain_that_is_not_on_record_waits_with_the_response() -> None:
    before = Session(date(2027, 3, 1), "esi_caudal", "esi", "performed", approach="caudal")
    facts = live(want("esi_caudal"), sessions=(before,), coverage=Coverage("evicore_msk", "commercial"), medications=())
    assert judged(facts)["evi_esi_repeat"].earliest == date(2027, 3, 15)
    good = replace(before, scores=(Score(date(2027, 3, 1), Fraction(80)),))
    assert judged(replace(facts, sessions=(good,)))["evi_esi_repeat"].earliest == date(2027, 3, 15)


def test_the_latest_of_several_dates_never_comes_when_one_does_not() -> None:
    early, late = date(2027, 1, 1), date(2027, 2, 1)
    assert (latest([late, early]), latest([early, late]), latest([early, None]), latest([])) == (late, late, None, None)


def test_a_list_of_diagnoses_says_nothing_about_other_work() -> None:
    facts = live(want("tpi"), presentation=Presentation(icd10="M54.5"))
    listed = next(rule for rule in BOOK.rules(facts, ON) if isinstance(rule, DiagnosisList))
    assert listed.check(facts, ON) is not None
    other = live(want("esi_il_cervical", levels=("C7-T1",)), presentation=Presentation(icd10="M54.5"))
    assert listed.check(other, ON) is None


def test_book_tells_which_families_one_approval_covers_and_how_long_it_is_good() -> None:
    assert BOOK.joined_families("medicare_multi_mac_2026", ON) == (frozenset({"scs_trial", "scs_implant"}),)
    assert BOOK.joined_families("none", ON) == ()
    assert BOOK.approval_days("medicare_multi_mac_2026", "mbb_diagnostic", ON) == 120
    assert BOOK.approval_days("medicare_multi_mac_2026", "tpi", ON) is None
    assert BOOK.approval_days("humana_2026", "esi", ON) is None
