"""What rules say about one case now: waive what stands, say what is planned."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from patients.records import FieldRefused
from procedures import rulebook
from scheduling import agenda, booking, rechecking, waiting
from scheduling.agenda.shapes import Wait
from scheduling.assessing import NOT_ASKED, RulesNotAsked
from scheduling.forms import DetailsForm, asked_of, initial, typed_waivers, waivers_in
from scheduling.models import Appointment
from scheduling.views import doors


@require_http_methods(["GET", "POST"])
@requires("scheduling.plan_case")
def case_rules(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Ask the rules about a case as it stands; waive a finding with a reason, or say what is planned."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    form = DetailsForm(request.POST if request.POST.get("act") == "plan" else None, initial=initial(_details(row)))
    if request.method == "GET":
        doors.read(request, row)
        return _page(request, row, form)
    at = web.now()
    verb: Callable[[], Any]
    if request.POST.get("act") == "plan":
        if not form.is_valid():
            return _page(request, row, form, status=422)
        act, told = "scheduling.plan_case", "Noted, and the rules are asked again."
        verb = lambda: rechecking.plan_case(appointment=row, changes=form.changes(), by=by, at=at)  # noqa: E731
    else:
        act, told = "scheduling.waive", "The reason is kept with the case."
        verb = lambda: rechecking.waive(appointment=row, waivers=waivers_in(request.POST), by=by, at=at)  # noqa: E731
    try:
        verb()
    except FieldRefused as error:
        doors.refused(request, error, act=act, case=row)
        form.add_error(error.field or None, error.message)
        return _page(request, row, form, status=error.status)
    except DomainError as error:
        doors.refused(request, error, act=act, case=row)
        return _page(request, row, form, error=error, status=error.status)
    toasts.success(request, told)
    return web.redirect_to(request, _address(row))


def _address(row: Appointment) -> str:
    return reverse("scheduling:case_rules", args=[row.public_id])


def _elsewhere(wait: Wait, row: Appointment) -> Wait:
    """Leave out the way to this very page."""
    return replace(wait, ways=tuple(way for way in wait.ways if way.value != _address(row)))


def _details(row: Appointment) -> Any:
    return getattr(row, "details", None)


def _page(
    request: HttpRequest, row: Appointment, form: DetailsForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    by, at, zone = Actor.of(request), web.now(), ZoneInfo(row.site.time_zone)
    looked = rechecking.look(appointment=row, at=at)
    findings = error.findings if isinstance(error, booking.RulesRefused) else looked.findings
    typed = typed_waivers(request.POST) if error is not None else {}
    held = {override.code for override in row.overrides.filter(ended_at=None)}
    asked = asked_of(row.procedure, row.sedation, rulebook.usable_book(), asks=looked.asks, said=looked.said)
    groups = waiting.grouped(findings, row.arrives_at, at)
    context = {
        "case": doors.shown(request, row),
        "lines": tuple(
            doors.line_of(finding, by, typed)
            for finding in findings
            if not finding.pending and finding.key not in held and finding.severity.refuses and finding != NOT_ASKED
        ),
        "notes": tuple(
            doors.line_of(finding, by, {})
            for finding in findings
            if not finding.pending and (finding.key in held or not finding.severity.refuses)
        ),
        "waits": tuple(_elsewhere(agenda.wait_line(group, row, zone, by), row) for group in groups),
        "form": form,
        "fields": tuple(form[name] for name in form.fields if name in asked or name in ALWAYS),
        "refusal": doors.refusal_of(error)
        if error is not None
        else None
        if looked.is_asked
        else doors.refusal_of(RulesNotAsked(), kept=""),
        "is_asked": looked.is_asked,
        "case_id": row.public_id,
        "patient_id": row.patient.public_id,
        "action": _address(row),
    }
    return web.respond(request, "scheduling/case_rules.html", context, status=status)


ALWAYS = ("driver", "driver_name", "contrast", "premedication", "rationale", "site_reason", "bilateral_reason")
