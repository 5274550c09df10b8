"""The defaults of the API, named in the settings: who is asking, what they may, strict input, pages.

Apart from `rest`, because the framework loads these while it builds the view class that `rest` extends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pghistory
from django.conf import settings
from django.db import connection, models
from django.utils.crypto import constant_time_compare
from rest_framework import authentication, exceptions, pagination, parsers, permissions, throttling
from rest_framework.request import Request

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import ApiToken, User
from pain_clinic.audit import trail
from pain_clinic.middleware import client_address, is_clean_text
from pain_clinic.statements import Columns

_TOKEN, _USER = Columns(ApiToken, "t"), Columns(User, "u")
_BY_DIGEST = (
    f"SELECT {_TOKEN.text}, {_USER.text} FROM accounts_apitoken t JOIN accounts_user u ON u.id = t.user_id WHERE t.digest = %s"  # nosec B608  # noqa: S608  names of columns
)


def _token_of(digest: str) -> ApiToken | None:
    """Return the token of this hash with its user."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_DIGEST, [digest])
        row = cursor.fetchone()
    if row is None:
        return None
    token = _TOKEN.row(row)
    token.user = _USER.row(row, len(_TOKEN))
    return token


# --- who is asking ---------------------------------------------------------------------------------------------------
class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Token <secret>`, nowhere else: an address is written in too many logs."""

    GRAIN = timedelta(minutes=5)

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "token":
            return None
        digest = ApiToken.digest_of(secret.strip())
        token = _token_of(digest)
        if token is None or not constant_time_compare(token.digest, digest) or token.revoked_at is not None:
            raise exceptions.AuthenticationFailed("This token is not valid.")
        if not token.user.is_active:
            raise exceptions.AuthenticationFailed("This token is not valid.")
        moment = clock.now()
        if token.used_at is None or moment - token.used_at > self.GRAIN:
            ApiToken.objects.filter(pk=token.pk).update(used_at=moment)
        request._request._clinic_api_user = token.user  # type: ignore[attr-defined]
        pghistory.context(user=token.user.pk)  # the middleware filed row history under nobody
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class SessionAuthentication(authentication.SessionAuthentication):
    """The web session, with its CSRF token; answers 401, not 403, to who has none."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class HasStatedPermission(permissions.BasePermission):
    """Let in who holds the permission that the view states for this method; a view that states none lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        if request.auth is None and request.user.must_change_password:
            # A first password is known to whoever gave it: the session opens nothing until it is changed.
            raise exceptions.PermissionDenied("Choose a password of your own first.")
        needed = permission_of(view, request.method or "")
        if not needed or not request.user.has_perm("accounts.use_api") or not request.user.has_perm(needed):
            if needed:
                trail.record(
                    by=Actor.of(request),
                    act="accounts.permission_denied",
                    outcome="refused",
                    reason_code=needed,
                    details={"view": view.__class__.__name__, "method": request.method},
                )
            return False
        return True


def permission_of(view: Any, method: str) -> str:
    """Return the permission a view states for a method; HEAD and OPTIONS need what GET needs."""
    stated: Mapping[str, str] | str = getattr(view, "required", "")
    if isinstance(stated, str):
        return stated
    if method in {"HEAD", "OPTIONS"} and method not in stated:
        return stated.get("GET") or next(iter(stated.values()), "")
    # A method that the view does not have is answered 405 to whoever may use the view at all.
    return stated.get(method) or next(iter(stated.values()), "")


class AnonymousThrottle(throttling.SimpleRateThrottle):
    """So many requests an address for who is not signed in."""

    scope = "anonymous"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if request.user.is_authenticated:
            return None
        return self.cache_format % {"scope": self.scope, "ident": client_address(request)}


class StaffThrottle(throttling.SimpleRateThrottle):
    """So many requests a person."""

    scope = "staff"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not request.user.is_authenticated:
            return None
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}


# --- strict input ----------------------------------------------------------------------------------------------------
def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _check_depth(text: str) -> None:
    depth, is_inside, is_escaped = 0, False, False
    for character in text:
        if is_inside:
            is_escaped, is_inside = (character == "\\" and not is_escaped), is_escaped or character != '"'
        elif character == '"':
            is_inside = True
        elif character in "[{":
            depth += 1
            if depth > settings.DEEPEST_JSON:
                raise ValueError("nested too deeply")
        elif character in "]}":
            depth -= 1


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if not is_clean_text(value):
            raise ValueError("a text holds NUL or half a character")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_texts(key)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)


def parse_json(raw: bytes) -> Any:
    """Return what JSON says. Raises `ValueError` for bad UTF-8, NaN, keys given twice, depth, NUL, lone surrogates."""
    text = raw.decode("utf-8")
    _check_depth(text)
    value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    _check_texts(value)
    return value


class StrictJSONParser(parsers.JSONParser):
    """JSON that leaves no doubt about what it means."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return parse_json(stream.read())
        except (ValueError, RecursionError) as error:
            raise exceptions.ParseError("The body is not clean JSON.") from error


# --- pages ------------- ----------------------------------------------------------------------------------------------
class Pages(pagination.PageNumberPagination):
    """Pages by number. The query must be ordered totally; a page past the end is 404."""

    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        if isinstance(queryset, models.QuerySet) and not queryset.query.order_by:
            raise AssertionError("a list must be ordered explicitly and totally")
        return super().paginate_queryset(queryset, request, view)
