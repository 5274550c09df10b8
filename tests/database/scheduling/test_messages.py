"""Messages: laid down with the case, claimed once, sent through a real SMTP server, never lost and hardly ever twice."""

from __future__ import annotations

import ast
import contextlib
import email.policy
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from gettext import GNUTranslations
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from icalendar import Calendar
from structlog.testing import capture_logs

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden
from patients.models import Patient
from scheduling import channels, letters, links, messages
from scheduling.channels import PutOff, Rejected, Unreachable
from scheduling.letters import Letter
from scheduling.messages import laying, looking, planning, sending, words
from scheduling.models import Appointment, BouncingAddress, Message, MessageKind, MessageState
from tests import factories
from tests.factories import NEW_YORK, NOW, TOMORROW, local, together, transactional

CONFIRMATION, CHANGE, CANCELLATION = MessageKind.CONFIRMATION, MessageKind.CHANGE, MessageKind.CANCELLATION


@pytest.fixture(autouse=True)
def _pace(settings: Any) -> None:
    settings.MESSAGES_PER_SECOND = 1000


@pytest.fixture
def set_clock(settings: Any, tmp_path: Path) -> Iterator[Callable[[datetime], None]]:
    """Return a function that moves the clinic's clock, in Python and in the database, to an instant."""
    path = tmp_path / "clock"

    def move(to: datetime) -> None:
        path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(path)

    move(NOW)
    yield move
    settings.CLINIC_CLOCK = ""
    with contextlib.suppress(Exception), connection.cursor() as cursor:
        clock.apply_clock(cursor)


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


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    made = Server(port=free_port())
    controller = Controller(made, hostname="127.0.0.1", port=made.port, enable_SMTPUTF8=True)
    controller.start()
    settings.EMAIL_BACKEND = channels.SMTP_BACKEND
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
    settings.MESSAGES_IN_FLIGHT = 1  # its answers are read in order
    yield made
    controller.stop()


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


# --- laying down ---------------------------------------------------------------------------------------------------


def test_lay_down_writes_one_row_however_often_it_is_called(db: None, set_clock: Any) -> None:
    appointment = case()

    first, second = laid(appointment), laid(appointment)

    assert first == second
    assert (first.state, first.version, first.patient, first.due_at) == ("due", 1, appointment.patient, NOW)


def test_change_before_the_confirmation_left_becomes_the_confirmation(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)

    new = laid(changed(appointment), CHANGE)

    assert (new.kind, new.version, new.calendar_sequence) == (CONFIRMATION, 2, 1)
    assert (again(old).state, again(old).reason) == ("withdrawn", "superseded")


@pytest.mark.parametrize("how", ["sent", "in flight"])
def test_change_after_the_confirmation_left_is_a_change(db: None, set_clock: Any, how: str) -> None:
    appointment = case()
    old = laid(appointment)
    if how == "sent":
        swept(Recorder())
    else:
        messages.claim_due()

    new = laid(changed(appointment), CHANGE)

    assert new.kind == CHANGE
    assert again(old).state == ("sent" if how == "sent" else "withdrawn")


def test_reinstated_case_gets_a_confirmation_on_its_next_change(db: None, set_clock: Any) -> None:
    appointment = case()
    laid(appointment)
    swept(Recorder())
    laid(cancelled(appointment), CANCELLATION)
    swept(Recorder())

    assert laid(changed(appointment, status="booked"), CHANGE).kind == CONFIRMATION


def test_cancelling_withdraws_what_has_not_left(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)

    laid(cancelled(appointment), CANCELLATION)
    gateway = Recorder()
    tally = swept(gateway)

    assert (again(old).state, again(old).reason) == ("withdrawn", "cancelled")
    assert (tally, [letter.calendar_method for letter in gateway.letters]) == ({"sent": 1}, ["CANCEL"])


def test_web_server_with_a_clock_ahead_makes_no_mail_late(db: None, set_clock: Any) -> None:
    message = laid(case(), at=NOW + timedelta(hours=2))

    assert abs(message.due_at - NOW) < timedelta(minutes=1)
    assert len(messages.claim_due()) == 1


# --- claiming ------------------------------------------------------------------------------------------------------


def test_claim_takes_confirmations_first_and_nothing_twice(db: None, set_clock: Any) -> None:
    moved = case()
    laid(moved)
    swept(Recorder())
    change = laid(changed(moved), CHANGE, at=NOW - timedelta(hours=1))
    confirmation = laid(case())

    assert [claim.message_id for claim in messages.claim_due()] == [confirmation.pk, change.pk]
    assert messages.claim_due() == ()


