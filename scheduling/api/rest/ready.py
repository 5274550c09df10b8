"""What a booked case needs: its rules, what is planned, the hold plan with its clearances, and the tasks before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from procedures.rules import Finding
from scheduling import clearing, desk_tasks, holdplan, rechecking, waiting
from scheduling.api import ready_words as words
from scheduling.api.rest.asking import cases, waivers_of
from scheduling.api.rest.shapes import page_of
from scheduling.models import Appointment, CaseDetails, DeskTask, TaskRole


@dataclass(frozen=True, slots=True)
class Said:
    """A finding, and whether it is waived."""

    finding: Finding
    is_waived: bool


class _OfCase(rest.View):
    """The shape of what is asked about one case: find it, check its version before an act, answer."""

    given: type[serializers.Serializer[object]] | None = None

    def case(self, request: Request, public_id: str) -> Appointment:
        """Return a case that the asker may see, with what is said about it."""
        found: Appointment = get_object_or_404(
            cases(request).select_related("details__course", "details__problem"), public_id=public_id
        )
        return found

    def read(self, case: Appointment) -> None:
        """Record that it was read."""
        trail.record(by=self.actor, act="scheduling.read", subject=case, patient=case.patient.public_id, site_id=case.site_id)

    def act_on(
        self,
        request: Request,
        public_id: str,
        verb: Callable[[Appointment, dict[str, Any]], object],
        told: Callable[[Appointment], dict[str, Any]],
        name: str,
    ) -> HttpResponse:
        """Act on the version of a case that If-Match names, once for a request key."""
        case = self.case(request, public_id)
        values: dict[str, Any] = {}
        if self.given is not None:
            given = self.given(data=request.data)
            given.is_valid(raise_exception=True)
            values = dict(given.validated_data)

        def produce() -> Response:
            rest.check_version(request, case.version, must=True)
            verb(case, values)
            return Response(told(self.case(request, public_id)), headers={"ETag": rest.etag(case.version)})

        return rest.once(request, f"appointments.{name}:{public_id}", produce)


class Rules(_OfCase):
    """What rules say about a booked case as it stands."""

    required = {"GET": "scheduling.plan_case"}

    @extend_schema(operation_id="appointments_rules", responses=words.RulesOut)
    def get(self, request: Request, public_id: str) -> Response:
        case = self.case(request, public_id)
        self.read(case)
        return Response(rules_of(case), headers={"ETag": rest.etag(case.version)})


class Waive(_OfCase):
    """Go on in spite of findings that came to stand against a booked case."""

    required = {"POST": "scheduling.plan_case"}
    given = words.WaiveIn

    @extend_schema(operation_id="appointments_waive", request=words.WaiveIn, responses=words.RulesOut)
    def post(self, request: Request, public_id: str) -> HttpResponse:
        def verb(case: Appointment, values: dict[str, Any]) -> None:
            waivers = waivers_of(values)
            rechecking.waive(appointment=case, waivers=waivers, by=self.actor, at=web.now(), version=case.version)

        return self.act_on(request, public_id, verb, rules_of, "waive")


class Plan(_OfCase):
    """Say what is planned for a booked case; what waited for it is asked again at once."""

    required = {"PATCH": "scheduling.plan_case"}
    given = words.PlanIn

    @extend_schema(operation_id="appointments_plan", request=words.PlanIn, responses=words.RulesOut)
    def patch(self, request: Request, public_id: str) -> HttpResponse:
        def verb(case: Appointment, values: dict[str, Any]) -> None:
            rechecking.plan_case(appointment=case, changes=values, by=self.actor, at=web.now(), version=case.version)

        return self.act_on(request, public_id, verb, rules_of, "plan")


class Medicines(_OfCase):
    """The hold plan of a case, for the slot that it has now."""

    required = {"GET": "patients.view_safety"}

    @extend_schema(operation_id="medicines_plan", responses=words.HoldPlanOut)
    def get(self, request: Request, public_id: str) -> Response:
        case = self.case(request, public_id)
        self.read(case)
        return Response(plan_of(case), headers={"ETag": rest.etag(case.version)})


class AskPrescriber(_OfCase):
    """Note that the prescriber of a blood thinner is asked about this slot."""

    required = {"POST": "patients.record_clinical"}

    @extend_schema(operation_id="medicines_ask", request=None, responses=words.HoldPlanOut)
    def post(self, request: Request, public_id: str, drug: str) -> HttpResponse:
        verb = lambda case, _: clearing.ask(appointment=case, drug=drug, by=self.actor, at=web.now())  # noqa: E731
        return self.act_on(request, public_id, verb, plan_of, f"ask:{drug}")


class Clear(_OfCase):
    """Write down what the prescriber answered."""

    required = {"POST": "patients.record_clinical"}
    given = words.ClearanceIn

    @extend_schema(operation_id="medicines_clear", request=words.ClearanceIn, responses=words.HoldPlanOut)
    def post(self, request: Request, public_id: str, drug: str) -> HttpResponse:
        def verb(case: Appointment, values: dict[str, Any]) -> None:
            shown = values.pop("starts_at", None)
            clearing.answer(appointment=case, drug=drug, by=self.actor, at=web.now(), shown=shown, **values)

        return self.act_on(request, public_id, verb, plan_of, f"clear:{drug}")


class KeepDecision(_OfCase):
    """Write down that what was decided together for another slot holds for the one that the case has now."""

    required = {"POST": "patients.record_clinical"}
    given = words.KeepIn

    @extend_schema(operation_id="medicines_keep", request=words.KeepIn, responses=words.HoldPlanOut)
    def post(self, request: Request, public_id: str, drug: str) -> HttpResponse:
        def verb(case: Appointment, values: dict[str, Any]) -> None:
            word, shown = str(values["word"]), values["starts_at"]
            clearing.keep_decision(appointment=case, drug=drug, word=word, shown=shown, by=self.actor, at=web.now())

        return self.act_on(request, public_id, verb, plan_of, f"keep:{drug}")


class ConfirmDose(_OfCase):
    """Write down what the patient gives as the last dose, once an agreed hold has begun."""

    required = {"POST": "patients.record_clinical"}
    given = words.LastDoseIn

    @extend_schema(operation_id="medicines_confirm", request=words.LastDoseIn, responses=words.HoldPlanOut)
    def post(self, request: Request, public_id: str, drug: str) -> HttpResponse:
        def verb(case: Appointment, values: dict[str, Any]) -> None:
            clearing.confirm(appointment=case, drug=drug, by=self.actor, at=web.now(), **values)

        return self.act_on(request, public_id, verb, plan_of, f"confirm:{drug}")


class Tasks(rest.View):
    """What is to be done by hand at the asker's sites, the most pressing first."""

    required = {"GET": "scheduling.work_tasks"}

    @extend_schema(operation_id="tasks_list", parameters=[words.TasksIn], responses=words.TaskOut(many=True))
    def get(self, request: Request) -> Response:
        given = words.TasksIn(data=request.query_params)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        rows = tasks_of(request).filter(done_at__isnull=not values["done"])
        for name, column in (("kind", "kind"), ("role", "role"), ("appointment", "appointment__public_id")):
            rows = rows.filter(**{column: values[name]}) if name in values else rows
        return page_of(self, request, rows.order_by("due_at", "opened_at", "pk"), words.TaskOut, act="scheduling.list")


