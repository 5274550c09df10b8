"""The ways between sites: free time of who works at both follows at once, and cases that come too soon are named first."""

from __future__ import annotations

from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, free_time, openings, resources
from scheduling.models import Appointment, Travel
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local


@pytest.fixture
def second(clinic: SmallClinic) -> SmallClinic:
    """Return a second site, where the first one's physician works too."""
    made = factories.small_clinic()
    factories.weekly_hours(of=clinic.physician, at_site=made.site)
    factories.build_free_time()
    return made


@pytest.fixture
def given(clinic: SmallClinic, second: SmallClinic) -> dict[str, Any]:
    by = Actor.of_user(factories.user(role="manager", sites=(clinic.site, second.site)))
    return {"sites": [clinic.site, second.site], "by": by, "at": NOW}


def book(at: SmallClinic, clock: str, clinic: SmallClinic, by: Actor) -> Appointment:
    """Book a case of tomorrow at a site with the first clinic's physician, who alone may do it."""
    found = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, clock), site=at.site, at=NOW)
    assert found.opening is not None
    return booking.book(
        patient=at.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=found.opening, by=by, at=NOW
    )


def is_free(at: SmallClinic, clock: str, clinic: SmallClinic) -> bool:
    return openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, clock), site=at.site, at=NOW).opening is not None


def test_who_works_at_both_ends_is_not_free_on_the_way(
    clinic: SmallClinic, second: SmallClinic, given: dict[str, Any], by: Actor
) -> None:
    there, back = (clinic.site.pk, second.site.pk), (second.site.pk, clinic.site.pk)
    book(clinic, "10:00", clinic, by)
    assert [is_free(second, clock, clinic) for clock in ("9:30", "10:30")] == [True, True]

    resources.save_travel(**given, ways={there: 45, back: 30})

    assert [is_free(second, clock, clinic) for clock in ("9:00", "9:05", "11:10", "11:15")] == [True, False, False, True]
    assert free_time.check(at=NOW) == ()
    event = AuditEvent.objects.get(act="scheduling.save_travel")
    ids = str(clinic.site.public_id), str(second.site.public_id)
    assert event.details == {
        "ways": [{"from": ids[0], "to": ids[1], "minutes": 45}, {"from": ids[1], "to": ids[0], "minutes": 30}],
        "cases_in_the_way": 0,
    }

    resources.save_travel(**given, ways={there: None, back: 30})
    resources.save_travel(**given, ways={there: None, back: 30})

    assert [is_free(second, clock, clinic) for clock in ("9:05", "10:30")] == [False, True]
    assert resources.ways_between(given["sites"]) == {there: None, back: 30}
    assert AuditEvent.objects.filter(act="scheduling.save_travel").count() == 2  # saving the same changes nothing
    assert free_time.check(at=NOW) == ()


def test_a_case_that_could_not_be_reached_in_time_is_named_before_it_is_saved(
    clinic: SmallClinic, second: SmallClinic, given: dict[str, Any], by: Actor
) -> None:
    there = (clinic.site.pk, second.site.pk)
    book(clinic, "9:00", clinic, by)
    late = book(second, "10:00", clinic, by)  # half an hour after the first ends
    resources.save_travel(**given, ways={there: 30})
    with pytest.raises(resources.CasesInTheWay) as refusal:
        resources.save_travel(**given, ways={there: 35})
    assert refusal.value.cases == (late,)
    assert Travel.objects.get().minutes == 30

    resources.save_travel(**given, ways={there: 35}, is_accepted=True)

    assert Travel.objects.get().minutes == 35
    resources.save_travel(**given, ways={there: 40})  # it could not be reached before either
    assert AuditEvent.objects.filter(details__cases_in_the_way=1).count() == 1
    assert free_time.check(at=NOW) == ()


def test_only_the_ways_that_were_seen_are_changed(clinic: SmallClinic, second: SmallClinic, given: dict[str, Any]) -> None:
    there, seen = (clinic.site.pk, second.site.pk), resources.ways_version(resources.ways_between(given["sites"]))
    resources.save_travel(**given, ways={there: 45}, version=seen)
    with pytest.raises(resources.Changed):
        resources.save_travel(**given, ways={there: 50}, version=seen)


def test_somebody_with_a_case_but_no_hours_left_at_a_site_is_brought_in_line_too(
    clinic: SmallClinic, second: SmallClinic, given: dict[str, Any], by: Actor
) -> None:
    book(second, "10:00", clinic, by)
    clinic.physician.weekly_hours.filter(site=second.site).delete()
    factories.build_free_time()
    assert is_free(clinic, "9:30", clinic)
    resources.save_travel(**given, ways={(clinic.site.pk, second.site.pk): 45})
    assert not is_free(clinic, "9:30", clinic)
    assert free_time.check(at=NOW) == ()
