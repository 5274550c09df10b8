"""Doors of the trail: the auditor's page, and readiness."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public, requires
from pain_clinic.audit import reports
from pain_clinic.audit.forms import AuditForm
from pain_clinic.health import readiness


@requires("accounts.view_audit")
@require_safe
def events(request: HttpRequest) -> HttpResponse:
    form = AuditForm(request.GET or None, today=web.today(request))
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return web.respond(request, "audit/events.html", {"form": form, "page": None}, status=status)
    page = reports.events(**form.cleaned_data, zone=web.zone_of(request), by=Actor.of(request), at=web.now())
    asked = request.GET.copy()
    if page.next_before is not None:
        asked["before"] = str(page.next_before)
    older = asked.urlencode() if page.next_before is not None else ""
    return web.respond(request, "audit/events.html", {"form": form, "page": page, "older": older})


@open_to_public(because="load balancers and supervisors ask without an account; it tells words, no data")
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    found = readiness()
    is_ready = all(word == "ok" for word in found.values())
    answer = {"status": "ready" if is_ready else "not ready", "checks": found}
    return JsonResponse(answer, status=200 if is_ready else 503, headers={} if is_ready else {"Retry-After": "5"})
