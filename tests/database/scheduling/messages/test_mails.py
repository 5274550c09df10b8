"""What arrives: seen at a real SMTP server, it says what to do and gives nothing away."""

from __future__ import annotations

import ast
import re
from datetime import date, datetime, timedelta
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from icalendar import Calendar

from scheduling import channels, letters, links, messages
from scheduling.models import Message
from tests.database.scheduling.messages.office import (
    CANCELLATION,
    CHANGE,
    CONFIRMATION,
    Server,
    again,
    cancelled,
    case,
    changed,
    laid,
    northside,
)
from tests.factories import NEW_YORK, NOW, local


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
    sent = re.sub(r"={10,}\d+==|=\r?\n", "", raw.decode())  # random edges of parts, and lines that were folded
    whole = re.sub(r"/l/[A-Za-z0-9_-]{22}", "", sent + plain + html + "".join(str(value) for value in mail.values()))
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
