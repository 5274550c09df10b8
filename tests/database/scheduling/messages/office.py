"""What the tests of messages share: cases, a gateway that keeps letters, an SMTP server that answers as it is told to."""

from __future__ import annotations

import email.policy
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any
from uuid import uuid4

from pain_clinic.accounts.models import Site
from scheduling import messages
from scheduling.letters import Letter
from scheduling.models import Appointment, Message, MessageKind
from tests import factories
from tests.factories import NOW

CONFIRMATION, CHANGE, CANCELLATION = MessageKind.CONFIRMATION, MessageKind.CHANGE, MessageKind.CANCELLATION


@dataclass
class Server:
    """An SMTP server that answers as it is told to, and keeps what it took."""

    taken: list[tuple[list[str], EmailMessage, bytes]] = field(default_factory=list)
    to_rcpt: list[str] = field(default_factory=list)
    to_data: list[str] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        answer = self.to_rcpt.pop(0) if self.to_rcpt else "250 ok"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        answer = self.to_data.pop(0) if self.to_data else "250 kept"
        if answer.startswith("2") or answer == "kept and cut":
            mail = BytesParser(_class=EmailMessage, policy=email.policy.default).parsebytes(envelope.content)
            self.taken.append((list(envelope.rcpt_tos), mail, envelope.content))
        if answer == "kept and cut":
            server.transport.close()
            return "250 never seen"
        return answer

    @property
    def mails(self) -> list[EmailMessage]:
        return [mail for _to, mail, _raw in self.taken]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Recorder:
    """A gateway that keeps letters; `then` is called with each before it counts as taken."""

    then: Callable[[Letter], None] = lambda _letter: None
    letters: list[Letter] = field(default_factory=list)

    def send(self, letter: Letter) -> None:
        self.then(letter)
        self.letters.append(letter)

    def close(self) -> None:
        pass


def northside() -> Site:
    site = factories.site(name=f"Northside {uuid4().hex[:6]}")
    site.address, site.phone, site.email = "1 Elm Street, Albany", "+1 518 555 0100", "desk@northside.example"
    site.save()
    return site


def case(*, site: Site | None = None, starts_at: datetime | None = None, status: str = "booked", **patient: Any) -> Appointment:
    where = site or northside()
    who = factories.patient(home=where, **{"email": "vera@example.org", **patient})
    what = factories.procedure(needs=(), name="Lumbar transforaminal epidural steroid injection")
    return factories.appointment(of=who, at_site=where, for_procedure=what, starts_at=starts_at, status=status)


def laid(appointment: Appointment, kind: str = CONFIRMATION, at: datetime = NOW) -> Message:
    return messages.lay_down(appointment=appointment, kind=kind, at=at)


def changed(appointment: Appointment, **values: Any) -> Appointment:
    """Return the case one version on, as the verbs leave it."""
    for name, value in values.items():
        setattr(appointment, name, value)
    appointment.version += 1
    appointment.calendar_sequence += 1
    appointment.save()
    return appointment


def cancelled(appointment: Appointment) -> Appointment:
    return changed(appointment, status="cancelled", cancel_reason="patient_ill", asked_by="patient", cancelled_at=NOW)


def again(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def make_due(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(due_at=NOW - timedelta(days=1), lease_until=None)


def swept(gateway: Any, **options: Any) -> dict[str, int]:
    return dict(messages.deliver(claimed=messages.claim_due(), gateway=gateway, **options))
