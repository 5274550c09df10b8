"""Lines of booking over HTTP: the Procfile's own web server against the same server with a plain Django view."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from pain_clinic.accounts.models import ApiToken
from patients.models import Patient
from scheduling.models import Resource
from tests.bench.booking import FORK, in_company, jobs_of, overlaps
from tests.bench.clinic import BenchClinic, Place
from tests.bench.measuring import Line, line, percentile

WORKERS = 2
PATH = "/api/v1/appointments/"


def database_url() -> str:
    """Return the address of the database that this process is connected to."""
    known = connection.settings_dict
    who = quote(known["USER"], safe="") + (f":{quote(known['PASSWORD'], safe='')}" if known["PASSWORD"] else "")
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"postgres://{who}@{quote(known['HOST'] or 'localhost', safe='')}{port}/{known['NAME']}"


def web_command() -> list[str]:
    """Return what production runs: the Procfile's web line."""
    lines = (Path(settings.BASE_DIR) / "Procfile").read_text(encoding="utf-8").splitlines()
    words = shlex.split(next(each for each in lines if each.startswith("web:")).removeprefix("web:"))
    return [sys.executable, *words[1:]]


@contextmanager
def served(application: str = "", *, settings_module: str = "pain_clinic.settings") -> Iterator[int]:
    """Run one server on a port of loopback, two workers, until the block ends."""
    command = [word if not application or ":application" not in word else application for word in web_command()]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = os.environ | {
        "DATABASE_URL": database_url(), "DATABASE_OWNER_URL": database_url(), "DJANGO_SETTINGS_MODULE": settings_module, "CLINIC_MODE": "local", "PORT": str(port),
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --workers {WORKERS}", "API_RATE_STAFF": "10000000/min",
    }  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=env, cwd=settings.BASE_DIR, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 60
            while not _lives(port):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"the server did not start: {log.read()[-2000:].decode(errors='replace')}")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _lives(port: int) -> bool:
    try:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        link.request("GET", "/health/live")
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


class Client:
    """A program that books by the API, with a token and a new request key each time."""

    def __init__(self, clinic: BenchClinic, port: int, secret: str, failures: Any) -> None:
        self.clinic, self.port, self.secret, self.failures = clinic, port, secret, failures
        self.people = dict(Patient.objects.values_list("pk", "public_id"))
        self.units = dict(Resource.objects.values_list("pk", "public_id"))

    def __call__(self, patient: int, place: Place) -> bool:
        body = json.dumps({
            "patient": str(self.people[patient]), "procedure": self.clinic.five.code, "site": str(self.clinic.site.public_id),
            "starts_at": place.starts_at.isoformat(), "side": "left",
            "resources": [str(self.units[row[0]]) for row in place.runs()],
        })  # fmt: skip
        headers = {
            "Authorization": f"Token {self.secret}", "Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json",
        }  # fmt: skip
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request("POST", PATH, body, headers)
            answer = link.getresponse()
            answer.read()
        finally:
            link.close()
        if answer.status >= 500:
            with self.failures.get_lock():
                self.failures.value += 1
        return answer.status == 201


def deadlocks() -> int:
    """Count the deadlocks that this database has seen."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot(), deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[1])


def lines(clinic: BenchClinic, *, count: int = 80, turns: int = 3) -> list[Line]:
    """Measure one and eight clients, ours and the plain view in turns."""
    jobs = jobs_of(clinic)
    secret = ApiToken.make_secret()
    ApiToken.objects.create(
        user=clinic.desk, label="bench", digest=ApiToken.digest_of(secret), hint=secret[-4:], created_at=clinic.at
    )
    failures, before = FORK.Value("i", 0), deadlocks()
    measured = []
    with (
        served() as ours,
        served("django.core.wsgi:get_wsgi_application()", settings_module="tests.bench.plain_settings") as plain,
    ):
        for port in (ours, plain):  # each worker's first requests load what later ones have
            in_company(lambda port=port: Client(clinic, port, secret, failures), [jobs(3) for _ in range(2 * WORKERS)])
        for clients in (1, 8):
            rates: list[tuple[float, float]] = []
            taken: tuple[list[float], list[float]] = ([], [])
            lost = 0
            for _ in range(turns):
                pair = []
                for port, kept in ((ours, taken[0]), (plain, taken[1])):
                    shares = [jobs(max(count // clients, 5)) for _ in range(clients)]
                    seconds, got = in_company(lambda port=port: Client(clinic, port, secret, failures), shares)
                    booked = sum(done for one in got for _, done in one)
                    lost += sum(len(share) for share in shares) - booked
                    kept += [ms for one in got for ms, _ in one]
                    pair.append(booked / seconds)
                rates.append((pair[0], pair[1]))
            measured.append((clients, *(statistics.median(side) for side in zip(*rates, strict=True)), taken, lost))
    dead, clashes = deadlocks() - before, overlaps()
    is_right = not clashes and not dead and not failures.value
    found = []
    for clients, rate, reference, (ours_ms, plain_ms), _ in measured:
        name = f"booking over HTTP, {clients} client{'s' if clients > 1 else ''}"
        found.append(line(name, rate, "/s", reference, least=0.6, is_right=is_right))
        found.append(line(f"{name}, p95", percentile(ours_ms, 0.95), "ms", percentile(plain_ms, 0.95), is_right=is_right))
    found.append(line("booking over HTTP: 5xx and deadlocks", failures.value + dead, "answers", is_right=is_right))
    return found
