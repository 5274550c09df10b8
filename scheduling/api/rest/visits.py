"""The visit itself: the checklist before the needle, the completion, the checklist before leaving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.audit import trail
from patients import notes
from patients.models import ClinicalNote
from procedures.models import Procedure
from scheduling import visits
from scheduling.api import visit_words as words
from scheduling.api.rest.asking import cases, procedure_of
from scheduling.api.rest.ready import Said
from scheduling.models import Appointment, CheckMoment, Completion, Discharge
from scheduling.visits.fasting import applies, kinds


def _case(request: Request, public_id: str) -> Appointment:
    """Return a case that the asker may see, with what is said about it."""
    found: Appointment = get_object_or_404(cases(request).select_related("details"), public_id=public_id)
    return found


class Complete(rest.View):
    """Write down what was done in a case, once; discharge is another act."""

    required = {"POST": "scheduling.complete_case"}

    @extend_schema(
        operation_id="appointments_complete", request=words.CompleteIn, responses={201: words.CompletionOut}
    )  # fmt: skip
    def post(self, request: Request, public_id: str) -> Response:
        case = _case(request, public_id)
        given = words.CompleteIn(data=request.data)
        given.is_valid(raise_exception=True)
        said = dict(given.validated_data)
        reason, is_signed = said.pop("reason"), said.pop("is_signed")
        told = _told(said)
        _check_sections(told.get("procedure", case.procedure), said.get("sections", {}))

        def produce() -> Response:
            rest.check_version(request, case.version, must=True)
            done, at = visits.done_as(visits.as_booked(case), told), web.now()
            made = visits.complete(
                appointment=case, done=done, by=self.actor, at=at, version=case.version, reason=reason
            )  # fmt: skip
            note = ClinicalNote.objects.get(performed__public_id=made.performed)
            if is_signed:
                notes.sign(note=note, by=self.actor, at=at)
            return _completed(made, note)

        return rest.once(request, f"appointments.complete:{public_id}", produce)  # type: ignore[return-value]


def _told(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was sent as the verb takes it."""
    told = dict(said)
    if "procedure" in told:
        told["procedure"] = procedure_of(told["procedure"])
    for name, made in (("drugs", visits.Given), ("complications", visits.Harm), ("scores", visits.Told)):
        if name in told:
            told["harms" if name == "complications" else name] = tuple(made(**one) for one in told.pop(name))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def _check_sections(procedure: Procedure, sections: Mapping[str, str]) -> None:
    known = {one.code for one in notes.template_for(procedure).sections}
    strange = sorted(set(sections) - known)
    if strange:
        raise serializers.ValidationError(
            {"sections": [f"The note has no section {strange[0]}. It has {', '.join(sorted(known))}."]}
        )


def _completed(made: Completion, note: ClinicalNote) -> Response:
    made.note = note.public_id  # type: ignore[attr-defined]
    return Response(
        words.CompletionOut(made).data, status=201, headers={"ETag": rest.etag(made.appointment.version)}
    )  # fmt: skip


class _Checklist(rest.View):
    """One checklist of a case: read it, or answer it."""

    required = {"GET": "scheduling.answer_checklist", "POST": "scheduling.answer_checklist"}
    moment = CheckMoment.BEFORE

    def read(self, request: Request, public_id: str) -> Response:
        case = _case(request, public_id)
        trail.record(by=self.actor, act="scheduling.read", subject=case, patient=case.patient.public_id, site_id=case.site_id)
        return self.told(case)

    def answer(self, request: Request, public_id: str, shape: type[serializers.Serializer[object]]) -> Response:
        case = _case(request, public_id)
        given = shape(data=request.data)
        given.is_valid(raise_exception=True)
        said = dict(given.validated_data)
        answers = {one["item"]: (one["answer"], one["note"]) for one in said.pop("answers")}

        def produce() -> Response:
            self.keep(case, answers, said)
            return self.told(case)

        return rest.once(request, f"appointments.checklist.{self.moment}:{public_id}", produce)  # type: ignore[return-value]

    def keep(self, case: Appointment, answers: Mapping[str, tuple[str, str]], said: Mapping[str, Any]) -> None:
        """Keep the answers."""
        visits.answer_checks(appointment=case, moment=self.moment, answers=answers, by=self.actor, at=web.now())

    def told(self, case: Appointment) -> Response:
        """Return what was answered so far."""
        return Response(words.ChecklistOut(self.said(case)).data)

    def said(self, case: Appointment) -> dict[str, Any]:
        found = visits.checklist(case, self.moment)
        return {"answers": list(found.answers.values()), "open": list(found.open_items)}


