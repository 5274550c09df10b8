"""What every request passes: an id, headers, clean input, the session's limits, and the need to be signed in."""

from __future__ import annotations

import ipaddress
import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

import pghistory
import structlog
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url

from pain_clinic import clock, strangers

Handler = Callable[[HttpRequest], HttpResponse]
log = structlog.get_logger("pain_clinic.access")

REQUEST_ID = re.compile(r"\A[A-Za-z0-9-]{8,64}\Z")
LINKS = "/l/"
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, counted from the nearest proxy that the operator trusts.

    A forwarded address is believed only if a trusted proxy added it, so that nobody can choose their own. A peer on
    a socket file has no address; `local` among `TRUSTED_PROXIES` trusts it.
    """
    address = str(request.META.get("REMOTE_ADDR", "") or "local")
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while forwarded and _within(address, trusted):
        candidate = forwarded.pop()
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            break
        address = candidate
    return "127.0.0.1" if address == "local" else address[:64]


def _networks(words: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(word if word == "local" else ipaddress.ip_network(word, strict=False) for word in words)


def _within(address: str, networks: tuple[Any, ...]) -> bool:
    if address == "local":
        return "local" in networks
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(network != "local" and parsed in network for network in networks)


def plain_error(request: HttpRequest, status: int, title: str, code: str) -> HttpResponse:
    """Answer an error before any view is chosen, in the form that the client speaks."""
    if request.path.startswith("/api/"):
        problem = {"type": f"urn:clinic:{code}", "title": title, "status": status, "code": code}
        return JsonResponse(problem, status=status, content_type="application/problem+json")
    template = f"{status}.html" if status in {400, 403, 404} else "400.html"
    return render(request, template, {"title": title, "reason": title if status == 413 else "", "public": True}, status=status)


class RequestIdMiddleware:
    """Give each request an id, show it in the answer, and write one access line that names the route, not the path."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        is_trusted = _within(str(request.META.get("REMOTE_ADDR", "") or "local"), _networks(tuple(settings.TRUSTED_PROXIES)))
        if is_trusted and request.META.get("HTTP_X_FORWARDED_PROTO") == "https":
            request.META["wsgi.url_scheme"] = "https"  # the proxy ends TLS; only a trusted one may say so
        request_id = given if is_trusted and REQUEST_ID.match(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.monotonic()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        match = request.resolver_match
        if match is not None:
            user = request.__dict__.get("_cached_user") or request.__dict__.get("_clinic_api_user")
            log.info(
                "request",
                method=request.method,
                route=match.route,
                status=response.status_code,
                ms=round((time.monotonic() - began) * 1000),
                user_id=getattr(user, "pk", None),
            )
        return response


class HeadersMiddleware:
    """Add the headers that Django has no setting for, to every answer, errors and files included."""

    PERMISSIONS = ", ".join(
        f"{feature}=()"
        for feature in (
            "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope",
            "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
            "publickey-credentials-get", "screen-wake-lock", "serial", "sync-xhr", "usb", "xr-spatial-tracking",
        )
    )  # fmt: skip

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", self.PERMISSIONS)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("X-Robots-Tag", "noindex, nofollow")
        if not request.path.startswith(settings.STATIC_URL):
            # Whatever a view makes may hold a patient's data; no browser or proxy keeps it.
            response["Cache-Control"] = "no-store, private"
        return response


class CleanInputMiddleware:
    """Refuse what no honest client sends: NUL, broken UTF-8, oversized bodies."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        most = settings.LARGEST_UPLOAD if request.content_type == "multipart/form-data" else settings.LARGEST_BODY
        if not length.isdigit() or int(length) > most:
            return plain_error(request, 413, f"That is more than we can take: {most // 1024**2} MB at most.", "too_large")
        if not self._is_clean(request):
            if request.path.startswith(LINKS):  # a spoilt link gets the page of every bad link, whatever spoilt it
                return strangers.tell(request, strangers.GONE, status=404)
            return plain_error(request, 400, "That request cannot be read.", "malformed")
        if request.content_type in FORM_TYPES:
            try:
                values = [text for key, texts in request.POST.lists() for text in (key, *texts)]
            except RequestDataTooBig:
                return plain_error(request, 413, "That is more than we can take.", "too_large")
            if not all(is_clean_text(value) for value in values):
                return plain_error(request, 400, "That text holds characters that cannot be kept.", "malformed")
        return self.get_response(request)

    @staticmethod
    def _is_clean(request: HttpRequest) -> bool:
        raw = [request.META.get("QUERY_STRING", "").replace("+", " "), request.META.get("PATH_INFO", "")]
        try:
            query = unquote_to_bytes(raw[0]).decode("utf-8")
            path = request.path_info.encode("utf-8").decode("utf-8")
        except UnicodeError:
            return False
        return len(path) <= 2000 and len(query) <= 8000 and is_clean_text(query) and is_clean_text(path)


def is_clean_text(text: str) -> bool:
    """Say whether a text can be kept: no NUL and no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class SessionLimitsMiddleware:
    """End a session that was idle too long or is too old, whatever its cookie says. Polling is not use."""

    STARTED, USED, GRAIN = "signed_in_at", "used_at", 20

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            moment = clock.now()
            started, used = self._instant(request, self.STARTED), self._instant(request, self.USED)
            if started is None or used is None:
                request.session[self.STARTED] = request.session[self.USED] = moment.timestamp()
            elif moment - used >= settings.SESSION_IDLE or moment - started >= settings.SESSION_LONGEST:
                keep_input(request, at=moment)
                logout(request)
            elif request.headers.get("X-Clinic-Poll") != "1" and (moment - used).total_seconds() >= self.GRAIN:
                request.session[self.USED] = moment.timestamp()
        return self.get_response(request)

    @staticmethod
    def _instant(request: HttpRequest, key: str) -> datetime | None:
        value = request.session.get(key)
        return datetime.fromtimestamp(value, tz=UTC) if isinstance(value, int | float) else None


NOT_KEPT = re.compile(r"pass|secret|token|csrf", re.IGNORECASE)
LARGEST_KEPT = 100_000


def keep_input(request: HttpRequest, *, at: datetime) -> None:
    """Keep what a form held when its session had ended, so that the same person can take it up again."""
    if request.method != "POST" or request.content_type not in FORM_TYPES or not hasattr(request.user, "kept_inputs"):
        return
    data = {name: values for name, values in request.POST.lists() if not NOT_KEPT.search(name)}
    shown = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "")
    path = (shown.path or request.path)[:300]
    if data and len(json.dumps(data)) <= LARGEST_KEPT and path.startswith("/"):
        request.user.kept_inputs.update_or_create(path=path, defaults={"data": data, "kept_at": at})


