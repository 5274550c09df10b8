"""Nothing typed becomes SQL: a watch over every statement while every field takes some. TRUST I9."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import Client

from pain_clinic.accounts.models import User
from tests.database.trust.typing_in import api, drawn, encoded, leaves, pages, placed, sent, undone, writes
from tests.database.trust.world import World

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
