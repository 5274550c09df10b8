"""Doors of everything recorded about a patient: list, record, read, amend, mark as a mistake. One shape for all kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules, web
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from patients.api import kinds, reaching
from patients.api.kinds import NAMED, Kind, Shape
from patients.models import Coverage, Patient, PerformedProcedure, Recorded
from procedures.models import Procedure

# Rows of the same patient that others name.
OWN: Mapping[str, type[Recorded]] = {"performed": PerformedProcedure, "coverage": Coverage}


@dataclass(frozen=True, slots=True)
class Group:
    """Kinds behind one gate: the word in addresses, who reads, who writes."""

    code: str
    kinds: Mapping[str, Kind]
    read: str
    write: str

    def kind(self, code: str) -> Kind:
        if code not in self.kinds:
            raise Http404
        return self.kinds[code]

    def shape(self, made: Callable[[Kind], type[Shape]], suffix: str, *, many: bool = False) -> Any:
        """Return what the description says of a body or answer: the one kind's shape, or that of any of them."""
        shapes = [made(kind) for kind in self.kinds.values()]
        if len(shapes) == 1:
            return shapes[0](many=many)
        name = f"Any{self.code.capitalize()}{suffix}"
        return PolymorphicProxySerializer(name, serializers=shapes, resource_type_field_name=None, many=many)


GROUPS = (
    Group("facts", kinds.FACTS, "patients.view_history", "patients.record_clinical"),
    Group("performed", kinds.PERFORMED, "patients.view_history", "patients.record_performed"),
    Group("scores", kinds.SCORES, "patients.view_history", "patients.record_outcome"),
    Group("coverage", kinds.COVERAGE, "patients.view_coverage", "patients.change_coverage"),
    Group("authorizations", kinds.AUTHORIZATIONS, "patients.view_coverage", "patients.change_coverage"),
)


class MistakeIn(serializers.Serializer[object]):
    """Why it was a mistake."""

    reason = rest.Text(max_length=200)


class Door(rest.View):
    """What the doors of one group have in common."""

    group: ClassVar[Group]

    def patient(self, public_id: Any) -> Patient:
        return reaching.the_patient(self.request, public_id)

    def row(self, kind: Kind, public_id: Any) -> Any:
        return reaching.the_row(self.request, kind.model, public_id, *kind.joined)

    def resolved(self, values: Mapping[str, Any], patient: Patient) -> dict[str, Any]:
        """Put rows in the place of their ids; what is not there for the asker is refused by its field."""
        found = dict(values)
        for name, value in values.items():
            if value is None:
                continue
            if name in NAMED:
                found[name] = _one_of(Procedure.objects.order_by("pk"), name, code=value)
            elif name in OWN:
                found[name] = _one_of(
                    OWN[name]._default_manager.filter(patient=patient, is_in_error=False), name, public_id=value
                )
            elif name == "site" and not isinstance(value, str):
                found[name] = _one_of(Site.objects.visible_to(self.request.user), name, public_id=value)
        return found

    def answer(self, kind: Kind, row: Any, status: int = 200) -> Response:
        """Return a row with the tag of the version that was read."""
        [shown] = kind.prepare([kind.model._default_manager.select_related(*kind.joined).get(pk=row.pk)])
        return Response(kinds.shape_out(kind)(shown).data, status=status, headers={"ETag": rest.etag(shown.version)})


def _one_of(rows: Any, name: str, **by: Any) -> Any:
    found = rows.filter(**by).first()
    if found is None:
        raise serializers.ValidationError({name: ["There is no such one for you here."]})
    return found


