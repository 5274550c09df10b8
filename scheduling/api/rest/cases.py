"""Cases: list, book, read, and every act on one."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.audit import trail
from patients.models import Patient
from scheduling import booking, openings, visits
from scheduling.api import words
from scheduling.api.rest.asking import (
    answer,
    answer_new,
    cases,
    one_of,
    options_of,
    place_of,
    procedure_of,
    target_of,
    waivers_of,
)
from scheduling.api.rest.shapes import Act, page_of
from scheduling.availability import Opening
from scheduling.models import Allocation, Appointment, Hold, Source

NARROWED = {
    "first_on": "local_date__gte", "last_on": "local_date__lte", "site": "site__public_id", "patient": "patient__public_id",
    "status": "status", "procedure": "procedure__code",
}  # fmt: skip


class Appointments(rest.View):
    """List the cases of the asker's sites, or book one."""

    required = {"GET": "scheduling.view_appointment", "POST": "scheduling.book_appointment"}

    @extend_schema(
        operation_id="appointments_list", parameters=[words.AppointmentsIn], responses=words.AppointmentOut(many=True),
        description="The latest first; where a first day is named, from that day on, the earliest first.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        given = words.AppointmentsIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        rows = cases(request).filter(**{path: values[name] for name, path in NARROWED.items() if name in values})
        if "resource" in values:
            held = Allocation.objects.filter(resource__public_id=values["resource"], released_at=None)
            rows = rows.filter(pk__in=held.values("appointment"))
        rows = rows.order_by("starts_at", "pk") if "first_on" in values else rows.order_by("-starts_at", "-pk")
        return page_of(self, request, rows, words.AppointmentOut, act="scheduling.list")

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
            opening = (
                held_place(hold)
                if hold is not None
                else place_of(request, values, procedure, options=options_of(values), patient=patient)
            )
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


class CaseAct(Act[Appointment]):
    """An act on a case."""

    noun = "appointments"

    def found(self, request: Request, public_id: str) -> Appointment:
        return get_object_or_404(cases(request), public_id=public_id)

    def told(self, request: Request, row: Appointment) -> Response:
        return answer(request, row)


class Move(CaseAct):
    required = {"POST": "scheduling.move_appointment"}
    given = words.MoveIn

    @extend_schema(operation_id="appointments_move", request=words.MoveIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(case: Appointment, values: dict[str, Any]) -> Appointment:
            options = openings.Options(sedation=case.sedation, guidance=case.guidance)
            opening = place_of(request, values, case.procedure, options=options, patient=case.patient, moving=case)
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


class Swap(rest.View):
    """Let a case trade its place with another, both or neither."""

    required = {"POST": "scheduling.move_appointment"}

    @extend_schema(operation_id="appointments_swap", request=words.SwapIn, responses=words.SwapOut)
    def post(self, request: Request, public_id: str) -> Response:
        case = get_object_or_404(cases(request), public_id=public_id)
        given = words.SwapIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        other = one_of(cases(request), "other", values["other"])

        def produce() -> Response:
            rest.check_version(request, case.version, must=True)
            pair = booking.swap(
                first=case,
                second=other,
                by=self.actor,
                at=web.now(),
                versions=(case.version, values["other_version"]),
                waivers=waivers_of(values),
                second_waivers=waivers_of({"waivers": values["other_waivers"]}),
            )
            rows = {row.pk: row for row in cases(request).filter(pk__in=[each.pk for each in pair])}
            told = words.SwapOut({"case": rows[pair[0].pk], "other": rows[pair[1].pk]}).data
            return Response(told, headers={"ETag": rest.etag(pair[0].version)})

        return rest.once(request, f"appointments.swap:{public_id}", produce)  # type: ignore[return-value]


class Cancel(CaseAct):
    required = {"POST": "scheduling.cancel_appointment"}
    given = words.CancelIn

    @extend_schema(operation_id="appointments_cancel", request=words.CancelIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(case: Appointment, values: dict[str, Any]) -> Appointment:
            return booking.cancel(appointment=case, by=self.actor, at=web.now(), version=case.version, **values)

        return self.act_on(request, public_id, verb)


class Confirm(CaseAct):
    required = {"POST": "scheduling.confirm_appointment"}

    @extend_schema(operation_id="appointments_confirm", request=None, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda case, _: booking.confirm(appointment=case, by=self.actor, at=web.now(), version=case.version),
        )


class Reinstate(CaseAct):
    """Bring a case back, to its old place or to another; an empty body means the old one."""

    required = {"POST": "scheduling.reinstate_appointment"}
    given = words.ReinstateIn

    @extend_schema(operation_id="appointments_reinstate", request=words.ReinstateIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        def verb(case: Appointment, values: dict[str, Any]) -> Appointment:
            opening = None
            if "starts_at" in values:
                options = openings.Options(sedation=case.sedation, guidance=case.guidance)
                opening = place_of(request, values, case.procedure, options=options, patient=case.patient)
            return booking.reinstate(
                appointment=case, by=self.actor, at=web.now(), opening=opening, waivers=waivers_of(values), version=case.version
            )

        return self.act_on(request, public_id, verb)


class MoveOn(CaseAct):
    required = {"POST": "scheduling.check_in"}
    given = words.StatusIn

    @extend_schema(operation_id="appointments_status", request=words.StatusIn, responses=words.AppointmentOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.act_on(
            request,
            public_id,
            lambda case, values: visits.move_on(
                appointment=case, to=values["to"], by=self.actor, at=web.now(), version=case.version, reason=values["reason"]
            ),
        )
