"""A patient's phone: it opens a link, presses what the page shows, and all that an answer could change is looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.test import Client
from icalendar import Calendar

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from scheduling import booking, links, openings
from scheduling.models import Allocation, Appointment, DeskTask, Link, LinkPurpose, Message
from tests.factories import NOW, local

IN_A_WEEK = date(2026, 9, 21)


@dataclass
class Phone:
    """A patient's browser: opens the link, presses what the page shows."""

    address: str
    client: Client = field(default_factory=Client)
    page: str = ""

    @property
    def secret(self) -> str:
        return self.address.rstrip("/").rpartition("/")[2]

    def get(self, path: str = "", **query: str) -> HttpResponse:
        answer: Any = self.client.get(f"/l/{self.secret}/{path}", query)
        self.page = answer.content.decode() if "text/html" in answer["Content-Type"] else ""
        return answer  # type: ignore[no-any-return]

    def press(self, act: str, path: str = "", **more: str) -> HttpResponse:
        mark = re.findall(r'name="shown" value="([^"]+)"', self.page)
        answer: Any = self.client.post(
            f"/l/{self.secret}/{path}", {"act": act, **({"shown": mark[0]} if mark else {}), **more}, follow=True
        )
        self.page = answer.content.decode()
        return answer  # type: ignore[no-any-return]


def phone_for(case: Appointment, purpose: str = LinkPurpose.VISIT) -> Phone:
    message = Message.objects.filter(appointment=case).order_by("pk")[0]
    message.appointment = case
    return Phone(links.issue(message=message, purpose=purpose, at=NOW))


def state(case: Appointment) -> tuple[str, int]:
    now = Appointment.objects.get(pk=case.pk)
    return now.status, now.version


def everything() -> list[Any]:
    """Return all that an answer could change."""
    return [
        list(model.objects.order_by("pk").values())  # type: ignore[attr-defined]
        for model in (Appointment, Allocation, Message, DeskTask, Link, AuditEvent)
    ]


PATHS = ("", "cancel/", "another-time/", "visit.ics", "plan/")
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0) SafeLinks",
    "Barracuda Sentinel (EE)",
    "Proofpoint URL Defense",
    "Mozilla/5.0 (compatible; Googlebot/2.1)",
    "python-requests/2.32",
    "Slackbot-LinkExpanding 1.0",
    "",
)


def moved(case: Appointment, by: Actor, clock: str = "11:00") -> Appointment:
    fresh = Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)
    place = openings.fit(
        procedure=fresh.procedure, starts_at=local(IN_A_WEEK, clock), site=fresh.site, at=NOW, moving=fresh, patient=fresh.patient
    ).opening
    assert place is not None
    return booking.reschedule(appointment=fresh, opening=place, by=by, at=NOW)


def turn_clock(settings: Any, tmp_path: Path, to: datetime) -> None:
    path = tmp_path / "turned"
    path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(path)


def offered(page: str) -> list[str]:
    return re.findall(r'name="offer" value="([^"]+)"', page)


def proven(phone: Phone, day: date) -> HttpResponse:
    typed = {"year": str(day.year), "month": str(day.month), "day": str(day.day)}
    answer: Any = phone.client.post(f"/l/{phone.secret}/plan/", typed, follow=True)
    phone.page = answer.content.decode()
    return answer  # type: ignore[no-any-return]


def event(answer: HttpResponse) -> Any:
    return Calendar.from_ical(answer.content.decode()).walk("VEVENT")[0]
