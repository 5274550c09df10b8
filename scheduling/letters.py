"""The words of a message: a visit as the patient reads it, in the patient's language and the site's time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr, parseaddr
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
from django.conf import settings
from django.template import Context
from django.template.loader import get_template
from django.utils import dateformat, translation
from django.utils.translation import gettext

from scheduling import calendars
from scheduling.calendars import Visit, cleaned
from scheduling.models import Message, MessageKind

DAY = {"en": "l j F Y", "es": r"l j \d\e F \d\e Y"}
SHORT_DAY = {"en": "l j F", "es": r"l j \d\e F"}
TIME = "g:i a"
inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail, ready to be handed to the gateway. It names no procedure, drug, diagnosis or specialty."""

    message_id: str
    sender: str
    reply_to: str
    to: str
    subject: str
    text: str
    html: str
    calendar: str
    calendar_method: str
    written_at: datetime


def write(message: Message, *, at: datetime) -> Letter:
    """Write the letter for a message from the appointment as it is now."""
    with translation.override(message.patient.language):
        return _write(message, at=at)


def message_id(message: Message) -> str:
    """Return the mail's own id: the same at every attempt, so that a second copy is known as one."""
    return f"<{message.public_id}@{_own_address().rpartition('@')[2]}>"


def _write(message: Message, *, at: datetime) -> Letter:
    appointment, site = message.appointment, message.appointment.site
    place = cleaned(site.name)
    sender = cleaned(settings.MAIL_FROM_NAME) or place
    zone = ZoneInfo(site.time_zone)
    arrives, leaves = appointment.arrives_at.astimezone(zone), appointment.leaves_at.astimezone(zone)
    language = message.patient.language
    is_cancelled = message.kind == MessageKind.CANCELLATION
    subject = _subject(message.kind, dateformat.format(arrives, SHORT_DAY[language]))
    context: dict[str, Any] = {
        "language": language,
        "subject": subject,
        "first_name": cleaned(message.patient.first_name)[:60],
        "day": dateformat.format(arrives, DAY[language]),
        "arrival": dateformat.format(arrives, TIME),
        "zone": arrives.tzname(),
        "until": dateformat.format(leaves, TIME),
        "place": place,
        "address": cleaned(site.address),
        "phone": cleaned(site.phone),
        "dial": "".join(sign for sign in site.phone if sign.isdigit() or sign == "+"),
        "sender": sender,
    }
    visit = Visit(
        uid=str(appointment.public_id),
        sequence=appointment.calendar_sequence,
        is_cancelled=is_cancelled,
        starts_at=appointment.arrives_at,
        ends_at=appointment.leaves_at,
        zone=site.time_zone,
        summary=gettext("Visit: %(place)s") % {"place": place},
        description=_render("calendar.txt", context, is_html=False),
        location=", ".join(part for part in (place, context["address"]) if part),
        organizer_name=sender,
        organizer_email=_own_address(),
        attendee_email=message.patient.email,
        stamped_at=at,
    )
    return Letter(
        message_id=message_id(message),
        sender=formataddr((sender, _own_address())),
        reply_to=cleaned(site.email),
        to=message.patient.email,
        subject=subject,
        text=_render(f"{message.kind}.txt", context, is_html=False),
        html=inliner.inline(_render(f"{message.kind}.html", context, is_html=True)),
        calendar=calendars.calendar_file(visit).decode(),
        calendar_method=calendars.method(visit),
        written_at=at,
    )


def _subject(kind: str, day: str) -> str:
    if kind == MessageKind.CANCELLATION:
        return gettext("Your visit on %(day)s is cancelled") % {"day": day}
    if kind == MessageKind.CHANGE:
        return gettext("New time for your visit: %(day)s") % {"day": day}
    return gettext("Your visit on %(day)s") % {"day": day}


def _own_address() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]


def _render(name: str, context: dict[str, Any], *, is_html: bool) -> str:
    """Render one of the message templates; plain text is not escaped, and blank lines left by tags go."""
    template = get_template(f"scheduling/messages/{name}")
    text = str(template.template.render(Context(context, autoescape=is_html)))  # type: ignore[attr-defined]  # Django's own engine
    if is_html:
        return text
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n")]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
