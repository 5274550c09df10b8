"""Set-up: who may, what is kept, and that free time follows in the same act."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.models import Site
from pain_clinic.audit.models import AuditEvent
from scheduling import free_time, openings
from scheduling.models import Absence, Appointment, Block, BlockTime, Closure, Resource, WeeklyHours
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import SmallClinic

LISTS = ["sites", "resources", "absences", "blocks"]


@pytest.fixture
def manager(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("manager", clinic.site)


@pytest.fixture
def elsewhere(signed_in: Callable[..., Client]) -> Client:
    """Return a manager of another site."""
    return signed_in("manager", factories.site())


def key() -> str:
    return uuid.uuid4().hex


def is_free(clinic: SmallClinic, clock: str) -> bool:
    starts_at = factories.local(factories.TOMORROW, clock)
    return openings.fit(procedure=clinic.procedure, starts_at=starts_at, site=clinic.site, at=factories.NOW).opening is not None


def true_again() -> bool:
    return free_time.check(at=factories.NOW) == ()


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_for_managers(manager: Client, people: People, name: str) -> None:
    for address in (f"/settings/{name}/", f"/settings/{name}/new/"):
        assert (manager.get(address).status_code, people.owner.get(address).status_code) == (200, 403)


def test_index_shows_what_one_may_open(manager: Client, people: People) -> None:
    labels = [
        [link.label for group in who.get("/settings/").context["page"].groups for link in group.links]
        for who in (manager, people.owner)
    ]

    first = ["Sites", "Travel between sites", "People, rooms and devices", "Leave and breakdowns", "Blocks"]
    assert labels[0][:5] == first
    assert labels[1] == ["Procedures", "Calendar addresses"]


def test_rows_of_another_site_are_not_there(clinic: SmallClinic, manager: Client, elsewhere: Client) -> None:
    absence = Absence.objects.create(
        resource=clinic.room,
        starts_at=factories.local(factories.TOMORROW, "8:00"),
        ends_at=factories.local(factories.TOMORROW, "9:00"),
    )
    addresses = [
        f"/settings/sites/{clinic.site.public_id}/",
        f"/settings/resources/{clinic.room.public_id}/",
        f"/settings/resources/{clinic.room.public_id}/hours/",
        f"/settings/absences/{absence.public_id}/",
    ]

    assert [manager.get(address).status_code for address in addresses] == [200] * 4
    assert [elsewhere.get(address).status_code for address in addresses] == [404] * 4


def test_new_site_is_made_and_its_closed_days_close_it(clinic: SmallClinic, manager: Client) -> None:
    values = {
        "name": "Southside",
        "slug": "southside",
        "time_zone": "America/Chicago",
        "is_active": "on",
        "directions": "Second floor.",
        "directions_es": "Segundo piso.",
        "closures": "2026-12-25 Christmas Day",
        "request_key": key(),
    }

    assert manager.post("/settings/sites/new/", values).status_code == 303
    made = Site.objects.get(slug="southside")
    assert (made.directions_in("en"), made.directions_in("es")) == ("Second floor.", "Segundo piso.")
    assert Closure.objects.get(site=made).name == "Christmas Day"
    again = manager.get(f"/settings/sites/{made.public_id}/")
    assert (again.status_code, "Segundo piso." in again.content.decode()) == (200, True)


@pytest.mark.parametrize(
    ("field", "value"), [("time_zone", "Mars/Base"), ("name", ""), ("closures", "Christmas"), ("closures", "2026-02-30 Never")]
)
def test_bad_site_is_422_and_stays_as_typed(manager: Client, field: str, value: str) -> None:
    values = {
        "name": "South",
        "slug": "south",
        "time_zone": "UTC",
        "address": "1 Main Street",
        "request_key": key(),
        field: value,
    }

    response = manager.post("/settings/sites/new/", values)

    form = response.context["page"].form
    assert response.status_code == 422
    assert list(form.errors) == [field]
    assert form["address"].value() == "1 Main Street"


def test_closing_a_day_takes_its_time_away(clinic: SmallClinic, manager: Client) -> None:
    values = {
        "name": clinic.site.name,
        "slug": clinic.site.slug,
        "time_zone": clinic.site.time_zone,
        "is_active": "on",
        "request_key": key(),
    }
    assert is_free(clinic, "9:00")

    manager.post(f"/settings/sites/{clinic.site.public_id}/", values | {"closures": "2026-09-15 Inventory"})

    assert not is_free(clinic, "9:00")
    assert true_again()


def test_new_room_goes_on_to_its_hours(clinic: SmallClinic, manager: Client) -> None:
    values = {
        "kind": "room",
        "name": "Room 9",
        "short_name": "R9",
        "site": str(clinic.site.pk),
        "attributes": "OR room, cooled",
        "extra_turnover_minutes": "5",
        "position": "0",
        "is_active": "on",
        "request_key": key(),
    }

    response = manager.post("/settings/resources/new/", values)

    made = Resource.objects.get(name="Room 9")
    assert (response.status_code, response["Location"]) == (303, f"/settings/resources/{made.public_id}/hours/")
    assert made.attributes == ["or_room", "cooled"]


def test_stale_resource_is_409_and_keeps_what_was_typed(clinic: SmallClinic, manager: Client) -> None:
    values = {
        "version": "7",
        "name": "Room X",
        "short_name": "RX",
        "site": str(clinic.site.pk),
        "attributes": "",
        "extra_turnover_minutes": "0",
        "position": "0",
        "request_key": key(),
    }

    response = manager.post(f"/settings/resources/{clinic.room.public_id}/", values)

    assert response.status_code == 409
    assert response.context["page"].form["name"].value() == "Room X"


def test_taking_a_privilege_away_ends_openings(clinic: SmallClinic, manager: Client) -> None:
    row = clinic.physician
    values = {
        "version": "1",
        "name": row.name,
        "short_name": row.short_name,
        "site": str(clinic.site.pk),
        "attributes": "",
        "extra_turnover_minutes": "0",
        "position": "0",
        "is_active": "on",
        "request_key": key(),
    }

    manager.post(f"/settings/resources/{row.public_id}/", values)

    assert not is_free(clinic, "9:00")


def test_new_hours_hold_from_their_day_on(clinic: SmallClinic, manager: Client) -> None:
    url = f"/settings/resources/{clinic.room.public_id}/hours/"

    response = manager.post(url, {"valid_from": "2026-09-15", "work_1": "13-17", "break_1": "14:00-14:30"})

    assert response.status_code == 303
    assert [is_free(clinic, clock) for clock in ("9:00", "13:00", "14:00")] == [False, True, False]
    assert WeeklyHours.objects.filter(resource=clinic.room, valid_until="2026-09-14").count() == 5
    assert true_again()
    assert AuditEvent.objects.filter(act="scheduling.save_hours").count() == 1
    assert manager.get(url).status_code == 200


@pytest.mark.parametrize("text", ["nine", "9-8", "8:03-9", "8-12, 11-13", "25-26"])
def test_hours_that_cannot_be_read_are_422(clinic: SmallClinic, manager: Client, text: str) -> None:
    response = manager.post(f"/settings/resources/{clinic.room.public_id}/hours/", {"valid_from": "2026-09-15", "work_0": text})

    assert response.status_code == 422
    assert response.context["page"].form["work_0"].value() == text


def test_hours_that_leave_a_case_out_ask_first(case: Appointment, clinic: SmallClinic, manager: Client) -> None:
    url, typed = f"/settings/resources/{clinic.room.public_id}/hours/", {"valid_from": "2026-09-15", "work_1": "13-17"}

    asked = manager.post(url, typed)
    saved = manager.post(url, typed | {"accept": "on"})

    assert (asked.status_code, asked.context["page"].refusal.code, saved.status_code) == (422, "cases_in_the_way", 303)


def test_absence_asks_about_cases_takes_time_and_gives_it_back(case: Appointment, clinic: SmallClinic, manager: Client) -> None:
    typed = {
        "resource": str(clinic.room.pk),
        "kind": "out_of_service",
        "first_day": "2026-09-15",
        "first_time": "08:00",
        "last_day": "2026-09-15",
        "last_time": "12:00",
        "request_key": key(),
    }

    asked = manager.post("/settings/absences/new/", typed)
    manager.post("/settings/absences/new/", typed | {"accept": "on", "request_key": key()})
    absence = Absence.objects.get()
    during = is_free(clinic, "10:30")
    ended = manager.post(f"/settings/absences/{absence.public_id}/", {"act": "end"})

    assert asked.status_code == 422
    assert [line.public_id for line in asked.context["page"].affected] == [case.public_id]
    assert (during, is_free(clinic, "10:30"), ended.status_code) == (False, True, 303)
    assert true_again()


def test_block_keeps_time_and_its_last_day_ends_it(clinic: SmallClinic, manager: Client) -> None:
    typed = {
        "name": "RFA block",
        "resource": str(clinic.room.pk),
        "site": str(clinic.site.pk),
        "weekday": "1",
        "starts": "08:00",
        "ends": "12:00",
        "valid_from": "2026-09-14",
        "family": "",
        "physician": str(clinic.physician.pk),
        "release_days": "0",
        "request_key": key(),
    }

    made = manager.post("/settings/blocks/new/", typed)
    block = Block.objects.get()
    count = BlockTime.objects.count()
    manager.post(f"/settings/blocks/{block.public_id}/", typed | {"valid_until": "2026-09-16", "request_key": key()})

    assert made.status_code == 303
    assert count > 50
    assert BlockTime.objects.count() == 1
    assert manager.post("/settings/blocks/new/", typed | {"physician": "", "request_key": key()}).status_code == 422


@pytest.mark.parametrize(
    ("moment", "today", "is_over"),
    [(factories.EVENING, factories.TODAY, False), (factories.local(factories.TOMORROW, "0:00"), factories.TOMORROW, True)],
)
def test_in_the_evening_a_block_that_ends_today_lasts_and_new_ones_begin_today(
    clinic: SmallClinic, manager: Client, stand_at: Callable[..., None], moment: datetime, today: date, is_over: bool
) -> None:
    Block.objects.create(
        name="Morning", resource=clinic.room, site=clinic.site, weekday=1, starts=time(8), ends=time(12), family="esi",
        valid_from=date(2026, 1, 1), valid_until=factories.TODAY, release_days=3,
    )  # fmt: skip
    stand_at(moment)

    assert [row.is_off for row in manager.get("/settings/blocks/").context["page"].rows] == [is_over]
    assert manager.get("/settings/blocks/new/").context["page"].form.initial["valid_from"] == today
    absence = manager.get("/settings/absences/new/").context["page"].form
    assert absence.initial["first_day"] == today + timedelta(days=1)


@pytest.mark.parametrize("name", LISTS)
def test_lists_ask_as_much_for_three_rows_as_for_one(clinic: SmallClinic, manager: Client, name: str) -> None:
    def more() -> None:
        room = factories.resource(kind="room", at_site=clinic.site)
        starts, ends = (factories.local(factories.TOMORROW, clock) for clock in ("8:00", "9:00"))
        Absence.objects.create(resource=room, starts_at=starts, ends_at=ends)
        Block.objects.create(
            name="Kept",
            resource=room,
            site=clinic.site,
            weekday=1,
            starts="08:00",
            ends="09:00",
            valid_from=factories.TODAY,
            family="esi",
        )

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            manager.get(f"/settings/{name}/")
            return len(captured)

    more()
    asked()
    one = asked()
    more()
    more()

    assert 5 < one == asked()
