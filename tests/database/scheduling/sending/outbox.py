"""A case whose plan waits, and a gateway that keeps letters."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pain_clinic.accounts.actors import Actor
from scheduling import cadence, messages
from scheduling.letters import Letter
from scheduling.models import Appointment, Message, MessageKind
from tests import factories
from tests.factories import NOW, local

VISIT = date(2026, 9, 30)


MANAGER = Actor.system("manager", "scheduling.manage_messages")


class Recorder:
    """A gateway that keeps letters, or refuses them."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.letters: list[Letter] = []
        self.refusal = refusal

    def send(self, letter: Letter) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.letters.append(letter)

    def close(self) -> None:
        pass


def case(*, planned: bool = True, at: datetime = NOW, **patient: Any) -> Appointment:
    """Return a case whose confirmation is sent and whose plan waits."""
    if planned:
        cadence.load_defaults(by=MANAGER, at=NOW)
    site = factories.site()
    who = factories.patient(home=site, **{"email": "vera@example.org", **patient})
    made = factories.appointment(
        of=who, at_site=site, for_procedure=factories.procedure(needs=()), starts_at=local(VISIT, "10:00")
    )
    messages.lay_down(appointment=made, kind=MessageKind.CONFIRMATION, at=at)
    return made


def told(appointment: Appointment) -> None:
    Message.objects.filter(appointment=appointment, step="").update(state="sent")


def again(appointment: Appointment, step: str) -> Message:
    return Message.objects.get(appointment=appointment, step=step)


def swept(gateway: Any = None) -> dict[str, int]:
    return dict(messages.sweep(gateway=gateway or Recorder()))
