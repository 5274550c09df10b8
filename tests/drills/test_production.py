"""The clinic as it stands in production: headers, cookies and static files over a TLS proxy. TRUST A2, A15, O7, O10, P8."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

pytestmark = pytest.mark.timeout(600)  # compressing the static files takes the longest
ROOT = Path(__file__).parents[2]
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


def ask(
    port: int, path: str, method: str = "GET", *, tls: bool = True, body: bytes = b"", **more: str
) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Host": "clinic.example", **({"X-Forwarded-Proto": "https"} if tls else {}), **more}
    try:
        link.request(method, path, body or None, headers)
        response = link.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
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
