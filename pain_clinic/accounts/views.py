"""Doors of staff accounts: sign in and out, one's own account, and the administrator's list of staff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.account.views import LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from pain_clinic import web
from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.adapter import axes_username
from pain_clinic.accounts.forms import PasswordForm, StaffForm, TokenForm
from pain_clinic.accounts.gates import open_to_public, requires
from pain_clinic.accounts.models import ApiToken, User
from pain_clinic.accounts.roles import ROLE_NAMES
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from pain_clinic.middleware import SessionLimitsMiddleware, client_address


def _person(request: HttpRequest) -> User:
    """Return the member of staff behind a request that a gate has let in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class SignInView(LoginView):
    """allauth's sign-in, with our page, our idea of a safe way back, and a trail of each try."""

    template_name = "account/login.html"

    def get_next_url(self) -> str | None:
        asked = self.request.POST.get("next") or self.request.GET.get("next") or ""
        return web.safe_next(self.request, asked) if asked else None

    def get_success_url(self) -> str:
        return self.get_next_url() or "/"

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        if self.request.user.is_authenticated:
            moment = web.now().timestamp()
            self.request.session[SessionLimitsMiddleware.STARTED] = moment
            self.request.session[SessionLimitsMiddleware.USED] = moment
            self.request.session.set_expiry(0)
            trail.record(by=Actor.of(self.request), act="accounts.sign_in", subject=self.request.user)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        failed_sign_in(self.request)
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "public": True, "next": self.get_next_url() or ""}


sign_in = open_to_public(because="it is where people without a session go")(SignInView.as_view())


def failed_sign_in(request: HttpRequest, reason: str = "wrong") -> None:
    """Record a failed try. The name typed may be a password typed in the wrong field, so only a known one is kept."""
    known = User.objects.filter(username=axes_username(request, None)).first()
    actor = Actor(kind="anonymous", user_id=None, name="anonymous", address=client_address(request),
                  request_id=getattr(request, "request_id", ""))  # fmt: skip
    trail.record(by=actor, act="accounts.sign_in", outcome="refused", subject=known, reason_code=reason)


