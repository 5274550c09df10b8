"""Whose work a waiting finding is, where neither its code nor what it is about says so."""

from __future__ import annotations

import pytest

from procedures.rules import Finding, Severity
from scheduling import waiting
from scheduling.waiting import Work


@pytest.mark.parametrize(
    ("code", "evidence", "work"),
    [
        ("diabetes_a1c", (), waiting.EARLY_LAB),
        ("mcr_facet_auth", (("authorizations", 0),), waiting.AUTHORIZATION),
        ("mcr_facet_papers", (("session_count", 1),), waiting.PAPERS),
    ],
)
def test_what_nobody_is_named_for_goes_to_billing_but_for_the_early_laboratory(
    code: str, evidence: tuple[tuple[str, object], ...], work: Work
) -> None:
    finding = Finding(code, Severity.NEEDS_OVERRIDE, "Waits.", evidence=evidence, pending=True)  # type: ignore[arg-type]
    assert waiting.work_of(finding) == work
