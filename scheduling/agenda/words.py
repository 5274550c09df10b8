"""How pages name things: people, cases, targets, links, masked addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.paginator import Page as DjangoPage
from django.urls import reverse

from pain_clinic import languages
from pain_clinic.clock import wall
from patients.models import Patient
from procedures import levels as target_words
from scheduling.agenda.shapes import CaseLine, Flag, Page, Who
from scheduling.models import Appointment, Kind

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONG_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
SIDE_LETTERS = {"left": "L", "right": "R", "bilateral": "both", "midline": ""}
SEXES = {"female": "F", "male": "M", "other": "other", "unknown": "sex not on file"}
DEVICES = (Kind.C_ARM, Kind.ULTRASOUND, Kind.RF_GENERATOR, Kind.COOLING_PUMP, Kind.STIMULATOR_PROGRAMMER)
NOBODY = UUID(int=0)


def long_day(day: date, today: date) -> str:
    """Return the day as a person says it, with the year when it is not this one."""
    text = f"{WEEKDAYS[day.weekday()]} {day.day} {LONG_MONTHS[day.month - 1]}"
    return text if day.year == today.year else f"{text} {day.year}"


def short_day(day: date, today: date | None = None) -> str:
    """Return the day as "Thu 26 Nov", with the year when it is not that of today, where today is told."""
    text = f"{WEEKDAYS[day.weekday()][:3]} {day.day} {MONTHS[day.month - 1]}"
    return text if today is None or day.year == today.year else f"{text} {day.year}"


def clock(moment: datetime) -> str:
    return wall(moment)


def stamp(moment: datetime) -> str:
    """Return a local instant as "Thu 26 Nov 8:15"."""
    return f"{short_day(moment.date())} {clock(moment)}"


def age_on(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def full_name(patient: Patient) -> str:
    return f"{patient.first_name} {patient.last_name}"


@lru_cache(maxsize=4096)
def target(levels: tuple[str, ...], side: str, scheme: str, regions: tuple[str, ...] = (), offered: tuple[str, ...] = ()) -> str:
    """Return levels, region and side as short as the board needs them: "L4-L5 R", "knee L"."""
    text = target_words.shown(levels, "", scheme=scheme, regions=regions_told(regions, offered))
    return " ".join(part for part in (text, SIDE_LETTERS.get(side, "")) if part)


def regions_told(regions: Sequence[str], offered: Sequence[str]) -> Sequence[str]:
    """Return the regions of a case where the procedure's own name does not say them."""
    return () if len(offered) == 1 and offered[0] not in target_words.WITHIN else regions


def case_title(appointment: Appointment) -> str:
    text = target_words.shown(
        appointment.levels,
        appointment.side,
        scheme=appointment.procedure.level_scheme,
        regions=regions_told(appointment.regions, appointment.procedure.regions),
    )
    return f"{appointment.procedure.short_name} {text}".strip()


def case_url(public_id: UUID) -> str:
    return reverse("scheduling:appointment", args=[public_id])


def case_urls() -> Callable[[UUID], str]:
    """Return `case_url` for many cases at once: the address is looked up a single time."""
    before, _, after = case_url(NOBODY).partition(str(NOBODY))
    return lambda public_id: f"{before}{public_id}{after}"


def board_url(*, site: str, day: date, view: str = "day", by: str = "physician", case: UUID | None = None) -> str:
    query = {"day": day.isoformat(), "view": view, "by": by, "site": site}
    if case is not None:
        query["case"] = str(case)
    return f"{reverse('scheduling:board')}?{urlencode(query)}"


def book_url(**query: Any) -> str:
    given = {key: str(value) for key, value in query.items() if value}
    return reverse("scheduling:book") + (f"?{urlencode(given)}" if given else "")


def patient_flags(patient: Patient, *, same_name: bool = False, is_brief: bool = False) -> tuple[Flag, ...]:
    """Return what matters about a person; the brief form is for bars, which have little room."""
    flags = brief_flags(patient.deceased_on is not None, same_name, patient.language)
    return (*flags, Flag("note", patient.payer)) if patient.payer and not is_brief else flags


@lru_cache(maxsize=256)
def brief_flags(is_deceased: bool, has_twin: bool, language: str) -> tuple[Flag, ...]:
    """Return what a bar says about a person."""
    flags = []
    if is_deceased:
        flags.append(Flag("deceased", "Deceased"))
    if has_twin:
        flags.append(Flag("same_name", "Another patient has this name"))
    if language != languages.ENGLISH:
        flags.append(Flag("interpreter", f"Speaks {languages.name(language)}"))
    return tuple(flags)


def who(patient: Patient, *, today: date, same_name: str = "", upcoming: tuple[CaseLine, ...] = (), last: str = "") -> Who:
    return Who(
        public_id=patient.public_id,
        url=reverse("patients:patient", args=[patient.public_id]),
        name=full_name(patient),
        born=patient.birth_date,
        age=age_on(patient.birth_date, patient.deceased_on or today),
        sex=SEXES.get(patient.sex, patient.sex),
        record_number=patient.record_number,
        facts=patient_flags(patient),
        same_name=same_name,
        last_session=last,
        upcoming=upcoming,
    )


def case_line(
    appointment: Appointment, *, zone: ZoneInfo, where: str, day_shown: bool = False, with_patient: bool = True
) -> CaseLine:
    return CaseLine(
        public_id=appointment.public_id,
        url=case_url(appointment.public_id),
        starts_at=appointment.starts_at.astimezone(zone),
        ends_at=appointment.ends_at.astimezone(zone),
        patient=appointment.patient.short_name if with_patient else "",
        procedure=case_title(appointment),
        where=where,
        status=appointment.status,
        category=appointment.procedure.category,
        family=appointment.procedure.family,
        flags=patient_flags(appointment.patient, is_brief=True) if with_patient else (),
        day_shown=day_shown,
    )


def masked(address: str) -> str:
    """Return an e-mail address of which only the first letter and the domain show."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}***@{domain}" if name else ""


def paged(found: DjangoPage[Any], url: str, **query: str) -> Page:
    """Return the page numbers of a list and the addresses of its neighbours."""

    def address(number: int) -> str:
        return f"{url}?{urlencode({**{key: value for key, value in query.items() if value}, 'page': number})}"

    return Page(
        number=found.number,
        of=found.paginator.num_pages,
        total=found.paginator.count,
        previous_url=address(found.previous_page_number()) if found.has_previous() else "",
        next_url=address(found.next_page_number()) if found.has_next() else "",
    )
