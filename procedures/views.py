"""Doors of the catalogue: the list, one procedure, its form, and the switch that offers it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.errors import DomainError
from procedures import catalogue
from procedures.forms import FilterForm, NeedForm, NeedFormSet, ProcedureForm, SwitchForm, needs_asked
from procedures.listing import listing, sheet
from procedures.models import Procedure


@requires("procedures.view_catalogue")
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET or None)
    asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
    page = listing(**asked, may_change=Actor.of(request).may(catalogue.CHANGE), here=request.get_full_path())
    status = 422 if form.is_bound and form.errors else 200
    return web.respond(request, "procedures/list.html", {"form": form, "page": page}, status=status)


@requires("procedures.view_catalogue")
@require_safe
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    procedure = get_object_or_404(Procedure, public_id=public_id)
    page = sheet(procedure, may_change=Actor.of(request).may(catalogue.CHANGE))
    return web.respond(request, "procedures/detail.html", {"page": page})


@requires("procedures.change_catalogue")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    procedure = get_object_or_404(Procedure, public_id=public_id)
    if request.method != "POST":
        form, needs = ProcedureForm.of(procedure), NeedFormSet(initial=catalogue.needs_now(procedure), prefix="needs")
        return _edit_page(request, procedure, form, needs, status=200)
    form, needs = ProcedureForm(request.POST), NeedFormSet(request.POST, prefix="needs")
    if not (form.is_valid() and needs.is_valid()):
        return _edit_page(request, procedure, form, needs, status=422)
    try:
        catalogue.amend(
            procedure=procedure,
            changes=form.changes(),
            needs=needs_asked(needs),
            version=form.cleaned_data["version"],
            by=Actor.of(request),
            at=web.now(),
        )
    except DomainError as refusal:
        web.refused(request, refusal, act="procedures.amend", subject=procedure)
        form.refuse(refusal)
        return _edit_page(request, procedure, form, needs, status=web.status_of(refusal))
    messages.success(request, "Saved. Cases already booked keep their times.")
    return web.redirect_to(request, procedure)


@requires("procedures.change_catalogue")
@require_POST
def switch(request: HttpRequest, public_id: UUID) -> HttpResponse:
    procedure = get_object_or_404(Procedure, public_id=public_id)
    form = SwitchForm(request.POST)
    if not form.is_valid():
        page = sheet(procedure, may_change=True)
        return web.respond(request, "procedures/detail.html", {"page": page, "form": form}, status=422)
    try:
        catalogue.switch(procedure=procedure, is_offered=form.cleaned_data["is_offered"], by=Actor.of(request), at=web.now())
    except DomainError as refusal:
        web.refused(request, refusal, act="procedures.amend", subject=procedure)
        page = sheet(procedure, may_change=True)
        return web.respond(request, "procedures/detail.html", {"page": page, "refusal": refusal}, status=web.status_of(refusal))
    return web.redirect_to(request, web.safe_next(request, request.POST.get("next", "") or procedure.get_absolute_url()))


def _edit_page(
    request: HttpRequest, procedure: Procedure, form: ProcedureForm, needs: BaseFormSet[NeedForm], *, status: int
) -> HttpResponse:
    page = sheet(procedure, may_change=True)
    return web.respond(request, "procedures/edit.html", {"page": page, "form": form, "needs": needs}, status=status)
