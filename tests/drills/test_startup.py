"""`dev.py run` on real servers: it starts, says so, stops in order, and leaves nothing, whatever ends it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
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
pytestmark = pytest.mark.enable_socket


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


started: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_left() -> Iterator[None]:
    yield
    while started:
        process = started.pop()
        if process.poll() is None:
            process.terminate()
            process.wait(40)


class Run:
    """One `dev.py run` with a data folder and a port of its own; what it says goes to a file."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port, self.started = home, port, time.monotonic()
        env = {name: value for name, value in os.environ.items() if name not in SERVERS}
        env |= {"CLINIC_HOME": str(home), "PORT": str(port)}
        self.output = home.parent / f"said-{port}-{time.monotonic_ns()}"
        with self.output.open("w") as output:
            self.process = subprocess.Popen([sys.executable, str(ROOT / "dev.py"), "run"], env=env, stdout=output, stderr=output)
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
        return self.process.wait(40)


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


def with_room(seconds: float) -> float:
    """Stretch a promise made for a machine with room by how much more than its cores is asked of this one."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def forget(home: Path) -> None:
    """Remove what root's clinic keeps outside its data folder."""
    for note in Path("/var/lib/pain-clinic").glob("*/home") if os.geteuid() == 0 else ():
        if note.read_text() == str(home):
            shutil.rmtree(note.parent)


def said_when_refused(**more: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if name not in SERVERS} | more
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "run"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr.strip()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data folder whose first start has been made, empty of the demo so that the starts below are quick."""
    with tempfile.TemporaryDirectory(prefix="clinic-drill-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        env = {name: value for name, value in os.environ.items() if name not in SERVERS} | {"CLINIC_HOME": str(path)}
        done = subprocess.run(
            [sys.executable, str(ROOT / "dev.py"), "manage", "prepare"],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (path / "demo-is-due").unlink()
        yield path
        forget(path)


def live(port: int) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    link.request("GET", "/health/live")
    return link.getresponse().status


def cluster_of(home: Path) -> Path:
    """Return where the cluster of a clinic is: beside the clinic, or, for root, with its service account."""
    notes = Path("/var/lib/pain-clinic").glob("*/home") if os.geteuid() == 0 else ()
    return next((note.parent for note in notes if note.read_text() == str(home)), home) / "pg" / "data"


def test_ctrl_c_stops_a_serving_clinic_that_refused_a_second_start(home: Path) -> None:
    run = Run(home, free_port())
    took = run.wait_until_ready()
    refusal = said_when_refused(CLINIC_HOME=str(home), PORT=str(free_port()))
    family = run.family()

    assert took < with_room(15), f"a later start took {took:.1f} s"
    assert live(run.port) == 200
    assert len(run.children()) == 6  # database, Redis, mailbox, web, worker, beat
    busy = f"Pain clinic already runs from {home} (process {run.process.pid})"
    assert refusal == (1, f"{busy}: stop it first, or choose another CLINIC_HOME and PORT.")
    assert run.end(signal.SIGINT) == 130
    assert all_gone(family, within=with_room(1))
    assert not (home / "servers.json").exists()


# A container's restart and a full disk leave such files: a pid that is now another's, and an empty one.
@pytest.mark.parametrize(
    ("number", "stale"), [(signal.SIGTERM, f"{os.getpid()}\n"), (signal.SIGHUP, "")], ids=["terminated", "hung up"]
)
def test_run_starts_over_stale_files_and_leaves_nothing(home: Path, number: int, stale: str) -> None:
    (cluster_of(home) / "postmaster.pid").write_text(stale)
    (home / "servers.json").write_text(f'{{"pid": {os.getpid()}, "kind": "run"}}' if stale else "{not json")
    (home / "processes.json").write_text(f'{{"{os.getpid()}": "1"}}')
    run = Run(home, free_port())
    run.wait_until_ready()
    family = run.family()

    assert run.end(number) == 0
    assert all_gone(family, within=with_room(1))


def test_a_killed_run_leaves_nothing_and_the_next_one_ends_whole_when_one_program_dies(home: Path) -> None:
    run = Run(home, free_port())
    run.wait_until_ready()
    family = run.family()
    run.end(signal.SIGKILL)
    again = Run(home, run.port)
    gone = all_gone(family, within=with_room(3))
    again.wait_until_ready()
    second = again.family()
    beat = next(pid for pid in again.children() if b"\0beat\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(beat, signal.SIGKILL)

    assert gone, f"left alive: {alive(family)}"
    assert again.process.wait(40) == 1
    assert any(line.startswith("The beat process ended by itself") for line in again.said())
    assert all_gone(second, within=with_room(1))


def test_run_names_the_remedy_when_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = said_when_refused(PORT=str(port))

    assert (code, said) == (
        1,
        f"Port {port} is taken: stop what uses it, or choose another, `PORT={port + 1} python3 dev.py run`.",
    )


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_run_refuses_a_port_that_is_none(port: str) -> None:
    assert said_when_refused(PORT=port) == (1, f"PORT must be a number from 1 to 65535, not {port!r}.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_run_names_the_remedy_when_the_data_folder_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    code, said = said_when_refused(CLINIC_HOME=str(tmp_path), PORT=str(free_port()))

    assert (code, said) == (
        1,
        f"{tmp_path} cannot be written by this account: choose a data folder with CLINIC_HOME=/some/folder.",
    )


def test_a_folder_too_deep_for_sockets_still_serves_and_keeps_its_permissions(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "home with a space"
    deep.mkdir(parents=True, mode=0o755)
    deep.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name not in SERVERS} | {"CLINIC_HOME": str(deep)}
    parents = [deep, *deep.parents]
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in parents]
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "manage", "help"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    forget(deep)

    assert done.returncode == 0, done.stderr
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in parents] == before
    assert stat.S_IMODE((deep / "logs").stat().st_mode) == 0o700
