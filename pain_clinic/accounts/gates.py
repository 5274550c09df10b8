"""Who may knock: every view states the permission it needs, or that it is open to the public and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.middleware import to_sign_in

View = Callable[..., HttpResponse]


def requires(permission: str) -> Callable[[View], View]:
    """Let in who holds the permission. Anonymous goes to sign in; anyone else gets a 403 page, and it is audited."""
    if permission.count(".") != 1:
        raise ValueError(f"a permission reads app.verb_noun, not {permission!r}")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return to_sign_in(request)
            if not request.user.has_perm(permission):
                return denied(request, permission)
            return view(request, *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate


def open_to_public(*, because: str) -> Callable[[View], View]:
    """Let everybody in, for a stated reason."""
    if len(because) < 10:
        raise ValueError("say why the view is open to the public")

    def decorate(view: View) -> View:
        @wraps(view)
        def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return view(request, *args, **kwargs)

        opened.is_open_to_public = because  # type: ignore[attr-defined]
        return opened

    return decorate


def denied(request: HttpRequest, permission: str) -> HttpResponse:
    """Record that somebody asked for more than they may, and say so on a page."""
    route = request.resolver_match.view_name if request.resolver_match else ""
    trail.record(
        by=Actor.of(request),
        act="accounts.permission_denied",
        outcome="refused",
        reason_code=permission,
        details={"view": route, "method": request.method},
    )
    return web.respond(request, "403.html", {"permission": permission}, status=403)
