"""What a press carries: a signed mark of the page that showed the button, and of the time that it offered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.core import signing
from django.http import HttpRequest

from pain_clinic.errors import Refused
from scheduling import answers, booking
from scheduling.answers import Shown
from scheduling.availability import Opening
from scheduling.letters import short_day, time_of_day
from scheduling.views.answers.opening import Opened

PRESS_SALT, PRESS_LASTS = "scheduling.answers.press", timedelta(hours=12)
OFFER_SALT, OFFER_LASTS = "scheduling.answers.offer", timedelta(minutes=30)


class PageOld(Refused):
    """The page lay open too long, or the press came from elsewhere: look again, then decide."""

    status = 409

    def __init__(self) -> None:
        super().__init__("page_old", "Please look again, then decide.")


@dataclass(frozen=True, slots=True)
class Offer:
    """One other time, as its button says it."""

    token: str
    day: str
    arrival: str


def mark(opened: Opened) -> str:
    """Return the signed mark of what a page shows: a press without it, or with an older one, does nothing."""
    case = opened.link.appointment
    return signing.dumps([opened.link.pk, case.version, case.calendar_sequence], salt=PRESS_SALT, compress=True)


def shown(request: HttpRequest, opened: Opened) -> Shown:
    try:
        pk, version, sequence = signing.loads(request.POST.get("shown", ""), salt=PRESS_SALT, max_age=PRESS_LASTS)
    except signing.BadSignature as error:
        raise PageOld from error
    if pk != opened.link.pk:
        raise PageOld
    return Shown(version, sequence)


def offers(opened: Opened) -> tuple[Offer, ...]:
    case = opened.link.appointment
    zone = case.site.time_zone
    return tuple(
        Offer(_offer_token(opened, opening), *_in_words(opening.arrives_at, zone))
        for opening in answers.offers(appointment=case, by=opened.by, at=opened.at)
    )


def _in_words(moment: datetime, zone: str) -> tuple[str, str]:
    local = moment.astimezone(ZoneInfo(zone))
    return short_day(local), time_of_day(local)


def _offer_token(opened: Opened, opening: Opening) -> str:
    units = sorted({unit for units in opening.units.values() for unit in units})
    return signing.dumps([opened.link.pk, int(opening.starts_at.timestamp()), units], salt=OFFER_SALT, compress=True)


def offered(request: HttpRequest, opened: Opened) -> tuple[datetime, frozenset[int]]:
    try:
        pk, starts, units = signing.loads(request.POST.get("offer", ""), salt=OFFER_SALT, max_age=OFFER_LASTS)
    except signing.BadSignature as error:
        raise booking.SlotTaken from error
    if pk != opened.link.pk:
        raise booking.SlotTaken
    return datetime.fromtimestamp(starts, tz=UTC), frozenset(units)
