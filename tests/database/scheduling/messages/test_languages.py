"""A further language by its translation file alone, from importing a patient to the page behind the link; and without it."""

from __future__ import annotations

import re
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import translation

from pain_clinic import languages
from pain_clinic.accounts.actors import Actor
from pain_clinic.catalogues import compiled, keys_of, read_source
from patients import access_lists, records
from patients.models import Patient
from scheduling import booking, openings
from scheduling.letters import PASSAGES, Letter, said, short_day
from scheduling.models import Appointment, Wording
from tests import factories
from tests.database.scheduling.messages.office import Recorder, swept
from tests.database.scheduling.views.answers.phones import IN_A_WEEK, Phone
from tests.factories import NOW, SmallClinic, local

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: pt\\n"\n{}\n'
WORDS = {
    "l j F Y": r"l, j \\d\\e F \\d\\e Y",
    "l j F": r"l, j \\d\\e F",
    "g:i a": r"H\\hi",
    "Your visit on {short_day}": "A sua consulta de {short_day}",
    "Dear {first_name},": "Olá, {first_name}!",
    "Your visit is booked.": "A sua consulta está marcada.",
    "Open my visit": "Abrir a minha consulta",
    "Visit: %(place)s": "Consulta: %(place)s",
    "Your visit: %(day)s": "A sua consulta: %(day)s",
    "Yes, I will come": "Sim, vou",
    "Thank you. We expect you.": "Obrigado. Esperamos por si.",
    "This link is no longer good": "Esta ligação já não serve",
    "Who has seen this record": "Quem viu este processo",
}


def put(folder: Path, code: str, words: dict[str, str], header: str = "") -> Path:
    """Write a translation as its translator would, and compile it by the command."""
    place = folder / code / "LC_MESSAGES" / "django.po"
    place.parent.mkdir(parents=True)
    pairs = "\n".join(f'msgid "{said}"\nmsgstr "{meant}"\n' for said, meant in words.items())
    place.write_text(HEADER.format(header) + "\n" + pairs, encoding="utf-8")
    return place


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    """Return an empty folder in which translations are looked for, beside those of the product."""
    made = tmp_path / "locale"
    made.mkdir()
    settings.LOCALE_PATHS = [*settings.LOCALE_PATHS, made]
    return made


@pytest.fixture
def portuguese(folder: Path) -> Path:
    place = put(folder, "pt", WORDS)
    call_command("languages", compile="pt", stdout=StringIO())
    return place


@pytest.fixture
def without(settings: Any) -> Any:
    """Return a function that takes every translation away that the product does not bring."""

    def take_away() -> None:
        settings.LOCALE_PATHS = settings.LOCALE_PATHS[:1]

    return take_away


def imported(path: Path, language: str) -> str:
    """Import one patient who speaks this language; return what is told about the file."""
    path.write_text(
        f"external_id,last_name,first_name,birth_date,email,language\nX1,Silva,Inês,1958-03-02,ines@example.org,{language}\n",
        encoding="utf-8",
    )
    told = StringIO()
    call_command("import_patients", str(path), stdout=StringIO(), stderr=told)
    return "".join(line for line in told.getvalue().splitlines(keepends=True) if line.startswith("line "))


def booked(clinic: SmallClinic, patient: Patient, by: Actor) -> Appointment:
    place = openings.fit(
        procedure=clinic.procedure, starts_at=local(IN_A_WEEK, "14:00"), site=clinic.site, at=NOW, patient=patient
    ).opening
    assert place is not None
    target = booking.Target(side="left")
    return booking.book(patient=patient, procedure=clinic.procedure, target=target, opening=place, by=by, at=NOW)


def mailed() -> Letter:
    gateway = Recorder()
    assert swept(gateway) == {"sent": 1}
    return gateway.letters[0]


def phone_of(letter: Letter) -> Phone:
    return Phone(re.findall(r"https?://\S+/l/\S+/", letter.text)[0])


