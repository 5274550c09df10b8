"""What stands about a patient: what can hurt, sums with limits, medicines, authorisations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from patients.models import Allergy, Asked, Authorization, Condition, Coverage, GivenDrug, Medication
from tests.database.patients.history.making import TODAY, Enter, chip, page_of
from tests.factories import SmallClinic


def test_what_can_hurt_is_said_as_hurting_as_nothing_or_as_unknown(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]
) -> None:
    tell(Medication, kind="antithrombotic", drug="apixaban", name="Apixaban", dose="5 mg")
    tell(Medication, kind="antithrombotic", drug="warfarin", name="Warfarin", stopped_on=TODAY)
    tell(Allergy, agent="latex", severity="severe")
    tell(Asked, topic="implants", asked_on=date(2026, 9, 2))

    page = page_of(clinic, signed_in)

    assert chip(page, "thinner") == ("hurts", "Apixaban 5 mg")
    assert chip(page, "allergy") == ("hurts", "Latex (severe)")
    assert chip(page, "implant") == ("none", "none (asked 2 Sep 2026)")
    assert chip(page, "infection") == ("unknown", "not asked")
    assert "pregnancy" not in {one.kind for one in page.chips}  # born in 1958


@pytest.mark.parametrize(("born", "sex", "asks"), [
    (date(1971, 9, 14), "female", True), (date(1970, 9, 14), "female", False), (date(2014, 9, 14), "female", True),
    (date(2014, 9, 15), "female", False), (date(1990, 1, 1), "male", False), (date(1990, 1, 1), "unknown", True),
])  # fmt: skip
def test_pregnancy_is_asked_of_those_whom_the_table_names(
    clinic: SmallClinic, signed_in: Enter, born: date, sex: str, asks: bool
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(birth_date=born, sex=sex)

    assert ("pregnancy" in {one.kind for one in page_of(clinic, signed_in).chips}) is asks


@pytest.mark.parametrize(("ended", "antibiotics", "state"), [
    (None, None, "hurts"), (date(2026, 9, 1), None, "unknown"), (date(2026, 9, 1), date(2026, 9, 8), "hurts"),
    (date(2026, 9, 1), date(2026, 9, 7), "unknown"),
])  # fmt: skip
def test_an_infection_counts_until_a_week_after_the_last_antibiotic(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any], ended: date | None, antibiotics: date | None, state: str
) -> None:
    tell(Condition, kind="infection", name="Tooth", began_on=date(2026, 8, 1), ended_on=ended, antibiotics_until=antibiotics)

    assert chip(page_of(clinic, signed_in), "infection")[0] == state


def test_the_steroid_ledger_adds_equivalents_over_the_window_of_the_rule(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]
) -> None:
    for drug, dose, on in (
        ("dexamethasone", 15, date(2026, 3, 1)),  # 15 x 4 / 0.75 = 80
        ("triamcinolone_acetonide", 40, date(2025, 9, 14)),  # 40, a year ago to the day
        ("triamcinolone_acetonide", 40, date(2025, 9, 13)),  # a day too long ago
    ):
        tell(GivenDrug, kind="steroid", drug=drug, dose_mg=dose, given_on=on)
    tell(GivenDrug, kind="steroid", drug="betamethasone", given_on=date(2026, 5, 1))
    tell(GivenDrug, kind="local_anaesthetic", drug="lidocaine", dose_mg=40, given_on=date(2026, 5, 1))

    year, *rest = (one for one in page_of(clinic, signed_in).ledgers if one.label.startswith("Steroid"))

    assert (year.total, year.limit, year.share, year.is_over, rest) == ("120 mg", "320 mg", 38, False, [])
    assert year.notes[1].startswith("1 without a dose on record")


@pytest.mark.parametrize(("dose", "is_over"), [(200, False), (201, True)])
def test_thin_bones_have_their_own_limits(
    clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any], dose: int, is_over: bool
) -> None:
    tell(Condition, kind="osteoporosis")
    tell(GivenDrug, kind="steroid", drug="methylprednisolone_acetate", dose_mg=dose, given_on=date(2026, 5, 1))

    found = {one.label: (one.limit, one.is_over) for one in page_of(clinic, signed_in).ledgers if one.label.startswith("Steroid")}

    assert found == {"Steroid, 12 months": ("200 mg", is_over), "Steroid, 36 months": ("400 mg", False)}


def test_radiation_is_added_up_and_what_is_missing_is_said(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any]
) -> None:
    session(date(2026, 6, 1), guidance="fluoroscopy", fluoroscopy_seconds=48, dose_ugy_m2=Decimal("12.50"))
    session(date(2026, 6, 8), guidance="fluoroscopy", fluoroscopy_seconds=30)
    session(date(2026, 6, 9), guidance="fluoroscopy")
    session(date(2025, 9, 13), guidance="fluoroscopy", fluoroscopy_seconds=500)
    session(date(2026, 6, 10), guidance="ultrasound")

    beam = page_of(clinic, signed_in).ledgers[-1]

    assert beam.total == "1 min 18 s"
    assert beam.notes[0] == "12.5 µGy·m² dose-area product, 3 sessions"
    assert beam.notes[1].startswith("1 without a beam time")


def test_authorisations_say_what_is_left(clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]) -> None:
    coverage = tell(Coverage, payer="Harbour", payer_rules="none", plan_type="commercial")
    common = {"coverage": coverage, "covers": "esi", "status": "approved", "decided_on": date(2026, 3, 1), "units": 3}
    tell(Authorization, number="A-1", valid_until=TODAY, **common)
    tell(Authorization, number="A-0", valid_until=TODAY - timedelta(days=1), **common)
    tell(Authorization, coverage=coverage, covers="facet_rfa")

    page = page_of(clinic, signed_in)

    assert {(one.number, one.state, one.until, one.left) for one in page.allowances} == {
        ("A-1", "Approved", "14 Sep 2026", "3 of 3 left"),
        ("", "Asked for", "", ""),
    }
    assert [(pair.label, pair.value) for pair in page.coverage] == [("Harbour", "Commercial")]


def test_medicines_are_added_up_in_equivalents(clinic: SmallClinic, signed_in: Enter, tell: Callable[..., Any]) -> None:
    tell(Medication, kind="opioid", drug="oxycodone", name="Oxycodone", daily_amount=40, started_on=date(2026, 1, 1))
    tell(Medication, kind="opioid", drug="buprenorphine", name="Buprenorphine", daily_amount=8)
    tell(Medication, kind="opioid", drug="morphine", name="Morphine", daily_amount=30, stopped_on=TODAY)

    page = page_of(clinic, signed_in)

    assert (page.mme, page.mme_is_high) == ("60 MME a day; not counted: buprenorphine", True)
    assert ([one.name for one in page.medicines], [one.name for one in page.past_medicines]) == (
        ["Buprenorphine", "Oxycodone"], ["Morphine"],
    )  # fmt: skip
