"""What the catalogue's rows say of themselves."""

from __future__ import annotations

import pytest

from procedures.models import ClinicalTable, Procedure, ProcedureNeed


def test_rows_say_what_they_are() -> None:
    assert str(Procedure(name="Blood patch")) == "Blood patch"
    assert str(ClinicalTable(name="catalogue", version="0.1")) == "catalogue 0.1"
    assert str(ProcedureNeed(kind="nurse", count=2)) == "2 x nurse"


@pytest.mark.parametrize(
    ("is_offered", "is_retired", "is_bookable"), [(True, False, True), (False, False, False), (False, True, False)]
)
def test_bookable_means_offered_and_not_retired(is_offered: bool, is_retired: bool, is_bookable: bool) -> None:
    assert Procedure(is_offered=is_offered, is_retired=is_retired).is_bookable is is_bookable


def test_stay_is_arrival_to_leaving_without_turnover() -> None:
    assert Procedure(prep_minutes=15, room_minutes=30, recovery_minutes=45, turnover_minutes=10).stay_minutes == 90