def test_a_language_needs_its_file_and_nothing_else(
    portuguese: Path, clinic: SmallClinic, by: Actor, set_clock: Any, tmp_path: Path
) -> None:
    assert imported(tmp_path / "patients.csv", "Português") == ""
    patient = Patient.objects.get(external_id="X1")
    assert (patient.language, patient.speaks) == ("pt", "Portuguese")
    case = booked(clinic, patient, by)

    letter = mailed()

    assert letter.subject == "A sua consulta de Segunda-feira, 21 de Setembro"
    assert "Olá, Inês!\n" in letter.text
    assert "13h45" in letter.text
    assert "SUMMARY:Consulta: " in letter.calendar
    assert '<html lang="pt">' in letter.html
    assert "If you cannot come, please tell us as early as you can." in letter.text  # not translated
    phone = phone_of(letter)
    phone.get()
    assert '<html lang="pt">' in phone.page
    assert "A sua consulta: Segunda-feira, 21 de Setembro" in phone.page
    toggle = re.findall(r'<a href="\?lang=(\S+)" lang="(\S+)" hreflang="(\S+)">(.*?)</a>', phone.page)
    assert toggle == [("en", "en", "en", "English"), ("es", "es", "es", "Español")]
    phone.press("confirm")
    assert "Obrigado. Esperamos por si." in phone.page
    case.refresh_from_db()
    assert case.status == "confirmed"
    assert "SUMMARY:Consulta: " in phone.get("visit.ics").content.decode()
    phone.get(lang="es")
    assert ">Português<" in phone.page


def test_who_has_no_good_link_finds_every_language_and_the_own_one_first(portuguese: Path) -> None:
    def page(**headers: str) -> list[str]:
        answer = Client().get("/l/wrong/", headers=headers)
        assert answer.status_code == 404
        return re.findall(r'(?:lang="(\S+?)"|<h[12]>(.*?)</h[12]>)', answer.content.decode())

    gone = {"en": "This link is no longer good", "es": "Este enlace ya no sirve", "pt": "Esta ligação já não serve"}
    for accepted, order in (("", "en pt es"), ("pt-BR,pt;q=0.9,en;q=0.8", "pt en es"), ("fr,es", "es en pt"), ("*", "en pt es")):
        told = page(**{"accept-language": accepted})
        assert told == [pair for code in order.split() for pair in ((code, ""), ("", gone[code]))]


def test_a_page_for_anybody_leaves_out_what_would_be_english_twice(folder: Path) -> None:
    put(folder, "pt", {"Your visit is booked.": "A sua consulta está marcada."})
    call_command("languages", compile="pt", stdout=StringIO())

    page = Client().get("/l/wrong/", headers={"accept-language": "pt"}).content.decode()

    assert page.count("This link is no longer good</h") == 1
    assert '<html lang="en">' in page


def test_a_patient_whose_language_was_taken_away_gets_english_and_can_be_changed(
    portuguese: Path, clinic: SmallClinic, by: Actor, set_clock: Any, signed_in: Any, without: Any
) -> None:
    patient = records.amend(patient=clinic.patient, changes={"language": "pt", "email": "vera@example.org"}, by=by, at=NOW)
    booked(clinic, patient, by)
    without()

    letter = mailed()
    phone = phone_of(letter)
    phone.get()

    assert letter.subject == "Your visit on Monday 21 September"
    assert "1:45 p.m." in letter.text
    assert '<html lang="en">' in phone.page
    assert "Monday 21 September" in phone.page
    assert re.findall(r'<a href="\?lang=(\S+)"', phone.page) == ["es"]
    phone.press("confirm")
    assert "Thank you. We expect you." in phone.page
    assert phone.address.endswith("/")
    desk = signed_in("desk", clinic.site)
    edit = f"/patients/{patient.public_id}/edit/"
    form = desk.get(edit).context["form"]
    assert form["language"].value() == "pt"
    typed = {name: value for name in form.fields if (value := form[name].value()) not in (None, False)}
    assert desk.post(edit, {**typed, "payer": "Medicare"}).status_code == 303
    patient.refresh_from_db()
    assert (patient.language, patient.payer) == ("pt", "Medicare")
    assert "Speaks Portuguese" in desk.get(f"/patients/{patient.public_id}/").content.decode()


def test_the_list_of_who_has_seen_the_record_speaks_the_language_while_it_is_there(
    portuguese: Path, clinic: SmallClinic, without: Any
) -> None:
    clinic.patient.language = "pt"
    manager = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))

    def title() -> tuple[str, str]:
        day = date(2026, 9, 14)
        found = access_lists.read(patient=clinic.patient, first_on=day, last_on=day, by=manager, zone=factories.NEW_YORK)
        return found.language, found.title

    assert title() == ("pt", "Quem viu este processo")
    without()
    assert title() == ("en", "Who has seen this record")


