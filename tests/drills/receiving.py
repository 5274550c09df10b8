"""A mail server that fails at any stage of a conversation, as it is told to, and keeps account of what it took."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

STAGES = ("greet", "ehlo", "mail", "rcpt", "data", "middle", "dot")
CLOSE, KEEP = "close", "keep and close"  # hang up instead of an answer; the second keeps the mail before
LONGEST = 60.0  # seconds that a conversation may be silent


@dataclass(frozen=True)
class Copy:
    """A mail that was taken: which message, when, and whether the sender was told."""

    message: str
    at: float
    was_told: bool
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=default)  # type: ignore[return-value]  # what this policy makes


@dataclass(eq=False)
class Receiver:
    """Takes mails at a port of its own. ``faults`` says with which chance a stage is answered how."""

    takes: float = 0.0
    faults: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(11))
    copies: list[Copy] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def by_message(self) -> dict[str, list[Copy]]:
        """Return the copies of each message in the order in which they came."""
        found = defaultdict(list)
        with self._guard:
            for copy in self.copies:
                found[copy.message].append(copy)
        return dict(found)

    def _listen(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _answer(self, stage: str, fine: str = "") -> str:
        """Return what is said at a stage: what is due, an error, or nothing because the line is cut."""
        with self._guard:
            lot = self.chance.random()
            for answer, share in self.faults.get(stage, {}).items():
                lot -= share
                if lot < 0:
                    self.said[f"{stage}: {answer}"] += 1
                    return answer
        return fine

    def _talk(self, link: socket.socket) -> None:
        link.settimeout(LONGEST)
        with link, contextlib.suppress(OSError):
            self._converse(link)
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _converse(self, link: socket.socket) -> None:
        said = link.makefile("rb")

        def say(answer: str) -> bool:
            """Say it; False when the conversation is over."""
            if answer in {CLOSE, KEEP}:
                return False
            link.sendall(answer.encode() + b"\r\n")
            return not answer.startswith("421")

        if not say(self._answer("greet", "220 drill")):
            return
        while line := said.readline():
            verb = line[:4].upper()
            if verb in {b"EHLO", b"HELO"}:
                go_on = say(self._answer("ehlo", "250 SMTPUTF8"))
            elif verb in {b"MAIL", b"RCPT"}:
                go_on = say(self._answer(verb.decode().lower(), "250 ok"))
            elif verb == b"DATA":
                go_on = self._take(link, said, say)
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                go_on = say("250 ok")
            if not go_on:
                return

    def _take(self, link: socket.socket, said: object, say: object) -> bool:
        answer = self._answer("data", "354 go on")
        if not say(answer) or not answer.startswith("354"):  # type: ignore[operator]
            return answer not in {CLOSE, KEEP} and not answer.startswith("421")
        if self._answer("middle"):
            link.recv(400)
            return False
        lines: list[bytes] = []
        while (line := said.readline()) != b".\r\n":  # type: ignore[attr-defined]
            if not line:
                return False  # the sender died in the middle: nothing is kept
            lines.append(line[1:] if line.startswith(b"..") else line)
        time.sleep(self.takes)
        answer = self._answer("dot", "250 kept")
        if answer.startswith("250") or answer == KEEP:
            raw = b"".join(lines)
            name = str(message_from_bytes(raw, policy=default)["Message-ID"]).strip().strip("<>").partition("@")[0]
            with self._guard:
                self.copies.append(Copy(name, time.monotonic(), answer != KEEP, raw))
        return bool(say(answer))  # type: ignore[operator]
