"""The clinic as it stands in production: headers, cookies and static files over a TLS proxy. TRUST A2, A15, O7, O10, P8."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection

from tests.drills.live import Live, until
from tests.drills.starting import with_room
from tests.factories import PASSWORD

pytestmark = pytest.mark.timeout(600)  # compressing the static files takes the longest
ROOT = Path(__file__).parents[2]
Answer = tuple[int, dict[str, str], bytes]
HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"CLINIC_CLOCK", "CLINIC_DATABASE_ROLE", "DEBUG"}}
    return kept | {
        "DATABASE_URL": re.sub(r"/[^/]*$", f"/{connection.settings_dict['NAME']}", os.environ["DATABASE_URL"]),
        "DJANGO_SETTINGS_MODULE": "pain_clinic.settings",
        "CLINIC_MODE": "production",
        "CLINIC_HOME": str(home),
        "SECRET_KEY": secrets.token_urlsafe(64),
        "AUDIT_KEY": secrets.token_urlsafe(64),
        "AUDIT_HEAD_FILE": str(home / "head"),
        "ALLOWED_HOSTS": "clinic.example",
        "BASE_URL": "https://clinic.example",
        "REDIS_URL": os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"),
        "EMAIL_URL": "smtp+tls://127.0.0.1:1",
        "MAIL_FROM": "appointments@clinic.example",
        "TRUSTED_PROXIES": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def served(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the site with gunicorn in production mode, as behind a proxy that ends TLS; give its port.

    Nobody signs in, so that nothing is written to the tests' database.
    """
    env = environment(tmp_path_factory.mktemp("production"))
    collected = ROOT / "build" / "collected"
    is_there = collected.exists()
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0"]
    done = subprocess.run(collect, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "pain_clinic.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                ask(port, "/health/live")
                break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(20)
        if not is_there:
            shutil.rmtree(collected, ignore_errors=True)


def ask(port: int, path: str, method: str = "GET", *, tls: bool = True, body: bytes = b"", **more: str) -> Answer:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Host": "clinic.example", **({"X-Forwarded-Proto": "https"} if tls else {}), **more}
    try:
        link.request(method, path, body or None, headers)
        response = link.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():  # of several cookies each keeps its line
            found[name.lower()] = "\n".join(part for part in (found.get(name.lower()), value) if part)
        return response.status, found, response.read()
    finally:
        link.close()


def test_every_answer_of_production_carries_the_headers(served: int) -> None:
    page = ask(served, "/sign-in/")
    found = re.findall(rb'(?:src|href)="(/static/[^"]+)"', page[2])
    assert len(found) >= 2
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = {
        "page": page,
        "redirect to sign in": ask(served, "/board/"),
        "400": ask(served, "/sign-in/?x=%00"),
        "403": ask(served, "/sign-in/", "POST", body=b"login=a", **form),
        "404": ask(served, "/nothing/"),
        "405": ask(served, "/sign-out/"),
        "413": ask(served, "/sign-in/", "POST", **form, **{"Content-Length": "6000000"}),
        "401 of the api": ask(served, "/api/v1/patients/"),
        "404 of the api": ask(served, "/api/v1/nothing/"),
        **{path.decode(): ask(served, path.decode()) for path in found},
    }
    statuses = {name: status for name, (status, _, _) in answers.items() if name[0].isdigit()}
    assert statuses == {name: int(name[:3]) for name in statuses}
    for name, (status, headers, body) in answers.items():
        assert {key: headers.get(key) for key in HEADERS} == HEADERS, name
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert b"Traceback" not in body, name
        if name.startswith("/static/"):
            assert status == 200, name
            assert "immutable" in headers["cache-control"], name
        else:
            assert headers["cache-control"] == "no-store, private", name


def test_cookies_of_production_are_for_this_host_and_tls_only(served: int) -> None:
    _, headers, body = ask(served, "/sign-in/")
    cookie = headers["set-cookie"]
    assert cookie.startswith("__Host-clinic-csrf=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert b"pain-clinic-demo" not in body
    plain = ask(served, "/sign-in/", tls=False)
    assert (plain[0], plain[1]["location"]) == (301, "https://clinic.example/sign-in/")


@dataclass
class Inside:
    """Somebody signed in behind the proxy: cookies and the forms' token are kept as a browser keeps them."""

    port: int
    token: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  # each cookie as it was set last, whole

    def ask(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        headers = {"Cookie": "; ".join(map("=".join, self.cookies.items()))}
        body = b""
        if fields is not None:
            body = urlencode({"csrfmiddlewaretoken": self.token, **fields}).encode()
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://clinic.example"}
        answer = ask(self.port, path, "GET" if fields is None else "POST", body=body, **headers)
        for whole in answer[1].get("set-cookie", "").split("\n"):
            key, _, content = whole.split(";")[0].partition("=")
            if key:
                self.cookies[key], self.written[key] = content, whole
        match = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', answer[2])
        self.token = match[1].decode() if match else self.token
        return answer


@pytest.fixture
def inside(served: int, live: Live, tmp_path: Path) -> Iterator[Inside]:
    """Serve the drills' own clinic in production mode, with pages that fail, and sign its desk in.

    Redis is away, so that nobody else's requests count against its limits.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = environment(tmp_path) | {
        "DATABASE_URL": live.env["DATABASE_URL"],
        "DATABASE_OWNER_URL": live.env["DATABASE_OWNER_URL"],
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "API_RATE_STAFF": "20/min",
    }
    command = [sys.executable, "-m", "gunicorn", "tests.drills.failing", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    person = Inside(port)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            until(lambda: is_up(port), within=with_room(60), what=str(tmp_path / "log"))
            person.ask("/sign-in/")
            assert person.ask("/sign-in/", {"login": "desk", "password": PASSWORD})[0] == 302
            yield person
        finally:
            server.terminate()
            server.wait(60)


def is_up(port: int) -> bool:
    try:
        return ask(port, "/health/live")[0] == 200
    except OSError:
        return False


def until_refused(look: Callable[[], Answer]) -> Answer:
    """Ask again and again, until it is too often."""
    for _ in range(60):
        answer = look()
        if answer[0] == 429:
            return answer
    raise AssertionError(f"never too often: {answer}")


def test_refusals_conflicts_failures_and_outages_tell_nothing_and_carry_the_headers(inside: Inside, live: Live) -> None:
    someone = live.clinic["patients"][0]
    twin = {
        "last_name": f"Onceonly {secrets.token_hex(4)}", "first_name": "Ada", "birth_date": "1951-02-03", "sex": "female",
        "language": "en", "home_site": str(live.ask("SELECT id FROM accounts_site ORDER BY id LIMIT 1")[0][0]),
    }  # fmt: skip
    taken, late = live.wanted(), live.wanted(starts_at="2026-01-05T15:00:00Z")
    stranger = Inside(inside.port)

    def form(path: str, *, who: Inside = inside, **fields: str) -> Answer:
        who.ask(path)
        return who.ask(path, {**fields, "request_key": secrets.token_hex(16)})

    def api(path: str, body: dict[str, Any] | None = None) -> Answer:
        headers = {"Authorization": f"Token {live.clinic['token']}", "Content-Type": "application/json"}
        if body is not None:
            headers["Idempotency-Key"] = secrets.token_hex(16)
            return ask(inside.port, f"/api/v1/{path}", "POST", body=json.dumps(body).encode(), **headers)
        return ask(inside.port, f"/api/v1/{path}", **headers)

    assert form("/patients/new/", **twin)[0] == 303
    assert api("appointments/", taken)[0] == 201
    rival = {**taken, "patient": live.clinic["patients"][1]}
    found = {
        "403": inside.ask("/settings/resources/"),
        "404": inside.ask(f"/patients/{UUID(int=7)}/"),
        "409": form("/patients/new/", **twin),
        "422": form("/patients/new/", **{**twin, "last_name": ""}),
        "500": inside.ask("/fails/"),
        "400 of the api": api("appointments/", {}),
        "403 of the api": api(f"patients/{someone}/notes/"),
        "404 of the api": api(f"patients/{UUID(int=7)}/"),
        "409 of the api": api("appointments/", rival),
        "422 of the api": api("appointments/", late),
        "500 of the api": api("fails/"),
        "429": until_refused(lambda: form("/sign-in/", who=stranger, login="nobody", password="guess")),
    }
    live.database.cut()
    try:
        found |= {"503": inside.ask("/patients/"), "503 of the api": api("patients/")}
    finally:
        live.database.mend()
    found["429 of the api"] = until_refused(lambda: api("patients/"))

    assert {name: answer[0] for name, answer in found.items()} == {name: int(name[:3]) for name in found}
    seen = set()
    for name, (status, headers, body) in found.items():
        assert {key: headers.get(key) for key in HEADERS} == HEADERS, name
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert headers["cache-control"] == "no-store, private", name
        assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"]), name
        seen.add(headers["x-request-id"])
        assert status not in (429, 503) or int(headers["retry-after"]) > 0, name
        for word in (b"Traceback", b"canary-of-the-failure", b"psycopg", b"OperationalError", b"ValueError", b"/site-packages/"):
            assert word not in body, (name, word)
        if name.endswith("of the api"):
            assert headers["content-type"] == "application/problem+json", name
            problem = json.loads(body)
            assert (problem["status"], problem["type"]) == (status, f"urn:clinic:{problem['code']}"), name
        else:
            assert headers["content-type"] == "text/html; charset=utf-8", name
    assert len(seen) == len(found)


def test_the_cookies_of_somebody_signed_in_are_for_this_host_and_tls_only(inside: Inside) -> None:
    assert set(inside.written) == {"__Host-clinic", "__Host-clinic-csrf"}
    for whole in inside.written.values():
        parts = {part.strip() for part in whole.split(";")}
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= parts
        assert "domain" not in whole.lower()
    assert inside.ask("/account/")[0] == 200
    # Nothing else holds who this is: without the session's cookie, and with the other one, nobody is signed in.
    inside.cookies.pop("__Host-clinic")
    assert inside.ask("/account/")[0] == 302


def test_what_is_for_trials_only_is_not_there(served: int) -> None:
    there = ("/mailbox/", "/mailbox/1/", "/mailbox/1/html/", "/admin/", "/metrics", "/static/../dev.py", "/.git/config")
    for path in there:
        assert ask(served, path)[0] in {302, 404}, path


@pytest.mark.parametrize(
    ("name", "value"),
    [("SECRET_KEY", ""), ("SECRET_KEY", "short"), ("AUDIT_KEY", ""), ("ALLOWED_HOSTS", ""), ("ALLOWED_HOSTS", "*"),
     ("DEBUG", "true"), ("BASE_URL", "http://clinic.example"), ("EMAIL_URL", ""), ("CLINIC_CLOCK", "/tmp/clock")],
)  # fmt: skip
def test_production_refuses_to_start_with_a_weak_setting_and_names_it(name: str, value: str, tmp_path: Path, db: None) -> None:
    env = environment(tmp_path) | {name: value}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert name in done.stderr
    assert value in {"", "*"} or len(value) < 12 or value not in done.stderr or name not in {"SECRET_KEY", "AUDIT_KEY"}
