"""Chain the trail under a key that the database does not hold, and prove that nobody has touched it.

Writers insert events without waiting for each other. One sealer at a time (advisory lock) takes the events that no
seal holds, in the order of their keys, and appends one link each: HMAC-SHA256 under `AUDIT_KEY` over the position,
the link before and the event's content. After each run the head is appended to `AUDIT_HEAD_FILE`, which the
operator keeps where the database's owner cannot write: without it a cut-off tail would go unseen.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from pain_clinic import clock
from pain_clinic.audit.models import AuditEvent, AuditSeal
from pain_clinic.errors import Busy

LOCK = 7_204_001
START = "0" * 64
BATCH = 5000
log = structlog.get_logger("pain_clinic.audit")


def content(event: AuditEvent) -> str:
    """Return the one text that stands for everything an event says."""
    said = {
        "id": event.pk,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor_kind": event.actor_kind,
        "user": event.user_id,
        "actor_name": event.actor_name,
        "act": event.act,
        "outcome": event.outcome,
        "subject_kind": event.subject_kind,
        "subject_id": str(event.subject_id or ""),
        "patient_id": str(event.patient_id or ""),
        "site_id": event.site_id,
        "reason_code": event.reason_code,
        "address": event.address,
        "request_id": event.request_id,
        "context_id": str(event.context_id or ""),
        "details": event.details,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def link(position: int, previous: str, event: AuditEvent) -> str:
    """Return the digest of one link."""
    message = f"{position}\n{previous}\n{content(event)}".encode()
    return hmac.new(settings.AUDIT_KEY.encode(), message, hashlib.sha256).hexdigest()


def head_line(position: int, digest: str, at: datetime) -> str:
    """Return a line of the head file, signed so that nobody without the key can write one."""
    said = f"{position} {digest} {at.astimezone(UTC).isoformat(timespec='seconds')}"
    return f"{said} {hmac.new(settings.AUDIT_KEY.encode(), said.encode(), hashlib.sha256).hexdigest()}\n"


def seal() -> int:
    """Seal what is not sealed yet and return how many; 0 when another sealer is at work."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        try:
            with transaction.atomic():
                found, position, digest = _extend()
            # After the commit: the file must never claim a link that does not stand. A head that was not written
            # because of a crash is written by the next run, which compares before it seals.
            if found:
                _append(head_line(position, digest, clock.now()))
            return found
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _extend() -> tuple[int, int, str]:
    last = AuditSeal.objects.order_by("-position").first()
    position, previous = (last.position, last.digest) if last is not None else (0, START)
    if position > _last_head():
        _append(head_line(position, previous, clock.now()))
    seals = []
    for event in AuditEvent.objects.filter(seal=None).order_by("pk")[:BATCH]:
        position += 1
        digest = link(position, previous, event)
        seals.append(AuditSeal(event=event, position=position, previous=previous, digest=digest))
        previous = digest
    AuditSeal.objects.bulk_create(seals, batch_size=1000)
    return len(seals), position, previous


def known_beyond() -> datetime | None:
    """Return when the head file's newest seal was made, if this database does not hold it: it is older, restored from a copy."""
    words = _last_line().split()
    if len(words) != 4 or not words[0].isdigit():
        return None
    newest = AuditSeal.objects.order_by("-position").values_list("position", flat=True).first() or 0
    return datetime.fromisoformat(words[2]) if int(words[0]) > newest else None


def _last_head() -> int:
    """Return the position that the last line of the head file names, 0 when there is none."""
    word = _last_line().split(" ")[0]
    return int(word) if word.isdigit() else 0


def _last_line() -> str:
    try:
        with Path(settings.AUDIT_HEAD_FILE).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 400))
            lines = file.read().decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""


def _append(line: str) -> None:
    path = Path(settings.AUDIT_HEAD_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the trail found; `fault` is empty when everything holds."""

    fault: str
    sealed: int
    unsealed: int
    unsealed_for: timedelta


def verify() -> Verdict:
    """Walk the chain from its start, compare it with the head file, and name the first place that does not hold."""
    with connection.cursor() as cursor:
        _wait_for_sealer(cursor)
        try:
            with transaction.atomic():
                if len(connection.savepoint_ids) == 0:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                fault, sealed, digests = _walk()
                fault = fault or _against_heads(sealed, digests)
                waiting = AuditEvent.objects.filter(seal=None).order_by("at", "pk")
                oldest = waiting.first()
                age = clock.now() - oldest.at if oldest is not None else timedelta()
                return Verdict(fault, sealed, waiting.count(), age)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _wait_for_sealer(cursor: Any) -> None:
    for _ in range(300):
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if cursor.fetchone()[0]:
            return
        time.sleep(0.1)
    raise Busy(message="The sealer has been at work for half a minute. Try again.")


def _walk() -> tuple[str, int, dict[int, str]]:
    digests: dict[int, str] = {}
    position, previous = 0, START
    for found in AuditSeal.objects.select_related("event").order_by("position").iterator(chunk_size=2000):
        position += 1
        if found.position != position:
            return f"position {position} is missing (next found: {found.position})", position - 1, digests
        if found.previous != previous:
            return f"position {position}: does not follow the one before", position, digests
        if not hmac.compare_digest(found.digest, link(position, previous, found.event)):
            return f"position {position}: event {found.event_id} is not as it was sealed", position, digests
        previous = digests[position] = found.digest
    return "", position, digests


def _against_heads(sealed: int, digests: dict[int, str]) -> str:
    path = Path(settings.AUDIT_HEAD_FILE)
    if not path.exists():
        return f"the head file is missing, though {sealed} events are sealed" if sealed else ""
    claims: dict[int, str] = {}
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), start=1):
        parts = line.split()
        said = " ".join(parts[:3])
        signed = hmac.new(settings.AUDIT_KEY.encode(), said.encode(), hashlib.sha256).hexdigest()
        if len(parts) != 4 or not parts[0].isdigit() or not hmac.compare_digest(parts[3], signed):
            return f"line {number} of the head file is not ours"
        if claims.setdefault(int(parts[0]), parts[1]) != parts[1]:
            return f"position {parts[0]}: the head file knows two different links, the trail was cut and sealed anew"
    for position, claimed in sorted(claims.items()):
        if position > sealed:
            return f"positions {sealed + 1} to {position} are missing: the head file knows them"
        if digests[position] != claimed:
            return f"position {position}: the head file knows another link"
    if sealed and not claims:
        return "the head file is empty, though events are sealed"
    return ""
