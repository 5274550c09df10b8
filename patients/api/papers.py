"""Scans through the API, their bytes in base64: list, keep, take away, mark as a mistake."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.audit import trail
from patients import papers, records
from patients.api import reaching
from patients.api.facts import MistakeIn
from patients.models import Consent, Paper, PaperKind, Patient

WRITE = "patients.record_clinical"
LONGEST = 5 * 1024 * 1024  # of the text; no body is longer anyway


class PaperLineOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    kind = serializers.CharField()
    consent = serializers.UUIDField(source="consent.public_id", allow_null=True, default=None)
    file_name = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField()
    digest = serializers.CharField(help_text="SHA-256 of the bytes.")
    note = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    is_in_error = serializers.BooleanField()
    version = serializers.IntegerField()


class PaperOut(PaperLineOut):
    content = serializers.SerializerMethodField(help_text="The bytes in base64.")

    def get_content(self, paper: Paper) -> str:
        return base64.b64encode(bytes(paper.content.data)).decode("ascii")


class PaperIn(serializers.Serializer[object]):
    """A scan to be kept: PDF, JPEG or PNG. For a consent, the consent that it is the signed sheet of."""

    kind = serializers.ChoiceField(choices=PaperKind.choices)
    content = serializers.CharField(max_length=LONGEST, help_text="The bytes in base64.")
    file_name = rest.Text(max_length=papers.LONGEST_NAME, required=False, allow_blank=True, default="")
    note = rest.Text(max_length=300, required=False, allow_blank=True, default="")
    consent = serializers.UUIDField(required=False, allow_null=True, default=None)

    def validate_content(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise serializers.ValidationError("This is not base64.") from error


class PatientPapers(rest.View):
    """List a patient's scans, newest first, without their bytes, or keep one."""

    required = {"GET": papers.READ, "POST": WRITE}

    @extend_schema(operation_id="papers_list", responses=PaperLineOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient, pages = _patient(request, public_id), rest_rules.Pages()
        rows = Paper.objects.of(patient).select_related("patient", "consent").order_by("-recorded_at", "-pk")
        found = pages.paginate_queryset(rows, request, self)
        trail.record(
            by=self.actor, act="patients.read_papers", subject=patient, patient=patient.public_id,
            site_id=patient.home_site_id, details={"count": len(found or ())},
        )  # fmt: skip
        return pages.get_paginated_response(PaperLineOut(found, many=True).data)

    @extend_schema(operation_id="papers_keep", request=PaperIn, responses={201: PaperLineOut})
    def post(self, request: Request, public_id: str) -> Response:
        patient = _patient(request, public_id)
        given = PaperIn(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        consent = _consent(patient, said["consent"])

        def produce() -> Response:
            upload = papers.Upload(said["file_name"], said["content"])
            made = papers.keep(
                patient=patient, kind=said["kind"], upload=upload, consent=consent, note=said["note"], by=self.actor, at=web.now()
            )
            return _answer(made, 201)

        try:
            return rest.once(request, "papers.keep", produce)  # type: ignore[return-value]
        except records.FieldRefused as refusal:
            if refusal.field == "paper":  # which is called so on pages
                raise serializers.ValidationError({"content": [refusal.message]}) from refusal
            raise


class OnePaper(rest.View):
    """Take a scan away, recorded as read, or mark it as kept by mistake under If-Match: it stays, and is shown no more."""

    required = {"GET": papers.READ, "DELETE": WRITE}

    @extend_schema(operation_id="papers_read", responses=PaperOut)
    def get(self, request: Request, public_id: str) -> Response:
        row = _paper(request, public_id)
        trail.record(by=self.actor, act="patients.read_paper", subject=row, patient=row.patient.public_id)
        return _answer(row, shape=PaperOut)

    @extend_schema(operation_id="papers_mistake", request=MistakeIn, responses=PaperLineOut)
    def delete(self, request: Request, public_id: str) -> Response:
        row = _paper(request, public_id)
        given = MistakeIn(data=request.data)
        given.is_valid(raise_exception=True)

        def produce() -> Response:
            rest.check_version(request, row.version, must=True)
            reason = given.validated_data["reason"]
            return _answer(
                records.mark_in_error(row=row, reason=reason, by=self.actor, at=web.now(), version=row.version)
            )  # fmt: skip

        return rest.once(request, f"papers.mistake:{public_id}", produce)  # type: ignore[return-value]


def _answer(row: Paper, status: int = 200, *, shape: type[PaperLineOut] = PaperLineOut) -> Response:
    """Return a scan with the tag of the version that was read; its bytes only where they are asked for."""
    shown = Paper.objects.select_related("patient", "consent", "content").get(pk=row.pk)
    return Response(shape(shown).data, status=status, headers={"ETag": rest.etag(shown.version)})


def _patient(request: Request, public_id: str) -> Patient:
    return reaching.the_patient(request, public_id)


def _paper(request: Request, public_id: str) -> Paper:
    return reaching.the_row(request, Paper, public_id)


def _consent(patient: Patient, public_id: Any) -> Consent | None:
    """Return the consent of this patient that is named, if one is."""
    if public_id is None:
        return None
    found = Consent.objects.of(patient).filter(public_id=public_id).first()
    if found is None:
        raise serializers.ValidationError({"consent": ["There is no such consent of this patient."]})
    return found
