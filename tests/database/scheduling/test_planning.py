"""The cadence applied: what leaves when, what is merged, what a change of the case or of the cadence does to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from patients.models import Patient
from scheduling import booking, cadence, messages, openings, visits
from scheduling.models import Appointment, CadenceStep, Dispatch, Message, MessageKind
from tests import factories
from tests.factories import NOW, SmallClinic, local

SYSTEM = Actor.system("tests", "scheduling.manage_messages")
VISIT = date(2026, 9, 30)  # a Wednesday, sixteen days after NOW
PLAIN = ("preparation", "reminder-3", "reminder-1", "arrival")


CLOCK: dict[str, Path] = {}


def set_clock(to: datetime) -> None:
    CLOCK["file"].write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> Iterator[None]:
    CLOCK["file"] = tmp_path / "clock"
    set_clock(NOW)
    settings.CLINIC_CLOCK = str(CLOCK["file"])
    yield
    settings.CLINIC_CLOCK = ""
    with connection.cursor() as cursor:
        clock.apply_clock(cursor)


@pytest.fixture(autouse=True)
def _cadence(db: None) -> None:
    cadence.load_defaults(by=SYSTEM, at=NOW)


def case(*, on: date = VISIT, at: str = "10:00", zone: str = "America/New_York", patient_zone: str = "", site: Site | None = None,
         **values: Any) -> Appointment:  # fmt: skip
    where = site or factories.site(name=f"Northside {uuid4().hex[:6]}", time_zone=zone)
    who = factories.patient(home=where, email="vera@example.org", time_zone=patient_zone)
    starts = local(on, at, ZoneInfo(where.time_zone))
    return factories.appointment(of=who, at_site=where, for_procedure=factories.procedure(needs=()), starts_at=starts, **values)


def planned(appointment: Appointment, *, state: str = "due") -> dict[str, datetime]:
    """Return what waits (or has another state) of a case's plan, by step, on the clocks of its site."""
    rows = Message.objects.filter(appointment=appointment, state=state).exclude(step="")
    return {row.step: row.planned_at.astimezone(ZoneInfo(appointment.site.time_zone)) for row in rows if row.planned_at}


def reasons(appointment: Appointment) -> dict[str, str]:
    rows = Message.objects.filter(appointment=appointment).exclude(step="").order_by("calendar_sequence", "pk")
    return {row.step: row.reason for row in rows if row.reason}


def lay(appointment: Appointment, kind: str = MessageKind.CONFIRMATION, at: datetime = NOW) -> Message:
    set_clock(at + timedelta(seconds=30))
    return messages.lay_down(appointment=appointment, kind=kind, at=at)


def step(code: str, **values: Any) -> None:
    CadenceStep.objects.filter(code=code, site=None, procedure=None).update(**values)


def wall(day: date, hour: str) -> datetime:
    return local(day, hour)


# --- the starting values -------------------------------------------------------------------------------------------


def test_starting_values_are_those_of_the_tables_with_their_sources() -> None:
    rows = {row.code: row for row in CadenceStep.objects.filter(family="")}

    assert {code: (row.kind, row.offset_days, row.asks_to_confirm, row.is_on) for code, row in rows.items()} == {
        "preparation": ("preparation", -7, False, True),
        "reminder-3": ("reminder", -3, True, True),
        "reminder-1": ("reminder", -1, False, True),
        "arrival": ("arrival", 0, False, True),
        "no-show": ("no_show", 1, False, True),
        "recall": ("recall", 0, False, False),
    }
    assert all(row.source for row in CadenceStep.objects.all())
    esi = CadenceStep.objects.filter(family="esi").values_list("code", "offset_days", "offset_months", "is_on")
    assert sorted(esi) == [
        ("score-14d", 14, 0, True), ("score-1d", 1, 0, True), ("score-3m", 0, 3, True), ("score-42d", 42, 0, True),
    ]  # fmt: skip


def test_loading_again_changes_nothing_and_keeps_the_clinics_own() -> None:
    step("preparation", offset_days=-10)

    assert cadence.load_defaults(by=SYSTEM, at=NOW) == 0
    assert CadenceStep.objects.get(code="preparation").offset_days == -10


# --- a case booked ---------------------------------------------------------------------------------------------------


def test_booked_case_has_every_message_at_its_hour_on_the_sites_clocks() -> None:
    appointment = case()
    lay(appointment)

    assert planned(appointment) == {
        "preparation": wall(date(2026, 9, 23), "10:00"),
        "reminder-3": wall(date(2026, 9, 25), "16:00"),  # the 27th is a Sunday: the Friday before
        "reminder-1": wall(date(2026, 9, 29), "16:00"),
        "arrival": wall(date(2026, 9, 30), "8:00"),
    }
    assert reasons(appointment) == {}


