"""`docs/clinical-rules.md` and the tables name the same rules, with the same weights: neither may run ahead."""

from __future__ import annotations

import re
from pathlib import Path

from procedures import tables
from procedures.rules import Severity

PAGE = Path(__file__).parents[2] / "docs" / "clinical-rules.md"
BOOK = tables.book_of_files()


def section(title: str) -> dict[str, str]:
    """Return the severities that the page gives, by code, from one section."""
    text = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    found = next(part for part in text if part.startswith(title))
    return dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^|]+) \|", found, flags=re.M))


def test_every_payer_rule_is_told_with_its_weight() -> None:
    expected = {row["id"]: f"`{row['severity']}`" + ("" if row["enabled_by_default"] else ", off") for row in BOOK.payer_rows}
    assert section("Payer rules") == expected


def test_every_finding_about_blood_thinners_is_told() -> None:
    assert section("Blood thinners").keys() == BOOK.thinners.severities.keys()


def test_every_rule_of_the_clinics_own_tables_is_told_with_its_weight() -> None:
    told = section("Steroids and safety") | section("Fasting and escort")
    assert told.keys() == {rule.code for _, rule in BOOK.clinic_rules}
    for _, rule in BOOK.clinic_rules:
        assert f"`{rule.row.severity.value}`" in told[rule.code]


def test_the_page_uses_the_words_of_the_severities() -> None:
    words = set(re.findall(r"`(\w+)`", " ".join(section("Payer rules").values())))
    assert words == {severity.value for severity in Severity}
