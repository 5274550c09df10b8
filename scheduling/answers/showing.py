"""A visit as the holder of a link may see it: time, place, telephone; no name, no procedure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parseaddr
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext

from pain_clinic.languages import ENGLISH
from scheduling import calendars, holdplan
from scheduling.answers.acting import UNDO_WITHIN, may_take_back
from scheduling.answers.offering import NOTICE
from scheduling.calendars import Visit, cleaned
from scheduling.letters import said, short_day, time_of_day, to_do
from scheduling.models import BEFORE_ARRIVAL, PRESENT, Appointment, Link, Status, Wording


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One medicine of a cleared plan: when the last dose is taken, and when it starts again."""

    medicine: str
    last_dose: str
    restart: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitShown:
    """What the page of a visit says and offers."""

    clinic: str
    address: str
    phone: str
    dial: str
    day: str
    arrival: str
    until: str
    zone: str
    iso_day: date
    state: str  # open, confirmed, here, now, cancelled
    has_moved: bool  # since the mail that brought the reader here
    may_move: bool  # here, and not only by telephone
    undo_until: str
    directions: str
    to_do: tuple[str, ...]  # before the visit, in the mails' own words
    has_plan: bool


def show(link: Link, at: datetime, language: str) -> VisitShown:
    """Return what the holder of a link may see of its visit, in the site's time and the language that is active."""
    case, site = link.appointment, link.appointment.site
    zone = ZoneInfo(site.time_zone)
    arrives, leaves = case.arrives_at.astimezone(zone), case.leaves_at.astimezone(zone)
    has_plan = bool(medicine_plan(link, at))
    undo_until = ""
    if may_take_back(case, at) and case.cancelled_at is not None:
        undo_until = time_of_day((case.cancelled_at + UNDO_WITHIN).astimezone(zone))
    return VisitShown(
        clinic=cleaned(settings.MAIL_FROM_NAME) or cleaned(site.name),
        address=", ".join(part for part in (cleaned(site.name), cleaned(site.address)) if part),
        phone=cleaned(site.phone),
        dial="".join(sign for sign in site.phone if sign.isdigit() or sign == "+"),
        day=short_day(arrives),
        arrival=time_of_day(arrives),
        until=time_of_day(leaves),
        zone=arrives.tzname() or "",
        iso_day=arrives.date(),
        state=_state(case, at),
        has_moved=link.calendar_sequence != case.calendar_sequence and case.status != Status.CANCELLED,
        may_move=case.status in BEFORE_ARRIVAL and case.arrives_at >= at + NOTICE,
        undo_until=undo_until,
        directions=cleaned(site.directions_in(language)),
        to_do=_to_do(case, zone, language, has_plan=has_plan),
        has_plan=has_plan,
    )


def _to_do(case: Appointment, zone: ZoneInfo, language: str, *, has_plan: bool) -> tuple[str, ...]:
    """Return what the mails ask the patient to do, in the clinic's own words."""
    if case.status not in BEFORE_ARRIVAL:
        return ()
    rows = Wording.objects.filter(language__in={language, ENGLISH}).order_by("key", "language", "-version")
    own = {(row.key, row.language): row.text for row in rows.distinct("key", "language") if row.text}
    arrives = case.arrives_at.astimezone(zone)
    values = {
        "day": short_day(arrives),
        "short_day": short_day(arrives),
        "arrival": time_of_day(arrives),
        "place": cleaned(case.site.name),
        "phone": cleaned(case.site.phone),
    }

    def say(key: str, **more: str) -> str:
        return said(key, language, own, {**values, **more})

    return tuple(to_do(case, zone, say, medicines="" if has_plan else "medicines"))


def medicine_plan(link: Link, at: datetime) -> tuple[PlanLine, ...]:
    """Return the lines of the visit's medicine plan, for the time that it has now; none before every prescriber has agreed.

    `links.read` says whether any prescriber ever agreed; without that nothing is looked up.
    """
    if not getattr(link, "has_agreement", False):
        return ()
    case = link.appointment
    case.patient = link.patient

    def told(moment: date | datetime | None) -> str:
        if moment is None:
            return ""
        day = short_day(moment)
        return f"{day}, {time_of_day(moment)}" if isinstance(moment, datetime) else day

    return tuple(
        PlanLine(held.name, told(held.last_dose), told(held.restart)) for held in holdplan.told_to_patient(case=case, at=at)
    )


def calendar_of(link: Link, at: datetime) -> bytes:
    """Return the visit as a file for the patient's calendar, the same event as the one that the mail brought.

    It names nobody: whoever holds a forwarded mail may open it.
    """
    case, site = link.appointment, link.appointment.site
    place = cleaned(site.name)
    return calendars.calendar_file(
        Visit(
            uid=str(case.public_id),
            sequence=case.calendar_sequence,
            is_cancelled=case.status == Status.CANCELLED,
            starts_at=case.arrives_at,
            ends_at=case.leaves_at,
            zone=site.time_zone,
            summary=gettext("Visit: %(place)s") % {"place": place},
            description=gettext("Telephone: %(phone)s") % {"phone": cleaned(site.phone)} if site.phone else "",
            location=", ".join(part for part in (place, cleaned(site.address)) if part),
            organizer_name=cleaned(settings.MAIL_FROM_NAME) or place,
            organizer_email=parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
            attendee_email="",
            stamped_at=at,
            is_published=True,
        )
    )


def _state(case: Appointment, at: datetime) -> str:
    if case.status == Status.CANCELLED:
        return "cancelled"
    if case.status in PRESENT:
        return "here"
    if at >= case.arrives_at:
        return "now"
    return "confirmed" if case.status == Status.CONFIRMED else "open"