def _checked(shape: type[Shape], data: Any) -> dict[str, Any]:
    given = shape(data=data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def doors(group: Group) -> tuple[type[Door], type[Door]]:
    """Return the two doors of a group: of a patient, of one row."""
    parameters = []
    if len(group.kinds) > 1:
        parameters = [OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(group.kinds))]
    out, given, change = kinds.shape_out, kinds.shape_in, kinds.shape_change

    class OfPatient(Door):
        """List what stands on record about a patient, newest first, or record something."""

        required = {"GET": group.read, "POST": group.write}

        @extend_schema(
            operation_id=f"{group.code}_list", parameters=parameters, responses=group.shape(out, "Out", many=True)
        )  # fmt: skip
        def get(self, request: Request, public_id: str, kind: str) -> Response:
            what, patient, pages = group.kind(kind), self.patient(public_id), rest_rules.Pages()
            rows = what.model._default_manager.filter(patient=patient, is_in_error=False).select_related(*what.joined)
            found = pages.paginate_queryset(rows.order_by(*what.order), request, self)
            trail.record(
                by=self.actor, act=f"patients.read_{group.code}", subject=patient, patient=patient.public_id,
                site_id=patient.home_site_id, details={"kind": kind, "count": len(found or ())},
            )  # fmt: skip
            return pages.get_paginated_response(out(what)(what.prepare(found or []), many=True).data)

        @extend_schema(
            operation_id=f"{group.code}_record", parameters=parameters, request=group.shape(given, "In"),
            responses={201: group.shape(out, "Out")},
        )  # fmt: skip
        def post(self, request: Request, public_id: str, kind: str) -> Response:
            what, patient = group.kind(kind), self.patient(public_id)
            values = self.resolved(_checked(given(what), request.data), patient)

            def produce() -> Response:
                row = what.record(kind=what.model, patient=patient, values=values, by=self.actor, at=web.now())
                return self.answer(what, row, 201)

            return rest.once(request, f"{group.code}.record", produce)  # type: ignore[return-value]

    class One(Door):
        """Read one row, recorded as read; amend it, or mark it as recorded by mistake, under If-Match: it stays, and counts
        for nothing."""

        required = {"GET": group.read, "PATCH": group.write, "DELETE": group.write}

        @extend_schema(operation_id=f"{group.code}_read", parameters=parameters, responses=group.shape(out, "Out"))
        def get(self, request: Request, public_id: str, kind: str) -> Response:
            what = group.kind(kind)
            row = self.row(what, public_id)
            trail.record(by=self.actor, act=f"patients.read_{group.code}", subject=row, patient=row.patient.public_id)
            return self.answer(what, row)

        @extend_schema(
            operation_id=f"{group.code}_amend", parameters=parameters, request=group.shape(change, "Change"),
            responses=group.shape(out, "Out"),
        )  # fmt: skip
        def patch(self, request: Request, public_id: str, kind: str) -> Response:
            what = group.kind(kind)
            row = self.row(what, public_id)
            changes = self.resolved(_checked(change(what), request.data), row.patient)
            why = {name: changes.pop(name) for name in ("reason", "is_signed") if what.has_reason}

            def produce() -> Response:
                rest.check_version(request, row.version, must=True)
                kept = what.amend(row=row, changes=changes, by=self.actor, at=web.now(), version=row.version, **why)
                return self.answer(what, kept)

            return rest.once(request, f"{group.code}.amend:{public_id}", produce)  # type: ignore[return-value]

        @extend_schema(
            operation_id=f"{group.code}_mistake", parameters=parameters, request=MistakeIn, responses=group.shape(out, "Out")
        )  # fmt: skip
        def delete(self, request: Request, public_id: str, kind: str) -> Response:
            what = group.kind(kind)
            row = self.row(what, public_id)
            reason = _checked(MistakeIn, request.data)["reason"]

            def produce() -> Response:
                rest.check_version(request, row.version, must=True)
                kept = what.withdraw(row=row, reason=reason, by=self.actor, at=web.now(), version=row.version)
                return self.answer(what, kept)

            return rest.once(request, f"{group.code}.mistake:{public_id}", produce)  # type: ignore[return-value]

    found = (OfPatient, One)
    for door in found:
        door.group = group
    return found
