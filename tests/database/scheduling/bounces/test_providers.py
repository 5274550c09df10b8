"""Bounces and complaints that a provider tells: believed only with its secret, noted once. TRUST P10."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from scheduling.models import BouncingAddress, DeliveryReport, DeskTask, Message

SECRET = "provider:0123456789-abcdefghijklmnopqrstuvwxyz"


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
