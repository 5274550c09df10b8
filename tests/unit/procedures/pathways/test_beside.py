"""Two courses of one patient: what one proposes keeps the other apart by exactly the rule's interval, and by no day more."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from procedures.pathways import Answer, Apart, Beside, Owner, Proposed, next_step_beside, open_days, proposed_on
from procedures.rules.dates import plus_months
from tests.unit.procedures.pathways.answers import proposed, waiting
from tests.unit.procedures.pathways.walking import BOOK, START, Patient, days, session, wanted

STEROID = {"drug": "triamcinolone_acetonide", "dose_mg": Fraction(40)}


def joint(**values: Any) -> Patient:
    """Return somebody on the course of the sacroiliac joint, with a steroid."""
    return Patient.on("si_pathway", details=STEROID, **values)


def epidural(on: date, **details: Any) -> Beside:
    return proposed_on(on, wanted("esi_tf_lumbar", **details), "Epidural steroid")


def alone(person: Patient, on: date = START) -> Proposed:
    answer = person.ask(on)
    assert isinstance(answer, Proposed), answer
    return answer


def beside(person: Patient, *others: Beside, on: date = START) -> Answer:
    return next_step_beside(
        person.pathway, person.known(on), on, aim=person.aim, book=BOOK, beside=others, alone=person.ask(on)
    )  # fmt: skip


def test_a_steroid_waits_exactly_the_interval_after_the_one_that_another_course_proposes() -> None:
    person, other = joint(), epidural(START + days(7))
    assert (alone(person).earliest, alone(person).blocked_by) == (START, ())  # the control: without it, the first day
    answer = proposed(beside(person, other), "diagnostic")
    assert answer.earliest == other.session.on + days(14)
    told = f"Kept apart from the proposed session of Epidural steroid on {START + days(7)}, not booked yet"
    assert answer.blocked_by == (f"{told}: 14 days must lie between.",)
    assert (answer.step, answer.wanted, answer.reasons) == (alone(person).step, alone(person).wanted, alone(person).reasons)


@pytest.mark.parametrize(("ahead", "moves"), [(13, True), (14, False)])
def test_a_proposal_that_lies_the_interval_ahead_holds_nothing_back(ahead: int, *, moves: bool) -> None:
    person = joint()
    answer = proposed(beside(person, epidural(START + days(ahead))), "diagnostic")
    assert answer.earliest == (START + days(ahead + 14) if moves else START)


def test_a_window_ends_the_interval_before_what_another_course_proposes_later() -> None:
    person, other = joint(), epidural(START + days(40))
    answer = proposed(beside(person, other), "diagnostic")
    assert (answer.earliest, answer.ideal) == (alone(person).earliest, alone(person).ideal)
    assert answer.latest == other.session.on - days(14) < alone(person).latest
    assert (answer.blocked_by, answer.reasons[-1]) == (
        (),
        f"Kept apart from {other.told}, not booked yet: 14 days must lie between",
    )


def test_what_shares_no_rule_is_not_moved_not_even_from_the_same_date() -> None:
    person = Patient.on("genicular_pathway")
    other = epidural(alone(person).ideal, levels=("L5-S1",))
    assert beside(person, other) == alone(person)


def test_a_shared_date_is_none_while_the_other_may_still_be_booked_a_day_sooner() -> None:
    person, other = joint(), epidural(START + days(5))
    known = person.known(START)
    apart = Apart(BOOK, person.pathway, person.aim, (other,))
    is_open = open_days(person.pathway, known, START, aim=person.aim, book=apart, wanted=person.aim.works["diagnostic"])
    free = [ahead for ahead in range(40) if is_open(START + days(ahead))]
    assert free == list(range(19, 40))  # the rules themselves would take both on one date


def test_courses_share_the_limit_of_their_pathway() -> None:
    person = Patient.on("esi_as_needed")
    for back in (300, 200, 100):
        person.sessions.append(session(wanted("esi_tf_lumbar", side="left"), START - days(back), scores=()))
    person.aim = person.aim.__class__(person.aim.works, START)
    first, other = alone(person).earliest, epidural(START + days(3), side="left")
    assert first == START  # the control: the fourth of a year
    answer = proposed(beside(person, other), "epidural")
    assert answer.earliest == plus_months(START - days(300), 12)
    assert "both count under a limit of 4" in answer.blocked_by[0]


def test_what_is_only_proposed_stops_no_course_but_somebody_has_to_choose() -> None:
    person = joint(not_after=START + days(10))
    answer = waiting(beside(person, epidural(START + days(3))), "diagnostic", Owner.PHYSICIAN)
    assert answer.for_what.startswith("Which course goes first. Kept apart from the proposed session of Epidural steroid on")
    assert answer.earliest == START
    assert alone(person).latest == START + days(10)  # the control: without it, it is proposed


def test_what_is_booked_already_is_not_moved_by_a_proposal() -> None:
    person = joint()
    person.has("diagnostic", START + days(4), status="booked")
    assert beside(person, epidural(START + days(3))) == person.ask(START)


def test_two_proposals_that_are_in_the_way_are_both_told() -> None:
    person = joint()
    others = (epidural(START + days(2)), proposed_on(START + days(9), wanted("joint_major"), "Knee"))
    answer = proposed(beside(person, *others), "diagnostic")
    assert answer.earliest == START + days(23)
    assert "Epidural steroid" in answer.blocked_by[0]
    assert "Knee" in answer.blocked_by[0]
