"""Epidurals by payer region: by the levels, else by the part of the spine that is named, else by the procedure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from procedures.pathways import Proposed, follow
from tests.unit.procedures.pathways.walking import START, Patient, days, scored, wanted


@pytest.mark.parametrize(
    ("meant", "site", "levels", "is_its_own"),
    [
        ((), "lumbar", ("L4-L5",), True),
        (("L4-L5",), "lumbar", (), True),
        ((), "lumbar_sacral", (), True),
        (("L4-L5",), "", (), True),  # nobody wrote where: the procedure says it
        ((), "cervical", (), False),
        (("L4-L5",), "", ("C6-C7",), False),
    ],
)
def test_a_session_without_levels_is_matched_by_the_part_of_the_spine(
    meant: tuple[str, ...], site: str, levels: tuple[str, ...], is_its_own: bool
) -> None:
    patient = Patient.on("esi_as_needed")
    work = wanted("esi_tf_lumbar", levels=meant, site="" if meant else "lumbar")
    patient.aim = replace(patient.aim, works={"epidural": work})
    patient.has("epidural", START, work=replace(work, levels=levels, site=site), scores=scored((START + days(14), 80)))
    assert bool(follow(patient.pathway, patient.aim, patient.known(START))) is is_its_own


def test_the_limit_counts_sessions_without_levels() -> None:
    patient = Patient.on("esi_as_needed")
    work = wanted("esi_tf_lumbar", levels=(), site="lumbar")
    patient.aim = replace(patient.aim, works={"epidural": work})
    for ago in (1, 95, 190, 285):
        on = START + days(300 - ago)
        patient.has("epidural", on, work=work, scores=scored((on, 80), (on + days(95), 80)))
    answer = patient.ask(START + days(400))
    assert isinstance(answer, Proposed)
    assert "3 of 4 sessions used" in answer.reasons
