"""Set-up through the API: the hours of single dates, within what physicians may perform what, the ways between sites."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.models import Site
from procedures.models import Procedure
from scheduling import resources as verbs
from scheduling.api import setup_words as words
from scheduling.api.rest.shapes import page_of
from scheduling.forms import FIRST_DAY, LAST_DAY
from scheduling.models import Privilege, Resource

MANAGE = "scheduling.manage_resources"


def the_resource(request: Request, public_id: str) -> Resource:
    """Return a resource of a site of the asker; 404 otherwise."""
    found: Resource = get_object_or_404(
        Resource.objects.visible_to(web.member(request)).select_related("site"), public_id=public_id
    )
    return found


def sites_of(request: Request) -> list[Site]:
    return list(Site.objects.visible_to(request.user).order_by("name", "pk"))


# --- the hours of one date -------------------------------------------------------------------------------------------


def _date_of(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise Http404 from error
    if not FIRST_DAY <= found <= LAST_DAY:
        raise Http404
    return found


def _told(day: verbs.DateHours, sites: Sequence[Site]) -> dict[str, Any]:
    """Return a date as it holds at these sites."""
    shown = [
        {"site": site.public_id, "hours": [{"starts": starts, "ends": ends} for starts, ends in day.spans[site.pk]]}
        for site in sites
        if site.pk in day.spans
    ]
    return {"on": day.on, "is_own": day.is_own, "reason": day.reason, "sites": shown}


class Dates(rest.View):
    """List the dates ahead on which a person, room or device has hours of its own."""

    required = {"GET": MANAGE}

    @extend_schema(operation_id="dates_list", responses=words.DatesOut)
    def get(self, request: Request, public_id: str) -> Response:
        row, sites = the_resource(request, public_id), sites_of(request)
        today = web.now().astimezone(ZoneInfo(row.site.time_zone)).date()
        return Response(words.DatesOut({"results": [_told(day, sites) for day in verbs.dates_ahead(row, today)]}).data)


class OneDate(rest.View):
    """What holds on one date: read it, give it hours of its own, or let the weekly ones hold again."""

    required = {"GET": MANAGE, "PUT": MANAGE, "DELETE": MANAGE}

    @extend_schema(operation_id="dates_read", responses=words.DateHoursOut)
    def get(self, request: Request, public_id: str, on: str) -> Response:
        return self._answer(request, the_resource(request, public_id), _date_of(on))

    @extend_schema(operation_id="dates_set", request=words.DateHoursIn, responses=words.DateHoursOut)
    def put(self, request: Request, public_id: str, on: str) -> Response:
        row, day = the_resource(request, public_id), _date_of(on)
        given = words.DateHoursIn(data=request.data)
        given.is_valid(raise_exception=True)
        spans = self._spans(request, given.validated_data["sites"])

        def produce() -> Response:
            verbs.save_date_hours(
                resource=row,
                on=day,
                spans=spans,
                reason=given.validated_data["reason"],
                is_accepted=given.validated_data["accept"],
                version=self._seen(request, row, day),
                by=self.actor,
                at=web.now(),
            )
            return self._answer(request, row, day)

        return rest.once(request, f"dates.set:{public_id}:{day}", produce)  # type: ignore[return-value]

    @extend_schema(operation_id="dates_remove", responses=words.DateHoursOut, parameters=[words.RemovalIn])
    def delete(self, request: Request, public_id: str, on: str) -> Response:
        row, day = the_resource(request, public_id), _date_of(on)
        given = words.RemovalIn(data=request.query_params)
        given.is_valid(raise_exception=True)

        def produce() -> Response:
            verbs.remove_date_hours(
                resource=row,
                on=day,
                sites=sites_of(request),
                is_accepted=given.validated_data["accept"],
                version=self._seen(request, row, day),
                by=self.actor,
                at=web.now(),
            )
            return self._answer(request, row, day)

        return rest.once(request, f"dates.remove:{public_id}:{day}", produce)  # type: ignore[return-value]

    def _seen(self, request: Request, row: Resource, day: date) -> str:
        """Return the version that the asker has seen, once it is known to be the present one."""
        present = verbs.hours_on(row, day).version
        rest.check_version(request, present, must=True)
        return present

    def _spans(self, request: Request, given: Sequence[dict[str, Any]]) -> dict[Site, verbs.Spans]:
        sites = {site.public_id: site for site in sites_of(request)}
        if any(one["site"] not in sites for one in given):
            raise serializers.ValidationError({"sites": ["There is nothing of this id that you may see."]})
        return {sites[one["site"]]: tuple((span["starts"], span["ends"]) for span in one["hours"]) for one in given}

    def _answer(self, request: Request, row: Resource, day: date) -> Response:
        found = verbs.hours_on(row, day)
        return Response(words.DateHoursOut(_told(found, sites_of(request))).data, headers={"ETag": rest.etag(found.version)})


# --- privileges ------------------------------------------------------------------------------------------------------


class Privileges(rest.View):
    """List what a physician may perform, and within what."""

    required = {"GET": MANAGE}

    @extend_schema(operation_id="privileges_list", responses=words.PrivilegeOut(many=True))
    def get(self, request: Request, public_id: str) -> Response:
        held = Privilege.objects.filter(resource=the_resource(request, public_id)).select_related("procedure")
        return page_of(self, request, held.order_by("procedure__code", "pk"), words.PrivilegeOut)


class OnePrivilege(rest.View):
    """The privilege for one procedure: read it, give it or change its terms, or take it away."""

    required = {"GET": MANAGE, "PUT": MANAGE, "DELETE": MANAGE}

    @extend_schema(operation_id="privileges_read", responses=words.PrivilegeOut)
    def get(self, request: Request, public_id: str, procedure: str) -> Response:
        return self._answer(get_object_or_404(self._held(the_resource(request, public_id)), procedure__public_id=procedure))

    @extend_schema(operation_id="privileges_set", request=words.PrivilegeIn, responses=words.PrivilegeOut)
    def put(self, request: Request, public_id: str, procedure: str) -> Response:
        row, work = the_resource(request, public_id), get_object_or_404(Procedure, public_id=procedure)
        given = words.PrivilegeIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        is_accepted = values.pop("accept")
        terms = verbs.Terms(**{**values, "modalities": tuple(values["modalities"])})

        def produce() -> Response:
            verbs.save_privilege(
                resource=row,
                procedure=work,
                terms=terms,
                is_accepted=is_accepted,
                version=self._seen(request, row, work),
                by=self.actor,
                at=web.now(),
            )
            return self._answer(self._held(row).get(procedure=work))

        return rest.once(request, f"privileges.set:{public_id}:{procedure}", produce)  # type: ignore[return-value]

    @extend_schema(operation_id="privileges_remove", responses=words.RemovedOut, parameters=[words.RemovalIn])
    def delete(self, request: Request, public_id: str, procedure: str) -> Response:
        row, work = the_resource(request, public_id), get_object_or_404(Procedure, public_id=procedure)
        given = words.RemovalIn(data=request.query_params)
        given.is_valid(raise_exception=True)

        def produce() -> Response:
            verbs.remove_privilege(
                resource=row,
                procedure=work,
                is_accepted=given.validated_data["accept"],
                version=self._seen(request, row, work),
                by=self.actor,
                at=web.now(),
            )
            return Response(words.RemovedOut({"procedure": work.public_id}).data)

        return rest.once(request, f"privileges.remove:{public_id}:{procedure}", produce)  # type: ignore[return-value]

    def _held(self, row: Resource) -> QuerySet[Privilege]:
        return Privilege.objects.filter(resource=row).select_related("procedure")

    def _seen(self, request: Request, row: Resource, work: Procedure) -> str:
        """Return the version that the asker has seen, once it is known to be the present one; none is needed to give it."""
        held = self._held(row).filter(procedure=work).first()
        present = verbs.terms_of(held).version if held is not None else verbs.NOT_HELD
        rest.check_version(request, present, must=held is not None)
        return present

    def _answer(self, held: Privilege) -> Response:
        return Response(words.PrivilegeOut(held).data, headers={"ETag": rest.etag(verbs.terms_of(held).version)})


# --- travel ----------------------------------------------------------------------------------------------------------


class Ways(rest.View):
    """The ways between the asker's sites: read them, or say how long some take."""

    required = {"GET": MANAGE, "PUT": MANAGE}

    @extend_schema(operation_id="travel_read", responses=words.TravelOut)
    def get(self, request: Request) -> Response:
        return self._answer(request)

    @extend_schema(operation_id="travel_set", request=words.TravelIn, responses=words.TravelOut)
    def put(self, request: Request) -> Response:
        given = words.TravelIn(data=request.data)
        given.is_valid(raise_exception=True)
        sites = {site.public_id: site for site in sites_of(request)}
        ways = given.validated_data["ways"]
        if any(one["origin"] not in sites or one["destination"] not in sites for one in ways):
            raise serializers.ValidationError({"ways": ["There is nothing of this id that you may see."]})

        def produce() -> Response:
            present = verbs.ways_version(verbs.ways_between(sites.values()))
            rest.check_version(request, present, must=True)
            verbs.save_travel(
                sites=sites.values(),
                ways={(sites[one["origin"]].pk, sites[one["destination"]].pk): one["minutes"] for one in ways},
                version=present,
                is_accepted=given.validated_data["accept"],
                by=self.actor,
                at=web.now(),
            )
            return self._answer(request)

        return rest.once(request, "travel.set", produce)  # type: ignore[return-value]

    def _answer(self, request: Request) -> Response:
        sites = {site.pk: site for site in sites_of(request)}
        ways = verbs.ways_between(sites.values())
        told = [
            {"origin": sites[origin].public_id, "destination": sites[destination].public_id, "minutes": minutes}
            for (origin, destination), minutes in ways.items()
        ]
        return Response(words.TravelOut({"ways": told}).data, headers={"ETag": rest.etag(verbs.ways_version(ways))})
