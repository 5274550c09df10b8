"""The local mailbox: read by whoever sits at this machine, and by nobody in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from scheduling import channels, letters
from scheduling.models import Message
from tests import factories
from tests.factories import NOW

EVIL = (
    b"X-Envelope-To: <b>vera</b>@example.org\r\nSubject: <script>alert(1)</script>\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b"<script>alert(2)</script><img src=https://elsewhere.example/x.png><p>hello</p>"
)


@pytest.fixture
def inbox(settings: Any, tmp_path: Path) -> Path:
    settings.CLINIC_HOME = tmp_path
    (tmp_path / "mailbox").mkdir()
    return tmp_path / "mailbox"


def keep(inbox: Path, name: str) -> str:
    """Keep a real confirmation, as the SMTP sink does."""
    where = factories.site(name="Northside")
    who = factories.patient(home=where, email="vera@example.org", first_name="Óscar")
    case = factories.appointment(of=who, at_site=where)
    letter = letters.write(Message(appointment=case, patient=who, kind="confirmation", version=1), at=NOW)
    content = channels.as_mail(letter).message().as_bytes(linesep="\r\n")
    (inbox / f"{name}.eml").write_bytes(b"X-Envelope-To: vera@example.org\r\n" + content)
    return letter.html


def test_mailbox_lists_mails_newest_first(client: Client, inbox: Path) -> None:
    keep(inbox, "20260914T110000.000000001-aaaaaa")
    (inbox / "20260914T120000.000000001-bbbbbb.eml").write_bytes(EVIL)
    (inbox / ".half.eml").write_bytes(b"Subject: not yet whole\r\n\r\n")

    page = client.get("/mailbox/")

    assert page.status_code == 200
    assert [mail.name for mail in page.context["mails"]] == [
        "20260914T120000.000000001-bbbbbb",
        "20260914T110000.000000001-aaaaaa",
    ]
    assert [mail.subject for mail in page.context["mails"]] == ["<script>alert(1)</script>", "Your visit on Tuesday 15 September"]
    assert b"<script>alert" not in page.content


def test_mailbox_without_mail_says_so(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.CLINIC_HOME = tmp_path

    assert "No mail yet" in client.get("/mailbox/").content.decode()


def test_mail_shows_headers_text_and_calendar(client: Client, inbox: Path) -> None:
    keep(inbox, "one")

    page = client.get("/mailbox/one/")

    text = page.content.decode()
    assert page.status_code == 200
    assert "Dear Óscar," in text
    assert "Content-Type: multipart/mixed" in text
    assert "BEGIN:VCALENDAR" in text
    assert [(part.kind, part.file_name) for part in page.context["mail"].parts] == [("text/calendar", "visit.ics")]


def test_html_part_is_shut_in_a_sandbox(client: Client, inbox: Path) -> None:
    html = keep(inbox, "one")
    (inbox / "two.eml").write_bytes(EVIL)

    page, evil = client.get("/mailbox/one/html/"), client.get("/mailbox/two/html/")

    assert page.content.decode().replace("\r\n", "\n").strip() == html.strip()
    for answer in (page, evil):
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none';")
        assert "script" not in policy
    assert client.get("/mailbox/two/").context["mail"].has_html


@pytest.mark.parametrize("name", ["none", "..", ".half", "..%2F..%2Fkeys%2Fsecret_key", "a" * 100, "one.eml%00"])
def test_no_other_file_is_read(client: Client, inbox: Path, name: str) -> None:
    (inbox / ".half.eml").write_bytes(b"Subject: x\r\n\r\n")
    (inbox.parent / "secret.eml").write_bytes(b"Subject: x\r\n\r\n")

    assert {client.get(f"/mailbox/{name}/").status_code, client.get(f"/mailbox/{name}/html/").status_code} <= {400, 404}


def test_broken_mail_is_still_shown(client: Client, inbox: Path) -> None:
    broken = b"Subject: =?utf-8?b?!!?=\r\nFrom: <<>\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe hello"
    (inbox / "broken.eml").write_bytes(broken)

    assert client.get("/mailbox/").status_code == 200
    assert client.get("/mailbox/broken/").status_code == 200


@pytest.mark.parametrize("path", ["/mailbox/", "/mailbox/one/", "/mailbox/one/html/"])
def test_mailbox_is_not_there_in_production(client: Client, inbox: Path, settings: Any, path: str) -> None:
    (inbox / "one.eml").write_bytes(EVIL)
    settings.CLINIC_MODE = "production"

    assert client.get(path).status_code == 404
