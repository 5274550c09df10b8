"""Providers take the mail with our own id, and what they answer means what a server's answer would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import requests
from anymail.exceptions import AnymailRecipientsRefused, AnymailRequestsAPIError

from scheduling import channels, messages
from scheduling.channels import NotDelivered, PutOff, Rejected, Unreachable
from scheduling.models import Message
from tests.database.scheduling.sending.outbox import case


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, Unreachable, "server_refuses_us"),
        (429, PutOff, "try_later_429"),
        (503, PutOff, "try_later_503"),
        (422, Rejected, "mail_refused_422"),
        (None, PutOff, "connection_lost"),
    ],
)
def test_providers_answer_means_what_a_servers_would(status: int | None, kind: type[NotDelivered], reason: str) -> None:
    error = AnymailRequestsAPIError("no")
    error.status_code = status

    found = channels._meaning_of_provider(error)

    assert (type(found), found.reason) == (kind, reason)


def test_provider_refuses_a_recipient_for_good() -> None:
    assert channels._meaning_of_provider(AnymailRecipientsRefused("no")).reason == "address_refused"


@pytest.mark.parametrize(
    ("url", "backend", "keys"),
    [
        ("postmark://abc@", "anymail.backends.postmark.EmailBackend", {"POSTMARK_SERVER_TOKEN": "abc"}),
        ("mailjet://a%2Fb:c@", "anymail.backends.mailjet.EmailBackend", {"MAILJET_API_KEY": "a/b", "MAILJET_SECRET_KEY": "c"}),
        ("smtp://u:p@mail.example:25", "django.core.mail.backends.smtp.EmailBackend", {}),
    ],
)
def test_provider_is_chosen_by_the_address_of_the_mail_service(url: str, backend: str, keys: dict[str, str]) -> None:
    script = "from pain_clinic import settings as s; import json; print(json.dumps([s.EMAIL_BACKEND, s.ANYMAIL]))"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "EMAIL_URL": url}, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [backend, {"REQUESTS_TIMEOUT": 12, **keys}]


@pytest.mark.parametrize("name", ["brevo", "mailjet", "postmark", "sparkpost"])
def test_every_provider_takes_the_mail_with_our_own_id(
    name: str, settings: Any, set_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's door itself, up to the request that it would make."""
    settings.ANYMAIL = {
        "BREVO_API_KEY": "k", "MAILJET_API_KEY": "k", "MAILJET_SECRET_KEY": "s", "POSTMARK_SERVER_TOKEN": "k",
        "SPARKPOST_API_KEY": "k", "REQUESTS_TIMEOUT": 1,
    }  # fmt: skip
    settings.EMAIL_BACKEND = f"anymail.backends.{name}.EmailBackend"
    appointment, asked = case(planned=False), []

    def taken(self: Any, method: str, url: str, **given: Any) -> Any:
        asked.append((url, str(given.get("data") or given.get("json"))))
        answer = requests.Response()
        answer.status_code = 503
        answer._content = b"{}"
        return answer

    monkeypatch.setattr(requests.Session, "request", taken)
    message = Message.objects.get(appointment=appointment)

    assert dict(messages.sweep()) == {"put_off": 1}
    message.refresh_from_db()
    assert (message.state, message.reason) == ("due", "try_later_503")
    # Once as the Message-ID, once as what the provider gives back with a bounce.
    assert asked[0][1].count(str(message.public_id)) >= 2
