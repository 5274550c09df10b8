"""The site as production serves it, with one page more that fails: what people see then is looked at by `test_production`."""

from __future__ import annotations

from pain_clinic.wsgi import application

__all__ = ["application", "urlpatterns"]

from django.conf import settings  # the application loads Django first
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from pain_clinic import urls
from pain_clinic.accounts.gates import open_to_public

handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


@open_to_public(because="this page fails on purpose")
def fails(request: HttpRequest) -> HttpResponse:
    raise ValueError("canary-of-the-failure")


urlpatterns = [path("fails/", fails), path("api/v1/fails/", fails), path("", include("pain_clinic.urls"))]
settings.ROOT_URLCONF = __name__
