"""One visit as a calendar file (RFC 5545, RFC 5546): a pure mapping, the same bytes for the same visit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, vCalAddress, vText

PRODUCER = "-//Clinic visits//EN"  # the product's own name would tell what kind of clinic it is
# Controls that turn the reading direction, by which a name can be made to look like another.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a calendar may know of a visit: when, where, whom to call; nothing of what is done there."""

    uid: str
    sequence: int
    is_cancelled: bool
    starts_at: datetime
    ends_at: datetime
    zone: str
    summary: str
    description: str
    location: str
    organizer_name: str
    organizer_email: str
    attendee_email: str  # empty: nobody is named
    stamped_at: datetime
    is_published: bool = False  # a file to be taken, not an invitation to be answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """One time at which a resource is taken, as its feed shows it."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    summary: str
    location: str


def method(visit: Visit) -> str:
    """Return what the file asks of the calendar that reads it."""
    if visit.is_published:
        return "PUBLISH"
    return "CANCEL" if visit.is_cancelled else "REQUEST"


def calendar_file(visit: Visit) -> bytes:
    """Return the visit as a calendar file: the same UID for ever, a sequence that the caller lets rise."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCER)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method(visit))
    event = Event()
    event.add("uid", visit.uid)
    event.add("sequence", visit.sequence)
    event.add("dtstamp", visit.stamped_at.astimezone(UTC).replace(microsecond=0))
    starts, ends = _wall_times(visit)
    event.add("dtstart", starts)
    event.add("dtend", ends)
    event.add("summary", cleaned(visit.summary))
    event.add("description", cleaned(visit.description, keep_lines=True))
    event.add("location", cleaned(visit.location))
    event.add("status", "CANCELLED" if visit.is_cancelled else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("transp", "TRANSPARENT" if visit.is_cancelled else "OPAQUE")
    event.add("organizer", _person(visit.organizer_email, name=visit.organizer_name), encode=False)
    if visit.attendee_email:
        event.add("attendee", _person(visit.attendee_email, is_guest=True), encode=False)
    calendar.add_component(event)
    file = bytes(calendar.to_ical())
    if not calendar.get_missing_tzids():
        return file
    before, begin, after = file.partition(b"BEGIN:VEVENT")
    return before + _zone_in_words(visit.zone, starts.year - 1, ends.year + 2) + begin + after


@lru_cache(maxsize=64)
def _zone_in_words(zone: str, first: int, until: int) -> bytes:
    """Return the changes of a zone's clocks between two years, as a calendar file states them; they cost most of the file."""
    return bytes(Timezone.from_tzid(zone, first_date=date(first, 1, 1), last_date=date(until, 1, 1)).to_ical())


def feed_file(*, name: str, zone: str, events: Sequence[Busy], stamped_at: datetime) -> bytes:
    """Return a calendar to subscribe to. Times are instants in UTC, so no clock change can shift them."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCER)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", cleaned(name))
    calendar.add("x-wr-timezone", zone)
    calendar.add("refresh-interval", timedelta(minutes=30), parameters={"value": "DURATION"})
    for busy in events:
        event = Event()
        event.add("uid", busy.uid)
        event.add("sequence", busy.sequence)
        event.add("dtstamp", stamped_at.astimezone(UTC).replace(microsecond=0))
        event.add("dtstart", busy.starts_at.astimezone(UTC))
        event.add("dtend", busy.ends_at.astimezone(UTC))
        event.add("summary", cleaned(busy.summary))
        event.add("location", cleaned(busy.location))
        event.add("class", "PRIVATE")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def cleaned(text: str, *, keep_lines: bool = False) -> str:
    """Return the text without control characters and direction overrides; line ends become spaces unless kept."""
    lines = text.splitlines()
    kept = [
        "".join(sign for sign in line if unicodedata.category(sign) not in {"Cc", "Cs"} and sign not in TURNING) for line in lines
    ]
    return ("\n" if keep_lines else " ").join(line.strip() for line in kept).strip()


def _wall_times(visit: Visit) -> tuple[datetime, datetime]:
    """Return start and end on the site's wall, or in UTC where the wall shows that hour twice.

    A local time with a zone name can only mean the first of two equal hours, so the second is told in UTC.
    """
    zone = ZoneInfo(visit.zone)
    local = (visit.starts_at.astimezone(zone), visit.ends_at.astimezone(zone))
    if any(moment.fold for moment in local):
        return visit.starts_at.astimezone(UTC), visit.ends_at.astimezone(UTC)
    return local


def _person(email: str, *, name: str = "", is_guest: bool = False) -> vCalAddress:
    person = vCalAddress(f"mailto:{cleaned(email)}")
    if name:
        person.params["cn"] = vText(cleaned(name).replace('"', "'"))
    if is_guest:
        person.params["role"] = vText("REQ-PARTICIPANT")
        person.params["partstat"] = vText("NEEDS-ACTION")
        person.params["rsvp"] = vText("FALSE")
    return person
