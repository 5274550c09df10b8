"""What every JSON door needs: the base view, one problem shape, versions, request keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from rest_framework import exceptions, renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from pain_clinic import clock, keys, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import DomainError, retried
from pain_clinic.texts import clean_text

log = structlog.get_logger("pain_clinic.rest")
PROBLEM = "application/problem+json"


# --- one problem shape -----------------------------------------------------------------------------------------------
class Problem(Response):
    """An RFC 9457 problem document with a stable `code`."""

    def __init__(self, status: int, code: str, title: str, extra: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        body = {"type": f"urn:clinic:{code}", "title": title, "status": status, "code": code, **(extra or {})}
        super().__init__(body, status=status, content_type=PROBLEM, **kwargs)


def problem_for(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Translate what a view raised. Refusals are recorded here, once; what is not ours rises."""
    request: Request | None = context.get("request")
    if isinstance(error, DomainError):
        if request is not None and request.user.is_authenticated:
            web.refused(request, error, act=str(getattr(context.get("view"), "act", "")))
        return Problem(error.status, error.code, error.message, {"details": error.details} if error.details else None)
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database", exc_info=error)
        return Problem(503, "unavailable", "Temporarily unavailable.", headers={"Retry-After": "5"})
    if isinstance(error, Http404):
        return Problem(404, "not_found", "There is nothing here that you may see.")
    if isinstance(error, PermissionDenied):
        return Problem(403, "forbidden", "You may not do this.")
    if isinstance(error, exceptions.ValidationError):
        return Problem(400, "invalid", "The request is not valid.", {"errors": error.detail})
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    return None


def _of_framework(error: exceptions.APIException) -> Response:
    headers = {}
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if getattr(error, "auth_header", ""):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    codes = {401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 406: "not_acceptable",
             415: "unsupported_media_type", 429: "too_many_requests", 400: "malformed"}  # fmt: skip
    return Problem(error.status_code, codes.get(error.status_code, "error"), str(error.detail), headers=headers or None)


class View(APIView):
    """The base of every API view. State `required = {"GET": "app.verb_noun", ...}`; without it nobody gets in."""

    required: Mapping[str, str] | str = ""
    is_rest_view = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        view.is_rest_view = True  # type: ignore[attr-defined]
        return view

    @property
    def actor(self) -> Actor:
        """Return who asks, as verbs want it."""
        return Actor.of(self.request)


class Text(serializers.CharField):
    """What people type and others read: cleaned as on the pages, or refused in words."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_text(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(f"This text {error}.", code="text_unusable") from error


class Instant(serializers.DateTimeField):
    """An instant with its offset, in the years that a clinic can mean."""

    default_error_messages = {  # the framework reads a plain dict
        "unbelievable": "A year between 2000 and 2100 is expected.",
        "offset": "Give the offset, as in 2027-01-31T09:00:00-05:00 or ...Z.",
    }

    def to_internal_value(self, value: Any) -> datetime:
        try:
            found = parse_datetime(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None:
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss]+hh:mm")
        if found.tzinfo is None:
            self.fail("offset")
        if not 2000 <= found.year <= 2100:
            self.fail("unbelievable")
        return found.astimezone(UTC)


# --- versions ----------------------------------------------------------------------------------------------------------
def etag(version: Any) -> str:
    """Return the entity tag of a row's version."""
    return f'"{version}"'


class Stale(DomainError):
    """The caller changes a version that is no longer the present one."""

    status = 412

    def __init__(self, present: Any) -> None:
        super().__init__("stale", "It has changed since you read it. Read it again.", {"version": str(present)})


class VersionMissing(DomainError):
    """The caller must say which version it changes."""

    status = 428

    def __init__(self) -> None:
        super().__init__("version_missing", "Send If-Match with the version that you have read.")


def check_version(request: HttpRequest | Request, version: Any, *, must: bool = False) -> None:
    """Raise `Stale` unless If-Match names the present version; with `must`, also when it is missing."""
    given = request.headers.get("If-Match", "").strip()
    if not given:
        if must:
            raise VersionMissing
        return
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    if "*" not in tags and etag(version) not in tags:
        raise Stale(version)


# --- request keys ----------------------------------------------------------------------------------------------------
def once(request: Request, verb: str, produce: Callable[[], Response]) -> HttpResponse:
    """Call `produce` once for each `Idempotency-Key`, and give every repeat the same status and the same bytes.

    `produce` runs inside the transaction that also keeps the answer: both stand or fall together. A refusal
    (`DomainError`) rises and leaves no key behind. Without the header, `produce` simply runs. After a deadlock the whole
    transaction is tried again.
    """
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return retried(produce)
    body = request._request.body if hasattr(request._request, "_body") else _canonical(request.data)
    digest = hashlib.sha256(request.get_full_path().encode() + b"\n" + body).hexdigest()

    def kept() -> keys.Answer:
        response = produce()
        rendered = renderers.JSONRenderer().render(response.data) if response.data is not None else b""
        return keys.Answer(
            response.status_code, rendered.decode(), response.headers.get("Location", ""), response.headers.get("ETag", "")
        )

    by, at = Actor.of(request), clock.now()
    answer = retried(lambda: keys.once(by=by, verb=verb, key=key, body_hash=digest, produce=kept, at=at))
    response = HttpResponse(answer.text, status=answer.status, content_type="application/json")
    if answer.location:
        response["Location"] = answer.location
    if answer.etag:
        response["ETag"] = answer.etag
    if answer.is_repeat:
        response["Idempotency-Replayed"] = "true"
    return response


def _canonical(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, cls=JSONEncoder).encode("utf-8", "surrogatepass")
