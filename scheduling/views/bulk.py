"""Book many rows of the worklist at once: a dry run, then each row for itself."""

from __future__ import annotations

import uuid
from dataclasses import replace
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from scheduling import bulk, worklist
from scheduling.bulk import Wanted
from scheduling.forms.offers import from_token, token_of
from scheduling.views import doors


@require_POST
@requires("scheduling.work_course")
def try_out(request: HttpRequest) -> HttpResponse:
    """Show what would be booked where, and what not and why; nothing is booked."""
    only = [] if request.POST.get("all") else _named(request)
    rows = []
    if only or request.POST.get("all"):
        rows = worklist.bookable(
            user=web.member(request), at=web.now(), zone=_zone(request), tab=request.POST.get("tab", ""), only=only
        )
    tried = bulk.rehearse(planned=rows, by=Actor.of(request), at=web.now())
    tokens = [token_of(one.planned, one.opening) if one.opening is not None else "" for one in tried]
    shown = [replace(row, token=token) for row, token in zip(worklist.tried_rows(tried), tokens, strict=True)]
    return web.respond(
        request, "scheduling/bulk.html", {"rows": shown, "key": doors.new_key(), "count": sum(bool(row.token) for row in shown)}
    )


@require_POST
@requires("scheduling.work_course")
def book(request: HttpRequest) -> HttpResponse:
    """Book the chosen rows at the openings that the dry run showed, and show what became of each."""
    chosen = _named(request)
    rows = {}
    if chosen:
        found = worklist.bookable(user=web.member(request), at=web.now(), zone=_zone(request), tab="", only=chosen)
        rows = {row.public_id: row for row in found}
    wanted = []
    for public_id in chosen:
        opening = from_token(request.POST.get(f"opening_{public_id}", ""), public_id)
        if public_id in rows and opening is not None:
            wanted.append(Wanted(rows[public_id], opening))
    results = bulk.book(wanted=wanted, key=doors.key_of(request), by=Actor.of(request), at=web.now())
    for one in results:
        if one.refusal is not None:
            course = one.planned.course
            web.refused(
                request, one.refusal, act="scheduling.bulk_book", subject=one.planned, patient=course.patient.public_id,
                site_id=course.site_id,
            )  # fmt: skip
    shown = {
        "rows": worklist.result_rows(results),
        "done": sum(one.case is not None for one in results),
        "left": len(chosen) - len(results),
    }
    return web.respond(request, "scheduling/bulk_done.html", shown)


def _named(request: HttpRequest) -> list[uuid.UUID]:
    found = []
    for text in request.POST.getlist("row")[: bulk.MOST_ROWS]:
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def _zone(request: HttpRequest) -> ZoneInfo:
    sites = web.sites_of(request)
    return ZoneInfo(sites[0].time_zone if sites else "UTC")
