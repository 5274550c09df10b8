"""The mailbox to which undeliverable mails come back: an IMAP folder or a Maildir, named by the environment."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from scheduling.delivery_reports import LARGEST

PATIENCE = 10.0  # seconds for any answer of the server
MOST = 100  # mails of one visit
IMAP_PORT, IMAPS_PORT = 143, 993


class BoxTrouble(Exception):
    """The mailbox cannot be read now; nothing in it is lost."""


@dataclass(frozen=True, slots=True)
class Found:
    """One unread mail and the name by which its box knows it."""

    name: str
    raw: bytes


class Box(Protocol):
    """A mailbox: what is unread in it, and a mark for what was dealt with. Nothing is ever deleted."""

    def unread(self) -> Iterator[Found]:
        """Return unread mails, at most `MOST`."""

    def mark_read(self, found: Found) -> None:
        """Leave a mail in its place as read."""


@contextmanager
def opened(address: str) -> Iterator[Box]:
    """Open the mailbox of an address such as `imaps://user:password@host/INBOX` or `maildir:///var/mail/clinic`.

    Raises:
        BoxTrouble: it cannot be reached, or the address is none.
    """
    parts = urlsplit(address)
    if parts.scheme == "maildir":
        yield _Maildir(Path(unquote(parts.path)))
        return
    if parts.scheme not in {"imap", "imaps"} or not parts.hostname:
        raise BoxTrouble("BOUNCE_MAILBOX begins with imaps://, imap:// or maildir://")
    try:
        with _greeted(parts) as server:
            server.login(unquote(parts.username or ""), unquote(parts.password or ""))
            server.select(f'"{unquote(parts.path.strip("/")) or "INBOX"}"')
            yield _Imap(server)
    except (imaplib.IMAP4.error, OSError) as error:
        raise BoxTrouble(type(error).__name__) from error


def _greeted(parts: SplitResult) -> imaplib.IMAP4:
    host = parts.hostname or ""
    if parts.scheme == "imaps":
        return imaplib.IMAP4_SSL(host, parts.port or IMAPS_PORT, timeout=PATIENCE)
    return imaplib.IMAP4(host, parts.port or IMAP_PORT, timeout=PATIENCE)


class _Maildir:
    """A folder of mails: `new` holds the unread ones, and reading moves them to `cur`."""

    def __init__(self, path: Path) -> None:
        if not (path / "new").is_dir():
            raise BoxTrouble("there is no Maildir")
        self._new = path / "new"

    def unread(self) -> Iterator[Found]:
        for path in sorted(self._new.iterdir())[:MOST]:
            with suppress(OSError):
                yield Found(path.name, path.read_bytes()[: LARGEST + 1])

    def mark_read(self, found: Found) -> None:
        with suppress(OSError):  # another worker was faster
            (self._new / found.name).rename(self._new.parent / "cur" / f"{found.name.partition(':')[0]}:2,S")


class _Imap:
    """A folder on a server; reading sets its `Seen` flag."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def unread(self) -> Iterator[Found]:
        _answer, numbers = self._server.uid("search", None, "UNSEEN")
        for number in (numbers[0] or b"").split()[:MOST]:
            name = number.decode("ascii")
            _answer, parts = self._server.uid("fetch", name, f"(BODY.PEEK[]<0.{LARGEST + 1}>)")
            raw = next((part[1] for part in parts if isinstance(part, tuple)), None)
            if raw is not None:
                yield Found(name, raw)

    def mark_read(self, found: Found) -> None:
        self._server.uid("store", found.name, "+FLAGS", r"(\Seen)")