def test_planning_again_adds_nothing() -> None:
    appointment = case()
    lay(appointment)
    before = list(Message.objects.order_by("pk").values())

    assert messages.plan_case(appointment=appointment, at=NOW, is_told=True) == 0
    assert messages.plan_ahead(at=NOW) == {"new": 0, "moved": 0, "revived": 0, "withdrawn": 0}
    lay(appointment)
    assert list(Message.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("ahead", "waiting"),
    [
        (timedelta(days=7, hours=7), ("preparation", "reminder-3", "reminder-1", "arrival")),
        (timedelta(days=6), ("reminder-3", "reminder-1", "arrival")),
        (timedelta(days=2), ("reminder-1", "arrival")),
        (timedelta(hours=20), ("arrival",)),
    ],
)
def test_offset_that_has_passed_is_merged_into_the_confirmation(ahead: timedelta, waiting: tuple[str, ...]) -> None:
    for code in PLAIN:
        step(code, weekend="as_is")
    appointment = case()
    lay(appointment, at=appointment.starts_at - ahead)

    assert tuple(code for code in PLAIN if code in planned(appointment)) == waiting
    assert reasons(appointment) == {code: "merged" for code in PLAIN if code not in waiting}


@pytest.mark.parametrize(("before", "is_merged"), [(timedelta(hours=2, seconds=1), False), (timedelta(hours=2), True)])
def test_message_due_within_two_hours_is_merged_as_well(before: timedelta, is_merged: bool) -> None:
    appointment = case()
    lay(appointment, at=wall(date(2026, 9, 29), "16:00") - before)

    assert ("reminder-1" not in planned(appointment)) is is_merged


def test_message_too_close_to_the_arrival_is_left_out_and_says_so() -> None:
    near, just = case(at="9:00"), case(at="9:15")  # arrival at 8:45 and at 9:00: the hour before it
    lay(near)
    lay(just)

    assert (reasons(near), reasons(just)) == ({"arrival": "too_late"}, {})


# --- days, hours, zones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weekend", "day"), [("as_is", 27), ("earlier", 25), ("later", 28)])
def test_weekend_is_as_the_step_says(weekend: str, day: int) -> None:
    step("reminder-3", weekend=weekend)
    appointment = case()
    lay(appointment)

    assert planned(appointment)["reminder-3"] == wall(date(2026, 9, day), "16:00")


def test_day_before_at_four_is_at_four_over_both_clock_changes() -> None:
    """Rule: days are counted on the site's calendar and the hour is read on its clocks, however long the days are."""
    for day in (date(2026, 11, 1), date(2026, 11, 2), date(2027, 3, 14), date(2027, 3, 15)):
        appointment = case(on=day)
        lay(appointment)

        assert planned(appointment)["reminder-1"] == wall(day - timedelta(days=1), "16:00")


def test_hour_that_is_skipped_comes_an_hour_later_and_of_a_double_hour_the_second_is_meant(settings: Any) -> None:
    settings.QUIET_HOURS = (0, 0)
    step("reminder-1", at_time=time(2, 30), weekend="as_is")
    step("preparation", at_time=time(1, 30), offset_days=-1, weekend="as_is")
    skipped, double = case(on=date(2027, 3, 15)), case(on=date(2026, 11, 2))
    lay(skipped)
    lay(double)

    assert planned(skipped)["reminder-1"].astimezone(UTC) == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)  # 3:30 EDT
    assert planned(double)["preparation"].astimezone(UTC) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)  # 1:30 EST


@pytest.mark.parametrize(
    ("zone", "patient_zone", "at_time", "expected"),
    [
        ("America/New_York", "", time(19, 59), datetime(2026, 9, 29, 23, 59, tzinfo=UTC)),
        ("America/New_York", "", time(20), datetime(2026, 9, 30, 12, 0, tzinfo=UTC)),
        ("America/New_York", "Pacific/Honolulu", time(10), datetime(2026, 9, 29, 18, 0, tzinfo=UTC)),  # 4:00 there
        ("America/Phoenix", "America/New_York", time(16, 59), datetime(2026, 9, 29, 23, 59, tzinfo=UTC)),
        ("America/Phoenix", "America/New_York", time(17), datetime(2026, 9, 30, 12, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", "", time(7, 30), datetime(2026, 9, 28, 21, 30, tzinfo=UTC)),  # half-hour zone: 8:00 is 21:30
    ],
)
def test_quiet_hours_are_those_of_the_patients_own_zone(zone: str, patient_zone: str, at_time: time, expected: datetime) -> None:
    step("reminder-1", at_time=at_time)
    appointment = case(zone=zone, patient_zone=patient_zone, at="14:00")
    lay(appointment)

    assert planned(appointment)["reminder-1"].astimezone(UTC) == expected


def test_quiet_hours_within_one_day_end_the_same_day(settings: Any) -> None:
    settings.QUIET_HOURS = (12, 17)
    appointment = case(at="19:00")
    lay(appointment)

    assert planned(appointment)["reminder-1"] == wall(date(2026, 9, 29), "17:00")


# --- exceptions to the cadence ---------------------------------------------------------------------------------------


def test_narrower_row_stands_in_the_place_of_the_wider() -> None:
    site = factories.site()
    appointment, elsewhere = case(site=site), case()
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}

    def exception(days: int, **scope: Any) -> None:
        cadence.add_exception(of=general, values={**values, "offset_days": -days, "weekend": "as_is"}, by=SYSTEM, at=NOW, **scope)

    exception(8, site=site)
    lay(appointment)
    lay(elsewhere)
    assert planned(elsewhere)["preparation"].date() == date(2026, 9, 23)
    found = [planned(appointment)["preparation"].date()]
    for days, scope in (
        (9, {"family": "esi"}),
        (10, {"site": site, "family": "esi"}),
        (11, {"procedure": appointment.procedure}),
    ):
        exception(days, **scope)
        messages.plan_ahead(at=NOW)
        found.append(planned(appointment)["preparation"].date())

    assert found == [date(2026, 9, day) for day in (22, 21, 20, 19)]


def test_second_exception_for_the_same_place_is_refused() -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}
    cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW, family="esi")

    with pytest.raises(cadence.StepTaken):
        cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW, family="esi")
    with pytest.raises(cadence.StepRefused):
        cadence.add_exception(of=general, values={**values, "offset_days": 1}, by=SYSTEM, at=NOW, family="facet_rfa")


