"""Papers for the payer through the API: which are on file for each problem treated, read and said by whoever collects them."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.audit import trail
from patients import problems
from patients.api import reaching
from patients.models import Presentation
from patients.models.records import LONGEST_WORD

MOST = 40


def _words(text: str) -> serializers.ListField:
    return serializers.ListField(
        child=rest.Text(max_length=LONGEST_WORD), max_length=MOST, help_text=text, required=False
    )  # fmt: skip


class PayerPapersOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    name = serializers.CharField()
    icd10 = serializers.CharField()
    side = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField())
    on_file = serializers.ListField(child=serializers.CharField())
    missing = serializers.ListField(child=serializers.CharField())
    version = serializers.IntegerField()


class PayerPapersChange(serializers.Serializer[object]):
    """Which papers are on file, and which are known to be missing: words of the tables. Leave out what stays."""

    on_file = _words("On file.")
    missing = _words("Known not to be met.")


class PatientPayerPapers(rest.View):
    """List the problems treated of a patient, newest first, with their papers for the payer."""

    required = {"GET": problems.KEEP}

    @extend_schema(operation_id="payer_papers_list", responses=PayerPapersOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient = reaching.the_patient(request, public_id)
        pages = rest_rules.Pages()
        rows = Presentation.objects.of(patient).select_related("patient").order_by("-recorded_at", "-pk")
        found = pages.paginate_queryset(rows, request, self)
        trail.record(
            by=self.actor, act="patients.read_payer_papers", subject=patient, patient=patient.public_id,
            site_id=patient.home_site_id, details={"count": len(found or ())},
        )  # fmt: skip
        return pages.get_paginated_response(PayerPapersOut(found, many=True).data)


class OnePayerPapers(rest.View):
    """Say under If-Match which papers for the payer are on file for a problem; nothing else of it changes."""

    required = {"PATCH": problems.KEEP}

    @extend_schema(operation_id="payer_papers_keep", request=PayerPapersChange, responses=PayerPapersOut)
    def patch(self, request: Request, public_id: str) -> Response:
        row = reaching.the_row(request, Presentation, public_id)
        given = PayerPapersChange(data=request.data)
        given.is_valid(raise_exception=True)
        said = {"on_file": row.on_file, "missing": row.missing, **given.validated_data}

        def produce() -> Response:
            rest.check_version(request, row.version, must=True)
            kept = problems.keep_papers(problem=row, **said, by=self.actor, at=web.now(), version=row.version)
            return Response(PayerPapersOut(kept).data, headers={"ETag": rest.etag(kept.version)})

        return rest.once(request, f"payer_papers.keep:{public_id}", produce)  # type: ignore[return-value]
