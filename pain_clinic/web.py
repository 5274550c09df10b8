"""What every HTML door needs: the clock, pages and fragments, redirects that htmx understands, refusals told once."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import DatabaseError, InterfaceError, OperationalError, models, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render, resolve_url
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from pain_clinic import clock, keys
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import KeptInput, Site, User
from pain_clinic.accounts.tidying import KEPT_INPUT_LASTS
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError, retried

log = structlog.get_logger("pain_clinic.web")
UNCOUNTED = frozenset({"request_key", "csrfmiddlewaretoken"})


def now() -> datetime:
    """Return the instant at which a door acts; verbs get it as `at`."""
    return clock.now()


def member(request: Any) -> User:
    """Return who is signed in. Gates and the API's permissions let nobody else come so far."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def show_site(request: HttpRequest, site: Site) -> None:
    """Note which site this page is about: the frame around it names that one."""
    request.shown_site = site  # type: ignore[attr-defined]


def sites_of(request: HttpRequest) -> tuple[Site, ...]:
    """Return the sites where the signed-in person works, in name order; read once per request."""
    known: tuple[Site, ...] | None = getattr(request, "_clinic_sites", None)
    if known is None:
        known = tuple(Site.objects.visible_to(request.user).active().order_by("name", "pk"))
        request._clinic_sites = known  # type: ignore[attr-defined]
    return known


def zone_of(request: HttpRequest) -> ZoneInfo:
    """Return whose clocks this person goes by: those of the first of their sites, else of the clinic's first, else UTC."""
    known: ZoneInfo | None = getattr(request, "_clinic_zone", None)
    if known is None:
        sites = sites_of(request) or tuple(Site.objects.active().order_by("name", "pk")[:1])
        known = ZoneInfo(sites[0].time_zone if sites else "UTC")
        request._clinic_zone = known  # type: ignore[attr-defined]
    return known


def today(request: HttpRequest) -> date:
    """Return the date there; in an American evening the UTC date is tomorrow's."""
    return now().astimezone(zone_of(request)).date()


def usual_site(request: HttpRequest) -> Site | None:
    """Return the site where this person begins: the one chosen last, while they work there, else the first by name."""
    sites = sites_of(request)
    return next((site for site in sites if site.pk == member(request).last_site_id), sites[0] if sites else None)


def remember_site(request: HttpRequest, site: Site) -> None:
    """Begin at this site next time."""
    user = member(request)
    if user.last_site_id != site.pk:
        User.objects.filter(pk=user.pk).update(last_site=site)
        user.last_site_id = site.pk


def wants_fragment(request: HttpRequest) -> bool:
    """Say whether htmx asks for a part of the page: not for boosted links nor for a restored history."""
    htmx = getattr(request, "htmx", None)
    if not htmx:
        return False
    return not htmx.boosted and not htmx.history_restore_request


