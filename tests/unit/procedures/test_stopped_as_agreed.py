"""An agreed hold that has begun waits for the patient's word; a dose that speaks against it refuses, whatever was agreed."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from procedures.rules.facts import Facts, Medication
from procedures.rules.facts.asking import Wanted
from tests.unit.procedures.live_facts import BOOK, ON, judged, live, want

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
STARTS = datetime(2027, 3, 9, 10)  # on ON, on the clinic's wall
HOURS = (datetime(2027, 3, 6, 10), datetime(2027, 3, 10, 10))  # apixaban: 72 hours before, 24 after
CLOPIDOGREL = BOOK.thinners.drugs["clopidogrel"]


def epidural() -> Wanted:
    return want("esi_caudal", bleeding_class="intermediate")


def days() -> tuple[Any, Any]:
    """Return the times of a hold that is counted in days, seven of them."""
    slot = live(epidural(), request={"starts_at": STARTS})
    times = BOOK.thinners.times(CLOPIDOGREL, CLOPIDOGREL.holds["intermediate"], "intermediate", slot, ON)
    assert times[0] == ON - 7 * DAY
    return times


def facts(drug: str, plan: Any, at: datetime, **known: Any) -> Facts:
    taken = Medication(drug, is_cleared=True, cleared_for=plan, **known)
    return live(epidural(), request={"starts_at": STARTS}, as_of=at, medications=(taken,))


def hold(drug: str, plan: Any, at: datetime, **known: Any) -> tuple[bool, bool]:
    """Return whether the hold waits and whether it refuses."""
    found = judged(facts(drug, plan, at, **known)).get(f"antithrombotic_hold:{drug}")
    return (False, False) if found is None else (found.pending, found.refuses)


NOTHING, WAITS, REFUSES = (False, False), (True, False), (False, True)


@pytest.mark.parametrize(
    ("at", "known", "said"),
    [
        (HOURS[0], {}, NOTHING),
        (HOURS[0] + MINUTE, {}, WAITS),
        (HOURS[0] + DAY, {"last_dose": HOURS[0]}, WAITS),  # a plan on file is no answer
        (HOURS[0] + DAY, {"last_dose": HOURS[0] + MINUTE}, REFUSES),
        (HOURS[0] + DAY, {"last_dose": HOURS[0].date() + DAY, "is_taken": False}, REFUSES),
        (HOURS[0] + DAY, {"told_last": HOURS[0]}, NOTHING),
        (HOURS[0] + DAY, {"told_last": HOURS[0] + MINUTE}, REFUSES),
        (HOURS[0] + DAY, {"told_last": HOURS[0], "last_dose": HOURS[0] + MINUTE}, REFUSES),
        (HOURS[0] + DAY, {"told_last": HOURS[0], "last_dose": HOURS[0] - DAY}, NOTHING),
        (HOURS[0] + DAY, {"told_last": HOURS[0], "last_dose": HOURS[0].date(), "is_taken": False}, NOTHING),
    ],
)
def test_hold_of_hours(at: datetime, known: dict[str, Any], said: tuple[bool, bool]) -> None:
    assert hold("apixaban", HOURS, at, **known) == said


@pytest.mark.parametrize(
    ("at", "known", "said"),
    [
        (datetime(2027, 3, 2, 23, 59), {}, NOTHING),
        (datetime(2027, 3, 3, 0, 1), {}, WAITS),
        (datetime(2027, 3, 5), {"last_dose": date(2027, 3, 2)}, WAITS),
        (datetime(2027, 3, 5), {"last_dose": date(2027, 3, 3)}, REFUSES),
        (datetime(2027, 3, 5), {"told_last": datetime(2027, 3, 2, 20)}, NOTHING),
        (datetime(2027, 3, 5), {"told_last": datetime(2027, 3, 3, 8)}, REFUSES),
    ],
)
def test_hold_of_days(at: datetime, known: dict[str, Any], said: tuple[bool, bool]) -> None:
    assert hold("clopidogrel", days(), at, **known) == said


@pytest.mark.parametrize("word", [{"is_cleared": None}, {"is_cleared": False}, {"cleared_for": None}])
def test_only_a_word_for_these_times_lets_it_wait(word: dict[str, Any]) -> None:
    given = {"is_cleared": True, "cleared_for": HOURS, "told_last": HOURS[0], **word}
    taken = Medication("apixaban", **given)
    found = judged(live(epidural(), request={"starts_at": STARTS}, as_of=HOURS[0] + DAY, medications=(taken,)))
    assert found["antithrombotic_hold:apixaban"].refuses


def test_words_for_other_times_answer_nothing() -> None:
    other = (HOURS[0] - MINUTE, HOURS[1] - MINUTE)
    assert hold("apixaban", other, HOURS[0] + DAY, told_last=other[0]) == REFUSES


def test_an_answer_that_is_not_there_says_what_was_agreed_and_from_when_on_it_would_do() -> None:
    found = judged(facts("apixaban", HOURS, HOURS[0] + DAY))["antithrombotic_hold:apixaban"]
    assert found.earliest == HOURS[0] + 4 * DAY
    assert "a last dose by 2027-03-06 10:00" in found.message
    assert found.facts["to_confirm"] == "2027-03-06 10:00"
