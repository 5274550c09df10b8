"""The API's description and its browsable pages, for staff who may use the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

NEEDED = {"GET": "accounts.use_api"}


class Schema(SpectacularAPIView):
    """The OpenAPI document."""

    required = NEEDED
    is_rest_view = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        view.is_rest_view = True  # type: ignore[attr-defined]
        return view


class Docs(SpectacularSwaggerSplitView):
    """The document as pages; its script comes from an address of its own, as the content policy wants."""

    required = NEEDED
    is_rest_view = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        view.is_rest_view = True  # type: ignore[attr-defined]
        return view


class TokenScheme(OpenApiAuthenticationExtension):
    """Say in the document how programs sign in."""

    target_class = "pain_clinic.rest_rules.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <secret>"}


class SessionScheme(OpenApiAuthenticationExtension):
    """Say in the document that a signed-in browser may ask, too."""

    target_class = "pain_clinic.rest_rules.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
