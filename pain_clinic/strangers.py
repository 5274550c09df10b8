"""What is said to somebody of whom we know nothing, not even the language: every one that is offered, the browser's first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, override

from pain_clinic import languages


def noop(text: str) -> str:
    """Mark a text for the translators."""
    return text


GONE = (
    noop("This link is no longer good"),
    noop(
        "It may be over, or a part of it may be missing. Please open it again from our newest message, or call us: the number is"
        " in the message."
    ),
)
CALM = (
    noop("Please wait a little"),
    noop("This was tried too often. Please try again in ten minutes, or call us: the number is in our message."),
)


def tell(request: HttpRequest, said: tuple[str, str], *, status: int) -> HttpResponse:
    """Show a heading and a sentence; a language without them is left out, since English stands there already."""
    asked = request.GET.get("lang", "")
    first = asked if asked in languages.codes() else languages.preferred(request.headers.get("Accept-Language", ""))
    parts = []
    for one in sorted(languages.offered(), key=lambda one: one.code != first):
        with override(one.code):
            heading, text = (gettext(each) for each in said)
        if one.code == languages.ENGLISH or heading != said[0]:
            parts.append({"language": one, "heading": heading, "text": text})
    return render(request, "scheduling/link/for_anybody.html", {"first": parts[0], "others": parts[1:]}, status=status)
