"""The reference of booking over HTTP: a plain Django view that writes the same rows by the ORM, locks and constraint on.

It asks for a token and keeps a request key, because those are rows and reads of the same act; it judges nothing, knows
no roles and no middleware, and answers with an id.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from pain_clinic.accounts.models import ApiToken, RequestKey, Site
from pain_clinic.audit.models import AuditEvent
from patients.models import Patient, PatientSite
from procedures.models import Procedure
from scheduling.intervals import midnight, ones, pack, unpack
from scheduling.models import Allocation, Appointment, FreeTime, Message, Resource

ORDER = ("prep", "procedure", "recovery", "turnover")


def live(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def book(request: HttpRequest) -> HttpResponse:
    secret = request.headers.get("Authorization", "").partition(" ")[2]
    token = ApiToken.objects.select_related("user").filter(digest=ApiToken.digest_of(secret)).first()
    if token is None:
        return JsonResponse({}, status=401)
    asked = json.loads(request.body)
    procedure = Procedure.objects.prefetch_related("needs").get(code=asked["procedure"])
    site = Site.objects.get(public_id=asked["site"])
    try:
        with transaction.atomic():
            return _book(request, token.user, asked, procedure, site)
    except (_Taken, IntegrityError):
        return JsonResponse({}, status=409)


class _Taken(Exception):
    """The bits say that somebody has it."""


def _book(request: HttpRequest, user: Any, asked: dict[str, Any], procedure: Procedure, site: Site) -> HttpResponse:
    at = datetime.now(UTC)
    key = RequestKey.objects.create(
        actor_key=f"user:{user.pk}", verb="book", key=request.headers["Idempotency-Key"], body_hash="", created_at=at
    )
    patient = Patient.objects.select_for_update(no_key=True).get(public_id=asked["patient"])
    units = {
        unit.kind: unit
        for unit in Resource.objects.filter(public_id__in=asked["resources"]).order_by("pk").select_for_update(no_key=True)
    }
    starts = datetime.fromisoformat(asked["starts_at"])
    out = starts + timedelta(minutes=procedure.room_minutes)
    spans = {
        "prep": (starts - timedelta(minutes=procedure.prep_minutes), starts), "procedure": (starts, out),
        "recovery": (out, out + timedelta(minutes=procedure.recovery_minutes)),
        "turnover": (out, out + timedelta(minutes=procedure.turnover_minutes)),
    }  # fmt: skip
    runs = []
    for need in procedure.needs.all():
        legs = [leg for leg in ORDER if leg in need.legs]
        runs.append((units[need.kind], legs, spans[legs[0]][0], spans[legs[-1]][1]))
    day = starts.astimezone(UTC).date()
    free = {row.resource_id: row for row in FreeTime.objects.filter(resource__in=list(units.values()), site=site, day=day)}
    for unit, _, begins, ends in runs:
        first, stop = ((moment - midnight(day)) // timedelta(minutes=5) for moment in (begins, ends))
        bits, mask = unpack(free[unit.pk].bits), ones(first, stop)
        if bits & mask != mask:
            raise _Taken
        free[unit.pk].bits = pack(bits & ~mask)
    wall = starts.astimezone(ZoneInfo(site.time_zone))
    case = Appointment.objects.create(
        patient=patient, procedure=procedure, site=site, side=asked["side"], arrives_at=spans["prep"][0], starts_at=starts,
        ends_at=out, leaves_at=spans["recovery"][1], local_date=wall.date(), local_time=wall.time(), zone=site.time_zone,
        source="api", created_at=at, created_by=user,
    )  # fmt: skip
    Allocation.objects.bulk_create(
        Allocation(
            resource=unit, site=site, appointment=case, kind=unit.kind, legs=legs, starts_at=begins, ends_at=ends, created_at=at
        )
        for unit, legs, begins, ends in runs
    )
    FreeTime.objects.bulk_update(free.values(), ["bits"])
    PatientSite.objects.get_or_create(patient=patient, site=site, because="appointment", defaults={"since": at})
    Message.objects.create(
        appointment=case, patient=patient, kind="confirmation", version=1, due_at=at, priority=1, created_at=at
    )
    AuditEvent.objects.create(
        at=at, actor_kind="user", user=user, actor_name=user.username, act="scheduling.book", outcome="done",
        subject_kind="scheduling.appointment", subject_id=case.public_id, patient_id=patient.public_id, site_id=site.pk,
        request_id=uuid.uuid4().hex, details={"version": 1},
    )  # fmt: skip
    answer = {"id": str(case.public_id), "starts_at": case.starts_at, "status": case.status}
    key.status, key.answer = 201, json.dumps(answer, default=str)
    key.save(update_fields=["status", "answer"])
    return JsonResponse(answer, status=201)


urlpatterns = [path("health/live", live), path("api/v1/appointments/", book)]
