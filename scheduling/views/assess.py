"""The page on which a case is put together and judged by the rules, each step of the answer explained."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from pain_clinic import web
from pain_clinic.accounts.gates import requires
from procedures import cases, rulebook, tables
from procedures.models import Procedure
from scheduling.forms import AssessForm

ZONE = "America/New_York"


@require_http_methods(["GET", "POST"])
@requires("procedures.view_rules")
@sensitive_post_parameters()
def assess(request: HttpRequest) -> HttpResponse:
    """Judge a case that is put together here exactly as `manage.py assess` would judge it written in a file."""
    book, zone = rulebook.book() or tables.book_of_files(), _zone(request)
    names = dict(Procedure.objects.values_list("code", "name"))
    if request.method == "GET":
        return _page(request, AssessForm(book, names=names))
    form = AssessForm(book, request.POST, names=names)
    if not form.is_valid():
        return _page(request, form, status=422)
    if request.POST.get("more"):
        return _page(request, form)
    written = form.case(web.now().astimezone(zone).date())
    try:
        case = cases.read_case(written, book, zone=zone)
    except cases.MalformedCases as malformed:
        form.refuse(malformed.problems)
        return _page(request, form, status=422)
    answer = cases.explained(case, book)
    return _page(request, form, answer=answer, text=cases.as_file(written, zone=str(zone)))


def _zone(request: HttpRequest) -> tzinfo:
    sites = web.sites_of(request)
    return ZoneInfo(sites[0].time_zone if sites else ZONE)


def _page(
    request: HttpRequest, form: AssessForm, *, answer: cases.Explanation | None = None, text: str = "", status: int = 200
) -> HttpResponse:
    return web.respond(request, "scheduling/assess.html", {"form": form, "answer": answer, "text": text}, status=status)
