"""Laws of two courses of one patient: as proposed neither is refused for the other, and neither comes later than it must."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import event, given, settings
from hypothesis import strategies as st

from procedures.pathways import Aim, Pathway, Proposed, next_step, next_step_beside, proposed_on
from procedures.rules import Facts, assess
from procedures.rules.earliest import at_date
from procedures.rules.facts import Session
from tests.properties.test_pathway_laws import Oracle, courses
from tests.properties.test_rules_laws import AS_OF, BOOK, DAY
from tests.unit.procedures.pathways.walking import PATHWAYS, works

FAR = timedelta(days=400)
STEROID = {"drug": "triamcinolone_acetonide", "dose_mg": Fraction(40)}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[tuple[Pathway, Aim], tuple[Pathway, Aim], Facts]:
    """Draw somebody's facts with one course, and a second course of the same person."""
    pathway, aim, known, _ = draw(courses())
    other = PATHWAYS[draw(st.sampled_from(sorted(PATHWAYS)))]
    details = {"side": draw(st.sampled_from(["left", "right"])), **draw(st.sampled_from([{}, STEROID]))}
    given_ = draw(st.booleans())
    mine = {name: replace(work, **STEROID) if given_ else work for name, work in aim.works.items()}
    return (pathway, replace(aim, works=mine)), (other, Aim(works(other, **details), AS_OF)), known


def with_(oracle: Oracle, session: Session | None) -> Oracle:
    """Return the oracle to whom the other session is booked."""
    found = copy(oracle)
    found.facts = replace(oracle.facts, sessions=(*oracle.facts.sessions, *([session] if session is not None else [])))
    return found


def refused(oracle: Oracle, day: date) -> set[str]:
    """Return what booking refuses of a session on a day, and what is used up by then."""
    facts = at_date(oracle.facts, day)
    found = {finding.key for finding in assess(BOOK.rules(facts, day), facts, day) if finding.refuses}
    return found | (set() if oracle.is_free(day) else {"not free"})


@given(pairs())
@settings(max_examples=60)
def test_neither_of_two_proposals_is_refused_for_the_other_and_none_is_later_than_it_must(
    drawn: tuple[tuple[Pathway, Aim], tuple[Pathway, Aim], Facts],
) -> None:
    (one, aim), (other, other_aim), known = drawn
    first = next_step(one, known, AS_OF, aim=aim, book=BOOK)
    alone = next_step(other, known, AS_OF, aim=other_aim, book=BOOK)
    if not isinstance(first, Proposed) or not isinstance(alone, Proposed) or alone.booked_on or first.booked_on:
        event("nothing to keep apart")
        return
    day = max(first.ideal, AS_OF)
    held = proposed_on(day, first.wanted, "the other").session
    answer = next_step_beside(
        other, known, AS_OF, aim=other_aim, book=BOOK, beside=[proposed_on(day, first.wanted, "the other")], alone=alone
    )  # fmt: skip
    if not isinstance(answer, Proposed):
        event("one has to go first")
        return
    event("kept apart" if answer != alone else "not in the way")
    oracle = Oracle(other, other_aim, known, answer.step, answer.wanted)
    beside = with_(oracle, held)
    for on in {max(told, AS_OF) for told in (answer.earliest, answer.ideal, answer.latest)}:
        assert refused(beside, on) <= refused(oracle, on), on
    # And the first course's session beside the second one, booked where it is proposed.
    mine = Oracle(one, aim, known, first.step, first.wanted)
    second = proposed_on(max(answer.ideal, AS_OF), answer.wanted, "").session
    assert refused(with_(mine, second), day) <= refused(mine, day)
    # Not later than it must: every day that it skips is refused, alone or beside the other, also if that were a day sooner.
    skipped = max(alone.earliest, AS_OF)
    while skipped < min(answer.earliest, AS_OF + FAR):
        sooner = with_(oracle, replace(held, on=held.on - DAY) if held.on == skipped else held)
        own = refused(oracle, skipped)
        other_way = refused(with_(mine, replace(second, on=skipped)), day) - refused(mine, day) if skipped <= day else set()
        assert "not free" in own or (refused(beside, skipped) | refused(sooner, skipped)) - own or other_way, skipped
        skipped += DAY
