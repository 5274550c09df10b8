"""The pages behind links in mails: a patient answers without an account. Looking never acts; a button does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import dateformat, translation
from django.views.decorators.csrf import csrf_exempt

from pain_clinic import throttles, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError, Gone, Refused
from pain_clinic.middleware import client_address
from patients.models import Language
from scheduling import answers, booking, links
from scheduling.answers import Shown
from scheduling.answers.showing import in_language
from scheduling.availability import Opening
from scheduling.letters import SHORT_DAY, TIME
from scheduling.models import Link, LinkPurpose
from scheduling.views import scores

BECAUSE = "a patient answers without an account: the secret in the address is the key, and it opens one purpose of one visit"
READING = ("GET", "HEAD")
PRESS_SALT, PRESS_LASTS = "scheduling.answers.press", timedelta(hours=12)
OFFER_SALT, OFFER_LASTS = "scheduling.answers.offer", timedelta(minutes=30)
PROOF_SALT, PROOF_LASTS = "scheduling.answers.proof", timedelta(minutes=15)
# Wrong secrets from one address, and presses on one link, in one window.
WINDOW, MOST_WRONG, MOST_PRESSES = timedelta(minutes=10), 20, 40
SAID = frozenset({"confirmed", "already_confirmed", "cancelled", "taken_back", "moved", "call", "unsubscribed", "subscribed"})
STILL_TRUE = {
    "confirmed": ("confirmed",),
    "already_confirmed": ("confirmed",),
    "cancelled": ("cancelled",),
    "taken_back": ("open", "confirmed"),
    "moved": ("open", "confirmed"),
    "call": ("open", "confirmed"),
}


class PageOld(Refused):
    """The page lay open too long, or the press came from elsewhere: look again, then decide."""

    status = 409

    def __init__(self) -> None:
        super().__init__("page_old", "Please look again, then decide.")


class SeeOther(HttpResponseRedirect):
    """Show another page after a press, so that reloading presses nothing again."""

    status_code = 303


@dataclass(frozen=True, slots=True)
class Offer:
    """One other time, as its button says it."""

    token: str
    day: str
    arrival: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A good link and who looks through it."""

    link: Link
    secret: str
    by: Actor
    at: datetime
    language: str

    def address(self, page: str = "link", **query: str) -> str:
        asked = {**query, **({"lang": self.language} if self.language != self.link.patient.language else {})}
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


# --- the link itself ---------------------------------------------------------------------------------------------------


