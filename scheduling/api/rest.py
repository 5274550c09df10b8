"""Openings, holds, appointments and resources through the API: the same verbs and checks as the pages."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.models import Patient
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import booking, holds, openings, visits
from scheduling.api import words
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, SlotTaken, Target
from scheduling.models import Allocation, Appointment, Hold, Kind, Resource, Source


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def procedure_of(text: str) -> Procedure:
    """Return the procedure of this id or code, or refuse the field."""
    by = {"public_id": text} if _is_uuid(text) else {"code": text}
    found = Procedure.objects.filter(**by).first()
    if found is None:
        raise serializers.ValidationError({"procedure": ["There is no such procedure."]})
    return found


def one_of(rows: QuerySet[Any], field: str, public_id: Any) -> Any:
    """Return the row among those the asker may see, or refuse the field."""
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise serializers.ValidationError({field: ["There is nothing of this id that you may see."]})
    return found


def units_of(request: Request, public_ids: Iterable[Any]) -> list[int]:
    """Return the keys of resources that the asker may see, or refuse the field."""
    wanted = list(public_ids)
    mine = Resource.objects.at_sites(Actor.of(request).site_ids or ())
    found = dict(mine.filter(public_id__in=wanted).values_list("public_id", "pk"))
    strange = [str(one) for one in wanted if one not in found]
    if strange:
        raise serializers.ValidationError({"resources": [f"There is no resource {strange[0]} that you may see."]})
    return [found[one] for one in wanted]


def target_of(values: dict[str, Any]) -> Target:
    """Return where on the body, as verbs want it."""
    return Target(side=values["side"], levels=tuple(values["levels"]), sedation=values["sedation"])


def waivers_of(values: dict[str, Any]) -> list[Waiver]:
    """Return the waivers as verbs want them."""
    return [Waiver(one["code"], one["reason_code"], one["text"]) for one in values["waivers"]]


def place_of(
    request: Request,
    values: dict[str, Any],
    procedure: Procedure,
    *,
    patient: Patient | None = None,
    moving: Appointment | None = None,
) -> Opening:
    """Return the opening that is asked for; without resources named, the one that the search would give.

    Raises:
        SlotTaken: all that would serve are taken.
        RulesRefused: nothing would serve, with every structural reason.
    """
    site = one_of(Site.objects.visible_to(request.user), "site", values["site"])
    start = values["starts_at"]
    units = units_of(request, values["resources"])
    if units:
        return Opening(start, start, start, start, site.pk, {"named": tuple(units)})
    fit = openings.fit(procedure=procedure, starts_at=start, site=site, at=web.now(), patient=patient, moving=moving)
    if fit.opening is not None:
        return fit.opening
    if {finding.code for finding in fit.findings} <= {"taken"}:
        raise SlotTaken
    raise RulesRefused(fit.findings, fit.findings)


def cases(request: Request) -> QuerySet[Appointment]:
    """Return the appointments that the asker may see, with what the answer shows."""
    standing = Allocation.objects.filter(released_at__isnull=True).select_related("resource").order_by("starts_at", "pk")
    return (
        Appointment.objects.visible_to(web.member(request))
        .select_related("patient", "procedure", "site")
        .prefetch_related(Prefetch("allocations", queryset=standing, to_attr="standing_allocations"))
    )


def answer_new(appointment: Appointment) -> Response:
    """Return the case just booked, from the rows in hand."""
    appointment.standing_allocations.sort(key=lambda one: (one.starts_at, one.pk))  # type: ignore[attr-defined]
    headers = {"ETag": rest.etag(appointment.version)}
    return Response(words.AppointmentOut(appointment).data, status=201, headers=headers)


def answer(request: Request, appointment: Appointment, status: int = 200) -> Response:
    """Return the case as it is now, with the tag of its version."""
    row = cases(request).get(pk=appointment.pk)
    return Response(words.AppointmentOut(row).data, status=status, headers={"ETag": rest.etag(row.version)})


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
            options=openings.Options(sedation=values["sedation"]),
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
            opening = place_of(request, values, procedure, patient=patient)
            made = holds.hold(
                procedure=procedure, target=target_of(values), opening=opening, patient=patient, by=self.actor, at=web.now()
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


class Appointments(rest.View):
    """List the cases of the asker's sites from a day on, or book one."""

    required = {"GET": "scheduling.view_appointment", "POST": "scheduling.book_appointment"}

    @extend_schema(operation_id="appointments_list", responses=words.AppointmentOut(many=True))
    def get(self, request: Request) -> Response:
        pages = rest_rules.Pages()
        rows = pages.paginate_queryset(cases(request).order_by("-starts_at", "-pk"), request, self)
        trail.record(by=self.actor, act="scheduling.list", details={"count": len(rows or ())})
        return pages.get_paginated_response(words.AppointmentOut(rows, many=True).data)

    @extend_schema(operation_id="appointments_book", request=words.AppointmentIn, responses={201: words.AppointmentOut})
    def post(self, request: Request) -> Response:
        given = words.AppointmentIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        procedure = procedure_of(values["procedure"])
        patient = one_of(Patient.objects.visible_to(web.member(request)), "patient", values["patient"])
        mine = Hold.objects.visible_to(web.member(request))
        hold = one_of(mine, "hold", values["hold"]) if values["hold"] else None

        def produce() -> Response:
            opening = held_place(hold) if hold is not None else place_of(request, values, procedure, patient=patient)
            appointment = booking.book(
                patient=patient,
                procedure=procedure,
                target=target_of(values),
                opening=opening,
                by=self.actor,
                at=web.now(),
                hold=hold,
                waivers=waivers_of(values),
                source=Source.API,
                note=values["note"],
            )
            return answer_new(appointment)

        return rest.once(request, "appointments.book", produce)  # type: ignore[return-value]


