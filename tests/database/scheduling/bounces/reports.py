"""Reports as mail servers and providers write them, and a mailbox to put them into."""

from __future__ import annotations

from pathlib import Path

from scheduling import bounces, letters
from scheduling.models import Message
from tests.factories import NOW


def returned(
    message: Message | None,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str = "vera@example.org",
    as_headers: bool = False,
) -> bytes:
    """Return a delivery status notification as Postfix writes them."""
    own = letters.message_id(message) if message is not None else "<somebody@elsewhere.example>"
    kind = "text/rfc822-headers" if as_headers else "message/rfc822"
    return f"""From: MAILER-DAEMON@mx.example
To: appointments@clinic.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <20260914.1@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mail could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Mon, 14 Sep 2026 11:00:00 +0000

Final-Recipient: rfc822; {to}
Original-Recipient: rfc822;{to}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user

--b
Content-Type: {kind}

From: Northside <appointments@clinic.example>
To: {to}
Message-ID: {own}
Subject: Your visit

--b--
""".replace("\n", "\r\n").encode()


def complaint(message: Message) -> bytes:
    return f"""From: fbl@provider.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Version: 1
Original-Rcpt-To: vera@example.org

--b
Content-Type: message/rfc822

Message-ID: {letters.message_id(message)}
Subject: Your visit

--b--
""".encode()


def put(box: Path, raw: bytes, name: str = "1.a") -> None:
    (box / "new" / name).write_bytes(raw)


def swept(box: Path) -> dict[str, int]:
    return dict(bounces.sweep(at=NOW, address=f"maildir://{box}"))
