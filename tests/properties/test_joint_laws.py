"""Laws of the joint search: no dates are better than those it gives, which an oracle that tries them all confirms."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import product

from hypothesis import event, given, settings
from hypothesis import strategies as st

from procedures.pathways.joint import Apart, Cap, Cost, Gap, Part, Placed, Together, cost_of, place
from procedures.pathways.joint.costing import is_kept
from procedures.pathways.joint.sweeping import least_ahead, most_ahead
from procedures.rules.dates import Period

FIRST = date(2026, 12, 1)
WIDTH = 9


def on(number: int) -> date:
    return FIRST + timedelta(days=number)


days = st.integers(0, WIDTH - 1)


@st.composite
def questions(draw: st.DrawFn) -> Together:
    count = draw(st.integers(1, 4))
    parts = [
        Part(
            tuple(on(day) for day in sorted(draw(st.sets(days, max_size=4 if count < 4 else 3)))),
            on(draw(days)), on(draw(st.integers(0, WIDTH + 2))),
        )
        for _ in range(count)
    ]  # fmt: skip
    gaps: list[Gap] = []
    aparts: list[Apart] = []
    for second in range(count):
        for first in range(second):
            kind = draw(st.sampled_from(["none", "none", "gap", "apart"]))
            least = draw(st.integers(0, 3))
            if kind == "gap":
                ideal = draw(st.one_of(st.none(), st.integers(least, least + 3)))
                most = draw(st.one_of(st.none(), st.integers(least, least + 4)))
                gaps.append(Gap(first, second, least, ideal, most, is_bound=draw(st.booleans())))
            elif kind == "apart":
                aparts.append(Apart(first, second, least, may_share=draw(st.booleans())))
    caps = [
        Cap(
            frozenset(draw(st.sets(st.integers(0, count - 1), min_size=1))), draw(st.integers(1, 2)),
            Period(days=draw(st.integers(2, 6))), frozenset(map(on, draw(st.sets(days, max_size=1)))),
        )
        for _ in range(draw(st.integers(0, 1)))
    ]  # fmt: skip
    # From a day on one session stands badly beside another that comes no later.
    bad = draw(
        st.dictionaries(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), st.tuples(days, st.sampled_from([1, 2])), max_size=4
        )
    )
    room = draw(st.integers(1, 3))

    def judge(session: int, day: date, placed: Placed) -> int:
        return max(
            (word for (one, other), (since, word) in bad.items() if _meets(one, other, since, session, day, placed)), default=0
        )

    return Together(
        tuple(parts), tuple(gaps), tuple(aparts), tuple(caps), frozenset(map(on, draw(st.sets(days, max_size=2)))),
        draw(st.booleans()), judge, lambda day, sessions: len(sessions) <= room,
    )  # fmt: skip


@st.composite
def chains(draw: st.DrawFn) -> Together:
    """The same work again and again, with other visits in between on whose days it may fall."""
    count = draw(st.integers(2, 4))
    parts = [
        Part(tuple(on(day) for day in sorted(draw(st.sets(days, min_size=1, max_size=5)))), on(draw(days)), on(WIDTH))
        for _ in range(count)
    ]
    gaps = [Gap(at, at + 1, draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(4, 6))) for at in range(count - 1)]
    aparts = [Apart(one, other, 1) for other in range(count) for one in range(other)]
    reasons = draw(st.sets(st.tuples(st.integers(0, count - 1), days), max_size=4))
    return Together(
        tuple(parts), tuple(gaps), tuple(aparts), (), frozenset(map(on, draw(st.sets(days, max_size=3)))),
        judge=lambda session, day, placed: int((session, (day - FIRST).days) in reasons),
    )  # fmt: skip


def _meets(one: int, other: int, since: int, session: int, day: date, placed: Placed) -> bool:
    return one == session and one != other and day >= on(since) and other in placed and placed[other] <= day


def oracle(question: Together) -> Cost:
    """Return the least cost of all dates that there are, tried one by one."""
    ways = product(*[(None, *part.days) for part in question.parts])
    return min(cost for way in ways if (cost := cost_of(question, way)) is not None)


@given(questions())
@settings(max_examples=400, deadline=None)
def test_no_dates_are_better_than_those_given(question: Together) -> None:
    answer = place(question)
    event(f"{answer.cost[0]} without a date")
    assert answer.is_proven
    assert answer.cost == cost_of(question, answer.days) == oracle(question)


@given(chains())
@settings(max_examples=600, deadline=None)
def test_no_dates_of_a_chain_are_better_than_those_given(question: Together) -> None:
    answer = place(question)
    event(f"{answer.cost[3]} journeys of {len(question.parts) - answer.cost[0]}")
    assert answer.is_proven
    assert answer.cost == cost_of(question, answer.days) == oracle(question)


@given(questions())
@settings(max_examples=150, deadline=None)
def test_given_up_early_the_dates_still_keep_every_bound(question: Together) -> None:
    answer = place(question, most_tries=2)
    best = oracle(question)
    assert cost_of(question, answer.days) == answer.cost >= best
    assert answer.cost == best or not answer.is_proven


@given(questions(), st.integers(0, 3), st.integers(0, WIDTH - 1))
@settings(max_examples=150, deadline=None)
def test_one_more_day_to_choose_never_makes_it_worse(question: Together, which: int, extra: int) -> None:
    at = which % len(question.parts)
    part = question.parts[at]
    wider = replace(part, days=tuple(sorted({*part.days, on(extra)})))
    parts = tuple(wider if index == at else one for index, one in enumerate(question.parts))
    assert place(replace(question, parts=parts)).cost <= place(question).cost


def test_two_steps_a_fortnight_apart_take_their_ideal_days() -> None:
    window = tuple(on(number) for number in range(40))
    parts = (Part(window, on(7), on(42)), Part(window, on(0), on(0)))
    assert place(Together(parts, (Gap(0, 1, 14, 21, 56),))).days == (on(7), on(28))


def test_sessions_that_may_share_a_day_save_a_journey_unless_the_day_has_no_time_for_both() -> None:
    window = tuple(on(number) for number in range(10))
    parts = (Part(window, on(2), on(9)), Part(window, on(6), on(9)))
    shared = place(Together(parts))
    assert shared.days[0] == shared.days[1]
    assert place(Together(parts, packs=lambda day, sessions: False)).days == (on(2), on(6))


def test_the_same_weekday_is_kept_throughout() -> None:
    window = tuple(on(number) for number in range(30))
    parts = (Part(window, on(3), on(29)), Part(window, on(0), on(0)))
    first, second = place(Together(parts, (Gap(0, 1, 10, 10, 30),), is_one_weekday=True)).days
    assert first is not None
    assert second is not None
    assert (second - first).days == 14


def test_what_is_bound_together_has_dates_together_or_none() -> None:
    parts = (Part((on(0),), on(0), on(9)), Part((on(8),), on(0), on(9)))
    bound = Together(parts, (Gap(0, 1, 3, 3, 7, is_bound=True),))
    assert place(bound).days == (None, None)
    assert place(replace(bound, gaps=(Gap(0, 1, 3, 3, 7),))).days == (on(0), on(8))


def test_a_large_question_is_given_up_and_says_so() -> None:
    window = tuple(on(number) for number in range(60))
    parts = tuple(Part(window, on(5 + number), on(50)) for number in range(12))
    gaps = tuple(Gap(first, first + 1, 4, 7, 30) for first in range(11) if first % 4 != 3)
    answer = place(Together(parts, gaps), most_tries=600)
    assert (answer.cost[0], answer.cost[2]) == (0, 0)
    assert cost_of(Together(parts, gaps), answer.days) == answer.cost


@st.composite
def gaps_between(draw: st.DrawFn) -> tuple[Gap, list[int], list[tuple[int, int]]]:
    most = draw(st.one_of(st.none(), st.integers(0, 12)))
    ideal = draw(st.one_of(st.none(), st.integers(0, 12)))
    gap = Gap(0, 1, draw(st.integers(0, 6)), ideal, most, is_bound=draw(st.booleans()))
    after = sorted(draw(st.dictionaries(st.integers(0, 40), st.integers(0, 20), max_size=12)).items())
    return gap, sorted(draw(st.sets(st.integers(0, 40), max_size=12))), after


@given(gaps_between(), st.sampled_from([1, 3, 1 << 32]))
@settings(max_examples=500, deadline=None)
def test_one_sweep_finds_what_asking_about_each_pair_of_days_finds(
    asked: tuple[Gap, list[int], list[tuple[int, int]]], unit: int
) -> None:
    gap, bits, after = asked
    kept = [[(to, cost) for to, cost in after if is_kept(gap, to - bit)] for bit in bits]
    costs = [
        min((unit * abs(to - bit - (gap.ideal or 0)) + cost for to, cost in ways), default=None)
        for bit, ways in zip(bits, kept, strict=True)
    ]
    assert least_ahead(gap, bits, after, unit) == costs
    assert most_ahead(gap, bits, after) == [max((count for _, count in ways), default=0) for ways in kept]