def respond(request: HttpRequest, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """Render the page, or its fragment `_name.html` beside it when htmx asks and the fragment exists."""
    chosen = template
    if wants_fragment(request):
        folder, _, name = template.rpartition("/")
        fragment = f"{folder}/_{name}" if folder else f"_{name}"
        try:
            get_template(fragment)
            chosen = fragment
        except TemplateDoesNotExist:
            chosen = template
    response = render(request, chosen, context or {}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def redirect_to(request: HttpRequest, to: str | models.Model, *args: Any, **kwargs: Any) -> HttpResponse:
    """Send the browser to a URL, a URL name or an object's page; htmx is told to move the whole page."""
    address = resolve_url(to, *args, **kwargs)
    if getattr(request, "htmx", None) and not request.htmx.boosted:  # type: ignore[attr-defined]
        return HttpResponse(status=200, headers={"HX-Redirect": address})
    return HttpResponse(status=303 if request.method == "POST" else 302, headers={"Location": address})


def status_of(error: DomainError) -> int:
    """Return the HTTP status that a refusal's kind stands for."""
    return error.status


def refused(
    request: HttpRequest,
    error: DomainError,
    *,
    act: str = "",
    subject: models.Model | None = None,
    patient: Any = None,
    site_id: int | None = None,
) -> None:
    """Record a refusal, after the verb's transaction has rolled back. Doors call it once for each `DomainError`."""
    route = request.resolver_match.view_name if request.resolver_match else ""
    trail.record(
        by=Actor.of(request),
        act=act or route or "unknown",
        outcome="refused",
        subject=subject,
        patient=patient,
        site_id=site_id,
        reason_code=error.code,
        details={"view": route},
    )


def safe_next(request: HttpRequest, address: str) -> str:
    """Return the address if it leads to a page of this site, else the home page."""
    own = {request.get_host()}
    if address and url_has_allowed_host_and_scheme(address, allowed_hosts=own, require_https=request.is_secure()):
        parts = urlsplit(address)
        if parts.path.startswith("/") and not parts.path.startswith("//"):
            return address
    return "/"


def kept_input(request: HttpRequest) -> QueryDict | None:
    """Return what this person had typed on this page when their session ended, once, and forget it."""
    if not request.user.is_authenticated:
        return None
    with transaction.atomic():
        row = KeptInput.objects.select_for_update().filter(user_id=request.user.pk, path=request.path[:300]).first()
        if row is None:
            return None
        row.delete()
    if now() - row.kept_at > KEPT_INPUT_LASTS:
        return None
    found = QueryDict(mutable=True)
    for name, values in row.data.items():
        found.setlist(name, values)
    return found


def is_typed_kept(request: HttpRequest, path: str) -> bool:
    """Say whether what this person typed on another page waits there."""
    return member(request).kept_inputs.filter(path=path[:300], kept_at__gt=now() - KEPT_INPUT_LASTS).exists()


def keep_typed(request: HttpRequest) -> None:
    """Keep what this page's form holds while the same person does something else first; `kept_input` gives it back once."""
    data = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    member(request).kept_inputs.update_or_create(path=request.path[:300], defaults={"data": data, "kept_at": now()})


def once(
    request: HttpRequest, verb: str, produce: Callable[[], HttpResponse], *, key: str = "", body: bytes | None = None
) -> HttpResponse:
    """Call `produce` once for the form's hidden `request_key`; a repeated submit gets the same answer again.

    `produce` runs inside the transaction that keeps the answer. It raises `DomainError` for refusals, which take the
    key away again, so that the same form may be sent once more.
    """
    key = key or request.POST.get("request_key", "")
    if not key:
        return retried(produce)
    if body is None:
        fields = sorted((name, values) for name, values in request.POST.lists() if name not in UNCOUNTED)
        body = json.dumps([request.path, fields]).encode()

    def kept() -> keys.Answer:
        response = produce()
        location = response.headers.get("Location", "") or response.headers.get("HX-Redirect", "")
        return keys.Answer(response.status_code, response.content.decode(), location, response.headers.get("HX-Trigger", ""))

    digest = hashlib.sha256(body).hexdigest()
    by, at = Actor.of(request), now()
    answer = retried(lambda: keys.once(by=by, verb=verb, key=key, body_hash=digest, produce=kept, at=at))
    if answer.location:
        response = redirect_to(request, answer.location)
    else:
        response = HttpResponse(answer.text, status=answer.status)
    if answer.etag:
        response["HX-Trigger"] = answer.etag
    return response


def surroundings(request: HttpRequest) -> dict[str, Any]:
    """Give every template what is true of the whole installation."""
    return {"clinic_name": settings.CLINIC_NAME, "clinic_mode": settings.CLINIC_MODE, "session_idle": settings.SESSION_IDLE}


def error_page(status: int) -> HttpResponse:
    """Render an error page with no request, so that neither session nor database is touched."""
    return HttpResponse(get_template(f"{status}.html").render({"public": True}), status=status)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 when the database is away or overloaded, else 500; say nothing of the cause."""
    error = sys.exc_info()[1]
    is_outage = isinstance(error, OperationalError | InterfaceError)
    status, code = (503, "unavailable") if is_outage else (500, "internal")
    if request.path.startswith("/api/"):
        title = "Temporarily unavailable" if is_outage else "Internal error"
        problem = {"type": f"urn:clinic:{code}", "title": title, "status": status, "code": code}
        response: HttpResponse = JsonResponse(problem, status=status, content_type="application/problem+json")
    else:
        response = error_page(status)
    if is_outage:
        response["Retry-After"] = "5"
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, as a problem under `/api/`, as a page elsewhere."""
    return _told(request, 404, "Not found", "not_found")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 for what Django itself refuses, or for what an address asks that cannot be."""
    return _told(request, 400, str(exception) if isinstance(exception, BadRequest) else "Bad request", "malformed")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 for what Django itself refuses."""
    return _told(request, 403, "Forbidden", "forbidden")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 when a form comes without our token: usually a page that was left open over a sign-out."""
    return _told(request, 403, "This page is out of date. Go back, reload it and try again.", "csrf")


def _told(request: HttpRequest, status: int, title: str, code: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        problem = {"type": f"urn:clinic:{code}", "title": title, "status": status, "code": code}
        return JsonResponse(problem, status=status, content_type="application/problem+json")
    try:
        return render(request, f"{status}.html", {"reason": title}, status=status)
    except DatabaseError:
        return error_page(status)
