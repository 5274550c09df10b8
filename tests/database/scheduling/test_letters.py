"""The letter made of the case: what it says, what it never says, in both languages."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from scheduling import letters
from scheduling.letters import PASSAGES, Known
from scheduling.models import Appointment, Message, MessageKind
from tests import factories
from tests.factories import NOW, TOMORROW, local

LINK = "https://clinic.example/l/abcdefghijklmnopqrstuv/"
NEVER = ("lumbar", "epidural", "steroid", "injection", "warfarin", "pain", "dolor", "marlow", "1958", "esi", "medicare")


def case(*, starts_at: datetime | None = None, sedation: str = "none", driver: str = "not_needed", status: str = "booked",
         **patient: Any) -> Appointment:  # fmt: skip
    site = factories.site(name="Northside", slug="northside")
    site.address, site.phone, site.directions = "1 Elm Street, Albany", "+1 518 555 0100", "Bus 4.\nSecond floor."
    site.save()
    who = factories.patient(home=site, **{"email": "vera@example.org", "payer": "Medicare", **patient})
    what = factories.procedure(needs=(), name="Lumbar epidural steroid injection", code="esi_lumbar", driver=driver)
    return factories.appointment(
        of=who, at_site=site, for_procedure=what, starts_at=starts_at, status=status, sedation=sedation, note="takes warfarin"
    )


def letter(appointment: Appointment, kind: str = MessageKind.CONFIRMATION, **known: Any) -> letters.Letter:
    message = Message(appointment=appointment, patient=appointment.patient, kind=kind, version=1)
    return letters.write(message, at=NOW, known=Known(**known))


def bullets(text: str) -> list[str]:
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def test_confirmation_reads_alone_as_plain_text() -> None:
    made = letter(case(driver="required"), link=LINK, unsubscribe=LINK)

    assert made.text == (
        "Dear Vera,\n\nYour visit is booked.\n\n"
        "Day: Tuesday 15 September 2026\nPlease arrive at: 8:45 a.m. (EDT)\nYou can leave at about: 10:00 a.m.\n"
        "Place: Northside, 1 Elm Street, Albany\nHow to find us: Bus 4. Second floor.\nTelephone: +1 518 555 0100\n\n"
        "Before you come:\n"
        "- You may eat and drink as usual, unless we told you otherwise.\n"
        "- Your way home: an adult has to take you home. You must not drive yourself. Please arrange it now.\n"
        "- Call us about your medicines. Please do not stop or change any of them by yourself.\n"
        "- If you have diabetes, call us some days before: we tell you what to do about food and medicines on the day.\n"
        "- Please bring a photo ID, your insurance card, a list of everything you take, and your glasses or hearing aids if you"
        " use them.\n\n"
        f"To say that you will come, to cancel or to ask for another time:\n{LINK}\n\n"
        "If you cannot come, please tell us as early as you can.\n\nNorthside\n\n"
        f"You do not want e-mail from us any more? Tell us here:\n{LINK}\n"
    )


def test_the_way_to_the_site_is_told_in_the_patients_language_and_else_as_it_is_written() -> None:
    appointment = case(language="es")
    assert "Cómo llegar: Bus 4. Second floor.\n" in letter(appointment).text

    appointment.site.directions_es = "Autobús 4.\nSegundo piso."
    assert "Cómo llegar: Autobús 4. Segundo piso.\n" in letter(appointment).text
    appointment.patient.language = "en"
    assert "How to find us: Bus 4. Second floor.\n" in letter(appointment).text

    appointment.site.directions, appointment.site.directions_es = "", " "
    assert "How to find us" not in letter(appointment).text


def test_every_passage_of_the_plain_text_is_in_the_html_too() -> None:
    made = letter(case(sedation="moderate"), link=LINK, unsubscribe=LINK)

    for line in bullets(made.text):
        assert line in made.html
    assert made.html.count(f'href="{LINK}"') == 2


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("kind", MessageKind.values)
def test_no_mail_names_procedure_drug_specialty_or_last_name(kind: str, language: str) -> None:
    appointment = case(sedation="mac", language=language, status="cancelled" if kind == "cancellation" else "booked")
    made = letter(
        appointment, kind, link=LINK, unsubscribe=LINK, asks=True, has_plan=True, old_arrives_at=NOW, old_place="Northside"
    )

    whole = " ".join(
        (made.subject, made.text, re.sub(r"<style>.*?</style>|style=\"[^\"]*\"", "", made.html), made.calendar)
    ).lower()
    assert [word for word in NEVER if re.search(rf"\b{word}", whole)] == []
    assert "{" not in made.subject + made.text


@pytest.mark.parametrize("kind", MessageKind.values)
def test_subject_is_neutral_and_first_name_is_all_of_the_name(kind: str) -> None:
    made = letter(case(), kind, link=LINK)

    assert "Vera" in made.text
    assert "medicine" not in made.subject.lower()


def test_spanish_mail_holds_no_english_passage() -> None:
    appointment = case(sedation="moderate", language="es")
    for kind in MessageKind.values:
        made = letter(appointment, kind, link=LINK, unsubscribe=LINK, old_arrives_at=NOW)
        english = [
            each.text for each in PASSAGES.values() if len(each.text) > 12 and each.text in made.text + made.html + made.subject
        ]
        assert english == []


# --- fasting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hour", "said"), [("13:15", "a la 1:00 p.m."), ("11:15", "a las 11:00 a.m."), ("12:15", "a las 12:00 p.m.")]
)
def test_one_oclock_is_no_plural_in_spanish(hour: str, said: str) -> None:
    made = letter(case(language="es", starts_at=local(TOMORROW, hour)), MessageKind.REMINDER)

    assert f"Le esperamos el martes 15 de septiembre de 2026 {said}" in made.text.replace("..", ".")


@pytest.mark.parametrize("sedation", ["none", "minimal"])
def test_nobody_fasts_without_sedation(sedation: str) -> None:
    assert bullets(letter(case(sedation=sedation)).text)[0] == "You may eat and drink as usual, unless we told you otherwise."


@pytest.mark.parametrize("sedation", ["moderate", "deep", "mac", "general"])
def test_fasting_counts_back_from_the_start_of_the_procedure_not_from_the_arrival(sedation: str) -> None:
    lines = bullets(letter(case(sedation=sedation, starts_at=local(TOMORROW, "10:00"))).text)

    assert lines[:3] == [
        "Nothing fried, fatty or with meat after 2:00 a.m. (Tuesday 15 September).",
        "Nothing at all to eat, and no milk, after 4:00 a.m. (Tuesday 15 September). Coffee or tea with milk counts as a meal.",
        "You may drink clear liquids (water, black coffee, tea without milk, juice without pulp) until 8:00 a.m. (Tuesday 15"
        " September); after that, nothing.",
    ]
    assert lines[3].startswith("Your way home: an adult has to take you home.")


def test_midnight_is_said_as_the_minute_before_it() -> None:
    lines = bullets(letter(case(sedation="deep", starts_at=local(TOMORROW, "8:00"))).text)

    assert lines[0] == "Nothing fried, fatty or with meat after 11:59 p.m. (Monday 14 September)."


def test_fasting_is_elapsed_hours_over_a_clock_change() -> None:
    """Eight hours before 8:00 on the day with 25 hours is 1:00 by the clock as it was, not midnight."""
    lines = bullets(letter(case(sedation="deep", starts_at=local(date(2026, 11, 1), "8:00"))).text)
    spring = bullets(letter_of_spring().text)

    assert "after 1:00 a.m. (Sunday 1 November)" in lines[0]
    assert "after 11:00 p.m. (Saturday 13 March)" in spring[0]


def letter_of_spring() -> letters.Letter:
    site = factories.site(name="Southside", slug="southside")
    who = factories.patient(home=site, email="vera@example.org")
    appointment = factories.appointment(of=who, at_site=site, for_procedure=factories.procedure(needs=()), sedation="deep",
                                        starts_at=local(date(2027, 3, 14), "8:00"))  # fmt: skip
    return letter(appointment)


# --- the way home, medicines, asking ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "sedation", "expected"),
    [
        ("required", "none", "an adult has to take you home"),
        ("required_if_sedated", "moderate", "an adult has to take you home"),
        ("not_needed", "mac", "an adult has to take you home"),
        ("required_if_sedated", "none", "If you are not sure, call us."),
        ("not_needed", "none", ""),
    ],
)
def test_way_home_is_as_catalogue_and_sedation_say(driver: str, sedation: str, expected: str) -> None:
    lines = [line for line in bullets(letter(case(driver=driver, sedation=sedation)).text) if line.startswith("Your way home")]

    assert len(lines) == bool(expected)
    assert all(expected in line for line in lines)


def test_medicines_ask_to_call_until_there_is_a_cleared_plan() -> None:
    appointment = case()

    assert "Call us about your medicines." in letter(appointment).text
    ready = letter(appointment, has_plan=True).text
    assert ("Your medicine plan is ready" in ready, "Call us about your medicines." in ready) == (True, False)


def test_reminder_asks_only_who_has_not_answered() -> None:
    appointment = case()
    assert (
        letter(appointment, "reminder", link=LINK, asks=True, is_question=True).subject
        == "Please answer: your visit on Tuesday 15 September"
    )
    appointment.status = "confirmed"
    made = letter(appointment, "reminder", link=LINK, asks=True, is_question=True)

    assert made.subject == "We expect you on Tuesday 15 September"
    assert "You have told us that you will come." in made.text


def test_change_says_first_what_it_was() -> None:
    made = letter(case(), "change", old_arrives_at=local(date(2026, 9, 20), "14:15"), old_place="Southside")

    assert made.text.split("\n\n")[1:3] == [
        "Your visit has changed. What follows is what holds now; please disregard what we wrote before.",
        "It was: Sunday 20 September 2026 at 2:15 p.m., Southside.",
    ]


@pytest.mark.parametrize(
    ("kind", "has_calendar"),
    [("confirmation", True), ("change", True), ("cancellation", True), ("reminder", False), ("follow_up", False)],
)
def test_calendar_file_goes_with_what_changes_the_calendar(kind: str, has_calendar: bool) -> None:
    assert bool(letter(case(), kind).calendar) is has_calendar


@pytest.mark.parametrize(("agreed", "names_it"), [(False, False), (True, True)])
def test_subject_and_calendar_name_the_procedure_only_if_the_patient_agreed(agreed: bool, names_it: bool) -> None:
    made = letter(case(accepts_details=agreed))

    assert ("Lumbar epidural" in made.subject, "Lumbar epidural" in made.calendar.replace("\r\n ", "")) == (names_it, names_it)
    assert "Lumbar epidural" not in made.text


def test_calendar_entry_says_nothing_of_health() -> None:
    assert "medicine" not in letter(case()).calendar.replace("\r\n ", "")


def test_line_ends_in_the_clinics_own_words_make_no_header() -> None:
    made = letter(case(), own={("subject_confirmation", "en"): "Visit\r\nBcc: thief@evil.example {short_day}"})

    assert "\n" not in made.subject
    assert made.subject == "Visit Bcc: thief@evil.example Tuesday 15 September"


def test_names_that_look_like_html_or_placeholders_stay_text() -> None:
    made = letter(case(first_name="<b>{phone}</b>"))

    assert "<b>" not in made.html
    assert made.text.startswith("Dear <b>{phone}</b>,")


def test_arrival_time_is_the_sites_wall_time_with_its_zone(db: None) -> None:
    site = factories.site(name="Lord Howe", slug="howe", time_zone="Australia/Lord_Howe")
    who = factories.patient(home=site, email="vera@example.org", time_zone="America/Phoenix")
    appointment = factories.appointment(of=who, at_site=site, for_procedure=factories.procedure(needs=()),
                                        starts_at=local(date(2026, 9, 15), "10:00", ))  # fmt: skip
    appointment.arrives_at = datetime.combine(date(2026, 9, 15), time(22, 15), tzinfo=NOW.tzinfo) - timedelta(hours=22)
    made = letter(appointment)

    assert "10:45 a.m. (+1030)" in made.text
