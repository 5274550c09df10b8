"""What written cases cannot say: facts not yet on file, sessions ahead, other zones, and rows that no table has yet."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from procedures import tables
from procedures.rules import Facts, Finding, Request, Session, Severity, assess
from procedures.rules.book import TABLES, Book, Switches
from procedures.rules.clinic.safety import years_between
from procedures.rules.dates import Period, Window, as_date, told
from procedures.rules.earliest import earliest_covered, turning_points
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
    Wanted,
)
from procedures.rules.offers import bleeding_class
from procedures.rules.payer.criteria import DiagnosisList
from procedures.rules.places import sites_of
from procedures.rules.rows import latest

BOOK = tables.book_of_files()
ON = date(2027, 3, 9)
ZONE = ZoneInfo("America/New_York")
MEDICARE = Coverage("medicare_multi_mac_2026", "original_medicare")


def want(procedure: str, **details: Any) -> Wanted:
    offer = BOOK.offers[procedure]
    levels = details.get("levels", ())
    given: dict[str, Any] = {
        "side": "midline", "role": offer.default_role, "guidance": offer.guidance, "driver": offer.driver, "codes": offer.codes,
        "contrast": offer.contrast_with(offer.guidance), "category": offer.category, "approach": offer.approach,
        "bleeding_class": bleeding_class(offer, levels, BOOK.offers.values()), **details,
    }  # fmt: skip
    return Wanted(offer.id, offer.family, **given)


def live(*wanted: Wanted, sessions: tuple[Session, ...] = (), **facts: Any) -> Facts:
    """Return facts as the live clinic has them: what is not given is not on file."""
    request = facts.pop("request", {})
    first = wanted[0]
    asked = Request(ON, first.procedure, first.family, first.side, first.levels, several=wanted, **request)
    return Facts(asked, sessions, **{"as_of": date(2027, 3, 1), "zone": ZONE, "coverage": MEDICARE, **facts})


def judged(facts: Facts, on: date = ON, switches: Switches | None = None) -> dict[str, Finding]:
    rules = BOOK.rules(facts, on, switches) if switches else BOOK.rules(facts, on)
    return {finding.key: finding for finding in assess(rules, facts, on)}


def pending(facts: Facts) -> set[str]:
    return {finding.code for finding in judged(facts).values() if finding.pending}


def refusing(facts: Facts) -> set[str]:
    return {finding.code for finding in judged(facts).values() if finding.refuses}


def extra(**row: Any) -> Switches:
    return Switches(extra=({"enabled_by_default": True, "severity": "deny", "id": "own", **row},))


# --- not yet on file -------------------------------------------------------------------------------------------------


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


def test_low_risk_work_does_not_wait_for_medicines() -> None:
    assert "antithrombotic_hold" not in pending(live(want("tpi")))
    assert pending(live(want("tpi"))) == {"mcr_tpi_dx", "active_infection", "recent_antibiotics"}


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


# --- sessions of the day and ahead, moments and zones -----------------------------------------------------------------


def test_what_is_booked_on_the_date_is_looked_at_together() -> None:
    booked = Session(ON, "esi_caudal", "esi", "booked", approach="caudal")
    assert "mcr_tpi_same_day" in refusing(live(want("tpi"), sessions=(booked,), medications=()))
    neck = live(want("esi_il_cervical", levels=("C7-T1",)), sessions=(booked,), medications=())
    assert "mcr_esi_one_region" in refusing(neck)
    joints = tuple(Session(ON, "joint_major", "joint_injection", "booked", site=site) for site in ("left_knee", "left_hip"))
    assert "mcr_tpi_same_day" not in refusing(live(want("tpi"), sessions=joints, medications=()))


def test_first_covered_date_looks_past_sessions_that_lie_ahead() -> None:
    days = [date(2026, 4, 1), date(2026, 9, 1), date(2026, 12, 1), date(2027, 2, 1)]
    good = tuple(
        Session(
            day, "esi_caudal", "esi", "performed", approach="caudal", scores=(Score(day + timedelta(days=100), Fraction(60)),)
        )
        for day in days
    )
    ahead = Session(date(2027, 4, 1), "esi_caudal", "esi", "booked", approach="caudal")
    cap = replace(live(want("esi_caudal"), sessions=(*good, ahead), medications=()), is_complete=True)
    rules = [rule for rule in BOOK.rules(cap, ON) if rule.code == "mcr_esi_cap"]
    assert earliest_covered(rules, cap, ON) == date(2027, 4, 1)
    assert earliest_covered(rules, cap, date(2027, 4, 2)) == date(2027, 9, 1)
    never = [rule for rule in BOOK.rules(cap, ON, Switches(off=frozenset({"mcr_esi_cap"}))) if rule.code == "mcr_esi_levels_il"]
    wide = replace(cap, request=replace(cap.request, several=(want("esi_il_lumbar", levels=("L4-L5", "L5-S1")),)))
    assert earliest_covered(never, wide, ON) is None


def test_first_covered_date_after_an_hour_of_the_day_is_the_next_day() -> None:
    taken = (Medication("rivaroxaban", datetime(2027, 3, 8, 12), is_taken=False, is_cleared=True),)
    facts = replace(live(want("esi_caudal"), medications=taken, request={"starts_at": datetime(2027, 3, 9, 9)}), is_complete=True)
    assert earliest_covered([BOOK.thinners], facts, ON) == date(2027, 3, 12)
    assert earliest_covered(lambda on: [BOOK.thinners], facts, ON) == date(2027, 3, 12)


def test_laboratory_above_its_limit_passes_with_its_window() -> None:
    taken = (Medication("warfarin", date(2027, 3, 1), is_taken=False, is_cleared=True),)
    facts = replace(live(want("esi_caudal"), medications=taken, labs=(Lab("inr", ON, Fraction(3)),)), is_complete=True)
    assert earliest_covered([BOOK.thinners], facts, ON) == date(2027, 3, 11)


def test_rules_that_change_give_their_own_dates() -> None:
    facts = replace(live(want("tpi"), coverage=Coverage("none", "self_pay"), medications=()), is_complete=True)
    switches = extra(
        applies_to=["tpi"], type="noncovered", params={"when": "always"}, effective_from="2027-03-01", effective_to="2027-05-31"
    )
    found = earliest_covered(
        lambda on: BOOK.rules(facts, on, switches), facts, ON, turns=lambda on: BOOK.turning_points(facts, on, switches)
    )
    assert found == date(2027, 6, 1)


def test_a_moment_with_a_zone_is_shown_on_the_wall_of_the_clinic() -> None:
    taken = (Medication("rivaroxaban", datetime(2027, 3, 8, 17, tzinfo=UTC), is_taken=False, is_cleared=True),)
    facts = live(want("esi_caudal"), medications=taken, request={"starts_at": datetime(2027, 3, 9, 14, tzinfo=UTC)})
    found = judged(facts)
    assert found["antithrombotic_hold:rivaroxaban"].earliest == datetime(2027, 3, 11, 12)
    assert found["antithrombotic_hold:rivaroxaban"].facts["last_dose"] == "2027-03-08 12:00"
    assert as_date(datetime(2027, 3, 9, 3, tzinfo=UTC), ZONE) == date(2027, 3, 8)
    assert told(None) == "never by waiting"


def test_a_past_dose_of_a_drug_still_taken_counts_from_the_booking() -> None:
    taken = (Medication("clopidogrel", date(2027, 2, 1), is_taken=True, is_cleared=True),)
    found = judged(live(want("esi_caudal"), medications=taken))
    assert "antithrombotic_hold:clopidogrel" not in found
    found = judged(live(want("esi_caudal"), medications=taken, as_of=None))
    assert found["antithrombotic_hold:clopidogrel"].earliest == date(2027, 3, 16)


def test_age_is_that_of_the_date_of_service() -> None:
    assert (years_between(date(1971, 3, 10), ON), years_between(date(1971, 3, 9), ON)) == (55, 56)


# --- windows, rows and parameters that no table has yet ----------------------------------------------------------------


def test_plan_year_without_a_session_begins_with_the_request() -> None:
    window = Window("anchored_year")
    assert (window.start(ON, None), window.next_start(ON, None)) == (ON, date(2028, 3, 9))
    assert window.turns([date(2028, 6, 1)], ON, anchor=date(2026, 1, 1)) == [date(2028, 1, 1), date(2029, 1, 1)]
    assert not window.holds(ON, ON, anchor=None, episode=None)
    assert [str(Window(kind)) for kind in ("rolling", "calendar_year", "lifetime")] == [
        "the 12 months before", "the calendar year", "a lifetime",
    ]  # fmt: skip
    assert Window("lifetime").turns([ON], ON, anchor=None) == []
    assert str(Period(days=1)) == "1 day"


def test_sites_of_other_work_are_the_sides() -> None:
    assert sites_of("genicular_rfa", (), "bilateral") == {("genicular", "left"), ("genicular", "right")}
    assert sites_of("tpi", (), "midline") == {("tpi", "midline")}


def test_later_interval_follows_the_first_sessions() -> None:
    days = [date(2027, 1, 5), date(2027, 1, 20), date(2027, 3, 1)]
    sessions = tuple(Session(day, "esi_caudal", "esi", "performed", approach="caudal") for day in days)
    facts = live(want("esi_caudal"), sessions=sessions, coverage=Coverage("aetna_2026", "commercial"), medications=())
    found = judged(facts, switches=Switches(on=frozenset({"aet_esi"})))
    assert found["aet_esi"].earliest == date(2027, 5, 1)
    fewer = replace(facts, sessions=sessions[1:])
    assert "aet_esi" not in judged(fewer, switches=Switches(on=frozenset({"aet_esi"})))


def test_levels_with_a_gap_are_not_in_a_row() -> None:
    facts = live(
        want("rfa_facet_lumbar", side="left", levels=("L2-L3", "L4-L5")),
        coverage=Coverage("evicore_msk", "commercial"),
        medications=(),
    )
    assert "do not follow one another" in judged(facts)["evi_rfa:levels"].message


def test_first_criteria_are_asked_when_one_of_two_regions_is_new() -> None:
    before = Session(
        date(2026, 10, 1), "snrb", "esi", "performed", "left", ("L4-L5",), role="diagnostic", approach="transforaminal"
    )
    both = want("snrb", side="left", levels=("C5-C6", "L4-L5"))
    bad = Presentation(pain_weeks=1)
    assert "mcr_esi_initial" in judged(live(both, sessions=(before,), presentation=bad, medications=()))
    back = want("snrb", side="left", levels=("L4-L5",))
    assert "mcr_esi_initial" not in judged(live(back, sessions=(before,), presentation=bad, medications=()))


def test_rescue_alone_judges_by_half() -> None:
    before = Session(date(2027, 3, 3), "esi_caudal", "esi", "performed", approach="caudal", scores=(Score(ON, Fraction(20)),))
    facts = live(want("esi_caudal"), sessions=(before,), medications=())
    found = judged(facts, switches=Switches(off=frozenset({"mcr_esi_repeat_response"})))
    assert found["mcr_esi_rescue"].earliest is None
    assert "mcr_esi_rescue" not in judged(replace(facts, request=replace(facts.request, several=(want("tpi"),))))


@pytest.mark.parametrize(
    ("params", "relief", "reduction", "is_refused"),
    [
        ({"family": "scs_trial", "reference": "latest trial", "min_relief_pct": 60}, 59, None, True),
        ({"family": "scs_trial", "reference": "latest trial", "min_relief_pct": 60}, 60, None, False),
        ({"family": "scs_trial", "success_any_of": [{"min_reduction_pct": 50}]}, 90, 49, True),
        ({"family": "scs_trial", "success_any_of": [{"min_reduction_pct": 50}]}, 0, 50, False),
    ],
)
def test_trial_of_a_cases_own_row(params: dict[str, Any], relief: int, reduction: int | None, is_refused: bool) -> None:
    trial = Session(
        date(2027, 2, 1), "scs_trial", "scs_trial", "performed", scores=(Score(date(2027, 2, 1), Fraction(relief)),),
        medication_reduction=None if reduction is None else Fraction(reduction),
    )  # fmt: skip
    facts = live(want("scs_implant"), sessions=(trial,), coverage=Coverage("none", "self_pay"), medications=())
    found = judged(facts, switches=extra(applies_to=["scs_implant"], type="prerequisite_procedures", params=params))
    assert ("own" in found) is is_refused


def test_blocks_of_a_cases_own_row_by_side_with_words_on_file() -> None:
    block = Session(
        date(2027, 2, 1), "genicular_block", "genicular_block", "performed", "left", role="diagnostic",
        scores=(Score(date(2027, 2, 1), Fraction(70)),),
    )  # fmt: skip
    row = extra(
        applies_to=["genicular_rfa"], type="prerequisite_procedures",
        params={"family": "genicular_block", "min_relief_pct": 50, "requires": ["consent"]},
    )  # fmt: skip
    facts = live(want("genicular_rfa", side="left"), sessions=(block,), coverage=Coverage("none", "self_pay"), medications=())
    assert set(judged(facts, switches=row)) >= {"own:requires not yet on file"}
    right = replace(facts, request=replace(facts.request, several=(want("genicular_rfa", side="right"),)))
    assert "own" in judged(right, switches=row)


def test_steroid_at_the_spine_without_a_level_is_compared_by_the_work() -> None:
    before = Session(
        date(2027, 3, 2), "epidural_adhesiolysis", "adhesiolysis", "performed", drug="dexamethasone", dose_mg=Fraction(4)
    )
    asked = want("epidural_adhesiolysis", drug="dexamethasone", dose_mg=Fraction(4))
    assert "min_interval_steroid" in judged(live(asked, sessions=(before,), coverage=Coverage("none", "")))


def test_peripheral_blocks_without_a_site_are_compared_by_side() -> None:
    before = tuple(
        Session(date(2027, 1, day), "occipital_block", "peripheral_nerve_block", "performed", "left") for day in (4, 5, 6)
    )
    on = Switches(on=frozenset({"mcr_pnb_limit"}))
    left, right = (live(want("occipital_block", side=side), sessions=before, medications=()) for side in ("left", "right"))
    assert judged(left, switches=on)["mcr_pnb_limit:occipital_block left"].facts["counted"] == 3
    assert judged(right, switches=on)["mcr_pnb_limit:occipital_block right"].facts["counted"] == 0


def test_newer_version_of_a_row_is_chosen_by_the_date_of_service() -> None:
    content = {name: copy.deepcopy(dict(table.content)) for name, table in tables.read(only=TABLES).items()}
    rows = content["payer_rules"]["rules"]
    old = next(row for row in rows if row["id"] == "mcr_si_rfa")
    rows.append({**old, "id": "mcr_si_rfa_2028", "severity": "warn", "effective_from": "2028-01-01"})
    old["effective_to"] = "2027-12-31"
    book = Book(content)
    facts = live(want("rfa_si_lateral_branch", side="left"), medications=())
    for on, code in ((date(2027, 12, 31), "mcr_si_rfa"), (date(2028, 1, 1), "mcr_si_rfa_2028")):
        assert {rule.code for rule in book.rules(facts, on)} & {"mcr_si_rfa", "mcr_si_rfa_2028"} == {code}


def test_a_switched_off_finding_of_blood_thinners_is_not_told() -> None:
    facts = live(want("esi_caudal"), medications=(Medication("clopidogrel"),))
    assert "antithrombotic_clearance:clopidogrel" in judged(facts)
    off = judged(facts, switches=Switches(off=frozenset({"antithrombotic_clearance"})))
    assert "antithrombotic_clearance:clopidogrel" not in off


# --- dates on which an answer changes by itself -------------------------------------------------------------------------


def turns_of(facts: Facts, code: str, payer: str = "") -> list[date]:
    """Return the dates that the rules of one row give, in order."""
    held = replace(facts, coverage=replace(facts.coverage, payer_rules=payer or facts.coverage.payer_rules))
    rules = [rule for rule in BOOK.rules(held, ON) if rule.code == code]
    assert rules
    return sorted(
        {day for rule in rules for day in turning_points([rule], held)}
        - {session.on + timedelta(days=1) for session in held.standing}
    )


def test_dates_on_which_a_rule_changes_its_mind_are_told() -> None:
    on = date(2025, 6, 1)
    epidural = live(want("esi_caudal"), sessions=(Session(on, "esi_caudal", "esi", "performed", approach="caudal"),))
    assert turns_of(epidural, "mcr_esi_over_12m") == [date(2026, 6, 2)]
    assert turns_of(epidural, "bcbs_sc_episode", "bcbs_south_carolina") == [date(2027, 6, 1)]
    assert turns_of(epidural, "mcr_esi_initial") == turns_of(epidural, "mcr_esi_repeat_response") == []
    approved = replace(
        MEDICARE, authorizations=(Authorization("esi", "esi", "approved", on), Authorization("esi", "esi", "pending"))
    )
    assert turns_of(replace(epidural, coverage=approved), "mcr_wiser") == [on]
    ablation = Session(on, "rfa_facet_lumbar", "facet_rfa", "performed", "left", ("L4-L5",))
    again = live(want("rfa_facet_lumbar", side="left", levels=("L4-L5",)), sessions=(ablation,))
    assert turns_of(again, "mcr_facet_rfa_stale") == turns_of(again, "mcr_facet_rfa_repeat") == [date(2027, 6, 2)]
    assert turns_of(again, "mcr_facet_rfa_prereq") == []
    labs = (Lab("inr", ON, Fraction(1)),)
    assert turns_of(replace(epidural, labs=labs), "diabetes_a1c") == [ON, ON + timedelta(days=1)]
    assert turns_of(replace(epidural, labs=labs), "diabetes_day_of") == [ON, ON + timedelta(days=1)]
    assert turns_of(replace(epidural, labs=labs), "antithrombotics") == [ON, ON + timedelta(days=2)]


def test_first_criteria_of_a_plan_with_a_reset_turn_with_it() -> None:
    on = date(2025, 6, 1)
    facts = live(
        want("esi_caudal"), sessions=(Session(on, "esi_caudal", "esi", "performed", approach="caudal"),),
        coverage=Coverage("bcbs_south_carolina", "commercial"),
    )  # fmt: skip
    switches = extra(applies_to=["esi"], type="initial_criteria", params={"min_pain_weeks": 4})
    assert date(2027, 6, 1) in BOOK.turning_points(facts, ON, switches)


def test_a_rule_without_such_dates_is_not_asked() -> None:
    class Plain:
        code = "plain"

        def check(self, facts: Facts, on: date) -> None:
            return None

    assert turning_points([Plain()], live(want("tpi"))) == []


def test_search_for_a_covered_date_ends() -> None:
    class Always:
        code = "always"

        def check(self, facts: Facts, on: date) -> Finding:
            return Finding("always", Severity.BLOCKER, "Never today.", earliest=on + timedelta(days=1))

    assert earliest_covered([Always()], live(want("tpi")), ON) is None


# --- rules of families that are not asked for ---------------------------------------------------------------------------


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
