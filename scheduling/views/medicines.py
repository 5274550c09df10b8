"""Doors of a case's hold plan: see it, ask the prescriber by letter, write down the answer."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import papers, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import ClearanceKind
from scheduling import clearing, holdplan, rechecking
from scheduling.agenda import words
from scheduling.assessing import RulesNotAsked
from scheduling.forms import ClearanceForm, LastDoseForm
from scheduling.models import BEFORE_ARRIVAL, Appointment
from scheduling.views import doors

RECORD = "patients.record_clinical"
MAY_BE_TOLD = frozenset({*BEFORE_ARRIVAL, *rechecking.WAITING_IN_HOUSE})  # the patient says when a medicine was last taken


@require_GET
@requires("patients.view_safety")
def medicines(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show what has to be true of each blood thinner for this slot, and what its prescriber said."""
    case = doors.the_case(request, public_id)
    _read(request, case)
    return _page(request, case)


@require_http_methods(["POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def clearance(request: HttpRequest, public_id: uuid.UUID, drug: str) -> HttpResponse:
    """Ask the prescriber, or write down what was answered."""
    case, by, at = doors.the_case(request, public_id), Actor.of(request), web.now()
    if request.POST.get("act") == "confirm":
        return _confirm(request, case, drug, by, at)
    if request.POST.get("act") == "keep":
        return _keep(request, case, drug, by, at)
    form = ClearanceForm(request.POST, prefix=drug, is_decision=_kind(case, drug, at) == ClearanceKind.DECISION)
    is_answer = request.POST.get("act") == "answer"
    if is_answer and not form.is_valid():
        return _page(request, case, drug=drug, form=form, status=422)
    try:
        if is_answer:
            kind, shown = request.POST.get("kind", "")[:8], _shown(request)
            clearing.answer(appointment=case, drug=drug, by=by, at=at, kind=kind, shown=shown, **form.values())
        else:
            clearing.ask(appointment=case, drug=drug, by=by, at=at)
    except DomainError as error:
        doors.refused(request, error, act="scheduling.clearance", case=case)
        return _page(request, case, drug=drug, form=form if is_answer else None, error=error, status=error.status)
    toasts.success(request, "Written down." if is_answer else "Noted as asked. The task stays open until the answer is here.")
    return web.redirect_to(request, "scheduling:medicines", case.public_id)


def _plan(case: Appointment, at: datetime) -> holdplan.Plan | None:
    """Return the plan of a case; None where the rules break down on what is on file, so that nobody knows it."""
    try:
        return holdplan.plan_of(case=case, at=at)
    except RulesNotAsked:
        return None


def _lines(plan: holdplan.Plan | None) -> tuple[holdplan.Line, ...]:
    return plan.lines if plan is not None else ()


def _kind(case: Appointment, drug: str, at: datetime) -> str:
    """Return what the prescriber of a medicine is asked, as far as that is known."""
    return next((str(line.kind) for line in _lines(_plan(case, at)) if line.held.drug == drug), "")


def _shown(request: HttpRequest) -> datetime | None:
    """Return the start of the slot beside which something was shown."""
    try:
        return datetime.fromisoformat(request.POST.get("slot", "")[:40])
    except ValueError:
        return None


def _keep(request: HttpRequest, case: Appointment, drug: str, by: Actor, at: datetime) -> HttpResponse:
    """Write down that what was decided for another slot holds for this one."""
    try:
        word = request.POST.get("word", "")[:40]
        clearing.keep_decision(appointment=case, drug=drug, word=word, shown=_shown(request), by=by, at=at)
    except DomainError as error:
        doors.refused(request, error, act="scheduling.keep_decision", case=case)
        return _page(request, case, drug=drug, error=error, status=error.status)
    toasts.success(request, "Confirmed for the time that the case has now. The rules were asked again.")
    return web.redirect_to(request, "scheduling:medicines", case.public_id)


def _confirm(request: HttpRequest, case: Appointment, drug: str, by: Actor, at: datetime) -> HttpResponse:
    """Write down what the patient gives as the last dose."""
    form = LastDoseForm(request.POST, prefix=f"{drug}-last", zone=ZoneInfo(case.site.time_zone))
    if not form.is_valid():
        return _page(request, case, drug=drug, dose=form, status=422)
    try:
        moment = form.moment()
        clearing.confirm(appointment=case, drug=drug, told_last_at=moment, by=by, at=at)
    except DomainError as error:
        doors.refused(request, error, act="scheduling.confirm_dose", case=case)
        return _page(request, case, drug=drug, dose=form, error=error, status=error.status)
    toasts.success(request, "Written down. The rules were asked again.")
    return web.redirect_to(request, "scheduling:medicines", case.public_id)


@require_http_methods(["POST"])
@requires("patients.record_clinical")
def tell_plan(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Tell the patient that the plan is ready, for the time that the case has now."""
    case = doors.the_case(request, public_id)
    by, shown = Actor.of(request), request.POST.get("told", "")[:60]
    try:
        doors.act_once(
            request,
            "scheduling.tell_plan",
            lambda: clearing.tell_again(appointment=case, by=by, at=web.now(), shown=shown),
        )
    except DomainError as error:
        doors.refused(request, error, act="scheduling.tell_plan", case=case)
        return _page(request, case, error=error, status=error.status)
    toasts.success(request, "The patient is told.")
    return web.redirect_to(request, "scheduling:medicines", case.public_id)


@require_GET
@requires("patients.record_clinical")
def letter(request: HttpRequest, public_id: uuid.UUID, drug: str) -> HttpResponse:
    """Give the letter to the prescriber as a PDF; making it is a recorded act."""
    case, at = doors.the_case(request, public_id), web.now()
    plan = _plan(case, at)
    line = next((one for one in _lines(plan) if one.held.drug == drug and one.held.needs_word), None)
    if line is None:
        nothing = clearing.NothingToClear() if plan is not None else RulesNotAsked()
        return _page(request, case, error=nothing, status=nothing.status)
    _read(request, case)
    content = holdplan.clearance_letter(case=case, line=line, at=at)
    answer = HttpResponse(papers.pdf(holdplan.SOURCE, content, at=at), content_type="application/pdf")
    answer["Content-Disposition"] = 'attachment; filename="prescriber-letter.pdf"'
    return answer


def _read(request: HttpRequest, case: Appointment) -> None:
    by = Actor.of(request)
    trail.record(
        by=by, act="scheduling.read_medicines", subject=case, patient=case.patient.public_id, site_id=case.site_id
    )  # fmt: skip


def _typed(request: HttpRequest, drug: str, form: ClearanceForm | LastDoseForm | None) -> dict[str, Any] | None:
    """Return what was typed about a medicine and the plan cannot show, to be sent again once it can."""
    if form is None:
        return None
    hidden = {name: request.POST.get(name, "")[:40] for name in ("act", "kind", "slot")}
    return {"drug": drug, "form": form, **hidden}


def _page(
    request: HttpRequest,
    case: Appointment,
    *,
    drug: str = "",
    form: ClearanceForm | None = None,
    dose: LastDoseForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    at = web.now()
    plan = _plan(case, at)
    zone = ZoneInfo(case.site.time_zone)
    lines: list[dict[str, Any]] = [
        {
            "line": line,
            "form": form
            if form is not None and line.held.drug == drug
            else ClearanceForm(prefix=line.held.drug, is_decision=line.kind == ClearanceKind.DECISION),
            "dose": (
                dose if dose is not None and line.held.drug == drug else LastDoseForm(prefix=f"{line.held.drug}-last", zone=zone)
            )
            if line.begins_at is not None and line.begins_at <= at and case.status in MAY_BE_TOLD
            else None,
            "told_last": line.clearance.told_last_at.astimezone(zone)
            if line.clearance is not None and line.clearance.told_last_at
            else None,
        }
        for line in _lines(plan)
    ]
    context = {
        "case": case,
        "case_id": case.public_id,
        "patient_id": case.patient.public_id,
        "title": words.case_title(case),
        "starts_at": case.starts_at.astimezone(zone),
        "slot": case.starts_at.isoformat(),
        "url": words.case_url(case.public_id),
        "plan": plan,
        "typed": _typed(request, drug, form or dose) if plan is None else None,
        "lines": lines,
        "may_record": Actor.of(request).may(RECORD),
        "told": clearing.told_last(case) if plan is not None and plan.is_cleared else "",
        "request_key": doors.new_key(),
        "refusal": doors.refusal_of(error)
        if error is not None
        else doors.refusal_of(RulesNotAsked(), kept="")
        if plan is None
        else None,
    }
    return web.respond(request, "scheduling/medicines.html", context, status=status)
