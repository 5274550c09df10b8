"""Who may come in by a link: the secret is looked up, counted and opened, and every bad one gets the same page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt

from pain_clinic import languages, strangers, throttles, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public
from pain_clinic.errors import Gone
from pain_clinic.middleware import client_address
from scheduling import links
from scheduling.models import Link

BECAUSE = "a patient answers without an account: the secret in the address is the key, and it opens one purpose of one visit"
READING = ("GET", "HEAD")
# Wrong secrets from one address, and presses on one link, in one window.
WINDOW, MOST_WRONG, MOST_PRESSES = timedelta(minutes=10), 20, 40


@dataclass(frozen=True, slots=True)
class Opened:
    """A good link and who looks through it."""

    link: Link
    secret: str
    by: Actor
    at: datetime
    language: str

    def address(self, page: str = "link", **query: str) -> str:
        asked = {**query, **({"lang": self.language} if self.language != self.link.patient.reads else {})}
        path = reverse(f"scheduling:{page}", args=[self.secret])
        return path + ("?" + "&".join(f"{name}={value}" for name, value in asked.items()) if asked else "")


Page = Callable[[HttpRequest, Opened], HttpResponse]


def behind_link(*purposes: str, may_post: bool = True) -> Callable[[Page], Callable[..., HttpResponse]]:
    """Open the link named in the address, in the patient's language; every bad one gets the same page.

    There is no CSRF cookie: without a referrer browsers send no origin, and the only authority is the secret, which a
    foreign page does not know. Each press carries a signed mark that only the page itself can have given.
    """

    def decorate(page: Page) -> Callable[..., HttpResponse]:
        @open_to_public(because=BECAUSE)
        @csrf_exempt
        @wraps(page)
        def view(request: HttpRequest, secret: str) -> HttpResponse:
            if request.method not in (*READING, "OPTIONS", "POST") or (request.method == "POST" and not may_post):
                return _private(HttpResponse(status=405, headers={"Allow": "GET, HEAD, OPTIONS, POST"}))
            who = client_address(request)
            if throttles.counted("links", who) >= MOST_WRONG:
                return _calm(request)
            at = web.now()
            try:
                link = links.read(secret=secret, at=at)
            except Gone as error:
                if isinstance(error, links.LinkUnknown):  # guessing is stopped; opening an old mail again is not guessing
                    throttles.count("links", who, window=WINDOW)
                return _gone(request, error.status)
            if link.purpose not in purposes:
                return _gone(request, 404)
            if request.method == "OPTIONS":
                return _private(HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"}))
            if request.method == "POST" and throttles.count("presses", link.digest, window=WINDOW) > MOST_PRESSES:
                return _calm(request)
            language = _language(request, link)
            by = Actor.patient(link.patient.public_id, request=request)
            try:
                with translation.override(language):
                    return _private(page(request, Opened(link, secret, by, at, language)))
            except Gone as error:  # the visit ended while the press was on its way
                return _gone(request, error.status)

        return view

    return decorate


@open_to_public(because="an address that is no link of ours gets the same page as any bad link")
@csrf_exempt
def no_link(request: HttpRequest) -> HttpResponse:
    """Answer whatever else stands under the links' address."""
    who = client_address(request)
    if throttles.counted("links", who) >= MOST_WRONG:
        return _calm(request)
    throttles.count("links", who, window=WINDOW)
    return _gone(request, 404)


def _language(request: HttpRequest, link: Link) -> str:
    asked = request.GET.get("lang", "")
    return asked if asked in languages.codes() else str(link.patient.reads)


def _gone(request: HttpRequest, status: int) -> HttpResponse:
    """Answer every bad link alike, in every language; nothing tells whether it ever was one."""
    return _private(strangers.tell(request, strangers.GONE, status=status))


def _calm(request: HttpRequest) -> HttpResponse:
    response = _private(strangers.tell(request, strangers.CALM, status=429))
    response["Retry-After"] = str(int(WINDOW.total_seconds()))
    return response


def _private(response: HttpResponse) -> HttpResponse:
    """Add what keeps the address from travelling on; caching and indexing are refused for every page already."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response
