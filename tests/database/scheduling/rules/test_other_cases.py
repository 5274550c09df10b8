"""What one case of a patient does to the others: before it is booked, and to those that stand."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients.models import FactChange
from procedures.rules import Waiver
from scheduling import booking, rechecking
from scheduling.assessing import Details, covering, wish_of
from scheduling.availability import Opening
from scheduling.booking import RulesRefused
from scheduling.models import Appointment, PlanCause
from tests import factories
from tests.database.scheduling.rules.ruling import DAY, IN_TWO_WEEKS, booked, said, settle, standing
from tests.factories import NOW, SmallClinic, local

STEROID = Details(drug="methylprednisolone_acetate", dose_mg=Fraction(80), has_driver=True)
INTERVAL = "min_interval_steroid"


def opening(clinic: SmallClinic, on: Any, clock: str = "9:00") -> Opening:
    start = local(on, clock)
    return Opening(start, start, start, start, clinic.site.pk, {"all": tuple(one.pk for one in clinic.resources)})


def to_ask() -> list[str]:
    return list(FactChange.objects.filter(done_at=None).order_by("pk").values_list("kind", flat=True))


@pytest.mark.parametrize(("days", "refused"), [(13, True), (14, False)])
def test_steroid_too_soon_before_a_booked_one_is_refused_at_booking(
    ruled: SmallClinic, by: Actor, days: int, refused: bool
) -> None:
    settle(ruled)
    tuesday = IN_TWO_WEEKS + DAY
    later = booked(ruled, by, tuesday + days * DAY, details=STEROID)
    if not refused:
        assert INTERVAL not in said(booked(ruled, by, tuesday, details=STEROID))
        return
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by, tuesday, details=STEROID)
    [finding] = [one for one in refusal.value.standing if one.code == INTERVAL]
    assert str(later.local_date) in str(finding.facts["later"])


def test_move_to_too_soon_before_a_booked_one_is_refused_and_a_search_steps_over_it(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    early = booked(ruled, by, IN_TWO_WEEKS, details=STEROID)
    later = booked(ruled, by, IN_TWO_WEEKS + 21 * DAY, details=STEROID)
    with pytest.raises(RulesRefused) as refusal:
        booking.reschedule(appointment=early, opening=opening(ruled, IN_TWO_WEEKS + 8 * DAY), by=by, at=NOW)
    assert [one.code for one in refusal.value.standing] == [INTERVAL]
    cover = covering(wish=wish_of(early), patient=early.patient, at=NOW, moving=early)
    assert cover.blocking(later.local_date - DAY) == ()  # a row that needs a reason is for the desk
    booking.reschedule(appointment=early, opening=opening(ruled, IN_TWO_WEEKS + 7 * DAY), by=by, at=NOW)


def test_waived_interval_is_from_then_on_said_by_the_later_case_alone(ruled: SmallClinic, by: Actor, physician: Actor) -> None:
    settle(ruled)
    later = booked(ruled, by, IN_TWO_WEEKS + 4 * DAY, details=STEROID)
    assert INTERVAL not in said(later)
    early = booked(ruled, physician, IN_TWO_WEEKS, details=STEROID, waivers=[Waiver(INTERVAL, "clinical_judgement", "Seen.")])
    assert (said(early)[INTERVAL], standing(early)) == ("warn", set())
    assert to_ask() == ["appointment"]
    assert rechecking.follow_changes(at=NOW).seen == 2
    assert standing(later) == {INTERVAL}
    assert INTERVAL not in said(early)


def test_booking_moving_cancelling_and_reinstating_have_the_others_asked_again(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    early = booked(ruled, by, IN_TWO_WEEKS)
    assert to_ask() == []  # there is no other
    later = booked(ruled, by, IN_TWO_WEEKS + 28 * DAY)
    assert to_ask() == ["appointment"]
    FactChange.objects.update(done_at=NOW)
    later = booking.reschedule(appointment=later, opening=opening(ruled, IN_TWO_WEEKS + 29 * DAY), by=by, at=NOW)
    assert to_ask() == ["appointment"]
    FactChange.objects.update(done_at=NOW)
    later = booking.cancel(appointment=later, reason="patient_ill", asked_by="patient", by=by, at=NOW)
    assert to_ask() == ["appointment"]
    FactChange.objects.update(done_at=NOW)
    booking.reinstate(appointment=later, by=by, at=NOW)
    assert to_ask() == ["appointment"]
    assert FactChange.objects.filter(planned_at=None).count() == 0  # bookings leave the planner causes of their own
    FactChange.objects.update(done_at=NOW)
    booking.cancel(appointment=early, reason="patient_ill", asked_by="patient", by=by, at=NOW)
    assert to_ask() == ["appointment"]
    assert PlanCause.objects.count() == 0  # no course


def test_cancelled_session_frees_the_later_one_within_seconds(ruled: SmallClinic, by: Actor, physician: Actor) -> None:
    settle(ruled)
    early = booked(ruled, by, IN_TWO_WEEKS, details=STEROID)
    waiver = [Waiver(INTERVAL, "clinical_judgement", "Seen.")]
    later = booked(ruled, physician, IN_TWO_WEEKS + 4 * DAY, details=STEROID, waivers=waiver)
    booking.cancel(appointment=early, reason="patient_ill", asked_by="patient", by=by, at=NOW)
    rechecking.follow_changes(at=NOW)
    assert INTERVAL not in said(later)


def test_cases_of_others_and_those_that_are_over_leave_no_word(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    factories.appointment(of=factories.patient(home=ruled.site), for_procedure=ruled.procedure, side="right", at_site=ruled.site)
    factories.appointment(
        of=ruled.patient, for_procedure=ruled.procedure, side="right", at_site=ruled.site, starts_at=NOW - timedelta(days=9)
    )
    booked(ruled, by, IN_TWO_WEEKS)
    assert to_ask() == []
    assert Appointment.objects.count() == 3


def test_two_cases_of_one_day_share_the_ceiling_and_the_total(ruled: SmallClinic, by: Actor) -> None:
    settle(ruled)
    booked(ruled, by, IN_TWO_WEEKS, "9:00", details=STEROID)
    with pytest.raises(RulesRefused) as refusal:
        booked(ruled, by, IN_TWO_WEEKS, "14:00", details=STEROID)
    found = {one.code: one for one in refusal.value.standing}
    assert set(found) == {"esi_dose_ceiling", "same_day_twice"}
    assert "160 mg of 80 mg" in found["esi_dose_ceiling"].message
    [total] = [one for one in refusal.value.findings if one.code == "cumulative_general"]
    assert total.facts["counted"] == 160
