"""What booking, moving, swapping, cancelling, confirming and visiting do to the plan."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from scheduling import booking, messages, openings, visits
from scheduling.models import Appointment, Dispatch, Message
from tests.database.scheduling.planning.cadences import PLAIN, VISIT, planned, reasons, wall
from tests.factories import NOW, SmallClinic, local


def opening(clinic: SmallClinic, day: date) -> Any:
    found = openings.find_openings(procedure=clinic.procedure, at=NOW, earliest=local(day, "10:00"), limit=1)
    return found.openings[0]


def booked(clinic: SmallClinic, by: Actor, day: date = VISIT) -> Appointment:
    Patient.objects.filter(pk=clinic.patient.pk).update(email="vera@example.org")
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"),
        opening=opening(clinic, day), by=by, at=NOW,
    )  # fmt: skip


def again(appointment: Appointment) -> Appointment:
    return Appointment.objects.select_related("site", "patient", "procedure").get(pk=appointment.pk)


def test_booking_lays_down_the_confirmation_and_the_plan(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)

    assert Message.objects.filter(appointment=appointment, kind="confirmation", state="due").count() == 1
    assert sorted(planned(appointment)) == sorted(PLAIN)


def test_moving_withdraws_the_old_plan_and_lays_down_the_new_with_the_change_first(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)
    Message.objects.filter(appointment=appointment, kind="confirmation").update(state="sent")

    moved = booking.reschedule(appointment=again(appointment), opening=opening(clinic, VISIT + timedelta(days=7)), by=by, at=NOW)

    assert planned(moved)["reminder-1"] == wall(date(2026, 10, 6), "16:00")
    old = Message.objects.filter(appointment=moved, calendar_sequence=0).exclude(step="")
    assert {(row.state, row.reason) for row in old} == {("withdrawn", "superseded")}
    first = Message.objects.filter(appointment=moved, state="due").order_by("priority", "due_at", "pk").first()
    assert (first.kind, first.calendar_sequence) == ("change", 1)


def test_swap_gives_each_case_the_plan_of_its_new_day(clinic: SmallClinic, by: Actor) -> None:
    first = booked(clinic, by)
    second = booked(clinic, by, VISIT + timedelta(days=14))

    booking.swap(first=again(first), second=again(second), by=by, at=NOW)

    assert planned(again(first))["reminder-1"].date() == date(2026, 10, 13)
    assert planned(again(second))["reminder-1"].date() == date(2026, 9, 29)


def test_cancelling_withdraws_the_plan_and_reinstating_lays_down_a_new_one(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)
    booking.cancel(appointment=again(appointment), reason="patient_ill", asked_by="patient", by=by, at=NOW)
    assert planned(appointment) == {}
    assert set(reasons(appointment).values()) == {"cancelled"}

    booking.reinstate(appointment=again(appointment), by=by, at=NOW)

    assert sorted(planned(appointment)) == sorted(PLAIN)


def test_confirming_withdraws_only_the_message_that_asks_for_it(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)
    booking.confirm(appointment=again(appointment), by=by, at=NOW)

    assert reasons(appointment) == {"reminder-3": "confirmed"}
    assert sorted(planned(appointment)) == ["arrival", "preparation", "reminder-1"]
    assert messages.plan_ahead(at=NOW) == {"new": 0, "moved": 0, "revived": 0, "withdrawn": 0}


def test_moving_a_confirmed_case_asks_again(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)
    booking.confirm(appointment=again(appointment), by=by, at=NOW)
    booking.reschedule(appointment=again(appointment), opening=opening(clinic, VISIT + timedelta(days=7)), by=by, at=NOW)

    assert "reminder-3" in planned(appointment)


def test_patient_who_has_come_gets_no_more_of_the_plan_and_the_scores_once_it_is_over(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by)
    visits.move_on(appointment=again(appointment), to="arrived", by=by, at=NOW)
    assert (planned(appointment), set(reasons(appointment).values())) == ({}, {"arrived"})

    for to in ("in_room", "discharged"):
        visits.move_on(appointment=again(appointment), to=to, by=by, at=NOW)

    assert planned(appointment) == {
        "score-1d": wall(date(2026, 10, 1), "10:00"),
        "score-14d": wall(date(2026, 10, 14), "10:00"),
        "score-42d": wall(date(2026, 11, 11), "10:00"),
        "score-3m": wall(date(2026, 12, 30), "10:00"),
    }


def test_missed_visit_is_followed_by_a_mail_on_the_next_working_day(clinic: SmallClinic, by: Actor) -> None:
    appointment = booked(clinic, by, date(2026, 10, 2))  # a Friday
    visits.mark_no_show(appointment=again(appointment), by=by, at=local(date(2026, 10, 2), "11:00"))
    assert planned(appointment) == {"no-show": wall(date(2026, 10, 5), "10:00")}

    booking.reinstate(appointment=again(appointment), opening=opening(clinic, date(2026, 10, 9)), by=by, at=NOW)

    assert (reasons(appointment)["no-show"], "reminder-1" in planned(appointment)) == ("superseded", True)


def test_plan_stands_or_falls_with_the_booking(clinic: SmallClinic, by: Actor) -> None:
    with transaction.atomic():
        booked(clinic, by)
        assert Message.objects.count() == 5
        transaction.set_rollback(True)

    assert (Appointment.objects.count(), Message.objects.count()) == (0, 0)


def test_supposed_case_shows_what_it_would_get_and_writes_nothing(clinic: SmallClinic) -> None:
    starts = local(VISIT, "10:00")
    found = messages.suppose(
        patient=clinic.patient.pk, procedure=clinic.procedure.pk, site=clinic.site.pk, arrives_at=starts - timedelta(minutes=15),
        starts_at=starts, at=local(date(2026, 9, 28), "9:00"),
    )  # fmt: skip

    assert [(each.step, each.why_not) for each in found] == [
        ("preparation", "merged"), ("reminder-3", "merged"), ("reminder-1", ""), ("arrival", ""),
    ]  # fmt: skip
    assert found[2].at == wall(date(2026, 9, 29), "16:00")
    assert Message.objects.count() == 0


def test_plan_wanted_is_one_row_for_all() -> None:
    messages.want_plan(at=NOW)
    messages.want_plan(at=NOW)

    assert Dispatch.objects.count() == 1
