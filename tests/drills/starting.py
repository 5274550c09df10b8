"""Start `dev.py` as a person does, with a data folder and a port of its own, and look at what it leaves."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVERS = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "CLINIC_DATABASE_ROLE",
    "DJANGO_SETTINGS_MODULE",
    "GUNICORN_CMD_ARGS",
    "BASE_URL",
    "CLINIC_HOME",
    "PORT",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


started: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def end_what_a_failed_test_left() -> Iterator[None]:
    """End what a drill started and could not end itself; a module that starts something imports this."""
    yield
    while started:
        process = started.pop()
        if process.poll() is None:
            process.terminate()
            process.wait(with_room(40))


def environment(**more: str) -> dict[str, str]:
    """Return this environment without what names servers, and with what is given."""
    return {name: value for name, value in os.environ.items() if name not in SERVERS} | more


class Run:
    """One `dev.py run` with a data folder and a port of its own; what it says goes to a file."""

    def __init__(self, home: Path, port: int, *, checkout: Path = ROOT, **more: str) -> None:
        self.home, self.port, self.started = home, port, time.monotonic()
        env = environment(CLINIC_HOME=str(home), PORT=str(port), **more)
        self.output = home.parent / f"said-{port}-{time.monotonic_ns()}"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(checkout / "dev.py"), "run"], env=env, stdout=output, stderr=output
            )
        started.append(self.process)

    def said(self) -> list[str]:
        return self.output.read_text().splitlines()

    def wait_until_ready(self) -> float:
        """Return how long the ready line took."""
        ready = f"Pain clinic is ready at http://127.0.0.1:{self.port}"
        while ready not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - self.started < with_room(60), self.said()
            time.sleep(0.02)
        return time.monotonic() - self.started

    def children(self) -> set[int]:
        return {int(pid) for pid in json.loads((self.home / "processes.json").read_text())}

    def family(self) -> set[int]:
        """Return every process of every supervised group."""
        groups, found = self.children(), set()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                pid = int(entry.name)
                if os.getpgid(pid) in groups or os.getsid(pid) in groups:
                    found.add(pid)
            except ProcessLookupError:
                continue
        return found

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(with_room(40))


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def all_gone(pids: set[int], *, within: float) -> bool:
    until = time.monotonic() + within
    while alive(pids) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pids)


ROOM = 3.0


def with_room(seconds: float) -> float:
    """Return three times what a promise allows, or more where more than its cores is asked of this machine.

    A drill tells what comes to an end from what never does, or comes a whole order later; it prints the seconds it saw. How quick
    a thing is, `dev.py bench` says by a ratio to a bare reference: seconds alone would judge the machine and who else is on it.
    """
    return seconds * max(ROOM, os.getloadavg()[0] / (os.cpu_count() or 1))


def forget(home: Path) -> None:
    """Remove what root's clinic keeps outside its data folder."""
    for note in Path("/var/lib/pain-clinic").glob("*/home") if os.geteuid() == 0 else ():
        if note.read_text() == str(home):
            shutil.rmtree(note.parent)


def said_when_refused(*, checkout: Path = ROOT, python: str = sys.executable, user: str = "", **more: str) -> tuple[int, str]:
    """Return the status and the words of a `dev.py run` that is expected to refuse, run as another account if one is named."""
    account = pwd.getpwnam(user) if user else None
    done = subprocess.run(
        [python, str(checkout / "dev.py"), "run"],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=with_room(120),
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    return done.returncode, done.stderr.strip()
