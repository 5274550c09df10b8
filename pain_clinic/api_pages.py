"""The API's description and its browsable pages, for staff who may use the API."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema, inline_serializer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest

ADDRESSES = {"schema": "api_schema", "docs": "api_docs"}
NEEDED = {"GET": "accounts.use_api"}


class Root(rest.View):
    """Say where the API's description is."""

    required = NEEDED

    @extend_schema(
        operation_id="api_root", responses=inline_serializer("ApiRoot", {name: serializers.URLField() for name in ADDRESSES})
    )
    def get(self, request: Request) -> Response:
        return Response({name: request.build_absolute_uri(reverse(address)) for name, address in ADDRESSES.items()})


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
