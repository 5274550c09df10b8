"""Mails that come back by mailbox: noted once, believed only with our id. TRUST P10."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Forbidden
from scheduling import bounces, delivery_reports, letters, messages
from scheduling.models import BouncingAddress, DeliveryReport, DeskTask, Message, MessageKind, MessageState
from tests import factories
from tests.database.scheduling.bounces.reports import complaint, put, returned, swept
from tests.factories import NOW


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
    assert BouncingAddress.objects.kind_of("vera@example.org") == ""
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
