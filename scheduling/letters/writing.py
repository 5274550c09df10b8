"""The words of a message: a visit as the patient reads it, in the patient's language and the site's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formataddr, parseaddr
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
from django.conf import settings
from django.template import Context
from django.template.loader import get_template
from django.utils import translation
from django.utils.translation import gettext

from scheduling import calendars
from scheduling.calendars import Visit, cleaned
from scheduling.letters.moments import long_day, short_day, time_of_day
from scheduling.letters.passages import OwnWords, said
from scheduling.letters.preparing import to_do
from scheduling.models import BEFORE_VISIT, Appointment, Message, MessageKind, Status

inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)

STANDS = (MessageKind.CONFIRMATION, MessageKind.CHANGE)
WITH_CALENDAR = (*STANDS, MessageKind.CANCELLATION)
PREPARES = (*STANDS, MessageKind.PREPARATION)
CLOSINGS: Mapping[str, tuple[str, ...]] = {
    MessageKind.CANCELLATION: ("cancelled_medicines", "cancelled_other"),
    MessageKind.ARRIVAL: ("late",),
    MessageKind.NO_SHOW: ("call_for_another",),
    MessageKind.RECALL: ("call_for_next",),
    MessageKind.FOLLOW_UP: ("worried",),
    MessageKind.COURSE: ("course_call",),
}


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
    calendar: str  # empty: no calendar file goes with it
    calendar_method: str
    unsubscribe: str = ""  # where one press ends all e-mail; empty: not offered
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the writer is told besides the case: links made for this mail, what was said before, the clinic's own words."""

    link: str = ""
    unsubscribe: str = ""
    asks: bool = False  # whether the patient will come, beside what else it says
    is_question: bool = False  # asking is what this message is for
    has_plan: bool = False
    is_diary: bool = False  # the questions come several times
    old_arrives_at: datetime | None = None
    old_place: str = ""
    own: OwnWords = field(default_factory=dict)


NOTHING = Known()


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the visit: what, and the value; a telephone number has the digits to dial."""

    label: str
    value: str
    dial: str = ""


def write(message: Message, *, at: datetime, known: Known = NOTHING) -> Letter:
    """Write the letter for a message from the appointment as it is now."""
    with translation.override(message.patient.reads):
        return _Writer(message, known).letter(at)


def message_id(message: Message) -> str:
    """Return the mail's own id: the same at every attempt, so that a second copy is known as one."""
    return f"<{message.public_id}@{_own_address().rpartition('@')[2]}>"


