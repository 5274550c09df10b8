"""New zone data: the wall time that was promised stays, instants and free time follow, patients are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, free_time, retiming
from scheduling.availability import Opening
from scheduling.booking import Target
from scheduling.models import Allocation, Appointment, Message
from tests import factories
from tests.factories import FALL_BACK, NOW, TOMORROW, SmallClinic, local

HOUR = timedelta(hours=1)
BY = Actor.system("retime")


def booked(clinic: SmallClinic, by: Actor, clock: str, **values: Any) -> Appointment:
    start = local(values.pop("on", TOMORROW), clock)
    where = Opening(start, start, start, start, clinic.site.pk, {"all": tuple(one.pk for one in clinic.resources)})
    given = {"patient": clinic.patient, "procedure": clinic.procedure, "target": Target(side="left"), "at": NOW, **values}
    return booking.book(opening=where, by=by, **given)


def as_of_old_zone_data(*cases: Appointment, shift: timedelta = HOUR) -> None:
    """Leave these cases as they would be had the zone's clocks been set otherwise when they were booked."""
    for case in sorted(cases, key=lambda each: each.starts_at, reverse=shift > timedelta()):
        order = "-starts_at" if shift > timedelta() else "starts_at"
        for row in [*Allocation.objects.filter(appointment=case).order_by(order), case]:
            names = [name for name in ("arrives_at", "starts_at", "ends_at", "leaves_at") if hasattr(row, name)]
            for name in names:
                setattr(row, name, getattr(row, name) + shift)
            row.save(update_fields=names)
        case.refresh_from_db()
    free_time.rebuild(at=NOW)


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_wall_time_stays_and_everything_else_follows(clinic: SmallClinic, by: Actor, shift: timedelta) -> None:
    clinic.patient.email = "vera@example.org"
    clinic.patient.save(update_fields=["email"])
    one = booked(clinic, by, "10:00")
    other = factories.patient(home=clinic.site, last_name="Okafor")
    two = booked(clinic, by, "11:15", patient=other)  # the two pass each other when shifted one by one
    Message.objects.update(state="sent")
    as_of_old_zone_data(one, two, shift=shift)

    found = retiming.retime(by=BY, at=NOW)

    assert [(each.clock, each.after - each.before, each.why_not) for each in found] == [
        ("10:00", -shift, ""),
        ("11:15", -shift, ""),
    ]
    for case, clock in ((one, "10:00"), (two, "11:15")):
        case.refresh_from_db()
        assert (case.starts_at, case.version, case.calendar_sequence) == (local(TOMORROW, clock), 2, 1)
        room = Allocation.objects.get(appointment=case, resource=clinic.room, released_at=None)
        assert (room.starts_at, room.ends_at) == (case.starts_at, case.ends_at + timedelta(minutes=10))
    assert free_time.check(at=NOW) == ()
    change = Message.objects.get(appointment=one, calendar_sequence=1, kind__in=["change", "confirmation"])
    assert (change.kind, change.state) == ("change", "due")
    assert set(AuditEvent.objects.filter(act="scheduling.retime").values_list("subject_id", flat=True)) == {
        one.public_id,
        two.public_id,
    }
    assert retiming.retime(by=BY, at=NOW) == ()


def test_dry_run_lists_and_changes_nothing(clinic: SmallClinic, by: Actor) -> None:
    case = booked(clinic, by, "10:00")
    as_of_old_zone_data(case)

    found = retiming.retime(by=BY, at=NOW, is_dry_run=True)

    case.refresh_from_db()
    assert [(each.public_id, each.before, each.after) for each in found] == [
        (case.public_id, local(TOMORROW, "11:00"), local(TOMORROW, "10:00"))
    ]
    assert (case.version, AuditEvent.objects.filter(act="scheduling.retime").count()) == (1, 0)


def test_cancelled_case_follows_without_a_word_and_what_is_past_stays(clinic: SmallClinic, by: Actor) -> None:
    gone = booked(clinic, by, "10:00")
    past = booked(clinic, by, "13:00", patient=factories.patient(home=clinic.site))
    booking.cancel(appointment=gone, reason="other", asked_by="clinic", by=by, at=NOW)
    gone.refresh_from_db()
    as_of_old_zone_data(gone, past)
    before = Message.objects.count()

    assert [each.public_id for each in retiming.retime(by=BY, at=NOW + timedelta(days=30))] == []
    found = retiming.retime(by=BY, at=NOW, is_dry_run=True)
    Appointment.objects.filter(pk=past.pk).update(status="discharged")
    retiming.retime(by=BY, at=NOW)

    gone.refresh_from_db()
    past.refresh_from_db()
    assert {each.public_id for each in found} == {gone.public_id, past.public_id}
    assert (gone.starts_at, past.starts_at) == (local(TOMORROW, "10:00"), local(TOMORROW, "14:00"))
    assert Message.objects.count() == before


def test_clash_is_named_and_left_and_the_others_go_on(clinic: SmallClinic, by: Actor, capsys: Any, monkeypatch: Any) -> None:
    first = booked(clinic, by, "10:00")
    as_of_old_zone_data(first)  # now at 11:00, promised for 10:00
    second = booked(clinic, by, "13:00", patient=factories.patient(home=clinic.site))
    as_of_old_zone_data(second)
    booked(clinic, by, "9:30", patient=factories.patient(home=clinic.site))  # taken since by somebody whose time is true
    monkeypatch.setattr("pain_clinic.clock.now", lambda: NOW)

    with pytest.raises(SystemExit) as end:
        call_command("retime")

    told = capsys.readouterr()
    first.refresh_from_db()
    second.refresh_from_db()
    assert end.value.code == 1
    assert (first.starts_at, second.starts_at) == (local(TOMORROW, "11:00"), local(TOMORROW, "13:00"))
    assert told.out.count("\n") == 2
    assert (
        f"{first.public_id} 2026-09-15 10:00 America/New_York: 2026-09-15T15:00+00:00 -> 2026-09-15T14:00+00:00; left" in told.out
    )
    assert "1 cases changed, their patients are told; 1 clash and stay." in told.err
    assert free_time.check(at=NOW) == ()


def test_either_instant_of_a_repeated_wall_time_is_true(clinic: SmallClinic, by: Actor) -> None:
    for each in clinic.resources:
        factories.weekly_hours(of=each, weekdays=[6], starts="00:00", ends="06:00")
    free_time.rebuild(at=NOW)
    case = booked(clinic, by, "1:30", on=FALL_BACK)
    as_of_old_zone_data(case)  # the second 1:30 of that night

    assert case.starts_at.astimezone(factories.NEW_YORK).time() == case.local_time
    assert retiming.retime(by=BY, at=NOW) == ()
