"""The local mailbox: what the clinic would have sent. On a developer's or trial machine only; elsewhere it is not there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_binary_file, policy
from email.message import EmailMessage, Message
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from pain_clinic.accounts.gates import open_to_public
from pain_clinic.web import respond

SHOWN = 200
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,80}")
BECAUSE = "it exists in local mode only and shows mails that were never sent to anybody"
# A mail may hold anything: its HTML gets no script, no form, no address of ours and nothing from elsewhere.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class MailLine:
    name: str
    to: str
    subject: str
    date: str


@dataclass(frozen=True, slots=True)
class Part:
    kind: str
    file_name: str
    text: str


@dataclass(frozen=True, slots=True)
class Mail:
    name: str
    subject: str
    headers: tuple[tuple[str, str], ...]
    text: str
    has_html: bool
    parts: tuple[Part, ...]


@open_to_public(because=BECAUSE)
def mailbox(request: HttpRequest) -> HttpResponse:
    """List the newest mails."""
    # A name that begins with a dot is a mail still being written.
    files = sorted(
        (path for path in _folder().glob("*.eml") if NAME.fullmatch(path.stem)), key=lambda path: path.name, reverse=True
    )
    mails = []
    for path in files[:SHOWN]:
        with path.open("rb") as file:
            mail = message_from_binary_file(file, policy=policy.compat32)
        mails.append(
            MailLine(
                path.stem, _header(mail, "X-Envelope-To") or _header(mail, "To"), _header(mail, "Subject"), _header(mail, "Date")
            )
        )
    return respond(request, "scheduling/mailbox.html", {"mails": mails, "older": max(len(files) - SHOWN, 0)})


@open_to_public(because=BECAUSE)
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one mail: headers, plain text, and what is attached."""
    return respond(request, "scheduling/mail.html", {"mail": _mail(name)})


@open_to_public(because=BECAUSE)
def mail_html(request: HttpRequest, name: str) -> HttpResponse:
    """Show the HTML part of one mail as a mail program would, shut in a sandbox."""
    part = _opened(name).get_body(("html",))
    if part is None:
        raise Http404
    return HttpResponse(_text(part), headers={"Content-Security-Policy": MAIL_POLICY})


def _folder() -> Path:
    if settings.CLINIC_MODE != "local":
        raise Http404
    return Path(settings.CLINIC_HOME) / "mailbox"


def _opened(name: str) -> EmailMessage:
    path = _folder() / f"{name}.eml"
    if not NAME.fullmatch(name) or not path.is_file():
        raise Http404
    with path.open("rb") as file:
        opened: EmailMessage = message_from_binary_file(file, policy=policy.default)
    return opened


def _mail(name: str) -> Mail:
    opened = _opened(name)
    plain = opened.get_body(("plain",))
    bodies = [plain, opened.get_body(("html",))]
    parts = tuple(
        Part(part.get_content_type(), part.get_filename() or "", _text(part) if part.get_content_maintype() == "text" else "")
        for part in opened.walk()
        if not part.is_multipart() and not any(part is body for body in bodies)
    )
    return Mail(
        name=name,
        subject=str(opened["Subject"] or ""),
        headers=tuple((key, str(value)) for key, value in opened.items()),
        text=_text(plain) if plain is not None else "",
        has_html=bodies[1] is not None,
        parts=parts,
    )


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _header(mail: Message, name: str) -> str:
    """Return a header in words; what is malformed is shown as it came."""
    value = mail.get(name, "")
    return str(policy.default.header_fetch_parse(name, str(value)) if value else "")
