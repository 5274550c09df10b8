"""Which facts about a patient each role is given, by page and API answer, is what `docs/fields.csv` says. TRUST P7.

Pages are searched as they are sent, source and all: a fact in a comment, a `data-` attribute or a hidden field counts.
After a change that is meant: `CLINIC_WRITE_FIELDS=1 python3 dev.py test tests/database/trust/test_fields.py`, then read
the difference before it is kept.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from pain_clinic.accounts import roles
from pain_clinic.accounts.models import User
from scheduling.models import Appointment
from tests import factories
from tests.database.trust import world as worlds
from tests.database.trust.schema import operations_of_schema, pattern_of
from tests.database.trust.test_matrix import said
from tests.database.trust.world import CANARIES, World, forms_of

FILE = Path(__file__).parents[3] / "docs" / "fields.csv"
ROLES = tuple(roles.ROLES)
NOTES = {"appointment.note": "Notecanary wants the window seat", "appointment.procedure": "Procedurecanary"}
DAY = factories.TOMORROW.isoformat()
WITH_MORE = {"/board/": f"/board/?day={DAY}", "/book/": "/book/?patient=PATIENT", "/audit/": "/audit/?last_on=2026-09-14"}


@pytest.fixture
def known(world: World) -> World:
    Appointment.objects.filter(pk=world.case.pk).update(note=NOTES["appointment.note"])
    type(world.clinic.procedure).objects.filter(pk=world.clinic.procedure.pk).update(name=NOTES["appointment.procedure"])
    return world


def enter(role: str, world: World) -> tuple[User, Client]:
    user, client = factories.user(role=role, sites=(world.site,)), Client()
    client.force_login(user)
    return user, client


def facts(text: str) -> set[str]:
    """Return the facts that a page tells, anywhere in its source."""
    found = {f"patient.{name}" for name, value in CANARIES.items() if any(form in text for form in forms_of(name, value))}
    return found | {name for name, value in NOTES.items() if value in text}


def keys_of(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from keys_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        if not value:
            yield f"{path}[]"
        for inner in value:
            yield from keys_of(inner, f"{path}[]")
    else:
        yield path


def api_fields(world: World, user: User, client: Client) -> Iterator[tuple[str, str]]:
    bodies = worlds.valid_bodies(world)
    for one in operations_of_schema():
        with transaction.atomic():
            address = world.address(pattern_of(one.path), user)
            asked = {"data": json.dumps(bodies.get(one.id)), "content_type": "application/json", "headers": {"If-Match": "*"}}
            response = client.generic(one.method, address, **(asked if one.method != "GET" else {}))
            transaction.set_rollback(True)
        if response.status_code in {200, 201}:
            for field in set(keys_of(response.json())):
                yield f"{one.method} {one.path}", field


def page_fields(world: World, user: User, client: Client) -> Iterator[tuple[str, str]]:
    for operation in said():
        kind, _, pattern = operation.partition(" ")
        if kind == "page":
            shown = WITH_MORE.get(pattern, pattern).replace("PATIENT", str(world.patient.public_id))
            with transaction.atomic():  # what one page leaves (a patient lately read) is not to show on another
                response = client.get(world.address(shown, user))
                transaction.set_rollback(True)
            if response.status_code in {200, 403}:
                for fact in facts(response.content.decode(errors="replace")):
                    yield operation, fact
    found = client.post("/patients/", {"q": "zyxwhalen"})
    for fact in facts(found.content.decode(errors="replace").replace('value="zyxwhalen"', "")):
        yield "page /patients/ (search)", fact


def given(world: World) -> str:
    """Return the table role x field as the product gives it just now."""
    seen: dict[tuple[str, str], set[str]] = {}
    maker, _ = enter("manager", world)
    for operation in said():  # whatever a page or operation names is there before the first one is asked
        if operation.startswith("page "):
            world.address(operation.partition(" ")[2], maker)
    for role in ROLES:
        user, client = enter(role, world)
        for place in (*page_fields(world, user, client), *api_fields(world, user, client)):
            seen.setdefault(place, set()).add(role)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["operation", "field", *ROLES])
    for place in sorted(seen):
        rows.writerow([*place, *("yes" if role in seen[place] else "no" for role in ROLES)])
    return out.getvalue()


def test_each_role_is_given_the_fields_of_the_file_and_no_other(known: World) -> None:
    found = given(known)
    if os.environ.get("CLINIC_WRITE_FIELDS"):
        FILE.write_text(found, encoding="utf-8")
    written = FILE.read_text(encoding="utf-8")
    assert set(found.splitlines()) ^ set(written.splitlines()) == set()
    assert len(found.splitlines()) > 100


def test_the_file_gives_no_field_to_a_role_that_may_not_use_the_operation() -> None:
    may = said()
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            operation = pattern_of(row["operation"].removesuffix(" (search)"))
            for role in ROLES:
                assert row[role] == "no" or may[operation][role], (row["operation"], role)


def test_clinical_and_personal_facts_stay_from_who_keeps_accounts_and_trail() -> None:
    with FILE.open(encoding="utf-8", newline="") as file:
        told = [row["field"] for row in csv.DictReader(file) if row["field"].startswith("patient.") and row["auditor"] == "yes"]
    assert told == []


# --- nothing beside what is seen -------------------------------------------------------------------------------------
class Source(HTMLParser):
    """What a page holds that nobody sees: comments, hidden fields, `data-` and htmx attributes; and what is seen."""

    SEEN = frozenset({"title", "aria-label", "alt", "placeholder", "content", "label"})

    def __init__(self) -> None:
        super().__init__()
        self.unseen: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given_ = {name: value or "" for name, value in attributes}
        is_hidden = tag == "input" and given_.get("type") == "hidden"
        for name, value in given_.items():
            is_seen = name in self.SEEN or (name == "value" and tag in {"input", "option"} and not is_hidden)
            (self.seen if is_seen else self.unseen).append(value)

    def handle_comment(self, data: str) -> None:
        self.unseen.append(data)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


@pytest.mark.parametrize("role", ["desk", "nurse", "physician", "biller", "manager"])
def test_source_of_a_page_holds_no_fact_that_the_page_does_not_show(known: World, role: str) -> None:
    user, client = enter(role, known)
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        if kind != "page" or not may[role]:
            continue
        shown = WITH_MORE.get(pattern, pattern).replace("PATIENT", str(known.patient.public_id))
        response = client.get(known.address(shown, user))
        if response.status_code != 200:
            continue
        source = Source()
        source.feed(response.content.decode(errors="replace"))
        assert facts(" ".join(source.unseen)) - facts(" ".join(source.seen)) == set(), operation
        assert "<!--" not in response.content.decode(errors="replace"), (
            f"{operation}: comments are for the source, not for the page"
        )


def test_addresses_and_redirects_hold_no_fact(known: World) -> None:
    """TRUST P4: links, forms and redirects name people by opaque ids."""
    user, client = enter("manager", known)
    for operation, may in said().items():
        kind, _, pattern = operation.partition(" ")
        if kind == "page" and may["manager"]:
            shown = WITH_MORE.get(pattern, pattern).replace("PATIENT", str(known.patient.public_id))
            response = client.get(known.address(shown, user))
            source = response.content.decode(errors="replace")
            linked = re.findall(r'(?:href|src|action|hx-get|hx-post|hx-push-url|data-url)="([^"]*)"', source)
            told = {fact for address in linked for fact in facts(address)}
            told -= {"patient.phone", "patient.email"} if any(each.startswith(("tel:", "mailto:")) for each in linked) else set()
            assert told == set(), operation
            assert facts(response.get("Location", "")) == set(), operation
    search = client.get("/patients/").content.decode(errors="replace")
    forms = re.findall(r"<form[^>]*>", search)
    assert any('method="post"' in form for form in forms)
    assert all('method="get"' not in form for form in forms)
