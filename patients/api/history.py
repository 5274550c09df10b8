"""The physician's page of a patient as JSON: the same read, recorded by the same act; and who has seen the record."""

from __future__ import annotations

import uuid
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from patients import access_lists, emergencies, history
from patients.api import history_words as words
from patients.api.reaching import the_patient
from patients.forms import SpanForm


class PatientHistory(rest.View):
    """Read what can hurt, what was done where and what it brought, the figures over time, the ledgers and what comes next.

    Reading it is a recorded act. The timeline comes in pages, narrowed by kind and place.
    """

    required = {"GET": "patients.view_history"}

    @extend_schema(operation_id="history_read", parameters=[words.HistoryIn], responses=words.HistoryOut)
    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        given = words.HistoryIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        patient, user = the_patient(request, public_id), web.member(request)
        said, pages = given.validated_data, rest_rules.Pages()
        asked = history.Asked(
            what="" if said["what"] == words.EVERYTHING else said["what"], place=said["at"], side=said["side"],
            span=said["span"], per_page=history.WHOLE,
        )  # fmt: skip
        found = history.open_history(
            patient=patient, user=user, by=self.actor, today=web.today(request._request), asked=asked
        )  # fmt: skip
        entries = pages.paginate_queryset(list(found.timeline.entries), request, self)
        emergency = emergencies.lasting(patient=patient, user=user, at=web.now())
        shown = {
            "id": patient.public_id,
            "version": patient.version,
            "emergency_until": emergency.ends_at if emergency else None,
            "page": found,
            "timeline": pages.get_paginated_response(entries).data,
        }
        return Response(words.HistoryOut(shown).data)


class PatientAccess(rest.View):
    """List who opened, changed or printed the record, day by day, in the patient's language. Asking is itself recorded."""

    required = {"GET": access_lists.PRINT}

    @extend_schema(operation_id="access_list", parameters=[words.AccessIn], responses=words.AccessOut(many=True))
    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        given = words.AccessIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        patient = the_patient(request, public_id)
        span = SpanForm(request.query_params, today=web.today(request._request))
        if not span.is_valid():
            raise serializers.ValidationError({name: [str(one) for one in told] for name, told in span.errors.items()})
        said, pages = span.cleaned_data, rest_rules.Pages()
        found = access_lists.read(
            patient=patient, first_on=said["first_on"], last_on=said["last_on"], sort=said["sort"], by=self.actor,
            zone=ZoneInfo(patient.home_site.time_zone),
        )  # fmt: skip
        lines = pages.paginate_queryset(list(found.lines), request, self)
        return pages.get_paginated_response(words.AccessOut(lines, many=True).data)


class Emergencies(rest.View):
    """Open the record of a patient of another site for an hour, with a reason; managers are alerted and look at it later.

    Who it is is said exactly: the record number, or first name, last name and birth date. The names stay in the body.
    """

    required = {"POST": emergencies.BREAK}
    act = emergencies.BREAK

    @extend_schema(operation_id="emergencies_open", request=words.EmergencyIn, responses={201: words.EmergencyOut})
    def post(self, request: Request) -> Response:
        given = words.EmergencyIn(data=request.data)
        given.is_valid(raise_exception=True)
        said = dict(given.validated_data)
        reason, text = said.pop("reason"), said.pop("text")

        def produce() -> Response:
            user = web.member(request)
            emergencies.count_try(user)
            access = emergencies.break_glass(
                patient=emergencies.find(**said), user=user, reason=reason, text=text, by=self.actor, at=web.now()
            )
            return Response(words.EmergencyOut(access).data, status=201)

        return rest.once(request, emergencies.BREAK, produce)  # type: ignore[return-value]