def held_place(hold: Hold) -> Opening:
    """Return the opening that a hold keeps."""
    units = Allocation.objects.filter(hold=hold).order_by("pk").values_list("resource_id", flat=True)
    named = tuple(dict.fromkeys(units))
    return Opening(hold.arrives_at, hold.starts_at, hold.procedure_ends_at, hold.leaves_at, hold.site_id, {"held": named})


class OneAppointment(rest.View):
    """Read one case; the reading is recorded."""

    required = {"GET": "scheduling.view_appointment"}

    @extend_schema(operation_id="appointments_read", responses=words.AppointmentOut)
    def get(self, request: Request, public_id: str) -> Response:
        case = get_object_or_404(cases(request), public_id=public_id)
        trail.record(by=self.actor, act="scheduling.read", subject=case, patient=case.patient.public_id, site_id=case.site_id)
        return answer(request, case)


class Act(rest.View):
    """The shape of every act on a case: find it, check its version, one verb, answer."""

    given: type[serializers.Serializer[object]] | None = None

    def act_on(self, request: Request, public_id: str, verb: Callable[[Appointment, dict[str, Any]], Appointment]) -> Response:
        case = get_object_or_404(cases(request), public_id=public_id)
        values: dict[str, Any] = {}
        if self.given is not None:
            given = self.given(data=request.data)
            given.is_valid(raise_exception=True)
            values = given.validated_data

        def produce() -> Response:
            rest.check_version(request, case.version, must=True)
            return answer(request, verb(case, values))

        name = f"appointments.{type(self).__name__.lower()}:{public_id}"
        return rest.once(request, name, produce)  # type: ignore[return-value]


class Move(Act):
    required = {"POST": "scheduling.move_appointment"}
    given = words.MoveIn

    @extend_schema(operation_id="appointments_move", request=words.MoveIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(case: Appointment, values: dict[str, Any]) -> Appointment:
            opening = place_of(request, values, case.procedure, patient=case.patient, moving=case)
            return booking.reschedule(
                appointment=case,
                opening=opening,
                by=self.actor,
                at=web.now(),
                version=case.version,
                waivers=waivers_of(values),
                reason=values["reason"],
            )

        return self.act_on(request, public_id, verb)


class Cancel(Act):
    required = {"POST": "scheduling.cancel_appointment"}
    given = words.CancelIn

    @extend_schema(operation_id="appointments_cancel", request=words.CancelIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(case: Appointment, values: dict[str, Any]) -> Appointment:
            return booking.cancel(appointment=case, by=self.actor, at=web.now(), version=case.version, **values)

        return self.act_on(request, public_id, verb)


class Confirm(Act):
    required = {"POST": "scheduling.confirm_appointment"}

    @extend_schema(operation_id="appointments_confirm", request=None, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda case, _: booking.confirm(appointment=case, by=self.actor, at=web.now(), version=case.version),
        )


class Reinstate(Act):
    required = {"POST": "scheduling.reinstate_appointment"}

    @extend_schema(operation_id="appointments_reinstate", request=None, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda case, _: booking.reinstate(appointment=case, by=self.actor, at=web.now(), version=case.version),
        )


class MoveOn(Act):
    required = {"POST": "scheduling.check_in"}
    given = words.StatusIn

    @extend_schema(operation_id="appointments_status", request=words.StatusIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda case, values: visits.move_on(
                appointment=case, to=values["to"], by=self.actor, at=web.now(), version=case.version
            ),
        )
