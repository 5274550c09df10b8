"""A whole tour with people whose names stand nowhere else; afterwards nothing of them is in logs, queue or cache.

TRUST P1, P2, I8: plain, quoted, JSON-escaped or base64. What a person types wrong counts too.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
import structlog
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client

from pain_clinic import logs, web
from pain_clinic.accounts import staff, tidying
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import KeptInput, RequestKey
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from scheduling import links
from scheduling.models import Appointment, Link, LinkPurpose
from tests import factories
from tests.database.trust.test_matrix import methods_of, said
from tests.database.trust.world import CANARIES, World, forms_of

NOTE = "Notecanary wants the window seat"
PASSWORD = "Passwordcanary on the quay"


@pytest.fixture
def written(settings: Any) -> Iterator[io.StringIO]:
    """Log as production does, into memory."""
    out = io.StringIO()
    root, before, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=logs.SHARED, processors=logs.configuration(level="DEBUG")["formatters"]["json"]["processors"]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root.handlers = [handler]
    root.setLevel(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*logs.SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    yield out
    structlog.reset_defaults()
    root.handlers, root.level = before, level


def canaries() -> list[str]:
    words = [form for name, value in CANARIES.items() for form in forms_of(name, value)]
    return [*words, "Fresherling", "Xandromede", "Notecanary", "Passwordcanary", "Typoling", "qztypo@mail.example"]


def disguises(word: str) -> set[str]:
    raw = word.encode()
    whole = {base64.b64encode(b"x" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)}
    return {word, word.lower(), quote(word), quote_plus(word), json.dumps(word)[1:-1], raw.hex(), repr(word)[1:-1], *whole}


def found_in(text: str) -> list[str]:
    return sorted({word for word in canaries() for each in disguises(word) if len(each) > 6 and each in text})


def test_the_search_sees_a_canary_in_every_disguise() -> None:
    for word in ("Zyxwhalen", "qzcanary@mail.example"):
        for shift in range(3):
            hidden = base64.b64encode(b"abc"[:shift] + word.encode() + b" and more").decode()
            assert found_in(f"x {hidden} y") == [word]
        assert found_in(quote(word)) == [word]


def tour(world: World, tmp_path: Path) -> None:
    """Sign in, search, register, book, move, cancel, meet errors, use the API, import and send mails."""
    user = factories.user(role="manager", sites=(world.site,), username="tourist")
    client = Client(raise_request_exception=False)
    client.post("/sign-in/", {"login": "Zyxwhalen", "password": PASSWORD})
    client.post("/sign-in/", {"login": "tourist", "password": PASSWORD})
    assert client.post("/sign-in/", {"login": "tourist", "password": factories.PASSWORD}).status_code == 302
    reached = {"phone": "+12025550173", "email": "qzcanary@mail.example", "accepts_email": "on", "external_id": "EXTCANARY78"}
    who = {"last_name": "Fresherling", "first_name": "Xandromede", "birth_date": "1957-04-23", "sex": "female"}
    more = {"language": "en", "home_site": world.site.pk, "payer": "Payercanary Mutual", "request_key": "k" * 30}
    person = {**who, **reached, **more}
    for text in ("Zyxwhalen", "1957-04-23", "2025550173", "qzcanary@mail.example"):
        assert client.post("/patients/", {"q": text}).status_code == 200
    assert (
        client.post("/patients/new/", {**person, "email": "qztypo@mail.example oops", "last_name": "Typoling"}).status_code == 422
    )
    assert client.post("/patients/new/", person).status_code in {303, 409}
    assert client.post("/patients/new/", {**person, "not_duplicate": "1", "request_key": "l" * 30}).status_code in {303, 409}
    for operation in ("", "edit/", "upcoming/", "messages/"):
        assert client.get(f"/patients/{world.patient.public_id}/{operation}").status_code == 200
    case = f"/appointments/{world.case.public_id}/"
    cancel = {"version": 1, "asked_by": "patient", "reason": "other", "text": NOTE, "request_key": "m" * 30}
    moved = {"version": 1, "day": "2026-09-15", "time": "11:00", "act": "move", "request_key": "n" * 30}
    for address, typed in (("", None), ("print/", None), ("move/", moved), ("cancel/", {**cancel, "version": 1}),
                           ("cancel/", {**cancel, "version": 2}), ("reinstate/", {"version": 3})):  # fmt: skip
        assert (client.post(case + address, typed) if typed else client.get(case + address)).status_code < 500
    # What people do by mistake: a name in an address, a body that is none, a database that goes away.
    for address in ("/patients/Zyxwhalen/", "/patients/?q=Zyxwhalen", "/nothing/Zyxwhalen/", "/book/?patient=Zyxwhalen",
                    "/api/v1/patients/?search=Zyxwhalen", "/api/v1/nothing/Zyxwhalen", "/%00Zyxwhalen/"):  # fmt: skip
        assert (
            client.get(address, headers={"Referer": "http://testserver/x?q=Zyxwhalen", "User-Agent": "Zyxwhalen"}).status_code
            < 500
        )
    body = {"last_name": "Fresherling", "first_name": "Xandromede", "birth_date": "1957-04-23", "payer": NOTE,
            "home_site": str(world.site.public_id), "phone": "+12025550173"}  # fmt: skip
    for given in (
        json.dumps({**body, "is_another_person": True}),
        json.dumps({**body, "phone": "Zyxwhalen"}),
        '{"a": "Zyxwhalen",}',
    ):
        answer = client.post(
            "/api/v1/patients/", given, content_type="application/json", headers={"Idempotency-Key": "Zyxwhalen-1"}
        )
        assert answer.status_code < 500
    secret = staff.make_token(user=user, label="t", by=Actor.of_user(user), at=web.now())[1]
    assert Client().get("/api/v1/patients/", headers={"Authorization": f"Token {secret}"}).status_code == 200
    assert Client().get("/api/v1/patients/", headers={"Authorization": "Token Zyxwhalen"}).status_code == 401

    def away(_execute: Any, sql: str, params: Any, _many: bool, _context: Any) -> Any:
        raise OperationalError(f"could not send: {sql} {params} Zyxwhalen")

    for address, typed in (("/patients/", {"q": "Zyxwhalen"}), ("/patients/new/", person)):
        with connection.execute_wrapper(away):
            assert client.post(address, typed).status_code == 503
        with connection.execute_wrapper(lambda *_: (_ for _ in ()).throw(ValueError("Zyxwhalen 1957-04-23"))):
            assert client.post(address, typed).status_code == 500
    file = tmp_path / "people.csv"
    file.write_text("last_name,first_name,birth_date,email,external_id\nZyxwhalen,Quilibert,1957-04-23,qzcanary@mail.example,EXTCANARY79\n"
                    "Typoling,,notadate,qztypo@mail.example,EXTCANARY80\n")  # fmt: skip
    call_command("import_patients", str(file), site=world.site.slug, stdout=io.StringIO(), stderr=io.StringIO())
    client.post("/sign-out/")


def test_nobody_of_the_tour_is_in_the_logs(world: World, written: io.StringIO, tmp_path: Path) -> None:
    Patient.objects.filter(pk=world.patient.pk).update(accepts_email=True)
    Appointment.objects.filter(pk=world.case.pk).update(note=NOTE)
    tour(world, tmp_path)
    call_command("messages", "--plan", "--as-of", "2026-09-14", stdout=io.StringIO(), stderr=io.StringIO())
    text = written.getvalue()
    assert found_in(text) == []
    lines = text.splitlines()
    assert len(lines) > 60
    assert all(isinstance(json.loads(line), dict) for line in lines)  # one line each, whatever was typed
    assert any(("503" in line and "OperationalError" in line) or '"response 503"' in line for line in lines)
    assert any("ValueError" in line for line in lines)


ENOUGH = 1_000_000  # bytes of log to look at, as TRUST asks
CURIOUS = ("desk", "nurse", "physician", "biller", "manager", "admin", "auditor")


def wander(world: World, written: io.StringIO) -> int:
    """Ask for every address with canaries in all that a request carries, as each role, until there is enough; say how often."""
    carried = {
        "headers": {"Referer": "http://testserver/?q=Zyxwhalen", "User-Agent": "Quilibert", "Idempotency-Key": "Zyxwhalen-2"},
    }  # fmt: skip
    names = ("q", "last_name", "first_name", "birth_date", "email", "phone", "text", "note", "reason", "name", "words", "payer")
    typed = dict.fromkeys(names, "Zyxwhalen") | {"birth_date": "1957-04-23", "email": "qzcanary@mail.example", "note": NOTE}
    count = 0
    for role in CURIOUS:
        user = factories.user(role=role, sites=(world.site,))
        client = Client(raise_request_exception=False)
        client.force_login(user)
        for operation in said():
            pattern = operation.partition(" ")[2]
            for method in methods_of(operation):
                with transaction.atomic():
                    address = f"{world.address(pattern, user)}?q=Zyxwhalen&born=1957-04-23"
                    is_api = address.startswith("/api/")
                    body = json.dumps(typed) if is_api else urlencode(typed)
                    of = "application/json" if is_api else "application/x-www-form-urlencoded"
                    client.generic(method, address, "" if method == "GET" else body, content_type=of, **carried)
                    transaction.set_rollback(True)
                count += 1
                if written.tell() >= ENOUGH:
                    return count
            client.force_login(user)
    return count


@pytest.mark.timeout(1500)  # two thousand requests or more: on a busy machine they take their time
def test_nobody_is_in_a_megabyte_of_logs(world: World, written: io.StringIO) -> None:
    count = wander(world, written)
    text = written.getvalue()
    assert len(text.encode()) >= ENOUGH, f"{count} requests wrote only {len(text)} bytes"
    assert found_in(text) == []
    lines = text.splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    statuses = {json.loads(line).get("status") for line in lines}
    assert {200, 302, 403, 422} <= statuses, statuses
    print(f"P1: {count} requests, {len(lines):,} lines, {len(text.encode()):,} bytes, no canary")


def test_the_secret_of_a_link_is_in_no_log_line(world: World, written: io.StringIO) -> None:
    """TRUST L9: good and bad ones, pressed, named as where somebody comes from, and while the page breaks."""
    address = links.issue(message=world.message, purpose=LinkPurpose.VISIT, at=factories.NOW)
    good = address.rstrip("/").rpartition("/")[2]
    bad, client = Link.make_secret(), Client(raise_request_exception=False)
    for secret in (good, bad):
        for path in ("", "cancel/", "another-time/", "visit.ics", "plan/", "no/such/page"):
            client.get(f"/l/{secret}/{path}?confirm=1", headers={"Referer": f"https://mail.example/l/{secret}/"})
            client.post(f"/l/{secret}/{path}", {"act": "confirm", "shown": secret})
    with connection.execute_wrapper(lambda *_: (_ for _ in ()).throw(ValueError(f"/l/{good}/"))):
        assert client.get(f"/l/{good}/").status_code == 500
    text = written.getvalue()
    assert len(text.splitlines()) > 24
    assert [secret for secret in (good, bad) for each in disguises(secret) if each in text] == []


def test_nobody_of_the_tour_is_in_the_trail_or_the_cache(world: World, written: io.StringIO, tmp_path: Path) -> None:
    tour(world, tmp_path)
    rows = [str(row) for row in AuditEvent.objects.values_list("actor_name", "reason_code", "details", "subject_kind", "act")]
    assert len(rows) > 20
    assert found_in("\n".join(rows)) == []
    assert found_in(repr(getattr(cache, "_cache", {}))) == []


def test_what_the_doors_remember_is_gone_after_its_time(world: World, written: io.StringIO, tmp_path: Path) -> None:
    tour(world, tmp_path)
    KeptInput.objects.create(user=world.made_by, path="/patients/new/", data={"last_name": ["Zyxwhalen"]}, kept_at=web.now())
    assert RequestKey.objects.exists()
    tidying.tidy(at=web.now() + timedelta(hours=12, seconds=1))
    assert not KeptInput.objects.exists()
    tidying.tidy(at=web.now() + timedelta(hours=24, seconds=1))
    assert not RequestKey.objects.exists()
