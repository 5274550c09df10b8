"""A bounce mailbox behind IMAP is read once, and trouble with it is nothing more."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from scheduling import bounces
from scheduling.models import Message
from tests.database.scheduling.bounces.reports import returned
from tests.factories import NOW


class ImapServer(socketserver.StreamRequestHandler):
    """As much of IMAP as reading a bounce mailbox takes."""

    mails: dict[str, bytes]
    seen: set[str]

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, _, rest = line.decode().strip().partition(" ")
            word = rest.upper()
            if word.startswith("CAPABILITY"):
                self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif word.startswith("LOGIN") and "right" not in rest:
                self.wfile.write(f"{tag} NO wrong\r\n".encode())
                continue
            elif word.startswith("UID SEARCH"):
                self.wfile.write(f"* SEARCH {' '.join(sorted(set(self.mails) - self.seen))}\r\n".encode())
            elif word.startswith("UID FETCH"):
                number = rest.split()[2]
                raw = self.mails[number]
                self.wfile.write(f"* 1 FETCH (UID {number} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
            elif word.startswith("UID STORE"):
                self.seen.add(rest.split()[2])
            elif word.startswith("LOGOUT"):
                self.wfile.write(f"* BYE\r\n{tag} OK\r\n".encode())
                return
            self.wfile.write(f"{tag} OK done\r\n".encode())


@pytest.fixture
def imap() -> Iterator[tuple[str, type[ImapServer]]]:
    handler = type("Handler", (ImapServer,), {"mails": {}, "seen": set()})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()
        thread.join(5)


def test_imap_folder_is_read_once(sent: Message, imap: tuple[str, type[ImapServer]]) -> None:
    where, server = imap
    server.mails = {"7": returned(sent), "9": b"Subject: Hello\r\n\r\nHello"}
    address = f"imap://clinic%40example.org:right@{where}/INBOX"
    assert dict(bounces.sweep(at=NOW, address=address)) == {"noted": 1, "no_report": 1}
    assert server.seen == {"7", "9"}
    assert dict(bounces.sweep(at=NOW, address=address)) == {}


def test_imap_server_that_refuses_us_is_trouble_and_nothing_more(imap: tuple[str, type[ImapServer]]) -> None:
    assert dict(bounces.sweep(at=NOW, address=f"imap://clinic:wrong@{imap[0]}/INBOX")) == {"trouble": 1}
    assert dict(bounces.sweep(at=NOW, address="imap://clinic:right@127.0.0.1:1/INBOX")) == {"trouble": 1}
