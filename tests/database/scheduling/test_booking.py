from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Refused
from patients.models import Patient
from procedures import rulebook
from procedures.models import Procedure
from procedures.rules import Facts, Finding, Severity, Waiver
from scheduling import booking, free_time, holds, visits
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, SlotTaken, Stale, Target
from scheduling.models import (
    Allocation,
    Appointment,
    AppointmentFinding,
    AskedBy,
    Block,
    BlockTime,
    CancelReason,
    InvalidMove,
    Message,
    RuleOverride,
    Status,
)
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local

TARGET, OTHER = Target(side="right"), Target(side="left")


def opening(clinic: SmallClinic, starts_at: datetime | None = None, *, units: tuple[int, ...] | None = None) -> Opening:
    start = starts_at or local(TOMORROW, "9:00")
    chosen = units if units is not None else tuple(one.pk for one in clinic.resources)
    return Opening(start, start, start, start, clinic.site.pk, {"all": chosen})


def booked(clinic: SmallClinic, by: Actor, starts_at: datetime | None = None, **values: object) -> Appointment:
    given: dict[str, object] = {"patient": clinic.patient, "procedure": clinic.procedure, "target": TARGET, "at": NOW}
    return booking.book(opening=opening(clinic, starts_at), by=by, **{**given, **values})  # type: ignore[arg-type]


def written_to(clinic: SmallClinic) -> None:
    """Give the clinic's patient an address: about one without, the desk gets a task as well."""
    clinic.patient.email = "vera@example.org"
    clinic.patient.save(update_fields=["email"])


def codes(refusal: pytest.ExceptionInfo[RulesRefused]) -> set[str]:
    return {finding.code for finding in refusal.value.standing}


def test_book_writes_the_case_its_allocations_a_message_and_one_audit_event(clinic: SmallClinic, by: Actor) -> None:
    written_to(clinic)
    case = booked(clinic, by)
    start = local(TOMORROW, "9:00")
    assert (case.arrives_at, case.starts_at) == (start - timedelta(minutes=15), start)
    assert (case.ends_at, case.leaves_at) == (start + timedelta(minutes=30), start + timedelta(minutes=60))
    taken = {(one.kind, one.starts_at, one.ends_at) for one in Allocation.objects.filter(appointment=case)}
    assert ("physician", start, start + timedelta(minutes=30)) in taken
    assert ("room", start, start + timedelta(minutes=40)) in taken
    assert ("bay", start + timedelta(minutes=30), start + timedelta(minutes=60)) in taken
    assert [message.kind for message in Message.objects.filter(appointment=case)] == ["confirmation"]
    assert list(AuditEvent.objects.values_list("act", "outcome", "subject_id")) == [("scheduling.book", "done", case.public_id)]
    assert free_time.check(at=NOW) == ()


def test_book_refuses_when_the_room_is_taken(clinic: SmallClinic, by: Actor) -> None:
    booked(clinic, by)
    other = factories.patient(home=clinic.site, last_name="Okafor")
    with pytest.raises(SlotTaken):
        booked(clinic, by, patient=other)
    assert Appointment.objects.count() == 1


def test_book_lets_the_next_case_begin_when_the_turnover_ends(clinic: SmallClinic, by: Actor) -> None:
    booked(clinic, by)
    other = factories.patient(home=clinic.site, last_name="Okafor")
    with pytest.raises(SlotTaken):
        booked(clinic, by, local(TOMORROW, "9:35"), patient=other)
    # Bay 1 and Nurse Kim watch over the first recovery until 10:00.
    assert booked(clinic, by, local(TOMORROW, "10:15"), patient=other).status == Status.BOOKED


