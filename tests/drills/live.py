"""A clinic of real programs for the drills: the Procfile's web, worker and beat, with a line to each of their servers."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import psycopg2

import dev
from tests.drills.lines import Address, Line
from tests.drills.starting import ROOT, environment, free_port, with_room
from tests.factories import NEW_YORK, PASSWORD, local

LONGEST = 1500  # seconds that pytest gives one drill, the first start of the clinic included; the drills' own limits are tight
FULL = bool(os.environ.get("CLINIC_FULL"))
WORKERS = 2


def until(is_so: Callable[[], Any], *, within: float, what: str | Callable[[], str]) -> float:
    """Wait until something is so, and return how long that took; `what` may be asked only when it is not."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began >= within:
            raise AssertionError(f"not within {within:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when the connection ended without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Live:
    """Programs, their lines, and what a client does with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.name = f"drill_{uuid.uuid4().hex[:8]}"
        self.owner = dict(os.environ)["DATABASE_OWNER_URL"]
        self.processes = dev.Processes()
        self.port = free_port()
        self.database = Line(*self._database())
        self.redis = Line(self._redis())
        self.mail = Line(self._mail())
        self.env = self._environment()
        self._slots = self._each_slot()
        self._people = itertools.count()
        self._whole_days = itertools.count()
        self._alone = threading.Lock()

    # --- where things are --------------------------------------------------------------------------------------------
    def _database(self) -> tuple[Address, Address]:
        parts = urlsplit(os.environ["DATABASE_URL"])
        host = unquote(parts.netloc.rpartition("@")[2])
        if host.startswith("/"):
            return f"{host}/.s.PGSQL.5432", str(self.folder / ".s.PGSQL.5432")
        return (parts.hostname or "127.0.0.1", parts.port or 5432), ("127.0.0.1", 0)

    @staticmethod
    def _redis() -> Address:
        parts = urlsplit(os.environ["REDIS_URL"])
        return parts.path if "socket" in parts.scheme else (parts.hostname or "127.0.0.1", parts.port or 6379)

    @staticmethod
    def _mail() -> Address:
        parts = urlsplit(os.environ["EMAIL_URL"])
        return parts.hostname or "127.0.0.1", parts.port or 25

    @property
    def mailbox(self) -> Path:
        """Return where the test servers keep every mail."""
        return Path(os.environ["CLINIC_HOME"]) / "mailbox"

    def _environment(self) -> dict[str, str]:
        parts = urlsplit(os.environ["DATABASE_URL"])
        at = self.database.at
        host = quote(str(self.folder), safe="") if isinstance(at, str) else f"{at[0]}:{at[1]}"
        user = parts.netloc.rpartition("@")[0]
        return environment() | {
            "CLINIC_MODE": "local",
            "CLINIC_HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "pain_clinic.settings",
            "DATABASE_URL": f"postgres://{user}@{host}/{self.name}",
            "DATABASE_OWNER_URL": self._direct(self.owner),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}/0",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mail.port}",
            "PORT": str(self.port),
            "BASE_URL": f"http://127.0.0.1:{self.port}",
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{self.port} --workers {WORKERS}",
            "API_RATE_STAFF": "1000000/min",
            "MESSAGES_PER_SECOND": "10",
            "QUIET_HOURS_BEGIN": "0",  # with the end: none, so that drills hold at every hour
            "QUIET_HOURS_END": "0",
        }

    def _direct(self, url: str, name: str = "") -> str:
        parts = urlsplit(url)
        return parts._replace(path=f"/{name or self.name}").geturl()

    # --- beginning and end -------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Make the database, from the schema that `dev.py test` has migrated for all layers if it has, and fill it."""
        template = os.environ.get("TEST_DATABASE_TEMPLATE") or "template1"
        with contextlib.closing(connect(self.owner)) as link, link.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {self.name} TEMPLATE {template}")
        self.python("manage.py", "prepare")
        seed = self.python("-m", "tests.drills.seed", CLINIC_DATABASE_ROLE="owner")
        self.clinic: dict[str, Any] = json.loads(seed)

    def python(self, *arguments: str, **more: str) -> str:
        """Run Python in the clinic's environment and return what it says."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.env | more,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=with_room(120),  # the schema alone takes a minute when eight others test beside us
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def start(self, *names: str, **more: str) -> None:
        """Start programs of the Procfile, web and worker until they answer."""
        for name, command in dev.procfile():
            if name in names:
                program = [sys.executable, *command[1:]]
                self.processes.start(name, program, env=self.env | more, log=self.home / "logs" / f"{name}.log", patience=30)
        if "web" in names:
            until(lambda: self.get("/health/live").status == 200, within=with_room(30), what=lambda: self.log("web"))

    def child(self, name: str) -> dev.Child:
        return next(child for child in self.processes.children if child.name == name)

    def end(self, name: str, number: int = signal.SIGTERM, *, within: float = 30) -> float:
        """Signal one program, wait for its end, and return how long that took."""
        child, began = self.child(name), time.monotonic()
        child.process.send_signal(number)
        child.process.wait(within)
        took = time.monotonic() - began
        self.processes.forget(child)
        return took

    def workers(self) -> set[int]:
        """Return the processes under the web server's own."""
        parent = self.child("web").process.pid
        return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}

    def log(self, name: str) -> str:
        return dev.tail(self.home / "logs" / f"{name}.log", 30)

    def close(self) -> None:
        """End every program and every line, and drop the database."""
        for line in (self.database, self.redis, self.mail):
            line.mend()
        self.processes.stop()
        for line in (self.database, self.redis, self.mail):
            line.cut()
        for _ in range(50):
            with contextlib.suppress(psycopg2.errors.ObjectInUse), contextlib.closing(connect(self.owner)) as link:
                link.cursor().execute(f"DROP DATABASE IF EXISTS {self.name}")
                return
            time.sleep(0.1)

    # --- the database, past the line ---------------------------------------------------------------------------------
    def ask(self, statement: str, values: list[Any] | None = None, *, as_app: bool = False) -> list[tuple[Any, ...]]:
        """Ask the drill's own database, as the schema's owner or as the application."""
        with contextlib.closing(self.link(as_app=as_app)) as link, link.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def link(self, *, as_app: bool = False) -> Any:
        return connect(self._direct(os.environ["DATABASE_URL"] if as_app else self.owner))

    def count(self, table: str, where: str = "true") -> int:
        return int(self.ask(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def of_key(self, key: str) -> tuple[int, int, int, int]:
        """Return how many cases, audit events and messages a note's bookings have, and how many cases lack a part."""
        cases = self.count("scheduling_appointment", f"note = '{key}'")
        ids = f"(SELECT id FROM scheduling_appointment WHERE note = '{key}')"
        public = f"(SELECT public_id::text FROM scheduling_appointment WHERE note = '{key}')"
        audits = self.count("audit_auditevent", f"act = 'scheduling.book' AND outcome = 'done' AND subject_id::text IN {public}")
        messages = self.count("scheduling_message", f"kind = 'confirmation' AND appointment_id IN {ids}")
        taken = self.count("scheduling_allocation", f"released_at IS NULL AND appointment_id IN {ids}")
        return cases, audits, messages, taken

    def orphans(self) -> int:
        """Count what a booking leaves when it is torn: a case without both units, without its message or without its event."""
        return self.count(
            "scheduling_appointment a",
            "status <> 'cancelled' AND (2 <> (SELECT count(*) FROM scheduling_allocation x"
            " WHERE x.appointment_id = a.id AND x.released_at IS NULL)"
            " OR NOT EXISTS (SELECT 1 FROM scheduling_message m WHERE m.appointment_id = a.id)"
            " OR NOT EXISTS (SELECT 1 FROM audit_auditevent e WHERE e.act = 'scheduling.book' AND e.outcome = 'done'"
            " AND e.subject_id::text = a.public_id::text))",
        ) + abs(
            self.count("audit_auditevent", "act = 'scheduling.book' AND outcome = 'done'") - self.count("scheduling_appointment")
        )

    # --- the client --------------------------------------------------------------------------------------------------
    def ask_web(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        port: int = 0,
        timeout: float = 60,
    ) -> Answer:
        began = time.monotonic()
        link = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            link.request(method, path, body, headers or {})
            response = link.getresponse()
            found = response.read()
            return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, found, time.monotonic() - began)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, {}, repr(error).encode(), time.monotonic() - began)
        finally:
            link.close()

    def get(self, path: str, **more: Any) -> Answer:
        return self.ask_web("GET", path, **more)

    def _each_slot(self) -> Iterator[tuple[datetime, list[str]]]:
        first = datetime.now(NEW_YORK).date() + timedelta(days=3)
        for number in range(300 * 10):
            day, hour = first + timedelta(days=number // 10), 2 + 2 * (number % 10)
            for units in self.clinic["units"]:
                yield local(day, f"{hour}:00"), units

    def wanted(self, **values: Any) -> dict[str, Any]:
        """Return the body of a booking at a place that nobody has asked for yet."""
        with self._alone:  # clients ask side by side; a day has as many places as there are people: nobody comes twice
            starts_at, units = next(self._slots)
            return self._body(starts_at, units) | values

    def _body(self, starts_at: datetime, units: list[str]) -> dict[str, Any]:
        people = self.clinic["patients"]
        return {
            "patient": people[next(self._people) % len(people)],
            "procedure": self.clinic["procedure"],
            "side": "right",
            "site": self.clinic["site"],
            "starts_at": starts_at.isoformat(),
            "resources": units,
        }

    def whole_hour(self) -> dict[str, Any]:
        """Return the body of a booking on a day on which nobody has been booked, nor will be by `wanted` or by this again."""
        day = datetime.now(NEW_YORK).date() + timedelta(days=310 + next(self._whole_days))
        return self._body(local(day, "10:00"), self.clinic["units"][0])

    def book(
        self, body: dict[str, Any] | None = None, *, key: str = "", port: int = 0, token: str = "", timeout: float = 60
    ) -> Answer:
        """Book through the API; without a body, anywhere."""
        key = key or uuid.uuid4().hex
        given = json.dumps(body or self.wanted()).encode()
        headers = {
            "Authorization": f"Token {token or self.clinic['token']}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        return self.ask_web("POST", "/api/v1/appointments/", given, headers, port=port, timeout=timeout)

    def hold(self) -> Answer:
        """Hold a place that nobody has asked for yet."""
        headers = {"Authorization": f"Token {self.clinic['token']}", "Content-Type": "application/json"}
        return self.ask_web("POST", "/api/v1/holds/", json.dumps(self.wanted()).encode(), headers)

    def sign_in(self, username: str = "desk", password: str = PASSWORD) -> Browser:
        """Sign in as a person does."""
        browser = Browser(self)
        page = browser.get("/sign-in/")
        assert page.status == 200, page
        browser.post("/sign-in/", {"login": username, "password": password})
        return browser


class Browser:
    """A client with cookies and the forms' token."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.cookies: dict[str, str] = {}
        self.token = ""
        self.last: Answer | None = None

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, fields: dict[str, Any]) -> Answer:
        return self._ask("POST", path, urlencode({"csrfmiddlewaretoken": self.token, **fields}, doseq=True).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{self.live.port}"}
        link = http.client.HTTPConnection("127.0.0.1", self.live.port, timeout=60)
        began = time.monotonic()
        link.request(method, path, body, headers)
        response = link.getresponse()
        found = response.read()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                pair = value.split(";")[0].split("=", 1)
                self.cookies[pair[0]] = pair[1]
        match = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', found)
        if match:
            self.token = match[1].decode()
        link.close()
        self.last = Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, found, time.monotonic() - began)
        return self.last


def connect(url: str) -> Any:
    """Connect straight to a server, each statement its own transaction."""
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    host = unquote(parts.netloc.rpartition("@")[2])
    named, port = (host, "5432") if host.startswith("/") else (parts.hostname or "", str(parts.port or 5432))
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    link = psycopg2.connect(
        host=named, port=port, user=unquote(user), password=unquote(password) or None, dbname=parts.path.lstrip("/"), **options
    )
    link.autocommit = True
    return link
