"""How allauth behaves here: no sign-up, our own client address, names in small letters."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from pain_clinic.middleware import client_address
from pain_clinic.web import safe_next


def axes_username(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """Return the name by which failures are counted: as typed, without case and surrounding space."""
    typed = (credentials or {}).get("username") or (request.POST.get("login", "") if request is not None else "")
    return str(typed).strip().casefold()[:255]


class StaffAdapter(DefaultAccountAdapter):
    """Accounts are made by the clinic, never by a visitor."""

    error_messages = {  # allauth reads a plain dict
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "User name or password is not right.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return "/"

    def is_safe_url(self, url: str | None) -> bool:
        return bool(url) and safe_next(self.request, str(url)) == url

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing on sign-in and sign-out: the page that follows says it."""
