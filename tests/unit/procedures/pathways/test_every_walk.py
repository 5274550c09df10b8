"""Every pathway walked from its first session to its end, for a patient whom it helps and one whom it does not, by payer.

At each proposal the days are judged one by one: none proposed that the rules block, none later than necessary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from procedures.pathways import Answer, Done, Owner, Proposed, Stopped, Waiting
from procedures.rules.facts import Authorization, Coverage, Presentation, Score
from tests.properties.test_pathway_laws import Oracle
from tests.unit.procedures.pathways.walking import MEDICARE, NOBODY, PATHWAYS, START, Patient, days, scored

PSYCHOLOGY = "multidisciplinary_evaluation_including_psychological"
# When scores are told after a session, in days; relief that goes on, and relief that never came.
TOLD = (0, 3, 14, 42, 93, 185)
MOST_TURNS = 40
# What is done, in order, with a patient whom everything helps: until the pathway ends, a year is full or it begins again.
HELPED = {
    "esi_as_needed": ["epidural"] * 4,
    "facet_dual_block_to_rfa": ["block_1", "block_2", "ablation", "ablation", "ablation"],
    "tpi_series": ["trigger_points"] * 4,
    "si_pathway": ["diagnostic", "therapeutic", "therapeutic", "therapeutic"],
    "genicular_pathway": ["block", "ablation", "ablation"],
    "sympathetic_series": ["block_1", "block_2", "block_3", "block_1"],
    "scs_trial_to_implant": ["trial", "lead_removal", "implant"],
    "older_asipp_frequency": ["block_1", "block_2", "neurolysis", "neurolysis", "neurolysis"],
}
NOT_HELPED = {name: done[:1] for name, done in HELPED.items()} | {"scs_trial_to_implant": ["trial", "lead_removal"]}


@dataclass
class Walk:
    """One patient on the way, day by day, with everybody doing at once what the course waits for."""

    patient: Patient
    helps: bool
    most: int
    on: date = START
    done: list[str] = field(default_factory=list)

    def go(self) -> Answer:
        """Walk until the course ends, cannot go on, or has had as many sessions as are looked at."""
        answer: Answer = self.patient.ask(self.on)
        for _ in range(MOST_TURNS):
            if isinstance(answer, Done | Stopped) or len(self.done) >= self.most:
                return answer
            if isinstance(answer, Proposed):
                self.judge(answer)
                self.perform(answer)
            elif not self.answered(answer):
                return answer
            answer = self.patient.ask(self.on)
        raise AssertionError(f"still not at an end after {self.done}: {answer}")

    def judge(self, answer: Proposed) -> None:
        known = self.patient.known(self.on)
        oracle = Oracle(self.patient.pathway, self.patient.aim, known, answer.step, answer.wanted)
        for day in (answer.earliest, answer.ideal, answer.latest):
            assert oracle.is_free(day), (self.done, answer)
        why = answer.reasons[0] if answer.reasons[0] not in ("the other side", "the first step") else ""
        due = max(oracle.due(self.patient.pathway, known, why), self.on)
        for ahead in range(max((answer.earliest - due).days, 0)):
            assert not oracle.is_free(due + days(ahead)), (self.done, answer, due + days(ahead))

    def perform(self, answer: Proposed) -> None:
        on = max(answer.ideal, self.on)
        self.patient.has(answer.step, on, work=answer.wanted, scores=self.scores(on))
        self.done.append(answer.step)
        self.on = on

    def scores(self, on: date) -> tuple[Score, ...]:
        # Relief after each session lasts a little longer than after the one before, as the sympathetic series asks.
        last = TOLD if self.patient.pathway.id != "sympathetic_series" else (0, 5 * (len(self.done) + 1))
        return scored(*((on + days(after), 90 if self.helps else 20) for after in last))

    def answered(self, answer: Waiting) -> bool:
        """Let time pass or the fact arrive that is waited for; say whether that was possible."""
        if answer.owner is Owner.PATIENT and answer.due_on is not None:
            later = [score.on for one in self.patient.sessions for score in one.scores if score.on > self.on]
            if not later:
                return False
            self.on = min(later)
            return True
        if answer.owner is Owner.DESK:
            self.patient.facts["presentation"] = Presentation(on_file=frozenset({PSYCHOLOGY}))
            return True
        if answer.owner is Owner.BILLER:
            families = ("scs_trial", "scs_trial_followup", "scs_implant")
            covered = tuple(Authorization(one, one, "approved", START, date(2030, 1, 1)) for one in families)
            self.patient.facts["coverage"] = Coverage(self.patient.payer, "original_medicare", covered)
            return True
        if "review" in answer.for_what:
            self.patient.aim = replace(self.patient.aim, trusted_until=self.on)
            return True
        return False


def walked(name: str, payer: str, *, helps: bool, **aim: object) -> tuple[Walk, Answer]:
    most = len(HELPED[name])
    patient = Patient.on(name, payer=payer, rationale="Function is better and the relief has gone.", **aim)
    walk = Walk(patient, helps, most)
    return walk, walk.go()


PAYERS = pytest.mark.parametrize("payer", [NOBODY, MEDICARE])
NAMES = pytest.mark.parametrize("name", sorted(HELPED))


def test_every_pathway_is_walked() -> None:
    assert set(HELPED) == set(PATHWAYS)


@PAYERS
@NAMES
def test_who_is_helped_goes_the_whole_way(name: str, payer: str) -> None:
    walk, answer = walked(name, payer, helps=True)
    assert walk.done == HELPED[name], answer


@PAYERS
@NAMES
def test_who_is_not_helped_gets_nothing_more(name: str, payer: str) -> None:
    walk, answer = walked(name, payer, helps=False)
    assert walk.done == NOT_HELPED[name], answer
    if name == "esi_as_needed":
        assert isinstance(answer, Waiting)
        assert answer.owner is Owner.PHYSICIAN  # something may be changed
    else:
        assert isinstance(answer, Stopped)
        assert answer.code == "relief_not_reached"


@PAYERS
@pytest.mark.parametrize("name", ["facet_dual_block_to_rfa", "genicular_pathway", "older_asipp_frequency"])
def test_both_sides_on_two_dates_go_the_whole_way(name: str, payer: str) -> None:
    most = {"facet_dual_block_to_rfa": 5, "genicular_pathway": 4, "older_asipp_frequency": 5}[name]
    patient = Patient.on(
        name, payer=payer, details={"side": "bilateral"}, is_staged=True, rationale="Function is better and the relief has gone."
    )
    walk = Walk(patient, helps=True, most=most)
    walk.go()
    sides = [one.side for one in patient.sessions]
    staged = next(step.id for step in patient.pathway.steps if step.is_staged)
    first = walk.done.index(staged)
    assert walk.done[first : first + 2] == [staged, staged]
    assert sides[first : first + 2] == ["left", "right"]
    assert (patient.sessions[first + 1].on - patient.sessions[first].on).days >= 14
