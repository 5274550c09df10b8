"""Every role, and nobody, asks for every page and API operation; the answers are what `docs/permissions.csv` says.

TRUST Z1, Z5, Z6, Z9. An address that names something new needs an object of it in `world.py`.
"""

from __future__ import annotations

import copy
import csv
import json
import re
import uuid
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import Client

from pain_clinic.accounts import matrix, roles
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.schema import operations_of_schema, pattern_of
from tests.database.trust.world import World

FILE = Path(__file__).parents[3] / "docs" / "permissions.csv"
ROLES = tuple(roles.ROLES)
NOBODY = "anonymous"
OVERRIDES = ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method")
# The API's own description and its pages are not operations that it describes.
ABOUT_THE_API = {"GET /api/v1/schema/", "GET /api/v1/docs/"}


def said() -> dict[str, dict[str, bool]]:
    """Return the second part of the file: for each operation, who may."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if " " in row["permission"]]
    return {row["permission"]: {role: row[role] == "yes" for role in ROLES} for row in rows}


def ask(client: Client, method: str, address: str, **headers: str) -> tuple[str, int]:
    """Return how a request was met, `in`, `refused` or `sign in`, and its status; whatever it did is undone."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        before = AuditEvent.objects.filter(act="accounts.permission_denied").count()
        body = {"content_type": "application/json", "data": "{}"} if address.startswith("/api/") and method != "GET" else {}
        response = client.generic(method, address, headers=headers, **body)
        denied = AuditEvent.objects.filter(act="accounts.permission_denied").count() - before
        transaction.set_rollback(True)
    client.cookies = cookies
    status = response.status_code
    if getattr(response.resolver_match.func, "is_open_to_public", ""):
        return ("in" if status != 405 else "no such method"), status
    if status == 401 or (status == 302 and response["Location"].startswith("/sign-in/")):
        return "sign in", status
    if status == 403:
        assert denied == 1, f"{method} {address}: a refusal at the gate is recorded once, not {denied} times"
        return "refused", status
    return ("in" if status != 405 else "no such method"), status


def methods_of(operation: str) -> tuple[str, ...]:
    kind = operation.partition(" ")[0]
    return ("GET", "POST") if kind in {"page", "public"} else (kind,)


@pytest.fixture
def person(world: World, request: pytest.FixtureRequest) -> tuple[str, User | None, Client]:
    role = request.param
    client = Client(raise_request_exception=True)
    if role == NOBODY:
        return role, None, client
    user = factories.user(role=role, sites=(world.site,))
    client.force_login(user)
    return role, user, client


def test_the_file_is_what_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == matrix.table()


def test_no_operation_of_the_description_stands_outside_the_file_and_none_is_missing() -> None:
    described = {f"{one.method} {pattern_of(one.path)}" for one in operations_of_schema()}
    written = {name for name in said() if name.partition(" ")[0].isupper()}
    assert written - ABOUT_THE_API == described


@pytest.mark.parametrize("person", [NOBODY, *ROLES], indirect=True, ids=str)
def test_every_operation_meets_each_role_as_the_file_says(person: tuple[str, User | None, Client], world: World) -> None:
    role, user, client = person
    differences = []
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        address = world.address(pattern, user)
        expected = "in" if kind == "public" or (role != NOBODY and may[role]) else "sign in" if role == NOBODY else "refused"
        met = [ask(client, method, address) for method in methods_of(operation)]
        known = [each for each in met if each[0] != "no such method"]
        is_right = bool(known) and all(how == expected for how, _ in known)
        # The objects are there, and an empty request is refused by words, not by falling over.
        if is_right and expected == "in":
            is_right = all(
                (status < 500 or "/health/" in pattern) and status not in ({401, 404} if kind != "public" else {401, 403})
                for _, status in known
            )
        if not is_right:
            differences.append((operation, role, expected, met))
    assert differences == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"])
@pytest.mark.parametrize("person", [NOBODY, "auditor", "biller"], indirect=True, ids=str)
def test_other_methods_open_nothing_that_get_does_not(person: tuple[str, User | None, Client], world: World, method: str) -> None:
    role, user, client = person
    opened = []
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        if kind == "public" or (role != NOBODY and may[role]):
            continue
        same_place = [name for name in said() if name.endswith(f" {pattern}")]
        if role != NOBODY and any(said()[name][role] for name in same_place):
            continue  # another method of this address is theirs; what is not is in the matrix above
        for headers in ({}, dict.fromkeys(OVERRIDES, "GET")):
            how, status = ask(client, method, world.address(pattern, user), **headers)
            if how == "in" and status < 400:
                opened.append((operation, role, method, status))
    assert opened == []