def test_claim_counts_what_is_late_as_due_and_leaves_what_is_to_come(db: None, set_clock: Any) -> None:
    late, exact, early = laid(case()), laid(case()), laid(case())
    Message.objects.filter(pk=late.pk).update(due_at=NOW - timedelta(hours=3))
    Message.objects.filter(pk=early.pk).update(due_at=NOW + timedelta(minutes=5))

    assert [claim.message_id for claim in messages.claim_due()] == [late.pk, exact.pk]
    set_clock(NOW + timedelta(minutes=5, seconds=1))
    assert early.pk in [claim.message_id for claim in messages.claim_due()]


def test_claim_takes_at_most_the_limit(db: None, set_clock: Any) -> None:
    for _ in range(3):
        laid(case())

    assert [len(messages.claim_due(limit=2)), len(messages.claim_due(limit=2))] == [2, 1]


@pytest.mark.parametrize(("after", "count"), [(23, 0), (26, 1)])
def test_claim_takes_again_what_was_never_finished(db: None, set_clock: Any, after: int, count: int) -> None:
    laid(case())
    messages.claim_due()

    set_clock(NOW + timedelta(seconds=after))

    assert len(messages.claim_due()) == count


# --- what is sent --------------------------------------------------------------------------------------------------


def test_mail_arrives_with_time_place_and_telephone_and_no_health_word(db: None, set_clock: Any, server: Server) -> None:
    appointment = case()
    message = laid(appointment)

    assert dict(messages.sweep()) == {"sent": 1}

    [(to, mail, raw)] = server.taken
    site = appointment.site
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    html = mail.get_body(("html",)).get_content()
    assert to == ["vera@example.org"]
    assert str(mail["From"]) == f"{site.name} <appointments@clinic.example>"
    assert (str(mail["To"]), str(mail["Reply-To"])) == ("vera@example.org", "desk@northside.example")
    assert str(mail["Subject"]) == "Your visit on Tuesday 15 September"
    assert str(mail["Message-ID"]) == f"<{message.public_id}@clinic.example>"
    assert plain.startswith(
        "Dear Vera,\n\nYour visit is booked.\n\nDay: Tuesday 15 September 2026\nPlease arrive at: 8:45 a.m. (EDT)\n"
    )
    [link, unsubscribe] = re.findall(r"http://127\.0\.0\.1:\d+/l/[A-Za-z0-9_-]{22}/", plain)
    assert [link in html, unsubscribe in html, link == unsubscribe] == [True, True, False]
    for part in ("Dear Vera,", "8:45 a.m. (EDT)", "Tuesday 15 September 2026", "tel:+15185550100"):
        assert part in html
    whole = re.sub(r"/l/[A-Za-z0-9_-]{22}", "", raw.decode() + plain + html + "".join(str(value) for value in mail.values()))
    for word in (
        "lumbar",
        "epidural",
        "steroid",
        "injection",
        "pain",
        "marlow",
        "1958",
        "esi",
        "procedure",
        appointment.procedure.code.lower(),
    ):
        assert word not in re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", whole.lower()), word
    kept = again(message)
    assert (kept.state, kept.subject, kept.text, kept.attempts, kept.lease_token) == (
        "sent",
        str(mail["Subject"]),
        links.mask(plain),
        1,
        None,
    )
    assert abs(kept.done_at - NOW) < timedelta(minutes=1)


def test_mail_programs_are_told_how_to_end_all_mail_by_one_press(
    db: None, set_clock: Any, server: Server, settings: Any, client: Any
) -> None:
    settings.BASE_URL = "https://clinic.example"
    appointment = case()
    laid(appointment)

    assert dict(messages.sweep()) == {"sent": 1}

    [mail] = server.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [address] = re.findall(r"\A<(https://clinic\.example/l/[A-Za-z0-9_-]{22}/)>\Z", str(mail["List-Unsubscribe"]))
    assert address in mail.get_body(("plain",)).get_content()
    path = address.removeprefix("https://clinic.example")
    assert client.get(path).status_code == 200
    appointment.patient.refresh_from_db()
    assert appointment.patient.accepts_email  # looking ends nothing
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    appointment.patient.refresh_from_db()
    assert not appointment.patient.accepts_email


def test_one_press_is_offered_over_tls_only(db: None, set_clock: Any, server: Server, settings: Any) -> None:
    settings.BASE_URL = "http://127.0.0.1:8000"
    laid(case())

    assert dict(messages.sweep()) == {"sent": 1}

    [mail] = server.mails
    assert str(mail["List-Unsubscribe"]).startswith("<http://127.0.0.1:8000/l/")
    assert mail["List-Unsubscribe-Post"] is None


def test_letter_without_a_way_out_promises_none(db: None) -> None:
    mail = channels.as_mail(letters.write(laid(case()), at=NOW))

    assert [name for name in mail.extra_headers if name.startswith("List-")] == []