class BeforeTheNeedle(_Checklist):
    """The checklist before the needle."""

    @extend_schema(operation_id="appointments_checklist_before", responses=words.ChecklistOut)
    def get(self, request: Request, public_id: str) -> Response:
        return self.read(request, public_id)

    @extend_schema(
        operation_id="appointments_answer_before", request=words.ChecklistIn, responses=words.ChecklistOut
    )  # fmt: skip
    def post(self, request: Request, public_id: str) -> Response:
        return self.answer(request, public_id, words.ChecklistIn)


class FoodAndDrink(rest.View):
    """When the patient ate and drank last, as the checklist before the needle asks it.

    The ETag tells what is written down. Sent back in If-Match, the verb compares it under its lock: 409 as on the page, and
    what stands there already may be sent again.
    """

    required = {"GET": "scheduling.answer_checklist", "POST": "scheduling.answer_checklist"}

    @extend_schema(operation_id="appointments_intake", responses=words.IntakeOut)
    def get(self, request: Request, public_id: str) -> Response:
        case = _case(request, public_id)
        trail.record(by=self.actor, act="scheduling.read", subject=case, patient=case.patient.public_id, site_id=case.site_id)
        return _fast_told(case)

    @extend_schema(operation_id="appointments_record_intake", request=words.IntakeIn, responses=words.IntakeOut)
    def post(self, request: Request, public_id: str) -> Response:
        case = _case(request, public_id)
        given = words.IntakeIn(data=request.data)
        given.is_valid(raise_exception=True)
        intake = given.validated_data["intake"]
        shown = request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')
        if not shown:
            raise rest.VersionMissing

        def produce() -> Response:
            mark = None if shown == "*" else shown
            visits.record_intake(appointment=case, intake=intake, shown=mark, by=self.actor, at=web.now())
            return _fast_told(case)

        return rest.once(request, f"appointments.intake:{public_id}", produce)  # type: ignore[return-value]


def _fast_told(case: Appointment) -> Response:
    """Return what is written down of a case, and what the rules say of it now."""
    fast = visits.fast_of(appointment=case, at=web.now())
    said = [Said(one, one.refuses and one not in fast.standing) for one in fast.findings]
    told = {"is_asked": applies(case), "kinds": kinds(), "intake": fast.intake, "findings": said}
    return Response(words.IntakeOut(told).data, headers={"ETag": rest.etag(fast.mark)})


class BeforeLeaving(_Checklist):
    """The checklist before leaving: complete, and with somebody who takes the patient home where one is needed, or a reason."""

    moment = CheckMoment.LEAVING

    @extend_schema(operation_id="appointments_checklist_leaving", responses=words.LeavingOut)
    def get(self, request: Request, public_id: str) -> Response:
        return self.read(request, public_id)

    @extend_schema(operation_id="appointments_answer_leaving", request=words.LeavingIn, responses=words.LeavingOut)
    def post(self, request: Request, public_id: str) -> Response:
        return self.answer(request, public_id, words.LeavingIn)

    def keep(self, case: Appointment, answers: Mapping[str, tuple[str, str]], said: Mapping[str, Any]) -> None:
        visits.leave_ready(appointment=case, answers=answers, by=self.actor, at=web.now(), **said)

    def told(self, case: Appointment) -> Response:
        known = Discharge.objects.filter(appointment=case).first()
        more = {
            "escort": known.escort if known else "", "reason": known.reason if known else "",
            "needs_escort": visits.needs_escort(case), "lacking": list(visits.leaving(case).lacking),
        }  # fmt: skip
        return Response(words.LeavingOut(self.said(case) | more).data)
