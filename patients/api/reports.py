"""Doors of outcomes: what each session of a patient brought, and the report over all patients."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients import reports
from patients.api import reaching
from patients.models import PerformedProcedure
from patients.reports import EDGES, By


class SessionOut(serializers.Serializer[object]):
    """What a performed procedure brought so far. Percentages are relief against the score before it."""

    performed = serializers.UUIDField(source="public_id")
    procedure = serializers.CharField(source="procedure.code", default="")
    done_on = serializers.DateField()
    side = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField())
    measure = serializers.CharField(source="outcome.measure", default="")
    baseline = serializers.DecimalField(6, 2, source="outcome.baseline", default=None, allow_null=True)
    score_count = serializers.IntegerField(source="outcome.score_count", default=0)
    first_pct = serializers.DecimalField(8, 4, source="outcome.first_pct", default=None, allow_null=True)
    best_pct = serializers.DecimalField(8, 4, source="outcome.best_pct", default=None, allow_null=True)
    last_pct = serializers.DecimalField(8, 4, source="outcome.last_pct", default=None, allow_null=True)
    last_on = serializers.DateField(source="outcome.last_on", default=None, allow_null=True)
    held_50_until = serializers.DateField(source="outcome.held_50_until", default=None, allow_null=True)
    lost_50_on = serializers.DateField(source="outcome.lost_50_on", default=None, allow_null=True)
    held_80_until = serializers.DateField(source="outcome.held_80_until", default=None, allow_null=True)
    lost_80_on = serializers.DateField(source="outcome.lost_80_on", default=None, allow_null=True)
    later_count = serializers.IntegerField(source="outcome.later_count", default=0)
    later_best_pct = serializers.DecimalField(8, 4, source="outcome.later_best_pct", default=None, allow_null=True)
    peg_before = serializers.DecimalField(6, 2, source="outcome.peg_before", default=None, allow_null=True)
    peg_last = serializers.DecimalField(6, 2, source="outcome.peg_last", default=None, allow_null=True)


class EstimateOut(serializers.Serializer[object]):
    """A value from n observations with its 95 % interval."""

    n = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class FiguresOut(serializers.Serializer[object]):
    """The figures of a group; what has too few values to show is null. Shares are of 1, durations in days."""

    sessions = serializers.IntegerField()
    people = serializers.IntegerField()
    missing = EstimateOut()
    responders_50 = EstimateOut(source="half", allow_null=True)
    responders_80 = EstimateOut(source="most", allow_null=True)
    relief_days = EstimateOut(source="duration.median", allow_null=True, default=None)
    relief_ended = serializers.IntegerField(source="duration.ended", allow_null=True, default=None)
    pain_change = EstimateOut(source="pain", allow_null=True)
    peg_change = EstimateOut(source="peg", allow_null=True)
    mme_change = EstimateOut(source="opioids", allow_null=True)
    repeat_days = EstimateOut(source="repeat", allow_null=True)
    complications = EstimateOut()


class GroupOut(serializers.Serializer[object]):
    code = serializers.CharField()
    name = serializers.CharField()
    figures = FiguresOut()


class ReportOut(serializers.Serializer[object]):
    """The report of one window and grouping. `hidden` groups are too small to show, or would give a small one away."""

    by = serializers.ChoiceField(choices=By.choices)
    years = serializers.IntegerField()
    first_on = serializers.DateField()
    last_on = serializers.DateField()
    procedure = serializers.CharField(source="procedure.code", default="")
    groups = GroupOut(many=True)
    hidden = serializers.IntegerField()
    total = FiguresOut(allow_null=True)


class ReportIn(serializers.Serializer[object]):
    by = serializers.ChoiceField(choices=By.choices, required=False, default=By.CATEGORY)
    years = serializers.ChoiceField(choices=[(years, str(years)) for years in EDGES], required=False, default=EDGES[0])
    procedure = serializers.SlugField(max_length=60, required=False, allow_blank=True, default="")


class PatientOutcomes(rest.View):
    """List what the sessions of a patient brought, newest first."""

    required = {"GET": "patients.view_history"}

    @extend_schema(operation_id="outcomes_list", responses=SessionOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        patient = reaching.the_patient(request, public_id)
        rows = PerformedProcedure.objects.of(patient).select_related("procedure", "outcome").order_by("-done_on", "-pk")
        pages = rest_rules.Pages()
        found = pages.paginate_queryset(rows, request, self)
        trail.record(
            by=self.actor, act="patients.read_session_outcomes", subject=patient, patient=patient.public_id,
            details={"count": len(found or ())},
        )  # fmt: skip
        return pages.get_paginated_response(SessionOut(found, many=True).data)


class OutcomeReport(rest.View):
    """Report how sessions at the asker's sites turned out, by kind, procedure, target, physician, payer or quarter."""

    required = {"GET": "patients.view_outcomes"}

    @extend_schema(operation_id="outcomes_report", parameters=[ReportIn], responses=ReportOut)
    def get(self, request: Request) -> Response:
        given = ReportIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        said: dict[str, Any] = given.validated_data
        sites = list(Site.objects.visible_to(request.user).active().order_by("name", "pk"))
        today = web.now().astimezone(ZoneInfo(sites[0].time_zone if sites else "UTC")).date()
        found = reports.outcomes(
            by=By(said["by"]), years=int(said["years"]), procedure=said["procedure"], today=today, actor=self.actor,
            sites=[site.pk for site in sites], kind="api",
        )  # fmt: skip
        return Response(ReportOut(found).data)
