"""Draw the page of a visit as it stands, with what was just said or refused."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from pain_clinic import languages
from scheduling import answers
from scheduling.views.answers.marks import mark
from scheduling.views.answers.opening import READING, Opened

SAID = frozenset({"confirmed", "already_confirmed", "cancelled", "taken_back", "moved", "call", "unsubscribed", "subscribed"})
STILL_TRUE = {
    "confirmed": ("confirmed",),
    "already_confirmed": ("confirmed",),
    "cancelled": ("cancelled",),
    "taken_back": ("open", "confirmed"),
    "moved": ("open", "confirmed"),
    "call": ("open", "confirmed"),
}


class SeeOther(HttpResponseRedirect):
    """Show another page after a press, so that reloading presses nothing again."""

    status_code = 303


def page(
    request: HttpRequest, opened: Opened, name: str, *, status: int = 200, refusal: str = "", **context: Any
) -> HttpResponse:
    visit = answers.show(opened.link, opened.at, opened.language)
    said = request.GET.get("said", "") if request.method in READING else ""
    if said not in SAID or (said in STILL_TRUE and visit.state not in STILL_TRUE[said]):
        said = ""
    shown = {
        "visit": visit,
        "language": opened.language,
        "others": [one for one in languages.offered() if one.code != opened.language],
        "mark": mark(opened),
        "said": said,
        "refusal": refusal,
        "main": opened.address(),
        "cancel": opened.address("link_cancel"),
        "another": opened.address("link_another_time"),
        "calendar": opened.address("link_calendar"),
        "plan_page": opened.address("link_plan"),
        **context,
    }
    return render(request, f"scheduling/link/{name}.html", shown, status=status)
