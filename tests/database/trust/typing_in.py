"""Everything that can be typed into: the forms of all pages, the writes of the API, and texts for their fields.

The fields are found, not listed: what pages draw and what the API describes. By default each field gets two of
the texts, in turn, so that every text meets many fields; with `dev.py test --full` each field gets all of them.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.test import Client

from pain_clinic.accounts.models import User
from tests.database.trust import world as worlds
from tests.database.trust.schema import Described, operations_of_schema, pattern_of, resolved
from tests.database.trust.test_matrix import said
from tests.database.trust.world import World
from tests.hostile import HOSTILE

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


def undone(client: Client, method: str, address: str, *, look: Callable[[], None] | None = None, **asked: Any) -> Any:
    """Send a request, perhaps look at what it did, and take it all back."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        response = client.generic(method, address, **asked)
        if look is not None:
            look()
        transaction.set_rollback(True)
    client.cookies = cookies
    return response


def encoded(fields: dict[str, str]) -> dict[str, Any]:
    from urllib.parse import quote_from_bytes

    def one(text: str) -> str:
        return quote_from_bytes(text.encode("utf-8", "surrogatepass"))

    body = "&".join(f"{one(name)}={one(value)}" for name, value in fields.items())
    return {"data": body, "content_type": "application/x-www-form-urlencoded"}


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
    if one.id == "emergencies_open":  # a few tries an hour; here it is what is typed that is looked at
        cache.clear()
    headers = {"If-Match": "*", **more.pop("headers", {})}
    return undone(client, one.method, address, data=json.dumps(body), content_type="application/json", headers=headers, **more)


def writes(world: World) -> list[tuple[Described, dict[str, Any]]]:
    bodies = worlds.valid_bodies(world)
    return [(one, dict(bodies[one.id])) for one in operations_of_schema() if one.method != "GET"]
