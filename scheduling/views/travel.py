"""Set-up: how long people need from one site to another."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from scheduling import agenda
from scheduling import resources as verbs
from scheduling.agenda.shapes import FormPage, Listing
from scheduling.forms import TravelForm, starting_ways
from scheduling.views import doors
from scheduling.views.setup import form_page, key, list_page, ways_unsaid

TITLE = "Travel between sites"


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def travel(request: HttpRequest) -> HttpResponse:
    """Show and change the minutes between the sites of this user, each direction by itself."""
    sites = agenda.sites_of(request.user)  # type: ignore[arg-type]
    if len(sites) < 2:
        empty = "With one site nobody travels. Once there are two, this page asks how long it takes between them."
        return list_page(request, Listing(TITLE, "", "", "", (), (), empty=empty, back_url=reverse("scheduling:settings")))
    if request.method == "GET":
        return _page(request, sites)
    form = TravelForm(request.POST, sites=sites)
    if not form.is_valid():
        return _page(request, sites, form=form, status=422)
    try:
        verbs.save_travel(
            sites=sites,
            ways=form.given(),
            version=form.cleaned_data["version"] or None,
            is_accepted=form.cleaned_data["accept"],
            by=Actor.of(request),
            at=web.now(),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_travel", subject=sites[0], site_id=sites[0].pk)
        return _page(request, sites, form=form, error=error, status=error.status)
    toasts.success(request, "The ways between the sites are saved.")
    return web.redirect_to(request, "scheduling:sites")


def _page(
    request: HttpRequest,
    sites: Sequence[Site],
    *,
    form: TravelForm | None = None,
    error: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    ways, unsaid = verbs.ways_between(sites), ways_unsaid(sites)
    cases = error.cases if isinstance(error, verbs.CasesInTheWay) else ()
    hint = "Whoever works at two sites is not offered for the time that they need on the way."
    page = FormPage(
        title=TITLE,
        hint=f"{hint} Not said yet: {'; '.join(unsaid)}. Until then that counts as no time at all." if unsaid else hint,
        form=form or TravelForm(initial={"version": verbs.ways_version(ways), **starting_ways(sites, ways)}, sites=sites),
        action=request.path,
        cancel_url=reverse("scheduling:sites"),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
        affected=agenda.lines_of(cases, with_patient=True) if cases else (),
        affected_title="Cases that somebody could not reach in time",
    )
    return form_page(request, page, status)