def test_calendar_files_of_booking_move_and_cancel_agree(db: None, set_clock: Any, server: Server) -> None:
    appointment = case()
    laid(appointment)
    messages.sweep()
    later = timedelta(days=1)
    changed(appointment, arrives_at=appointment.arrives_at + later, starts_at=appointment.starts_at + later,
            ends_at=appointment.ends_at + later, leaves_at=appointment.leaves_at + later)  # fmt: skip
    laid(appointment, CHANGE)
    messages.sweep()
    laid(cancelled(appointment), CANCELLATION)
    messages.sweep()

    parts = [next(part for part in mail.walk() if part.get_content_type() == "text/calendar") for mail in server.mails]
    calendars = [Calendar.from_ical(part.get_content()) for part in parts]
    events = [calendar.walk("VEVENT")[0] for calendar in calendars]
    assert [part.get_param("method") for part in parts] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [part.get_filename() for part in parts] == ["visit.ics"] * 3
    assert [str(calendar["method"]) for calendar in calendars] == ["REQUEST", "REQUEST", "CANCEL"]
    assert {str(event["uid"]) for event in events} == {str(appointment.public_id)}
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert [event["dtstart"].dt for event in events] == [
        datetime(2026, 9, 15, 8, 45, tzinfo=NEW_YORK),
        datetime(2026, 9, 16, 8, 45, tzinfo=NEW_YORK),
        datetime(2026, 9, 16, 8, 45, tzinfo=NEW_YORK),
    ]
    assert [str(mail["Subject"]) for mail in server.mails] == [
        "Your visit on Tuesday 15 September",
        "New time for your visit: Wednesday 16 September",
        "Your visit on Wednesday 16 September is cancelled",
    ]


@pytest.mark.parametrize(
    ("kind", "subject", "opening"),
    [
        (CONFIRMATION, "Su visita del martes 15 de septiembre", "Su visita está reservada."),
        (CHANGE, "Nueva hora de su visita: martes 15 de septiembre", "Su visita ha cambiado."),
        (
            CANCELLATION,
            "Su visita del martes 15 de septiembre queda cancelada",
            "Su visita del martes 15 de septiembre de 2026 a las 8:45 a.m. queda cancelada.",
        ),
    ],
)
def test_mail_is_written_in_the_patients_language(db: None, kind: str, subject: str, opening: str) -> None:
    appointment = case(language="es", first_name="Óscar")
    message = Message(appointment=appointment, patient=appointment.patient, kind=kind, version=1)

    letter = letters.write(message, at=NOW)

    assert letter.subject == subject
    assert letter.text.startswith(f"Hola, Óscar:\n\n{opening}")
    assert '<html lang="es">' in letter.html
    english = [said for said in catalogue() if len(said) > 6]
    assert [said for said in english if said in letter.text + letter.html + letter.calendar.replace("\r\n ", "")] == []


def test_arrival_is_wall_time_on_both_clock_change_days(db: None) -> None:
    for day, zone in ((date(2026, 11, 1), "EST"), (date(2027, 3, 14), "EDT")):
        appointment = case(starts_at=local(day, "9:00"))
        message = Message(appointment=appointment, patient=appointment.patient, kind=CONFIRMATION, version=1)

        assert f"Please arrive at: 8:45 a.m. ({zone})" in letters.write(message, at=NOW).text


def test_html_is_plain_to_every_mail_program(db: None) -> None:
    appointment = case(first_name="<b onclick=x>Vera</b>&")
    message = Message(appointment=appointment, patient=appointment.patient, kind=CONFIRMATION, version=1)

    html = letters.write(message, at=NOW).html

    assert "Dear &lt;b onclick=x&gt;Vera&lt;/b&gt;&amp;," in html
    assert "<table" not in html
    assert "<script" not in html
    assert re.findall(r"(?:src|href)=\"(?!tel:)", html) == []
    assert "prefers-color-scheme: dark" in html
    assert '<body style="' in html


def test_text_mail_shows_names_as_they_are_written(db: None) -> None:
    appointment = case(first_name="D'Arcy & Søn")
    message = Message(appointment=appointment, patient=appointment.patient, kind=CONFIRMATION, version=1)

    assert letters.write(message, at=NOW).text.startswith("Dear D'Arcy & Søn,\n")


def test_line_ends_in_names_make_no_header_and_no_recipient(db: None, set_clock: Any, server: Server) -> None:
    site = northside()
    site.name, site.email = "North\r\nBcc: thief@evil.example", "desk@x.example\r\nBcc: thief@evil.example"
    site.save()
    laid(case(site=site, first_name="Vera\r\nBcc: thief@evil.example"))

    assert dict(messages.sweep()) == {"sent": 1}

    [(to, mail, _raw)] = server.taken
    assert to == ["vera@example.org"]
    assert mail["Bcc"] is None
    assert len(mail.get_all("Subject")) == 1


@pytest.mark.parametrize(
    "address", ["vera@example.org\nBcc: x@evil.example", "a@example.org, b@example.org", "no address", "<a@example.org>"]
)
def test_what_is_no_single_address_fails_and_reaches_nobody(db: None, set_clock: Any, server: Server, address: str) -> None:
    message = laid(case(email=address))

    assert dict(messages.sweep()) == {"failed": 1}
    assert (again(message).reason, server.taken) == ("address_invalid", [])


