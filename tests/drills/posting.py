"""A clinic of its own for the mail drills: worker and beat, a database to lay mails down in, a server that may fail."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from celery import Celery

import dev
from tests.bench.messages import CASES
from tests.drills.live import Live, connect, until
from tests.drills.receiving import Receiver
from tests.drills.starting import with_room

BROKER = 5  # Redis' database of these drills: another clinic's worker must not take their tasks
LAID = """
    INSERT INTO scheduling_message (public_id, appointment_id, patient_id, kind, step, version, state, planned_at, due_at,
                                    priority, attempts, calendar_sequence, reason, subject, text, created_at)
    SELECT gen_random_uuid(), id, patient_id, %(kind)s, %(step)s, 1, 'due', %(planned)s, clinic_now(),
           %(priority)s, 0, 0, '', '', '', clinic_now()
    FROM scheduling_appointment WHERE id > %(after)s AND status = 'booked'
    RETURNING public_id::text
"""


class Post(Live):
    """The clinic, the server that takes its mails, and what is counted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.receiver = Receiver()
        self.clock = folder / "clock"
        self.env |= {
            "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}/{BROKER}",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.receiver.port}",
            "MESSAGES_PER_SECOND": "200",
            "CLINIC_CLOCK": str(self.clock),
        }  # fmt: skip
        self._days = 0
        self.tasks = Celery(broker=self.env["REDIS_URL"], set_as_current=False)
        self.tasks.conf.broker_transport_options = {"socket_timeout": 5}

    def prepare(self) -> None:
        super().prepare()
        self.python("-m", "tests.drills.seed", "case", CLINIC_DATABASE_ROLE="owner")
        self.people = [row[0] for row in self.ask("SELECT id FROM patients_patient ORDER BY id")]

    def close(self) -> None:
        super().close()
        self.receiver.close()

    def begin(self, **more: str) -> None:
        """Start worker and beat anew, with a server that takes everything and an empty account."""
        self.stop("worker", "beat", "beat-2")
        self.ask("UPDATE scheduling_message SET state = 'withdrawn', reason = 'cancelled', done_at = now() WHERE state = 'due'")
        self.receiver.takes, self.receiver.faults = 0.0, {}
        self.receiver.copies.clear()
        self.receiver.said.clear()
        self.start("worker", "beat", **more)
        until(
            lambda: self.count("audit_heartbeat", "name = 'sweep' AND at > clinic_now() - interval '4 seconds'"),
            within=with_room(60), what=lambda: self.log("worker"),
        )  # fmt: skip

    def stop(self, *names: str) -> None:
        for name in {child.name for child in self.processes.children} & set(names):
            self.end(name)

    def move_clock(self, to: datetime | None) -> None:
        """Move the clinic's clock to an instant, or back to the true one; what runs reads it at its next look."""
        seconds = (to - datetime.now(UTC)).total_seconds() if to is not None else 0.0
        written = self.clock.with_suffix(".new")
        written.write_text(str(seconds), encoding="ascii")
        written.replace(self.clock)

    def nudge(self) -> None:
        """Ask for a sweep now, as the next beat would."""
        self.tasks.send_task("scheduling.tasks.sweep_messages")

    def lay(self, count: int, *, kind: str = "confirmation", priority: int = 1) -> set[str]:
        """Lay down one due message for each of so many new cases, and return their names."""
        last = self.ask("SELECT max(id) FROM scheduling_appointment")[0][0]
        at = self.ask("SELECT clinic_now()")[0][0]
        days = timedelta(days=self._days)  # a patient is in one place at a time
        self._days += count // len(self.people) + 1
        self.ask(CASES, {  # type: ignore[arg-type]
            "patients": self.people, "people": len(self.people), "at": at + days, "count": count,
        })  # fmt: skip
        is_planned = kind == "reminder"
        laid = self.ask(LAID, {  # type: ignore[arg-type]
            "kind": kind, "step": "reminder-1" if is_planned else "", "planned": at if is_planned else None, "priority": priority,
            "after": last,
        })  # fmt: skip
        return {row[0] for row in laid}

    def states(self, names: set[str]) -> dict[str, str]:
        rows = self.ask("SELECT public_id::text, state FROM scheduling_message WHERE public_id = ANY(%s::uuid[])", [list(names)])
        return dict(rows)

    def count_free(self) -> int:
        """Return how many mails wait for whoever comes, none of them in the hands of a worker, living or not."""
        return int(self.count("scheduling_message", "state = 'due' AND (lease_until IS NULL OR lease_until <= clinic_now())"))

    def wait_for(self, names: set[str], *, within: float, is_pressing: bool = False, is_supervised: bool = False) -> float:
        """Wait until none of these messages waits any more; `is_pressing` cuts the pauses between tries short.

        With `is_supervised` a worker that ends meanwhile is started again.
        """

        def is_done() -> bool:
            if is_supervised:
                self.mind_the_worker()
            if is_pressing:
                self.ask(
                    "UPDATE scheduling_message SET due_at = clinic_now() WHERE state = 'due' AND lease_token IS NULL"
                    " AND due_at > clinic_now()"
                )
                self.nudge()
                time.sleep(0.5)
            return "due" not in self.states(names).values()

        try:
            return until(is_done, within=within, what="all mails are done with")
        except AssertionError as error:
            waiting = self.ask(
                "SELECT state, reason, attempts, lease_until > clinic_now(), count(*), max(clinic_now() - due_at)::text"
                " FROM scheduling_message WHERE public_id = ANY(%s::uuid[]) GROUP BY 1, 2, 3, 4", [list(names)],
            )  # fmt: skip
            lately = sum(copy.at > time.monotonic() - 20 for copy in self.receiver.copies)
            raise AssertionError(f"{error}\n{waiting}\n{lately} in the last 20 s\n{self.log('worker')}") from error

    def account(self, names: set[str]) -> tuple[dict[str, int], set[str]]:
        """Check that what arrived is what the clinic says it sent, and return what went wrong by kind, and what came twice."""
        states, found = self.states(names), self.receiver.by_message()
        wrong = {
            "missing": sum(state == "sent" and name not in found for name, state in states.items()),
            # Failed at last is also what a mail may be whose first copy was kept and whose answer was lost.
            "never to be sent": sum(
                name in found
                and (state in {"withdrawn", "skipped"} or (state == "failed" and any(c.was_told for c in found[name])))
                for name, state in states.items()
            ),
            "still waiting": sum(state == "due" for state in states.values()),
            "of nobody": len(found.keys() - self.states(set(found)).keys()),
        }
        return {kind: count for kind, count in wrong.items() if count}, {
            name for name, copies in found.items() if len(copies) > 1
        }

    def copy_database(self, name: str) -> int:
        """Stop the programs, copy the database as a back-up would, and return how many mails were due in it."""
        self.stop("web", "worker", "beat")
        due = self.count("scheduling_message", "state = 'due' AND due_at <= clinic_now()")
        with contextlib.closing(connect(self.owner)) as link, link.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {self.name}")
        return due

    def use(self, name: str) -> None:
        """Stop the programs and put another database in the place of this one."""
        self.stop("web", "worker", "beat")
        for key in ("DATABASE_URL", "DATABASE_OWNER_URL"):
            self.env[key] = self.env[key].replace(f"/{self.name}", f"/{name}")
        self.name = name

    def kill(self, *, whole: bool) -> float:
        """End the worker, or one of the processes that send for it, as a crash does; return when."""
        parent = self.child("worker")
        if whole:
            at = time.monotonic()
            os.killpg(parent.process.pid, signal.SIGKILL)
            parent.process.wait(10)
            self.processes.forget(parent)
            self.start("worker")
            return at
        pool: list[str] = []

        def has_processes() -> bool:
            self.mind_the_worker()
            parent = self.child("worker").process.pid
            with contextlib.suppress(OSError):  # it ends just now
                pool[:] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            return bool(pool)

        until(has_processes, within=with_room(60), what="the worker has processes again")
        at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(int(self.receiver.chance.choice(pool)), signal.SIGKILL)
        return at

    def mind_the_worker(self) -> None:
        """Start the worker again if it has ended, as its supervisor does: Celery gives up on a pool that dies at its birth."""
        parent = self.child("worker")
        if parent.process.poll() is not None:
            self.processes.forget(parent)
            self.start("worker")

    def second_beat(self) -> None:
        command = next(command for name, command in dev.procfile() if name == "beat")
        self.processes.start(
            "beat-2", [sys.executable, *command[1:]], env=self.env, log=self.home / "logs" / "beat-2.log", patience=30
        )

    def answer_of(self, case: dict[str, Any], act: str, body: bytes, key: str) -> Any:
        headers = {
            "Authorization": f"Token {self.clinic['token']}", "Content-Type": "application/json", "Idempotency-Key": key,
            "If-Match": f'"{case["version"]}"',
        }  # fmt: skip
        return self.ask_web("POST", f"/api/v1/appointments/{case['id']}/{act}/", body, headers)
