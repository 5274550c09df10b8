"""Morphine equivalents follow the table's factors; what cannot be counted is named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from patients import mme
from patients.mme import Taken

FACTORS = {"oxycodone": Decimal("1.5"), "fentanyl_transdermal": Decimal("2.4"), "tramadol": Decimal("0.2")}
DAY = date(2026, 3, 1)


def test_amounts_are_multiplied_and_added() -> None:
    found = mme.total([Taken("oxycodone", Decimal(20)), Taken("tramadol", Decimal(100))], FACTORS, DAY)

    assert found == mme.Total(Decimal("50.0"))
    assert found.is_to_reassess


def test_a_patch_counts_by_micrograms_an_hour() -> None:
    assert mme.total([Taken("fentanyl_transdermal", Decimal(25))], FACTORS, DAY).mme == Decimal("60.0")


def test_just_below_the_edge_is_not_to_be_reassessed() -> None:
    assert not mme.total([Taken("oxycodone", Decimal("33.3"))], FACTORS, DAY).is_to_reassess


def test_a_drug_without_factor_or_amount_is_named() -> None:
    found = mme.total([Taken("buprenorphine", Decimal(8)), Taken("oxycodone", None)], FACTORS, DAY)

    assert found == mme.Total(Decimal(0), ("buprenorphine", "oxycodone"))


def test_only_what_is_taken_on_the_day_counts() -> None:
    ended = Taken("oxycodone", Decimal(20), date(2026, 1, 1), DAY)
    future = Taken("oxycodone", Decimal(20), date(2026, 3, 2))

    assert mme.total([ended, future], FACTORS, DAY).mme == 0
    assert mme.total([ended], FACTORS, date(2026, 2, 28)).mme == 30
