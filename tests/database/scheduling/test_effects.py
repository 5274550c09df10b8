"""What a change of a clinical row would do to coming cases, where it stops none and frees none."""

from __future__ import annotations

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from procedures import rulerows, tables
from procedures.models import RuleRow
from scheduling import effects
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local


@pytest.fixture
def manager(clinic: SmallClinic) -> User:
    tables.load(by=Actor.system("tests"), at=NOW)
    return factories.user(role="manager", sites=(clinic.site,))


def test_a_row_that_only_waits_is_counted_as_what_would_wait_no_more(clinic: SmallClinic, manager: User) -> None:
    factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, side="left",
                          starts_at=local(TOMORROW, "9:00"))  # fmt: skip
    row = RuleRow.objects.get(row_id="active_infection", section__in=rulerows.SECTIONS)

    off = effects.effect_of(rows=[rulerows.proposed(row, {"is_enabled": False}, {})], user=manager, at=NOW)
    same = effects.effect_of(rows=[row], user=manager, at=NOW)

    assert (off.coming, off.stopped, off.freed, off.waiting) == (1, 0, 0, 1)
    assert (same.coming, same.waiting) == (1, 0)
