"""What mail servers write back: delivery status notifications (RFC 3464) and complaints (RFC 5965), read without trust."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message as Mail
from uuid import UUID

LARGEST = 2_000_000  # a report that is larger is none of ours
BOUNCE, COMPLAINT = "bounce", "complaint"
OWN_ID = re.compile(r"<([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})@", re.IGNORECASE)
STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
# Permanent answers that say nothing about the address: a full mailbox, a mail too large, a policy of the day.
PASSING = frozenset({"5.2.2", "5.2.3", "5.3.1", "5.3.4"})


@dataclass(frozen=True, slots=True)
class Report:
    """One recipient to whom one mail did not go, or who did not want it."""

    key: str
    kind: str
    reason: str
    is_final: bool
    message_id: UUID | None
    recipients: tuple[str, ...]  # as first written and as at last tried


def read(raw: bytes) -> tuple[Report, ...]:
    """Return the failures and complaints that a mail reports; none when it is another kind of mail, or only a delay."""
    if len(raw) > LARGEST:
        return ()
    mail = message_from_bytes(raw, policy=policy.compat32)
    ours = _own_id(mail)
    found = [*_failures(mail, ours), *_complaints(mail, ours)]
    return tuple({report.key: report for report in found}.values())


def is_about_address(status: str) -> bool:
    """Say whether a status means that the address itself takes no mail."""
    return status.startswith("5.") and status not in PASSING and not status.startswith("5.7.")


def key_of(*parts: object) -> str:
    """Return what makes a report this report, as a hash that names nobody."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8", "replace")).hexdigest()


def _failures(mail: Mail, ours: UUID | None) -> Iterator[Report]:
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for fields in _blocks(part):
            action = str(fields.get("Action", "")).strip().lower()
            if action != "failed":  # delayed, relayed, delivered, expanded: nothing to do yet
                continue
            found = STATUS.search(str(fields.get("Status", "")))
            status = found[0] if found else "5.0.0"
            recipients = _recipients(fields, "Original-Recipient", "Final-Recipient")
            yield Report(
                key_of(BOUNCE, ours, status, *recipients), BOUNCE, status, is_about_address(status), ours, recipients
            )  # fmt: skip


def _complaints(mail: Mail, ours: UUID | None) -> Iterator[Report]:
    for part in mail.walk():
        if part.get_content_type() != "message/feedback-report":
            continue
        for fields in _blocks(part):
            kind = str(fields.get("Feedback-Type", "")).strip().lower()
            if kind in {"abuse", "fraud", "opt-out", "other"}:
                recipients = _recipients(fields, "Original-Rcpt-To", "Removal-Recipient")
                yield Report(key_of(COMPLAINT, ours, kind, *recipients), COMPLAINT, kind, True, ours, recipients)


def _blocks(part: Mail) -> list[Mail]:
    """Return a part's groups of fields; a part that cannot be read has none."""
    payload = part.get_payload()  # the parser takes every message/* apart
    return [block for block in payload if isinstance(block, Mail)] if isinstance(payload, list) else []


def _recipients(fields: Mail, *names: str) -> tuple[str, ...]:
    """Return the addresses of these fields without their type and angle brackets, as addresses are compared."""
    found = []
    for name in names:
        text = str(fields.get(name, ""))
        address = (text.partition(";")[2] or text).strip().strip("<>").strip().casefold()
        if "@" in address and address not in found:
            found.append(address[:254])
    return tuple(found)


def _own_id(mail: Mail) -> UUID | None:
    """Return the id of our message that the report brings back; the report's own headers do not count."""
    for part in mail.walk():
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            payload = part.get_payload()
            inner = payload[0] if isinstance(payload, list) and payload else None
            if isinstance(inner, Mail):
                found = OWN_ID.search(str(inner.get("Message-ID", "")))
            else:
                headers = message_from_bytes(_decoded(part), policy=policy.compat32)
                found = OWN_ID.search(str(headers.get("Message-ID", "")))
            if found:
                return UUID(found[1])
    return None


def _decoded(part: Mail) -> bytes:
    raw = part.get_payload(decode=True)
    return raw if isinstance(raw, bytes) else b""
