"""Every address of the site. Each floor brings its own; the roof only lists them."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from pain_clinic import api_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("pain_clinic.accounts.urls")),
    path("", include("pain_clinic.audit.urls")),
]
FLOORS = ("procedures", "patients", "scheduling")
urlpatterns += [path("", include(f"{app}.urls")) for app in FLOORS if find_spec(f"{app}.urls") is not None]
urlpatterns += [
    path("api/v1/", include("procedures.api.urls")),
    path("api/v1/", include("patients.api.urls")),
    path("api/v1/", include("scheduling.api.urls")),
    path("api/v1/", api_pages.Root.as_view(), name="api_root"),
    path("api/v1/schema/", api_pages.Schema.as_view(), name="api_schema"),
    path("api/v1/docs/", api_pages.Docs.as_view(url_name="api_schema"), name="api_docs"),
]

handler400 = "pain_clinic.web.bad_request"
handler403 = "pain_clinic.web.forbidden"
handler404 = "pain_clinic.web.not_found"
handler500 = "pain_clinic.web.server_error"
