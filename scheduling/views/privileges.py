"""Set-up: within what a physician may perform each procedure."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures.guidance import MODALITIES
from scheduling import agenda
from scheduling import resources as verbs
from scheduling.agenda import words
from scheduling.agenda.shapes import FormPage, Listing, Row
from scheduling.forms import PrivilegeForm
from scheduling.models import Kind, Privilege, Resource
from scheduling.views import doors
from scheduling.views.setup import form_page, key, list_page, the_resource


@require_GET
@requires("scheduling.manage_resources")
def privileges(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """List what a physician may perform, each with its terms."""
    row = the_resource(request, public_id)
    today = web.now().astimezone(ZoneInfo(row.site.time_zone)).date()
    held = Privilege.objects.filter(resource=row).select_related("procedure").order_by("procedure__name", "pk")
    is_physician = row.kind == Kind.PHYSICIAN
    page = Listing(
        title=f"What {row.name} may perform",
        hint="Who may perform what is ticked on the person's own page; here it is said how, how long and until when.",
        new_url="",
        new_label="",
        heads=("Procedure", "Under", "Minutes", "Holds"),
        rows=tuple(_line(row, each, today) for each in held),
        empty="Nothing is ticked yet on this person's page." if is_physician else "Only physicians hold privileges.",
        back_url=reverse("scheduling:resource", args=[row.public_id]),
        back_label=row.name,
    )
    return list_page(request, page)


def _line(physician: Resource, row: Privilege, today: date) -> Row:
    under = ", ".join(MODALITIES.get(one, one) for one in row.modalities) or "any guidance"
    minutes = str(row.procedure_minutes) if row.procedure_minutes else f"{row.procedure.room_minutes}, as the catalogue has it"
    is_over = row.valid_until is not None and row.valid_until < today
    is_to_come = row.valid_from is not None and row.valid_from > today
    return Row(
        reverse("scheduling:privilege", args=[physician.public_id, row.procedure.public_id]),
        (row.procedure.name, under, minutes, _holds(row)),
        is_over or row.procedure.is_retired,
        "over"
        if is_over
        else "still to come"
        if is_to_come
        else "retired from the catalogue"
        if row.procedure.is_retired
        else "",
    )


def _holds(row: Privilege) -> str:
    first, last = row.valid_from, row.valid_until
    parts = [f"from {_day(first)}" if first else "", f"until {_day(last)}" if last else ""]
    return " ".join(part for part in parts if part) or "always"


def _day(on: date) -> str:
    return f"{words.short_day(on)} {on.year}"


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def privilege(request: HttpRequest, public_id: uuid.UUID, procedure: uuid.UUID) -> HttpResponse:
    """Change within what a physician may perform one procedure."""
    row = the_resource(request, public_id)
    held = get_object_or_404(Privilege.objects.filter(resource=row).select_related("procedure"), procedure__public_id=procedure)
    if request.method == "GET":
        return _page(request, row, held)
    form = PrivilegeForm(request.POST, procedure=held.procedure, terms=verbs.terms_of(held))
    if not form.is_valid():
        return _page(request, row, held, form=form, status=422)
    try:
        doors.act_once(
            request,
            "scheduling.save_privilege",
            lambda: verbs.save_privilege(
                resource=row,
                procedure=held.procedure,
                terms=form.terms(),
                version=form.cleaned_data["version"] or None,
                is_accepted=form.cleaned_data["accept"],
                by=Actor.of(request),
                at=web.now(),
            ),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_privilege", subject=row, site_id=row.site_id)
        return _page(request, row, held, form=form, error=error, status=error.status)
    toasts.success(request, f"{held.procedure.name} is saved for {row.name}.")
    return web.redirect_to(request, reverse("scheduling:privileges", args=[row.public_id]))


def _page(
    request: HttpRequest,
    row: Resource,
    held: Privilege,
    *,
    form: PrivilegeForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    terms = verbs.terms_of(held)
    cases = error.cases if isinstance(error, verbs.CasesInTheWay) else ()
    typed: dict[str, Any] = {
        "version": terms.version,
        "modalities": terms.modalities,
        "procedure_minutes": terms.procedure_minutes,
        "valid_from": terms.valid_from,
        "valid_until": terms.valid_until,
    }
    page = FormPage(
        title=held.procedure.name,
        hint=f"How {row.name} performs it. New bookings and searches obey at once; booked cases keep their length.",
        form=form or PrivilegeForm(initial=typed, procedure=held.procedure, terms=terms),
        action=request.path,
        cancel_url=reverse("scheduling:privileges", args=[row.public_id]),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
        affected=agenda.lines_of(cases, with_patient=True) if cases else (),
        affected_title="Cases that would no longer be allowed",
    )
    return form_page(request, page, status)
