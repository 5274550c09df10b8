"""Days as pages write them: the year is said wherever it might be taken for another."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pain_clinic.templatetags.clinic import times

LAST, FIRST = date(2026, 12, 31), date(2027, 1, 1)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 12, 30, 12, tzinfo=UTC), ["Thu 31 Dec", "Fri 1 Jan 2027"]),
        (datetime(2027, 1, 1, 4, 30, tzinfo=UTC), ["Thu 31 Dec 2026", "Fri 1 Jan 2027"]),  # 23:30 on the 31st in New York
        (datetime(2027, 1, 2, 12, tzinfo=UTC), ["Thu 31 Dec 2026", "Fri 1 Jan"]),
    ],
)
def test_the_year_is_left_out_only_where_it_is_surely_this_one(
    monkeypatch: pytest.MonkeyPatch, moment: datetime, shown: list[str]
) -> None:
    monkeypatch.setattr(times, "now", lambda: moment)
    assert [times.day(one) for one in (LAST, FIRST)] == shown
    assert [times.long_day(one).split(" ")[3:] for one in (LAST, FIRST)] == [text.split(" ")[3:] for text in shown]
