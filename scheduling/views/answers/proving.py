"""The second factor: whoever knows the patient's birth date may see what is personal, for some minutes."""

from __future__ import annotations

from datetime import date, timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from scheduling import links
from scheduling.models import Link, LinkPurpose
from scheduling.views.answers.drawing import SeeOther, page
from scheduling.views.answers.opening import Opened

PROOF_SALT, PROOF_LASTS = "scheduling.answers.proof", timedelta(minutes=15)


def prove(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Compare the birth date; whoever knows it may look for some minutes."""
    if not links.prove(link=opened.link, birth_date=_typed_day(request), by=opened.by):
        return page(
            request, opened, "proof", is_wrong=True, is_closed=links.is_closed_for_proof(opened.link),
            is_of_course=opened.link.purpose == LinkPurpose.COURSE,
            typed={name: request.POST.get(name, "")[:4] for name in ("month", "day", "year")}, status=422,
        )  # fmt: skip
    response = SeeOther(opened.address("link_plan"))
    response.set_cookie(
        _proof_cookie(), signing.dumps(opened.link.pk, salt=PROOF_SALT), max_age=PROOF_LASTS, httponly=True,
        secure=settings.IS_PRODUCTION, samesite="Lax", path="/" if settings.IS_PRODUCTION else "/l/",
    )  # fmt: skip
    return response


def is_proven(request: HttpRequest, link: Link) -> bool:
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
