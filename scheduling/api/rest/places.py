"""Sites, resources, openings and holds."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.accounts.models import Site
from patients.models import Patient
from scheduling import holds, openings
from scheduling.api import words
from scheduling.api.rest.asking import one_of, options_of, place_of, procedure_of, target_of
from scheduling.models import Hold, Kind, Resource


class Sites(rest.View):
    """List the asker's sites."""

    required = {"GET": "scheduling.view_board"}

    @extend_schema(operation_id="sites_list", responses=words.SiteOut(many=True))
    def get(self, request: Request) -> Response:
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(Site.objects.visible_to(request.user).order_by("name", "pk"), request, self)
        return pages.get_paginated_response(words.SiteOut(rows, many=True).data)


class Resources(rest.View):
    """List people, rooms and devices of the asker's sites."""

    required = {"GET": "scheduling.view_board"}

    @extend_schema(operation_id="resources_list", responses=words.ResourceOut(many=True))
    def get(self, request: Request) -> Response:
        pages = rest_rules.Pages()
        mine = Resource.objects.visible_to(web.member(request)).in_order().select_related("site")
        rows = pages.paginate_queryset(mine, request, self)
        return pages.get_paginated_response(words.ResourceOut(rows, many=True).data)


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
        found = openings.find_openings(
            procedure=procedure_of(values["procedure"]),
            at=web.now(),
            earliest=values.get("earliest"),
            latest=values.get("latest"),
            site=one_of(sites, "site", values["site"]) if "site" in values else None,
            sites=list(sites.values_list("pk", flat=True)),
            physician=one_of(mine, "physician", values["physician"]) if "physician" in values else None,
            patient=one_of(Patient.objects.visible_to(web.member(request)), "patient", values["patient"])
            if "patient" in values
            else None,
            weekdays=values["weekdays"],
            part_of_day=(values["from_time"], values["until_time"]) if "from_time" in values else None,
            options=options_of(values),
            limit=values["limit"],
            per_day=values.get("per_day"),
        )
        why = found.explanation
        return Response(
            words.OpeningsOut(
                {
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
                        for one in found.openings
                    ],
                    "nothing_because": why.text if why else "",
                    "would_help": [each.label for each in why.helps] if why else [],
                }
            ).data
        )


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
