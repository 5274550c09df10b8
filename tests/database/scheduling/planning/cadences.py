"""Cases under the starting cadence, and what waits of each case's plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from scheduling import messages
from scheduling.models import Appointment, CadenceStep, Message, MessageKind
from tests import factories
from tests.factories import NOW, local

SYSTEM = Actor.system("tests", "scheduling.manage_messages")


VISIT = date(2026, 9, 30)  # a Wednesday, sixteen days after NOW


PLAIN = ("preparation", "reminder-3", "reminder-1", "arrival")


CLOCK: dict[str, Path] = {}


def set_clock(to: datetime) -> None:
    CLOCK["file"].write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")


def case(*, on: date = VISIT, at: str = "10:00", zone: str = "America/New_York", patient_zone: str = "", site: Site | None = None,
         **values: Any) -> Appointment:  # fmt: skip
    where = site or factories.site(name=f"Northside {uuid4().hex[:6]}", time_zone=zone)
    who = factories.patient(home=where, email="vera@example.org", time_zone=patient_zone)
    starts = local(on, at, ZoneInfo(where.time_zone))
    return factories.appointment(of=who, at_site=where, for_procedure=factories.procedure(needs=()), starts_at=starts, **values)


def planned(appointment: Appointment, *, state: str = "due") -> dict[str, datetime]:
    """Return what waits (or has another state) of a case's plan, by step, on the clocks of its site."""
    rows = Message.objects.filter(appointment=appointment, state=state).exclude(step="")
    return {row.step: row.planned_at.astimezone(ZoneInfo(appointment.site.time_zone)) for row in rows if row.planned_at}


def reasons(appointment: Appointment) -> dict[str, str]:
    rows = Message.objects.filter(appointment=appointment).exclude(step="").order_by("calendar_sequence", "pk")
    return {row.step: row.reason for row in rows if row.reason}


def lay(appointment: Appointment, kind: str = MessageKind.CONFIRMATION, at: datetime = NOW) -> Message:
    set_clock(at + timedelta(seconds=30))
    return messages.lay_down(appointment=appointment, kind=kind, at=at)


def step(code: str, **values: Any) -> None:
    CadenceStep.objects.filter(code=code, site=None, procedure=None).update(**values)


def wall(day: date, hour: str) -> datetime:
    return local(day, hour)
