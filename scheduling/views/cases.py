"""One case: look, cancel, confirm, and through the day."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError, Refused
from procedures.rules import Severity
from scheduling import agenda, booking, visits
from scheduling.agenda.shapes import Act, Choice, Pair, Refusal
from scheduling.agenda.shapes import CancelForm as CancelPage
from scheduling.booking.judging import OVERRIDES
from scheduling.forms import ActForm, CancelForm, pairs
from scheduling.models import Appointment, AskedBy, CancelReason, Status
from scheduling.views import doors


@require_GET
@requires("scheduling.view_appointment")
def appointment(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a case, as a page or in the board's panel."""
    row = doors.the_case(request, public_id)
    doors.read(request, row)
    context = {"case": doors.shown(request, row)}
    if request.htmx and request.htmx.target == "case-panel":  # type: ignore[attr-defined]
        response = render(request, "scheduling/_case_panel.html", context)
        response["X-Clinic-Opened"] = doors.seal(request, public_id)
        return response
    return web.respond(request, "scheduling/appointment.html", context)


@require_GET
@requires("scheduling.view_appointment")
def print_case(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show a case as it goes on paper."""
    row = doors.the_case(request, public_id)
    doors.read(request, row)
    return web.respond(request, "scheduling/print.html", {"case": doors.shown(request, row)})


# --- one-button acts -------------------------------------------------------------------------------------------------


@require_POST
@requires("scheduling.confirm_appointment")
def confirm(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Note that the patient will come."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    form = ActForm(request.POST)
    if not form.is_valid():
        return doors.not_changed(request, row, Refused("malformed", "Reload the page and try again."))
    version = form.cleaned_data["version"]
    try:
        done = doors.once(
            request, "scheduling.confirm", lambda: booking.confirm(appointment=row, by=by, at=web.now(), version=version)
        )
    except DomainError as error:
        doors.refused(request, error, act="scheduling.confirm", case=row)
        return doors.not_changed(request, row, error, seen=version)
    return doors.changed(request, done)


@require_POST
@requires("scheduling.check_in")
def status(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take a case to its next status of the day."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    form = ActForm(request.POST)
    to = request.POST.get("to", "")
    if not form.is_valid() or to not in Status.values:
        return doors.not_changed(request, row, Refused("malformed", "Reload the page and try again."))
    version, reason = form.cleaned_data["version"], form.cleaned_data["reason"]
    try:
        done = doors.once(
            request,
            "scheduling.status",
            lambda: visits.move_on(appointment=row, to=to, by=by, at=web.now(), version=version, reason=reason),
        )
    except DomainError as error:
        doors.refused(request, error, act=f"scheduling.{to}", case=row)
        return doors.not_changed(request, row, error, seen=version, ways=_ways_on(error, row, by, to, reason))
    return doors.changed(request, done)


def _ways_on(error: DomainError, row: Appointment, by: Actor, to: str, reason: str) -> tuple[Act, ...]:
    """Return how to go on all the same after a refusal that a reason lifts, or that came before a reason was looked at."""
    if isinstance(error, visits.LeavingOpen):
        return agenda.ways_to_leave(appointment=row, by=by)
    if isinstance(error, visits.FastTooShort) or (to == Status.IN_ROOM and reason):
        may_override = by.may(OVERRIDES[Severity.BLOCKER])
        return agenda.ways_to_start(appointment=row, by=by, may_override=may_override, reason=reason)
    return ()


# --- cancel ----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires("scheduling.cancel_appointment")
def cancel(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Cancel a case with a reason and who asked."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    if request.method == "GET":
        return _cancel_page(request, row)
    form = CancelForm(request.POST)
    if not form.is_valid():
        return _cancel_page(request, row, errors=pairs(form), status=422)
    given = form.cleaned_data
    try:
        done = doors.once(
            request,
            "scheduling.cancel",
            lambda: booking.cancel(
                appointment=row,
                reason=given["reason"],
                asked_by=given["asked_by"],
                note=given["text"],
                version=given["version"],
                by=by,
                at=web.now(),
            ),
        )
    except DomainError as error:
        doors.refused(request, error, act="scheduling.cancel", case=row)
        changes = doors.changes_since(doors.the_case(request, public_id), given["version"])
        refusal = doors.refusal_of(error, changes=changes)
        return _cancel_page(request, row, refusal=refusal, status=error.status, code=error.code)
    return doors.changed(request, done)


def _cancel_page(
    request: HttpRequest,
    row: Appointment,
    *,
    errors: tuple[Pair, ...] = (),
    refusal: Refusal | None = None,
    status: int = 200,
    code: str = "",
) -> HttpResponse:
    row = doors.the_case(request, row.public_id)
    typed = request.POST
    late = timedelta(hours=settings.LATE_CANCEL_HOURS)
    form = CancelPage(
        action=reverse("scheduling:cancel", args=[row.public_id]),
        version=row.version,
        request_key=form_key(request, code),
        reasons=tuple(Choice(str(value), str(label), typed.get("reason") == value) for value, label in CancelReason.choices),
        asked_bys=tuple(Choice(str(value), str(label), typed.get("asked_by") == value) for value, label in AskedBy.choices),
        reason=typed.get("reason", ""),
        asked_by=typed.get("asked_by", ""),
        text=typed.get("text", ""),
        is_late=row.starts_at - web.now() < late,
        late_note=f"It begins in less than {settings.LATE_CANCEL_HOURS} hours: late, if the patient asked.",
        errors=errors,
        refusal=refusal,
    )
    return web.respond(request, "scheduling/cancel.html", {"case": doors.shown(request, row, cancel=form)}, status=status)


def form_key(request: HttpRequest, code: str = "") -> str:
    """Return the form's key, a new one when the old one is used up."""
    return doors.new_key() if request.method == "GET" or code == "key_reused" else doors.key_of(request)
