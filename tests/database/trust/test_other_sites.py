"""What stands at another site is not there: by id, nested, in lists, searches, forms and bodies. TRUST Z2, Z8.

The stranger holds every role there is, at another site, so that no gate hides what `visible_to` must.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.schema import operations_of_schema, pattern_of
from tests.database.trust.test_matrix import ask, said
from tests.database.trust.world import ARGUMENT, CANARIES, NOT_OF_A_SITE, World, forms_of, what_is_named
from tests.factories import TOMORROW, local

# What differs between two answers to the same question.
CHANGING = re.compile(rb'(name="(?:csrfmiddlewaretoken|request_key)" value=")[^"]*|"X-CSRFToken": "[^"]*"|nonce="[^"]*"')


@pytest.fixture
def stranger(world: World, elsewhere: World) -> tuple[User, Client]:
    user = factories.user(role="desk", sites=(elsewhere.site,))
    user.groups.set(Group.objects.all())
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return user, client


def answer(client: Client, method: str, address: str, body: Any = None) -> tuple[int, bytes]:
    asked = {"data": json.dumps(body or {}), "content_type": "application/json"} if address.startswith("/api/") else {}
    headers = {"If-Match": '"1"'} if asked else {}
    response = client.generic(method, address, headers=headers, **asked)
    named = ARGUMENT.sub("", address)
    return response.status_code, CHANGING.sub(b"", response.content).replace(named.encode(), b"")


def test_every_address_of_another_sites_row_is_404_as_if_it_did_not_exist(world: World, stranger: tuple[User, Client]) -> None:
    user, client = stranger
    worlds.World.of(world, "hold", world.made_by)
    asked = 0
    for operation in said():
        kind, _, pattern = operation.partition(" ")
        if not ARGUMENT.search(pattern) or what_is_named(pattern) in NOT_OF_A_SITE:
            continue
        there, nowhere = world.address(pattern, None), world.address(pattern, None, strange=True)
        own = [each for each in ARGUMENT.findall(pattern) if each]
        for method in ("GET", "POST") if kind == "page" else (kind,):
            met = [client_answer(client, method, address) for address in (there, nowhere)]
            if met[0][0] == 405:
                continue
            assert met[0][0] == 404, (method, there, own)
            assert met[0] == met[1], (method, there)
            asked += 1
    assert asked > 30
    world.case.refresh_from_db()
    world.patient.refresh_from_db()
    assert (world.case.version, world.case.status, world.patient.version) == (1, "booked", 1)
    assert not AuditEvent.objects.filter(user=user, patient_id=world.patient.public_id).exists()


def client_answer(client: Client, method: str, address: str) -> tuple[int, bytes]:
    status, body = answer(client, method, address)
    return status, re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}", b"ID", body)


def canaries(world: World) -> tuple[str, ...]:
    words = [form for name, value in CANARIES.items() for form in forms_of(name, value)]
    rows = (world.patient, world.case, world.message, world.site, world.clinic.room, world.absence, world.block)
    return (*words, *(str(row.public_id) for row in rows), world.site.slug + '"', world.block.name, f"Spare of {world.site.name}")


def test_no_list_search_or_form_of_a_stranger_holds_anything_of_another_site(world: World, stranger: tuple[User, Client]) -> None:
    _, client = stranger
    apart = ("/staff/", "/audit/", "/api/v1/schema")  # accounts, the trail and the description belong to no site
    parted = [operation.partition(" ") for operation in said()]
    pages = [
        pattern
        for kind, _, pattern in parted
        if kind in {"page", "GET"} and not ARGUMENT.search(pattern) and not pattern.startswith(apart)
    ]
    day = TOMORROW.isoformat()
    pages += [f"/board/?day={day}", f"/board/?day={day}&view=week", f"/board/?day={day}&view=list", "/messages/?state=sent",
              "/findings/?from=2026-01-01", "/settings/absences/?when=past", "/api/v1/appointments/?page_size=200",
              "/api/v1/patients/?page_size=200"]  # fmt: skip
    own = Client()
    own.force_login(world.made_by)
    assert "Zyxwhalen" in own.get(f"/board/?day={day}").content.decode() + own.get("/api/v1/patients/").content.decode()
    asked = 0
    for address in pages:
        for headers in ({}, {"HX-Request": "true"}):
            page = client.get(address, headers=headers).content.decode()
            assert [word for word in canaries(world) if word in page] == [], address
            asked += 1
    for words in ("Zyxwhalen", "Quilibert", "RECCANARY88", "2025550173", "1957-04-23", "zyx"):
        for page in (
            client.post("/patients/", {"q": words}),
            client.post("/patients/", {"q": words}, headers={"HX-Request": "true", "HX-Target": "results"}),
            client.post("/api/v1/patients/search/", json.dumps({"words": words}), content_type="application/json"),
        ):
            found = page.content.decode().replace(f'value="{words}"', "")
            assert [word for word in canaries(world) if word in found and word != words] == [], words
            asked += 1
    assert asked > 60


@pytest.mark.parametrize("address", ["/board/?site={site}", "/board/?case={case}", "/book/?patient={patient}",
                                     "/settings/resources/{own_room}/hours/?site={site}"])  # fmt: skip
def test_ids_in_a_query_are_not_there_either(world: World, elsewhere: World, stranger: tuple[User, Client], address: str) -> None:
    _, client = stranger
    ids = {"site": world.site.slug, "case": world.case.public_id, "patient": world.patient.public_id,
           "own_room": elsewhere.clinic.room.public_id}  # fmt: skip
    assert client.get(address.format(**ids)).status_code == 404


def test_ids_in_api_bodies_are_refused_as_if_they_did_not_exist(
    world: World, elsewhere: World, stranger: tuple[User, Client]
) -> None:
    user, client = stranger
    theirs = {"patient": world.patient, "site": world.site, "home_site": world.site, "physician": world.clinic.physician}
    held = world.of("hold", world.made_by)
    bodies, compared = worlds.valid_bodies(elsewhere), 0
    for one in operations_of_schema():
        for name in one.body.get("properties", {}):
            public_id = held if name == "hold" else str(theirs[name].public_id) if name in theirs else ""
            public_id = [str(world.clinic.room.public_id)] if name == "resources" else public_id  # type: ignore[assignment]
            if not public_id:
                continue
            nothing = [str(uuid.uuid4())] if name == "resources" else str(uuid.uuid4())
            address = elsewhere.address(pattern_of(one.path), user)
            met = [
                client_answer_body(client, one.method, address, {**bodies[one.id], name: value}) for value in (public_id, nothing)
            ]
            assert met[0][0] == 400, (one.id, name)
            assert met[0] == met[1], (one.id, name)
            compared += 1
    assert compared >= 10


def client_answer_body(client: Client, method: str, address: str, body: Any) -> tuple[int, bytes]:
    status, content = answer(client, method, address, body)
    return status, re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}", b"ID", content)


def test_choices_of_forms_are_ones_own_sites(world: World, elsewhere: World, stranger: tuple[User, Client]) -> None:
    _, client = stranger
    key = "k" * 20
    absence = {"resource": world.clinic.room.pk, "kind": "out_of_service", "first_day": "2026-09-15", "first_time": "08:00",
               "last_day": "2026-09-15", "last_time": "09:00", "request_key": key}  # fmt: skip
    block = {"name": "x", "resource": world.clinic.room.pk, "site": world.site.pk, "weekday": 1, "starts": "08:00",
             "ends": "09:00", "valid_from": "2026-09-15", "physician": world.clinic.physician.pk, "release_days": 0,
             "request_key": key}  # fmt: skip
    room = {"kind": "room", "name": "x", "short_name": "x", "site": world.site.pk, "extra_turnover_minutes": 0, "position": 0,
            "user": world.made_by.pk, "request_key": key}  # fmt: skip
    person = {"last_name": "X", "first_name": "Y", "birth_date": "1960-01-02", "sex": "female", "language": "en",
              "home_site": world.site.pk, "request_key": key}  # fmt: skip
    for address, typed in (("/settings/absences/new/", absence), ("/settings/blocks/new/", block),
                           ("/settings/resources/new/", room), ("/patients/new/", person),
                           (f"/patients/{elsewhere.patient.public_id}/edit/", {**person, "version": 1})):  # fmt: skip
        page = client.post(address, typed)
        assert page.status_code == 422, address
        assert [word for word in canaries(world) if word in page.content.decode()] == [], address


def test_an_offered_time_of_another_site_is_not_there(world: World, elsewhere: World, stranger: tuple[User, Client]) -> None:
    from scheduling.views import doors

    _, client = stranger
    token = doors.token_of(worlds.opening(world.clinic, "11:00"))
    typed = {"patient": elsewhere.patient.public_id, "procedure": elsewhere.clinic.procedure.code, "side": "left"}
    assert client.post("/book/", {**typed, "choose": token}).status_code == 404
    assert client.post("/book/", {**typed, "opening": token, "act": "book", "request_key": "k" * 20}).status_code == 404


def test_resources_of_another_site_are_not_taken_for_a_move(
    world: World, elsewhere: World, stranger: tuple[User, Client]
) -> None:
    _, client = stranger
    typed = {"version": 1, "day": TOMORROW.isoformat(), "time": "11:00", "room": world.clinic.room.public_id, "act": "move"}
    page = client.post(f"/appointments/{elsewhere.case.public_id}/move/", {**typed, "request_key": "k" * 20})
    assert page.status_code == 422
    place = {"site": str(elsewhere.site.public_id), "starts_at": local(TOMORROW, "11:00").isoformat(),
             "resources": [str(world.clinic.room.public_id)]}  # fmt: skip
    met = answer(client, "POST", f"/api/v1/appointments/{elsewhere.case.public_id}/move/", place)
    assert met[0] == 400
    elsewhere.case.refresh_from_db()
    assert elsewhere.case.version == 1


# --- Z8 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "address", "act"),
    [("GET", "/api/v1/patients/", "patients.list"), ("GET", "/api/v1/appointments/", "scheduling.list"),
     ("POST", "/api/v1/patients/search/", "patients.search")],
)  # fmt: skip
def test_lists_are_capped_and_recorded_with_their_count(world: World, method: str, address: str, act: str) -> None:
    client = Client()
    client.force_login(factories.user(role="desk", sites=(world.site,)))
    for number in range(205):
        factories.patient(home=world.site, last_name=f"Zyx{number}")
    body = {"data": json.dumps({"words": "zyx"}), "content_type": "application/json"} if method == "POST" else {}
    found = client.generic(method, f"{address}?page_size=100000", **body).json()["results"]
    assert len(found) <= 200
    assert [event.details["count"] for event in AuditEvent.objects.filter(act=act)] == [len(found)]
    assert ask(client, method, f"{address}?page=99999")[1] == 404
