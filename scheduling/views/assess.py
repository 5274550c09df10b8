"""The page on which a case is put together and judged by the rules, each step of the answer explained."""

from __future__ import annotations

import functools
import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from patients.models import Patient
from procedures import cases, rulebook, tables
from procedures.models import Procedure
from scheduling import trying
from scheduling.agenda.shapes import Refusal
from scheduling.assessing import RulesNotAsked
from scheduling.forms import AssessForm
from scheduling.views import doors

_book_of_files = functools.cache(tables.book_of_files)  # they come with the program and are read once


@require_http_methods(["GET", "POST"])
@requires("procedures.view_rules")
@sensitive_post_parameters()
def assess(request: HttpRequest) -> HttpResponse:
    """Judge a case that is put together here exactly as `manage.py assess` would judge it written in a file."""
    book, zone = rulebook.usable_book() or _book_of_files(), doors.zone_of(request)
    names = dict(Procedure.objects.values_list("code", "name"))
    patient = _patient(request)
    if request.method == "GET":
        if patient is None:
            return _page(request, AssessForm(book, names=names))
        try:
            start = trying.from_patient(patient=patient, by=Actor.of(request), at=web.now(), zone=zone)
        except RulesNotAsked as error:
            doors.refused(request, error, act="scheduling.try_rules", patient=patient)
            return _page(
                request, AssessForm(book, names=names), refusal=doors.refusal_of(RulesNotAsked(), kept=""), status=error.status
            )
        return _page(request, AssessForm(book, case=start.case, names=names), patient=patient, start=start)
    form = AssessForm(book, request.POST, names=names)
    if not form.is_valid():
        return _page(request, form, patient=patient, status=422)
    if request.POST.get("more"):
        return _page(request, form, patient=patient)
    written = form.case(web.now().astimezone(zone).date())
    try:
        case = cases.read_case(written, book, zone=zone)
    except cases.MalformedCases as malformed:
        form.refuse(malformed.problems)
        return _page(request, form, patient=patient, status=422)
    answer = cases.explained(case, book)
    return _page(request, form, patient=patient, answer=answer, text=cases.as_file(written, zone=str(zone)))


def _patient(request: HttpRequest) -> Patient | None:
    """Return the patient with whom the form began, if there is one."""
    named = request.POST.get("patient", "") or request.GET.get("patient", "")
    if not named:
        return None
    try:
        public_id = uuid.UUID(named)
    except ValueError:
        raise Http404 from None
    found: Patient = get_object_or_404(Patient.objects.visible_to(web.member(request)), public_id=public_id)
    return found


def _page(
    request: HttpRequest,
    form: AssessForm,
    *,
    patient: Patient | None = None,
    start: trying.Start | None = None,
    answer: cases.Explanation | None = None,
    text: str = "",
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "patient": patient, "start": start, "answer": answer, "text": text, "refusal": refusal}
    return web.respond(request, "scheduling/assess.html", context, status=status)
