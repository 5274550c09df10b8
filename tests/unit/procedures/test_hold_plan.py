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


# --- what the table says in words ------------------------------------------------------------------------------------

CERVICAL = "consider holding for cervical interlaminar epidural and stellate block (memory)"
LEVEL = "measure level or extend; ask prescriber"


@pytest.mark.parametrize(
    ("medicine", "procedure", "notes"),
    [
        ("clopidogrel", "esi_il_lumbar", "Restart: 12 to 24 hours; 24 hours after a loading dose"),
        ("warfarin", "esi_il_lumbar", "INR: back to normal"),
        ("nsaid_ibuprofen", "esi_il_lumbar", f"Hold: {CERVICAL}"),
        ("enoxaparin_ther", "scs_trial", "Restart: 12 to 24"),
        ("ssri_snri", "esi_il_lumbar", None),
        ("enoxaparin_proph", "esi_il_lumbar", "CrCl below 30 mL/min: 24 hours. No CrCl is on file."),
        ("dabigatran", "esi_il_lumbar", "impaired kidney function: 5 to 6 days. No CrCl is on file."),
        ("dabigatran", "tpi", "impaired kidney function: 5 to 6 days. No CrCl is on file."),  # decided together
    ],
)  # fmt: skip
def test_plan_tells_what_the_row_says_beside_its_figures(medicine: str, procedure: str, notes: str | None) -> None:
    asked = facts({"drug": medicine}, procedure=procedure) if procedure != "tpi" else low({"drug": medicine})
    (held,) = hold_plan(BOOK.thinners, asked, ON)
    assert (notes in held.notes) if notes else held.notes == ()


def low(*medicines: dict[str, Any]) -> Facts:
    data = {
        "id": "x",
        "as_of": "2027-03-01",
        "request": {"date": "2027-03-16", "procedure": "tpi"},
        "medications": list(medicines),
    }
    return read_case(data, BOOK, zone=ZONE).facts


@pytest.mark.parametrize(
    ("drug", "value", "length", "note"),
    [
        ("dabigatran", 49, "6 days", "impaired kidney function: 5 to 6 days. On file: CrCl 49 of 2027-02-01."),
        ("dabigatran", 50, "4 days", None),
        ("apixaban", 29, "72 hours", f"CrCl below 30 mL/min: {LEVEL}. On file: CrCl 29 of 2027-02-01."),
        ("apixaban", 30, "72 hours", None),
        ("enoxaparin_proph", 29, "24 hours", "CrCl below 30 mL/min: 24 hours. On file: CrCl 29 of 2027-02-01."),
        ("enoxaparin_proph", 30, "12 hours", None),
    ],
)  # fmt: skip
def test_kidneys_on_file_lengthen_the_hold_of_a_real_patient(drug: str, value: int, length: str, note: str | None) -> None:
    known = replace(facts({"drug": drug}, labs=[{"test": "crcl", "date": "2027-02-01", "value": value}]), is_complete=False)
    (held,) = hold_plan(BOOK.thinners, known, ON)
    assert held.length == length
    assert [one for one in held.notes if "CrCl" in one] == ([note] if note else [])


def test_written_case_reads_only_what_the_convention_reads() -> None:
    (held,) = plan({"drug": "dabigatran"}, labs=[{"test": "crcl", "date": "2027-02-01", "value": 20}])
    assert held.length == "4 days"


def test_rules_hold_a_drug_as_long_as_the_plan_says_and_never_shorter() -> None:
    taken = {"drug": "dabigatran", "last_dose": "2027-03-11", "prescriber_clearance": True}
    known = facts(taken, labs=[{"test": "crcl", "date": "2027-02-01", "value": 30}])
    live = replace(known, is_complete=False)
    assert [one.code for one in assess([BOOK.thinners], known, ON) if one.refuses] == []
    [finding] = [one for one in assess([BOOK.thinners], live, ON) if one.refuses]
    assert (finding.code, finding.earliest) == ("antithrombotic_hold", ON + timedelta(days=1))
    drug = BOOK.thinners.drugs["dabigatran"]
    shorter = replace(drug, modifiers=(replace(drug.modifiers[0], days=3),))
    book = replace(BOOK.thinners, drugs={**BOOK.thinners.drugs, "dabigatran": shorter})
    assert hold_plan(book, live, ON)[0].length == "4 days"


def test_words_without_a_figure_are_told_as_they_are() -> None:
    drug = BOOK.thinners.drugs["dabigatran"]
    only_words = replace(drug.modifiers[0], lab="", below=None, days=None)
    book = replace(BOOK.thinners, drugs={**BOOK.thinners.drugs, "dabigatran": replace(drug, modifiers=(only_words,))})
    (held,) = hold_plan(book, facts({"drug": "dabigatran"}), ON)
    assert held.notes == ("impaired kidney function: 5 to 6 days.",)


def test_a_decision_counts_on_the_day_for_which_it_was_made() -> None:
    known = facts({"drug": "aspirin", "indication": "secondary", "decision_recorded": True})

    def about(slot: datetime | None, **word: Any) -> tuple[Any, ...]:
        medicines = (replace((known.medications or ())[0], decided_for=slot, decided="Goes on", **word),)
        live = replace(known, medications=medicines, is_complete=False)
        (held,) = hold_plan(BOOK.thinners, live, ON)
        (found,) = [one for one in assess([BOOK.thinners], live, ON) if one.code == "antithrombotic_shared_decision"]
        return held.is_agreed, found.severity.value, found.pending

    slot = datetime(2027, 3, 16, 10)
    later = slot + timedelta(hours=6)  # what the table leaves to people it does not count in hours
    assert about(slot) == about(later) == about(None) == (True, "info", False)
    assert [about(slot + timedelta(days=days)) for days in (-1, 1)] == [(None, "warn", True)] * 2
    assert about(slot - timedelta(days=1), is_decided=False) == (False, "warn", False)  # that it was not decided stands


def test_a_decision_for_another_day_says_what_it_was_and_for_which() -> None:
    known = facts({"drug": "aspirin", "indication": "secondary", "decision_recorded": True})
    medicines = (replace((known.medications or ())[0], decided_for=datetime(2027, 3, 9, 9), decided="Goes on, needle at 9"),)

    (found,) = assess([BOOK.thinners], replace(known, medications=medicines, is_complete=False), ON)

    assert 'decided together was for 2027-03-09 ("Goes on, needle at 9")' in found.message
    assert (found.facts["decided_for"], found.earliest) == ("2027-03-09", None)