def test_every_door_names_field_and_known_languages_for_one_that_is_none(
    portuguese: Path, clinic: SmallClinic, by: Actor, signed_in: Any, tmp_path: Path
) -> None:
    known = "English (en), Portuguese (pt), Spanish (es)"
    with pytest.raises(records.FieldRefused) as refusal:
        records.amend(patient=clinic.patient, changes={"language": "fr"}, by=by, at=NOW)
    assert (refusal.value.field, refusal.value.message) == ("language", f"Choose one of: {known}.")
    assert imported(tmp_path / "patients.csv", "French") == (
        f"line 2: language: is no language known here: {known}; give it a meaning with --map FILE (field left out)\n"
    )
    desk = signed_in("desk", clinic.site)
    page = desk.post(f"/patients/{clinic.patient.public_id}/edit/", {"language": "fr"})
    assert page.context["form"].errors["language"] == [f"Choose one of: {known}."]
    asked = desk.patch(
        f"/api/v1/patients/{clinic.patient.public_id}/", {"language": "fr"}, content_type="application/json",
        headers={"if-match": f'"{clinic.patient.version}"'},
    )  # fmt: skip
    assert asked.status_code in (400, 422)
    assert ("language" in asked.content.decode(), f"Choose one of: {known}." in asked.content.decode()) == (True, True)


def test_a_patient_is_given_the_language_by_page_and_api(portuguese: Path, clinic: SmallClinic, signed_in: Any) -> None:
    desk = signed_in("desk", clinic.site)
    one = f"/api/v1/patients/{clinic.patient.public_id}/"
    etag = {"if-match": f'"{clinic.patient.version}"'}

    told = desk.patch(one, {"language": "pt"}, content_type="application/json", headers=etag)

    assert (told.status_code, told.json()["language"]) == (200, "pt")
    page = desk.get(f"/patients/{clinic.patient.public_id}/edit/").context["form"]
    assert page.fields["language"].choices == [("en", "English"), ("pt", "Portuguese"), ("es", "Spanish")]


@pytest.mark.parametrize(("cell", "code"), [
    ("pt", "pt"), ("PT", "pt"), ("portuguese", "pt"), ("Portugues", "pt"), ("pt-BR", "pt"), ("pt_PT", "pt"), ("por", "pt"),
    ("es-MX", "es"), ("es_US", "es"), ("Español", "es"), ("eng", "en"), ("en-GB", "en"),
])  # fmt: skip
def test_files_may_name_a_language_in_many_ways(folder: Path, clinic: SmallClinic, tmp_path: Path, cell: str, code: str) -> None:
    put(folder, "pt", WORDS, header='"X-Also: por, brasileiro\\n"\n')
    call_command("languages", compile="pt", stdout=StringIO())

    assert imported(tmp_path / "patients.csv", cell) == ""
    assert Patient.objects.get(external_id="X1").language == code


@pytest.mark.parametrize("code", ["PT", "p", "pt_BR", "pt-", "português", "", "pt'--", "pt\n", "pt-br-"])
def test_the_database_refuses_what_is_no_code_of_a_language(clinic: SmallClinic, code: str) -> None:
    with pytest.raises(IntegrityError, match="patient_language_is_a_code"), transaction.atomic():
        Patient.objects.filter(pk=clinic.patient.pk).update(language=code)


@pytest.mark.parametrize("code", ["pt", "pt-br", "zh-hans", "haw", "es-419"])
def test_the_database_takes_every_code_without_a_migration(clinic: SmallClinic, code: str) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(language=code)

    assert Patient.objects.get(pk=clinic.patient.pk).reads == ("es" if code == "es-419" else "en")


def test_the_page_of_the_words_has_the_language_and_says_what_is_not_translated(
    portuguese: Path, clinic: SmallClinic, signed_in: Any
) -> None:
    manager = signed_in("manager", clinic.site)

    page = manager.get("/settings/wording/pt/").content.decode()

    assert "Portuguese" in manager.get(reverse("scheduling:passages", args=["en"])).content.decode()
    assert "Olá, {first_name}!" in page
    assert page.count("not translated: sent in English") == len(PASSAGES) - sum(one.text in WORDS for one in PASSAGES.values())
    assert "Olá, Alex!" in manager.get("/settings/wording/pt/greeting/").content.decode()
    assert manager.post("/settings/wording/pt/greeting/", {"text": "Oi, {first_name}!", "version": "0"}).status_code == 303
    assert Wording.objects.get().language == "pt"
    assert manager.get("/settings/wording/fr/").status_code == 404