def catalogue() -> dict[str, str]:
    """Return the Spanish catalogue's source as pairs."""
    source = Path(django_settings.LOCALE_PATHS[0], "es/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    pairs = re.findall(r'^msgid ((?:".*"\n?)+)msgstr ((?:".*"\n?)+)', source, re.MULTILINE)
    texts = [tuple("".join(ast.literal_eval(line) for line in half.strip().splitlines()) for half in pair) for pair in pairs]
    return {said: meant for said, meant in texts if said}


def test_compiled_words_are_those_of_the_source() -> None:
    with Path(django_settings.LOCALE_PATHS[0], "es/LC_MESSAGES/django.mo").open("rb") as file:
        compiled = GNUTranslations(file)

    assert len(catalogue()) > 15
    assert {said: compiled.gettext(said) for said in catalogue()} == catalogue()


# --- looking at the world again ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "patient", "reason"),
    [
        (CONFIRMATION, "booked", {"email": ""}, "no_email"),
        (CONFIRMATION, "booked", {"accepts_email": False}, "opted_out"),
        (CONFIRMATION, "booked", {"deceased_on": date(2026, 9, 1)}, "deceased"),
        (CONFIRMATION, "cancelled", {}, "cancelled"),
        (CONFIRMATION, "arrived", {}, "arrived"),
        (CONFIRMATION, "discharged", {}, "visit_over"),
        (CONFIRMATION, "no_show", {}, "missed"),
        (CANCELLATION, "booked", {}, "not_cancelled"),
        (CANCELLATION, "cancelled", {"email": ""}, "no_email"),
    ],
)
def test_message_that_no_longer_fits_is_skipped_with_its_reason(
    db: None, set_clock: Any, kind: str, status: str, patient: dict[str, Any], reason: str
) -> None:
    message = laid(case(status=status), kind)
    Patient.objects.filter(pk=message.patient_id).update(**patient)
    gateway = Recorder()

    assert swept(gateway) == {"skipped": 1}
    assert (again(message).state, again(message).reason, gateway.letters) == ("skipped", reason, [])
    event = AuditEvent.objects.get(act="scheduling.send_message")
    assert (event.outcome, event.reason_code, event.subject_id) == ("refused", reason, message.public_id)


@pytest.mark.parametrize(("patient", "reason"), [({"email": "  "}, "no_email"), ({"accepts_email": False}, "opted_out")])
@pytest.mark.parametrize(("kind", "status"), [(CONFIRMATION, "booked"), (CANCELLATION, "cancelled")])
def test_message_to_somebody_without_an_address_never_looks_as_if_it_would_leave(
    db: None, set_clock: Any, kind: str, status: str, patient: dict[str, Any], reason: str
) -> None:
    message = laid(case(status=status, **patient), kind)

    assert (message.state, message.reason, message.done_at is not None) == ("skipped", reason, True)
    assert swept(Recorder()) == {}


@pytest.mark.parametrize(("before", "state"), [(timedelta(seconds=30), "sent"), (timedelta(), "skipped")])
def test_nothing_is_sent_once_the_visit_has_begun(db: None, set_clock: Any, before: timedelta, state: str) -> None:
    appointment = case()
    message = laid(appointment, at=appointment.starts_at - timedelta(minutes=1))
    set_clock(appointment.starts_at - before)

    swept(Recorder())

    assert again(message).state == state