def locked_out(request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
    """Say that this name is closed to this address for a while; others go on signing in."""
    failed_sign_in(request, "locked")
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    response = web.respond(request, "account/locked.html", {"public": True, "minutes": minutes}, status=429)
    response["Retry-After"] = str(minutes * 60)
    return response


@open_to_public(because="signing out twice must not fail; it acts on POST only")
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        trail.record(by=Actor.of(request), act="accounts.sign_out", subject=request.user)
        logout(request)
    response = web.redirect_to(request, settings.LOGIN_URL)
    response["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


@dataclass(frozen=True, slots=True)
class TokenShown:
    public_id: Any
    label: str
    hint: str
    created_at: Any
    used_at: Any


@requires("accounts.view_home")
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None, user=_person(request))
    if request.method == "GET" or not form.is_valid():
        return web.respond(request, "accounts/password.html", {"form": form}, status=200 if request.method == "GET" else 422)
    user = staff.change_own_password(
        user=_person(request), password=form.cleaned_data["new_password"], by=Actor.of(request), at=web.now()
    )
    kept = {key: request.session[key] for key in ("signed_in_at", "used_at") if key in request.session}
    login(request, user, backend="pain_clinic.accounts.backend.RoleBackend")
    request.session.update(kept)
    messages.success(request, "Your password is changed. All your other sessions have ended.")
    return web.redirect_to(request, "account")


@requires("accounts.view_home")
@require_http_methods(["GET"])
def account(request: HttpRequest) -> HttpResponse:
    roles = [ROLE_NAMES.get(name, name) for name in _person(request).groups.order_by("name").values_list("name", flat=True)]
    sites = list(_person(request).sites.order_by("name").values_list("name", flat=True))
    return web.respond(request, "accounts/account.html", {"roles": roles, "sites": sites})


@requires("accounts.view_home")
@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    staff.end_sessions(user=_person(request), by=Actor.of(request), at=web.now())
    logout(request)
    response = web.redirect_to(request, settings.LOGIN_URL)
    response["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


@requires("accounts.use_api")
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST or None)
    secret, status = "", 200
    if request.method == "POST":
        if form.is_valid():
            label = form.cleaned_data["label"]
            _, secret = staff.make_token(user=_person(request), label=label, by=Actor.of(request), at=web.now())
            form = TokenForm()
        else:
            status = 422
    rows = _person(request).api_tokens.filter(revoked_at=None).order_by("-created_at", "-pk")
    shown = [TokenShown(row.public_id, row.label, row.hint, row.created_at, row.used_at) for row in rows]
    return web.respond(request, "accounts/tokens.html", {"form": form, "tokens": shown, "secret": secret}, status=status)


@requires("accounts.use_api")
@require_POST
def revoke_token(request: HttpRequest, public_id: Any) -> HttpResponse:
    token = get_object_or_404(ApiToken, public_id=public_id, user=_person(request))
    staff.revoke_token(token=token, by=Actor.of(request), at=web.now())
    messages.success(request, "The token is revoked.")
    return web.redirect_to(request, "account_tokens")


@dataclass(frozen=True, slots=True)
class StaffRow:
    public_id: Any
    username: str
    name: str
    roles: str
    sites: str
    is_active: bool
    is_you: bool


def _row(user: User, viewer: Any) -> StaffRow:
    roles = ", ".join(ROLE_NAMES.get(group.name, group.name) for group in user.groups.all())
    sites = ", ".join(sorted(site.name for site in user.sites.all()))
    return StaffRow(user.public_id, user.username, user.shown_name, roles, sites, user.is_active, user.pk == viewer.pk)


@requires("accounts.manage_staff")
@require_http_methods(["GET"])
def staff_list(request: HttpRequest) -> HttpResponse:
    users = User.objects.visible_to(request.user).prefetch_related("groups", "sites").order_by("-is_active", "username", "pk")
    return web.respond(request, "accounts/staff.html", {"staff": [_row(user, request.user) for user in users]})


@requires("accounts.manage_staff")
@require_http_methods(["GET", "POST"])
def staff_new(request: HttpRequest) -> HttpResponse:
    form = StaffForm(request.POST or None, is_new=True)
    if request.method == "GET" or not form.is_valid():
        status = 200 if request.method == "GET" else 422
        return web.respond(request, "accounts/staff_form.html", {"form": form, "person": None}, status=status)
    secret = staff.make_password()
    try:
        user = staff.create(**form.cleaned_data, password=secret, by=Actor.of(request), at=web.now())
    except DomainError as refusal:
        web.refused(request, refusal, act="accounts.create_staff")
        form.add_error(None, refusal.message)
        context = {"form": form, "person": None}
        return web.respond(request, "accounts/staff_form.html", context, status=web.status_of(refusal))
    return web.respond(request, "accounts/first_password.html", {"person": _row(user, request.user), "secret": secret})


@requires("accounts.manage_staff")
@require_http_methods(["GET", "POST"])
def staff_edit(request: HttpRequest, public_id: Any) -> HttpResponse:
    user = get_object_or_404(User.objects.visible_to(request.user), public_id=public_id)
    initial = {"display_name": user.shown_name, "roles": list(user.groups.values_list("name", flat=True)),
               "sites": list(user.sites.values_list("pk", flat=True))}  # fmt: skip
    form = StaffForm(request.POST or None, is_new=False, initial=initial)
    context = {"form": form, "person": _row(user, request.user)}
    if request.method == "GET" or not form.is_valid():
        return web.respond(request, "accounts/staff_form.html", context, status=200 if request.method == "GET" else 422)
    try:
        staff.change(user=user, **form.cleaned_data, by=Actor.of(request), at=web.now())
    except DomainError as refusal:
        web.refused(request, refusal, act="accounts.change_staff", subject=user)
        form.add_error(None, refusal.message)
        return web.respond(request, "accounts/staff_form.html", context, status=web.status_of(refusal))
    messages.success(request, "Saved.")
    return web.redirect_to(request, "staff")


STAFF_ACTS = {"disable": staff.disable, "enable": staff.enable}


@requires("accounts.manage_staff")
@require_POST
def staff_act(request: HttpRequest, public_id: Any, act: str) -> HttpResponse:
    user = get_object_or_404(User.objects.visible_to(request.user), public_id=public_id)
    try:
        STAFF_ACTS[act](user=user, by=Actor.of(request), at=web.now())
    except DomainError as refusal:
        web.refused(request, refusal, act=f"accounts.{act}_staff", subject=user)
        messages.error(request, refusal.message)
    return web.redirect_to(request, reverse("staff"))


@requires("accounts.manage_staff")
@require_POST
def staff_password(request: HttpRequest, public_id: Any) -> HttpResponse:
    user = get_object_or_404(User.objects.visible_to(request.user), public_id=public_id)
    secret = staff.make_password()
    staff.set_password(user=user, password=secret, by=Actor.of(request), at=web.now())
    return web.respond(request, "accounts/first_password.html", {"person": _row(user, request.user), "secret": secret})
