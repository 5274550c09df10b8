"""`dev.py run` on real servers: it starts, says so, stops in order, and leaves nothing, whatever ends it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.live import LONGEST
from tests.drills.starting import (
    ROOT,
    Run,
    alive,
    all_gone,
    end_what_a_failed_test_left,
    environment,
    forget,
    free_port,
    said_when_refused,
    with_room,
)

__all__ = ["end_what_a_failed_test_left"]  # an autouse fixture

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data folder whose first start has been made, empty of the demo so that the starts below are quick."""
    with tempfile.TemporaryDirectory(prefix="clinic-drill-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        env = environment(CLINIC_HOME=str(path))
        done = subprocess.run(
            [sys.executable, str(ROOT / "dev.py"), "manage", "prepare"],
            env=env,
            capture_output=True,
            text=True,
            timeout=with_room(120),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (path / "demo-is-due").unlink()
        yield path
        forget(path)


def live(port: int) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
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
    assert again.process.wait(with_room(40)) == 1
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


def test_a_folder_too_deep_for_sockets_still_serves_and_keeps_its_permissions(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "home with a space"
    deep.mkdir(parents=True, mode=0o755)
    deep.chmod(0o755)
    env = environment(CLINIC_HOME=str(deep))
    parents = [deep, *deep.parents]
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in parents]
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "manage", "help"],
        env=env,
        capture_output=True,
        text=True,
        timeout=with_room(120),
        check=False,
    )
    forget(deep)

    assert done.returncode == 0, done.stderr
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in parents] == before
    assert stat.S_IMODE((deep / "logs").stat().st_mode) == 0o700