def sign_in_address(request: HttpRequest) -> str:
    """Return the sign-in page's address, with the way back to the page that the person was on."""
    back = request.get_full_path()
    if request.headers.get("HX-Request") == "true":
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = shown.path + (f"?{shown.query}" if shown.query else "") if shown.path.startswith("/") else "/"
    elif request.method != "GET":
        shown = urlsplit(request.headers.get("Referer", ""))
        back = shown.path if shown.netloc == request.get_host() and shown.path.startswith("/") else "/"
    # Only a path of ours, without a scheme, a host or a second slash.
    back = "/" if back.startswith("//") else back
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"


class SignInRequiredMiddleware:
    """Let nobody into a view that is not marked as open to the public."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        if getattr(view, "is_open_to_public", ""):
            return None
        if request.user.is_authenticated:
            must_change = request.user.must_change_password and not getattr(view, "is_rest_view", False)
            change = resolve_url("account_change_password")
            return _moved(request, change) if must_change and request.path != change else None
        if getattr(view, "is_rest_view", False):
            return None  # the API's own authentication and permission decide, and answer in its own form
        return to_sign_in(request)


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send a person without a session to the sign-in page: a redirect, or htmx's own for the whole page."""
    return _moved(request, sign_in_address(request))


def _moved(request: HttpRequest, address: str) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=200, headers={"HX-Redirect": address})
    return HttpResponse(status=302, headers={"Location": address})


class HistoryMiddleware:
    """File row history under the person and the request; never under the address, which may hold a secret."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD", "OPTIONS", "TRACE"}:
            return self.get_response(request)
        user = request.user.pk if request.user.is_authenticated else None
        with pghistory.context(user=user, request=getattr(request, "request_id", "")):
            return self.get_response(request)
