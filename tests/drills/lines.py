"""Lines between a program and its server that can be cut, stalled, reset, or made to lose one answer."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

Address = str | tuple[str, int]  # a socket's path, or host and port
MOST = 65536


def _socket_for(address: Address) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)


@dataclass(eq=False)
class _Call:
    """One connection: the client's end and the server's."""

    client: socket.socket
    server: socket.socket | None = None

    def hang_up(self, *, hard: bool) -> None:
        for end in (self.client, self.server):
            if end is None:
                continue
            if hard and end.family == socket.AF_INET:  # RST instead of FIN
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass(eq=False)
class Line:
    """Listen at one address and pass everything on to another, until told otherwise."""

    to: Address
    at: Address = ("127.0.0.1", 0)
    carried: int = 0
    is_stalled: bool = False
    _losing: bytes = b""
    lost: threading.Event = field(default_factory=threading.Event)
    _calls: set[_Call] = field(default_factory=set)
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _listener: socket.socket | None = None

    def __post_init__(self) -> None:
        self.mend()

    @property
    def port(self) -> int:
        assert not isinstance(self.at, str)
        return self.at[1]

    # --- what is done to a line --------------------------------------------------------------------------------------
    def mend(self) -> None:
        """Listen again and let everything through."""
        self.is_stalled, self._losing = False, b""
        if self._listener is None:
            listener = _socket_for(self.at)
            if isinstance(self.at, str):
                with contextlib.suppress(FileNotFoundError):
                    Path(self.at).unlink()
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self.at)
            listener.listen(128)
            if not isinstance(self.at, str):
                self.at = listener.getsockname()
            self._listener = listener
            threading.Thread(target=self._answer, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        if isinstance(self.at, str):
            with contextlib.suppress(FileNotFoundError):
                Path(self.at).unlink()
        self.reset()

    def stall(self) -> None:
        """Take new connections and everything that is said, and pass nothing on, in either direction."""
        self.is_stalled = True

    def reset(self) -> None:
        """Break every connection that stands; new ones are welcome."""
        with self._guard:
            calls, self._calls = self._calls, set()
        for call in calls:
            call.hang_up(hard=True)

    def lose_answer_to(self, said: bytes) -> None:
        """Pass on the next message that contains this, wait for the server's answer, and break the connection instead."""
        self.lost.clear()
        self._losing = said

    # --- how it works ------------------------------------------------------------------------------------------------
    def _answer(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            call = _Call(client)
            with self._guard:
                self._calls.add(call)
            threading.Thread(target=self._carry, args=(call,), daemon=True).start()

    def _carry(self, call: _Call) -> None:
        try:
            self._wait_while_stalled(call)
            server = _socket_for(self.to)
            call.server = server
            server.connect(self.to)
            with self._guard:
                if call not in self._calls:  # reset meanwhile
                    return
            is_losing = False
            while True:
                ready, _, _ = select.select([call.client, server], [], [], 1)
                self._wait_while_stalled(call)
                for end in ready:
                    said = end.recv(MOST)
                    if not said:
                        return
                    if end is call.client and self._losing and self._losing in said:
                        is_losing, self._losing = True, b""
                    elif end is server and is_losing:
                        call.hang_up(hard=True)
                        self.lost.set()
                        return
                    (server if end is call.client else call.client).sendall(said)
                    self.carried += len(said)
        except (OSError, ValueError):  # hung up by either side or by us
            pass
        finally:
            with self._guard:
                self._calls.discard(call)
            call.hang_up(hard=False)

    def _wait_while_stalled(self, call: _Call) -> None:
        while self.is_stalled:
            with self._guard:
                if call not in self._calls:
                    raise OSError("hung up")
            time.sleep(0.02)