def test_nothing_is_booked_moved_or_reinstated_for_who_has_died_and_a_case_can_still_be_cancelled(
    clinic: SmallClinic, by: Actor
) -> None:
    standing, away = booked(clinic, by), booked(clinic, by, local(TOMORROW, "13:00"), patient=factories.patient(home=clinic.site))
    away = booking.cancel(appointment=away, reason=CancelReason.PATIENT_ILL, asked_by=AskedBy.PATIENT, by=by, at=NOW)
    Patient.objects.update(deceased_on=NOW.date())
    later = opening(clinic, local(TOMORROW, "15:00"))
    with pytest.raises(RulesRefused) as book:
        booked(clinic, by, local(TOMORROW, "15:00"), target=OTHER)
    with pytest.raises(RulesRefused) as move:
        booking.reschedule(appointment=standing, opening=later, by=by, at=NOW)
    with pytest.raises(RulesRefused) as reinstate:
        booking.reinstate(appointment=away, by=by, at=NOW)
    assert codes(book) == codes(move) == codes(reinstate) == {"patient_deceased"}
    cancelled = booking.cancel(appointment=standing, reason=CancelReason.OTHER, asked_by=AskedBy.CLINIC, by=by, at=NOW)
    assert cancelled.status == Status.CANCELLED
    Patient.objects.update(deceased_on=None)
    assert booked(clinic, by, local(TOMORROW, "15:00")).status == Status.BOOKED


def test_book_refuses_the_patient_who_is_elsewhere_and_says_so(clinic: SmallClinic, by: Actor) -> None:
    booked(clinic, by)
    second = factories.small_clinic()
    values = {"patient": clinic.patient, "procedure": second.procedure, "target": TARGET, "by": by, "at": NOW}
    with pytest.raises(RulesRefused) as refusal:
        booking.book(opening=opening(second), **values)  # type: ignore[arg-type]
    assert codes(refusal) == {"patient_elsewhere"}
    just_after = opening(second, local(TOMORROW, "10:15"))
    assert booking.book(opening=just_after, **values).patient_id == clinic.patient.pk  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clock", "allowed"), [("8:15", True), ("8:10", False), ("16:00", True), ("16:05", False)]
)  # the nurse begins at 8:00 with preparation, the bay closes at 17:00
def test_book_keeps_to_the_hours_on_both_edges(clinic: SmallClinic, by: Actor, clock: str, allowed: bool) -> None:
    if allowed:
        assert booked(clinic, by, local(TOMORROW, clock)).status == Status.BOOKED
        return
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by, local(TOMORROW, clock))
    assert codes(refusal) == {"outside_hours"}


def test_book_refuses_the_past_and_the_far_future(clinic: SmallClinic, by: Actor) -> None:
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by, NOW - timedelta(days=3))
    assert "in_the_past" in codes(refusal)
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by, NOW + timedelta(days=366))
    assert "too_far_ahead" in codes(refusal)


def test_book_refuses_a_physician_without_the_privilege(clinic: SmallClinic, by: Actor) -> None:
    clinic.physician.privileges.all().delete()
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert codes(refusal) == {"not_privileged"}


def test_book_refuses_when_a_needed_unit_is_not_among_the_chosen(clinic: SmallClinic, by: Actor) -> None:
    without_bay = tuple(one.pk for one in clinic.resources if one.pk != clinic.bay.pk)
    with pytest.raises(RulesRefused) as refusal:
        booking.book(
            patient=clinic.patient, procedure=clinic.procedure, target=TARGET, by=by, at=NOW,
            opening=opening(clinic, units=without_bay),
        )  # fmt: skip
    assert codes(refusal) == {"resource_unfit"}


