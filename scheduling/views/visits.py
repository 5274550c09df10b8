"""The checklists of a case, and its completion by the physician."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from patients import coverage, notes, recorded
from patients.models import ClinicalNote
from scheduling import agenda, visits
from scheduling.agenda.shapes import Refusal
from scheduling.forms import CompleteForm, FastingForm, LeavingForm, answers_in
from scheduling.models import Appointment, CheckAnswer, CheckItem, CheckMoment, Completion, Discharge
from scheduling.views import doors
from scheduling.visits.checking import LABELS
from scheduling.visits.fasting import IntakeStale, applies, kinds

TIMES_KEPT = "The times are written down; no answer was."


@require_http_methods(["GET", "POST"])
@requires("scheduling.complete_case")
@sensitive_post_parameters()
def complete(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Say what was done; everything starts as it was booked."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    if Completion.objects.filter(appointment=row).exists() and request.method == "GET":
        return web.redirect_to(request, note_address(row) or row_address(row))
    booked = visits.as_booked(row)
    gaps = visits.checklist(row).open_items
    if request.method == "GET":
        doors.read(request, row)
        start = CompleteForm.starting_with(booked, row.version) | CompleteForm.typed_before(web.kept_input(request))
        return _complete_page(request, row, CompleteForm(initial=start, case=row, done=booked, has_gaps=bool(gaps)), gaps)
    if request.POST.get("act") == "checklist":  # answered first; what is typed here waits
        web.keep_typed(request)
        return web.redirect_to(request, "scheduling:checklist", row.public_id, CheckMoment.BEFORE)
    form = CompleteForm(request.POST, case=row, done=booked, has_gaps=bool(gaps))
    if not form.is_valid():
        return _complete_page(request, row, form, gaps, status=422)
    try:
        doors.act_once(request, "scheduling.complete", lambda: _completed(row, form, by))
    except DomainError as error:
        doors.refused(request, error, act="scheduling.complete", case=row)
        return _complete_page(request, row, form, gaps, error=error, status=error.status)
    return web.redirect_to(request, row_address(row))


def _completed(row: Appointment, form: CompleteForm, by: Actor) -> Completion:
    said, at = form.cleaned_data, web.now()
    made = visits.complete(
        appointment=row, done=form.done(), by=by, at=at, version=said["version"], reason=said.get("reason", "")
    )  # fmt: skip
    if said["is_signed"]:
        notes.sign(note=ClinicalNote.objects.get(performed__public_id=made.performed), by=by, at=at)
    return made


def _complete_page(
    request: HttpRequest,
    row: Appointment,
    form: CompleteForm,
    gaps: tuple[str, ...],
    *,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    known = recorded.on_record(patient=row.patient, on=row.local_date)
    context = {
        "case": doors.shown(request, row),
        "form": form,
        "refusal": doors.refusal_of(error) if error else None,
        "action": reverse("scheduling:complete", args=[row.public_id]),
        "request_key": doors.new_key() if request.method == "GET" else doors.key_of(request),
        "gaps": [LABELS[item] for item in gaps],
        "facts": known.can_hurt,
        "patient": row.patient,
        "found": coverage.cover(patient=row.patient, on=row.local_date)
        if Actor.of(request).may("patients.view_coverage")
        else None,
    }
    return web.respond(request, "scheduling/complete.html", context, status=status)


def row_address(row: Appointment) -> str:
    return reverse("scheduling:appointment", args=[row.public_id])


def note_address(row: Appointment) -> str:
    """Return the address of the note of a completed case, or nothing."""
    note = ClinicalNote.objects.filter(performed__appointment=row.public_id, is_in_error=False).first()
    return reverse("patients:note", args=[note.public_id]) if note is not None else ""


@require_http_methods(["GET", "POST"])
@requires("scheduling.answer_checklist")
@sensitive_post_parameters()
def checklist(request: HttpRequest, public_id: uuid.UUID, moment: str) -> HttpResponse:
    """Answer the checklist before the needle, or before leaving."""
    row, by = doors.the_case(request, public_id), Actor.of(request)
    if moment not in CheckMoment.values:
        raise Http404
    items = visits.items_of(row, moment)
    fast = FastingForm(request.POST or None, kinds=kinds(), zone=ZoneInfo(row.site.time_zone)) if asks_fast(row, moment) else None
    if request.method == "GET":
        doors.read(request, row)
        return _checklist_page(request, row, moment, items)
    answers = answers_in(request.POST, items)
    form = LeavingForm(request.POST)
    if (moment == CheckMoment.LEAVING and not form.is_valid()) or (fast is not None and not fast.is_valid()):
        return _checklist_page(request, row, moment, items, form=form, fast=fast, typed=answers, status=422)

    def answer() -> Appointment:
        if moment == CheckMoment.BEFORE:
            visits.answer_checks(appointment=row, moment=moment, answers=answers, by=by, at=web.now())
        else:
            visits.leave_ready(appointment=row, answers=answers, **form.cleaned_data, by=by, at=web.now())
        return row

    try:
        if fast is not None:  # kept although an answer may be refused for it
            shown = request.POST.get("intake_shown")
            visits.record_intake(appointment=row, intake=fast.values(), shown=shown, by=by, at=web.now())
        doors.act_once(request, f"scheduling.checklist.{moment}", answer)
    except DomainError as error:
        doors.refused(request, error, act="scheduling.answer_checklist", case=row)
        return _checklist_page(
            request, row, moment, items, form=form, fast=fast, typed=answers, error=error, status=error.status
        )  # fmt: skip
    complete_url = reverse("scheduling:complete", args=[row.public_id])
    is_waiting = by.may("scheduling.complete_case") and web.is_typed_kept(request, complete_url)
    return web.redirect_to(request, complete_url if is_waiting else row_address(row))


def _written_down(fast: FastingForm | None, said: visits.Fast | None, zone: ZoneInfo) -> tuple[tuple[str, str], ...]:
    """Return what somebody else wrote down meanwhile, in words, beside what this person typed."""
    intake = said.intake if said is not None else {}
    names = [(name.removeprefix("intake_"), str(field.label)) for name, field in fast.fields.items()] if fast is not None else []
    return tuple((label, f"{intake[what].astimezone(zone):%d %b %H:%M}" if what in intake else "none") for what, label in names)


def _checklist_page(
    request: HttpRequest,
    row: Appointment,
    moment: str,
    items: Mapping[str, str],
    *,
    form: LeavingForm | None = None,
    fast: FastingForm | None = None,
    typed: dict[str, tuple[str, str]] | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    said = visits.checklist(row, moment).answers
    meant: dict[str, str] = {CheckItem.SIDE: row.get_side_display().lower(), CheckItem.LEVEL: ", ".join(row.levels)}
    zone = ZoneInfo(row.site.time_zone)
    lines = [
        _check_line(item, f"{label}: {meant[item]}" if meant.get(item) else label, said.get(item), (typed or {}).get(item), zone)
        for item, label in items.items()
    ]
    is_leaving = moment == CheckMoment.LEAVING
    known = Discharge.objects.filter(appointment=row).select_related("by").first() if is_leaving else None
    start = {"escort": known.escort, "reason": known.reason} if known else {}
    said_fast = visits.fast_of(appointment=row, at=web.now()) if asks_fast(row, moment) else None
    if said_fast is not None and fast is None:
        fast = FastingForm(kinds=kinds(), zone=zone, initial=FastingForm.starting_with(said_fast.intake, zone))
    context = {
        "fast": fast,
        "intake_shown": said_fast.mark if said_fast else "",
        "intake_written": _written_down(fast, said_fast, zone) if isinstance(error, IntakeStale) else (),
        "fast_lines": [doors.line_of(one, Actor.of(request), {}) for one in said_fast.findings] if said_fast else [],
        "is_fast_waived": said_fast is not None and bool(said_fast.findings) and not said_fast.standing,
        "is_fast_judged": said_fast is not None and said_fast.is_judged,
        "rules_url": reverse("scheduling:case_rules", args=[row.public_id]),
        "case": doors.shown(request, row),
        "title": str(CheckMoment(moment).label),
        "action": reverse("scheduling:checklist", args=[row.public_id, moment]),
        "request_key": doors.new_key() if request.method == "GET" else doors.key_of(request),
        "lines": lines,
        "form": (form or LeavingForm(initial=start)) if is_leaving else None,
        "consent_url": "" if is_leaving or not Actor.of(request).may("patients.record_performed") else agenda.consent_url(row),
        "needs_escort": is_leaving and visits.needs_escort(row),
        "facts": recorded.on_record(patient=row.patient, on=row.local_date).can_hurt,
        "refusal": _refusal(error),
    }
    return web.respond(request, "scheduling/checklist.html", context, status=status)


def _refusal(error: DomainError | None) -> Refusal | None:
    if isinstance(error, visits.FastTooShort):
        return doors.refusal_of(error, kept=TIMES_KEPT)
    return doors.refusal_of(error) if error else None


def asks_fast(row: Appointment, moment: str) -> bool:
    """Say whether this checklist asks what was eaten and drunk last."""
    return moment == CheckMoment.BEFORE and applies(row)


def _check_line(item: str, label: str, row: Any, typed: tuple[str, str] | None, zone: ZoneInfo) -> dict[str, Any]:
    answer, note = typed or ((row.answer, row.note) if row else ("", ""))
    return {
        "item": item,
        "label": label,
        "note": note,
        "choices": [(str(value), str(word), value == answer) for value, word in CheckAnswer.choices],
        "by": row.answered_by.shown_name if row and row.answered_by else "",
        "at": row.answered_at.astimezone(zone) if row else None,
    }
