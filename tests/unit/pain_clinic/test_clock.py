from __future__ import annotations

import pytest

from pain_clinic.clock import days_in_words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Epidural of 2026-08-24: at least 50% better", "Epidural of 24 Aug 2026: at least 50% better"),
        ("from 2026-01-01 to 2026-12-31", "from 1 Jan 2026 to 31 Dec 2026"),
        ("number 2026-13-40 and A2026-08-24B stay", "number 2026-13-40 and A2026-08-24B stay"),
        (
            "Milk until 2026-08-24 07:30: they end at 2026-08-24 13:30.",
            "Milk until 24 Aug 2026 7:30: they end at 24 Aug 2026 13:30.",
        ),
        ("taken 2026-08-24T07:30:00; 2 of 2026-08-24 5 mg", "taken 24 Aug 2026 7:30; 2 of 24 Aug 2026 5 mg"),
        (
            "2026-08-24T07:30:00+00:00 and 2026-08-24 07:30-05:00 stay",
            "2026-08-24T07:30:00+00:00 and 2026-08-24 07:30-05:00 stay",
        ),
        ("", ""),
    ],
)
def test_days_in_a_text_are_written_as_people_write_them(text: str, told: str) -> None:
    assert days_in_words(text) == told