def test_reschedule_releases_the_old_time_and_takes_the_new(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    moved = booking.reschedule(appointment=case, opening=opening(clinic, local(TOMORROW, "9:10")), by=by, at=NOW, version=1)
    assert (moved.version, moved.calendar_sequence, moved.local_time.isoformat()) == (2, 1, "09:10:00")
    assert Allocation.objects.filter(appointment=case, released_at__isnull=False).count() == 6
    assert Allocation.objects.filter(appointment=case, released_at__isnull=True).count() == 6
    assert free_time.check(at=NOW) == ()


def test_reschedule_refuses_a_version_that_is_gone(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    booking.reschedule(appointment=case, opening=opening(clinic, local(TOMORROW, "11:00")), by=by, at=NOW, version=1)
    with pytest.raises(Stale):
        booking.reschedule(appointment=case, opening=opening(clinic, local(TOMORROW, "12:00")), by=by, at=NOW, version=1)


def test_reschedule_refuses_a_case_that_has_begun(clinic: SmallClinic, by: Actor) -> None:
    case = visits.move_on(appointment=booked(clinic, by), to=Status.ARRIVED, by=by, at=NOW)
    with pytest.raises(InvalidMove):
        booking.reschedule(appointment=case, opening=opening(clinic, local(TOMORROW, "11:00")), by=by, at=NOW)


def test_preview_finds_what_a_move_would_and_writes_nothing(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    values = {"patient": clinic.patient, "procedure": clinic.procedure, "target": TARGET, "by": by, "at": NOW}
    assert booking.preview(opening=opening(clinic, local(TOMORROW, "9:20")), appointment=case, **values) == ()  # type: ignore[arg-type]
    found = booking.preview(opening=opening(clinic, local(TOMORROW, "16:20")), appointment=case, **values)  # type: ignore[arg-type]
    assert {finding.code for finding in found} == {"outside_hours"}
    case.refresh_from_db()
    assert (case.version, case.local_time.isoformat()) == (1, "09:00:00")
    assert Allocation.objects.filter(released_at__isnull=False).count() == 0


@pytest.mark.parametrize("same_patient", [False, True])
def test_swap_trades_times_in_one_transaction(clinic: SmallClinic, by: Actor, same_patient: bool) -> None:
    first = booked(clinic, by)
    other = clinic.patient if same_patient else factories.patient(home=clinic.site, last_name="Okafor")
    second = booked(clinic, by, local(TOMORROW, "11:00"), patient=other, target=OTHER)
    one, two = booking.swap(first=first, second=second, by=by, at=NOW)
    assert (one.local_time.hour, two.local_time.hour) == (11, 9)
    assert free_time.check(at=NOW) == ()


def test_cancel_needs_reason_keeps_who_asked_and_frees_the_time(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    gone = booking.cancel(appointment=case, reason="transport", asked_by="patient", by=by, at=NOW, version=1)
    assert (gone.status, gone.cancel_reason, gone.asked_by, gone.version) == ("cancelled", "transport", "patient", 2)
    other = factories.patient(home=clinic.site, last_name="Okafor")
    assert booked(clinic, by, patient=other).status == Status.BOOKED


@pytest.mark.parametrize(("hours", "asked_by", "late"), [(24, "patient", False), (23, "patient", True), (23, "clinic", False)])
def test_cancel_is_late_only_inside_the_window_and_when_the_patient_asks(
    clinic: SmallClinic, by: Actor, hours: int, asked_by: str, late: bool
) -> None:
    case = booked(clinic, by, local(date(2026, 9, 17), "9:00"))
    at = case.starts_at - timedelta(hours=hours)
    assert booking.cancel(appointment=case, reason="other", asked_by=asked_by, by=by, at=at).is_late is late


def test_reinstate_takes_the_old_place_when_it_is_still_free(clinic: SmallClinic, by: Actor) -> None:
    case = booking.cancel(appointment=booked(clinic, by), reason="other", asked_by="clinic", by=by, at=NOW)
    back = booking.reinstate(appointment=case, by=by, at=NOW)
    assert (back.status, back.cancel_reason, back.cancelled_at) == ("booked", "", None)
    assert Allocation.objects.filter(appointment=case, released_at__isnull=True).count() == 6


def test_reinstate_refuses_when_the_old_place_is_taken(clinic: SmallClinic, by: Actor) -> None:
    case = booking.cancel(appointment=booked(clinic, by), reason="other", asked_by="clinic", by=by, at=NOW)
    booked(clinic, by, patient=factories.patient(home=clinic.site, last_name="Okafor"))
    with pytest.raises(SlotTaken):
        booking.reinstate(appointment=case, by=by, at=NOW)


def test_confirm_twice_changes_once(clinic: SmallClinic, by: Actor) -> None:
    case = booking.confirm(appointment=booked(clinic, by), by=by, at=NOW)
    again = booking.confirm(appointment=case, by=by, at=NOW, version=1)
    assert (case.version, again.version, again.status) == (2, 2, "confirmed")
    assert AuditEvent.objects.filter(act="scheduling.confirm").count() == 1


def test_confirm_refuses_a_cancelled_case(clinic: SmallClinic, by: Actor) -> None:
    case = booking.cancel(appointment=booked(clinic, by), reason="other", asked_by="clinic", by=by, at=NOW)
    with pytest.raises(InvalidMove):
        booking.confirm(appointment=case, by=by, at=NOW)


def test_no_show_waits_for_the_arrival_time_and_frees_the_room(clinic: SmallClinic, by: Actor) -> None:

    case = booked(clinic, by)
    with pytest.raises(Refused):
        visits.mark_no_show(appointment=case, by=by, at=case.arrives_at - timedelta(seconds=1))
    missed = visits.mark_no_show(appointment=case, by=by, at=case.arrives_at)
    assert missed.status == Status.NO_SHOW
    assert not Allocation.objects.filter(appointment=case, released_at__isnull=True).exists()


@dataclass(frozen=True)
class Says:
    code: str
    severity: Severity

    def check(self, facts: Facts, on: date) -> Finding | None:
        return Finding(self.code, self.severity, f"{self.code} on {on}")


def test_rules_fed_to_booking_refuse_until_waived_by_who_may(
    clinic: SmallClinic, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (Says("stop", Severity.BLOCKER), Says("why", Severity.NEEDS_OVERRIDE), Says("note", Severity.ADVICE))
    monkeypatch.setattr(rulebook, "RULES", rules)
    waivers = [Waiver("stop", "benefit", "Agreed with the patient."), Waiver("why", "benefit", "Agreed.")]
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert codes(refusal) == {"stop", "why"}
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by, waivers=waivers)
    assert codes(refusal) == {"stop"}  # the desk may not override what is not allowed
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    case = booked(clinic, physician, waivers=waivers)
    assert set(RuleOverride.objects.filter(appointment=case).values_list("code", "by_id")) == {
        ("stop", physician.user_id),
        ("why", physician.user_id),
    }
    assert set(AppointmentFinding.objects.filter(appointment=case).values_list("code", "severity")) == {
        ("stop", "deny"),
        ("why", "warn"),
        ("note", "info"),
    }


def test_times_on_clock_change_days_keep_the_wall_time(clinic: SmallClinic, by: Actor) -> None:
    monday = date(2026, 11, 2)  # the day after the clocks went back
    case = booked(clinic, by, local(monday, "9:00"))
    assert case.starts_at == datetime(2026, 11, 2, 14, 0, tzinfo=UTC)
    assert (case.local_date, case.local_time.isoformat(), case.zone) == (monday, "09:00:00", "America/New_York")


def test_the_nurse_stays_for_the_procedure_when_the_patient_is_sedated(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by, target=Target(side="right", sedation="moderate"))
    nurse = Allocation.objects.get(appointment=case, resource=clinic.nurse)
    assert (nurse.starts_at, nurse.ends_at, nurse.legs) == (
        case.arrives_at,
        case.leaves_at,
        ["prep", "procedure", "recovery"],
    )
    awake = booked(clinic, by, local(TOMORROW, "11:00"), target=OTHER)
    assert Allocation.objects.filter(appointment=awake, resource=clinic.nurse).count() == 2


def test_a_move_to_where_the_case_is_tells_nobody(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    with pytest.raises(Refused) as refusal:
        booking.reschedule(appointment=case, opening=opening(clinic), by=by, at=NOW)
    assert refusal.value.code == "not_moved"
    assert Message.objects.filter(appointment=case).count() == 1


def test_a_booking_asks_twelve_statements_and_the_next_for_a_patient_known_here_eleven(
    clinic: SmallClinic, by: Actor, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_to(clinic)
    monkeypatch.setattr(clock, "_moved", [])  # another test may have moved it
    procedure = Procedure.objects.prefetch_related("needs").get(pk=clinic.procedure.pk)
    # One of them looks whether mail to the patient's address came back; one reads all that is on file about the patient.
    with django_assert_num_queries(12 + 2):  # and the savepoint that a transaction is inside the test's own
        booked(clinic, by, procedure=procedure)
    with django_assert_num_queries(11 + 2):
        booked(clinic, by, local(TOMORROW, "11:00"), procedure=procedure, target=OTHER)


def test_who_lost_the_race_learns_it_before_anything_is_judged(
    clinic: SmallClinic, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked(clinic, by)
    monkeypatch.setattr(rulebook, "RULES", (Says("stop", Severity.BLOCKER),))
    other = factories.patient(home=clinic.site, last_name="Okafor")
    with pytest.raises(SlotTaken), CaptureQueriesContext(connection) as asked:
        booked(clinic, by, patient=other)
    own = [each["sql"] for each in asked.captured_queries if "SAVEPOINT" not in each["sql"]]
    # Two locks, what is true under them, whether it is taken; the rest is the procedure's needs.
    assert len(own) == 5, own
    with pytest.raises(RulesRefused):
        booked(clinic, by, local(TOMORROW, "13:00"), patient=other)


def test_a_unit_that_is_not_at_work_is_a_finding_even_beside_one_that_is_taken_by_nobody(clinic: SmallClinic, by: Actor) -> None:
    clinic.room.absences.create(starts_at=local(TOMORROW, "8:00"), ends_at=local(TOMORROW, "12:00"))
    free_time.rebuild(at=NOW, resources=[clinic.room.pk])
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert codes(refusal) == {"outside_hours"}


def test_ended_holds_on_the_units_left_behind_are_freed_by_a_move(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by)
    holds.hold(procedure=clinic.procedure, target=TARGET, opening=opening(clinic, local(TOMORROW, "13:00")), by=by, at=NOW)
    later = NOW + timedelta(minutes=10)
    moved = booking.reschedule(appointment=case, opening=opening(clinic, local(TOMORROW, "13:00")), by=by, at=later)
    assert moved.starts_at == local(TOMORROW, "13:00")
    assert not Allocation.objects.filter(released_at__isnull=True, appointment__isnull=True).exists()
    assert free_time.check(at=NOW) == ()


def test_a_block_of_another_physician_needs_a_reason_until_it_is_released(clinic: SmallClinic, by: Actor) -> None:
    other = factories.resource(at_site=clinic.site, name="Dr. Other")
    block = Block.objects.create(
        resource=clinic.room, site=clinic.site, name="Other's morning", weekday=TOMORROW.weekday(), starts=time(8), ends=time(12),
        valid_from=TOMORROW, physician=other, release_days=0,
    )  # fmt: skip
    BlockTime.objects.create(
        block=block, resource=clinic.room, site=clinic.site, starts_at=local(TOMORROW, "8:00"), ends_at=local(TOMORROW, "12:00"),
        releases_at=NOW + timedelta(hours=1),
    )  # fmt: skip
    with pytest.raises(RulesRefused) as refusal:
        booked(clinic, by)
    assert codes(refusal) == {"in_block"}
    assert booked(clinic, by, at=NOW + timedelta(hours=1)).status == Status.BOOKED
