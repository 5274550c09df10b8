"""Patients through the API. Names are searched by POST, so that none stands in a URL or a log."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import languages, rest, rest_rules, web
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients import records
from patients.models import Patient, PatientQuerySet, Sex

NAME, SHORT = 120, 80


class PatientOut(serializers.Serializer[object]):
    id = serializers.UUIDField(source="public_id")
    record_number = serializers.CharField()
    external_id = serializers.CharField(allow_null=True)
    last_name = serializers.CharField()
    first_name = serializers.CharField()
    birth_date = serializers.DateField()
    sex = serializers.CharField()
    email = serializers.CharField()
    phone = serializers.SerializerMethodField()
    language = serializers.CharField()
    payer = serializers.CharField()
    home_site = serializers.UUIDField(source="home_site.public_id")
    time_zone = serializers.CharField()
    accepts_email = serializers.BooleanField()
    accepts_details = serializers.BooleanField()
    deceased_on = serializers.DateField(allow_null=True)
    version = serializers.IntegerField()

    def get_phone(self, patient: Patient) -> str:
        return str(patient.phone or "")


class LanguageField(serializers.ChoiceField):
    """One of the languages that are offered now; fields are made anew for each request."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            choices=languages.choices(), error_messages={"invalid_choice": f"Choose one of: {languages.known()}."}, **kwargs
        )


class PatientChange(serializers.Serializer[object]):
    """What may be changed; leave out what stays."""

    last_name = serializers.CharField(max_length=NAME, required=False)
    first_name = serializers.CharField(max_length=NAME, required=False)
    birth_date = serializers.DateField(required=False)
    sex = serializers.ChoiceField(choices=Sex.choices, required=False)
    email = serializers.CharField(max_length=254, required=False, allow_blank=True)
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    language = LanguageField(required=False)
    payer = serializers.CharField(max_length=NAME, required=False, allow_blank=True)
    external_id = serializers.CharField(max_length=SHORT, required=False, allow_null=True)
    time_zone = serializers.CharField(max_length=64, required=False, allow_blank=True)
    accepts_email = serializers.BooleanField(required=False)
    accepts_details = serializers.BooleanField(required=False)
    deceased_on = serializers.DateField(required=False, allow_null=True)
    home_site = serializers.UUIDField(required=False)


class PatientIn(PatientChange):
    last_name = serializers.CharField(max_length=NAME)
    first_name = serializers.CharField(max_length=NAME)
    birth_date = serializers.DateField()
    home_site = serializers.UUIDField()
    is_another_person = serializers.BooleanField(required=False, default=False)


class PatientSearch(serializers.Serializer[object]):
    """Words of a name, a record number or a telephone; a birth date narrows it."""

    words = serializers.CharField(max_length=NAME, required=False, allow_blank=True, default="")
    birth_date = serializers.DateField(required=False)


def visible(request: Request) -> PatientQuerySet:
    """Return the patients whom the asker may see, in order of name."""
    return Patient.objects.visible_to(web.member(request)).in_name_order().with_home()


def site_of(request: Request, public_id: Any) -> Site:
    """Return a site of the asker's, or refuse the field."""
    site = Site.objects.visible_to(request.user).filter(public_id=public_id).first()
    if site is None:
        raise serializers.ValidationError({"home_site": ["There is no such site among yours."]})
    return site


class Patients(rest.View):
    """List patients in order of name, or register one."""

    required = {"GET": "patients.search_patients", "POST": "patients.register_patient"}

    @extend_schema(operation_id="patients_list", responses=PatientOut(many=True))
    def get(self, request: Request) -> Response:
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(visible(request), request, self)
        trail.record(by=self.actor, act="patients.list", details={"count": len(rows or ())})
        return pages.get_paginated_response(PatientOut(rows, many=True).data)

    @extend_schema(operation_id="patients_register", request=PatientIn, responses={201: PatientOut})
    def post(self, request: Request) -> Response:
        given = PatientIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = {**given.validated_data, "home_site": site_of(request, given.validated_data["home_site"])}

        def produce() -> Response:
            patient = records.register(**values, by=self.actor, at=web.now())
            return answer(patient, status=201)

        return rest.once(request, "patients.register", produce)  # type: ignore[return-value]


class PatientSearches(rest.View):
    """Search patients; the words stay in the body."""

    required = {"POST": "patients.search_patients"}

    @extend_schema(operation_id="patients_search", request=PatientSearch, responses=PatientOut(many=True))
    def post(self, request: Request) -> Response:
        given = PatientSearch(data=request.data)
        given.is_valid(raise_exception=True)
        found = visible(request).matching(given.validated_data["words"])
        if "birth_date" in given.validated_data:
            found = found.born_on(given.validated_data["birth_date"])
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(found, request, self)
        trail.record(by=self.actor, act="patients.search", details={"count": len(rows or ())})
        return pages.get_paginated_response(PatientOut(rows, many=True).data)


class OnePatient(rest.View):
    """Read one patient, recorded as read, or amend what is on file under If-Match."""

    required = {"GET": "patients.view_patient", "PATCH": "patients.change_patient"}

    @extend_schema(operation_id="patients_read", responses=PatientOut)
    def get(self, request: Request, public_id: str) -> Response:
        patient = get_object_or_404(visible(request), public_id=public_id)
        trail.record(by=self.actor, act="patients.read", subject=patient, patient=patient.public_id)
        return answer(patient)

    @extend_schema(operation_id="patients_amend", request=PatientChange, responses=PatientOut)
    def patch(self, request: Request, public_id: str) -> Response:
        patient = get_object_or_404(visible(request), public_id=public_id)
        given = PatientChange(data=request.data)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        if "home_site" in changes:
            changes["home_site"] = site_of(request, changes["home_site"])

        def produce() -> Response:
            rest.check_version(request, patient.version, must=True)
            return answer(records.amend(patient=patient, changes=changes, by=self.actor, at=web.now(), version=patient.version))

        return rest.once(request, f"patients.amend:{public_id}", produce)  # type: ignore[return-value]


def answer(patient: Patient, status: int = 200) -> Response:
    """Return a patient with the tag of the version that was read."""
    return Response(PatientOut(patient).data, status=status, headers={"ETag": rest.etag(patient.version)})
