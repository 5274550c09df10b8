"""Every gate's question is answered, or chased, before its session may be; where that cannot be the data say why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import pytest

from procedures import yaml_files
from procedures.pathways import Pathway, Step, Way
from procedures.pathways.gates import Longer, Relief, TooLittle
from procedures.rules.dates import Period
from procedures.tables.courses import STEPS, shipped_pathways
from scheduling import asking, asks

DAY = timedelta(days=1)
ABOUT = date(2026, 3, 2)
FILE = yaml_files.read(STEPS)[0]
LATE: Mapping[tuple[str, str, str], str] = {(row["pathway"], row["step"], row["to"]): row["why"] for row in FILE["answered_late"]}
BLOCKS = {"mbb_diagnostic", "genicular_block", "sympathetic_block"}


def due_of(way: Way) -> date | None:
    """Return from which day the last answer counts that a way asks the patient for; none where it asks for none."""
    days = [
        ABOUT if isinstance(gate, TooLittle) else gate.response.period.after(ABOUT)
        for gate in way.gates
        if isinstance(gate, TooLittle | Relief)
    ]
    days += [date.max for gate in way.gates if isinstance(gate, Longer)]
    return max(days, default=None)


def ways() -> Iterator[tuple[Pathway, Step, Way]]:
    for pathway in shipped_pathways().values():
        for step in pathway.steps:
            for way in step.then:
                if due_of(way) is not None:
                    yield pathway, step, way


def last_answer(pathway: Pathway, step: Step, way: Way) -> date:
    """Return the last day on which the question of a way may be answered; then the desk calls."""
    due = due_of(way)
    assert due is not None
    if due == date.max:
        return due
    opens = min(other.earliest.after(ABOUT) for other in step.then if due_of(other) is not None)
    is_block = step.role == "diagnostic" or bool(step.families & BLOCKS)
    if is_block and due == ABOUT:
        return ABOUT + DAY + asks.DIARY_ENDS  # the diary's
    by = asking.answers_by(due, opens)
    return asking.asked_on(ABOUT, due, by, is_block=is_block, is_paired=False) + asks.ANSWERABLE


WAYS = list(ways())


@pytest.mark.parametrize(("pathway", "step", "way"), WAYS, ids=lambda one: getattr(one, "id", getattr(one, "why", "")))
def test_an_answer_is_in_or_chased_before_the_session_may_be_or_the_data_say_why(pathway: Pathway, step: Step, way: Way) -> None:
    is_late = last_answer(pathway, step, way) >= way.earliest.after(ABOUT)
    why = LATE.get((pathway.id, step.id, way.to), "")
    assert is_late is bool(why), (last_answer(pathway, step, way), way.earliest.after(ABOUT))


def test_reasons_are_of_ways_that_there_are() -> None:
    assert set(LATE) <= {(pathway.id, step.id, way.to) for pathway, step, way in WAYS}


@pytest.mark.parametrize(("gap", "by"), [(4, None), (5, 4), (14, 13)])
def test_a_question_needs_its_days_before_the_session(gap: int, by: int | None) -> None:
    assert asking.answers_by(ABOUT, ABOUT + gap * DAY) == (None if by is None else ABOUT + by * DAY)


def test_an_epidural_is_asked_about_so_that_the_answer_is_in_before_another_may_be() -> None:
    by = asking.answers_by(ABOUT, ABOUT + 14 * DAY)
    assert asking.asked_on(ABOUT, ABOUT, by, is_block=False, is_paired=False) == ABOUT + 10 * DAY
    # The control: where the next session is far off, it is asked at two weeks.
    far = asking.answers_by(ABOUT, Period(months=3).after(ABOUT))
    assert asking.asked_on(ABOUT, ABOUT, far, is_block=False, is_paired=False) == ABOUT + 14 * DAY
