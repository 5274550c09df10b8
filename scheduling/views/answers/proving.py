"""The second factor: whoever knows the patient's birth date may see what is personal, for some time.

Of questions after a visit that is as long as the longest diary: nobody types a birth date again every hour.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from scheduling import links
from scheduling.models import Link, LinkPurpose
from scheduling.views.answers.drawing import SeeOther, page
from scheduling.views.answers.opening import Opened

PROOF_SALT, PROOF_LASTS, DIARY_LASTS = "scheduling.answers.proof", timedelta(minutes=15), timedelta(hours=40)


def prove(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Compare the birth date; whoever knows it may look for some time."""
    if not links.prove(link=opened.link, birth_date=_typed_day(request), by=opened.by):
        typed = {name: request.POST.get(name, "")[:4] for name in ("month", "day", "year")}
        return ask_for_proof(request, opened, is_wrong=True, typed=typed, status=422)
    response = SeeOther(_personal_page(opened.link, opened))
    response.set_cookie(
        _proof_cookie(), signing.dumps(opened.link.pk, salt=PROOF_SALT), max_age=_lasts(opened.link), httponly=True,
        secure=settings.IS_PRODUCTION, samesite="Lax", path="/" if settings.IS_PRODUCTION else "/l/",
    )  # fmt: skip
    return response


def ask_for_proof(request: HttpRequest, opened: Opened, *, status: int = 200, **context: Any) -> HttpResponse:
    """Ask for the birth date, and say so when it was tried too often."""
    return page(
        request, opened, "proof", status=status, is_closed=links.is_closed_for_proof(opened.link),
        has_visit=opened.link.purpose == LinkPurpose.VISIT, personal_page=_personal_page(opened.link, opened), **context,
    )  # fmt: skip


def is_typed(request: HttpRequest) -> bool:
    """Say whether a birth date was sent."""
    return "year" in request.POST


def _personal_page(link: Link, opened: Opened) -> str:
    return opened.address() if link.purpose == LinkPurpose.SCORE else opened.address("link_plan")


def _lasts(link: Link) -> timedelta:
    return DIARY_LASTS if link.purpose == LinkPurpose.SCORE else PROOF_LASTS


def is_proven(request: HttpRequest, link: Link) -> bool:
    try:
        proven = signing.loads(request.COOKIES.get(_proof_cookie(), ""), salt=PROOF_SALT, max_age=_lasts(link))
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
