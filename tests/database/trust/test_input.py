"""Every field of every form and API write takes hostile text without falling over. TRUST I1 to I4, I9 to I12, Z4.

The fields are found, not listed: what pages draw and what the API describes. By default each field gets two of
the texts, in turn, so that every text meets many fields; with `dev.py test --full` each field gets all of them.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from rest_framework import serializers

from pain_clinic import rest
from pain_clinic.accounts.models import User
from pain_clinic.texts import PlainField
from patients.models import Patient
from scheduling.models import Appointment
from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.schema import Described, operations_of_schema, pattern_of, resolved
from tests.database.trust.test_matrix import said
from tests.database.trust.world import World
from tests.hostile import HOSTILE, REAL_NAMES, UNSEEN, is_told_as_text

IS_FULL = bool(os.environ.get("CLINIC_FULL"))
SHARE = 1 if IS_FULL else 14
NOT_TYPED = {"csrfmiddlewaretoken", "request_key"}


class Drawn(HTMLParser):
    """The forms of a page: address, method and fields with what stands in them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "method": given.get("method", "get").upper(), "fields": {}})
        if not self.forms:
            return
        fields, name = self.forms[-1]["fields"], given.get("name", "")
        if tag in {"input", "textarea", "button"} and name:
            is_off = given.get("type") in {"checkbox", "radio"} and "checked" not in given
            fields.setdefault(name, "" if is_off or tag == "button" else given.get("value", ""))
        elif tag == "select" and name:
            self._select = name
            fields.setdefault(name, "")
        elif tag == "option" and self._select and ("selected" in given or not fields[self._select]):
            fields[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def texts_for(place: int) -> Iterator[tuple[str, str]]:
    for number, (name, text) in enumerate(HOSTILE.items()):
        if (number + place) % SHARE == 0:
            yield name, text


def undone(client: Client, method: str, address: str, **asked: Any) -> Any:
    """Send a request and take back whatever it did."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        response = client.generic(method, address, **asked)
        transaction.set_rollback(True)
    client.cookies = cookies
    return response


def encoded(fields: dict[str, str]) -> dict[str, Any]:
    from urllib.parse import quote_from_bytes

    def one(text: str) -> str:
        return quote_from_bytes(text.encode("utf-8", "surrogatepass"))

    body = "&".join(f"{one(name)}={one(value)}" for name, value in fields.items())
    return {"data": body, "content_type": "application/x-www-form-urlencoded"}


@pytest.fixture
def everybody(world: World) -> dict[str, tuple[User, Client]]:
    """Return who sees the most of the pages, signed in."""
    found = {}
    for role in ("manager", "admin", "auditor"):
        user, client = factories.user(role=role, sites=(world.site,)), Client(raise_request_exception=False)
        client.force_login(user)
        found[role] = (user, client)
    return found


def pages(world: World, everybody: dict[str, tuple[User, Client]]) -> Iterator[tuple[Client, str]]:
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        role = next((role for role in everybody if may[role]), None)
        if kind in {"page", "public"} and role is not None and pattern != "/sign-out/":
            user, client = everybody[role]
            yield (Client(raise_request_exception=False) if pattern == "/sign-in/" else client), world.address(pattern, user)


def drawn(world: World, everybody: dict[str, tuple[User, Client]]) -> list[tuple[Client, dict[str, Any]]]:
    """Return each form of each page once, by its address and fields."""
    found: dict[tuple[Any, ...], tuple[Client, dict[str, Any]]] = {}
    for client, address in pages(world, everybody):
        page = undone(client, "GET", address)
        if page.status_code != 200 or not page.get("Content-Type", "").startswith("text/html"):
            continue
        parser = Drawn()
        parser.feed(page.content.decode())
        for form in parser.forms:
            form["action"] = form["action"] or address
            if form["action"] != "/sign-out/":
                found.setdefault((form["action"].partition("?")[0], form["method"], *sorted(form["fields"])), (client, form))
    return list(found.values())


def sent(client: Client, form: dict[str, Any], fields: dict[str, str]) -> Any:
    if form["method"] == "POST":
        return undone(client, "POST", form["action"], **encoded({**fields, "request_key": "k" * 20}))
    return undone(client, "GET", form["action"].partition("?")[0], QUERY_STRING=encoded(fields)["data"])


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


# --- the API ---------------------------------------------------------------------------------------------------------
def leaves(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Return each field of a described body with the way to it."""
    schema = resolved(schema)
    if schema.get("type") == "object" or "properties" in schema:
        for name, inner in schema.get("properties", {}).items():
            yield from leaves(inner, (*path, name))
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], (*path, "0"))
    elif path:
        yield path, schema


