"""Gates of courses that have only begun, and what ends a course for good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

import pytest

from procedures.pathways import Answer, Proposed, Stopped, Waiting, next_step, open_days
from procedures.pathways.gates import Changed, Longer, NoMoreMedicine, Review, SameTarget, TooLittle
from procedures.pathways.words import Gate, Opened, Scene, Visit
from procedures.rules import Facts, Finding, Severity
from procedures.rules.facts import Authorization, Coverage
from tests.unit.procedures.pathways.walking import MEDICARE, START, Patient, days, scored, wanted

PCT = Fraction(50)


@pytest.mark.parametrize(
    "gate",
    [TooLittle(PCT), Changed(("level",)), SameTarget(), Longer(PCT, "epidural"), NoMoreMedicine("epidural"), Review("a series")],
)
def test_before_anything_was_done_no_gate_of_what_was_done_is_in_the_way(gate: Gate) -> None:
    patient = Patient.on("esi_as_needed")
    scene = Scene((), patient.aim.works["epidural"], patient.aim, patient.known(START), START)
    assert gate.judge(scene).state is Opened.OPEN


@pytest.mark.parametrize(
    ("name", "change", "is_open"),
    [
        ("level", {"levels": ("L3-L4",)}, True),
        ("level", {}, False),
        ("medication", {"drug": "methylprednisolone_acetate"}, True),
        ("medication", {}, False),
        ("approach", {"approach": "caudal"}, True),
    ],
)
def test_a_change_is_one_of_level_medication_or_approach(name: str, change: dict[str, object], is_open: bool) -> None:
    patient = Patient.on("esi_as_needed")
    done = patient.has("epidural", START)
    visit = Visit(patient.pathway.steps[0], (done,))
    scene = Scene((visit,), replace(patient.aim.works["epidural"], **change), patient.aim, patient.known(START), START)  # type: ignore[arg-type]
    assert (Changed((name,)).judge(scene).state is Opened.OPEN) is is_open


def test_how_much_it_helped_is_asked_before_it_can_be_too_little() -> None:
    patient = Patient.on("esi_as_needed")
    visit = Visit(patient.pathway.steps[0], (patient.has("epidural", START),))
    scene = Scene((visit,), patient.aim.works["epidural"], patient.aim, patient.known(START), START)
    assert TooLittle(PCT).judge(scene).state is Opened.WAITING
    trusted = replace(scene, aim=replace(patient.aim, trusted_until=START))
    assert "no score" in TooLittle(PCT).judge(trusted).told


def test_a_window_that_the_rules_push_past_its_end_is_over() -> None:
    patient = Patient.on("facet_dual_block_to_rfa", payer=MEDICARE, not_after=date(2026, 6, 1))
    for step, on in (("block_1", date(2026, 3, 9)), ("block_2", date(2026, 3, 30))):
        patient.has(step, on, scores=scored((on, 90)))
    other = wanted("rfa_facet_lumbar", side="left")
    for on in (date(2025, 9, 1), date(2026, 2, 2)):
        patient.sessions.append(replace(patient.has("ablation", on, work=other, scores=scored((on, 90))), on=on))
    told = patient.ask(date(2026, 4, 1))
    assert isinstance(told, Stopped)
    assert told.code == "expired"
    assert "but not before 2026-09-0" in told.reason


def test_what_never_passes_by_waiting_waits_for_somebody() -> None:
    patient = Patient.on("esi_as_needed", payer=MEDICARE)
    patient.aim = replace(patient.aim, works={"epidural": wanted("esi_tf_lumbar", guidance="none")})
    told = patient.ask(START)
    assert isinstance(told, Waiting)
    assert told.owner.value == "physician"
    assert told.earliest == START


def test_an_old_approval_does_not_end_a_window_that_it_does_not_cover() -> None:
    patient = Patient.on("tpi_series")
    patient.facts["coverage"] = Coverage("none", "commercial", (Authorization("tpi", "tpi", "approved", START, START - days(1)),))
    told = patient.ask(START)
    assert isinstance(told, Proposed)
    assert told.authorised_until is None


def test_relief_that_was_lost_too_early_for_the_payer_stops_the_course() -> None:
    patient = Patient.on("esi_as_needed", payer=MEDICARE)
    patient.has("epidural", START, scores=scored((START + days(14), 60), (START + days(40), 10)))
    told = patient.ask(START + days(41))
    assert isinstance(told, Stopped)
    assert told.code == "relief_not_reached"


# --- by rules of a test's own ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bars:
    """A book of one rule: some days are not allowed or need a reason, and then the next is told, or none ever."""

    denied: frozenset[date] = frozenset()
    warned: frozenset[date] = frozenset()
    is_for_ever: bool = False
    code: str = "bars"

    def rules(self, facts: Facts, on: date) -> Iterable[Bars]:
        return (self,)

    def turning_points(self, facts: Facts, on: date) -> Iterable[date]:
        return ()

    def check(self, facts: Facts, on: date) -> Finding | None:
        if on not in self.denied | self.warned:
            return None
        severity = Severity.BLOCKER if on in self.denied else Severity.NEEDS_OVERRIDE
        return Finding("bars", severity, "Barred.", earliest=None if self.is_for_ever else on + days(1))


def span(first: int, last: int) -> frozenset[date]:
    return frozenset(START + days(count) for count in range(first, last + 1))


def asked(bars: Bars, name: str = "esi_as_needed") -> Proposed:
    patient = Patient.on(name)
    told = next_step(patient.pathway, patient.known(START), START, aim=patient.aim, book=bars)
    assert isinstance(told, Proposed), told
    return told


def test_the_last_days_of_a_window_are_left_out_where_they_are_barred() -> None:
    assert asked(Bars(span(40, 42))).latest == START + days(39)


def test_the_ideal_day_goes_past_what_is_barred_and_comes_to_the_first_where_nothing_else_is_free() -> None:
    assert asked(Bars(span(7, 9))).ideal == START + days(10)
    told = asked(Bars(span(1, 60)))
    assert (told.earliest, told.ideal, told.latest) == (START, START, START)


def test_what_needs_a_reason_for_ever_leaves_the_ideal_day_where_it_is() -> None:
    assert asked(Bars(warned=span(0, 90), is_for_ever=True)).ideal == START + days(7)


def test_the_ideal_day_goes_behind_what_needs_a_reason_and_is_never_barred() -> None:
    told = asked(Bars(denied=span(12, 14), warned=span(5, 11)))
    assert (told.earliest, told.ideal) == (START, START + days(15))


def test_a_day_of_a_window_is_open_or_not() -> None:
    patient = Patient.on("esi_as_needed")
    is_open = open_days(
        patient.pathway, patient.known(START), START, aim=patient.aim, book=Bars(span(3, 4)), wanted=patient.aim.works["epidural"]
    )
    assert [is_open(START + days(count)) for count in range(2, 6)] == [True, False, False, True]


def test_a_limit_of_a_lifetime_that_is_used_up_stops_the_course() -> None:
    class Used(Bars):
        def check(self, facts: Facts, on: date) -> Finding | None:
            return Finding("lifetime", Severity.BLOCKER, "Only once in a lifetime.", evidence=(("counted", 1), ("limit", 1)))

    patient = Patient.on("esi_as_needed")
    told = next_step(patient.pathway, patient.known(START), START, aim=patient.aim, book=Used())
    assert told == Stopped("cap_met", "Only once in a lifetime.")


def test_rules_that_push_each_other_on_without_end_wait_for_somebody() -> None:
    patient = Patient.on("esi_as_needed")
    told = next_step(patient.pathway, patient.known(START), START, aim=patient.aim, book=Bars(span(0, 2000)))
    assert isinstance(told, Waiting)
    assert told.for_what == "Barred."


def test_what_needs_a_reason_day_after_day_leaves_the_ideal_day_where_it_is() -> None:
    assert asked(Bars(warned=span(0, 2000))).ideal == START + days(7)


def test_a_day_that_the_limit_puts_off_and_the_rules_then_bar_for_ever_stops_the_course() -> None:
    patient = Patient.on("esi_as_needed")
    for count in range(4):
        on = START + days(91 * count)
        patient.has("epidural", on, scores=scored((on, 80), (on + days(90), 60)))
    asked_on = START + days(91 * 3 + 90)
    freed = START.replace(year=START.year + 1)  # when the first of the four leaves the year

    def told(bars: Bars) -> Answer:
        return next_step(patient.pathway, patient.known(asked_on), asked_on, aim=patient.aim, book=bars)

    free = told(Bars())
    assert isinstance(free, Proposed)
    assert free.earliest >= freed
    barred = told(Bars(frozenset(free.earliest + days(count) for count in range(400)), is_for_ever=True))
    assert isinstance(barred, Stopped)
    assert barred.code == "cap_met"


def test_a_session_of_which_nobody_said_the_role_is_no_step_of_a_course_that_asks_for_one() -> None:
    patient = Patient.on("si_pathway")
    patient.has("diagnostic", START, role="", scores=scored((START, 90)))
    told = patient.ask(START + days(1))
    assert isinstance(told, Proposed)
    assert told.step == "diagnostic"
    patient.sessions[0] = replace(patient.sessions[0], role="diagnostic")  # the control
    told = patient.ask(START + days(1))
    assert isinstance(told, Proposed)
    assert told.step == "therapeutic"
