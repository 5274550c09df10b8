"""What the page says: the calendar file, the patient's language, the state of the visit, the clinic's own words."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from pain_clinic.accounts.actors import Actor
from scheduling import booking
from scheduling.models import Appointment, Status, Wording
from tests.database.scheduling.views.answers.phones import IN_A_WEEK, Phone, event, moved, state, turn_clock
from tests.factories import NOW, local


def test_calendar_file_is_the_same_event_as_the_mails_and_names_nobody(visit: Appointment, phone: Phone, by: Actor) -> None:
    first = event(phone.get("visit.ics"))
    moved(visit, by)
    answer = phone.get("visit.ics")
    second = event(answer)
    assert str(first["UID"]) == str(second["UID"]) == str(visit.public_id)
    assert (first["SEQUENCE"], second["SEQUENCE"]) == (0, 1)
    assert second.decoded("DTSTART") == local(IN_A_WEEK, "10:45")
    assert answer["Content-Disposition"] == 'attachment; filename="visit.ics"'
    text = answer.content.decode().replace("\r\n ", "")
    for kept in ("vera@example.org", "Vera", "Marlow", "ATTENDEE", visit.procedure.name):
        assert kept not in text


def test_calendar_file_of_a_cancelled_visit_says_so(visit: Appointment, phone: Phone, by: Actor) -> None:
    booking.cancel(appointment=visit, reason="other", asked_by="clinic", by=by, at=NOW)
    assert str(event(phone.get("visit.ics"))["STATUS"]) == "CANCELLED"


def test_spanish_patient_reads_spanish_and_may_change(visit: Appointment, phone: Phone) -> None:
    visit.patient.language = "es"
    visit.patient.save()
    visit.site.directions, visit.site.directions_es = "Blue door", "Puerta azul"
    visit.site.save()
    phone.get()
    for said in ('<html lang="es">', "lunes 21 de septiembre", "Sí, vendré", "Puerta azul", ">English<"):
        assert said in phone.page
    phone.get(lang="en")
    assert "Yes, I will come" in phone.page
    assert "Blue door" in phone.page
    assert f'action="/l/{phone.secret}/?lang=en"' in phone.page
    phone.press("confirm")


@pytest.mark.parametrize("status", [Status.ARRIVED, Status.PREPARING, Status.READY, Status.IN_ROOM, Status.RECOVERY])
def test_patient_who_is_here_is_asked_nothing(visit: Appointment, phone: Phone, status: str) -> None:
    Appointment.objects.filter(pk=visit.pk).update(status=status)
    phone.get()
    assert "You have arrived" in phone.page
    assert "<form" not in phone.page


def test_patient_who_should_be_here_is_asked_to_call(visit: Appointment, phone: Phone, settings: Any, tmp_path: Path) -> None:
    phone.get()
    page = phone.page
    turn_clock(settings, tmp_path, visit.arrives_at)
    phone.get()
    assert "We expect you now" in phone.page
    assert "<form" not in phone.page
    phone.page = page
    assert phone.press("confirm").status_code == 422
    assert state(visit) == ("booked", 1)


def test_page_repeats_what_the_mail_asks_to_do_in_the_clinics_words(visit: Appointment, phone: Phone) -> None:
    visit.site.directions = "Blue door, second floor"
    visit.site.save()
    Wording.objects.create(key="bring", language="en", text="Bring your card, {phone}.", version=1, made_at=NOW)
    Appointment.objects.filter(pk=visit.pk).update(sedation="moderate")
    phone.get()
    for said in ("You may drink clear liquids", "an adult has to take you home", "Call us about your medicines",
                 "Bring your card, +1 518 555 0100.", "Blue door, second floor"):  # fmt: skip
        assert said in phone.page
    Appointment.objects.filter(pk=visit.pk).update(sedation="none")
    phone.get()
    assert "You may eat and drink as usual" in phone.page


def said_by(path: Path) -> set[str]:
    """Return the texts that a template has translated, as the catalogue names them."""
    source = path.read_text(encoding="utf-8")
    plain = re.findall(r'{% translate "([^"]+)" %}', source)
    blocks = re.findall(r"{% blocktranslate trimmed[^%]*%}(.*?){% endblocktranslate %}", source, re.DOTALL)
    return {*plain, *(re.sub(r"{{ (\w+) }}", r"%(\1)s", " ".join(block.split())) for block in blocks)}


def test_every_text_of_the_pages_stands_in_the_spanish_catalogue() -> None:
    base = Path(django_settings.BASE_DIR)
    folder = base / "locale/es/LC_MESSAGES"
    source = (folder / "django.po").read_text(encoding="utf-8").replace("\\\\", "\\")
    pairs = dict(re.findall(r'msgid "(.+)"\nmsgstr "(.+)"', source))
    with (folder / "django.mo").open("rb") as file:
        compiled = GNUTranslations(file)
    assert {said: compiled.gettext(said) for said in pairs} == pairs
    pages = sorted((base / "templates/scheduling/link").glob("*.html"))
    said = set().union(*(said_by(page) for page in pages))
    assert len(said) > 60
    assert said - set(pairs) == set()
    assert [text for text in said if pairs[text] == text] == []
