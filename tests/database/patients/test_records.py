"""Registering and amending: what is kept, what is refused, what is recorded."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import DomainError
from patients import records
from patients.forms import PatientForm
from patients.models import Patient, PatientSite
from tests import factories
from tests.factories import EVENING, TODAY, TOMORROW, SmallClinic, local


def given(clinic: SmallClinic, **values: Any) -> dict[str, Any]:
    return {"last_name": "Okafor", "first_name": "Ada", "birth_date": date(1970, 2, 28), "home_site": clinic.site, **values}


def test_register_keeps_the_person_the_home_and_one_record(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    made = records.register(**given(clinic, phone="(212) 555-0123", email="ada@example.org"), by=by, at=at)

    assert (made.phone.as_e164, made.search_name, made.version) == ("+12125550123", "okafor ada", 1)
    assert [(row.site, row.because) for row in made.known_at.all()] == [(clinic.site, "home")]
    event = AuditEvent.objects.get()
    assert (event.act, event.subject_id, event.patient_id) == ("patients.register", made.public_id, made.public_id)


def test_record_numbers_rise_and_check_themselves(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    one = records.register(**given(clinic), by=by, at=at)
    two = records.register(**given(clinic, first_name="Bo"), by=by, at=at)

    assert two.pk == one.pk + 1
    assert records.record_number(1) == "1000017"
    assert int(two.record_number) > int(one.record_number)


def test_register_refuses_the_same_person_until_told_otherwise(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    first = records.register(**given(clinic, last_name="O'Brien-d'Arc", first_name="Zoë"), by=by, at=at)

    with pytest.raises(records.PossibleDuplicate) as refusal:
        records.register(**given(clinic, last_name="OBRIEN DARC", first_name="zoe"), by=by, at=at)
    twin = records.register(**given(clinic, last_name="O'Brien-d'Arc", first_name="Zoe", is_another_person=True), by=by, at=at)

    assert refusal.value.found == [first]
    assert twin.pk != first.pk


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"last_name": " \u200b "}, "missing", "last_name"),
        ({"first_name": "A\x00da"}, "text_unusable", "first_name"),
        ({"first_name": "A\ud800"}, "text_unusable", "first_name"),
        ({"first_name": "A" + "\u0301" * 5}, "text_unusable", "first_name"),
        ({"last_name": "x" * 121}, "too_long", "last_name"),
        ({"birth_date": date(2026, 9, 15)}, "birth_date_in_future", "birth_date"),
        ({"birth_date": date(1895, 1, 1)}, "birth_date_too_old", "birth_date"),
        ({"sex": "both"}, "not_a_choice", "sex"),
        ({"phone": "123"}, "phone_unusable", "phone"),
        ({"email": "a@b"}, "email_unusable", "email"),
        ({"email": "a@example.org\r\nBcc: b@example.org"}, "email_unusable", "email"),
        ({"deceased_on": date(2026, 9, 15)}, "death_in_future", "deceased_on"),
        ({"deceased_on": date(1960, 1, 1)}, "death_before_birth", "deceased_on"),
    ],
)
def test_register_refuses_what_cannot_be_kept(
    clinic: SmallClinic, by: Actor, at: datetime, values: dict[str, Any], code: str, field: str
) -> None:
    before = Patient.objects.count()

    with pytest.raises(records.FieldRefused) as refusal:
        records.register(**given(clinic, **values), by=by, at=at)

    assert (refusal.value.code, refusal.value.field, Patient.objects.count()) == (code, field, before)


@pytest.mark.parametrize(
    ("name", "code"), [("birth_date", "birth_date_in_future"), ("deceased_on", "death_in_future")]
)  # fmt: skip
def test_in_the_evening_tomorrow_has_not_come_although_it_has_in_utc(
    clinic: SmallClinic, by: Actor, desk: User, name: str, code: str
) -> None:
    with pytest.raises(records.FieldRefused) as refusal:
        records.register(**given(clinic, **{name: TOMORROW}), by=by, at=EVENING)
    assert refusal.value.code == code
    kept = records.register(**given(clinic, **{name: TODAY}), by=by, at=EVENING)
    with pytest.raises(records.FieldRefused):
        records.amend(patient=kept, changes={name: TOMORROW}, by=by, at=EVENING)
    typed = {"last_name": "Okafor", "first_name": "Bo", "birth_date": "1970-02-28", "sex": "other", "language": "en",
             "home_site": clinic.site.pk, "version": 1, name: TOMORROW.isoformat()}  # fmt: skip
    assert list(PatientForm(typed, user=desk, at=EVENING, patient=kept).errors) == [name]

    midnight = local(TOMORROW, "0:00")
    assert list(PatientForm(typed, user=desk, at=midnight, patient=kept).errors) == []
    assert getattr(records.amend(patient=kept, changes={name: TOMORROW}, by=by, at=midnight), name) == TOMORROW


@pytest.mark.parametrize("name", ["O", "Øre", "محمد", "דוד", "李", "Nuñez 🙂", "d'Arc-O’Neill"])
def test_every_name_is_kept_and_found(clinic: SmallClinic, by: Actor, desk: User, at: datetime, name: str) -> None:
    made = records.register(**given(clinic, last_name=name), by=by, at=at)

    assert made.last_name == name
    assert made in Patient.objects.visible_to(desk).matching(name)


def test_direction_overrides_never_reach_a_name(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    assert records.register(**given(clinic, last_name="\u202eMar\u200blow\u202c"), by=by, at=at).last_name == "Marlow"


def test_register_refuses_another_site(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    with pytest.raises(DomainError) as refusal:
        records.register(**given(clinic, home_site=factories.site()), by=by, at=at)

    assert refusal.value.code == "not_your_site"


def test_amend_changes_raises_the_version_and_names_fields_only(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    changed = records.amend(patient=clinic.patient, changes={"last_name": "Nuñez", "sex": "female"}, by=by, at=at, version=1)

    assert (changed.search_name, changed.version) == ("nunez vera", 2)
    assert AuditEvent.objects.get().details == {"fields": ["last_name", "sex"], "version": 2}


def test_amend_without_a_change_writes_nothing(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    same = records.amend(patient=clinic.patient, changes={"first_name": " Vera "}, by=by, at=at)

    assert (same.version, AuditEvent.objects.count()) == (1, 0)


def test_amend_refuses_an_old_version(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    records.amend(patient=clinic.patient, changes={"first_name": "Vera Ann"}, by=by, at=at, version=1)

    with pytest.raises(records.Stale) as refusal:
        records.amend(patient=clinic.patient, changes={"first_name": "V"}, by=by, at=at, version=1)

    assert (refusal.value.status, Patient.objects.get(pk=clinic.patient.pk).first_name) == (409, "Vera Ann")


def test_amend_refuses_an_external_id_that_somebody_has(clinic: SmallClinic, by: Actor, at: datetime) -> None:
    records.register(**given(clinic, external_id="A-1"), by=by, at=at)

    with pytest.raises(records.ExternalIdTaken):
        records.amend(patient=clinic.patient, changes={"external_id": "A-1"}, by=by, at=at)
    with pytest.raises(records.FieldRefused):
        records.amend(patient=clinic.patient, changes={"record_number": "7"}, by=by, at=at)


def test_amend_moves_the_home_and_who_sees_the_patient(clinic: SmallClinic, at: datetime) -> None:
    other = factories.site()
    both, stranger = factories.user(role="desk", sites=(clinic.site, other)), factories.user(role="desk", sites=(clinic.site,))

    with pytest.raises(DomainError) as refusal:
        records.amend(patient=clinic.patient, changes={"home_site": other}, by=Actor.of_user(stranger), at=at)
    records.amend(patient=clinic.patient, changes={"home_site": other}, by=Actor.of_user(both), at=at)

    assert refusal.value.code == "not_your_site"
    assert [row.site for row in PatientSite.objects.all()] == [other]
    assert list(Patient.objects.visible_to(stranger)) == []


def test_possible_duplicates_knows_the_usual_slips(clinic: SmallClinic) -> None:
    def person(last: str, first: str, born: date, **values: Any) -> Patient:
        return factories.patient(home=clinic.site, last_name=last, first_name=first, birth_date=born, **values)

    born = date(1980, 4, 5)
    exact, reversed_, swapped = person("Roe", "Jan", born), person("Jan", "Roe", born), person("Roe", "Jan", date(1980, 5, 4))
    married, phone = person("Doe", "Jan", born), person("Roe", "Will", date(1950, 1, 1), phone="+12125550123")
    person("Roe", "Kim", date(1950, 1, 1)), person("Other", "Person", born)

    found = records.possible_duplicates(last_name="ROE", first_name="Jan", birth_date=born, phone="212 555 0123")

    assert found == [reversed_, exact, married, swapped, phone]
    assert exact not in records.possible_duplicates(last_name="Roe", first_name="Jan", birth_date=born, besides=exact)


def test_same_names_tells_only_of_people_the_user_may_see(clinic: SmallClinic, desk: User) -> None:
    twin = factories.patient(home=clinic.site, birth_date=date(1961, 1, 1))
    factories.patient(birth_date=date(1999, 1, 1))  # same name at a site the desk does not work at

    warnings = records.same_names([clinic.patient], user=desk)

    assert warnings == {clinic.patient.pk: "another Vera Marlow, born 1961"}
    assert records.same_names([], user=desk) == {}
    assert twin.pk not in warnings