class _Writer:
    """One letter in the making, its language active."""

    def __init__(self, message: Message, known: Known) -> None:
        self.message, self.known = message, known
        self.appointment: Appointment = message.appointment
        self.site = self.appointment.site
        self.zone = ZoneInfo(self.site.time_zone)
        self.kind = message.kind
        self.language = message.patient.reads
        self.place = cleaned(self.site.name)
        self.sender = cleaned(settings.MAIL_FROM_NAME) or self.place
        self.phone = cleaned(self.site.phone)
        self.asks = known.asks and self.appointment.status == Status.BOOKED and bool(known.link)
        self.values = self._values()

    def letter(self, at: datetime) -> Letter:
        context = self._context()
        visit = self._visit(at) if self.kind in WITH_CALENDAR else None
        return Letter(
            message_id=message_id(self.message),
            sender=formataddr((self.sender, _own_address())),
            reply_to=cleaned(self.site.email),
            to=self.message.patient.email,
            subject=str(context["subject"]),
            text=_render("letter.txt", context, is_html=False),
            html=inliner.inline(_render("letter.html", context, is_html=True)),
            calendar=calendars.calendar_file(visit).decode() if visit else "",
            calendar_method=calendars.method(visit) if visit else "",
            unsubscribe=self.known.unsubscribe,
            written_at=at,
        )

    def _values(self) -> dict[str, str]:
        arrives = self.appointment.arrives_at.astimezone(self.zone)
        values = {
            "first_name": cleaned(self.message.patient.first_name)[:60],
            "day": long_day(arrives),
            "short_day": short_day(arrives),
            "arrival": time_of_day(arrives),
            "place": self.place,
            "phone": self.phone,
        }
        if self.known.old_arrives_at is not None:
            before = self.known.old_arrives_at.astimezone(self.zone)
            values |= {
                "old_day": long_day(before),
                "old_arrival": time_of_day(before),
                "old_place": cleaned(self.known.old_place) or self.place,
            }
        return values

    def _said(self, key: str, **more: str) -> str:
        return said(key, self.language, self.known.own, {**self.values, **more})

    def _context(self) -> dict[str, Any]:
        name = self._name()
        changed = self.kind == MessageKind.CHANGE and self.known.old_arrives_at is not None
        return {
            "language": self.language,
            "subject": cleaned(self._said(f"subject_{name}") + self._detail()),
            "greeting": self._said("greeting"),
            "opening": self._said(f"opening_{name}"),
            "changed": self._said("changed") if changed else "",
            "facts": self._facts(),
            "ready": self._ready(),
            "act": self._act(),
            "closing": [self._said(key) for key in CLOSINGS.get(self.kind, ("cannot_come",) if self._stands() else ())],
            "unsubscribe": self._said("unsubscribe") if self.known.unsubscribe else "",
            "unsubscribe_url": self.known.unsubscribe,
            "phone": self.phone,
            "sender": self.sender,
        }

    def _name(self) -> str:
        """Return what its subject and first sentence are called among the passages."""
        if self.kind == MessageKind.REMINDER and self.asks and self.known.is_question:
            return f"{self.kind}_ask"
        return f"{self.kind}_diary" if self.known.is_diary else self.kind

    def _detail(self) -> str:
        """Return what the patient allowed to stand in subject and calendar; nothing without that."""
        return f": {self.appointment.procedure.name}" if self.message.patient.accepts_details and self._stands() else ""

    def _stands(self) -> bool:
        """Say whether this letter speaks of a visit to come."""
        return self.kind in STANDS or self.kind in BEFORE_VISIT

    def _facts(self) -> list[Fact]:
        facts = []
        arrives = self.appointment.arrives_at.astimezone(self.zone)
        leaves = self.appointment.leaves_at.astimezone(self.zone)
        if self._stands():
            facts = [
                Fact(gettext("Day"), self.values["day"]),
                Fact(gettext("Please arrive at"), f"{self.values['arrival']} ({arrives.tzname()})"),
                Fact(gettext("You can leave at about"), time_of_day(leaves)),
            ]
        if self._stands() or self.kind == MessageKind.CANCELLATION:
            facts.append(Fact(gettext("Place"), ", ".join(part for part in (self.place, cleaned(self.site.address)) if part)))
        directions = cleaned(self.site.directions_in(self.language))
        if self._stands() and directions:
            facts.append(Fact(gettext("How to find us"), directions))
        if self.phone:
            dial = "".join(sign for sign in self.phone if sign.isdigit() or sign == "+")
            facts.append(Fact(gettext("Telephone"), self.phone, dial))
        return facts

    def _ready(self) -> list[str]:
        if not self._stands():
            return []
        return to_do(
            self.appointment,
            self.zone,
            self._said,
            medicines="medicines_ready" if self.known.has_plan else "medicines",
            is_full=self.kind in PREPARES,
            is_today=self.kind == MessageKind.ARRIVAL,
        )

    def _act(self) -> dict[str, str]:
        if not self.known.link:
            return {}
        if self.kind == MessageKind.PLAN_READY:
            keys = ("read_plan", "button_plan")
        elif self.kind == MessageKind.FOLLOW_UP:
            keys = ("answer_diary" if self.known.is_diary else "answer_score", "button_score")
        elif self.kind == MessageKind.COURSE:
            keys = ("read_course", "button_course")
        elif self._stands():
            is_confirmed = self.appointment.status == Status.CONFIRMED
            keys = ("ask" if self.asks else "manage_confirmed" if is_confirmed else "manage", "button_visit")
        else:
            return {}
        return {"text": self._said(keys[0]), "url": self.known.link, "label": self._said(keys[1])}

    def _visit(self, at: datetime) -> Visit:
        appointment = self.appointment
        details = [f"{gettext('Please arrive at')}: {self.values['arrival']}"]
        if self.phone:
            details.append(f"{gettext('Telephone')}: {self.phone}")
        return Visit(
            uid=str(appointment.public_id),
            sequence=appointment.calendar_sequence,
            is_cancelled=self.kind == MessageKind.CANCELLATION,
            starts_at=appointment.arrives_at,
            ends_at=appointment.leaves_at,
            zone=self.site.time_zone,
            summary=gettext("Visit: %(place)s") % {"place": self.place} + self._detail(),
            description="\n\n".join(details),
            location=", ".join(part for part in (self.place, cleaned(self.site.address)) if part),
            organizer_name=self.sender,
            organizer_email=_own_address(),
            attendee_email=self.message.patient.email,
            stamped_at=at,
        )


def _own_address() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]


def _render(name: str, context: dict[str, Any], *, is_html: bool) -> str:
    """Render one of the two templates; plain text is not escaped, and blank lines left by tags go."""
    template = get_template(f"scheduling/messages/{name}")
    text = str(template.template.render(Context(context, autoescape=is_html)))  # type: ignore[attr-defined]  # Django's own engine
    if is_html:
        return text
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n")]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
