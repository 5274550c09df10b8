"""The hours of one date replace those of the week, say which cases they leave out, and free time follows in the same act."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, free_time, openings, resources
from scheduling.intervals import unpack
from scheduling.models import Appointment, DatedHours, FreeTime, Resource
from scheduling.resources import Spans
from tests import factories
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

SATURDAY = date(2026, 9, 19)
DAY = timedelta(days=1)


def spans(*clocks: str) -> Spans:
    times = [time.fromisoformat(clock) for clock in clocks]
    return tuple(zip(times[::2], times[1::2], strict=True))


@pytest.fixture
def in_charge(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))


@pytest.fixture
def case(clinic: SmallClinic, by: Actor) -> Appointment:
    """Return a case of tomorrow at 9:00."""
    found = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"), site=clinic.site, at=NOW).opening
    assert found is not None
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=found, by=by, at=NOW
    )


def is_free(clinic: SmallClinic, on: date, clock: str) -> bool:
    return openings.fit(procedure=clinic.procedure, starts_at=local(on, clock), site=clinic.site, at=NOW).opening is not None


def free_at(resource: Resource, site: Site) -> int:
    """Return how many five-minute marks of tomorrow are free at a site."""
    return unpack(FreeTime.objects.get(resource=resource, site=site, day=TOMORROW).bits).bit_count()


def true_again() -> bool:
    return free_time.check(at=NOW) == ()


def test_an_extra_saturday_opens_once_everybody_needed_has_hours_on_it(clinic: SmallClinic, in_charge: Actor) -> None:
    for number, each in enumerate(clinic.resources):
        assert not is_free(clinic, SATURDAY, "9:00"), number
        resources.save_date_hours(
            resource=each, on=SATURDAY, spans={clinic.site: spans("08:00", "12:00")}, reason="Extra list", by=in_charge, at=NOW
        )
    assert is_free(clinic, SATURDAY, "9:00")
    assert not is_free(clinic, SATURDAY + 7 * DAY, "9:00")
    assert true_again()
    told = [(one.subject_id, one.details) for one in AuditEvent.objects.filter(act="scheduling.save_date_hours").order_by("pk")]
    assert told == [(each.public_id, {"on": "2026-09-19", "cases_in_the_way": 0}) for each in clinic.resources]


def test_a_long_day_with_a_gap_replaces_the_weekly_hours_and_lets_them_hold_again(clinic: SmallClinic, in_charge: Actor) -> None:
    given = {"resource": clinic.room, "on": TOMORROW, "by": in_charge, "at": NOW}
    resources.save_date_hours(**given, spans={clinic.site: spans("09:00", "11:00", "12:00", "16:00")}, reason="")  # type: ignore[arg-type]
    assert [is_free(clinic, TOMORROW, clock) for clock in ("8:30", "9:00", "11:00", "12:00")] == [False, True, False, True]

    resources.remove_date_hours(**given, sites=[clinic.site])  # type: ignore[arg-type]
    resources.remove_date_hours(**given, sites=[clinic.site])  # type: ignore[arg-type]

    assert [is_free(clinic, TOMORROW, clock) for clock in ("8:30", "11:00")] == [True, True]
    assert not DatedHours.objects.exists()
    assert AuditEvent.objects.filter(act="scheduling.remove_date_hours").count() == 1
    assert true_again()


def test_a_shorter_date_names_the_cases_that_it_leaves_out_before_it_is_saved(
    case: Appointment, clinic: SmallClinic, in_charge: Actor
) -> None:
    given = {"resource": clinic.physician, "on": TOMORROW, "reason": "Half day", "by": in_charge, "at": NOW}
    for left in (spans(), spans("09:05", "17:00"), spans("08:00", "09:25")):
        with pytest.raises(resources.CasesInTheWay) as refusal:
            resources.save_date_hours(**given, spans={clinic.site: left})  # type: ignore[arg-type]
        assert refusal.value.cases == (case,)
        assert refusal.value.details == {"count": 1, "cases": [str(case.public_id)]}
    assert not DatedHours.objects.exists()
    resources.save_date_hours(**given, spans={clinic.site: spans("09:00", "09:30")})  # type: ignore[arg-type]

    resources.save_date_hours(**given, spans={clinic.site: spans()}, is_accepted=True)  # type: ignore[arg-type]

    assert DatedHours.objects.get().starts is None
    case.refresh_from_db()
    assert case.status == "booked"
    last = AuditEvent.objects.filter(act="scheduling.save_date_hours").latest("pk")
    assert last.details == {"on": "2026-09-15", "cases_in_the_way": 1}
    assert true_again()


def test_a_case_of_the_extra_saturday_stands_in_the_way_of_taking_it_away(
    clinic: SmallClinic, in_charge: Actor, by: Actor
) -> None:
    for each in clinic.resources:
        resources.save_date_hours(
            resource=each, on=SATURDAY, spans={clinic.site: spans("08:00", "12:00")}, reason="", by=in_charge, at=NOW
        )
    found = openings.fit(procedure=clinic.procedure, starts_at=local(SATURDAY, "9:00"), site=clinic.site, at=NOW).opening
    assert found is not None
    made = booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=found, by=by, at=NOW
    )
    given = {"resource": clinic.room, "on": SATURDAY, "sites": [clinic.site], "by": in_charge, "at": NOW}
    with pytest.raises(resources.CasesInTheWay) as refusal:
        resources.remove_date_hours(**given)  # type: ignore[arg-type]
    assert refusal.value.cases == (made,)
    resources.remove_date_hours(**given, is_accepted=True)  # type: ignore[arg-type]
    assert not DatedHours.objects.filter(resource=clinic.room).exists()
    assert true_again()


def test_weekly_hours_say_nothing_of_a_date_with_hours_of_its_own(
    case: Appointment, clinic: SmallClinic, in_charge: Actor
) -> None:
    week = {"resource": clinic.room, "site": clinic.site, "spans": [], "valid_from": TODAY, "by": in_charge, "at": NOW}
    with pytest.raises(resources.CasesInTheWay):
        resources.save_hours(**week)  # type: ignore[arg-type]
    resources.save_date_hours(
        resource=clinic.room, on=TOMORROW, spans={clinic.site: spans("08:00", "12:00")}, reason="", by=in_charge, at=NOW
    )
    resources.save_hours(**week)  # type: ignore[arg-type]
    assert is_free(clinic, TOMORROW, "10:30")
    assert not is_free(clinic, TOMORROW + DAY, "10:30")


def test_only_the_state_that_was_seen_is_changed(clinic: SmallClinic, in_charge: Actor) -> None:
    given = {"resource": clinic.room, "on": TOMORROW, "by": in_charge, "at": NOW}
    seen = resources.hours_on(clinic.room, TOMORROW).version
    resources.save_date_hours(**given, spans={clinic.site: spans("08:00", "12:00")}, reason="", version=seen)  # type: ignore[arg-type]
    with pytest.raises(resources.Changed):
        resources.save_date_hours(**given, spans={clinic.site: spans("08:00", "13:00")}, reason="", version=seen)  # type: ignore[arg-type]
    with pytest.raises(resources.Changed):
        resources.remove_date_hours(**given, sites=[clinic.site], version=seen)  # type: ignore[arg-type]


def test_a_date_is_changed_until_it_is_over_at_the_site(clinic: SmallClinic, in_charge: Actor) -> None:
    given = {"resource": clinic.room, "spans": {clinic.site: spans("08:00", "12:00")}, "reason": "", "by": in_charge}
    late = local(TODAY, "23:30")  # the next day already in UTC
    resources.save_date_hours(**given, on=TODAY, at=late)  # type: ignore[arg-type]
    with pytest.raises(resources.DateOver):
        resources.save_date_hours(**given, on=TODAY, at=late + timedelta(hours=1))  # type: ignore[arg-type]


def test_what_holds_is_the_week_less_its_breaks_until_the_date_has_hours_of_its_own(
    clinic: SmallClinic, in_charge: Actor
) -> None:
    factories.weekly_hours(of=clinic.nurse, starts="12:00", ends="12:30", kind="break")
    factories.weekly_hours(of=clinic.nurse, starts="18:00", ends="19:00", valid_from=TOMORROW + DAY)
    factories.weekly_hours(of=clinic.nurse, starts="20:00", ends="21:00", valid_until=TODAY)
    found = resources.hours_on(clinic.nurse, TOMORROW)
    assert (found.spans, found.is_own) == ({clinic.site.pk: spans("08:00", "12:00", "12:30", "17:00")}, False)
    assert resources.dates_ahead(clinic.nurse, TODAY) == ()
    for on, given in ((TOMORROW + DAY, spans()), (TOMORROW, spans("08:00", "10:00"))):
        resources.save_date_hours(resource=clinic.nurse, on=on, spans={clinic.site: given}, reason="Course", by=in_charge, at=NOW)
    ahead = resources.dates_ahead(clinic.nurse, TODAY)
    assert [(one.on, one.spans, one.reason) for one in ahead] == [
        (TOMORROW, {clinic.site.pk: spans("08:00", "10:00")}, "Course"),
        (TOMORROW + DAY, {clinic.site.pk: ()}, "Course"),
    ]
    assert [one.on for one in resources.dates_ahead(clinic.nurse, TOMORROW + DAY)] == [TOMORROW + DAY]


# --- two sites -------------------------------------------------------------------------------------------------------


def test_hours_at_a_site_that_is_not_named_go_on_holding(clinic: SmallClinic, in_charge: Actor) -> None:
    other = factories.site()
    factories.weekly_hours(of=clinic.physician, at_site=other, starts="18:00", ends="20:00")
    given = {"resource": clinic.physician, "on": TOMORROW, "by": in_charge, "at": NOW}
    evening = {other.pk: spans("18:00", "20:00")}

    resources.save_date_hours(**given, spans={clinic.site: spans("08:00", "10:00")}, reason="")  # type: ignore[arg-type]
    assert resources.hours_on(clinic.physician, TOMORROW).spans == {clinic.site.pk: spans("08:00", "10:00"), **evening}
    assert true_again()

    resources.remove_date_hours(**given, sites=[clinic.site])  # type: ignore[arg-type]
    assert not DatedHours.objects.exists()  # the week says the same of both


def test_hours_that_another_site_gave_the_date_stay_when_ones_own_go(clinic: SmallClinic, in_charge: Actor) -> None:
    other = factories.site()
    given = {"resource": clinic.physician, "on": TOMORROW, "by": in_charge, "at": NOW}
    both = {clinic.site: spans(), other: spans("08:00", "17:00")}
    resources.save_date_hours(**given, spans=both, reason="Helps out")  # type: ignore[arg-type]
    assert not is_free(clinic, TOMORROW, "9:00")

    resources.remove_date_hours(**given, sites=[clinic.site])  # type: ignore[arg-type]

    found = resources.hours_on(clinic.physician, TOMORROW)
    assert (found.is_own, found.reason) == (True, "Helps out")
    assert found.spans == {clinic.site.pk: spans("08:00", "17:00"), other.pk: spans("08:00", "17:00")}
    assert is_free(clinic, TOMORROW, "9:00")
    assert true_again()


def test_a_site_where_nobody_expects_somebody_gets_no_row_when_it_is_left_empty(clinic: SmallClinic, in_charge: Actor) -> None:
    other = factories.site()
    resources.save_date_hours(
        resource=clinic.nurse, on=TOMORROW, spans={clinic.site: spans("08:00", "10:00"), other: spans()}, reason="",
        by=in_charge, at=NOW,
    )  # fmt: skip
    assert [row.site for row in DatedHours.objects.all()] == [clinic.site]


def test_a_single_date_at_another_site_lets_that_site_see_and_close_for_somebody(clinic: SmallClinic, in_charge: Actor) -> None:
    other = factories.site()
    there = factories.user(role="desk", sites=(other,))
    visible = type(clinic.nurse).objects.visible_to(there)
    assert clinic.nurse not in visible
    resources.save_date_hours(
        resource=clinic.nurse, on=TOMORROW, spans={other: spans("08:00", "10:00")}, reason="", by=in_charge, at=NOW
    )
    assert clinic.nurse in visible.all()
    assert free_at(clinic.nurse, other) == 2 * 12
    resources.save_site(site=other, values={}, closures={TOMORROW: "Inventory"}, by=in_charge, at=NOW)
    assert free_at(clinic.nurse, other) == 0
    resources.save_site(site=other, values={}, closures={}, by=in_charge, at=NOW)
    assert (free_at(clinic.nurse, other), free_at(clinic.nurse, clinic.site)) == (2 * 12, 9 * 12)

    resources.remove_date_hours(resource=clinic.nurse, on=TOMORROW, sites=[clinic.site, other], by=in_charge, at=NOW)

    assert free_at(clinic.nurse, other) == 0
    assert clinic.nurse not in visible.all()
    assert true_again()


def test_a_case_at_another_site_is_not_told_when_that_site_keeps_its_hours(
    case: Appointment, clinic: SmallClinic, in_charge: Actor
) -> None:
    other = factories.site()
    resources.save_date_hours(
        resource=clinic.room, on=TOMORROW, spans={clinic.site: spans()}, reason="", by=in_charge, at=NOW, is_accepted=True
    )
    resources.save_date_hours(
        resource=clinic.room, on=TOMORROW, spans={other: spans("08:00", "10:00")}, reason="", by=in_charge, at=NOW
    )
    assert resources.hours_on(clinic.room, TOMORROW).spans == {clinic.site.pk: (), other.pk: spans("08:00", "10:00")}
