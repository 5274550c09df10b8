"""Guidance: what a procedure offers, which device that takes, and what is wrong with a chosen one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from procedures.guidance import guidance_findings, guidance_offered, in_sentence, needs_reason, usual
from procedures.rules import Severity


@dataclass
class Work:
    """A procedure as this module sees one."""

    guidance_default: str = "fluoroscopy"
    guidance_alternatives: list[str] = field(default_factory=list)
    name: str = "Caudal epidural"


CAUDAL = Work("fluoroscopy", ["ct", "ultrasound_with_documented_reason"])


@pytest.mark.parametrize(
    ("work", "offered"),
    [
        (Work(), ("fluoroscopy",)),
        (CAUDAL, ("fluoroscopy", "ct", "ultrasound")),
        (Work("optional_fluoroscopy"), ("none", "fluoroscopy")),
        (Work("none", ["ultrasound", "fluoroscopy", "none"]), ("none", "ultrasound", "fluoroscopy")),
        (Work("crystal_ball"), ()),
    ],
)
def test_catalogue_words_become_modalities_the_usual_one_first(work: Work, offered: tuple[str, ...]) -> None:
    assert guidance_offered(work) == offered
    assert usual(work) == (offered[0] if offered else "none")


def test_what_is_offered_or_left_open_has_no_finding() -> None:
    assert guidance_findings(CAUDAL, "") == guidance_findings(CAUDAL, "ct") == []


def test_what_is_not_offered_is_structural_and_says_what_would_do() -> None:
    (finding,) = guidance_findings(Work("fluoroscopy", ["ct"]), "ultrasound")

    assert (finding.code, finding.structural) == ("guidance_not_offered", True)
    assert finding.message == "Caudal epidural is not done under ultrasound. Choose fluoroscopy or CT."


def test_ultrasound_needs_a_reason_only_where_the_table_says_so() -> None:
    finding = needs_reason(CAUDAL, "ultrasound")

    assert finding is not None
    assert (finding.code, finding.severity, finding.structural) == ("guidance_reason", Severity.NEEDS_OVERRIDE, False)
    assert needs_reason(CAUDAL, "ct") is None
    assert needs_reason(Work("fluoroscopy", ["ultrasound"]), "ultrasound") is None


def test_guidance_stands_inside_a_sentence() -> None:
    assert [in_sentence(word) for word in ("ct", "none", "ultrasound", "what_else")] == [
        "CT",
        "no imaging",
        "ultrasound",
        "what else",
    ]
