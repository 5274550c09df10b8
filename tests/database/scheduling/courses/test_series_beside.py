"""A series keeps apart from what the patient's other courses propose, says so, and never leaves anybody stuck for it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from procedures import rulebook
from procedures.models import Procedure
from procedures.pathways import proposed_on
from procedures.pathways.joint import BLOCKED, FINE, NEEDS_REASON, Placed, cost_of, place
from procedures.rules import Facts, Finding, Session, Severity, assess
from procedures.rules.earliest import blocks
from scheduling import courses, series
from scheduling.courses.aims import Rulebook
from scheduling.courses.siblings import Sibling
from scheduling.models import Course, FoundOpenings, PlannedSession, PlanState, Series
from scheduling.series import FromCourse
from scheduling.series.proposing.beside import Others
from scheduling.series.proposing.ground import Ground
from scheduling.series.proposing.scene import Scene
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.database.scheduling.courses.test_series import days, item, ordered, sessions
from tests.database.scheduling.courses.test_siblings import EPIDURAL, GAP, JOINT
from tests.factories import NOW, TODAY, local
from tests.unit.procedures.pathways.walking import wanted

DAY = timedelta(days=1)
BEST = TODAY + 7 * DAY  # of what is ordered, were there no other course


@pytest.fixture(autouse=True)
def _offered(ward: Ward) -> None:
    factories.privilege(of=ward.clinic.physician, for_procedure=Procedure.objects.get(code="si_joint_ia"))
    factories.build_free_time(at=NOW)


def notes(of: Series, number: int = 1) -> list[tuple[str, str]]:
    """Return what is told of a session beside what needs a reason: the code, and the words."""
    found = sessions(of)[number - 1].findings
    return [(str(one["code"]), str(one["message"])) for one in found if one["severity"] == "info"]


def proposing_on(course: Course, day: date) -> PlannedSession:
    """Let a course propose a day, whatever the planner said of it."""
    PlannedSession.objects.filter(course=course, is_current=True).update(earliest=day, ideal=day, latest=day + 2 * DAY)
    return current(course)


@pytest.fixture
def both(ward: Ward) -> tuple[Course, Course]:
    """Return an epidural course that proposes the day after next, and the joint's, of which steps will be ordered."""
    epidural, joint = ward.start(EPIDURAL, since=TODAY), ward.start(JOINT, since=TODAY)
    proposing_on(epidural, TODAY + 2 * DAY)
    return epidural, joint


def kept_from(day: date, could: date, name: str = "Epidural steroid, one at a time, right") -> str:
    told = f"Kept apart from the proposed session of {name} on {day}, not booked yet: 14 days must lie between."
    return f"{told} As things are booked it could be on {could}."


def undecided(day: date, name: str = "Epidural steroid, one at a time, right") -> str:
    return (
        f"Not kept apart from the proposed session of {name} on {day}, not booked yet: 14 days must lie between."
        " To decide: book this one, and that course is planned around it, or put that course off first."
    )


def test_a_session_keeps_apart_from_what_another_course_proposes_and_says_so(ward: Ward, both: tuple[Course, Course]) -> None:
    made = ordered(ward, FromCourse(both[1], 1))
    (found,) = days(made)
    assert found is not None
    assert found >= TODAY + 2 * DAY + GAP
    assert notes(made) == [("kept_apart", kept_from(TODAY + 2 * DAY, BEST))]


def test_without_another_course_or_with_one_that_is_put_off_it_is_the_earlier_day(
    ward: Ward, both: tuple[Course, Course]
) -> None:
    made = ordered(ward, FromCourse(both[1], 1))
    courses.snooze(course=both[0], until=TODAY + 60 * DAY, reason="After the holidays", by=ward.desk, at=NOW)
    series.replan(series=made, by=ward.desk, at=NOW)
    (found,) = days(made)
    assert found is not None
    assert found < TODAY + GAP
    assert notes(made) == []


@pytest.mark.parametrize("late", [0, 1])
def test_whoever_is_due_first_goes_first(ward: Ward, both: tuple[Course, Course], late: int) -> None:
    made = ordered(ward, FromCourse(both[1], 1))
    latest = sessions(made)[0].latest
    assert latest is not None
    proposing_on(both[0], TODAY + 10 * DAY)
    PlannedSession.objects.filter(course=both[0], is_current=True).update(latest=latest + late * DAY)
    series.replan(series=made, by=ward.desk, at=NOW)
    (found,) = days(made)
    assert found is not None
    assert (found >= TODAY + 10 * DAY + GAP) == (late == 0)
    assert (found == BEST) == (late == 1)
    assert [code for code, _ in notes(made)] == ([] if late else ["kept_apart"])