def test_case_confirmed_by_telephone_still_gets_its_mail(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    appointment.version, appointment.status = 2, "confirmed"
    appointment.save()

    assert swept(Recorder()) == {"sent": 1}
    assert again(message).state == "sent"


def test_case_moved_without_a_message_of_its_own_is_told_as_it_is_now(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    changed(appointment, arrives_at=appointment.arrives_at - timedelta(minutes=30))
    gateway = Recorder()

    swept(gateway)

    assert "8:15 a.m." in gateway.letters[0].text
    assert again(message).calendar_sequence == 1


def test_message_of_an_older_version_gives_way_to_the_newer(db: None, set_clock: Any) -> None:
    appointment = case()
    old = laid(appointment)
    laid(changed(appointment), CHANGE)
    Message.objects.filter(pk=old.pk).update(state="due")

    assert swept(Recorder()) == {"skipped": 1, "sent": 1}
    assert again(old).reason == "superseded"


@pytest.mark.parametrize(
    ("clock_now", "laid_before", "day", "result"),
    [
        ("3:00", timedelta(minutes=30), 3, {"sent": 1}),
        ("3:00", timedelta(hours=5), 3, {"put_off": 1}),
        ("21:30", timedelta(hours=3), 3, {"put_off": 1}),
        ("8:00", timedelta(hours=9), 3, {"sent": 1}),
        ("19:59", timedelta(hours=9), 3, {"sent": 1}),
        ("7:45", timedelta(hours=5), 0, {"sent": 1}),
    ],
)
def test_late_mail_keeps_the_quiet_hours_unless_the_visit_is_near(
    db: None, set_clock: Any, clock_now: str, laid_before: timedelta, day: int, result: dict[str, int]
) -> None:
    now = local(TOMORROW, clock_now)
    message = laid(case(starts_at=local(TOMORROW + timedelta(days=day), "9:00")), at=now - laid_before)
    set_clock(now)

    assert swept(Recorder()) == result
    if "put_off" in result:
        morning = TOMORROW if clock_now == "3:00" else TOMORROW + timedelta(days=1)
        assert (again(message).due_at, again(message).reason, again(message).attempts) == (
            local(morning, "8:00"),
            "quiet_hours",
            0,
        )


# --- what the server may do ----------------------------------------------------------------------------------------


def test_server_that_asks_for_later_gets_it_with_growing_pauses(db: None, set_clock: Any, server: Server) -> None:
    message = laid(case())
    server.to_rcpt, server.to_data = ["451 greylisted", "250 ok", "421 busy"], ["451 not now"]
    pauses = []
    for _ in range(3):
        before = again(message).due_at
        assert dict(messages.sweep()) == {"put_off": 1}
        pauses.append(round((again(message).due_at - before).total_seconds()))
        set_clock(again(message).due_at + timedelta(milliseconds=1))
        assert again(message).reason.startswith("try_later_4")

    assert dict(messages.sweep()) == {"sent": 1}
    assert [len(server.taken), again(message).attempts] == [1, 4]
    assert [29 <= pauses[0] <= 33, 59 <= pauses[1] <= 63, 119 <= pauses[2] <= 123] == [True] * 3


def test_address_that_does_not_exist_fails_at_once_and_the_next_goes_on(db: None, set_clock: Any, server: Server) -> None:
    first, second = laid(case()), laid(case(email="second@example.org"))
    server.to_rcpt = ["550 no such user"]

    assert dict(messages.sweep()) == {"failed": 1, "sent": 1}
    assert (again(first).state, again(first).reason, again(first).attempts) == ("failed", "address_refused_550", 1)
    assert again(second).state == "sent"
    assert dict(messages.sweep()) == {}
    assert messages.reason_in_words("address_refused_550") == "The e-mail address does not exist or takes no mail (550)"


def test_server_that_keeps_the_mail_and_drops_its_answer_gets_one_copy_with_the_same_id(
    db: None, set_clock: Any, server: Server
) -> None:
    message = laid(case())
    server.to_data = ["kept and cut"]

    assert dict(messages.sweep()) == {"put_off": 1}
    set_clock(again(message).due_at + timedelta(seconds=1))
    assert dict(messages.sweep()) == {"sent": 1}

    assert {str(mail["Message-ID"]) for mail in server.mails} == {f"<{message.public_id}@clinic.example>"}
    assert len(server.mails) == 2


def test_server_that_is_away_costs_no_try_and_stops_the_sweep(db: None, set_clock: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = channels.SMTP_BACKEND, "127.0.0.1", free_port()
    first, second = laid(case()), laid(case())

    assert dict(messages.sweep()) == {"unreachable": 1, "given_back": 1}

    assert (again(first).state, again(first).attempts, again(first).reason) == ("due", 0, "server_unreachable")
    assert [claim.message_id for claim in messages.claim_due()] == [second.pk]


def test_silent_server_is_left_in_time(db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "OPENING", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            channels.SMTP_BACKEND,
            "127.0.0.1",
            listener.getsockname()[1],
        )
        message = laid(case())
        began = time.monotonic()

        assert dict(messages.sweep()) == {"unreachable": 1}

    assert time.monotonic() - began < 2
    assert again(message).state == "due"


def test_server_that_falls_silent_in_the_middle_is_left_in_time(
    db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "ONE_TRY", 0.5)

    def greet_and_fall_silent(listener: socket.socket) -> None:
        talk, _ = listener.accept()
        with talk:
            talk.sendall(b"220 hello\r\n")
            talk.recv(100)
            talk.sendall(b"250 hello\r\n")
            while talk.recv(100):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet_and_fall_silent, args=(listener,), daemon=True)
        thread.start()
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            channels.SMTP_BACKEND,
            "127.0.0.1",
            listener.getsockname()[1],
        )
        message = laid(case())
        began = time.monotonic()
        assert dict(messages.sweep()) == {"put_off": 1}
        assert time.monotonic() - began < 3
        thread.join(5)

    assert (again(message).reason, again(message).attempts) == ("connection_lost", 1)


def test_letter_that_cannot_be_written_is_parked_and_the_others_go_on(db: None, set_clock: Any) -> None:
    bad, good = laid(case(first_name="Poison")), laid(case())
    write = letters.write

    def poisoned(message: Message, **given: Any) -> Letter:
        if message.pk == bad.pk:
            raise ZeroDivisionError
        return write(message, **given)

    with patch.object(letters, "write", poisoned), capture_logs():
        tallies = []
        for _ in range(messages.MOST_ERRORS):
            make_due(bad)
            tallies.append(swept(Recorder()))

    assert tallies == [{"put_off": 1, "sent": 1}, *[{"put_off": 1}] * (messages.MOST_ERRORS - 2), {"failed": 1}]
    assert (again(bad).state, again(bad).reason, again(bad).attempts) == ("failed", "error", 5)
    assert again(good).state == "sent"


@pytest.mark.parametrize(
    ("problem", "tries"),
    [(PutOff("try_later_451"), messages.MOST_TRIES), (ValueError(), messages.MOST_ERRORS), (Rejected("mail_refused_554"), 1)],
)
def test_tries_come_to_an_end(db: None, set_clock: Any, problem: Exception, tries: int) -> None:
    message = laid(case())

    def refuse(_letter: Letter) -> None:
        raise problem

    for done in range(1, tries + 1):
        make_due(message)
        with capture_logs():
            swept(Recorder(then=refuse))
        assert (again(message).state, again(message).attempts) == ("failed" if done == tries else "due", done)


def test_server_away_for_hours_never_makes_a_message_fail(db: None, set_clock: Any) -> None:
    message = laid(case(starts_at=local(TOMORROW + timedelta(days=3), "9:00")))

    def away(_letter: Letter) -> None:
        raise Unreachable("server_unreachable")

    for minutes in (0, 1, 30, 120, 180):
        set_clock(NOW + timedelta(hours=2, minutes=minutes))
        make_due(message)
        assert swept(Recorder(then=away)) == {"unreachable": 1}
        assert timedelta(seconds=29) < again(message).due_at - (NOW + timedelta(hours=2, minutes=minutes)) < timedelta(minutes=6)

    make_due(message)
    assert swept(Recorder()) == {"sent": 1}


# --- kills and races -----------------------------------------------------------------------------------------------


def test_worker_killed_between_sending_and_recording_sends_again_with_the_same_id(
    db: None, set_clock: Any, server: Server
) -> None:
    message = laid(case())
    with patch.object(sending, "_finish", side_effect=SystemExit), pytest.raises(SystemExit):
        messages.sweep()
    assert (again(message).state, len(server.mails), messages.claim_due()) == ("due", 1, ())

    set_clock(NOW + messages.LEASE + timedelta(seconds=2))
    assert dict(messages.sweep()) == {"sent": 1}

    assert [str(mail["Message-ID"]) for mail in server.mails] == [f"<{message.public_id}@clinic.example>"] * 2
    assert dict(messages.sweep()) == {}


def test_tries_that_kills_cut_off_make_no_pause_longer_and_use_up_no_try(db: None, set_clock: Any) -> None:
    message = laid(case())
    for _ in range(messages.MOST_TRIES):
        make_due(message)
        with patch.object(sending, "_finish", side_effect=SystemExit), pytest.raises(SystemExit):
            swept(Recorder())
    assert (again(message).state, again(message).attempts, again(message).failures) == ("due", messages.MOST_TRIES, 0)

    def refuse(_letter: Letter) -> None:
        raise PutOff("try_later_451")

    make_due(message)
    set_clock(NOW)
    assert swept(Recorder(then=refuse)) == {"put_off": 1}
    assert timedelta(seconds=29) < again(message).due_at - NOW < timedelta(seconds=35)
    make_due(message)
    assert swept(Recorder()) == {"sent": 1}


@pytest.mark.parametrize(("kills", "state"), [(words.MOST_UNFINISHED - 1, "sent"), (words.MOST_UNFINISHED, "failed")])
def test_letter_at_which_the_worker_ends_each_time_is_parked_at_last(db: None, set_clock: Any, kills: int, state: str) -> None:
    message = laid(case())
    Message.objects.update(attempts=kills + 3, failures=3)

    swept(Recorder())

    assert (again(message).state, again(message).reason) == (state, "gave_up" if state == "failed" else "")


def test_message_whose_lease_was_lost_is_not_sent(db: None, set_clock: Any) -> None:
    laid(case())
    slow = messages.claim_due()
    set_clock(NOW + messages.LEASE + timedelta(seconds=2))
    quick, gateway = Recorder(), Recorder()

    assert swept(quick) == {"sent": 1}
    assert dict(messages.deliver(claimed=slow, gateway=gateway)) == {"lost": 1}
    assert (len(quick.letters), len(gateway.letters)) == (1, 0)


def test_move_between_writing_and_sending_stops_the_old_mail(db: None, set_clock: Any) -> None:
    appointment = case()
    laid(appointment)
    write, gateway = letters.write, Recorder()

    def moved_meanwhile(message: Message, **given: Any) -> Letter:
        letter = write(message, **given)
        laid(changed(Appointment.objects.get(pk=appointment.pk)), CHANGE)
        return letter

    with patch.object(letters, "write", moved_meanwhile):
        assert swept(gateway) == {"lost": 1}
    assert gateway.letters == []


def test_move_while_the_mail_leaves_is_recorded_as_sent_and_followed_by_a_change(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    newer: list[Message] = []

    def moved_meanwhile(_letter: Letter) -> None:
        newer.append(laid(changed(Appointment.objects.get(pk=appointment.pk)), CHANGE))

    assert swept(Recorder(then=moved_meanwhile)) == {"sent": 1}
    assert (again(message).state, newer[0].kind, newer[0].state) == ("sent", CHANGE, "due")


@pytest.mark.parametrize(
    ("per_second", "seconds", "claims"),
    [
        (1000, 0.05, [20, 40, 40]),  # twenty a second: two seconds' worth
        (1000, 1.0, [20, 20, 20, 20, 20]),  # slower than that: never fewer than at first
        (5, 0.05, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]),  # nor more than the clinic's pace allows
    ],
)
def test_worker_holds_no_more_than_leaves_within_a_glance(
    db: None, set_clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, per_second: int, seconds: float, claims: list[int]
) -> None:
    settings.MESSAGES_PER_SECOND = per_second
    now, taken = [0.0], []

    def claim(*, limit: int) -> tuple[sending.Claim, ...]:
        taken.append(limit)
        return tuple(sending.Claim(0, uuid4()) for _ in range(limit))

    def send(tour: Any, claimed: Sequence[sending.Claim]) -> None:
        now[0] += len(claimed) * seconds
        tour.tally["sent"] += len(claimed)

    monkeypatch.setattr(sending, "claim_due", claim)
    monkeypatch.setattr(sending._Round, "send", send)
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: now[0]))

    assert messages.sweep(limit=100, budget=timedelta(hours=1)) == {"sent": 100}
    assert taken == claims


