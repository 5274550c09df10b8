"""Doors of the facts about a patient: list them, add, amend, mark as a mistake."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.audit import trail
from patients import recorded
from patients.forms import FactForm, ProblemForm, form_for
from patients.models import Patient
from patients.recorded import KINDS, FactLine, Group
from patients.views import reaching
from patients.views.keeping import Shelf


@require_GET
@requires("patients.record_clinical")
def record(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """List what is on record about a patient, with a way to change each line; opening it is a recorded act."""
    patient = reaching.the_patient(request, public_id)
    trail.record(
        by=Actor.of(request), act="patients.read_facts", subject=patient, patient=patient.public_id, site_id=patient.home_site_id
    )
    found = recorded.on_record(patient=patient, on=reaching.today_of(request))
    may_start = Actor.of(request).may("scheduling.order_course")

    def start_url(group: Group, line: FactLine) -> str:
        """Return where a course for a problem is started, for whoever may order one."""
        if group.code != "presentations" or line.is_over or not may_start:
            return ""
        return f"{reverse('scheduling:course_start', args=[patient.public_id])}?problem={line.public_id}"

    groups = [
        {
            "title": group.title,
            "nothing": group.nothing,
            "new_url": reverse("patients:fact_new", args=[patient.public_id, group.code]),
            "lines": [
                (line, reverse("patients:fact", args=[patient.public_id, group.code, line.public_id]), start_url(group, line))
                for line in group.lines
            ],
        }
        for group in found.groups
    ]
    return web.respond(request, "patients/record.html", {"patient": patient, "groups": groups, "found": found})


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def new_fact(request: HttpRequest, public_id: uuid.UUID, kind: str) -> HttpResponse:
    """Write down a fact."""
    return SHELF.add(request, reaching.the_patient(request, public_id), kind)


@require_http_methods(["GET", "POST"])
@requires("patients.record_clinical")
@sensitive_post_parameters()
def fact(request: HttpRequest, public_id: uuid.UUID, kind: str, fact: uuid.UUID) -> HttpResponse:
    """Amend a fact, or mark it as written down by mistake."""
    return SHELF.change(request, reaching.the_patient(request, public_id), kind, fact)


def _form(request: HttpRequest, kind: str, patient: Patient, typed: Any, row: Any) -> FactForm | ProblemForm:
    if kind == "presentations":
        return ProblemForm(typed, patient=patient, today=reaching.today_of(request), row=row)
    zone = ZoneInfo(patient.home_site.time_zone)
    return form_for(kind, typed, today=reaching.today_of(request), zone=zone, row=row)


SHELF = Shelf("fact", "patients:record", KINDS, _form)
