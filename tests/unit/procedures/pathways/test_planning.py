"""Limits of the physician, bookings that stand already, interruptions, sessions elsewhere, restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from procedures.pathways import Aim, Owner, Proposed, Stopped, Waiting, follow
from procedures.rules.facts import Authorization, Coverage, Vaccine
from tests.unit.procedures.pathways.walking import MEDICARE, PATHWAYS, START, Patient, days, scored, session, wanted


def two_blocks(**aim: object) -> Patient:
    patient = Patient.on("facet_dual_block_to_rfa", **aim)
    for step, on in (("block_1", START), ("block_2", START + days(21))):
        patient.has(step, on, scores=scored((on, 90)))
    return patient


def test_the_physicians_limits_hold_the_window_and_say_so() -> None:
    patient = two_blocks(not_before=date(2026, 5, 4), not_after=date(2026, 5, 20))
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(told, Proposed)
    assert (told.earliest, told.latest) == (date(2026, 5, 4), date(2026, 5, 20))
    assert "not before 2026-05-04 by the physician's limits" in told.reasons
    expired = patient.ask(date(2026, 5, 21))
    assert isinstance(expired, Stopped)
    assert expired.code == "expired"


def test_a_longer_gap_than_the_pathways_counts_from_the_last_session() -> None:
    told = two_blocks(gap_days=30).ask(date(2026, 4, 1))
    assert isinstance(told, Proposed)
    assert told.earliest == START + days(51)


def test_the_limit_of_sessions_stops_the_course() -> None:
    told = two_blocks(most=2).ask(date(2026, 4, 1))
    assert told == Stopped("limit_reached", "The physician's limit of 2 sessions is reached.")


def test_a_step_whose_procedure_is_not_chosen_waits_for_the_physician() -> None:
    patient = two_blocks()
    patient.aim = replace(patient.aim, works={name: work for name, work in patient.aim.works.items() if name != "ablation"})
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(told, Waiting)
    assert (told.for_what, told.owner) == ("which procedure is meant for Ablation", Owner.PHYSICIAN)


def test_a_booking_of_the_step_is_told_and_does_not_push_the_window() -> None:
    patient = two_blocks(payer=MEDICARE)
    before = patient.ask(date(2026, 4, 1))
    patient.has("ablation", date(2026, 4, 7), status="booked")
    patient.has("ablation", date(2026, 9, 7), status="booked")
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(before, Proposed)
    assert isinstance(told, Proposed)
    assert (told.booked_on, told.earliest, told.latest) == (date(2026, 4, 7), before.earliest, before.latest)


def test_a_booking_is_told_even_while_the_course_waits_or_has_stopped() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("block_1", START)
    patient.has("block_2", START + days(30), status="booked")
    waits = patient.ask(START)
    assert isinstance(waits, Waiting)
    assert waits.booked_on == START + days(30)
    patient.sessions[0] = replace(patient.sessions[0], scores=scored((START, 10)))
    stops = patient.ask(START)
    assert isinstance(stops, Stopped)
    assert stops.booked_on == START + days(30)


def test_a_session_elsewhere_counts_as_the_step_that_it_was() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("block_1", START, scores=scored((START, 90)), is_elsewhere=True)
    told = patient.ask(START)
    assert isinstance(told, Proposed)
    assert told.step == "block_2"


def test_a_course_started_from_a_performed_ablation_goes_on_from_it() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("ablation", START)
    told = patient.ask(START)
    assert isinstance(told, Waiting)
    assert told.step == "ablation"


def test_blocks_done_again_after_a_failed_round_begin_a_new_round() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    for step, on, pct in (("block_1", START, 90), ("block_2", START + days(21), 10), ("block_1", START + days(90), 90)):
        patient.has(step, on, scores=scored((on, pct)))
    told = patient.ask(START + days(91))
    assert isinstance(told, Proposed)
    assert told.step == "block_2"


def test_sessions_before_the_course_are_not_its_steps_but_count_in_caps() -> None:
    patient = two_blocks()
    patient.aim = replace(patient.aim, since=START + days(22))
    told = patient.ask(START + days(22))
    assert isinstance(told, Proposed)
    assert told.step == "block_1"


def test_a_restart_by_the_physicians_word_opens_a_gate_that_had_closed() -> None:
    patient = Patient.on("facet_dual_block_to_rfa")
    patient.has("block_1", START, scores=scored((START, 10)))
    assert isinstance(patient.ask(START), Stopped)
    patient.aim = replace(patient.aim, trusted_until=START)
    told = patient.ask(START)
    assert isinstance(told, Proposed)
    assert any("physician's word" in reason for reason in told.reasons)


def test_an_infection_moves_the_better_day_behind_its_antibiotics() -> None:
    patient = two_blocks()
    free = patient.ask(date(2026, 4, 1))
    patient.facts["antibiotics_until"] = date(2026, 4, 20)
    held = patient.ask(date(2026, 4, 1))
    assert isinstance(free, Proposed)
    assert isinstance(held, Proposed)
    # It needs a reason and is no bar: the better day comes after it.
    assert (held.earliest, held.ideal) == (free.earliest, date(2026, 4, 27))
    assert "Antibiotics" in held.conditions[0]


def test_an_active_infection_waits_for_somebody() -> None:
    patient = two_blocks()
    patient.facts["has_infection"] = True
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(told, Waiting)
    assert "infection" in told.for_what.lower()


def test_a_window_that_opened_long_ago_keeps_its_days_whatever_day_it_is() -> None:
    patient = two_blocks()
    first, later = patient.ask(date(2026, 4, 1)), patient.ask(date(2026, 6, 1))
    assert isinstance(first, Proposed)
    assert isinstance(later, Proposed)
    assert (first.earliest, first.ideal, first.latest) == (later.earliest, later.ideal, later.latest)


def test_what_came_up_since_the_window_opened_moves_it() -> None:
    patient = two_blocks()
    patient.facts |= {"has_infection": False, "antibiotics_until": date(2026, 6, 20)}
    told = patient.ask(date(2026, 6, 1))
    assert isinstance(told, Proposed)
    assert (told.ideal, told.latest) == (date(2026, 6, 27), date(2026, 6, 27))


def test_the_window_ends_with_the_authorisation() -> None:
    patient = two_blocks()
    approved = Authorization("facet_rfa", "facet_rfa", "approved", START, date(2026, 4, 10))
    patient.facts["coverage"] = Coverage("none", "commercial", (approved,))
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(told, Proposed)
    assert (told.latest, told.authorised_until) == (date(2026, 4, 10), date(2026, 4, 10))


def test_a_vaccine_between_moves_no_day_of_the_window_onto_a_blocked_one() -> None:
    patient = Patient.on("esi_as_needed")
    patient.facts["vaccines"] = (Vaccine("covid_mrna", START + days(10)),)
    told = patient.ask(START)
    assert isinstance(told, Proposed)
    assert told.earliest <= told.ideal <= told.latest


def test_a_course_at_another_region_keeps_its_own_sessions() -> None:
    neck = wanted("esi_tf_cervical", levels=("C5-C6",))
    aim = Aim({"epidural": neck}, START)
    patient = Patient(PATHWAYS["esi_as_needed"], aim)
    patient.sessions.append(session(wanted("esi_tf_lumbar"), START, scores=scored((START, 90))))
    assert follow(patient.pathway, aim, patient.known(START + days(1))) == ()


def test_a_series_knows_its_own_procedure_and_side() -> None:
    aim = Aim({f"block_{n}": wanted("stellate_block", side="left") for n in (1, 2, 3)}, START)
    patient = Patient(PATHWAYS["sympathetic_series"], aim)
    for other in (wanted("stellate_block", side="right"), wanted("celiac_block", side="left")):
        patient.sessions.append(session(other, START, scores=scored((START, 90))))
    assert follow(patient.pathway, aim, patient.known(START + days(1))) == ()
