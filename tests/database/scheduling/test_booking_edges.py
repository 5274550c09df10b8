"""What booking meets seldom: several sites, nothing to take, pairs that must stand together, and who came first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest
from django.db import IntegrityError, transaction

from pain_clinic.accounts.actors import Actor
from patients.models import PatientSite
from procedures.models import Procedure
from scheduling import booking, free_time, holds
from scheduling.availability import Opening
from scheduling.booking import HoldEnded, RulesRefused, SlotTaken
from scheduling.booking.pairs import RemovalNeeded
from scheduling.booking.words import guarded
from scheduling.models import Allocation, Appointment, Block, BlockTime, FreeTime, Resource, Status, Travel
from tests import factories
from tests.database.scheduling.test_booking import TARGET, booked, codes, opening
from tests.factories import NOW, TOMORROW, SmallClinic, local


@pytest.fixture
def second(clinic: SmallClinic) -> SmallClinic:
    """Return a clinic at another site whose physician may do what is done here."""
    made = factories.small_clinic()
    factories.privilege(of=made.physician, for_procedure=clinic.procedure)
    return made


def is_known_at(where: SmallClinic, patient: int) -> bool:
    return PatientSite.objects.filter(patient=patient, site=where.site, because="appointment").exists()


# --- at another site -------------------------------------------------------------------------------------------------


def test_a_case_moved_to_another_site_makes_the_patient_known_there(clinic: SmallClinic, second: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    assert not is_known_at(second, clinic.patient.pk)
    booking.reschedule(appointment=case, opening=opening(second, local(TOMORROW, "11:00")), by=by, at=NOW)
    assert is_known_at(second, clinic.patient.pk)


def test_cases_swapped_between_sites_make_each_patient_known_at_the_others(
    clinic: SmallClinic, second: SmallClinic, by: Actor
) -> None:
    here = booked(clinic, by)
    there = booking.book(
        patient=second.patient, procedure=clinic.procedure, target=TARGET, opening=opening(second, local(TOMORROW, "11:00")),
        by=by, at=NOW,
    )  # fmt: skip
    one, two = booking.swap(first=here, second=there, by=by, at=NOW)
    assert (one.site, two.site) == (second.site, clinic.site)
    assert is_known_at(second, clinic.patient.pk)
    assert is_known_at(clinic, second.patient.pk)
    assert free_time.check(at=NOW) == ()


def test_a_physician_with_hours_at_two_sites_is_not_free_at_the_other_during_the_way(
    clinic: SmallClinic, second: SmallClinic, by: Actor
) -> None:
    factories.weekly_hours(of=clinic.physician, at_site=second.site)
    for one, other in ((clinic.site, second.site), (second.site, clinic.site)):
        Travel.objects.create(origin=one, destination=other, minutes=45)
    factories.build_free_time()
    booked(clinic, by)
    assert free_time.check(at=NOW) == ()
    away = tuple(one.pk for one in (clinic.physician, second.nurse, second.room, second.bay, second.c_arm))

    def there(clock: str) -> Appointment:
        start = local(TOMORROW, clock)
        return booking.book(
            patient=second.patient, procedure=clinic.procedure, target=TARGET, by=by, at=NOW,
            opening=Opening(start, start, start, start, second.site.pk, {"all": away}),
        )  # fmt: skip

    with pytest.raises(RulesRefused):
        there("10:10")  # the case ends at 9:30, the way takes until 10:15
    assert there("10:15").status == Status.BOOKED


def test_a_day_that_is_not_laid_out_at_the_other_site_is_left_alone(clinic: SmallClinic, second: SmallClinic, by: Actor) -> None:
    factories.weekly_hours(of=clinic.physician, at_site=second.site)
    factories.build_free_time()
    FreeTime.objects.filter(resource=clinic.physician, site=second.site, day=TOMORROW).delete()
    booked(clinic, by)
    assert not FreeTime.objects.filter(resource=clinic.physician, site=second.site, day=TOMORROW).exists()


# --- what is taken ---------------------------------------------------------------------------------------------------


def test_a_procedure_that_needs_nobody_takes_nothing(clinic: SmallClinic, by: Actor) -> None:
    talk = factories.procedure(needs=())
    case = booking.book(patient=clinic.patient, procedure=talk, target=TARGET, opening=opening(clinic, units=()), by=by, at=NOW)
    assert case.status == Status.BOOKED
    assert not Allocation.objects.filter(appointment=case).exists()


def test_a_leg_without_length_takes_nothing(clinic: SmallClinic, by: Actor) -> None:
    Procedure.objects.filter(pk=clinic.procedure.pk).update(recovery_minutes=0)
    clinic.procedure.refresh_from_db()
    case = booked(clinic, by)
    assert not Allocation.objects.filter(appointment=case, resource=clinic.bay).exists()
    nurse = Allocation.objects.get(appointment=case, resource=clinic.nurse)
    assert (nurse.legs, nurse.ends_at) == (["prep"], case.starts_at)


def test_a_room_with_a_turnover_of_its_own_is_free_again_after_both(clinic: SmallClinic, by: Actor) -> None:
    Resource.objects.filter(pk=clinic.room.pk).update(extra_turnover_minutes=20)
    case = booked(clinic, by)
    room = Allocation.objects.get(appointment=case, resource=clinic.room)
    device = Allocation.objects.get(appointment=case, resource=clinic.c_arm)
    assert (room.ends_at, device.ends_at) == (case.ends_at + timedelta(minutes=30), case.ends_at + timedelta(minutes=10))
    assert free_time.check(at=NOW) == ()


def test_book_refuses_a_unit_that_is_no_longer_in_use(clinic: SmallClinic, by: Actor) -> None:
    Resource.objects.filter(pk=clinic.room.pk).update(is_active=False)
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert "resource_unfit" in codes(refusal)
    assert f"{clinic.room.name} is no longer in use." in [finding.message for finding in refusal.value.standing]


@pytest.mark.parametrize(("family", "asks"), [("esi", False), ("pns", True)])
def test_a_block_asks_for_a_reason_unless_it_is_kept_for_this_family(
    clinic: SmallClinic, by: Actor, family: str, asks: bool
) -> None:
    block = Block.objects.create(
        resource=clinic.room, site=clinic.site, name="Kept", weekday=TOMORROW.weekday(), starts=time(8), ends=time(12),
        valid_from=TOMORROW, family=family, release_days=0,
    )  # fmt: skip
    BlockTime.objects.create(
        block=block, resource=clinic.room, site=clinic.site, starts_at=local(TOMORROW, "8:00"),
        ends_at=local(TOMORROW, "12:00"), releases_at=NOW + timedelta(hours=1),
    )  # fmt: skip
    if not asks:
        assert booked(clinic, by).status == Status.BOOKED
        return
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert codes(refusal) == {"in_block"}


def test_the_constraint_has_the_last_word_about_a_patient_in_two_places(clinic: SmallClinic) -> None:
    factories.appointment(of=clinic.patient, at_site=clinic.site)
    with pytest.raises(SlotTaken) as refusal, guarded(), transaction.atomic():
        factories.appointment(of=clinic.patient, at_site=clinic.site)  # past the locks of booking
    assert "given another case at that time" in refusal.value.message
    with pytest.raises(IntegrityError), transaction.atomic():  # the control: nobody translates
        factories.appointment(of=clinic.patient, at_site=clinic.site)


# --- holds -----------------------------------------------------------------------------------------------------------


def test_a_hold_released_twice_is_recorded_once(clinic: SmallClinic, by: Actor) -> None:
    held = holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic), by=by, at=NOW)
    first = holds.release(hold=held, by=by, at=NOW)
    again = holds.release(hold=held, by=by, at=NOW + timedelta(minutes=1))
    assert (first.released_at, again.released_at) == (NOW, NOW)
    assert free_time.check(at=NOW) == ()


def test_a_hold_that_was_released_since_it_was_read_cannot_be_booked(clinic: SmallClinic, by: Actor) -> None:
    held = holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic), by=by, at=NOW)
    holds.release(hold=held, by=by, at=NOW)
    assert held.released_at is None  # as it was read
    with pytest.raises(HoldEnded):
        booked(clinic, by, hold=held)


# --- swapping --------------------------------------------------------------------------------------------------------


def test_a_confirmed_case_that_is_swapped_has_to_be_confirmed_again(clinic: SmallClinic, by: Actor) -> None:
    first = booking.confirm(appointment=booked(clinic, by), by=by, at=NOW)
    second = booked(clinic, by, local(TOMORROW, "11:00"), patient=factories.patient(home=clinic.site, last_name="Okafor"))
    one, two = booking.swap(first=first, second=second, by=by, at=NOW)
    assert (one.status, two.status) == (Status.BOOKED, Status.BOOKED)


def test_preview_of_a_swap_says_why_a_place_is_out_of_hours_and_goes_on_to_the_other(clinic: SmallClinic, by: Actor) -> None:
    short = factories.procedure(room_minutes=15)
    factories.privilege(of=clinic.physician, for_procedure=short)
    first = booked(clinic, by)
    other = factories.patient(home=clinic.site, last_name="Okafor")
    second = booked(clinic, by, local(TOMORROW, "16:15"), patient=other, procedure=short)

    mine, theirs = booking.preview_swap(first=first, second=second, at=NOW)

    assert {finding.code for finding in mine.findings} == {"outside_hours"}  # its recovery would end at 17:15
    assert theirs.findings == ()
    assert theirs.opening.starts_at == first.starts_at


# --- a trial and the removal of its leads ----------------------------------------------------------------------------


@pytest.fixture
def trial(clinic: SmallClinic) -> Callable[..., Appointment]:
    """Return a function that puts a trial's or removal's case on a day, past the booking verb."""
    what = {
        name: factories.procedure(needs=(), family=name, code=name, is_offered=True)
        for name in ("scs_trial", "scs_trial_followup")
    }

    def make(name: str, on: date, status: str = Status.BOOKED) -> Appointment:
        return factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=what[name], starts_at=local(on, "9:00"), status=status
        )

    return make


def gone(case: Appointment, by: Actor) -> Appointment:
    return booking.cancel(appointment=case, reason="patient_wish", asked_by="patient", by=by, at=NOW)


@pytest.mark.parametrize(("days", "is_needed"), [(2, False), (3, True), (7, True), (8, False)])
def test_only_a_removal_in_time_is_needed_by_its_trial(
    clinic: SmallClinic, by: Actor, trial: Callable[..., Appointment], days: int, is_needed: bool
) -> None:
    trial("scs_trial", TOMORROW)
    removal = trial("scs_trial_followup", TOMORROW + timedelta(days=days))
    if is_needed:
        with pytest.raises(RemovalNeeded):
            gone(removal, by)
    else:
        assert gone(removal, by).status == Status.CANCELLED


def test_a_removal_may_go_when_another_is_in_time(clinic: SmallClinic, by: Actor, trial: Callable[..., Appointment]) -> None:
    trial("scs_trial", TOMORROW)
    first, _ = (trial("scs_trial_followup", TOMORROW + timedelta(days=days)) for days in (3, 5))
    assert gone(first, by).status == Status.CANCELLED


@pytest.mark.parametrize(("days", "refused"), [(7, False), (8, True)])
def test_a_removal_is_booked_in_time_for_the_trial_that_stands(
    clinic: SmallClinic, by: Actor, trial: Callable[..., Appointment], days: int, refused: bool
) -> None:
    trial("scs_trial", TOMORROW)
    start: datetime = local(TOMORROW + timedelta(days=days), "9:00")
    removal = Procedure.objects.get(code="scs_trial_followup")
    values = {"patient": clinic.patient, "procedure": removal, "target": TARGET, "by": by, "at": NOW}
    if refused:
        with pytest.raises(RulesRefused) as refusal:
            booking.book(opening=opening(clinic, start, units=()), **values)  # type: ignore[arg-type]
        assert codes(refusal) == {"removal_out_of_time"}
    else:
        assert booking.book(opening=opening(clinic, start, units=()), **values).status == Status.BOOKED  # type: ignore[arg-type]


@pytest.mark.parametrize("is_taken_out", [True, False])
def test_leads_that_another_case_takes_out_in_time_bind_no_later_removal(
    clinic: SmallClinic, by: Actor, trial: Callable[..., Appointment], is_taken_out: bool
) -> None:
    trial("scs_trial", TOMORROW - timedelta(days=2), Status.DISCHARGED)
    if is_taken_out:
        trial("scs_trial_followup", TOMORROW + timedelta(days=1))
    start: datetime = local(TOMORROW + timedelta(days=7), "9:00")
    removal = Procedure.objects.get(code="scs_trial_followup")
    values = {"patient": clinic.patient, "procedure": removal, "target": TARGET, "by": by, "at": NOW}
    if is_taken_out:
        assert booking.book(opening=opening(clinic, start, units=()), **values).status == Status.BOOKED  # type: ignore[arg-type]
    else:
        with pytest.raises(RulesRefused) as refusal:
            booking.book(opening=opening(clinic, start, units=()), **values)  # type: ignore[arg-type]
        assert codes(refusal) == {"removal_out_of_time"}
