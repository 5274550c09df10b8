"""Series, trials and the older spacing walked from start to finish, with and without relief."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from procedures.pathways import Done, Owner, Proposed
from procedures.rules.facts import Authorization, Coverage, Presentation
from tests.unit.procedures.pathways.answers import proposed, stopped, waiting
from tests.unit.procedures.pathways.walking import MEDICARE, NOBODY, START, Patient, days, scored

# --- sympathetic series ----------------------------------------------------------------------------------------------


def test_sympathetic_blocks_go_on_while_relief_lasts_longer_and_are_reviewed_after_three() -> None:
    patient = Patient.on("sympathetic_series")
    first, second, third = START, START + days(7), START + days(21)
    patient.has("block_1", first, scores=scored((first, 60), (first + days(3), 40), (first + days(5), 10)))
    assert proposed(patient.ask(first + days(5)), "block_2").earliest == second
    patient.has("block_2", second, scores=scored((second, 60), (second + days(3), 40)))
    told = waiting(patient.ask(second + days(4)), "block_3")
    assert "lasts longer" in told.for_what
    assert told.due_on == second + days(4)
    patient.sessions[-1] = replace(patient.sessions[-1], scores=scored((second, 60), (second + days(6), 40)))
    proposed(patient.ask(second + days(7)), "block_3")
    patient.has("block_3", third, scores=scored((third, 70)))
    told = waiting(patient.ask(third), "block_1", Owner.PHYSICIAN)
    assert told.for_what == "review of a series of three sympathetic blocks"
    patient.aim = replace(patient.aim, trusted_until=third)
    assert proposed(patient.ask(third), "block_1").earliest == third + days(7)


def test_sympathetic_blocks_stop_when_relief_is_not_longer() -> None:
    patient = Patient.on("sympathetic_series")
    second = START + days(7)
    patient.has("block_1", START, scores=scored((START, 60), (START + days(3), 40)))
    patient.has("block_2", second, scores=scored((second, 60), (second + days(3), 40), (second + days(4), 0)))
    assert "not longer than the 3" in stopped(patient.ask(second + days(5)), "relief_not_longer").reason
    patient.aim = replace(patient.aim, trusted_until=second)
    proposed(patient.ask(second + days(5)), "block_3")


# --- stimulator ------------------------------------------------------------------------------------------------------


def test_stimulator_trial_waits_for_what_it_needs_then_comes_with_the_removal_of_its_leads_and_leads_to_the_implant() -> None:
    patient = Patient.on("scs_trial_to_implant", payer=MEDICARE)
    assert waiting(patient.ask(START), "trial", Owner.DESK).for_what == "Psychological evaluation"
    word = "multidisciplinary_evaluation_including_psychological"
    patient.facts["presentation"] = Presentation(on_file=frozenset({word}))
    assert waiting(patient.ask(START), "trial", Owner.BILLER).for_what == "the payer's authorisation"
    covered = [Authorization(one, one, "approved", START, date(2026, 4, 1)) for one in ("scs_trial", "scs_implant")]
    patient.facts["coverage"] = Coverage(MEDICARE, "original_medicare", tuple(covered))
    trial = proposed(patient.ask(START), "trial")
    assert trial.companion is not None
    assert (trial.companion.step, trial.companion.least_days, trial.companion.most_days) == ("lead_removal", 3, 7)
    assert (trial.latest, trial.authorised_until) == (date(2026, 4, 1), date(2026, 4, 1))
    on = START + days(7)
    patient.has("trial", on)
    pull = proposed(patient.ask(on), "lead_removal")
    assert (pull.earliest, pull.latest) == (on + days(3), on + days(7))
    patient.has("lead_removal", on + days(5))
    waiting(patient.ask(on + days(5)), "implant")
    patient.sessions[0] = replace(patient.sessions[0], scores=scored((on + days(5), 50)))
    assert proposed(patient.ask(on + days(6)), "implant").earliest == on + days(19)
    patient.has("implant", on + days(20))
    assert isinstance(patient.ask(on + days(21)), Done)


@pytest.mark.parametrize(("pct", "reduction", "code"), [(49, None, "relief_not_reached"), (80, Fraction(-10), "more_medicine")])
def test_stimulator_trial_that_failed_stops(pct: int, reduction: Fraction | None, code: str) -> None:
    patient = Patient.on("scs_trial_to_implant")
    patient.has(
        "trial", START, scores=scored((START + days(5), pct)), medication_reduction=reduction, lead_removed_on=START + days(5)
    )
    stopped(patient.ask(START + days(6)), code)


def test_the_trial_record_itself_may_tell_that_its_leads_are_out() -> None:
    patient = Patient.on("scs_trial_to_implant")
    patient.has("trial", START, scores=scored((START + days(5), 80)), lead_removed_on=START + days(6))
    assert proposed(patient.ask(START + days(7)), "implant").earliest == START + days(20)


@pytest.mark.parametrize(
    ("coverage", "is_open"),
    [
        (Coverage(NOBODY, "original_medicare"), True),
        (Coverage(MEDICARE, "self_pay"), True),
        (Coverage(MEDICARE, "original_medicare"), False),
    ],
)
def test_who_pays_himself_needs_no_authorisation(coverage: Coverage, is_open: bool) -> None:
    word = "multidisciplinary_evaluation_including_psychological"
    patient = Patient.on("scs_trial_to_implant")
    patient.facts |= {"presentation": Presentation(on_file=frozenset({word})), "coverage": coverage}
    assert isinstance(patient.ask(START), Proposed) is is_open


def test_a_refused_authorisation_stops_the_trial_until_another_one_comes() -> None:
    word = "multidisciplinary_evaluation_including_psychological"
    patient = Patient.on("scs_trial_to_implant")
    refused = Authorization("scs_trial", "scs_trial", "refused", START)
    patient.facts |= {
        "presentation": Presentation(on_file=frozenset({word})),
        "coverage": Coverage(MEDICARE, "original_medicare", (refused,)),
    }
    stopped(patient.ask(START), "refused")


# --- the older spacing -----------------------------------------------------------------------------------------------


def test_older_spacing_keeps_a_week_between_blocks_and_three_months_between_ablations() -> None:
    patient = Patient.on("older_asipp_frequency")
    patient.has("block_1", START, scores=scored((START, 80)))
    told = proposed(patient.ask(START), "block_2")
    assert (told.earliest, told.ideal) == (START + days(7), START + days(14))
    patient.has("block_2", START + days(14), scores=scored((START + days(14), 90)))
    assert proposed(patient.ask(START + days(14)), "neurolysis").earliest == START + days(21)
    on = START + days(28)
    patient.has("neurolysis", on, scores=scored((on + days(30), 50)))
    assert proposed(patient.ask(on + days(30)), "neurolysis").earliest == date(2026, 6, 30)


def test_older_spacing_keeps_two_months_between_injections_and_stops_without_relief() -> None:
    patient = Patient.on("older_asipp_frequency")
    patient.has("injection", START, scores=scored((START + days(14), 60)))
    assert proposed(patient.ask(START + days(15)), "injection").earliest == date(2026, 5, 2)
    patient.sessions[0] = replace(patient.sessions[0], scores=scored((START + days(14), 40)))
    stopped(patient.ask(START + days(15)), "relief_not_reached")


def test_sympathetic_relief_that_was_lost_twice_ended_when_it_was_lost_first() -> None:
    patient = Patient.on("sympathetic_series")
    second = START + days(7)
    patient.has("block_1", START, scores=scored((START, 60), (START + days(3), 40), (START + days(4), 20)))
    patient.has("block_2", second, scores=scored((second, 60), (second + days(1), 10), (second + days(2), 5)))
    assert "lasted 0 days, not longer than the 3" in stopped(patient.ask(second + days(3)), "relief_not_longer").reason