def test_time_that_is_up_gives_the_rest_back(db: None, set_clock: Any) -> None:
    for _ in range(3):
        laid(case())

    assert swept(Recorder(), budget=timedelta()) == {"given_back": 3}
    assert len(messages.claim_due()) == 3


class Meeting:
    """A gateway at which two workers wait for each other, so that their sends overlap."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.barrier = threading.Barrier(2)

    def send(self, letter: Letter) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(0.7)
        self.letters.append(letter)

    def close(self) -> None:
        pass


@transactional
def test_two_sweeps_at_once_send_one_mail_each(set_clock: Any) -> None:
    for _ in range(6):
        laid(case())
    gateway = Meeting()

    tallies = together(*[lambda: messages.deliver(claimed=messages.claim_due(limit=3), gateway=gateway)] * 2)

    assert [dict(tally) for tally in tallies] == [{"sent": 3}, {"sent": 3}]
    assert len({letter.message_id for letter in gateway.letters}) == len(gateway.letters) == 6


@transactional
def test_control_two_workers_without_the_claim_send_twice(set_clock: Any) -> None:
    laid(case())
    gateway, [claim] = Meeting(), messages.claim_due()

    together(*[lambda: messages.deliver(claimed=[claim], gateway=gateway)] * 2)

    assert len(gateway.letters) == 2


@transactional
def test_booking_in_progress_holds_up_no_sweep(set_clock: Any) -> None:
    """A message that a verb is just withdrawing is passed over, and what is not committed is not seen."""
    held, free = laid(case()), laid(case())
    in_hand, done = threading.Event(), threading.Event()

    def booking() -> None:
        with transaction.atomic():
            Message.objects.filter(pk=held.pk).update(state=MessageState.WITHDRAWN)
            laid(case())
            in_hand.set()
            done.wait(20)

    def sweep() -> list[int]:
        in_hand.wait(20)
        try:
            return [claim.message_id for claim in messages.claim_due()]
        finally:
            done.set()

    _, claimed = together(booking, sweep)

    assert claimed == [free.pk]


# --- staff ---------------------------------------------------------------------------------------------------------


def test_failed_message_can_be_sent_again_once_the_address_is_mended(db: None, set_clock: Any) -> None:
    message = laid(case(email=""))
    swept(Recorder())
    Patient.objects.update(email="new@example.org")
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    messages.send_again(message=message, by=staff, at=NOW)
    gateway = Recorder()

    assert swept(gateway) == {"sent": 1}
    assert [letter.to for letter in gateway.letters] == ["new@example.org"]
    assert AuditEvent.objects.filter(act="scheduling.send_message_again").count() == 1
    with pytest.raises(messages.AlreadySent) as refusal:
        messages.send_again(message=message, by=staff, at=NOW)
    assert refusal.value.code == "not_to_be_sent_again"


@pytest.mark.parametrize(
    ("values", "state", "reason", "status", "refusal"),
    [
        ({}, "failed", "address_refused_550", "booked", ""),
        ({}, "skipped", "restored", "booked", ""),
        ({}, "skipped", "merged", "booked", "merged"),
        ({}, "skipped", "too_late", "booked", "too_late"),
        ({}, "failed", "address_refused_550", "cancelled", "cancelled"),
        ({}, "failed", "address_refused_550", "arrived", "arrived"),
        ({"email": ""}, "skipped", "no_email", "booked", "no_email"),
        ({"accepts_email": False}, "skipped", "opted_out", "booked", "opted_out"),
        ({"deceased_on": date(2026, 1, 1)}, "skipped", "deceased", "booked", "deceased"),
    ],
)
def test_sending_again_is_offered_and_done_only_where_it_can_help(
    db: None, set_clock: Any, values: dict[str, Any], state: str, reason: str, status: str, refusal: str
) -> None:
    message = laid(case(**values))
    Message.objects.filter(pk=message.pk).update(state=state, reason=reason, done_at=NOW)
    Appointment.objects.filter(pk=message.appointment_id).update(
        status=status,
        **({"cancel_reason": "patient_ill", "asked_by": "patient", "cancelled_at": NOW} if refusal == "cancelled" else {}),
    )
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    assert again(message).may_help_again is not bool(refusal)
    if not refusal:
        assert messages.send_again(message=message, by=staff, at=NOW).state == "due"
        return
    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=NOW)
    assert (told.value.details, again(message).state) == ({"reason": refusal}, state)


def test_sending_again_to_an_address_that_bounces_is_refused_with_the_reason(db: None, set_clock: Any) -> None:
    message = laid(case())
    Message.objects.update(state="failed", reason="bounced_5.1.1", done_at=NOW)
    BouncingAddress.objects.create(address="vera@example.org", kind="bounce", reason="5.1.1", message=message, since=NOW)
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=NOW)
    assert told.value.message == "It would not leave: mails to this address come back."


def test_sending_again_once_the_visit_has_begun_is_refused(db: None, set_clock: Any) -> None:
    message = laid(case())
    Message.objects.update(state="failed", reason="gave_up", done_at=NOW)
    staff = Actor(kind="user", user_id=None, name="desk", permissions=frozenset({"scheduling.view_messages"}))

    with pytest.raises(messages.WouldNotLeave) as told:
        messages.send_again(message=message, by=staff, at=message.appointment.starts_at)
    assert told.value.details == {"reason": "visit_over"}


def test_sending_again_asks_for_the_permission(db: None, set_clock: Any) -> None:
    message = laid(case())

    with pytest.raises(Forbidden):
        messages.send_again(message=message, by=Actor.system("nobody"), at=NOW)


def test_every_reason_has_words() -> None:
    written = (sending, looking, laying, planning, words, channels)
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in written)
    codes = set(re.findall(r'(?:return|reason=|else|most=|Rejected\(|PutOff\(|Unreachable\() ?f?"([a-z_]+?)(?:_\{|")', source))

    assert {"no_email", "address_invalid", "try_later"} <= codes
    assert codes - set(messages.REASONS) - {"lost", "put_off", "stopped", "unreachable", "refused"} == set()


def test_sending_is_audited_with_ids_only(db: None, set_clock: Any) -> None:
    appointment = case()
    message = laid(appointment)
    swept(Recorder())

    event = AuditEvent.objects.get(act="scheduling.send_message")

    assert (event.outcome, event.actor_kind, event.subject_id, event.patient_id) == (
        "done",
        "system",
        message.public_id,
        appointment.patient.public_id,
    )
    assert event.details == {"kind": "confirmation", "appointment": str(appointment.public_id), "tries": 1}


# --- the command ---------------------------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("messages", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_plan_is_a_line_for_each_message_not_yet_done(db: None, set_clock: Any) -> None:
    done, waiting = case(), case()
    laid(done)
    swept(Recorder())
    laid(waiting, at=NOW)
    Message.objects.filter(appointment=done).update(done_at=NOW)

    assert run("--plan", "--as-of", "2026-09-15") == f"2026-09-14T11:00:00Z confirmation {waiting.public_id} due\n"
    assert json.loads(run("--plan", "--as-of", "2026-09-14", "--json")) == [
        {"at": "2026-09-14T11:00:00Z", "kind": "confirmation", "appointment": str(done.public_id), "state": "sent"},
        {"at": "2026-09-14T11:00:00Z", "kind": "confirmation", "appointment": str(waiting.public_id), "state": "due"},
    ]
    assert run() == "1 due, 1 sent\n"


def test_command_sends_what_is_due(db: None, set_clock: Any) -> None:
    laid(case())

    assert run("--send") == "1 sent\n"
    assert run("--send") == "nothing due\n"


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "2026-09-15T09:00"])
def test_plan_refuses_an_unclear_instant(db: None, text: str) -> None:
    with pytest.raises(CommandError):
        run("--plan", "--as-of", text)
