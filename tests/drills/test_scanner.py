"""A mail scanner opens every link of every mail, in every way and many at once: nothing changes. TRUST L1."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.core import mail
from django.core.cache import cache

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from scheduling import booking, messages, openings
from scheduling.models import Allocation, Appointment, DeskTask, Link, Message
from tests import factories
from tests.factories import transactional

pytestmark = transactional
CASES = 20 if os.environ.get("CLINIC_FULL") else 2
AT_ONCE = 24
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) SafeLinks",
    "Barracuda Sentinel (EE)",
    "Proofpoint URL Defense",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.32",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148",
)
ADDRESS = re.compile(r"https?://[^\s\"'<>]+/l/[A-Za-z0-9_-]+/")


def everything() -> list[Any]:
    """Return all that a link could change."""
    return [
        list(model.objects.order_by("pk").values())  # type: ignore[attr-defined]
        for model in (Appointment, Allocation, Message, DeskTask, Link, Patient, AuditEvent)
    ]


def ask(method: str, address: str, agent: str, data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(address, data=data, method=method, headers={"User-Agent": agent})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.fixture
def addresses(live_server: Any, settings: Any) -> list[str]:
    """Return every link in every mail that some freshly booked patients got."""
    cache.clear()
    settings.BASE_URL, settings.MESSAGES_PER_SECOND = live_server.url, 1000
    at = datetime.now(tz=UTC)
    clinic = factories.small_clinic(at=at)
    desk = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    for number in range(CASES):
        patient = factories.patient(home=clinic.site, last_name=f"Patient{number}", email=f"p{number}@example.org")
        place = openings.find_openings(procedure=clinic.procedure, at=at, earliest=at + timedelta(days=8), limit=1).openings[0]
        booking.book(
            patient=patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=place, by=desk, at=at
        )
    messages.sweep()
    found = set()
    for sent in mail.outbox:
        texts = [sent.body, *(str(body) for body, _kind in sent.alternatives), *map(str, sent.extra_headers.values())]  # type: ignore[attr-defined]
        found |= {address for text in texts for address in ADDRESS.findall(text)}
    assert len(mail.outbox) == CASES
    assert len(found) >= 2 * CASES  # to answer, and to stop e-mail
    return sorted(found)


def pages_behind(addresses: Iterable[str]) -> list[str]:
    """Return the links and whatever their pages lead to on this site."""
    found = set(addresses)
    for address in list(found):
        _status, page = ask("GET", address, AGENTS[0])
        for href in re.findall(r'(?:href|action)="([^"]+)"', page):
            led = urljoin(address, href.replace("&amp;", "&"))
            if urlsplit(led).netloc == urlsplit(address).netloc and "/l/" in led:
                found.add(led)
    return sorted(found)


def test_scanner_that_opens_everything_changes_nothing(addresses: list[str]) -> None:
    before = everything()
    visits = [
        (method, f"{address}{'&' if '?' in address else '?'}confirm=1&act=confirm", agent)
        for address in pages_behind(addresses)
        for method in ("GET", "HEAD", "OPTIONS")
        for agent in AGENTS
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda visit: ask(*visit)[0], visits))
    assert {status for status in told if status >= 400} == set()
    assert everything() == before
    print(f"scanner: {len(visits)} requests, {AT_ONCE} at once, by {len(AGENTS)} agents on {len(addresses)} links: 0 changes")


def test_control_scanner_that_presses_the_buttons_is_seen(addresses: list[str]) -> None:
    before = everything()
    for address in addresses:
        _status, page = ask("GET", address, AGENTS[0])
        fields = dict(re.findall(r'name="(shown|act)" value="([^"]+)"', page))
        data = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        ask("POST", address, AGENTS[0], data)
    assert everything() != before
    assert set(Appointment.objects.values_list("status", flat=True)) == {"confirmed"}
