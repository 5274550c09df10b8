"""The catalogue through the API: read only; changes are made on its pages."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules
from procedures.models import Procedure

READ = {"GET": "procedures.view_catalogue"}


class NeedOut(serializers.Serializer[object]):
    kind = serializers.CharField()
    attribute = serializers.CharField()
    count = serializers.IntegerField()
    legs = serializers.ListField(child=serializers.CharField())


class ProcedureOut(serializers.Serializer[object]):
    """A procedure as the clinic offers it; minutes are bookable lengths."""

    id = serializers.UUIDField(source="public_id")
    code = serializers.CharField()
    name = serializers.CharField()
    short_name = serializers.CharField()
    category = serializers.CharField()
    family = serializers.CharField()
    is_offered = serializers.BooleanField()
    regions = serializers.ListField(child=serializers.CharField())
    laterality = serializers.ListField(child=serializers.CharField())
    max_levels = serializers.IntegerField(allow_null=True)
    guidance_default = serializers.CharField()
    planned_sedation = serializers.CharField()
    bleeding_class = serializers.CharField()
    driver = serializers.CharField()
    prep_minutes = serializers.IntegerField()
    room_minutes = serializers.IntegerField()
    recovery_minutes = serializers.IntegerField()
    turnover_minutes = serializers.IntegerField()
    needs = NeedOut(many=True)


class Procedures(rest.View):
    """List the catalogue in its order."""

    required = READ

    @extend_schema(operation_id="procedures_list", responses=ProcedureOut(many=True))
    def get(self, request: Request) -> Response:
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(Procedure.objects.in_order().prefetch_related("needs"), request, self)
        return pages.get_paginated_response(ProcedureOut(rows, many=True).data)


class OneProcedure(rest.View):
    """Read one procedure with what it needs."""

    required = READ

    @extend_schema(operation_id="procedures_read", responses=ProcedureOut)
    def get(self, request: Request, public_id: str) -> Response:
        row = get_object_or_404(Procedure.objects.prefetch_related("needs"), public_id=public_id)
        return Response(ProcedureOut(row).data, headers={"ETag": rest.etag(row.version)})