@pytest.mark.parametrize("person", ["manager"], indirect=True, ids=str)
def test_a_method_in_a_header_changes_nothing(person: tuple[str, User | None, Client], world: World) -> None:
    _, user, client = person
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        if kind in {"page", "GET"} and may["manager"]:
            address = world.address(pattern, user)
            plain = ask(client, "GET", address)
            assert ask(client, "GET", address, **dict.fromkeys(OVERRIDES, "DELETE")) == plain
    assert client.get(world.address("/appointments/<uuid:public_id>/")).status_code == 200


# --- Z3: what was refused has changed nothing ---------------------------------------------------------------------------
# The trail has the refusals, a session its last use; everything else has to stand as it stood.
MAY_DIFFER = re.compile(r"^(audit_|django_session|pghistory_|axes_)")


def rows_as_they_stand() -> dict[str, str]:
    """Return one digest of all rows of every table."""
    tables = sorted(name for name in connection.introspection.table_names() if not MAY_DIFFER.match(name))
    whole = " UNION ALL ".join(
        f"SELECT '{name}', md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) FROM {name} t" for name in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(whole)
        return dict(cursor.fetchall())


@pytest.mark.parametrize("person", [NOBODY, *ROLES], indirect=True, ids=str)
def test_every_row_is_the_same_after_all_that_a_role_may_not_do(person: tuple[str, User | None, Client], world: World) -> None:
    role, user, client = person
    bodies = worlds.valid_bodies(world)
    named = {(one.method, pattern_of(one.path)): one.id for one in operations_of_schema()}
    tried = []
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        if kind != "public" and (role == NOBODY or not may[role]):
            for method in methods_of(operation):
                body = bodies.get(named.get((method, pattern), ""), {})
                tried.append((method, world.address(pattern, user), body))
    before = rows_as_they_stand()
    for method, address, body in tried:
        headers = {"Idempotency-Key": uuid.uuid4().hex, "If-Match": '"1"'} if address.startswith("/api/") else {}
        answer = client.generic(method, address, json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code in {302, 401, 403, 405}, (method, address, answer.status_code)
    after = rows_as_they_stand()
    assert {name for name in before if before[name] != after[name]} == set()
    assert len(tried) > 20


def test_a_change_that_was_allowed_is_seen_in_the_rows(world: World) -> None:
    before = rows_as_they_stand()
    Patient.objects.filter(pk=world.patient.pk).update(payer="Other")
    after = rows_as_they_stand()
    assert {name for name in before if before[name] != after[name]} == {"patients_patient", "patients_patientevent"}


# --- Z5: what is taken away while somebody is signed in ----------------------------------------------------------------
@pytest.mark.parametrize("role", ["desk", "manager", "admin", "auditor"])
def test_role_taken_away_counts_from_the_next_request_on_every_page(world: World, role: str) -> None:
    user = factories.user(role=role, sites=(world.site,))
    client = Client()
    client.force_login(user)
    mine = [(name, world.address(name.partition(" ")[2], user)) for name, may in said().items() if may[role]]
    assert any(ask(client, "GET", address)[0] == "in" for _, address in mine)
    user.groups.clear()
    for name, address in mine:
        if not name.startswith("public"):
            for method in methods_of(name):
                assert ask(client, method, address)[0] in {"refused", "no such method"}, name


def test_site_taken_away_hides_its_rows_from_the_next_request(world: World) -> None:
    user = factories.user(role="desk", sites=(world.site, factories.site()))
    client = Client()
    client.force_login(user)
    addresses = [world.address(f"/{what}/<uuid:public_id>/") for what in ("patients", "appointments")]
    held = world.of("hold", user)
    assert [client.get(address).status_code for address in addresses] == [200, 200]
    user.sites.remove(world.site)
    assert [client.get(address).status_code for address in addresses] == [404, 404]
    assert client.get(f"/api/v1{addresses[0]}").status_code == 404
    assert client.delete(f"/api/v1/holds/{held}/").status_code == 404


def test_somebody_with_a_first_password_changes_it_before_using_the_api(world: World) -> None:
    user = factories.user(role="desk", sites=(world.site,))
    client = Client()
    client.force_login(user)
    assert client.get("/api/v1/patients/").status_code == 200
    User.objects.filter(pk=user.pk).update(must_change_password=True)
    assert client.get("/api/v1/patients/").status_code == 403
