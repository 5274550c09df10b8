"""Sites, resources, openings and holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures import rulebook
from procedures.guidance import usual
from procedures.levels import default_regions, touched
from procedures.models import Procedure
from scheduling import holds, openings, waiting
from scheduling.api import words
from scheduling.api.rest.asking import one_of, options_of, place_of, procedure_of, target_of
from scheduling.api.rest.shapes import page_of
from scheduling.assessing import Covering, Wish, covering
from scheduling.intervals import local_day
from scheduling.models import Hold, Kind, Resource


class Sites(rest.View):
    """List the asker's sites."""

    required = {"GET": "scheduling.view_board"}

    @extend_schema(operation_id="sites_list", responses=words.SiteOut(many=True))
    def get(self, request: Request) -> Response:
        return page_of(self, request, Site.objects.visible_to(request.user).order_by("name", "pk"), words.SiteOut)


class Resources(rest.View):
    """List people, rooms and devices of the asker's sites."""

    required = {"GET": "scheduling.view_board"}

    @extend_schema(operation_id="resources_list", responses=words.ResourceOut(many=True))
    def get(self, request: Request) -> Response:
        mine = Resource.objects.visible_to(web.member(request)).in_order().select_related("site")
        return page_of(self, request, mine, words.ResourceOut)


class Openings(rest.View):
    """Search for times at which everything the procedure needs is free together."""

    required = {"POST": "scheduling.view_board"}

    @extend_schema(operation_id="openings_search", request=words.OpeningsIn, responses=words.OpeningsOut)
    def post(self, request: Request) -> Response:
        given = words.OpeningsIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        sites = Site.objects.visible_to(request.user)
        mine = Resource.objects.visible_to(web.member(request)).filter(kind=Kind.PHYSICIAN)
        procedure = procedure_of(values["procedure"])
        patient = (
            one_of(Patient.objects.visible_to(web.member(request)), "patient", values["patient"]) if "patient" in values else None
        )
        at = web.now()

        def search(earliest: datetime | None) -> openings.OpeningsFound:
            return openings.find_openings(
                procedure=procedure,
                at=at,
                earliest=earliest,
                latest=values.get("latest"),
                site=one_of(sites, "site", values["site"]) if "site" in values else None,
                sites=list(sites.values_list("pk", flat=True)),
                physician=one_of(mine, "physician", values["physician"]) if "physician" in values else None,
                patient=patient,
                weekdays=values["weekdays"],
                part_of_day=(values["from_time"], values["until_time"]) if "from_time" in values else None,
                options=options_of(values),
                limit=values["limit"],
                per_day=values.get("per_day"),
            )

        found = search(values.get("earliest"))
        covered = self._covered(procedure, values, patient, found, at)
        kept = found.openings
        if values["covered"] and covered is not None:
            first = covered.first(covered.wish.on)
            starts = None if first is None else local_day(first, covered.wish.zone).starts_at
            if starts is not None and first != covered.wish.on:
                found = search(max(filter(None, (values.get("earliest"), starts))))
            zones = {site.id: ZoneInfo(site.time_zone) for site in found.sites.values()}
            days = [(one, one.starts_at.astimezone(zones[one.site]).date()) for one in found.openings]
            kept = tuple(one for one, day in days if first is not None and not covered.blocking(day))
        return Response(words.OpeningsOut(self._told(found, kept, covered)).data)

    def _covered(
        self, procedure: Procedure, values: dict[str, Any], patient: Patient | None, found: openings.OpeningsFound, at: datetime
    ) -> Covering | None:
        """Return what rules say about dates for a patient, once there is a free time to ask about."""
        if patient is None or not found.openings:
            return None
        target, first = target_of(values), found.openings[0]
        levels, regions = tuple(target.levels), target.regions or default_regions(procedure)
        wish = Wish(
            procedure=procedure,
            site=Site.objects.get(pk=first.site),
            starts_at=first.starts_at,
            side=target.side,
            levels=levels,
            regions=touched(levels, regions),
            guidance=target.guidance or usual(procedure),
            sedation=target.sedation,
            details=target.details,
        )
        return covering(wish=wish, patient=patient, at=at)

    def _told(self, found: openings.OpeningsFound, kept: Sequence[openings.Opening], covered: Covering | None) -> dict[str, Any]:
        why = found.explanation
        free = covered.wish.on if covered is not None else None
        bad = covered.blocking(free) if covered is not None and free is not None else ()
        may_know = self.actor.may("patients.view_safety")
        payers = rulebook.payer_codes() if bad and not may_know else frozenset()
        return {
            "openings": [
                {
                    "site": found.sites[one.site].public_id,
                    "arrives_at": one.arrives_at,
                    "starts_at": one.starts_at,
                    "ends_at": one.ends_at,
                    "leaves_at": one.leaves_at,
                    "resources": [found.units[unit] for units in one.units.values() for unit in units],
                    "reasons": one.reasons,
                }
                for one in kept
            ],
            "free_from": free,
            "covered_from": covered.first(free) if covered is not None and free is not None else None,
            "not_covered_because": [one for one in bad if may_know or waiting.is_payers(one.code, payers)],
            "nothing_because": why.text if why else "",
            "would_help": [each.label for each in why.helps] if why else [],
        }


class Holds(rest.View):
    """Hold an opening for ten minutes."""

    required = {"POST": "scheduling.hold_opening"}

    @extend_schema(operation_id="holds_create", request=words.HoldIn, responses={201: words.HoldOut})
    def post(self, request: Request) -> Response:
        given = words.HoldIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        procedure = procedure_of(values["procedure"])
        people = Patient.objects.visible_to(web.member(request))
        patient = one_of(people, "patient", values["patient"]) if values["patient"] else None

        def produce() -> Response:
            opening = place_of(request, values, procedure, options=options_of(values), patient=patient)
            made = holds.hold(
                procedure=procedure,
                target=target_of(values),
                opening=opening,
                patient=patient,
                by=self.actor,
                at=web.now(),
            )
            return Response(words.HoldOut(made).data, status=201)

        return rest.once(request, "holds.create", produce)  # type: ignore[return-value]


class OneHold(rest.View):
    """Release a hold of one's own."""

    required = {"DELETE": "scheduling.hold_opening"}

    @extend_schema(operation_id="holds_release", responses={200: words.HoldOut})
    def delete(self, request: Request, public_id: str) -> Response:
        hold = get_object_or_404(Hold.objects.visible_to(web.member(request)), public_id=public_id)
        return Response(words.HoldOut(holds.release(hold=hold, by=self.actor, at=web.now())).data)
