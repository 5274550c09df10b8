"""The hold plan of a slot: the last dose before it and the restart after it, both sides of the edge that the rules judge by."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from procedures import tables
from procedures.cases import read_case
from procedures.rules import Facts, assess
from procedures.rules.clinic.holdplan import hold_plan

BOOK = tables.book_of_files()
ZONE = ZoneInfo("America/New_York")
ON = date(2027, 3, 16)


def facts(*medicines: dict[str, Any], procedure: str = "esi_il_lumbar", at: str = "2027-03-16T10:00", **more: Any) -> Facts:
    request = {"procedure": procedure, "starts_at": at, "levels": ["L4-L5"], "side": "midline"}
    if procedure in {"scs_trial", "esi_caudal"}:
        del request["levels"]
    data = {"id": "x", "as_of": "2027-03-01", "request": request, "medications": list(medicines), **more}
    return read_case(data, BOOK, zone=ZONE).facts


def plan(*medicines: dict[str, Any], **more: Any) -> Any:
    return hold_plan(BOOK.thinners, facts(*medicines, **more), ON)


def codes(medicine: dict[str, Any]) -> set[str]:
    known = facts({**medicine, "prescriber_clearance": True})
    return {finding.code for finding in assess([BOOK.thinners], known, ON) if finding.refuses}


def test_drug_held_for_hours_has_moments_in_wall_clock_time() -> None:
    (held,) = plan({"drug": "apixaban"})

    assert (held.action, held.length, held.bleeding_class) == ("hold", "72 hours", "intermediate")
    assert (held.last_dose, held.restart) == (datetime(2027, 3, 13, 9), datetime(2027, 3, 17, 10))  # the clocks went forward


def test_the_last_dose_of_the_plan_is_the_last_that_the_rules_take() -> None:
    (held,) = plan({"drug": "apixaban"})

    last: datetime = held.last_dose
    assert codes({"drug": "apixaban", "last_dose": last.isoformat(timespec="minutes")}) == set()
    later = (last + timedelta(minutes=1)).isoformat(timespec="minutes")
    assert codes({"drug": "apixaban", "last_dose": later}) == {"antithrombotic_hold"}


def test_drug_held_for_days_has_a_day_and_so_do_the_rules() -> None:
    (held,) = plan({"drug": "clopidogrel"})

    assert held.last_dose == ON - timedelta(days=int(held.length.split()[0]))
    assert codes({"drug": "clopidogrel", "last_dose": held.last_dose.isoformat()}) == set()
    assert codes({"drug": "clopidogrel", "last_dose": (held.last_dose + timedelta(days=1)).isoformat()}) == {
        "antithrombotic_hold"
    }


def test_another_slot_has_other_moments() -> None:
    known = facts({"drug": "apixaban"}, at="2027-03-17T14:30")

    (held,) = hold_plan(BOOK.thinners, known, date(2027, 3, 17))

    assert (held.last_dose, held.restart) == (datetime(2027, 3, 14, 14, 30), datetime(2027, 3, 18, 14, 30))


def test_what_is_decided_together_has_no_times() -> None:
    (held,) = plan({"drug": "aspirin", "indication": "secondary"})

    assert (held.action, held.last_dose, held.restart, held.needs_word) == ("shared_decision", None, None, True)


def test_what_goes_on_needs_no_word() -> None:
    (held,) = plan({"drug": "ssri_snri"})

    assert (held.action, held.needs_word, held.last_dose) == ("continue", False, None)


def test_leads_that_stay_in_leave_the_restart_open() -> None:
    (held,) = plan({"drug": "apixaban"}, procedure="scs_trial")

    assert (held.waits_for_leads, held.restart) == (True, None)
    assert held.last_dose is not None


def test_each_word_counts_for_its_own_question() -> None:
    cleared = plan({"drug": "apixaban", "prescriber_clearance": True}, {"drug": "aspirin", "indication": "secondary"})

    assert [held.is_agreed for held in cleared] == [True, False]


def test_clearance_counts_for_the_times_that_it_was_given_for() -> None:
    known = facts({"drug": "apixaban", "last_dose": "2027-03-13T09:00", "prescriber_clearance": True})
    given = (datetime(2027, 3, 13, 9), datetime(2027, 3, 17, 10))
    others = [(given[0] - timedelta(minutes=1), given[1]), (given[0], None), (date(2027, 3, 13), given[1])]

    def about(cleared_for: Any, **word: Any) -> list[tuple[str, bool]]:
        medicines = (replace((known.medications or ())[0], cleared_for=cleared_for, **word),)
        found = assess([BOOK.thinners], replace(known, medications=medicines, is_complete=False), ON)
        return [(one.code, one.pending) for one in found if one.code == "antithrombotic_clearance"]

    assert about(given) == about(None) == []
    assert [about(other) for other in others] == [[("antithrombotic_clearance", True)]] * 3
    assert about(others[0], is_cleared=False) == [("antithrombotic_clearance", False)]
    assert about(None, is_cleared=None) == [("antithrombotic_clearance", True)]


@pytest.mark.parametrize("medicines", [None, ()])
def test_nothing_known_and_nothing_taken_make_no_plan(medicines: Any) -> None:
    known = replace(facts(), medications=medicines)

    assert hold_plan(BOOK.thinners, known, ON) == ()
