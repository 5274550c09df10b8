"""Every pathway walked from start to finish, with a patient whom it helps and one whom it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from procedures.pathways import Owner
from tests.unit.procedures.pathways.answers import proposed, stopped, waiting
from tests.unit.procedures.pathways.walking import MEDICARE, NOBODY, PATHWAYS, START, Patient, days, scored, wanted

PAYERS = pytest.mark.parametrize("payer", [NOBODY, MEDICARE])


def test_every_pathway_of_the_table_that_is_a_plan_has_steps() -> None:
    # The two others are figures of the ablation's plan: the gap between its sides, and how long it commonly lasts.
    assert set(PATHWAYS) == {
        "esi_as_needed", "facet_dual_block_to_rfa", "tpi_series", "si_pathway", "genicular_pathway", "sympathetic_series",
        "scs_trial_to_implant", "older_asipp_frequency",
    }  # fmt: skip
    assert PATHWAYS["tpi_series"].name == "Trigger points"


# --- epidurals, one at a time ----------------------------------------------------------------------------------------


@PAYERS
def test_epidural_that_helped_comes_again_after_three_months(payer: str) -> None:
    patient = Patient.on("esi_as_needed", payer=payer)
    first = proposed(patient.ask(START), "epidural")
    assert first.earliest == START
    done = date(2026, 3, 9)
    patient.has("epidural", done)
    told = waiting(patient.ask(done), "epidural")
    assert told.earliest == date(2026, 6, 9)
    patient.sessions[0] = replace(patient.sessions[0], scores=scored((done + days(14), 60), (date(2026, 6, 9), 50)))
    again = proposed(patient.ask(date(2026, 6, 10)), "epidural")
    assert (again.earliest, again.ideal, again.latest) == (date(2026, 6, 9), date(2026, 6, 16), date(2026, 7, 21))
    assert "1 of 4 sessions used" in again.reasons


@PAYERS
def test_epidural_that_did_not_help_waits_for_a_change_and_lapses_without_one(payer: str) -> None:
    patient = Patient.on("esi_as_needed", payer=payer)
    done = date(2026, 3, 9)
    patient.has("epidural", done, scores=scored((done + days(14), 30)))
    told = waiting(patient.ask(done + days(15)), "epidural", Owner.PHYSICIAN)
    assert "change of approach or level or medication" in told.for_what
    assert told.earliest == done + days(14)
    assert waiting(patient.ask(done + days(56)), "epidural", Owner.PHYSICIAN)
    assert "at least 50% better pain was needed" in stopped(patient.ask(done + days(57)), "relief_not_reached").reason


@PAYERS
def test_epidural_with_another_approach_comes_14_days_after_one_that_did_not_help(payer: str) -> None:
    patient = Patient.on("esi_as_needed", payer=payer)
    done = date(2026, 3, 9)
    patient.has("epidural", done, scores=scored((done + days(14), 30)))
    patient.aim = replace(
        patient.aim, works={"epidural": wanted("esi_il_lumbar", side="midline", levels=("L4-L5",))}, rationale="Another approach."
    )
    again = proposed(patient.ask(done + days(14)), "epidural")
    assert again.earliest == done + days(14)
    assert "the approach is changed" in again.reasons


def test_epidural_waits_until_the_oldest_of_four_leaves_the_year() -> None:
    patient = Patient.on("esi_as_needed", since=date(2025, 6, 1))
    dates = [date(2025, 6, 2), date(2025, 9, 3), date(2025, 12, 4), date(2026, 3, 5)]
    for on in dates:
        patient.has("epidural", on, scores=scored((on + days(14), 70), (on + days(91), 70)))
    told = proposed(patient.ask(date(2026, 6, 5)), "epidural")
    assert told.earliest == date(2026, 6, 5)  # the oldest left on 2 June already
    patient.sessions[0] = replace(patient.sessions[0], on=date(2025, 7, 2))
    told = proposed(patient.ask(date(2026, 6, 5)), "epidural")
    assert told.earliest == date(2026, 7, 2)
    assert told.blocked_by == ("At most 4 sessions in 12 months by the pathway.",)


# --- block, block, ablation ------------------------------------------------------------------------------------------


@PAYERS
def test_two_blocks_that_helped_lead_to_the_ablation_and_again_after_six_months(payer: str) -> None:
    patient = Patient.on("facet_dual_block_to_rfa", payer=payer)
    one, two, burn = date(2026, 3, 9), date(2026, 3, 30), date(2026, 4, 13)
    proposed(patient.ask(START), "block_1")
    patient.has("block_1", one, scores=scored((one, 80)))
    second = proposed(patient.ask(one + days(1)), "block_2")
    assert (second.earliest, second.ideal) == (one + days(14), one + days(21))
    patient.has("block_2", two, scores=scored((two, 85)))
    third = proposed(patient.ask(two + days(1)), "ablation")
    assert (third.earliest, third.ideal, third.latest) == (two + days(1), two + days(14), two + days(43))
    patient.has("ablation", burn, scores=scored((burn + days(42), 65)))
    told = waiting(patient.ask(burn + days(43)), "ablation")
    assert (told.earliest, told.due_on) == (date(2026, 10, 13), date(2026, 10, 13))
    patient.sessions[-1] = replace(patient.sessions[-1], scores=scored((burn + days(42), 65), (date(2026, 10, 14), 55)))
    again = proposed(patient.ask(date(2026, 10, 14)), "ablation")
    assert again.earliest == date(2026, 10, 13)


@PAYERS
@pytest.mark.parametrize(("first", "second"), [(79, None), (90, 79)])
def test_a_block_below_80_stops_the_way_to_the_ablation(payer: str, first: int, second: int | None) -> None:
    patient = Patient.on("facet_dual_block_to_rfa", payer=payer)
    on = date(2026, 3, 9)
    patient.has("block_1", on, scores=scored((on, first)))
    if second is not None:
        on = date(2026, 3, 30)
        patient.has("block_2", on, scores=scored((on, second)))
    told = stopped(patient.ask(on + days(1)), "relief_not_reached")
    assert f"{min(first, second or first)} % is the best on record" in told.reason


def test_a_block_whose_relief_did_not_fit_the_agent_stops_it_too() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("block_1", START, scores=scored((START, 95)), matched_agent=False)
    stopped(patient.ask(START), "relief_not_reached")


def test_a_second_block_at_other_levels_waits_for_the_physician() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("block_1", START, work=wanted("mbb_lumbar", levels=("L4-L5",)), scores=scored((START, 95)))
    told = waiting(patient.ask(START + days(1)), "block_2", Owner.PHYSICIAN)
    assert "did not cover L5-S1 right" in told.for_what


def test_blocks_are_too_old_for_an_ablation_after_a_year() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    for step, on in (("block_1", date(2026, 3, 9)), ("block_2", date(2026, 3, 30))):
        patient.has(step, on, scores=scored((on, 90)))
    last = proposed(patient.ask(date(2027, 3, 30)), "ablation")
    assert last.latest == date(2026, 5, 12)
    assert "possible until 2027-03-30" in stopped(patient.ask(date(2027, 3, 31)), "expired").reason


def test_an_ablation_more_than_two_years_ago_needs_new_blocks() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    burn = date(2024, 3, 4)
    patient.aim = replace(patient.aim, since=burn)
    patient.has("ablation", burn, scores=scored((burn + days(60), 80), (burn + days(200), 70)))
    proposed(patient.ask(date(2026, 3, 4)), "ablation")
    told = proposed(patient.ask(date(2026, 3, 5)), "block_1")
    assert told.earliest == date(2026, 3, 5)


def test_an_ablation_that_did_not_last_stops_the_course() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("ablation", START, scores=scored((START + days(60), 80), (START + days(120), 30)))
    stopped(patient.ask(START + days(121)), "relief_not_reached")


def test_better_function_is_enough_for_another_ablation() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("ablation", START, scores=scored((START + days(60), 80), (START + days(120), 30)), function_improved=True)
    proposed(patient.ask(date(2026, 9, 2)), "ablation")


# --- both sides ------------------------------------------------------------------------------------------------------


def test_both_sides_at_once_are_one_session_and_staged_ones_two() -> None:
    for is_staged, told in ((False, "one session"), (True, "use two sessions")):
        patient = Patient.on("facet_dual_block_to_rfa", details={"side": "bilateral"}, is_staged=is_staged, first_side="right")
        for step, on in (("block_1", date(2026, 3, 9)), ("block_2", date(2026, 3, 30))):
            patient.has(step, on, scores=scored((on, 90)))
        answer = proposed(patient.ask(date(2026, 3, 31)), "ablation")
        assert answer.wanted.side == ("right" if is_staged else "bilateral")
        assert any(told in reason for reason in answer.reasons)


def test_the_second_side_comes_14_days_after_the_first_and_then_the_course_goes_on() -> None:
    patient = Patient.on("facet_dual_block_to_rfa", details={"side": "bilateral"}, is_staged=True)
    for step, on in (("block_1", date(2026, 3, 9)), ("block_2", date(2026, 3, 30))):
        patient.has(step, on, scores=scored((on, 90)))
    burn, other = date(2026, 4, 13), date(2026, 4, 27)
    work = patient.aim.works["ablation"]
    patient.has("ablation", burn, work=replace(work, side="left"))
    second = proposed(patient.ask(burn), "ablation")
    assert (second.wanted.side, second.earliest) == ("right", other)
    patient.has("ablation", other, work=replace(work, side="right"))
    assert waiting(patient.ask(other), "ablation").earliest == date(2026, 10, 27)
    lasting = scored((other + days(60), 80), (date(2026, 10, 28), 60))
    patient.sessions[-1] = replace(patient.sessions[-1], scores=lasting)
    patient.sessions[-2] = replace(patient.sessions[-2], scores=lasting[:1])
    waiting(patient.ask(date(2026, 10, 28)), "ablation")  # the left side's answer is missing
    patient.sessions[-2] = replace(patient.sessions[-2], scores=lasting)
    assert proposed(patient.ask(date(2026, 10, 28)), "ablation").wanted.side == "left"


# --- trigger points, sacroiliac, genicular ---------------------------------------------------------------------------


@PAYERS
def test_trigger_points_come_again_after_six_weeks_of_relief_three_times_a_year(payer: str) -> None:
    patient = Patient.on("tpi_series", payer=payer)
    on = START
    for _ in range(3):
        proposed(patient.ask(on), "trigger_points")
        patient.has("trigger_points", on, scores=scored((on + days(14), 60), (on + days(42), 50)))
        assert waiting(patient.ask(on + days(41)), "trigger_points").due_on == on + days(42)
        on += days(42)
    told = proposed(patient.ask(on), "trigger_points")
    assert told.earliest == date(2027, 3, 2)
    assert told.blocked_by


def test_trigger_points_that_did_not_last_stop() -> None:
    patient = Patient.on("tpi_series")
    patient.has("trigger_points", START, scores=scored((START + days(14), 60), (START + days(30), 20)))
    stopped(patient.ask(START + days(31)), "relief_not_reached")


@PAYERS
def test_sacroiliac_block_of_75_leads_to_the_therapeutic_one_and_again_after_three_months(payer: str) -> None:
    patient = Patient.on("si_pathway", payer=payer)
    proposed(patient.ask(START), "diagnostic")
    patient.has("diagnostic", START, scores=scored((START, 75)))
    told = proposed(patient.ask(START + days(1)), "therapeutic")
    assert told.earliest >= START + days(1)
    on = told.earliest
    patient.has("therapeutic", on, scores=scored((on + days(30), 55), (on + days(100), 55)))
    again = proposed(patient.ask(on + days(101)), "therapeutic")
    assert again.earliest >= on + days(89)


def test_sacroiliac_block_of_74_stops() -> None:
    patient = Patient.on("si_pathway")
    patient.has("diagnostic", START, scores=scored((START, 74)))
    stopped(patient.ask(START), "relief_not_reached")


def test_a_joint_course_knows_its_own_side_only() -> None:
    patient = Patient.on("si_pathway")
    left = replace(patient.aim.works["diagnostic"], side="left")
    patient.has("diagnostic", START, work=left, scores=scored((START, 90)))
    proposed(patient.ask(START + days(1)), "diagnostic")


def test_genicular_block_of_50_leads_to_the_ablation_and_again_after_six_months() -> None:
    patient = Patient.on("genicular_pathway")
    patient.has("block", START, scores=scored((START, 50)))
    told = proposed(patient.ask(START), "ablation")
    on = told.ideal
    patient.has("ablation", on, scores=scored((on + days(90), 60)))
    again = proposed(patient.ask(on + days(91)), "ablation")
    assert again.earliest == date(on.year, on.month + 6, on.day)


def test_genicular_block_of_49_stops_and_two_blocks_are_asked_for_where_wished() -> None:
    patient = Patient.on("genicular_pathway", wishes=frozenset({"two_blocks"}))
    patient.has("block", START, scores=scored((START, 60)))
    proposed(patient.ask(START), "block_again")
    patient.has("block_again", START + days(14), scores=scored((START + days(14), 49)))
    stopped(patient.ask(START + days(15)), "relief_not_reached")
    patient.sessions[-1] = replace(patient.sessions[-1], scores=scored((START + days(14), 50)))
    proposed(patient.ask(START + days(15)), "ablation")