@pytest.mark.parametrize(("days", "months", "is_fine"), [(-730, 0, True), (-731, 0, False), (-17, -23, True), (-18, -23, False)])
def test_message_leaves_at_most_two_years_from_the_visit(days: int, months: int, is_fine: bool) -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {"offset_days": days, "offset_months": months}
    if is_fine:
        assert cadence.change(step=general, values=values, by=SYSTEM, at=NOW).offset_days == days
        return
    with pytest.raises(cadence.StepRefused) as refusal:
        cadence.change(step=general, values=values, by=SYSTEM, at=NOW)
    assert refusal.value.code == "too_far"


def test_exception_has_to_be_for_something() -> None:
    general = CadenceStep.objects.get(code="preparation", family="", site=None)
    values = {name: getattr(general, name) for name in cadence.CHANGEABLE}
    with pytest.raises(cadence.StepRefused) as refusal:
        cadence.add_exception(of=general, values=values, by=SYSTEM, at=NOW)
    assert refusal.value.code == "no_scope"


def test_step_switched_off_is_withdrawn_and_comes_back_when_switched_on() -> None:
    appointment = case()
    lay(appointment)
    general = CadenceStep.objects.get(code="preparation", family="", site=None)

    cadence.change(step=general, values={"is_on": False}, by=SYSTEM, at=NOW)
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=1)) == {"new": 0, "moved": 0, "revived": 0, "withdrawn": 1}
    assert (reasons(appointment), "preparation" in planned(appointment)) == ({"preparation": "cadence"}, False)
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=2)) is None
    cadence.change(step=CadenceStep.objects.get(pk=general.pk), values={"is_on": True}, by=SYSTEM, at=NOW + timedelta(minutes=3))
    assert messages.plan_if_wanted(at=NOW + timedelta(minutes=4)) == {"new": 0, "moved": 0, "revived": 1, "withdrawn": 0}
    assert planned(appointment)["preparation"] == wall(date(2026, 9, 23), "10:00")


def test_changed_hour_moves_what_waits_but_nothing_into_the_past() -> None:
    later, soon = case(), case(on=date(2026, 9, 18))
    lay(later)
    lay(soon)
    general = CadenceStep.objects.get(code="reminder-3")

    cadence.change(step=general, values={"offset_days": -6, "weekend": "as_is"}, by=SYSTEM, at=NOW)
    assert messages.plan_ahead(at=NOW + timedelta(minutes=1))["moved"] == 1

    assert planned(later)["reminder-3"] == wall(date(2026, 9, 24), "16:00")
    assert planned(soon)["reminder-3"] == wall(date(2026, 9, 15), "16:00")  # six days before had passed


def test_change_of_an_older_version_is_refused() -> None:
    general = CadenceStep.objects.get(code="reminder-3")
    cadence.change(step=general, values={"is_on": False}, by=SYSTEM, at=NOW, version=1)

    with pytest.raises(cadence.Stale):
        cadence.change(step=general, values={"is_on": True}, by=SYSTEM, at=NOW, version=1)


def test_cases_that_have_no_plan_get_one_without_telling_about_what_has_passed() -> None:
    ahead, near, over, away = case(), case(on=date(2026, 9, 15), at="15:00"), case(on=date(2026, 9, 1)), case(status="cancelled")

    assert messages.plan_ahead(at=NOW)["new"] == 8
    assert (sorted(planned(ahead)), sorted(planned(near))) == (sorted(PLAIN), ["arrival", "reminder-1"])
    assert reasons(near) == {"preparation": "past", "reminder-3": "past"}
    assert not Message.objects.filter(appointment__in=(over, away)).exists()


# --- the verbs -------------------------------------------------------------------------------------------------------


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
