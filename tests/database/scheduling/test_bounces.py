"""Mails that come back by mailbox or provider: noted once, believed only with our id or the provider's secret. TRUST P10."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden
from scheduling import bounces, delivery_reports, letters, messages
from scheduling.models import BouncingAddress, DeliveryReport, DeskTask, Message, MessageKind, MessageState
from tests import factories
from tests.factories import NOW

SECRET = "provider:0123456789-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


@pytest.fixture
def sent() -> Message:
    """Return a message that has left for vera@example.org."""
    case = factories.appointment(of=factories.patient(email="Vera@Example.org"))
    message = messages.lay_down(appointment=case, kind=MessageKind.CONFIRMATION, at=NOW)
    Message.objects.filter(pk=message.pk).update(state=MessageState.SENT, done_at=timezone.now())
    return Message.objects.select_related("patient", "appointment").get(pk=message.pk)


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


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"


def put(box: Path, raw: bytes, name: str = "1.a") -> None:
    (box / "new" / name).write_bytes(raw)


def swept(box: Path) -> dict[str, int]:
    return dict(bounces.sweep(at=NOW, address=f"maildir://{box}"))


@pytest.mark.parametrize("as_headers", [False, True])
def test_bounce_marks_message_and_address_and_asks_the_desk_to_call(sent: Message, box: Path, as_headers: bool) -> None:
    put(box, returned(sent, as_headers=as_headers))
    assert swept(box) == {"noted": 1}
    sent.refresh_from_db()
    assert (sent.state, sent.reason) == ("failed", "bounced_5.1.1")
    address = BouncingAddress.objects.get()
    assert (address.address, address.kind, address.reason, address.message) == ("vera@example.org", "bounce", "5.1.1", sent)
    task = DeskTask.objects.get()
    assert (task.kind, task.patient, task.appointment, task.message, task.reason) == (
        "address_bounces", sent.patient, sent.appointment, sent, "5.1.1",
    )  # fmt: skip


def test_same_report_again_is_known_even_after_the_desk_has_dealt_with_it(sent: Message, box: Path, by: Actor) -> None:
    put(box, returned(sent))
    swept(box)
    assert bounces.clear(patient=sent.patient, by=by, at=NOW)
    assert not bounces.clear(patient=sent.patient, by=by, at=NOW)
    put(box, returned(sent), "2.b")
    assert swept(box) == {"known": 1}
    assert BouncingAddress.objects.of("vera@example.org") is None
    assert (DeliveryReport.objects.count(), DeskTask.objects.count()) == (1, 1)


def test_read_mails_are_kept_and_not_read_again(sent: Message, box: Path) -> None:
    put(box, returned(sent))
    put(box, b"Subject: A patient answers\n\nThank you!", "2.b")
    assert swept(box) == {"noted": 1, "no_report": 1}
    assert swept(box) == {}
    assert sorted(path.name for path in (box / "cur").iterdir()) == ["1.a:2,S", "2.b:2,S"]


@pytest.mark.parametrize(
    ("status", "is_marked"), [("5.1.1", True), ("5.2.1", True), ("5.2.2", False), ("5.7.1", False), ("4.4.7", False)]
)
def test_only_what_is_about_the_address_stops_further_mail(sent: Message, box: Path, status: str, is_marked: bool) -> None:
    put(box, returned(sent, status=status))
    assert swept(box) == {"noted": 1}
    assert BouncingAddress.objects.exists() is is_marked
    assert DeskTask.objects.count() == 1
    sent.refresh_from_db()
    assert sent.state == "failed"


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_what_is_no_failure_changes_nothing(sent: Message, box: Path, action: str) -> None:
    put(box, returned(sent, action=action, status="4.4.1"))
    assert swept(box) == {"no_report": 1}
    sent.refresh_from_db()
    assert sent.state == "sent"


def test_report_without_our_own_id_is_not_believed(sent: Message, box: Path) -> None:
    put(box, returned(None))
    put(box, returned(sent).replace(str(sent.public_id).encode(), b"00000000-0000-4000-8000-000000000000"), "2.b")
    assert swept(box) == {"foreign": 2}
    assert not BouncingAddress.objects.exists()
    assert not DeskTask.objects.exists()


def test_own_id_in_the_reports_own_headers_does_not_count(sent: Message) -> None:
    forged = returned(None).replace(b"<20260914.1@mx.example>", letters.message_id(sent).encode())
    assert delivery_reports.read(forged)[0].message_id is None


def test_bounce_of_an_address_since_corrected_marks_only_the_message(sent: Message, box: Path) -> None:
    sent.patient.email = "new@example.org"
    sent.patient.save()
    put(box, returned(sent))
    assert swept(box) == {"noted": 1}
    assert not BouncingAddress.objects.exists()
    assert not DeskTask.objects.exists()
    sent.refresh_from_db()
    assert sent.state == "failed"


def test_complaint_stops_further_mail_and_leaves_the_message_sent(sent: Message, box: Path) -> None:
    put(box, complaint(sent))
    assert swept(box) == {"noted": 1}
    assert BouncingAddress.objects.get().kind == "complaint"
    assert DeskTask.objects.get().kind == "complained"
    sent.refresh_from_db()
    assert sent.state == "sent"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00" * 1000,
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n\n--b--",
        b"Content-Type: message/rfc822\n\n" * 200,
        b"x" * 2_000_001,
    ],
)
def test_hostile_mail_stops_nobody(sent: Message, box: Path, raw: bytes) -> None:
    put(box, raw)
    put(box, returned(sent), "2.b")
    assert swept(box)["noted"] == 1
    assert list((box / "new").iterdir()) == []


def test_no_further_mail_goes_to_a_bouncing_address_and_the_reason_is_shown(sent: Message, box: Path) -> None:
    put(box, returned(sent))
    swept(box)
    later = factories.appointment(of=sent.patient, starts_at=timezone.now() + timedelta(days=9))
    message = messages.lay_down(appointment=later, kind=MessageKind.CONFIRMATION, at=timezone.now())
    messages.sweep()
    message.refresh_from_db()
    assert (message.state, message.reason) == ("skipped", "bounced")
    assert messages.reason_in_words("bounced_5.1.1") == "Mails to this address come back (5.1.1)"


def test_only_who_may_change_patients_clears_an_address(sent: Message) -> None:
    with pytest.raises(Forbidden):
        bounces.clear(patient=sent.patient, by=Actor.of_user(factories.user(role="nurse")), at=NOW)


def test_command_reads_a_mailbox_and_says_what_it_found(sent: Message, box: Path) -> None:
    put(box, returned(sent))
    out = StringIO()
    call_command("read_bounces", mailbox=f"maildir://{box}", stdout=out)
    assert out.getvalue().strip() == "1 noted"


@pytest.mark.parametrize("address", ["", "maildir:///nowhere/at/all", "ftp://example.org/"])
def test_command_refuses_a_mailbox_that_is_none(address: str, settings: Any) -> None:
    settings.BOUNCE_MAILBOX = ""
    with pytest.raises(CommandError):
        call_command("read_bounces", mailbox=address)


# --- IMAP ----------------------------------------------------------------------------------------------------------------


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


# --- providers --------------------------------------------------------------------------------------------------------------


def told(body: object, *, secret: str = SECRET, provider: str = "postmark", raw: bytes | None = None) -> HttpResponse:
    headers = {"authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}
    answer: Any = Client().post(
        f"/hooks/mail/{provider}/", raw if raw is not None else json.dumps(body), content_type="application/json", headers=headers
    )
    return answer  # type: ignore[no-any-return]


def hard(message: Message | None = None, **values: object) -> dict[str, object]:
    return {
        "RecordType": "Bounce", "ID": 42, "Type": "HardBounce", "TypeCode": 1, "MessageID": "883953f4-6105-42a2",
        "Metadata": {"message": str(message.public_id)} if message is not None else {}, "Email": "Vera@example.org",
        "Description": "unknown user", "Details": "smtp;550 5.1.1 no such user", "BouncedAt": "2026-09-14T11:00:00Z", **values,
    }  # fmt: skip


@pytest.fixture
def _hooked(settings: Any) -> None:
    settings.MAIL_WEBHOOK_SECRET = SECRET


@pytest.mark.usefixtures("_hooked")
@pytest.mark.parametrize("with_id", [True, False], ids=["our-id", "address-only"])
def test_providers_bounce_is_noted_once_however_often_it_is_told(sent: Message, with_id: bool) -> None:
    for _ in range(3):
        assert told(hard(sent if with_id else None)).status_code == 200
    sent.refresh_from_db()
    assert (sent.state, sent.reason) == ("failed", "bounced_5.1.1")
    assert BouncingAddress.objects.get().address == "vera@example.org"
    assert (DeliveryReport.objects.count(), DeskTask.objects.count()) == (1, 1)


@pytest.mark.usefixtures("_hooked")
def test_providers_soft_bounce_and_delay_stop_no_mail(sent: Message) -> None:
    told(hard(sent, Type="SoftBounce", TypeCode=4096, Details="smtp;452 4.2.2 mailbox full"))
    told(hard(sent, Type="Transient", TypeCode=2, ID=43, Details="smtp;451 4.3.0 try later"))
    assert not BouncingAddress.objects.exists()


@pytest.mark.usefixtures("_hooked")
def test_providers_complaint_stops_mail(sent: Message) -> None:
    told({**hard(sent), "RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 100001})
    assert BouncingAddress.objects.get().kind == "complaint"


@pytest.mark.usefixtures("_hooked")
@pytest.mark.parametrize("secret", ["", "provider:wrong", SECRET + "x"])
def test_who_does_not_know_the_secret_is_refused(sent: Message, secret: str) -> None:
    assert told(hard(sent), secret=secret).status_code == 401
    assert not DeliveryReport.objects.exists()


@pytest.mark.usefixtures("_hooked")
def test_guessing_the_secret_is_stopped() -> None:
    assert [told({}, secret="provider:wrong").status_code for _ in range(22)] == [401] * 20 + [429] * 2


@pytest.mark.usefixtures("_hooked")
@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"null", b'{"RecordType": 7}'])
def test_body_that_is_no_event_is_refused_without_an_error(raw: bytes) -> None:
    assert told(None, raw=raw).status_code in {200, 400}
    assert not DeliveryReport.objects.exists()


@pytest.mark.usefixtures("_hooked")
def test_unknown_provider_and_reading_find_nothing() -> None:
    assert told({}, provider="nobody").status_code == 404
    assert Client().get("/hooks/mail/postmark/").status_code == 405
    assert Client().head("/hooks/mail/postmark/").status_code == 200


def test_without_a_secret_in_the_settings_there_is_no_such_address(settings: Any) -> None:
    settings.MAIL_WEBHOOK_SECRET = ""
    assert told({}).status_code == 404


def test_complaint_that_takes_itself_back_is_none(sent: Message, box: Path) -> None:
    put(box, complaint(sent).replace(b"Feedback-Type: abuse", b"Feedback-Type: not-spam"))
    assert swept(box) == {"no_report": 1}
    assert not BouncingAddress.objects.exists()


def test_mail_that_breaks_the_reader_holds_up_no_other(sent: Message, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = delivery_reports.read

    def stumble(raw: bytes) -> tuple[delivery_reports.Report, ...]:
        if b"stumble" in raw:
            raise ValueError(raw)
        return read(raw)

    monkeypatch.setattr(delivery_reports, "read", stumble)
    put(box, b"Subject: stumble\n\n")
    put(box, returned(sent), "2.b")
    assert swept(box) == {"unreadable": 1, "noted": 1}
    assert list((box / "new").iterdir()) == []  # neither is read again


def test_second_mail_that_comes_back_leaves_the_first_reason_with_the_address(sent: Message, box: Path) -> None:
    put(box, returned(sent))
    swept(box)
    other = messages.lay_down(appointment=sent.appointment, kind=MessageKind.CHANGE, at=NOW)
    Message.objects.filter(pk=other.pk).update(state=MessageState.SENT, done_at=timezone.now())
    put(box, returned(other, status="5.2.1"), "2.b")
    assert swept(box) == {"noted": 1}
    assert BouncingAddress.objects.get().reason == "5.1.1"
    other.refresh_from_db()
    assert other.reason == "bounced_5.2.1"