class _OneTask(rest.View):
    required = {"POST": "scheduling.work_tasks"}

    def act_on(self, request: Request, public_id: str, verb: Callable[[DeskTask], DeskTask], name: str) -> HttpResponse:
        """Act on one task, once for a request key."""
        task = get_object_or_404(tasks_of(request), public_id=public_id)

        def produce() -> Response:
            done = verb(task)
            return Response(words.TaskOut(tasks_of(request).get(pk=done.pk)).data)

        return rest.once(request, f"tasks.{name}:{public_id}", produce)


class TakeTask(_OneTask):
    """Make a task one's own."""

    @extend_schema(operation_id="tasks_take", request=None, responses=words.TaskOut)
    def post(self, request: Request, public_id: str) -> HttpResponse:
        verb = lambda task: desk_tasks.take(task=task, by=self.actor, at=web.now())  # noqa: E731
        return self.act_on(request, public_id, verb, "take")


class CloseTask(_OneTask):
    """Close a task with what came of it. What a case still waits for opens another one when it is asked about again."""

    @extend_schema(operation_id="tasks_close", request=words.CloseIn, responses=words.TaskOut)
    def post(self, request: Request, public_id: str) -> HttpResponse:
        get_object_or_404(tasks_of(request), public_id=public_id)  # another site's task is nowhere, whatever is sent
        given = words.CloseIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        verb = lambda task: desk_tasks.close_task(task=task, by=self.actor, at=web.now(), **values)  # noqa: E731
        return self.act_on(request, public_id, verb, "close")


def rules_of(case: Appointment) -> dict[str, Any]:
    """Return what rules say about a case now."""
    at = web.now()
    looked = rechecking.look(appointment=case, at=at)
    found = looked.findings
    waived = set(case.overrides.filter(ended_at=None).values_list("code", flat=True))
    said = [Said(finding, finding.key in waived) for finding in found if not finding.pending]
    # What only the database fills in is said here: an unsaved row would tell of the default, not of nothing.
    planned = getattr(case, "details", None) or CaseDetails(appointment=case)
    waits = waiting.grouped(found, case.arrives_at, at)
    told: dict[str, Any] = words.RulesOut(
        {"findings": said, "waits": waits, "planned": planned, "asks": sorted(looked.asks), "version": case.version}
    ).data  # fmt: skip
    return told


def plan_of(case: Appointment) -> dict[str, Any]:
    """Return the hold plan of a case."""
    told: dict[str, Any] = words.HoldPlanOut(holdplan.plan_of(case=case, at=web.now())).data
    return told


def tasks_of(request: Request) -> QuerySet[DeskTask]:
    """Return the tasks that the asker may see: of what is the body's business only who knows it already."""
    rows = DeskTask.objects.visible_to(web.member(request)).select_related("patient", "appointment", "site", "owner")
    return rows if Actor.of(request).may("patients.view_safety") else rows.filter(role=TaskRole.BILLER)