def test_what_is_not_translated_is_said_in_the_clinics_own_english(portuguese: Path) -> None:
    own = {("bring", "en"): "Bring your card.", ("greeting", "en"): "Hello {first_name}."}

    with translation.override("pt"):
        told = [said(key, "pt", own, {"first_name": "Inês"}) for key in ("bring", "greeting", "late")]

    assert told == ["Bring your card.", "Olá, Inês!", "If you are late or cannot come, please call us at once."]


def test_a_language_that_is_held_back_is_offered_to_nobody(portuguese: Path, settings: Any, clinic: SmallClinic) -> None:
    settings.LANGUAGES_HELD_BACK = ["pt"]

    assert languages.codes() == ("en", "es")
    assert "held back by LANGUAGES_HELD_BACK" in listed()


def listed() -> str:
    told = StringIO()
    call_command("languages", stdout=told, stderr=told)
    return told.getvalue()


def test_the_command_says_how_much_is_translated_and_what_is_missing(portuguese: Path) -> None:
    total = len(keys_of(Path(django_settings.LOCALE_PATHS[0], "django.pot").read_text(encoding="utf-8")))
    told = StringIO()

    call_command("languages", missing="pt", stdout=told, stderr=StringIO())

    assert f"pt  Portuguese  {len(WORDS)} of {total}, {100 * len(WORDS) // total} %  offered\n" in listed()
    assert f"es  Spanish  {total} of {total}, 100 %  offered\n" in listed()
    assert len(told.getvalue().splitlines()) == total - len(WORDS)
    portuguese.write_text(portuguese.read_text(encoding="utf-8").replace("Sim, vou", "Sim!"), encoding="utf-8")
    assert "pt: its source has changed since it was compiled" in listed()


@pytest.mark.parametrize(("said", "meant", "reason"), [
    ("Your visit on {short_day}", "A sua consulta", "has lost {short_day}"),
    ("Your visit on {short_day}", "A sua consulta {short_day} {nome}", "names {nome}"),
    ("Visit: %(place)s", "Consulta: %(lugar)s", "has lost %(place)s"),
    ("Visit: %(place)s", "100 % %(place)s", "has a % that stands alone"),
    ("g:i a", "g:i", "does not tell every day and time from every other"),
    ("l j F", "l, j de F", "does not tell every day and time from every other"),
    ("l j F Y", "l j F", "does not tell every day and time from every other"),
])  # fmt: skip
def test_words_that_would_mislead_a_patient_keep_a_language_back(folder: Path, said: str, meant: str, reason: str) -> None:
    place = put(folder, "pt", {**WORDS, said: meant})

    with pytest.raises(CommandError, match=re.escape(reason)):
        call_command("languages", compile="pt", stdout=StringIO())
    assert not place.with_suffix(".mo").exists()
    place.with_suffix(".mo").write_bytes(compiled(read_source(place.read_text(encoding="utf-8"))))
    assert languages.codes() == ("en", "es")
    assert reason in listed()


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("pt", None, "not compiled yet"),
    ("pt", b"\x00\x01", "django.mo cannot be read"),
    ("pt", b"", "django.mo cannot be read"),
    ("pt_br", compiled({"Day": "Dia"}), "has to be called pt_BR"),
    ("Notes", compiled({"Day": "Dia"}), "is no code of a language"),
    ("pt", compiled({"Something else": "Outra coisa"}), "nothing that patients read is translated"),
])  # fmt: skip
def test_a_folder_without_a_good_translation_is_named_and_not_offered(
    folder: Path, name: str, content: bytes | None, reason: str
) -> None:
    place = put(folder, name, WORDS)
    if content is not None:
        place.with_suffix(".mo").write_bytes(content)

    assert languages.codes() == ("en", "es")
    assert reason in listed()
    assert Client().get("/l/wrong/").status_code == 404


def test_a_language_that_django_does_not_know_has_its_name_from_the_file(folder: Path) -> None:
    words = {**WORDS, "Monday": "lendi"}
    put(folder, "ht", words, header='"X-Name: Haitian Creole\\n"\n"X-Own-Name: Kreyòl ayisyen\\n"\n')
    call_command("languages", compile="ht", stdout=StringIO())

    assert [(one.code, one.name, one.own_name) for one in languages.offered()][1] == ("ht", "Haitian Creole", "Kreyòl ayisyen")
    with translation.override("ht"):
        assert short_day(IN_A_WEEK) == "lendi, 21 de September"