def placed(body: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    head, *rest_ = path
    if head == "0":
        return [placed({}, tuple(rest_), value)]
    made = dict(body) if isinstance(body, dict) else {}
    made[head] = placed(made.get(head, {}), tuple(rest_), value)
    return made


def api(client: Client, user: User, world: World, one: Described, body: Any = None, **more: Any) -> Any:
    address = world.address(pattern_of(one.path), user)
    headers = {"If-Match": "*", **more.pop("headers", {})}
    return undone(client, one.method, address, data=json.dumps(body), content_type="application/json", headers=headers, **more)


@pytest.fixture
def manager(world: World) -> tuple[User, Client]:
    user, client = factories.user(role="manager", sites=(world.site,)), Client(raise_request_exception=False)
    user.groups.add(Group.objects.get(name="physician"))  # who records what was found and done
    client.force_login(user)
    world.of("hold", user)
    return user, client


def writes(world: World) -> list[tuple[Described, dict[str, Any]]]:
    bodies = worlds.valid_bodies(world)
    return [(one, dict(bodies[one.id])) for one in operations_of_schema() if one.method != "GET"]


def test_bodies_named_valid_are_taken(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    answers = {one.id: api(client, user, world, one, body).status_code for one, body in writes(world)}
    assert answers.pop("appointments_reinstate") == 409  # it stands already
    assert answers.pop("appointments_waive") == 422  # nothing speaks against it
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
                if not IS_FULL and (number + place) % 2:
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
                assert response.content == plain[one.id].content  # neither order nor filter by a field of one's choice (Z7)


@pytest.mark.parametrize("depth", [33, 1000, 50_000])
def test_depth_and_size_are_answered_within_a_second(world: World, manager: tuple[User, Client], depth: int) -> None:
    user, client = manager
    for one, body in writes(world):
        if not one.body:
            continue  # it takes none and reads none
        field = next(iter(body), "x")
        raw = json.dumps({**body, field: 0}).replace(": 0", ": " + "[" * depth + "]" * depth)
        began = time.perf_counter()
        address = world.address(pattern_of(one.path), user)
        response = undone(client, one.method, address, data=raw, content_type="application/json")
        assert response.status_code == 400, one.id
        assert time.perf_counter() - began < 1


@pytest.mark.parametrize("size", [20_000, 400_000])
def test_long_fields_are_answered_within_a_second(world: World, everybody: dict[str, tuple[User, Client]], size: int) -> None:
    for client, form in drawn(world, everybody):
        if form["method"] == "POST":
            long = {name: "n" * size for name in list(form["fields"])[:2] if name not in NOT_TYPED}
            began = time.perf_counter()
            response = sent(client, form, {**form["fields"], **long})
            assert response.status_code < 500, form["action"]
            assert time.perf_counter() - began < 1, form["action"]


# --- I9: nothing typed becomes SQL -----------------------------------------------------------------------------------
PROBE = "zqsql'\"`;--"


QUERIES = ("q", "page", "state", "site", "day", "case", "view", "kind", "when", "patient", "from", "to", "for", "next")


class Watch:
    """Look at every statement: the probe may travel beside the SQL, never inside it."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.beside = 0

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if "zqsql" in str(sql).lower():
            self.inside.append(str(sql)[:200])
        self.beside += "zqsql" in str(params).lower()
        return execute(sql, params, many, context)


def test_the_watch_sees_text_inside_a_statement() -> None:
    watch = Watch()
    with connection.execute_wrapper(watch), connection.cursor() as cursor:
        cursor.execute("SELECT 'zqsql'")
        cursor.execute("SELECT %s", ["zqsql"])
    assert (len(watch.inside), watch.beside) == (1, 1)


def test_nothing_typed_in_a_form_or_an_address_becomes_sql(world: World, everybody: dict[str, tuple[User, Client]]) -> None:
    watch = Watch()
    with connection.execute_wrapper(watch):
        for client, form in drawn(world, everybody):
            for field in form["fields"]:
                assert sent(client, form, {**form["fields"], field: PROBE}).status_code < 500, (form["action"], field)
        for client, address in pages(world, everybody):
            if address != "/health/ready":  # its 503 is its word: no worker runs in a test
                query = encoded(dict.fromkeys(QUERIES, PROBE))["data"]
                assert undone(client, "GET", address, QUERY_STRING=query).status_code < 500, address
    assert watch.inside == []
    assert watch.beside > 10


def test_nothing_sent_to_the_api_becomes_sql(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    watch = Watch()
    with connection.execute_wrapper(watch):
        for one, body in writes(world):
            for path, _ in leaves(one.body):
                assert api(client, user, world, one, placed(body, path, PROBE)).status_code < 500
                assert api(client, user, world, one, placed(body, (PROBE,), 1)).status_code < 500
    assert watch.inside == []
    assert watch.beside > 5


# --- I2, I3: names ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_name_is_refused_or_kept_as_people_read_it(world: World, manager: tuple[User, Client], name: str) -> None:
    user, client = manager
    typed = {"last_name": HOSTILE[name][:110], "first_name": "Ann", "birth_date": "1960-01-02", "sex": "female",
             "language": "en", "home_site": str(world.site.pk), "accepts_email": "on"}  # fmt: skip
    before = Patient.objects.count()
    response = client.generic("POST", "/patients/new/", **encoded(typed))
    if response.status_code in {400, 422}:
        assert Patient.objects.count() == before
        return
    assert response.status_code == 303
    made = Patient.objects.latest("pk")
    assert not any(sign in made.last_name for sign in UNSEEN)
    case = worlds.booking.book(
        patient=made, procedure=world.clinic.procedure, target=worlds.booking.Target(side="left"),
        opening=worlds.opening(world.clinic, "11:00"), by=worlds.Actor.of_user(user), at=factories.NOW,
    )  # fmt: skip
    for address in (
        f"/patients/{made.public_id}/", f"/patients/{made.public_id}/edit/", f"/appointments/{case.public_id}/",
        f"/appointments/{case.public_id}/print/", f"/appointments/{case.public_id}/cancel/", "/board/?day=2026-09-15",
        f"/book/?patient={made.public_id}", "/messages/", "/",
    ):  # fmt: skip
        page = client.get(address)
        assert page.status_code == 200
        assert is_told_as_text(page.content.decode()), address
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.parametrize(("last", "first"), REAL_NAMES)
def test_real_names_are_taken_kept_found_and_shown(world: World, manager: tuple[User, Client], last: str, first: str) -> None:
    _, client = manager
    typed = {"last_name": last, "first_name": first, "birth_date": "1960-01-02", "sex": "female", "language": "en",
             "home_site": str(world.site.pk)}  # fmt: skip
    made = client.post("/patients/new/", typed)
    assert made.status_code == 303, made.content.decode()
    kept = Patient.objects.latest("pk")
    assert (kept.last_name, kept.first_name) == (last, first)
    for words in (last, first, f"{first} {last}", last.upper()):
        found = client.post("/patients/", {"q": words}).context["page"].results.rows
        assert kept.public_id in {row.public_id for row in found}, words
        sought = client.post("/api/v1/patients/search/", json.dumps({"words": words}), content_type="application/json")
        assert str(kept.public_id) in {row["id"] for row in sought.json()["results"]}, words


def test_two_names_that_look_alike_are_the_same_name(world: World, manager: tuple[User, Client]) -> None:
    _, client = manager
    body = {"first_name": "Ann", "birth_date": "1960-01-02", "home_site": str(world.site.public_id)}

    def register(last: str) -> int:
        sent_ = json.dumps({**body, "last_name": last})
        return client.post("/api/v1/patients/", sent_, content_type="application/json").status_code

    assert register("Marlow") == 201
    assert [register(each) for each in ("Mar\u200blow", "\u202eMarlow", "Marlow\u00ad", " Marlow  ", "MARLOW")] == [409] * 5


# --- Z4: more than was asked for ---------------------------------------------------------------------------------------
EXTRAS: dict[str, Any] = {
    "id": 1, "pk": 1, "public_id": "00000000-0000-0000-0000-000000000001", "record_number": "MINE", "is_demo": True,
    "version": 77, "created_at": "2001-01-01T00:00:00Z", "is_superuser": True, "is_staff": True, "role": "admin",
    "roles": ["admin"], "groups": [1], "status": "discharged", "is_late": True, "source": "import", "created_by": 1,
    "cancelled_at": "2001-01-01T00:00:00Z", "calendar_sequence": 99, "held_by": 1, "ends_at": "2099-01-01T00:00:00Z",
    "released_at": "2001-01-01T00:00:00Z", "price": 0, "arrives_at": "2001-01-01T00:00:00Z", "search_name": "x",
    "note_internal": "x", "procedure_id": 1, "patient_id": 1, "site_id": 1, "home_site_id": 1,
}  # fmt: skip
CHANCE = {"id", "record_number"}  # drawn anew for each row
# What cannot be done to the rows of the world, whatever is sent: see `test_bodies_named_valid_are_taken`.
NOT_DONE = {"appointments_reinstate", "appointments_waive", "notes_add", "notes_cosign", "courses_book", "series_book"}


def settled(value: Any) -> Any:
    """Return an answer without what is drawn anew for each row."""
    if isinstance(value, list):
        return [settled(one) for one in value]
    return {name: settled(one) for name, one in value.items() if name not in CHANCE} if isinstance(value, dict) else value


def test_fields_that_were_not_asked_for_change_nothing(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    compared = 0
    for one, body in writes(world):
        if one.id in NOT_DONE | {"openings_search", "patients_search"}:
            continue
        shapes = [
            one.body,
            *(resolved(one.body).get("oneOf", []) if one.body else []),
        ]  # a body may have the shape of several kinds
        its_own = {path[0] for shape in shapes for path, _ in leaves(shape)}
        extras = {name: value for name, value in EXTRAS.items() if name not in its_own}  # a field that it has is asked for
        plain, laden = (api(client, user, world, one, given) for given in (body, {**extras, **body}))
        assert (plain.status_code, laden.status_code) in {(200, 200), (201, 201)}, one.id
        known = [settled(each.json()) for each in (plain, laden)]
        assert known[0] == known[1], one.id
        compared += 1
    assert compared >= 8


def test_forms_take_no_more_than_they_draw(world: World, manager: tuple[User, Client]) -> None:
    _, client = manager
    extras = {name: str(value) for name, value in EXTRAS.items() if name not in {"version", "roles", "groups"}}
    before = Patient.objects.filter(pk=world.patient.pk).values().get()
    page = Drawn()
    page.feed(client.get(f"/patients/{world.patient.public_id}/edit/").content.decode())
    form = next(each for each in page.forms if "payer" in each["fields"])
    typed = {**form["fields"], "language": "en", "sex": "unknown", "home_site": str(world.site.pk), "accepts_email": "on"}
    answer = client.post(f"/patients/{world.patient.public_id}/edit/", {**extras, **typed, "payer": "Other"})
    assert answer.status_code == 303
    after = Patient.objects.filter(pk=world.patient.pk).values().get()
    assert {name for name in after if after[name] != before[name]} == {"payer", "version"}
    case = Appointment.objects.filter(pk=world.case.pk).values().get()
    client.post(f"/appointments/{world.case.public_id}/confirm/", {**extras, "version": "1", "request_key": "k" * 20})
    now = Appointment.objects.filter(pk=world.case.pk).values().get()
    assert {name for name in now if now[name] != case[name]} == {"status", "version"}


# --- what holds for every form to come -------------------------------------------------------------------------------
LOOKED_UP = "looked up or parsed, never kept"
NOT_CLEANED = {
    ("BookForm", "procedure"): LOOKED_UP,
    ("BookForm", "opening"): "signed by us",
    ("ActForm", "to"): LOOKED_UP,
    ("FilterForm", "q"): LOOKED_UP,
    ("AuditForm", "act"): LOOKED_UP,
    ("NeedForm", "attribute"): "letters, digits and underscores only",
    ("StaffForm", "username"): "letters, digits, dots and dashes only",
    ("SiteForm", "time_zone"): "a name that the zone data know",
    ("PasswordForm", "old_password"): "every character counts",
    ("PasswordForm", "new_password"): "every character counts",
    ("NewPasswordMixin", "new_password"): "every character counts",
    ("SignInForm", "login"): LOOKED_UP,
    ("CompleteForm", "levels"): "read as levels of the spine, or refused",
    ("CourseForm", "levels"): "read as levels of the spine, or refused",
    ("AmendForm", "levels"): "read as levels of the spine, or refused",
    ("RuleFilterForm", "q"): LOOKED_UP,
    ("NoteLine", "template"): "only goes out, in the list of a patient's notes",
    ("Said", "drug"): "judged by the verb: only drugs of the tables",
    ("Chosen", "procedure"): LOOKED_UP,
    ("Chosen", "levels"): "judged by the verb: only levels of the procedure",
    ("WaiverIn", "code"): "compared with findings",
    ("WaiverIn", "reason_code"): "judged by the verb: only reasons of the list",
    ("PatientSearch", "words"): LOOKED_UP,
}
# These are cleaned by `patients.records`, which says so field by field.
BY_THE_VERB = {"PatientForm", "PatientIn", "PatientChange"}


def families(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from families(each)


def test_every_text_of_a_form_is_cleaned_or_says_why_not() -> None:
    ours = ("pain_clinic", "procedures", "patients", "scheduling")
    loose = {
        (form.__name__, name)
        for form in set(families(forms.Form))
        if form.__module__.startswith(ours)
        for name, field in form.base_fields.items()
        if type(field) is forms.CharField and not isinstance(field, PlainField)
    }
    assert {each for each in loose if each[0] not in BY_THE_VERB} - set(NOT_CLEANED) == set()


def test_every_text_that_the_api_takes_is_cleaned_or_says_why_not() -> None:
    def texts(field: Any) -> bool:
        inner = field.child if isinstance(field, serializers.ListField) else field
        return type(inner) is serializers.CharField and not isinstance(inner, rest.Text)

    taken = {
        (each.__name__, name)
        for each in set(families(serializers.Serializer))
        if each.__module__.partition(".")[0] in {"procedures", "patients", "scheduling"} and not each.__name__.endswith("Out")
        for name, field in each._declared_fields.items()
        if texts(field) and not any(name in base.__dict__.get("_declared_fields", {}) for base in each.__mro__[1:])
    }
    assert {each for each in taken if each[0] not in BY_THE_VERB} - set(NOT_CLEANED) == set()
