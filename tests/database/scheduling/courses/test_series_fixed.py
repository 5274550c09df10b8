"""Epidurals ordered together for a payer that wants the response to one before the next is fixed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from patients.models import Coverage, PerformedProcedure, Score
from procedures.models import Procedure
from scheduling import booking, rechecking, series
from scheduling.assessing import fixed_ahead
from scheduling.booking import RulesRefused
from scheduling.models import Appointment, AppointmentFinding, SeriesStatus
from scheduling.series import Item, NotWhole
from tests.database.scheduling.courses.conftest import Ward
from tests.factories import NOW, TODAY

DAY = timedelta(days=1)
CODE = "mcr_esi_no_series"


@pytest.fixture
def medicare(ward: Ward) -> Ward:
    Coverage.objects.create(
        patient=ward.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    return ward


def ordered(ward: Ward, count: int = 2, code: str = "esi_tf_lumbar") -> series.Series:
    what = Item(Procedure.objects.get(code=code), "right", levels=("L4-L5",), count=count)
    return series.order(patient=ward.patient, site=ward.clinic.site, given=(what,), by=ward.doctor, at=NOW)


def told(of: series.Series) -> list[bool]:
    return [any(one["code"] == CODE for one in session.findings) for session in series.read(of)]


def standing(case: Appointment) -> bool:
    return AppointmentFinding.objects.filter(appointment=case, code=CODE, gone_at=None).exists()


def test_every_epidural_after_the_first_of_an_order_needs_a_reason_until_the_response_is_known(medicare: Ward) -> None:
    made = ordered(medicare, 3)
    assert told(made) == [False, True, True]
    with pytest.raises(NotWhole) as refusal:
        series.book(series=made, by=medicare.desk, at=NOW)
    assert isinstance(refusal.value.error, RulesRefused)
    series.book(
        series=made, by=medicare.doctor, at=NOW, reason_code="clinical_judgement", reason="Travels far; looked at before."
    )
    first, second, third = (one.appointment for one in series.read(made))
    assert first is not None
    assert second is not None
    assert third is not None
    assert fixed_ahead(made.pk) == {2, 3}
    rechecking.recheck([medicare.patient.pk], at=NOW)
    assert [standing(case) for case in (first, second, third)] == [False, True, True]
    done = PerformedProcedure.objects.create(
        patient=medicare.patient, procedure=first.procedure, appointment=first.public_id, done_on=TODAY, side="right",
        levels=["L4-L5"], recorded_at=NOW, site=medicare.clinic.site,
    )  # fmt: skip
    common = {"patient": medicare.patient, "performed": done, "measure": "nrs", "aspect": "index", "recorded_at": NOW}
    Score.objects.create(value=8, phase="before", scored_on=TODAY, **common)
    assert fixed_ahead(made.pk) == {2, 3}  # of the day itself, not of what came after
    Score.objects.create(value=2, phase="follow_up", scored_on=TODAY + DAY, **common)
    assert fixed_ahead(made.pk) == {3}
    booking.cancel(appointment=second, reason="patient_ill", asked_by="patient", by=medicare.desk, at=NOW)
    rechecking.recheck([medicare.patient.pk], at=NOW)
    assert not standing(third)


def test_what_is_skipped_or_withdrawn_fixes_nothing(medicare: Ward) -> None:
    made = ordered(medicare)
    assert fixed_ahead(made.pk) == {2}
    type(made).objects.filter(pk=made.pk).update(status=SeriesStatus.WITHDRAWN)
    assert fixed_ahead(made.pk) == frozenset()
    type(made).objects.filter(pk=made.pk).update(status=SeriesStatus.OPEN)
    made.sessions.filter(number=1).update(is_skipped=True)
    assert fixed_ahead(made.pk) == frozenset()


def test_one_epidural_alone_and_blocks_of_another_family_are_no_series(medicare: Ward) -> None:
    assert told(ordered(medicare, 1)) == [False]
    assert told(ordered(medicare, 2, "mbb_lumbar")) == [False, False]  # fixed too, but no rule of the payer speaks of them