def test_the_interval_is_kept_to_the_day_on_both_sides(ward: Ward, both: tuple[Course, Course]) -> None:
    proposing_on(both[0], TODAY + 30 * DAY)
    made = ordered(ward, FromCourse(both[1], 1))
    scene = Scene.read(made, sessions(made), NOW)
    ground = Ground(scene, scene.rows({}))
    refused = [ahead for ahead in range(60) if ground.kept_apart(0, TODAY + ahead * DAY, {}) is not None]
    assert refused == list(range(30 - 13, 30 + 14))


def test_a_course_that_is_ordered_in_the_same_series_is_not_beside_itself(ward: Ward, both: tuple[Course, Course]) -> None:
    made = ordered(ward, FromCourse(both[0], 1), FromCourse(both[1], 1))
    assert days(made)[0] == days(made)[1] == TODAY + 2 * DAY  # of one date both are one session
    assert (notes(made, 1), notes(made, 2)) == ([], [])
    # The joint alone of it: the epidural's course proposes again, and counts.
    series.skip(series=made, number=1, by=ward.desk, at=NOW)
    assert notes(made, 2) == [("kept_apart", kept_from(TODAY + 2 * DAY, BEST))]


def test_what_is_listed_by_hand_and_is_a_courses_own_next_session_does_not_keep_apart_from_it(
    ward: Ward, both: tuple[Course, Course]
) -> None:
    own = item("esi_tf_lumbar", levels=("L5-S1",))
    found = days(ordered(ward, own))[0]
    assert found is not None
    courses.stop(course=both[1], reason="Only the epidural counts here", by=ward.doctor, at=NOW)
    made = ordered(ward, own)
    assert days(made)[0] is not None
    assert days(made)[0] < TODAY + GAP  # type: ignore[operator]
    assert notes(made) == []


def test_a_course_at_another_site_has_no_name_in_a_series(ward: Ward, both: tuple[Course, Course]) -> None:
    Course.objects.filter(pk=both[0].pk).update(site=factories.site(name="Elsewhere", slug="elsewhere"))
    made = ordered(ward, FromCourse(both[1], 1))
    assert notes(made) == [("kept_apart", kept_from(TODAY + 2 * DAY, BEST, "another course"))]


def test_where_no_day_is_left_apart_it_is_proposed_as_things_are_booked_and_is_to_be_decided(
    ward: Ward, both: tuple[Course, Course]
) -> None:
    courses.change(course=both[1], terms=replace(JOINT, not_after=TODAY + 12 * DAY), by=ward.doctor, at=NOW)
    proposing_on(both[0], TODAY + 2 * DAY)
    made = ordered(ward, FromCourse(both[1], 1))
    (found,) = days(made)
    assert found is not None
    assert found <= TODAY + 12 * DAY
    assert notes(made) == [("not_kept_apart", undecided(TODAY + 2 * DAY))]
    # Nothing stands in its way: it is booked by one press, without a reason, and the other is planned around it.
    assert [one.refusal for one in series.book(series=made, by=ward.desk, at=NOW)] == [None]
    ideal = current(both[0]).ideal
    assert ideal is not None
    assert ideal == found or abs(ideal - found) >= GAP


def test_what_waits_for_the_physicians_word_which_goes_first_can_be_ordered(ward: Ward) -> None:
    ward.start(replace(EPIDURAL, not_after=TODAY + 5 * DAY), since=TODAY)
    late = ward.start(replace(JOINT, not_after=TODAY + 10 * DAY), since=TODAY)
    assert (current(late).state, current(late).for_what[:23]) == (PlanState.WAITING, "Which course goes first")
    made = ordered(ward, FromCourse(late, 1))
    assert days(made)[0] is not None
    assert [code for code, _ in notes(made)] == ["not_kept_apart"]


def test_a_day_that_somebody_chose_stays_and_is_to_be_decided(ward: Ward, both: tuple[Course, Course]) -> None:
    made = ordered(ward, FromCourse(both[1], 1))
    chosen = TODAY + 7 * DAY
    series.move(series=made, number=1, on=chosen, by=ward.desk, at=NOW)
    assert days(made) == [chosen]
    assert notes(made) == [("not_kept_apart", undecided(TODAY + 2 * DAY))]


