"""Coverage and authorisations through the API: list, record, amend under If-Match, mark as a mistake."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.audit import trail
from patients import coverage, records
from patients.api.rest import visible
from patients.models import Authorization, Coverage, Decision, Patient, PlanType, Recorded
from procedures.levels import SIDE_LABELS


class CoverageChange(serializers.Serializer[object]):
    """What may be changed; leave out what stays."""

    payer = rest.Text(max_length=120, required=False)
    payer_rules = rest.Text(max_length=60, required=False, help_text="A rule set of the clinic's, or none.")
    plan_type = serializers.ChoiceField(choices=PlanType.choices, required=False)
    member_number = rest.Text(max_length=40, required=False, allow_blank=True)
    state = serializers.RegexField(r"^([A-Z]{2})?$", required=False, allow_blank=True)
    place_of_service = serializers.RegexField(r"^(\d{2})?$", required=False, allow_blank=True)
    valid_from = serializers.DateField(required=False, allow_null=True)
    valid_until = serializers.DateField(required=False, allow_null=True)
    year_anchor = serializers.DateField(required=False, allow_null=True)
    rank = serializers.IntegerField(min_value=1, max_value=9, required=False)
    note = rest.Text(max_length=300, required=False, allow_blank=True)


class CoverageIn(CoverageChange):
    payer = rest.Text(max_length=120)
    payer_rules = rest.Text(max_length=60, help_text="A rule set of the clinic's, or none.")
    plan_type = serializers.ChoiceField(choices=PlanType.choices)


class CoverageOut(CoverageIn):
    id = serializers.UUIDField(source="public_id")
    version = serializers.IntegerField()


class AuthorizationChange(serializers.Serializer[object]):
    """What may be changed; leave out what stays. `case` binds it to one appointment."""

    number = rest.Text(max_length=40, required=False, allow_blank=True)
    covers = rest.Text(max_length=60, required=False, help_text="A procedure or a family of the catalogue.")
    codes = serializers.ListField(child=serializers.RegexField(r"^[A-Z0-9]{5}$"), required=False, max_length=20)
    side = serializers.ChoiceField(choices=list(SIDE_LABELS.items()), required=False, allow_blank=True)
    levels = serializers.ListField(child=rest.Text(max_length=24), required=False, max_length=20)
    status = serializers.ChoiceField(choices=Decision.choices, required=False)
    asked_on = serializers.DateField(required=False, allow_null=True)
    decided_on = serializers.DateField(required=False, allow_null=True)
    valid_from = serializers.DateField(required=False, allow_null=True)
    valid_until = serializers.DateField(required=False, allow_null=True)
    units = serializers.IntegerField(min_value=1, max_value=999, required=False, allow_null=True)
    case = serializers.UUIDField(required=False, allow_null=True)
    note = rest.Text(max_length=300, required=False, allow_blank=True)


class AuthorizationIn(AuthorizationChange):
    coverage = serializers.UUIDField()
    covers = rest.Text(max_length=60, help_text="A procedure or a family of the catalogue.")


class AuthorizationOut(AuthorizationChange):
    id = serializers.UUIDField(source="public_id")
    coverage = serializers.UUIDField(source="coverage.public_id")
    units_left = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField()


class Mistake(serializers.Serializer[object]):
    reason = rest.Text(max_length=200)


class _Rows(rest.View):
    """The rows of one kind of a patient."""

    required = {"GET": "patients.view_coverage", "POST": "patients.change_coverage"}

    def patient(self, request: Request, public_id: Any) -> Patient:
        """Return a patient whom the asker may see."""
        found: Patient = get_object_or_404(visible(request), public_id=public_id)
        return found

    def read(self, patient: Patient) -> None:
        """Record that what is on file was read."""
        trail.record(by=self.actor, act="patients.read_coverage", subject=patient, patient=patient.public_id)

    def record(self, request: Request, kind: type[Recorded], patient: Patient, values: dict[str, Any]) -> Response:
        """Write one row down, once for a request key."""

        def produce() -> Response:
            row = records.record(kind=kind, patient=patient, values=values, by=self.actor, at=web.now())
            return answer(row, status=201)

        act = f"patients.record_{kind._meta.model_name}:{patient.public_id}"
        return rest.once(request, act, produce)  # type: ignore[return-value]


class Plans(_Rows):
    """Who pays for a patient."""

    @extend_schema(operation_id="coverage_list", responses=CoverageOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient = self.patient(request, public_id)
        self.read(patient)
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(Coverage.objects.of(patient).order_by("rank", "-recorded_at", "-pk"), request, self)
        return pages.get_paginated_response(CoverageOut(rows, many=True).data)

    @extend_schema(operation_id="coverage_record", request=CoverageIn, responses={201: CoverageOut})
    def post(self, request: Request, public_id: str) -> Response:
        patient = self.patient(request, public_id)
        given = CoverageIn(data=request.data)
        given.is_valid(raise_exception=True)
        return self.record(request, Coverage, patient, dict(given.validated_data))


class Authorizations(_Rows):
    """What payers have authorised for a patient."""

    @extend_schema(operation_id="authorizations_list", responses=AuthorizationOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient = self.patient(request, public_id)
        self.read(patient)
        pages = rest_rules.Pages()
        rows = Authorization.objects.of(patient).select_related("coverage").order_by("-recorded_at", "-pk")
        found = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response(AuthorizationOut(counted(list(found or ())), many=True).data)

    @extend_schema(operation_id="authorizations_record", request=AuthorizationIn, responses={201: AuthorizationOut})
    def post(self, request: Request, public_id: str) -> Response:
        patient = self.patient(request, public_id)
        given = AuthorizationIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        plan = Coverage.objects.of(patient).filter(public_id=values["coverage"]).first()
        if plan is None:
            raise serializers.ValidationError({"coverage": ["This patient has no such coverage."]})
        return self.record(request, Authorization, patient, {**values, "coverage": plan})


class _Row(rest.View):
    """One row: amend it under If-Match, or say that it was a mistake."""

    required = {"PATCH": "patients.change_coverage", "DELETE": "patients.change_coverage"}
    model: type[Recorded]

    def row(self, request: Request, public_id: Any) -> Any:
        """Return a standing row of a patient whom the asker may see."""
        rows = self.model._default_manager.filter(is_in_error=False, patient__in=visible(request))
        return get_object_or_404(rows.select_related("patient"), public_id=public_id)

    def amend(self, request: Request, row: Any, changes: dict[str, Any]) -> Response:
        """Change the row that If-Match names."""

        def produce() -> Response:
            rest.check_version(request, row.version, must=True)
            return answer(records.amend_fact(row=row, changes=changes, by=self.actor, at=web.now(), version=row.version))

        return rest.once(request, f"patients.amend:{row.public_id}", produce)  # type: ignore[return-value]

    def mistake(self, request: Request, row: Any) -> Response:
        """Mark the row as written down by mistake; it stays to be seen and counts for nothing."""
        given = Mistake(data=request.data)
        given.is_valid(raise_exception=True)

        def produce() -> Response:
            rest.check_version(request, row.version, must=True)
            reason = given.validated_data["reason"]
            return answer(records.mark_in_error(row=row, reason=reason, by=self.actor, at=web.now(), version=row.version))

        return rest.once(request, f"patients.mistake:{row.public_id}", produce)  # type: ignore[return-value]


class OnePlan(_Row):
    """One plan."""

    model = Coverage

    @extend_schema(operation_id="coverage_amend", request=CoverageChange, responses=CoverageOut)
    def patch(self, request: Request, public_id: str) -> Response:
        row = self.row(request, public_id)
        given = CoverageChange(data=request.data)
        given.is_valid(raise_exception=True)
        return self.amend(request, row, dict(given.validated_data))

    @extend_schema(operation_id="coverage_mistake", request=Mistake, responses=CoverageOut)
    def delete(self, request: Request, public_id: str) -> Response:
        return self.mistake(request, self.row(request, public_id))


class OneAuthorization(_Row):
    """One authorisation."""

    model = Authorization

    @extend_schema(operation_id="authorizations_amend", request=AuthorizationChange, responses=AuthorizationOut)
    def patch(self, request: Request, public_id: str) -> Response:
        row = self.row(request, public_id)
        given = AuthorizationChange(data=request.data)
        given.is_valid(raise_exception=True)
        return self.amend(request, row, dict(given.validated_data))

    @extend_schema(operation_id="authorizations_mistake", request=Mistake, responses=AuthorizationOut)
    def delete(self, request: Request, public_id: str) -> Response:
        return self.mistake(request, self.row(request, public_id))


def counted(rows: list[Authorization]) -> list[Authorization]:
    """Return authorisations, each with the units that are left of it."""
    used = coverage.units_used(row.pk for row in rows)
    for row in rows:
        row.units_left = None if row.units is None else max(row.units - used.get(row.pk, 0), 0)  # type: ignore[attr-defined]
    return rows


def answer(row: Any, status: int = 200) -> Response:
    """Return a row with the tag of its version."""
    if isinstance(row, Authorization):
        data = AuthorizationOut(counted([row])[0]).data
    else:
        data = CoverageOut(row).data
    return Response(data, status=status, headers={"ETag": rest.etag(row.version)})
