"""The list of messages: one line of time on which the desk looks back from now, ahead, or at one state only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from scheduling.agenda import cases, words
from scheduling.agenda.shapes import Choice, MessageGroup, MessageLine, MessagePage, Tab
from scheduling.models import Link, LinkAnswer, Message, MessageKind, MessageState

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

PER_PAGE, AHEAD = 50, 10
ALL, ANSWERED = "", "answered"
STATES = {
    ALL: "All",
    "failed": "Failed",
    "due": "Due",
    "sent": "Sent",
    ANSWERED: "Answered",
    "skipped": "Not sent",
    "withdrawn": "Withdrawn",
}
WHEN = Coalesce("done_at", "due_at")  # when it left or came to its end; until then, when it is to be tried
LAST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the line of time: the instant of a message, and the message itself among those of one instant."""

    at: datetime
    public_id: UUID

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{self.public_id.hex}"

    @classmethod
    def of(cls, text: str) -> Place | None:
        """Read a place out of an address; None for anything else."""
        instant, _, key = text.partition("-")
        try:
            return cls(datetime.strptime(instant, "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC), UUID(hex=key))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class _Found:
    """Places in the order in which the page shows them, and whether there is more above and below."""

    keys: tuple[tuple[int, Place], ...]
    has_above: bool
    has_below: bool


def messages(
    *, user: User, at: datetime, state: str, kind: str = "", above: str = "", below: str = "", reasons: cases.Reasons = str
) -> MessagePage:
    """Return one page of messages by the instant that counts, the newest first; what is due, the next first.

    All of them are shown around now: the nearest still to come, then back from now. `above` and `below` continue from a
    place that another page named. However many messages there are, no more than a few pages of them are read.
    """
    rows = Message.objects.visible_to(user)
    if kind:
        rows = rows.filter(kind=kind)
    if state == ANSWERED:
        rows = rows.filter(pk__in=Link.objects.exclude(answer="").values("message"))
    found = _page(rows, state, above=Place.of(above), below=Place.of(below), at=at)
    lines = _lines([key for key, _place in found.keys], reasons)
    url, asked = reverse("scheduling:messages"), {"state": state, "kind": kind}

    def address(**query: str) -> str:
        told = urlencode({name: value for name, value in {**asked, **query}.items() if value})
        return f"{url}?{told}" if told else url

    newer, older = ("Earlier", "Later") if state == MessageState.DUE else ("Later", "Earlier")
    return MessagePage(
        title="Messages",
        tabs=tuple(Tab(label, address(state=key), key == state) for key, label in STATES.items()),
        kinds=tuple(Choice(value, str(label), value == kind) for value, label in (("", "Every kind"), *MessageKind.choices)),
        state=state,
        groups=_grouped(lines, [place for _key, place in found.keys], at) if state == ALL else (MessageGroup("", lines),),
        above=Tab(newer, address(above=str(found.keys[0][1]))) if found.keys and found.has_above else None,
        below=Tab(older, address(below=str(found.keys[-1][1]))) if found.keys and found.has_below else None,
        empty="No message failed."
        if state == MessageState.FAILED
        else "No messages here yet. They appear when a case is booked, moved or cancelled.",
    )


def _page(rows: QuerySet[Message], state: str, *, above: Place | None, below: Place | None, at: datetime) -> _Found:
    is_rising = state == MessageState.DUE
    states = (state,) if state in MessageState.values else tuple(MessageState.values)
    if above is not None:
        found = _nearest(rows, states, is_rising=not is_rising, place=above, most=PER_PAGE + 1)
        if len(found) > PER_PAGE or (found and state == ALL):  # else the first page, which is full
            return _Found(tuple(reversed(found[:PER_PAGE])), len(found) > PER_PAGE, has_below=True)
    if below is not None or state != ALL:
        found = _nearest(rows, states, is_rising=is_rising, place=below, most=PER_PAGE + 1)
        return _Found(tuple(found[:PER_PAGE]), below is not None, len(found) > PER_PAGE)
    now = Place(at, LAST)
    coming = _nearest(rows, states, is_rising=True, place=now, most=AHEAD + 1)
    past = _nearest(rows, states, is_rising=False, place=now, most=PER_PAGE - AHEAD + 1)
    shown = (*reversed(coming[:AHEAD]), *past[: PER_PAGE - AHEAD])
    return _Found(shown, len(coming) > AHEAD, len(past) > PER_PAGE - AHEAD)


def _nearest(
    rows: QuerySet[Message], states: Sequence[str], *, is_rising: bool, place: Place | None, most: int
) -> list[tuple[int, Place]]:
    """Return the messages next to a place, or from the end of the line, in one direction.

    Each state is read by itself, for the index begins with it: what is due lies ahead, what was sent behind.
    """
    order = ("when", "public_id") if is_rising else ("-when", "-public_id")
    rows = rows.annotate(when=WHEN)
    if place is not None and is_rising:
        rows = rows.filter(when__gte=place.at).filter(Q(when__gt=place.at) | Q(public_id__gt=place.public_id))
    elif place is not None:
        rows = rows.filter(when__lte=place.at).filter(Q(when__lt=place.at) | Q(public_id__lt=place.public_id))
    parts = [rows.filter(state=each).order_by(*order).values_list("pk", "when", "public_id")[:most] for each in states]
    found = parts[0].union(*parts[1:], all=True).order_by(*order)[:most] if len(parts) > 1 else parts[0]
    return [(pk, Place(when, public_id)) for pk, when, public_id in found]


def _lines(keys: Sequence[int], reasons: cases.Reasons) -> tuple[MessageLine, ...]:
    """Return the lines of messages in the order of their keys, with what was answered to each; of several zones each says its."""
    joined = Message.objects.select_related("patient", "appointment", "appointment__site").in_bulk(keys)
    given: dict[int, list[str]] = {}
    for link in Link.objects.filter(message__in=keys).exclude(answer="").order_by("answered_at", "pk"):
        zone = ZoneInfo(joined[link.message_id].appointment.site.time_zone)
        when = words.stamp(link.answered_at.astimezone(zone)) if link.answered_at else ""
        given.setdefault(link.message_id, []).append(f"{LinkAnswer(link.answer).label}, {when}")
    lines = []
    for row in (joined[key] for key in keys if key in joined):
        zone = ZoneInfo(row.appointment.site.time_zone)
        line = cases.message_line(row, zone=zone, may_resend=True, reasons=reasons, with_patient=True)
        lines.append(replace(line, answers=tuple(given.get(row.pk, ()))))
    if len({row.appointment.site.time_zone for row in joined.values()}) > 1:
        lines = [replace(line, zone=line.at.tzname() or "") for line in lines]
    return tuple(lines)


def _grouped(lines: Sequence[MessageLine], places: Sequence[Place], at: datetime) -> tuple[MessageGroup, ...]:
    """Part what is still to come from what is past."""
    coming = sum(place.at > at for place in places)
    parts = (MessageGroup("Still to come", tuple(lines[:coming])), MessageGroup("Until now", tuple(lines[coming:])))
    return tuple(part for part in parts if part.lines)
