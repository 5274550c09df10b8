"""What a finding rests on, in words."""

from __future__ import annotations

from procedures.rules import evidence


def test_evidence_is_told_by_names_that_people_read_and_without_what_the_message_says() -> None:
    held = {
        "counted": 4,
        "limit": 4,
        "window": "12 months",
        "sessions": "2027-01-04 MBB lumbar",
        "state": "not_yet",
        "missing": "",
    }
    assert evidence.line(held.items()) == "Sessions counted: 2027-01-04 MBB lumbar; State: not yet"
    assert evidence.told(held.items(), without=frozenset({"sessions"}))[:2] == (("Counted", "4"), ("Limit", "4"))
    assert evidence.line([]) == ""


def test_only_words_of_the_tables_lose_their_underscores() -> None:
    pairs = [("missing", "pain_diary, failed_therapy_weeks"), ("hold", "5 days"), ("note", "form A_1 of the payer")]
    assert [value for _, value in evidence.told(pairs)] == ["pain diary, failed therapy weeks", "5 days", "form A_1 of the payer"]
