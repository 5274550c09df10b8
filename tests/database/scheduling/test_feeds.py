"""Calendar feeds: who may have one, what it shows, when it ends. TRUST Z2, Z5, P3, T8."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import vobject
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from icalendar import Calendar

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden, Refused
from pain_clinic.logs import masked
from scheduling import feeds
from scheduling.models import Allocation, Appointment, CalendarFeed, Resource
from tests import factories
from tests.factories import EVENING, NEW_YORK, NOW, TOMORROW, SmallClinic, local


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


def made(resource: Resource, user: User) -> str:
    address = feeds.make(user=user, resource=resource, by=Actor.of_user(user), at=NOW)
    return address.rpartition("/")[2]


def fetched(name: str) -> HttpResponse:
    answer: Any = Client().get(f"/feeds/{name}")
    return answer  # type: ignore[no-any-return]


def case_on(clinic: SmallClinic, day: date, clock: str = "9:00", **values: Any) -> Appointment:
    return factories.appointment(
        of=values.pop("of", clinic.patient), at_site=clinic.site, for_procedure=clinic.procedure,
        starts_at=local(day, clock), resources=(clinic.physician, clinic.room), **values,
    )  # fmt: skip


def near(days: int) -> date:
    return (datetime.now(tz=UTC) + timedelta(days=days)).astimezone(NEW_YORK).date()


def test_feed_shows_times_other_unit_and_initials_and_nothing_else(clinic: SmallClinic, desk: User) -> None:
    case = case_on(clinic, near(3))
    answer = fetched(made(clinic.physician, desk))
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    event = Calendar.from_ical(answer.content.decode()).walk("VEVENT")[0]
    assert {str(key): str(event.get(key)) for key in ("SUMMARY", "LOCATION", "UID")} == {
        "SUMMARY": "V. M., Room 1", "LOCATION": clinic.site.name, "UID": f"{case.public_id}.{clinic.physician.public_id}",
    }  # fmt: skip
    assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (case.starts_at, case.ends_at)
    text = answer.content.decode().replace("\r\n ", "")
    assert str(clinic.patient.public_id) not in text
    # By chance an identifier has a year in it, and at two minutes to eight in the evening the stamp has.
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|DTSTAMP:\w+", "", text)
    for kept in ("Vera", "Marlow", "1958", clinic.procedure.name, clinic.patient.record_number):
        assert kept not in text, kept


def test_room_feed_names_the_physician(clinic: SmallClinic, desk: User) -> None:
    case_on(clinic, near(3))
    assert b"SUMMARY:V. M.\\, Dr. Adler" in fetched(made(clinic.room, desk)).content


@pytest.mark.parametrize("status", ["cancelled", "no_show", "left_before_seen"])
def test_what_does_not_stand_is_not_in_the_feed(clinic: SmallClinic, desk: User, status: str) -> None:
    case_on(clinic, near(3), status=status)
    assert b"VEVENT" not in fetched(made(clinic.room, desk)).content


def test_times_are_right_over_both_clock_changes_by_two_readers(clinic: SmallClinic, desk: User) -> None:
    days = [factories.FALL_BACK, factories.FALL_BACK + timedelta(days=1), factories.SPRING_FORWARD]
    cases = [case_on(clinic, day, "8:00") for day in days]
    for start in (datetime(2026, 10, 20, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)):
        text = feeds.calendars.feed_file(
            name="Room 1", zone="America/New_York", events=feeds.busy_times(clinic.room, desk, start), stamped_at=NOW
        ).decode()
        expected = {
            case.starts_at for case in cases if start - feeds.BACK < case.ends_at and case.starts_at < start + feeds.AHEAD
        }
        assert {event.decoded("DTSTART") for event in Calendar.from_ical(text).walk("VEVENT")} == expected
        assert {event.dtstart.value for event in vobject.readOne(text).vevent_list} == expected
        assert {moment.astimezone(NEW_YORK).hour for moment in expected} == {8}


def test_feed_asks_the_same_number_of_queries_for_one_case_and_for_many(
    clinic: SmallClinic, desk: User, django_assert_num_queries: Callable[..., Any]
) -> None:
    case_on(clinic, near(3))
    with django_assert_num_queries(2):
        feeds.busy_times(clinic.room, desk, datetime.now(tz=UTC))
    for day in range(4, 8):
        case_on(clinic, near(day))
    with django_assert_num_queries(2):
        assert len(feeds.busy_times(clinic.room, desk, datetime.now(tz=UTC))) == 5


def test_only_the_hash_is_kept_and_the_log_masks_the_secret(clinic: SmallClinic, desk: User) -> None:
    name = made(clinic.room, desk)
    row = CalendarFeed.objects.get()
    assert name.removesuffix(".ics") not in str(vars(row))
    assert name.removesuffix(".ics") not in masked(f"GET /feeds/{name} 200")


def test_new_address_ends_the_older_one_of_the_same_person(clinic: SmallClinic, desk: User) -> None:
    first, second = made(clinic.room, desk), made(clinic.room, desk)
    assert (fetched(first).status_code, fetched(second).status_code) == (404, 200)


def test_feed_ends_when_revoked(clinic: SmallClinic, desk: User) -> None:
    name = made(clinic.room, desk)
    for _ in range(2):
        feeds.revoke(feed=CalendarFeed.objects.get(), by=Actor.of_user(desk), at=NOW)
    assert fetched(name).status_code == 404
    assert AuditEvent.objects.filter(act="scheduling.revoke_feed").count() == 1


@pytest.mark.parametrize("loss", ["disabled", "role", "site"])
def test_feed_ends_with_its_owners_right(clinic: SmallClinic, desk: User, loss: str) -> None:
    name = made(clinic.room, desk)
    assert fetched(name).status_code == 200
    if loss == "disabled":
        desk.is_active = False
        desk.save()
    elif loss == "role":
        desk.groups.clear()
    else:
        desk.sites.clear()
    assert fetched(name).status_code == 404


def test_feed_shows_only_the_owners_sites(clinic: SmallClinic, desk: User) -> None:
    elsewhere = factories.site()
    factories.appointment(
        of=factories.patient(home=elsewhere), at_site=elsewhere, starts_at=local(near(4), "9:00"), resources=(clinic.physician,)
    )
    assert b"VEVENT" not in fetched(made(clinic.physician, desk)).content


def test_stranger_makes_no_feed_of_another_site_and_nobody_one_of_a_device(clinic: SmallClinic, desk: User) -> None:
    stranger = factories.user(role="desk", sites=(factories.site(),))
    with pytest.raises(Forbidden):
        made(clinic.room, stranger)
    with pytest.raises(Forbidden):
        made(clinic.room, factories.user(role="biller", sites=(clinic.site,)))
    with pytest.raises(Refused):
        made(clinic.c_arm, desk)


def test_readings_are_recorded_once_a_day_of_the_sites(clinic: SmallClinic, desk: User) -> None:
    name = made(clinic.room, desk).removesuffix(".ics")
    for moment in (NOW, NOW + timedelta(hours=2), EVENING, local(TOMORROW, "0:00") - timedelta(seconds=1)):
        feeds.read(secret=name, at=moment)
    event = AuditEvent.objects.get(act="scheduling.read_feed")
    assert (event.user_id, event.subject_id) == (desk.pk, CalendarFeed.objects.get().public_id)
    feeds.read(secret=name, at=local(TOMORROW, "0:00"))
    assert AuditEvent.objects.filter(act="scheduling.read_feed").count() == 2


def test_guessing_addresses_is_stopped(clinic: SmallClinic, desk: User) -> None:
    assert [fetched(f"{CalendarFeed.make_secret()}.ics").status_code for _ in range(22)] == [404] * 20 + [429] * 2


def test_page_makes_shows_once_and_ends_an_address(clinic: SmallClinic, desk: User, signed_in: Callable[..., Client]) -> None:
    client = signed_in("desk", user=desk)
    page = client.post("/feeds/", {"resource": str(clinic.physician.public_id)}).content.decode()
    address = re.search(r'value="http://[^"]+(/feeds/[^"]+\.ics)"', page)
    assert address
    assert Client().get(address[1]).status_code == 200
    assert address[1] not in client.get("/feeds/").content.decode()
    colleague = signed_in("desk", clinic.site)
    feed = CalendarFeed.objects.get()
    assert colleague.post(f"/feeds/{feed.public_id}/revoke/").status_code == 404
    assert client.post(f"/feeds/{feed.public_id}/revoke/").status_code == 303
    assert Client().get(address[1]).status_code == 404


def test_page_offers_physicians_and_rooms_of_ones_sites_only(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    factories.resource(name="Room elsewhere", kind="room")
    page = signed_in("nurse", clinic.site).get("/feeds/").content.decode()
    assert all(name in page for name in ("Dr. Adler", "Room 1"))
    assert not any(name in page for name in ("Room elsewhere", "C-arm 1", "Nurse Kim"))
    stranger = signed_in("nurse", factories.site())
    assert stranger.post("/feeds/", {"resource": str(clinic.room.public_id)}).status_code == 422


def test_a_room_that_is_taken_for_two_legs_is_named_once(clinic: SmallClinic, desk: User) -> None:
    case = case_on(clinic, near(3))
    Allocation.objects.create(
        resource=clinic.room, site=clinic.site, appointment=case, kind="room", legs=["turnover"], starts_at=case.ends_at,
        ends_at=case.ends_at + timedelta(minutes=10), created_at=NOW,
    )  # fmt: skip
    assert b"SUMMARY:V. M.\\, Room 1\r\n" in fetched(made(clinic.physician, desk)).content
