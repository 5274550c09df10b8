"""The patient pages: for an owner, a colleague and a stranger."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from pain_clinic.audit.models import AuditEvent
from patients.models import Patient
from tests import factories
from tests.factories import SmallClinic

Enter = Callable[..., Client]
LIST = "/patients/"
NEW = "/patients/new/"


def typed(clinic: SmallClinic, **values: Any) -> dict[str, Any]:
    return {
        "last_name": "Okafor", "first_name": "Ada", "birth_date": "1970-02-28", "sex": "female", "language": "en",
        "accepts_email": "on", "home_site": clinic.site.pk, "phone": "212 555 0123", "email": "ada@example.org",
        "request_key": "a" * 32, **values,
    }  # fmt: skip


def page_of(patient: Patient) -> str:
    return reverse("patients:patient", args=[patient.public_id])


def test_anonymous_and_auditor_see_nothing(clinic: SmallClinic, signed_in: Enter) -> None:
    auditor = signed_in("auditor", clinic.site)
    for address in (LIST, NEW, page_of(clinic.patient), f"{page_of(clinic.patient)}edit/"):
        assert Client().get(address).status_code == 302
        assert auditor.get(address).status_code == 403


def test_a_stranger_gets_404_and_finds_nobody(clinic: SmallClinic, signed_in: Enter) -> None:
    stranger = signed_in("desk", factories.site())

    assert stranger.get(page_of(clinic.patient)).status_code == 404
    assert stranger.post(f"{page_of(clinic.patient)}edit/", typed(clinic)).status_code == 404
    answer = stranger.post(LIST, {"q": "marlow"})
    assert (answer.status_code, b"Marlow" in answer.content) == (200, False)


@pytest.mark.parametrize("words", ["marl", "VERA marlow", "1958-03-02", "02/03/1958 ver", "T%s", "2125550"])
def test_search_finds_by_any_part(clinic: SmallClinic, signed_in: Enter, words: str) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(phone="+12125550199")
    factories.patient(home=clinic.site, last_name="Other", first_name="Person", birth_date=date(1990, 9, 9), phone="+13125550111")
    client = signed_in("desk", clinic.site)

    answer = client.post(
        LIST, {"q": words.replace("T%s", clinic.patient.record_number)}, headers={"HX-Request": "true", "HX-Target": "results"}
    )

    text = answer.content.decode()
    assert text.lstrip().startswith("<section")
    assert re.findall(r"/patients/([0-9a-f-]{36})/", text) == [str(clinic.patient.public_id)]
    assert AuditEvent.objects.filter(act="patients.search").get().details == {"found": 1}


def test_one_letter_finds_the_names_that_begin_with_it_last_names_first(clinic: SmallClinic, signed_in: Enter) -> None:
    born = date(1990, 9, 9)
    by_first = factories.patient(home=clinic.site, last_name="Abel", first_name="Olga", birth_date=born)
    whole = factories.patient(home=clinic.site, last_name="O", first_name="Xi", birth_date=born)
    by_last = factories.patient(home=clinic.site, last_name="Okafor", first_name="Amara", birth_date=born)
    within = factories.patient(home=clinic.site, last_name="Moore", first_name="Tom", birth_date=born)

    text = signed_in("desk", clinic.site).post(LIST, {"q": "o"}).content.decode()

    found = list(dict.fromkeys(re.findall(r"/patients/([0-9a-f-]{36})/", text)))
    assert found == [str(one.public_id) for one in (whole, by_last, by_first)]
    assert str(within.public_id) not in found


def test_names_that_begin_as_typed_come_before_names_that_only_hold_it(clinic: SmallClinic, signed_in: Enter) -> None:
    born = date(1990, 9, 9)
    within = factories.patient(home=clinic.site, last_name="Adeyemi", first_name="Samuel", birth_date=born)
    by_first = factories.patient(home=clinic.site, last_name="Cole", first_name="Muna", birth_date=born)
    by_last = factories.patient(home=clinic.site, last_name="Müller", first_name="Zoë", birth_date=born)

    text = signed_in("desk", clinic.site).post(LIST, {"q": "mu"}).content.decode()

    found = list(dict.fromkeys(re.findall(r"/patients/([0-9a-f-]{36})/", text)))
    assert found == [str(one.public_id) for one in (by_last, by_first, within)]


def test_an_initial_beside_a_name_narrows_it(clinic: SmallClinic, signed_in: Enter) -> None:
    factories.patient(home=clinic.site, last_name="Marlow", first_name="Adam", birth_date=date(1990, 9, 9))

    text = signed_in("desk", clinic.site).post(LIST, {"q": "marlow v"}).content.decode()

    assert set(re.findall(r"/patients/([0-9a-f-]{36})/", text)) == {str(clinic.patient.public_id)}


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("q", "Try the first letters of a name, a birth date"),
        ("qu", "Try the first letters of a name, a birth date"),
        ("q x", "Try fewer words, or a birth date"),
        ("quux", "Try fewer letters, or a birth date"),
    ],
)
def test_the_hint_asks_for_what_would_help(clinic: SmallClinic, signed_in: Enter, typed: str, hint: str) -> None:
    assert hint in signed_in("desk", clinic.site).post(LIST, {"q": typed}).content.decode()


def test_lists_ask_the_same_queries_for_one_and_for_three(
    clinic: SmallClinic, signed_in: Enter, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = signed_in("desk", clinic.site)
    client.post(LIST, {"q": "mar"})
    with django_assert_max_num_queries(30) as one:
        client.post(LIST, {"q": "mar"})
    for number in range(2):
        factories.patient(home=clinic.site, last_name="Marsh", first_name=f"N{number}")

    with django_assert_num_queries(len(one.captured_queries)):
        assert client.post(LIST, {"q": "mar"}).content.count(b'class="item"') == 3


def test_the_list_shows_who_was_read_last(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("nurse", clinic.site)
    client.get(page_of(clinic.patient))

    text = client.get(LIST).content.decode()

    assert "Seen lately" in text
    assert "Marlow, Vera" in text


def test_reading_a_patient_is_recorded_and_names_its_namesake(clinic: SmallClinic, signed_in: Enter) -> None:
    factories.patient(home=clinic.site, birth_date=date(1961, 1, 1))

    answer = signed_in("biller", clinic.site).get(page_of(clinic.patient))

    assert "another Vera Marlow, born 1961" in answer.content.decode()
    event = AuditEvent.objects.get(act="patients.read")
    assert (event.patient_id, event.outcome) == (clinic.patient.public_id, "done")
    assert f"{page_of(clinic.patient)}edit/" not in answer.content.decode()


def test_register_goes_to_the_new_page_and_a_double_click_registers_once(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("desk", clinic.site)

    first, second = client.post(NEW, typed(clinic)), client.post(NEW, typed(clinic))

    made = Patient.objects.get(last_name="Okafor")
    assert (first.status_code, first["Location"]) == (303, page_of(made))
    assert (second.status_code, second["Location"]) == (303, page_of(made))
    assert (made.phone.as_e164, made.accepts_email, made.is_demo) == ("+12125550123", True, False)
    assert client.get(page_of(made)).status_code == 200


def test_register_for_booking_goes_on_to_the_booking_page(clinic: SmallClinic, signed_in: Enter) -> None:
    answer = signed_in("desk", clinic.site).post(f"{NEW}?for=book", typed(clinic))

    assert answer["Location"] == f"/book/?patient={Patient.objects.get(last_name='Okafor').public_id}"


def test_everything_wrong_is_said_at_once_and_kept(clinic: SmallClinic, signed_in: Enter) -> None:
    before = Patient.objects.count()
    other_site = factories.site()
    wrong = typed(clinic, first_name="", birth_date="02.03.1958", phone="12", email="nobody", home_site=other_site.pk)

    answer = signed_in("desk", clinic.site).post(NEW, wrong)

    text = answer.content.decode()
    assert answer.status_code == 422
    assert "5 things to put right" in text
    assert 'value="Okafor"' in text
    assert Patient.objects.count() == before


def test_a_likely_duplicate_is_shown_first(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("desk", clinic.site)
    twin = typed(clinic, last_name="marlow", first_name="VERA", birth_date="1958-03-02")

    asked = client.post(NEW, twin)
    told = client.post(NEW, {**twin, "not_duplicate": "1"})

    assert asked.status_code == 409
    assert page_of(clinic.patient) in asked.content.decode()
    assert 'name="not_duplicate"' in asked.content.decode()
    assert told.status_code == 303
    assert Patient.objects.filter(search_name="marlow vera").count() == 2
    assert AuditEvent.objects.get(act="patients.register", outcome="refused").reason_code == "possible_duplicate"


def test_a_duplicate_elsewhere_is_told_without_showing_the_person(clinic: SmallClinic, signed_in: Enter) -> None:
    hidden = factories.patient(last_name="Hidden", first_name="Harry", birth_date=date(1980, 1, 1), phone="+12125550155")

    answer = signed_in("desk", clinic.site).post(
        NEW, typed(clinic, last_name="Hidden", first_name="Harry", birth_date="1980-01-01")
    )

    text = answer.content.decode()
    assert answer.status_code == 409
    assert "1 of them at a site where you do not work" in text
    assert str(hidden.public_id) not in text
    assert hidden.record_number not in text
    assert 'name="not_duplicate"' in text


def test_changing_saves_once_and_refuses_an_old_version(clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("desk", clinic.site)
    address = f"{page_of(clinic.patient)}edit/"
    assert 'value="Marlow"' in client.get(address).content.decode()
    said = typed(clinic, last_name="Marlow", first_name="Vera", birth_date="1958-03-02", version=1)

    saved = client.post(address, said)
    stale = client.post(address, {**said, "first_name": "Vee", "request_key": "b" * 32})

    assert saved.status_code == 303
    assert stale.status_code == 409
    assert 'value="Vee"' in stale.content.decode()
    assert Patient.objects.get(pk=clinic.patient.pk).first_name == "Vera"


def test_roles_that_may_only_look_cannot_change(clinic: SmallClinic, signed_in: Enter) -> None:
    for role in ("nurse", "biller", "physician"):
        client = signed_in(role, clinic.site)
        assert client.get(page_of(clinic.patient)).status_code == 200
        assert client.post(f"{page_of(clinic.patient)}edit/", typed(clinic, version=1)).status_code == 403
        assert client.post(NEW, typed(clinic)).status_code == 403


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "\u202egnp.exe", "O'Brien-d'Arc", "محمد"])
def test_names_are_text_wherever_they_stand(clinic: SmallClinic, signed_in: Enter, evil: str) -> None:
    client = signed_in("desk", clinic.site)
    client.post(NEW, typed(clinic, last_name=evil))

    text = client.post(LIST, {"q": "ada"}).content.decode()

    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert Patient.objects.filter(first_name="Ada").count() == 1
