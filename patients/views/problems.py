"""The door of the papers for the payer: which are on file, said by whoever collects them. Nothing else of a problem changes."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError, Refused
from patients import coverage, problems
from patients.forms import PapersForm
from patients.forms.problems import MISSING, ON_FILE
from patients.models import Patient, Presentation
from patients.problems import ProblemLine, Wanted
from patients.recorded import problem_told
from patients.views import reaching


@require_http_methods(["GET", "POST"])
@requires("patients.keep_payer_papers")
@sensitive_post_parameters()
def payer_papers(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show for each problem treated which papers its payers ask for, and say which are on file; opening it is a recorded act."""
    patient, today = reaching.the_patient(request, public_id), reaching.today_of(request)
    lines = problems.problems(patient=patient, on=today)
    wanted = problems.wanted(patient=patient, on=today)
    if request.method == "GET":
        trail.record(
            by=Actor.of(request), act="patients.read_payer_papers", subject=patient, patient=patient.public_id,
            site_id=patient.home_site_id,
        )  # fmt: skip
        return _page(request, patient, lines, wanted)
    row = next((line.row for line in lines if str(line.row.public_id) == request.POST.get("problem")), None)
    version = request.POST.get("version", "")
    if row is None or not version.isdecimal() or len(version) > 9:
        gone = Refused(
            "problem_unknown", "This problem is not among those treated now. Look at what is listed, then say it there."
        )
        web.refused(request, gone, act="patients.keep_payer_papers", subject=patient, patient=patient.public_id)
        return _page(request, patient, lines, wanted, error=gone, status=gone.status)
    form = _form(row, wanted, request.POST)
    if not form.is_valid():
        return _page(request, patient, lines, wanted, typed=(row, form, version), status=422)

    def produce() -> HttpResponse:
        said = {"on_file": form.papers(ON_FILE), "missing": form.papers(MISSING)}
        kept = problems.keep_papers(problem=row, **said, by=Actor.of(request), at=web.now(), version=int(version))
        messages.success(
            request, "Saved. The rules are asked again." if kept.version != row.version else "Nothing was different."
        )
        return web.redirect_to(request, "patients:payer_papers", patient.public_id)

    try:
        return web.once(request, "patients.keep_payer_papers", produce)
    except DomainError as error:
        web.refused(request, error, act="patients.keep_payer_papers", subject=row, patient=patient.public_id)
        # After a conflict the form goes on from what stands now: whoever presses again has been told of the other's work.
        now = str(row.version) if error.code == "stale" else version
        return _page(request, patient, lines, wanted, typed=(row, form, now), error=error, status=error.status)


def _form(row: Presentation, wanted: tuple[Wanted, ...], data: Any = None) -> PapersForm:
    return PapersForm(data, wanted=wanted, row=row, auto_id=f"id_{row.public_id}_%s")


def _page(
    request: HttpRequest,
    patient: Patient,
    lines: tuple[ProblemLine, ...],
    wanted: tuple[Wanted, ...],
    *,
    typed: tuple[Presentation, PapersForm, str] | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    by, is_used_up = Actor.of(request), error is not None and error.code in ("stale", "key_reused")
    may_change = by.may("patients.record_clinical")
    plans = coverage.cover(patient=patient, on=reaching.today_of(request)).plans
    parts = []
    for line in lines:
        row, form, version = line.row, _form(line.row, wanted), str(line.row.version)
        address = reverse("patients:fact", args=[patient.public_id, "presentations", row.public_id])
        if typed is not None and typed[0].pk == row.pk:
            _, form, version = typed
        parts.append({
            "line": line,
            "told": problem_told(row),
            "form": form,
            "version": version,
            "change_url": address if may_change else "",
        })  # fmt: skip
    context = {
        "patient": patient,
        "parts": parts,
        "error_form": typed[1] if typed is not None else None,
        "plans": [plan.payer for plan in plans if not plan.is_over],
        "cover_url": reverse("patients:cover", args=[patient.public_id]) if by.may("patients.view_coverage") else "",
        "new_url": reverse("patients:fact_new", args=[patient.public_id, "presentations"]) if may_change else "",
        "request_key": reaching.key_of(request, is_used_up=is_used_up),
        "refusal": reaching.refusal_of(error) if error else None,
    }  # fmt: skip
    return web.respond(request, "patients/payer_papers.html", context, status=status)
