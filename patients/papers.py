"""Keep what comes on paper: consents with the signed sheet, and other scans. What a file is, is read from its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.texts import clean_text
from patients import records
from patients.models import Consent, MediaType, Paper, PaperContent, PaperKind, Patient
from patients.recorded import Kind

READ = "patients.view_history"
BEGINNINGS: Mapping[MediaType, bytes] = {
    MediaType.PDF: b"%PDF-",
    MediaType.JPEG: b"\xff\xd8\xff",
    MediaType.PNG: b"\x89PNG\r\n\x1a\n",
}
KINDS: dict[str, Kind] = {
    "consents": Kind("consents", Consent, "consent", "Consents"),
    "papers": Kind("papers", Paper, "paper", "Papers"),
}
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PaperLine:
    """A scan as pages list it."""

    public_id: UUID
    label: str
    name: str
    kind: str  # of file
    size: str
    on: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """A consent in words, with its scans. `is_over`: it was withdrawn, or has expired."""

    public_id: UUID
    procedure: str
    where: str
    given_on: date
    until: date | None
    withdrawn_on: date | None
    is_over: bool
    by: str
    papers: tuple[PaperLine, ...]


@dataclass(frozen=True, slots=True)
class OnPaper:
    consents: tuple[ConsentLine, ...]
    papers: tuple[PaperLine, ...]


def checked(upload: Upload) -> MediaType:
    """Return what a file is.

    Raises:
        FieldRefused: it is empty, too large, or neither PDF nor JPEG nor PNG, whatever its name says.
    """
    most = settings.LARGEST_PAPER
    if not upload.data:
        raise records.FieldRefused("paper_empty", "paper", "This file is empty. Scan the paper again.")
    if len(upload.data) > most:
        has, may = len(upload.data) / 1024**2, most // 1024**2
        raise records.FieldRefused(
            "paper_too_large", "paper", f"This file has {has:.1f} MB; {may} MB is the most. Scan it in grey, or in two files."
        )
    for kind, beginning in BEGINNINGS.items():
        if upload.data.startswith(beginning):
            return kind
    raise records.FieldRefused(
        "paper_type", "paper", "Only PDF, JPEG and PNG files are kept; this is none of them, whatever its name says."
    )


def keep(
    *, patient: Patient, kind: str, upload: Upload, by: Actor, at: datetime, consent: Consent | None = None, note: str = ""
) -> Paper:
    """Keep a scan as it came.

    Raises:
        FieldRefused: as for `checked`, or a value cannot be kept.
        MayNotRecord: the actor may not record clinical facts.
    """
    values = {
        "kind": kind, "consent": consent, "note": note, "file_name": _name(upload.name), "media_type": checked(upload),
        "size": len(upload.data), "digest": hashlib.sha256(upload.data).hexdigest(),
    }  # fmt: skip
    with transaction.atomic():
        row = records.record(kind=Paper, patient=patient, values=values, by=by, at=at)
        PaperContent.objects.create(paper=row, data=upload.data)
    return row


def consent(*, patient: Patient, values: Mapping[str, Any], upload: Upload | None, by: Actor, at: datetime) -> Consent:
    """Write down a consent, with the signed sheet where there is one: both, or neither.

    Raises:
        FieldRefused, MayNotRecord: as for `keep`.
    """
    with transaction.atomic():
        row = records.record(kind=Consent, patient=patient, values=values, by=by, at=at)
        if upload is not None:
            keep(patient=patient, kind=PaperKind.CONSENT, upload=upload, consent=row, by=by, at=at)
    return row


def on_paper(*, patient: Patient, on: date) -> OnPaper:
    """Return a patient's consents and other papers, newest first, in two statements."""
    scans: dict[int | None, list[PaperLine]] = {}
    for row in Paper.objects.of(patient).select_related("recorded_by").order_by("-recorded_at", "-pk"):
        scans.setdefault(row.consent_id, []).append(_paper(row))
    consents = Consent.objects.of(patient).select_related("procedure", "recorded_by").order_by("-given_on", "-pk")
    return OnPaper(tuple(_consent(row, scans.get(row.pk, ()), on) for row in consents), tuple(scans.get(None, ())))


def _name(name: str) -> str:
    """Return a file's name as it is shown; one that cannot be shown is left out."""
    try:
        return clean_text(name)[-LONGEST_NAME:]
    except ValueError:
        return ""


def _paper(row: Any) -> PaperLine:
    size = f"{row.size / 1024**2:.1f} MB" if row.size >= 1024**2 else f"{max(1, round(row.size / 1024))} kB"
    return PaperLine(
        row.public_id, row.get_kind_display(), row.file_name, row.get_media_type_display(), size, row.recorded_at,
        row.recorded_by.shown_name if row.recorded_by else "", row.note,
    )  # fmt: skip


def _consent(row: Any, scans: Any, on: date) -> ConsentLine:
    where = ", ".join(part for part in (", ".join(row.levels), row.side) if part)
    is_over = row.withdrawn_on is not None or (row.valid_until is not None and row.valid_until < on)
    return ConsentLine(
        row.public_id, row.procedure.name, where, row.given_on, row.valid_until, row.withdrawn_on, is_over,
        row.recorded_by.shown_name if row.recorded_by else "", tuple(scans),
    )  # fmt: skip
