"""What a press does: one act of the visit, stopping e-mail, answering a question; then the page as it is."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from scheduling import answers, booking, links
from scheduling.answers import Shown
from scheduling.views import scores
from scheduling.views.answers.drawing import SeeOther, page
from scheduling.views.answers.marks import PageOld, offered, offers, shown
from scheduling.views.answers.opening import Opened
from scheduling.views.answers.proving import ask_for_proof, is_proven, is_typed, prove


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
    starts_at, units = offered(request, opened)
    if case.version != shown.version:
        raise booking.Stale(case.version)
    opening = answers.place(appointment=case, starts_at=starts_at, units=units, at=opened.at)
    answers.move(link=opened.link, shown=shown, opening=opening, by=opened.by, at=opened.at)
    return "moved"


Act = Callable[[HttpRequest, Opened, Shown], str]
ACTS: dict[str, Act] = {"confirm": _confirm, "cancel": _cancel, "take_back": _take_back, "call": _call, "move": _move}
AGAIN = {"slot_taken": "another_time", "rules_refused": "another_time", "not_moved": "another_time"}


def press(request: HttpRequest, opened: Opened, act: Act) -> HttpResponse:
    """Act once, then show the visit as it is; a refusal shows it too, with what happened."""
    try:
        said = act(request, opened, shown(request, opened))
    except DomainError as error:
        _refused(opened, error, act.__name__.strip("_"))
        again = Opened(links.read(secret=opened.secret, at=opened.at), opened.secret, opened.by, opened.at, opened.language)
        if act is _move and error.code in AGAIN:
            return page(request, again, "another_time", offers=offers(again), refusal="slot_taken", status=error.status)
        return page(request, again, "visit", refusal=_refusal(error, act), status=error.status)
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


def unsubscribe(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Stop e-mail: by the mail program's own button (RFC 8058), or by the page's."""
    if request.method != "POST":
        return page(request, opened, "unsubscribe", is_stopped=not opened.link.patient.accepts_email)
    if request.POST.get("List-Unsubscribe") == "One-Click":
        answers.unsubscribe(link=opened.link, by=opened.by, at=opened.at)
        return HttpResponse(status=200, content_type="text/plain")
    acts = {"unsubscribe": (answers.unsubscribe, "unsubscribed"), "subscribe": (answers.subscribe, "subscribed")}
    act, said = acts.get(request.POST.get("act", ""), (None, ""))
    try:
        shown(request, opened)
        if act is None:
            raise PageOld
        act(link=opened.link, by=opened.by, at=opened.at)
    except DomainError as error:
        _refused(opened, error, "unsubscribe")
        stopped = not opened.link.patient.accepts_email
        return page(request, opened, "unsubscribe", is_stopped=stopped, refusal="page_old", status=error.status)
    return SeeOther(opened.address(said=said))


def score(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show the questions after a visit to who knows the birth date, or keep the answer that was pressed and show them again."""
    if request.method == "POST" and is_typed(request):
        return prove(request, opened)
    if not is_proven(request, opened.link):  # what was answered before is as personal as what is asked
        return ask_for_proof(request, opened, status=200 if request.method != "POST" else 422)

    def asking(problem: str = "", status: int = 200) -> HttpResponse:
        asked = scores.context_of(request, opened.link, address=opened.address(), at=opened.at, problem=problem)
        return page(request, opened, "score", status=status, **asked)

    if request.method != "POST":
        return asking()
    try:
        shown(request, opened)
        kept = scores.keep(request, opened.link, by=opened.by, at=opened.at)
    except DomainError as error:
        _refused(opened, error, "score")
        return asking(error.code, error.status)
    return SeeOther(opened.address(set=str(kept.public_id)))
