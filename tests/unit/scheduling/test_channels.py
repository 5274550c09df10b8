"""What a mail server's or provider's failure means for one letter, and that no conversation outlasts its deadline."""

from __future__ import annotations

import smtplib
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from anymail.exceptions import AnymailRequestsAPIError
from django.core.mail.backends.base import BaseEmailBackend

from scheduling import channels
from scheduling.channels import EmailGateway, NotDelivered, PunctualSMTP, PutOff, Rejected, Unreachable
from scheduling.letters import Letter

LETTER = Letter(
    message_id="<1@clinic.example>", sender="clinic@clinic.example", reply_to="", to="vera@example.org", subject="Your visit",
    text="Tuesday", html="<p>Tuesday</p>", calendar="", calendar_method="", written_at=datetime(2026, 9, 14, tzinfo=UTC),
)  # fmt: skip


class Backend(BaseEmailBackend):
    """A mail backend that fails as it is told to."""

    on_open: Exception | None = None
    on_send: Exception | None = None

    def open(self) -> bool:
        if self.on_open is not None:
            raise self.on_open
        return True

    def send_messages(self, email_messages: Any) -> int:
        if self.on_send is not None:
            raise self.on_send
        return len(email_messages)


@pytest.fixture
def gateway(settings: Any, monkeypatch: pytest.MonkeyPatch) -> EmailGateway:
    settings.EMAIL_BACKEND = f"{__name__}.Backend"
    monkeypatch.setattr(Backend, "on_open", None)
    monkeypatch.setattr(Backend, "on_send", None)
    return EmailGateway()


@pytest.mark.parametrize(
    ("problem", "kind", "reason"),
    [
        (AnymailRequestsAPIError("no"), PutOff, "connection_lost"),
        (ConnectionResetError("no"), PutOff, "connection_lost"),
        (smtplib.SMTPServerDisconnected("no"), PutOff, "connection_lost"),
        (smtplib.SMTPSenderRefused(550, b"no", "us"), PutOff, "sender_refused_550"),
        (smtplib.SMTPSenderRefused(451, b"no", "us"), PutOff, "try_later_451"),
        (smtplib.SMTPDataError(554, b"no"), Rejected, "mail_refused_554"),
        (smtplib.SMTPDataError(451, b"no"), PutOff, "try_later_451"),
    ],
)
def test_each_failure_says_what_it_means_for_the_letter_and_drops_the_connection(
    gateway: EmailGateway, problem: Exception, kind: type[NotDelivered], reason: str
) -> None:
    Backend.on_send = problem
    gateway.open()
    with pytest.raises(NotDelivered) as told:
        gateway.send(LETTER)
    assert (type(told.value), told.value.reason, gateway._backend) == (kind, reason, None)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), "server_refuses_us"),
        (smtplib.SMTPConnectError(421, b"no"), "server_unreachable"),
        (ConnectionRefusedError("no"), "server_unreachable"),
    ],
)
def test_a_server_that_lets_nobody_in_says_nothing_about_the_letter(
    gateway: EmailGateway, problem: Exception, reason: str
) -> None:
    Backend.on_open = problem
    with pytest.raises(Unreachable) as told:
        gateway.open()
    assert told.value.reason == reason


def test_only_a_letter_with_a_calendar_file_brings_one() -> None:
    assert channels.as_mail(LETTER).attachments == []


def test_a_conversation_past_its_deadline_is_over_before_another_word() -> None:
    talk = PunctualSMTP()
    talk.timeout = 60
    talk.deadline = time.monotonic() - 0.001
    with pytest.raises(smtplib.SMTPServerDisconnected, match="too long"):
        talk.send(b"NOOP\r\n")
    talk.deadline = time.monotonic() + 60
    with pytest.raises(smtplib.SMTPServerDisconnected, match="connect"):  # the control: in time, but nobody is there
        talk.send(b"NOOP\r\n")
