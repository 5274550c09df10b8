"""Set-up: blocks."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.clock import days_in_words
from pain_clinic.errors import DomainError
from procedures import families
from scheduling import resources as verbs
from scheduling.agenda.shapes import FormPage, Listing, Row
from scheduling.forms import WEEKDAYS, BlockForm
from scheduling.models import Block
from scheduling.views import doors
from scheduling.views.setup import form_page, key, list_page


def _blocks(request: HttpRequest) -> Any:
    mine = Site.objects.visible_to(request.user)
    return Block.objects.filter(site__in=mine).select_related("resource", "site", "physician")


@require_GET
@requires("scheduling.manage_resources")
def blocks(request: HttpRequest) -> HttpResponse:
    """List the blocks at the sites of this user."""
    at = web.now()
    rows = _blocks(request).order_by("site__name", "weekday", "starts", "pk")
    page = Listing(
        title="Blocks",
        hint="Time kept for a physician or a kind of procedure, until it opens to everybody some days before.",
        new_url=reverse("scheduling:block_new"),
        new_label="New block",
        heads=("Name", "Whose time", "When", "Kept for", "Opens"),
        rows=tuple(
            Row(
                reverse("scheduling:block", args=[row.public_id]),
                (
                    row.name,
                    f"{row.resource.name}, {row.site.name}",
                    f"{WEEKDAYS[row.weekday]} {row.starts:%H:%M}-{row.ends:%H:%M}",
                    ", ".join(
                        part for part in (row.physician.name if row.physician else "", families.name_of(row.family)) if part
                    ),
                    f"{row.release_days} days before",
                ),
                row.valid_until is not None and row.valid_until < row.site.day_at(at),
                days_in_words(f"until {row.valid_until}") if row.valid_until else "",
            )
            for row in rows
        ),
        empty="No time is kept for anybody.",
        back_url=reverse("scheduling:settings"),
    )
    return list_page(request, page)


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def block(request: HttpRequest, public_id: uuid.UUID | None = None) -> HttpResponse:
    """Make or change a block; its last day ends it."""
    row = get_object_or_404(_blocks(request), public_id=public_id) if public_id else None
    data = request.POST if request.method == "POST" else None
    form = BlockForm(data, initial=_block_values(row) if row else {"valid_from": web.today(request)}, user=request.user)
    if request.method == "GET":
        return _block_page(request, row, form)
    if not form.is_valid():
        return _block_page(request, row, form, status=422)
    values = dict(form.cleaned_data)
    try:
        doors.act_once(
            request,
            "scheduling.save_block",
            lambda: verbs.save_block(block=row, values=values, by=Actor.of(request), at=web.now()),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_block", subject=row, site_id=values["site"].pk)
        return _block_page(request, row, form, error=error, status=error.status)
    toasts.success(request, f"{values['name']} is saved.")
    return web.redirect_to(request, "scheduling:blocks")


def _block_values(row: Block) -> dict[str, Any]:
    names = ("name", "weekday", "starts", "ends", "valid_from", "valid_until", "family", "release_days")
    return {
        **{name: getattr(row, name) for name in names},
        "resource": row.resource_id,
        "site": row.site_id,
        "physician": row.physician_id,
    }


def _block_page(
    request: HttpRequest, row: Block | None, form: BlockForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    page = FormPage(
        title=row.name if row else "New block",
        form=form,
        action=request.path,
        cancel_url=reverse("scheduling:blocks"),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
    )
    return form_page(request, page, status)