@behind_link(LinkPurpose.VISIT, LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE)
def link(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show what the link is for; a press on one of its buttons acts."""
    if opened.link.purpose == LinkPurpose.UNSUBSCRIBE:
        return _unsubscribe(request, opened)
    if opened.link.purpose == LinkPurpose.SCORE:
        return _score(request, opened)
    if request.method != "POST":
        return _page(request, opened, "visit")
    act = ACTS.get(request.POST.get("act", ""))
    if act is None:
        return _page(request, opened, "visit", status=422)
    return _press(request, opened, act)


@behind_link(LinkPurpose.VISIT, may_post=False)
def cancel(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Ask once more before a visit is cancelled."""
    return _page(request, opened, "cancel")


@behind_link(LinkPurpose.VISIT, may_post=False)
def another_time(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Offer other times that are free and allowed, and the telephone."""
    return _page(request, opened, "another_time", offers=_offers(opened))


@behind_link(LinkPurpose.VISIT, may_post=False)
def visit_file(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Give the visit as a file for the patient's calendar."""
    response = HttpResponse(answers.calendar_of(opened.link, opened.at), content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return response


@behind_link(LinkPurpose.VISIT)
def plan(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show the medicine plan to who knows the patient's birth date."""
    if request.method == "POST":
        return _prove(request, opened)
    if _is_proven(request, opened.link):
        return _page(request, opened, "plan", plan=answers.medicine_plan(opened.link.appointment))
    return _page(request, opened, "proof", is_closed=links.is_closed_for_proof(opened.link))


# --- presses -----------------------------------------------------------------------------------------------------------


def _confirm(request: HttpRequest, opened: Opened, shown: Shown) -> str:
    done = answers.confirm(link=opened.link, shown=shown, by=opened.by, at=opened.at)
    return "confirmed" if done.is_new else "already_confirmed"


def _cancel(request: HttpRequest, opened: Opened, shown: Shown) -> str:
    answers.cancel(link=opened.link, shown=shown, by=opened.by, at=opened.at)
    return "cancelled"


def _take_back(request: HttpRequest, opened: Opened, shown: Shown) -> str:
    answers.take_back(link=opened.link, shown=shown, by=opened.by, at=opened.at)
    return "taken_back"


def _call(request: HttpRequest, opened: Opened, shown: Shown) -> str:
    answers.ask_for_call(link=opened.link, when=request.POST.get("when", ""), by=opened.by, at=opened.at)
    return "call"


def _move(request: HttpRequest, opened: Opened, shown: Shown) -> str:
    case = opened.link.appointment
    starts_at, units = _offered(request, opened)
    if case.version != shown.version:
        raise booking.Stale(case.version)
    opening = answers.place(appointment=case, starts_at=starts_at, units=units, at=opened.at)
    answers.move(link=opened.link, shown=shown, opening=opening, by=opened.by, at=opened.at)
    return "moved"


Act = Callable[[HttpRequest, Opened, Shown], str]
ACTS: dict[str, Act] = {"confirm": _confirm, "cancel": _cancel, "take_back": _take_back, "call": _call, "move": _move}
AGAIN = {"slot_taken": "another_time", "rules_refused": "another_time", "not_moved": "another_time"}


def _press(request: HttpRequest, opened: Opened, act: Act) -> HttpResponse:
    """Act once, then show the visit as it is; a refusal shows it too, with what happened."""
    try:
        said = act(request, opened, _shown(request, opened))
    except DomainError as error:
        _refused(opened, error, act.__name__.strip("_"))
        again = Opened(links.read(secret=opened.secret, at=opened.at), opened.secret, opened.by, opened.at, opened.language)
        if act is _move and error.code in AGAIN:
            return _page(request, again, "another_time", offers=_offers(again), refusal="slot_taken", status=error.status)
        return _page(request, again, "visit", refusal=_refusal(error, act), status=error.status)
    return SeeOther(opened.address(said=said))


def _refusal(error: DomainError, act: Act) -> str:
    """Return which of the page's sentences tells this refusal."""
    if act is _take_back and error.code in {"slot_taken", "rules_refused", "undo_over"}:
        return "undo_over"
    return error.code if error.code in {"stale", "busy", "too_late", "page_old"} else "other"


def _refused(opened: Opened, error: DomainError, act: str) -> None:
    trail.record(
        by=opened.by, act=f"scheduling.link_{act}", outcome="refused", subject=opened.link.appointment,
        patient=opened.link.patient.public_id, site_id=opened.link.appointment.site_id, reason_code=error.code,
    )  # fmt: skip


def _unsubscribe(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Stop e-mail: by the mail program's own button (RFC 8058), or by the page's."""
    if request.method != "POST":
        return _page(request, opened, "unsubscribe", is_stopped=not opened.link.patient.accepts_email)
    if request.POST.get("List-Unsubscribe") == "One-Click":
        answers.unsubscribe(link=opened.link, by=opened.by, at=opened.at)
        return HttpResponse(status=200, content_type="text/plain")
    acts = {"unsubscribe": (answers.unsubscribe, "unsubscribed"), "subscribe": (answers.subscribe, "subscribed")}
    act, said = acts.get(request.POST.get("act", ""), (None, ""))
    try:
        _shown(request, opened)
        if act is None:
            raise PageOld
        act(link=opened.link, by=opened.by, at=opened.at)
    except DomainError as error:
        _refused(opened, error, "unsubscribe")
        stopped = not opened.link.patient.accepts_email
        return _page(request, opened, "unsubscribe", is_stopped=stopped, refusal="page_old", status=error.status)
    return SeeOther(opened.address(said=said))


def _score(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show the questions after a visit, or keep the answer that was pressed and show them again."""

    def page(problem: str = "", status: int = 200) -> HttpResponse:
        asked = scores.context_of(request, opened.link, address=opened.address(), at=opened.at, problem=problem)
        return _page(request, opened, "score", status=status, **asked)

    if request.method != "POST":
        return page()
    try:
        _shown(request, opened)
        kept = scores.keep(request, opened.link, by=opened.by, at=opened.at)
    except DomainError as error:
        _refused(opened, error, "score")
        return page(error.code, error.status)
    return SeeOther(opened.address(set=str(kept.public_id)))


# --- what a press carries ----------------------------------------------------------------------------------------------


def _mark(opened: Opened) -> str:
    """Return the signed mark of what a page shows: a press without it, or with an older one, does nothing."""
    case = opened.link.appointment
    return signing.dumps([opened.link.pk, case.version, case.calendar_sequence], salt=PRESS_SALT, compress=True)


def _shown(request: HttpRequest, opened: Opened) -> Shown:
    try:
        pk, version, sequence = signing.loads(request.POST.get("shown", ""), salt=PRESS_SALT, max_age=PRESS_LASTS)
    except signing.BadSignature as error:
        raise PageOld from error
    if pk != opened.link.pk:
        raise PageOld
    return Shown(version, sequence)


def _offers(opened: Opened) -> tuple[Offer, ...]:
    case = opened.link.appointment
    zone = case.site.time_zone
    return tuple(
        Offer(_offer_token(opened, opening), *_in_words(opening.arrives_at, zone, opened.language))
        for opening in answers.offers(appointment=case, by=opened.by, at=opened.at)
    )


def _in_words(moment: datetime, zone: str, language: str) -> tuple[str, str]:
    local = moment.astimezone(ZoneInfo(zone))
    return dateformat.format(local, in_language(SHORT_DAY, language)), dateformat.format(local, TIME)


def _offer_token(opened: Opened, opening: Opening) -> str:
    units = sorted({unit for units in opening.units.values() for unit in units})
    return signing.dumps([opened.link.pk, int(opening.starts_at.timestamp()), units], salt=OFFER_SALT, compress=True)


def _offered(request: HttpRequest, opened: Opened) -> tuple[datetime, frozenset[int]]:
    try:
        pk, starts, units = signing.loads(request.POST.get("offer", ""), salt=OFFER_SALT, max_age=OFFER_LASTS)
    except signing.BadSignature as error:
        raise booking.SlotTaken from error
    if pk != opened.link.pk:
        raise booking.SlotTaken
    return datetime.fromtimestamp(starts, tz=UTC), frozenset(units)


# --- the second factor ---------------------------------------------------------------------------------------------------


def _prove(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Compare the birth date; whoever knows it may look for some minutes."""
    if not links.prove(link=opened.link, birth_date=_typed_day(request), by=opened.by):
        return _page(
            request, opened, "proof", is_wrong=True, is_closed=links.is_closed_for_proof(opened.link),
            typed={name: request.POST.get(name, "")[:4] for name in ("month", "day", "year")}, status=422,
        )  # fmt: skip
    response = SeeOther(opened.address("link_plan"))
    response.set_cookie(
        _proof_cookie(), signing.dumps(opened.link.pk, salt=PROOF_SALT), max_age=PROOF_LASTS, httponly=True,
        secure=settings.IS_PRODUCTION, samesite="Lax", path="/" if settings.IS_PRODUCTION else "/l/",
    )  # fmt: skip
    return response


def _is_proven(request: HttpRequest, link: Link) -> bool:
    try:
        proven = signing.loads(request.COOKIES.get(_proof_cookie(), ""), salt=PROOF_SALT, max_age=PROOF_LASTS)
    except signing.BadSignature:
        return False
    return bool(proven == link.pk)


def _proof_cookie() -> str:
    return "__Host-clinic-proof" if settings.IS_PRODUCTION else "clinic-proof"


def _typed_day(request: HttpRequest) -> date | None:
    try:
        return date(*(int(request.POST.get(name, "")[:4]) for name in ("year", "month", "day")))
    except ValueError:
        return None


# --- answers -------------------------------------------------------------------------------------------------------------


def _page(
    request: HttpRequest, opened: Opened, name: str, *, status: int = 200, refusal: str = "", **context: Any
) -> HttpResponse:
    visit = answers.show(opened.link, opened.at, opened.language)
    said = request.GET.get("said", "") if request.method in READING else ""
    if said not in SAID or (said in STILL_TRUE and visit.state not in STILL_TRUE[said]):
        said = ""
    other = Language.SPANISH if opened.language == Language.ENGLISH else Language.ENGLISH
    shown = {
        "visit": visit,
        "language": opened.language,
        "other": {"code": other, "label": {"en": "English", "es": "Español"}[other], "address": f"?lang={other}"},
        "mark": _mark(opened),
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


def _language(request: HttpRequest, link: Link) -> str:
    asked = request.GET.get("lang", "")
    return asked if asked in Language.values else str(link.patient.language)


def _gone(request: HttpRequest, status: int) -> HttpResponse:
    """Answer every bad link alike, in both languages; nothing tells whether it ever was one."""
    return _private(render(request, "scheduling/link/gone.html", {}, status=status))


def _calm(request: HttpRequest) -> HttpResponse:
    response = _private(render(request, "scheduling/link/calm.html", {}, status=429))
    response["Retry-After"] = str(int(WINDOW.total_seconds()))
    return response


def _private(response: HttpResponse) -> HttpResponse:
    """Add what keeps the address from travelling on; caching and indexing are refused for every page already."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response
