"""Notes of performed procedures: by the sections of a template, signed, co-signed, and after that only added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.errors import Conflict, Forbidden, Refused
from patients import records
from patients.models import Addendum, ClinicalNote, PerformedProcedure
from patients.records import FieldRefused
from procedures import guidance as guiding
from procedures import yaml_files
from procedures.levels import SIDE_LABELS
from procedures.models import Procedure

TEMPLATES = Path(__file__).resolve().parent / "data" / "notes.yaml"
LONGEST = 8_000
SIGN = "patients.sign_note"
SIDES = {code: label.lower() for code, label in SIDE_LABELS.items()}


class NoteSigned(Conflict):
    def __init__(self) -> None:
        super().__init__("note_signed", "This note is signed and is no longer changed. Write an addendum.")


class NotSigned(Conflict):
    def __init__(self) -> None:
        super().__init__("note_not_signed", "This note is not signed yet.")


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a note, with the text it starts from."""

    code: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """The sections of the notes of some families of procedures."""

    code: str
    name: str
    families: frozenset[str]
    sections: tuple[Section, ...]


@cache
def templates() -> Mapping[str, Template]:
    """Return all templates by code; the last one is for every family that has none of its own."""
    content, _ = yaml_files.read(TEMPLATES)
    return {
        row["id"]: Template(
            row["id"],
            row["name"],
            frozenset(row["families"]),
            tuple(Section(one["id"], one["name"], one["text"]) for one in row["sections"]),
        )
        for row in content["templates"]
    }


def template_for(procedure: Procedure | None) -> Template:
    """Return the template of a procedure's family."""
    family = procedure.family if procedure is not None else ""
    return next((one for one in templates().values() if family in one.families), templates()["general"])


def template_of(note: ClinicalNote) -> Template:
    """Return the template by which a note was written."""
    return templates().get(note.template, templates()["general"])


def prefilled(procedure: Procedure, *, side: str, levels: Sequence[str], guidance: str) -> dict[str, str]:
    """Return the sections of a note as it starts, with what is known of the case put in."""
    how = guiding.in_sentence(guidance) if guidance and guidance != "none" else ""
    what = ", ".join(part for part in (procedure.name, SIDES.get(side, ""), " and ".join(levels), how) if part)
    return {one.code: one.text.replace("{what}", what) for one in template_for(procedure).sections}


def write(*, performed: PerformedProcedure, sections: Mapping[str, str], by: Actor, at: datetime) -> ClinicalNote:
    """Write the note of a performed procedure, not signed yet.

    Raises:
        MayNotRecord: the actor may not record what was done.
        FieldRefused: a section is not one of the template's, or too long.
    """
    template = template_for(performed.procedure)
    values = {"performed": performed, "template": template.code, "sections": _checked(template, sections)}
    return records.record(kind=ClinicalNote, patient=performed.patient, values=values, by=by, at=at)


def edit(*, note: ClinicalNote, sections: Mapping[str, str], by: Actor, at: datetime, version: int | None = None) -> ClinicalNote:
    """Change a note that is not signed; the row history keeps what it said.

    Raises:
        NoteSigned: it is signed.
        MayNotRecord, FieldRefused, FactStale, NotAFact: as for `records.amend_fact`.
    """
    with transaction.atomic():
        kept = _locked(note)
        if kept.signed_at is not None:
            raise NoteSigned
        whole = {**kept.sections, **_checked(template_of(kept), sections)}
        return records.amend_fact(row=kept, changes={"sections": whole}, by=by, at=at, version=version)


def sign(*, note: ClinicalNote, by: Actor, at: datetime, version: int | None = None) -> ClinicalNote:
    """Sign a note; from then on it is only added to. Signing the same note again changes nothing.

    Raises:
        Forbidden: the actor may not sign.
        NoteSigned: somebody else signed it.
        FactStale: it is not the version that was read.
    """
    signer = signer_of(by)
    with transaction.atomic():
        kept = _locked(note)
        if kept.signed_at is not None:
            if kept.signed_by_id == by.user_id:
                return kept
            raise NoteSigned
        changes = {"signed_at": at, "signed_by": signer}
        return records.amend_fact(row=kept, changes=changes, by=by, at=at, version=version, reason="sign")


def cosign(*, note: ClinicalNote, by: Actor, at: datetime, version: int | None = None) -> ClinicalNote:
    """Co-sign a note that a colleague has signed.

    Raises:
        Forbidden: the actor may not sign.
        NotSigned: nobody has signed it.
        Refused: the actor signed it.
        NoteSigned: it is co-signed by somebody else.
    """
    signer = signer_of(by)
    with transaction.atomic():
        kept = _locked(note)
        if kept.signed_at is None:
            raise NotSigned
        if kept.signed_by_id == by.user_id:
            raise Refused("own_note", "A note is co-signed by somebody else than its signer.")
        if kept.cosigned_at is not None:
            if kept.cosigned_by_id == by.user_id:
                return kept
            raise NoteSigned
        changes = {"cosigned_at": at, "cosigned_by": signer}
        return records.amend_fact(row=kept, changes=changes, by=by, at=at, version=version, reason="cosign")


def add(*, note: ClinicalNote, text: str, by: Actor, at: datetime) -> Addendum:
    """Add to a signed note.

    Raises:
        NotSigned: a note that is not signed is edited.
        FieldRefused: there is no text, or too much.
        MayNotRecord: the actor may not record what was done.
    """
    if not text.strip() or len(text) > LONGEST:
        raise FieldRefused("unusable", "text", f"Write something, at most {LONGEST:,} characters.")
    if note.signed_at is None:
        raise NotSigned
    values = {"clinical_note": note, "text": text.strip()}
    return records.record(kind=Addendum, patient=note.patient, values=values, by=by, at=at)


def _checked(template: Template, sections: Mapping[str, str]) -> dict[str, str]:
    names = {one.code for one in template.sections}
    for code, text in sections.items():
        if code not in names:
            raise FieldRefused("field_unknown", code, "This note has no such section.")
        if len(text) > LONGEST:
            raise FieldRefused("unusable", code, f"At most {LONGEST:,} characters.")
    return {code: text.strip() for code, text in sections.items()}


def signer_of(by: Actor) -> User:
    """Return who signs, or refuse."""
    if not by.may(SIGN) or by.user_id is None:
        raise Forbidden("not_allowed", "You may not sign notes.")
    return User.objects.get(pk=by.user_id)


def _locked(note: ClinicalNote) -> ClinicalNote:
    return ClinicalNote.objects.select_for_update(no_key=True, of=("self",)).select_related("patient").get(pk=note.pk)
