"""Laws of the planner over random histories: it proposes no day that the rules block, and none later than necessary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from procedures import yaml_files
from procedures.pathways import Aim, Answer, Pathway, Proposed, Stopped, Waiting, follow, next_step
from procedures.rules import Facts, Request, Session, assess
from procedures.rules.dates import plus_months
from procedures.rules.earliest import at_date, blocks
from procedures.rules.facts import Score
from procedures.tables.courses import STEPS
from tests.properties.test_rules_laws import AS_OF, BOOK, DAY, PAYERS, facts, sessions
from tests.unit.procedures.pathways.walking import PATHWAYS, session, wanted, works

ROWS: Mapping[str, Any] = {row["id"]: row for row in yaml_files.read(STEPS)[0]["pathways"]}
FAR = 800


@st.composite
def courses(draw: st.DrawFn) -> tuple[Pathway, Aim, Facts, date]:
    pathway = PATHWAYS[draw(st.sampled_from(sorted(PATHWAYS)))]
    side = draw(st.sampled_from(["left", "right", "bilateral"]))
    aim = Aim(
        works(pathway, side=side),
        AS_OF - timedelta(days=draw(st.integers(0, 900))),
        is_staged=draw(st.booleans()),
        gap_days=draw(st.sampled_from([None, 30])),
        not_before=draw(st.one_of(st.none(), st.integers(-60, 60).map(lambda ahead: AS_OF + timedelta(days=ahead)))),
        wishes=frozenset(draw(st.lists(st.just("two_blocks"), max_size=1))),
        rationale=draw(st.sampled_from(["", "Another approach is tried."])),
    )
    known = draw(facts())
    own = [_own(draw, pathway, aim) for _ in range(draw(st.integers(0, 4)))]
    other = draw(st.lists(sessions(), max_size=3))
    booked = [
        session(wanted("esi_caudal", side="midline"), AS_OF + timedelta(days=ahead), status="booked")
        for ahead in draw(st.lists(st.integers(1, 200), max_size=2, unique=True))
    ]
    coverage = replace(known.coverage, payer_rules=draw(st.sampled_from(PAYERS)))
    known = replace(known, sessions=(*own, *other, *booked), coverage=coverage, is_complete=draw(st.booleans()))
    return pathway, aim, known, AS_OF


def _own(draw: st.DrawFn, pathway: Pathway, aim: Aim) -> Session:
    work = aim.works[draw(st.sampled_from(sorted(aim.works)))]
    on = AS_OF - timedelta(days=draw(st.integers(0, 800)))
    held = on + timedelta(days=draw(st.sampled_from([0, 14, 45, 100, 190])))
    first, later = (Fraction(draw(st.sampled_from([20, 50, 80, 90]))) for _ in range(2))
    scores = draw(st.sampled_from([(), (Score(on, first, first),), (Score(on, first, first), Score(held, later, later))]))
    return session(work, on, scores=tuple(score for score in scores if score.on <= AS_OF))


def after(day: date, lengths: Mapping[str, int]) -> date:
    months = lengths.get("months", 0) + 12 * lengths.get("years", 0)
    return plus_months(day, months) + timedelta(days=lengths.get("days", 0) + 7 * lengths.get("weeks", 0))


class Oracle:
    """The days of a proposal judged one by one, from the rows of the file and the rules alone."""

    def __init__(self, pathway: Pathway, aim: Aim, known: Facts, step: str, work: Any) -> None:
        self.row = ROWS[pathway.id]
        pattern = known.request
        request = Request(
            AS_OF, work.procedure, work.family, work.side, work.levels, None, pattern.sedation, guidance=work.guidance,
            several=(work,), place_of_service=pattern.place_of_service, state=pattern.state, has_driver=pattern.has_driver,
            premedication=pattern.premedication, rationale=aim.rationale or pattern.rationale,
        )  # fmt: skip
        mine = {item.id: item for item in pathway.steps}[step].families
        # A booking that would be this step is what is being planned, and does not stand in its own way.
        self.booked = [
            one for one in known.sessions if one.status == "booked" and one.family in mine and _is_own(pathway, aim, one)
        ]
        first = min((one.on for one in self.booked), default=None)
        kept = tuple(one for one in known.sessions if not (one in self.booked and one.on == first))
        self.facts = replace(known, request=request, sessions=kept)
        self.aim, self.work, self.step = aim, work, step

    def due(self, pathway: Pathway, known: Facts, why: str = "") -> date:
        visits = follow(pathway, self.aim, known)
        if not visits:
            return max(self.aim.since, self.aim.not_before or date.min)
        anchor, last = visits[-1].on, visits[-1].step.id
        ways = next(row for row in self.row["steps"] if row["id"] == last)["then"]
        lengths = [way.get("earliest", {"days": 1}) for way in ways if way["to"] == self.step and why in ("", way["why"])]
        is_other_side = last == self.step and self.aim.is_staged and self._is_half_done(visits[-1].sessions)
        if is_other_side and next(row for row in self.row["steps"] if row["id"] == last).get("is_staged"):
            lengths = [self.row["staging"]]
        days = [min(after(anchor, one) for one in lengths)]
        days += [anchor + timedelta(days=self.aim.gap_days)] if self.aim.gap_days else []
        return max(*days, self.aim.not_before or date.min, date.min)

    @staticmethod
    def _is_half_done(held: tuple[Session, ...]) -> bool:
        return {one.side for one in held} in ({"left"}, {"right"})

    def is_free(self, day: date) -> bool:
        moved = at_date(self.facts, day)
        if any(blocks(finding) for finding in assess(BOOK.rules(moved, day), moved, day)):
            return False
        limit = self.row.get("limit")
        families = {family for step in self.row["steps"] for family in step["families"]}
        if limit is None or self.work.family not in limit.get("families", families):
            return True
        days = {
            one.on
            for one in self.facts.standing
            if one.family in limit.get("families", families) and self._counts(one, limit["per"])
        }
        return all(
            sum(plus_months(end, -limit["months"]) < on <= end for on in days | {day}) <= limit["most"]
            for end in {day, *(on for on in days if on > day)}
        )

    def _counts(self, one: Session, per: str) -> bool:
        if per == "region":
            return bool(one.regions & self.work.regions)
        return per == "patient" or bool(one.sites & self.work.sites)


def _is_own(pathway: Pathway, aim: Aim, one: Session) -> bool:
    performed = replace(one, status="performed", on=max(one.on, aim.since))
    return bool(follow(pathway, aim, Facts(Request(AS_OF, "", ""), (performed,))))


def answered(course: tuple[Pathway, Aim, Facts, date]) -> Answer:
    pathway, aim, known, on = course
    return next_step(pathway, known, on, aim=aim, book=BOOK)


@settings(max_examples=200)
@given(courses())
def test_no_proposed_day_is_blocked_and_no_earlier_one_would_do(course: tuple[Pathway, Aim, Facts, date]) -> None:
    pathway, aim, known, on = course
    answer = answered(course)
    event(type(answer).__name__)
    if not isinstance(answer, Proposed):
        return
    oracle = Oracle(pathway, aim, known, answer.step, answer.wanted)
    assert answer.earliest <= answer.ideal <= answer.latest
    for day in (answer.earliest, answer.ideal, answer.latest):
        assert oracle.is_free(day)
    due = oracle.due(pathway, known, answer.reasons[0] if answer.reasons[0] not in ("the other side", "the first step") else "")
    # What opened in the past must still be open today; what did not must not have opened since.
    assert answer.earliest >= on or oracle.is_free(on)
    begins = due if answer.earliest < on else max(due, on)
    assert answer.earliest >= due
    day = begins
    while day < answer.earliest:
        assert not oracle.is_free(day), day
        day += DAY


@settings(max_examples=50)
@given(courses())
def test_a_course_that_the_rules_end_or_hold_has_no_free_day_ahead(course: tuple[Pathway, Aim, Facts, date]) -> None:
    pathway, aim, known, on = course
    answer = answered(course)
    event(type(answer).__name__)
    is_of_rules = isinstance(answer, Stopped) and answer.code == "cap_met"
    is_of_rules = is_of_rules or (isinstance(answer, Waiting) and answer.due_on is None and answer.step not in {"trial"})
    if not is_of_rules:
        return
    assert isinstance(answer, Waiting | Stopped)
    steps = {step.id for step in pathway.steps} if isinstance(answer, Stopped) else {answer.step}
    visits = follow(pathway, aim, known)
    ahead = {way.to for way in visits[-1].step.then} if visits else {pathway.steps[0].id}
    for step in sorted(steps & ahead):
        oracle = Oracle(pathway, aim, known, step, aim.works[step])
        due = max(oracle.due(pathway, known), on)
        assert not any(oracle.is_free(due + timedelta(days=ahead)) for ahead in range(0, FAR, 7))


@settings(max_examples=50)
@given(courses(), st.randoms(use_true_random=False))
def test_the_order_of_the_sessions_does_not_matter(course: tuple[Pathway, Aim, Facts, date], chance: Any) -> None:
    pathway, aim, known, on = course
    shuffled = list(known.sessions)
    chance.shuffle(shuffled)
    other = replace(known, sessions=tuple(shuffled))
    one, two = answered(course), next_step(pathway, other, on, aim=aim, book=BOOK)
    assert type(one) is type(two)
    if isinstance(one, Proposed) and isinstance(two, Proposed):
        assert (one.step, one.earliest, one.ideal, one.latest) == (two.step, two.earliest, two.ideal, two.latest)


@settings(max_examples=50)
@given(courses(), st.integers(31, 120))
def test_a_wider_gap_never_brings_the_window_forward(course: tuple[Pathway, Aim, Facts, date], gap: int) -> None:
    pathway, aim, known, on = course
    answer = answered(course)
    wider = next_step(pathway, known, on, aim=replace(aim, gap_days=gap), book=BOOK)
    if isinstance(answer, Proposed) and isinstance(wider, Proposed) and answer.step == wider.step:
        assert wider.earliest >= answer.earliest
