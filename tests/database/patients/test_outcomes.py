"""What scores of later days say of a session, and how all outcomes are computed anew."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from django.core.management import call_command

from pain_clinic.accounts.actors import Actor
from patients import outcomes, records
from patients.models import PerformedProcedure, Phase, Role, SessionOutcome
from tests import factories
from tests.factories import SmallClinic

DAY = date(2026, 3, 2)


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


def scored(clinic: SmallClinic, nurse: Actor, at: datetime, role: str, told: list[tuple[date, str, str]]) -> SessionOutcome:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": DAY, "side": "left", "role": role}
    done = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=nurse, at=at)
    for on, value, phase in told:
        score = {"measure": "nrs", "aspect": "index", "value": Decimal(value), "scored_on": on, "phase": phase, "performed": done}
        outcomes.record_score(patient=clinic.patient, values=score, by=nurse, at=at)
    return SessionOutcome.objects.get(performed=done)


TOLD = [
    (DAY, "8", Phase.BEFORE),
    (DAY, "2", Phase.AFTER),  # the anaesthetic
    (date(2026, 3, 16), "5", Phase.FOLLOW_UP),
    (date(2026, 4, 13), "3", Phase.FOLLOW_UP),
    (date(2026, 6, 2), "6", Phase.FOLLOW_UP),
]


def later(outcome: SessionOutcome) -> tuple[object, ...]:
    return outcome.later_count, outcome.later_best_pct, outcome.later_50_until, outcome.later_50_lost_on


def test_a_treatment_is_judged_by_the_scores_of_later_days(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    outcome = scored(clinic, nurse, at, Role.THERAPEUTIC, TOLD)

    assert (outcome.best_pct, outcome.held_50_until, outcome.lost_50_on) == (75, DAY, date(2026, 3, 16))
    assert later(outcome) == (3, Decimal("62.5"), date(2026, 4, 13), date(2026, 6, 2))


def test_a_diagnostic_block_is_judged_by_every_score_after_it(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    assert later(scored(clinic, nurse, at, Role.DIAGNOSTIC, TOLD)) == (4, 75, DAY, date(2026, 3, 16))


def test_a_score_of_the_same_day_alone_says_nothing_of_a_treatment(clinic: SmallClinic, nurse: Actor, at: datetime) -> None:
    assert later(scored(clinic, nurse, at, Role.THERAPEUTIC, TOLD[:2])) == (0, None, None, None)


def test_all_outcomes_are_computed_anew_by_a_command(
    clinic: SmallClinic, nurse: Actor, at: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = scored(clinic, nurse, at, Role.THERAPEUTIC, TOLD)
    SessionOutcome.objects.update(later_best_pct=None, later_count=0)

    call_command("check_outcomes")
    call_command("check_outcomes")

    assert capsys.readouterr().out.splitlines() == [
        "1 outcomes were otherwise and have been written.",
        "0 outcomes were otherwise and have been written.",
    ]
    assert SessionOutcome.objects.get().later_best_pct == outcome.later_best_pct
