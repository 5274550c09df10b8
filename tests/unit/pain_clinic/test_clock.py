from __future__ import annotations

import pytest

from pain_clinic.clock import days_in_words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Epidural of 2026-08-24: at least 50% better", "Epidural of 24 Aug 2026: at least 50% better"),
        ("from 2026-01-01 to 2026-12-31", "from 1 Jan 2026 to 31 Dec 2026"),
        ("number 2026-13-40 and A2026-08-24B stay", "number 2026-13-40 and A2026-08-24B stay"),
        ("", ""),
    ],
)
def test_days_in_a_text_are_written_as_people_write_them(text: str, told: str) -> None:
    assert days_in_words(text) == told
