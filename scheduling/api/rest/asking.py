"""Read what a request asks for, and answer with a case: shared by the operations."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from patients.models import Patient
from procedures.models import Procedure
from procedures.rules import Waiver
from scheduling import openings
from scheduling.api import words
from scheduling.assessing import NOTHING_SAID, Details
from scheduling.availability import Opening
from scheduling.booking import RulesRefused, SlotTaken, Target
from scheduling.models import Allocation, Appointment, Resource


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
    """Return where on the body and how, as verbs want it."""
    return Target(
        side=values["side"],
        levels=tuple(values["levels"]),
        sedation=values["sedation"],
        guidance=values["guidance"],
        regions=tuple(values["regions"]),
        details=_details(values.get("details")),
    )


def _details(said: dict[str, Any] | None) -> Details:
    if said is None:
        return NOTHING_SAID
    figures = {name: None if said[name] is None else Fraction(said[name]) for name in ("dose_mg", "temperature_c")}
    return Details(**{**said, **figures})


def options_of(values: dict[str, Any]) -> openings.Options:
    """Return how it is to be done, where that changes what it takes."""
    return openings.Options(sedation=values["sedation"], guidance=values["guidance"])


def waivers_of(values: dict[str, Any]) -> list[Waiver]:
    """Return the waivers as verbs want them."""
    return [Waiver(one["code"], one["reason_code"], one["text"]) for one in values["waivers"]]


def place_of(
    request: Request,
    values: dict[str, Any],
    procedure: Procedure,
    *,
    options: openings.Options,
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
    fit = openings.fit(
        procedure=procedure, starts_at=start, site=site, at=web.now(), patient=patient, moving=moving, options=options
    )
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