@dataclass(frozen=True)
class Stop:
    """A rule that refuses every day."""

    code: str = "stop"

    def check(self, facts: Facts, on: date) -> Finding | None:
        return Finding(self.code, Severity.BLOCKER, f"Not on {on}")


@pytest.mark.parametrize("freed", [frozenset[int](), frozenset({1})], ids=["strict", "freed"])
def test_what_the_rules_refuse_as_things_are_booked_stays_refused(
    ward: Ward, both: tuple[Course, Course], freed: frozenset[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Blocker is never lost: where both are in the way, it is the rule's own word that stands."""
    made = ordered(ward, FromCourse(both[1], 1))
    monkeypatch.setattr(rulebook, "RULES", (Stop(),))
    scene = Scene.read(Series.objects.get(pk=made.pk), sessions(made), NOW)
    ground = Ground(scene, scene.rows({}), freed)
    near, far = TODAY + 5 * DAY, TODAY + 40 * DAY
    assert [ground.kept_apart(0, day, {}) is not None for day in (near, far)] == [True, False]
    assert [ground.judge(0, day, {}) for day in (near, far)] == [BLOCKED, BLOCKED]
    assert ["stop" in [one.code for one in ground.standing(0, day, {})] for day in (near, far)] == [True, True]


def test_the_second_of_a_chain_is_kept_apart_too(ward: Ward) -> None:
    proposing_on(ward.start(JOINT, since=TODAY), TODAY + 20 * DAY)
    made = ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=3))
    other = TODAY + 20 * DAY
    found = days(made)
    assert None not in found
    assert all(abs(day - other) >= GAP for day in found if day is not None)
    name = "Sacroiliac diagnostic to therapeutic, left"
    ((code, told),) = notes(made, 2)
    assert (code, told.split(" As things")[0]) == ("kept_apart", kept_from(other, other, name).split(" As things")[0])


def test_a_session_is_never_at_the_time_of_what_another_course_is_offered(ward: Ward) -> None:
    """Two courses that share no rule: the day may be one, the patient's time may not."""
    facet = ward.start(replace(FACET, levels=("L4-L5",)), since=TODAY)
    courses.refresh(at=NOW)
    found = FoundOpenings.objects.get(planned=current(facet))
    first = found.openings[0]
    day = datetime.fromisoformat(first["local"]).date()
    made = ordered(ward, item("si_joint_ia", "left", levels=()))
    series.move(series=made, number=1, on=day, by=ward.desk, at=NOW)
    (one,) = sessions(made)
    assert one.opening is not None
    spans = sorted([(first["arrives_at"], first["leaves_at"]), (one.opening["arrives_at"], one.opening["leaves_at"])])
    assert spans[0][1] <= spans[1][0]
    assert notes(made) == []
    # The control: once nothing is offered for the course, it is the earliest time of that day.
    found.delete()
    series.replan(series=made, by=ward.desk, at=NOW)
    assert sessions(made)[0].opening["starts_at"] <= one.opening["starts_at"]
    assert sessions(made)[0].opening["arrives_at"] < first["leaves_at"]


def test_where_only_its_time_is_left_on_a_chosen_day_it_is_told(ward: Ward) -> None:
    facet = ward.start(replace(FACET, levels=("L4-L5",)), since=TODAY)
    courses.refresh(at=NOW)
    found = FoundOpenings.objects.get(planned=current(facet))
    day = datetime.fromisoformat(found.openings[0]["local"]).date()
    whole = {**found.openings[0], "arrives_at": local(day, "0:00").isoformat(), "leaves_at": local(day, "23:59").isoformat()}
    FoundOpenings.objects.filter(pk=found.pk).update(openings=[whole])
    made = ordered(ward, item("si_joint_ia", "left", levels=(), is_after=False))
    assert days(made)[0] not in (None, day)
    series.move(series=made, number=1, on=day, by=ward.desk, at=NOW)
    assert days(made) == [day]
    ((code, told),) = notes(made)
    assert (code, "both would be at one time" in told) == ("not_kept_apart", True)


