"""Breaking the glass: for an hour, with a reason, alerted, recorded, looked at; and the list of who has seen a record."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Conflict, Forbidden
from patients import access_lists, emergencies, notes, records
from patients.models import Allergy, EmergencyAccess, PerformedProcedure
from patients.records import FieldRefused
from tests import factories
from tests.factories import NOW, SmallClinic

Enter = Callable[..., Client]
TEXT = "Unconscious in our recovery room"


@pytest.fixture
def set_clock(settings: Any, tmp_path: Path) -> Callable[[datetime], None]:
    def move(to: datetime) -> None:
        moved = tmp_path / "clock"
        moved.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
        settings.CLINIC_CLOCK = str(moved)

    move(NOW)
    return move


@pytest.fixture
def stranger(clinic: SmallClinic, set_clock: object) -> User:
    """Return a physician of another site."""
    return factories.user(role="physician", sites=(factories.site(),), display_name="Dr. Far")


def typed(clinic: SmallClinic, **values: str) -> dict[str, str]:
    given = {"record_number": clinic.patient.record_number, "reason": "treating", "text": TEXT, "request_key": "k" * 16}
    return {**given, **values}


def opened(clinic: SmallClinic, user: User, **values: Any) -> EmergencyAccess:
    given = {"patient": clinic.patient, "user": user, "reason": "treating", "text": TEXT, "by": Actor.of_user(user), "at": NOW}
    return emergencies.break_glass(**{**given, **values})


def test_a_record_of_another_site_opens_for_an_hour_and_ends_by_itself(
    clinic: SmallClinic, signed_in: Enter, stranger: User, set_clock: Callable[[datetime], None]
) -> None:
    client, address = signed_in("physician", user=stranger), f"/patients/{clinic.patient.public_id}/"
    assert client.get(address).status_code == 404

    answer = client.post("/patients/emergency/", typed(clinic))

    assert (answer.status_code, answer["Location"]) == (303, address)
    shown = client.get(address)
    assert (shown.status_code, "Opened in an emergency" in shown.content.decode()) == (200, True)
    assert client.get(f"{address}record/").status_code == 200
    assert client.get(f"{address}upcoming/").status_code == 200
    assert client.get(f"{address}messages/").status_code == 200
    assert client.get(f"{address}summary.pdf").status_code == 200

    set_clock(NOW + timedelta(minutes=59, seconds=50))
    client = signed_in("physician", user=stranger)  # the session ended before the emergency does
    assert client.get(address).status_code == 200
    set_clock(NOW + timedelta(minutes=60, seconds=10))
    client = signed_in("physician", user=stranger)
    assert client.get(address).status_code == 404


def test_it_opens_for_this_person_and_this_patient_only(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    another = factories.patient(home=clinic.site, last_name="Other")
    opened(clinic, stranger)

    colleague = signed_in("physician", *stranger.sites.all())
    assert colleague.get(f"/patients/{clinic.patient.public_id}/").status_code == 404
    assert signed_in("physician", user=stranger).get(f"/patients/{another.public_id}/").status_code == 404


def test_lists_and_searches_do_not_show_what_was_opened(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    opened(clinic, stranger)

    found = signed_in("physician", user=stranger).post("/patients/", {"q": clinic.patient.last_name})

    assert clinic.patient.record_number not in found.content.decode()


def test_a_note_is_reached_in_the_emergency_and_not_after(
    clinic: SmallClinic, signed_in: Enter, stranger: User, at: datetime, set_clock: Callable[[datetime], None]
) -> None:
    own = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": date(2026, 9, 1)}
    done = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=own, at=at)
    address = f"/notes/{notes.write(performed=done, sections={'plan': 'x'}, by=own, at=at).public_id}/"
    client = signed_in("physician", user=stranger)
    assert client.get(address).status_code == 404

    opened(clinic, stranger)

    assert client.get(address).status_code == 200
    set_clock(NOW + timedelta(minutes=61))
    client = signed_in("physician", user=stranger)
    assert client.get(address).status_code == 404


def test_it_is_recorded_once_with_its_reason_and_told_to_the_operator(clinic: SmallClinic, stranger: User) -> None:
    with capture_logs() as told:
        row = opened(clinic, stranger)
        assert opened(clinic, stranger).pk == row.pk  # asked again while it lasts

    events = AuditEvent.objects.filter(act="patients.break_glass")
    assert [(one.patient_id, one.user_id, one.reason_code, one.outcome, one.details) for one in events] == [
        (clinic.patient.public_id, stranger.pk, "treating", "done", {"minutes": 60})
    ]
    assert [(one["event"], one["log_level"], one["subject_id"]) for one in told] == [
        ("record opened in an emergency", "warning", str(row.public_id))
    ]
    assert TEXT not in str(told)


@pytest.mark.parametrize("values", [
    {"record_number": "NOBODY1"}, {"record_number": "", "first_name": "Vera", "last_name": "Marlow", "birth_date": "1958-03-03"},
    {"record_number": "", "first_name": "Ver", "last_name": "Marlow", "birth_date": "1958-03-02"},
])  # fmt: skip
def test_whom_nobody_answers_to_stays_closed_and_the_try_is_recorded(
    clinic: SmallClinic, signed_in: Enter, stranger: User, values: dict[str, str]
) -> None:
    answer = signed_in("physician", user=stranger).post("/patients/emergency/", typed(clinic, **values))

    assert answer.status_code == 422
    assert not EmergencyAccess.objects.exists()
    event = AuditEvent.objects.latest("pk")
    assert (event.act, event.outcome, event.reason_code) == ("patients.break_glass", "refused", "nobody_found")


def test_exact_name_and_birth_date_open_too_but_not_two_people_of_one_name(
    clinic: SmallClinic, signed_in: Enter, stranger: User
) -> None:
    by_name = {"record_number": "", "first_name": "véra", "last_name": "MARLOW", "birth_date": "1958-03-02"}
    client = signed_in("physician", user=stranger)
    assert client.post("/patients/emergency/", typed(clinic, **by_name)).status_code == 303

    factories.patient(home=clinic.site)  # another of the same name and birth date
    again = client.post("/patients/emergency/", typed(clinic, **by_name, request_key="l" * 16))
    assert again.status_code == 422


@pytest.mark.parametrize(("values", "field"), [
    ({"reason": ""}, "reason"), ({"reason": "curious"}, "reason"), ({"text": "too short"}, "text"), ({"text": " " * 40}, "text"),
    ({"text": "x" * 301}, "text"),
])  # fmt: skip
def test_a_reason_is_chosen_and_said_in_words(clinic: SmallClinic, stranger: User, values: dict[str, str], field: str) -> None:
    with pytest.raises(FieldRefused) as refusal:
        opened(clinic, stranger, **values)

    assert refusal.value.details["field"] == field
    assert not EmergencyAccess.objects.exists()


def test_only_who_may_breaks_the_glass(clinic: SmallClinic, signed_in: Enter, set_clock: object) -> None:
    desk = factories.user(role="desk", sites=(factories.site(),))

    assert signed_in("desk", user=desk).post("/patients/emergency/", typed(clinic)).status_code == 403
    with pytest.raises(Forbidden):
        opened(clinic, desk)


def test_whoever_knows_the_patient_is_led_to_the_record_without_an_emergency(
    clinic: SmallClinic, signed_in: Enter, set_clock: object
) -> None:
    answer = signed_in("physician", clinic.site).post("/patients/emergency/", typed(clinic))

    assert answer["Location"] == f"/patients/{clinic.patient.public_id}/"
    assert not EmergencyAccess.objects.exists()


def test_after_ten_tries_in_an_hour_no_more_is_looked_for(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    client = signed_in("physician", user=stranger)
    for n in range(10):
        client.post("/patients/emergency/", typed(clinic, record_number=f"X{n}", request_key=f"key-number-{n}"))

    assert client.post("/patients/emergency/", typed(clinic)).status_code == 429
    assert not EmergencyAccess.objects.exists()


# --- the alert -------------------------------------------------------------------------------------------------------


def test_the_managers_are_alerted_until_one_has_looked_at_it(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    row = opened(clinic, stranger)
    manager = signed_in("manager", clinic.site)

    def alerts() -> list[int]:
        return [one.number for one in manager.get("/").context["home"].counts if "Emergencies" in one.label]

    assert alerts() == [1]
    shown = manager.get("/patients/emergencies/").content.decode()
    assert ("Dr. Far" in shown, TEXT in shown, clinic.patient.record_number in shown) == (True, True, True)

    manager.post(f"/patients/emergencies/{row.public_id}/seen/")

    row.refresh_from_db()
    assert (row.reviewed_at is not None, alerts()) == (True, [0])
    assert AuditEvent.objects.filter(act="patients.review_emergency", outcome="done").count() == 1


def test_the_record_and_the_list_tell_its_end_by_the_clock_of_the_patients_site(
    clinic: SmallClinic, signed_in: Enter, stranger: User
) -> None:
    west = factories.site(time_zone="America/Los_Angeles", name="A first of two")
    opened(clinic, stranger)
    record = signed_in("physician", user=stranger).get(f"/patients/{clinic.patient.public_id}/").content.decode()
    listed = signed_in("manager", west, clinic.site).get("/patients/emergencies/").content.decode()

    assert clinic.site.time_zone == "America/New_York"
    assert "Opened in an emergency</span> until 8:00 EDT." in record
    assert "7:00 to 8:00 EDT" in listed


def test_an_auditor_sees_that_a_record_was_opened_and_by_whom_but_not_whose(
    clinic: SmallClinic, signed_in: Enter, stranger: User
) -> None:
    opened(clinic, stranger)

    text = signed_in("auditor", clinic.site).get("/patients/emergencies/").content.decode()

    assert ("Dr. Far" in text, str(clinic.patient.public_id) in text) == (True, True)
    assert (clinic.patient.record_number in text, TEXT in text) == (False, False)


def test_managers_of_other_sites_see_none_of_it(clinic: SmallClinic, signed_in: Enter, stranger: User) -> None:
    row = opened(clinic, stranger)
    far = signed_in("manager", factories.site())

    assert TEXT not in far.get("/patients/emergencies/").content.decode()
    assert far.post(f"/patients/emergencies/{row.public_id}/seen/").status_code == 404


def test_nobody_looks_at_their_own_and_nobody_twice(clinic: SmallClinic, stranger: User, at: datetime) -> None:
    row = opened(clinic, stranger)
    manager = factories.user(role="manager", sites=(clinic.site,))
    stranger.groups.add(manager.groups.get())
    both = User.objects.get(pk=stranger.pk)

    with pytest.raises(Forbidden):
        emergencies.review(access=row, user=both, by=Actor.of_user(both), at=at)
    emergencies.review(access=row, user=manager, by=Actor.of_user(manager), at=at)
    with pytest.raises(Conflict):
        emergencies.review(access=row, user=manager, by=Actor.of_user(manager), at=at)


# --- who has seen it -------------------------------------------------------------------------------------------------


def test_the_list_says_who_did_what_on_which_day_and_how_often(
    clinic: SmallClinic, signed_in: Enter, stranger: User, at: datetime
) -> None:
    doctor = factories.user(role="physician", sites=(clinic.site,), display_name="Dr. Near")
    near = signed_in("physician", user=doctor)
    near.get(f"/patients/{clinic.patient.public_id}/")
    near.get(f"/patients/{clinic.patient.public_id}/?what=scores")
    opened(clinic, stranger)
    records.record(kind=Allergy, patient=clinic.patient, values={"agent": "latex"}, by=Actor.of_user(doctor), at=at)
    factories.patient(home=clinic.site, last_name="Other")

    answer = signed_in("manager", clinic.site).get(f"/patients/{clinic.patient.public_id}/access/?sort=who")

    found = answer.context["found"]
    assert [(line.who, line.what, line.count) for line in found.lines if line.who.startswith("Dr.")] == [
        ("Dr. Far", "Opened the record in an emergency", 1),
        ("Dr. Near", "Opened the medical history", 2),
        ("Dr. Near", "Wrote something down", 1),
    ]
    assert AuditEvent.objects.filter(act=access_lists.PRINT, patient_id=clinic.patient.public_id).count() == 1


def test_the_list_speaks_the_patients_language(clinic: SmallClinic, signed_in: Enter, set_clock: object) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(language="es")
    doctor = signed_in("physician", clinic.site)
    doctor.get(f"/patients/{clinic.patient.public_id}/")

    text = doctor.get(f"/patients/{clinic.patient.public_id}/access/").content.decode()

    assert "Quién ha visto este expediente" in text
    assert "Abrió el historial médico" in text
    assert "14 de septiembre de 2026" in text


def test_every_text_of_the_list_has_its_spanish_words() -> None:
    source = Path(django_settings.LOCALE_PATHS[0], "es/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    known = {ast.literal_eval(text) for text in re.findall(r'^msgid (".*")$', source, re.MULTILINE)}

    assert {*access_lists.WORDS.values(), *access_lists.KINDS.values(), access_lists.INTRO} - known == set()


@pytest.mark.parametrize(("query", "status"), [
    ("first_on=2026-09-15&last_on=2026-09-14", 422), ("first_on=2000-01-01", 422), ("first_on=x", 422), ("sort=x", 422),
    ("first_on=2021-01-01&last_on=2026-09-14", 200),
])  # fmt: skip
def test_the_span_of_the_list_is_checked(
    clinic: SmallClinic, signed_in: Enter, set_clock: object, query: str, status: int
) -> None:
    client = signed_in("physician", clinic.site)

    assert client.get(f"/patients/{clinic.patient.public_id}/access/?{query}").status_code == status


def test_what_was_refused_is_not_told_as_if_it_had_happened(clinic: SmallClinic, set_clock: object) -> None:
    AuditEvent.objects.create(
        at=NOW, actor_kind="user", actor_name="x", act="patients.read", outcome="refused", patient_id=clinic.patient.public_id
    )
    manager = Actor.of_user(factories.user(role="manager", sites=(clinic.site,)))

    found = access_lists.read(
        patient=clinic.patient, first_on=date(2026, 9, 1), last_on=date(2026, 9, 30), by=manager, zone=factories.NEW_YORK
    )

    assert "x" not in {line.who for line in found.lines}


@pytest.mark.parametrize("missing", ["first_name", "last_name", "birth_date"])
def test_half_a_name_finds_nobody(clinic: SmallClinic, missing: str) -> None:
    whole: dict[str, Any] = {"first_name": "Vera", "last_name": "Marlow", "birth_date": date(1958, 3, 2)}
    assert emergencies.find(**whole) == clinic.patient
    with pytest.raises(emergencies.NobodyFound):
        emergencies.find(**whole | {missing: None if missing == "birth_date" else " "})
    with pytest.raises(emergencies.NobodyFound):
        emergencies.find()


def test_only_who_may_notes_that_an_emergency_was_looked_at(clinic: SmallClinic, stranger: User) -> None:
    access = opened(clinic, stranger)
    desk, auditor = (factories.user(role=role, sites=(clinic.site,)) for role in ("desk", "auditor"))
    for user, by in ((desk, desk), (auditor, desk), (desk, auditor)):
        with pytest.raises(Forbidden):
            emergencies.review(access=access, user=user, by=Actor.of_user(by), at=NOW)
    assert emergencies.review(access=access, user=auditor, by=Actor.of_user(auditor), at=NOW).reviewed_at == NOW
