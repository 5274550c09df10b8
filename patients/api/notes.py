"""Doors of notes: write one for a performed procedure, read, edit, sign, co-sign, add to. Reading is a recorded act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.audit import trail
from pain_clinic.texts import clean_lines
from patients import notes
from patients.api import reaching
from patients.models import Addendum, ClinicalNote, Patient, PerformedProcedure

READ, WRITE = "patients.record_performed", "patients.record_performed"
SECTIONS = 20
JOINED = ("patient", "performed", "recorded_by", "signed_by", "cosigned_by")


class Lines(serializers.CharField):
    """Text of several lines, cleaned as on the pages, or refused in words."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_lines(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(f"This text {error}.", code="text_unusable") from error


class AddendumOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    text = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    recorded_by = serializers.CharField(source="recorded_by.shown_name", default="")


class NoteOut(serializers.Serializer[object]):
    """A note with what was added to it. `sections` are texts by the codes of its template."""

    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    performed = serializers.UUIDField(source="performed.public_id")
    template = serializers.CharField()
    sections = serializers.DictField(child=serializers.CharField())
    recorded_at = serializers.DateTimeField()
    recorded_by = serializers.CharField(source="recorded_by.shown_name", default="")
    signed_at = serializers.DateTimeField(allow_null=True)
    signed_by = serializers.CharField(source="signed_by.shown_name", default="")
    cosigned_at = serializers.DateTimeField(allow_null=True)
    cosigned_by = serializers.CharField(source="cosigned_by.shown_name", default="")
    addenda = serializers.SerializerMethodField()
    version = serializers.IntegerField()

    def get_addenda(self, note: ClinicalNote) -> list[dict[str, Any]]:
        rows = Addendum.objects.standing().filter(clinical_note=note.pk).select_related("recorded_by")
        return list(AddendumOut(rows.order_by("recorded_at", "pk"), many=True).data)


class NoteLine(serializers.Serializer[object]):
    """A note as lists name it, without its text."""

    id = serializers.UUIDField(source="public_id")
    performed = serializers.UUIDField(source="performed.public_id")
    template = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    signed_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()


class NoteChange(serializers.Serializer[object]):
    """Sections by their codes; those left out stay."""

    sections = serializers.DictField(child=Lines(max_length=notes.LONGEST, allow_blank=True))

    def validate_sections(self, sections: dict[str, str]) -> dict[str, str]:
        if len(sections) > SECTIONS:
            raise serializers.ValidationError("These are too many sections.")
        return sections


class NoteIn(NoteChange):
    performed = serializers.UUIDField()


class AddendumIn(serializers.Serializer[object]):
    text = Lines(max_length=notes.LONGEST)


def answer(note: ClinicalNote, status: int = 200) -> Response:
    """Return a note with the tag of the version that was read."""
    shown = ClinicalNote.objects.select_related(*JOINED).get(pk=note.pk)
    return Response(NoteOut(shown).data, status=status, headers={"ETag": rest.etag(shown.version)})


class PatientNotes(rest.View):
    """List the notes of a patient, newest first, or write the one of a performed procedure."""

    required = {"GET": READ, "POST": WRITE}

    @extend_schema(operation_id="notes_list", responses=NoteLine(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient, pages = _patient(request, public_id), rest_rules.Pages()
        rows = ClinicalNote.objects.of(patient).select_related("performed").order_by("-recorded_at", "-pk")
        found = pages.paginate_queryset(rows, request, self)
        trail.record(
            by=self.actor, act="patients.list_notes", subject=patient, patient=patient.public_id,
            details={"count": len(found or ())},
        )  # fmt: skip
        return pages.get_paginated_response(NoteLine(found, many=True).data)

    @extend_schema(operation_id="notes_write", request=NoteIn, responses={201: NoteOut})
    def post(self, request: Request, public_id: str) -> Response:
        patient = _patient(request, public_id)
        given = NoteIn(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        rows = PerformedProcedure.objects.of(patient).filter(public_id=said["performed"], clinical_note=None)
        performed = rows.select_related("procedure").first()
        if performed is None:
            raise serializers.ValidationError({"performed": ["There is no such procedure of this patient without a note."]})

        def produce() -> Response:
            made = notes.write(performed=performed, sections=said["sections"], by=self.actor, at=web.now())
            return answer(made, 201)

        return rest.once(request, "notes.write", produce)  # type: ignore[return-value]


class OneNote(rest.View):
    """Read one note, recorded as read, or edit it under If-Match while it is not signed."""

    required = {"GET": READ, "PATCH": WRITE}

    @extend_schema(operation_id="notes_read", responses=NoteOut)
    def get(self, request: Request, public_id: str) -> Response:
        note = _note(request, public_id)
        trail.record(by=self.actor, act="patients.read_note", subject=note, patient=note.patient.public_id)
        return answer(note)

    @extend_schema(operation_id="notes_edit", request=NoteChange, responses=NoteOut)
    def patch(self, request: Request, public_id: str) -> Response:
        return _act(
            self, request, public_id, NoteChange,
            lambda note, said: notes.edit(
                note=note, sections=said["sections"], by=self.actor, at=web.now(), version=note.version
            ),
        )  # fmt: skip


class Sign(rest.View):
    """Sign a note, under If-Match."""

    required = {"POST": notes.SIGN}

    @extend_schema(operation_id="notes_sign", request=None, responses=NoteOut)
    def post(self, request: Request, public_id: str) -> Response:
        return _act(
            self, request, public_id, None,
            lambda note, _: notes.sign(note=note, by=self.actor, at=web.now(), version=note.version),
        )  # fmt: skip


class Cosign(rest.View):
    """Co-sign a note that a colleague signed, under If-Match."""

    required = {"POST": notes.SIGN}

    @extend_schema(operation_id="notes_cosign", request=None, responses=NoteOut)
    def post(self, request: Request, public_id: str) -> Response:
        return _act(
            self, request, public_id, None,
            lambda note, _: notes.cosign(note=note, by=self.actor, at=web.now(), version=note.version),
        )  # fmt: skip


class Addenda(rest.View):
    """Add to a signed note, under If-Match."""

    required = {"POST": WRITE}

    @extend_schema(operation_id="notes_add", request=AddendumIn, responses=NoteOut)
    def post(self, request: Request, public_id: str) -> Response:
        def add(note: ClinicalNote, said: dict[str, Any]) -> ClinicalNote:
            notes.add(note=note, text=said["text"], by=self.actor, at=web.now())
            return note

        return _act(self, request, public_id, AddendumIn, add)


def _act(
    view: rest.View,
    request: Request,
    public_id: str,
    shape: type[serializers.Serializer[object]] | None,
    verb: Callable[[ClinicalNote, dict[str, Any]], ClinicalNote],
) -> Response:
    """Find a note, check its version, call one verb, answer."""
    note = _note(request, public_id)
    said: dict[str, Any] = {}
    if shape is not None:
        given = shape(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data

    def produce() -> Response:
        rest.check_version(request, note.version, must=True)
        return answer(verb(note, said))

    return rest.once(request, f"notes.{type(view).__name__.lower()}:{public_id}", produce)  # type: ignore[return-value]


def _patient(request: Request, public_id: str) -> Patient:
    return reaching.the_patient(request, public_id)


def _note(request: Request, public_id: str) -> ClinicalNote:
    return reaching.the_row(request, ClinicalNote, public_id, *JOINED)
