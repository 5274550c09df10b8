"""Every field of every form and API write takes hostile text and odd values without falling over. TRUST I1, I4, I10 to I12."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.models import User
from tests.costs import least_seconds
from tests.database.trust.schema import operations_of_schema, pattern_of
from tests.database.trust.typing_in import (
    IS_FULL,
    NOT_TYPED,
    SHARE,
    api,
    drawn,
    leaves,
    pages,
    placed,
    sent,
    texts_for,
    undone,
    writes,
)
from tests.database.trust.world import World
from tests.hostile import HOSTILE, UNSEEN, is_told_as_text


@pytest.mark.timeout(900)  # a minute of one processor; every form that is drawn makes it longer
def test_every_field_of_every_form_takes_hostile_text(world: World, everybody: dict[str, tuple[User, Client]]) -> None:
    asked, bad, place = 0, [], 0
    found = drawn(world, everybody)
    for client, form in found:
        for field in form["fields"]:
            if field in NOT_TYPED:
                continue
            place += 1
            for name, text in texts_for(place):
                response = sent(client, form, {**form["fields"], field: text})
                asked += 1
                if response.status_code >= 500 or not is_told_as_text(response.content.decode(errors="replace")):
                    bad.append((form["method"], form["action"], field, name, response.status_code))
    assert bad == []
    assert len(found) > 25
    assert asked > 150 * len(HOSTILE) / SHARE


def test_bodies_named_valid_are_taken(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    answers = {one.id: api(client, user, world, one, body).status_code for one, body in writes(world)}
    assert answers.pop("appointments_reinstate") == 409  # it stands already
    assert answers.pop("appointments_complete") == 409  # the patient has not come yet
    assert answers.pop("appointments_waive") == 422  # nothing speaks against it
    assert answers.pop("medicines_confirm") == 422  # no prescriber has agreed to a hold yet
    assert answers.pop("medicines_keep") == 422  # nothing was decided for another day
    assert answers.pop("privileges_remove") == 422  # a case is booked by it
    assert (answers.pop("notes_cosign"), answers.pop("notes_add")) == (409, 409)  # nobody has signed it
    assert (answers.pop("courses_book"), answers.pop("series_book")) == (409, 409)  # no opening has been looked for yet
    assert {name: status for name, status in answers.items() if status not in {200, 201}} == {}


def test_every_field_of_every_api_write_takes_hostile_text(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    asked, bad, place = 0, [], 0
    for one, body in writes(world):
        for path, _ in leaves(one.body):
            place += 1
            for name, text in texts_for(place):
                response = api(client, user, world, one, placed(body, path, text))
                asked += 1
                kept = response.content.decode(errors="replace")
                is_json = response["Content-Type"].partition(";")[0] in {"application/json", "application/problem+json"}
                if response.status_code >= 500 or not is_json or any(sign in json.loads(kept).__str__() for sign in UNSEEN[:15]):
                    bad.append((one.id, path, name, response.status_code))
    assert bad == []
    assert asked > 50 * len(HOSTILE) / SHARE


ODD_VALUES: tuple[Any, ...] = (
    "abc", 2**63, -1, 0, 1.5, True, None, [], ["x"], {}, {"a": 1}, "00000000-0000-0000-0000-000000000000",
    "0001-01-01", "9999-12-31", "2027-02-29", "2027-02-28T09:00:00", "2027-02-28T24:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "2027-13-01T00:00:00Z", "24:00", "-5", "1e309", "٣",
)  # fmt: skip


def test_every_field_of_every_api_write_refuses_odd_values_with_a_reason(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    bad = []
    for one, body in writes(world):
        for place, (path, _) in enumerate(leaves(one.body)):
            for number, value in enumerate((*ODD_VALUES, str(world.clinic.room.public_id))):
                if not IS_FULL and (number + place) % 4:  # a quarter of them in turn: each value meets many fields
                    continue
                response = api(client, user, world, one, placed(body, path, value))
                if response.status_code not in {200, 201, 400, 403, 404, 409, 422}:
                    bad.append((one.id, path, value, response.status_code))
                elif response.status_code >= 400 and not response.json().get("title"):
                    bad.append((one.id, path, value, "no reason"))
    assert bad == []


@pytest.mark.parametrize("name", ["page", "page_size", "unknown", "ordering", "search", "fields", "expand", "format"])
def test_every_query_of_the_api_takes_odd_values(world: World, manager: tuple[User, Client], name: str) -> None:
    user, client = manager
    asked = [one for one in operations_of_schema() if one.method == "GET"]
    for one in asked:  # the world makes what an address needs when it is first asked for: lists are compared after that
        world.address(pattern_of(one.path), user)
    plain = {one.id: api(client, user, world, one) for one in asked}
    for one in asked:
        for value in ("%00", "-1", str(2**63), "abc", "birth_date", "[]", "%ff", "1;2", "1&page=2", "payer'--"):
            response = api(client, user, world, one, QUERY_STRING=f"{name}={value}")
            assert response.status_code in {200, 400, 404}, (one.id, name, value)
            if response.status_code == 200 and name not in {"page", "page_size"}:
                if response.content != plain[one.id].content:  # words that go by the minute: ask again within this one
                    plain[one.id] = api(client, user, world, one)
                    response = api(client, user, world, one, QUERY_STRING=f"{name}={value}")
                assert response.content == plain[one.id].content  # neither order nor filter by a field of one's choice (Z7)


@pytest.mark.parametrize("depth", [33, 1000, 50_000])
def test_depth_and_size_are_answered_within_a_second(world: World, manager: tuple[User, Client], depth: int) -> None:
    user, client = manager
    for one, body in writes(world):
        if not one.body:
            continue  # it takes none and reads none
        field = next(iter(body), "x")
        raw = json.dumps({**body, field: 0}).replace(": 0", ": " + "[" * depth + "]" * depth)
        address = world.address(pattern_of(one.path), user)

        def send(method: str = one.method, address: str = address, raw: str = raw) -> None:
            response = undone(client, method, address, data=raw, content_type="application/json")
            assert response.status_code == 400, address

        assert least_seconds(send) < 1, one.id


@pytest.mark.parametrize("size", [20_000, 400_000])
def test_long_fields_are_answered_within_a_second(world: World, everybody: dict[str, tuple[User, Client]], size: int) -> None:
    for client, form in drawn(world, everybody):
        if form["method"] == "POST":
            long = {name: "n" * size for name in list(form["fields"])[:2] if name not in NOT_TYPED}

            def send(client: Client = client, form: dict[str, Any] = form, long: dict[str, str] = long) -> None:
                assert sent(client, form, {**form["fields"], **long}).status_code < 500, form["action"]

            assert least_seconds(send) < 1, form["action"]


# --- I11: days in addresses ------------------------------------------------------------------------------------------
ODD_DAYS = (
    "0001-01-01", "9999-12-31", "10000-01-01", "2027-02-29", "2026-13-01", "2027-02-28T09:00:00", "2027-02-28T24:00:00Z", "24:00",
)  # fmt: skip
DAYS = ("day", "from", "to", "on", "at", "as", "set", "when", "first_on", "last_on", "starts_at", "earliest", "latest")


def odd_days(place: int) -> Iterator[str]:
    """Give some of the odd days, all of them in a full run, and a range of ten thousand days."""
    yield "from=1999-12-31&to=2027-05-18&first_on=1999-12-31&last_on=2027-05-18&day=1999-12-31"
    for number, value in enumerate(ODD_DAYS):
        if IS_FULL or (number + place) % 4 == 0:
            yield "&".join(f"{name}={value}" for name in DAYS)


def test_no_page_falls_over_a_day_that_is_none(world: World, everybody: dict[str, tuple[User, Client]]) -> None:
    bad, asked = [], 0
    for place, (client, address) in enumerate(pages(world, everybody)):
        if address.startswith("/health/"):
            continue  # 503 here, where no worker runs
        for query in odd_days(place):
            asked += 1
            response = undone(client, "GET", address.partition("?")[0], QUERY_STRING=query)
            if response.status_code >= 500:
                bad.append((address, query, response.status_code))
    assert bad == []
    assert asked > 150


@pytest.mark.parametrize("path", ["/board/", "/unconfirmed/"])
@pytest.mark.parametrize("day", ["2027-02-29", "2026-13-01", "0001-01-01", "9999-12-31", "24:00", "yesterday"])
def test_page_of_a_day_refuses_what_is_none_and_says_why(manager: tuple[User, Client], path: str, day: str) -> None:
    _, client = manager
    answer = client.get(path, {"day": day})
    assert answer.status_code == 400
    assert "The day in this address" in answer.content.decode()
    assert client.get(path, {"day": ""}).status_code == 200
    assert client.get(path, {"day": "2027-02-28"}).status_code == 200


def test_every_day_asked_of_the_api_is_read_or_refused_with_a_reason(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    bad, asked = [], 0
    for one in operations_of_schema():
        for name in one.query:
            if one.method != "GET" or name in {"page", "page_size"}:
                continue
            for value in ODD_DAYS:
                asked += 1
                response = api(client, user, world, one, QUERY_STRING=f"{name}={value}")
                told = response.json()
                if response.status_code not in {200, 400, 403, 404, 422} or (
                    response.status_code >= 400 and not told.get("title")
                ):
                    bad.append((one.id, name, value, response.status_code))
    assert bad == []
    assert asked >= 8 * len(ODD_DAYS)