def test_what_was_found_for_an_earlier_plan_or_is_taken_no_longer_counts(ward: Ward) -> None:
    facet = ward.start(replace(FACET, levels=("L4-L5",)), since=TODAY)
    courses.refresh(at=NOW)
    made = ordered(ward, item("si_joint_ia", "left", levels=()))
    assert Scene.read(made, sessions(made), NOW).proposed.held[0][0].parts
    PlannedSession.objects.filter(pk=current(facet).pk).update(planned_at=NOW + timedelta(minutes=1))
    held = Scene.read(made, sessions(made), NOW).proposed.held
    assert [one.parts for one, _ in held] == [()]
    assert [one.session.on for _, several in held for one in several] == [current(facet).ideal]


def test_other_courses_take_four_statements_and_none_takes_one(ward: Ward) -> None:
    ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",)))  # reads the book of rules
    counts: dict[tuple[int, int], int] = {}
    for others in (0, 1, 2):
        if others:
            ward.start((JOINT, FACET)[others - 1], since=TODAY)
            courses.refresh(at=NOW)
        for count in (2, 6):
            with CaptureQueriesContext(connection) as asked:
                ordered(ward, item("esi_tf_lumbar", levels=("L4-L5",), count=count))
            counts[others, count] = len(asked)
    assert {counts[others, 2] - counts[others, 6] for others in (0, 1, 2)} == {0}
    assert counts[1, 2] == counts[2, 2] == counts[0, 2] + 3


# --- the joint search against an oracle ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_no_dates_are_better_beside_what_is_proposed_than_those_found(ward: Ward, seed: int) -> None:
    """Random small worlds, each day asked twice, as things are booked and as if the proposals were, by nothing of ours."""
    rng = random.Random(seed)
    works = [("esi_tf_lumbar", "right"), ("esi_tf_lumbar", "left"), ("si_joint_ia", "left"), ("mbb_lumbar", "right")]
    given = [
        item(code, side, levels=() if code == "si_joint_ia" else ("L4-L5",), least_days=rng.choice([0, 7, 14]), is_after=chained)
        for (code, side), chained in zip(rng.sample(works, 2), (False, rng.random() < 0.5), strict=True)
    ]
    made = ordered(ward, *given)
    scene = Scene.read(made, sessions(made), NOW)
    book = Rulebook(scene.reading.book)
    beside = tuple(
        proposed_on(TODAY + rng.randrange(4, 40) * DAY, wanted(rng.choice(["esi_tf_lumbar", "joint_major", "tpi"])), "Another")
        for _ in range(rng.randint(1, 2))
    )
    scene.__dict__["proposed"] = Others(((Sibling(Course(), ()), beside),))
    assert scene.proposed.beside == beside
    freed = frozenset({1}) if rng.random() < 0.25 else frozenset[int]()
    ground = Ground(scene, scene.rows({}), freed)
    few = [sorted(rng.sample(days, min(len(days), 9))) for days in (part.days for part in ground.question.parts)]
    parts = [replace(part, days=tuple(some)) for part, some in zip(ground.question.parts, few, strict=True)]

    def refused(index: int, day: date, placed: Placed, others: tuple[Session, ...]) -> set[str]:
        facts = ground.facts(index, day, {other: on for other, on in placed.items() if on <= day})
        facts = replace(facts, sessions=(*facts.sessions, *others))
        return {one.key for one in assess(book.rules(facts, day), facts, day) if one.refuses}

    def is_near(index: int, day: date, placed: Placed) -> bool:
        there = tuple(one.session for one in beside)
        sooner = tuple(replace(one, on=day - DAY) if one.on == day else one for one in there)
        own = refused(index, day, placed, ())
        return bool((refused(index, day, placed, there) | refused(index, day, placed, sooner)) - own)

    def judge(index: int, day: date, placed: Placed) -> int:
        own = [one for one in ground.findings(index, day, placed) if one.refuses]
        if any(blocks(one) for one in own):
            return BLOCKED
        if is_near(index, day, {}) or is_near(index, day, placed):
            return NEEDS_REASON if index + 1 in freed else BLOCKED
        return NEEDS_REASON if own else FINE

    question = replace(ground.question, parts=tuple(parts))
    plain = replace(question, judge=judge)
    ways = product(*[(None, *part.days) for part in parts])
    best = min(cost for way in ways if (cost := cost_of(plain, way)) is not None)
    answer = place(question)
    assert answer.is_proven
    assert answer.cost == cost_of(plain, answer.days) == best
