"""Times: the values come already in the site's zone and are printed as they are."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pain_clinic import clock as clocks
from pain_clinic.clock import wall, wall_there
from pain_clinic.templatetags.clinic.library import register
from pain_clinic.web import now

ENDS_OF_THE_WORLD = (timedelta(hours=-12), timedelta(hours=14))  # zones lie between these
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@register.filter
def clock(value: datetime | None) -> str:
    """The wall clock, 8:15."""
    return wall(value) if value else ""


@register.filter
def clock_there(value: datetime | None) -> str:
    """The wall clock with its zone, 8:15 EST."""
    return wall_there(value) if value else ""


@register.filter
def day(value: date | None) -> str:
    """A day in few letters, with the year when it is not this one."""
    if value is None:
        return ""
    text = f"{WEEKDAYS[value.weekday()][:3]} {value.day} {MONTHS[value.month - 1][:3]}"
    return text if _is_this_year(value) else f"{text} {value.year}"


@register.filter
def long_day(value: date | None) -> str:
    """A day as a person says it, with the year when it is not this one."""
    if value is None:
        return ""
    text = f"{WEEKDAYS[value.weekday()]} {value.day} {MONTHS[value.month - 1]}"
    return text if _is_this_year(value) else f"{text} {value.year}"


def _is_this_year(day: date) -> bool:
    """Say whether it is this year's wherever the clinic stands: around New Year that is not known here, and the year is said."""
    return {(now() + far).year for far in ENDS_OF_THE_WORLD} == {day.year}


@register.filter
def plain_day(value: date | None) -> str:
    """A day without its weekday, for birth dates: 2 Mar 1958."""
    return f"{value.day} {MONTHS[value.month - 1][:3]} {value.year}" if value else ""


@register.filter
def stamp(value: datetime | None) -> str:
    """Day and wall clock."""
    return f"{day(value)} {clock(value)}" if value else ""


@register.filter
def iso(value: date | datetime | None) -> str:
    """The machine's form, for datetime attributes and date inputs."""
    return value.isoformat() if value else ""


@register.filter
def when(value: date | datetime | None) -> str:
    """A day, or day and time where a time is known."""
    return stamp(value) if isinstance(value, datetime) else day(value)


@register.filter
def minutes_until(start: datetime, end: datetime) -> str:
    """How long from one instant to another, in words."""
    return lasting_words(int((end - start) / timedelta(minutes=1)))


@register.filter
def lasting_words(minutes: int) -> str:
    """45 min, 1 h, 1 h 30."""
    hours, rest = divmod(int(minutes), 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest:02d}" if rest else f"{hours} h"


@register.filter
def local_value(value: datetime) -> str:
    """The wall clock as a form value: 2026-11-27T09:15."""
    return value.strftime("%Y-%m-%dT%H:%M")


@register.filter
def days_in_words(text: str) -> str:
    """A text in which days stand in the machine's form, as people write them."""
    return clocks.days_in_words(text)
