"""Several desks register the same person at once: one record, and the others are shown it; and what happens without the lock."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import records
from patients.models import Patient
from patients.records import PossibleDuplicate, people
from tests import factories
from tests.factories import NOW, SmallClinic, together, transactional

pytestmark = transactional
BORN = date(1951, 2, 3)


def told(outcome: object) -> str:
    return getattr(outcome, "code", type(outcome).__name__)


@pytest.mark.parametrize("number", range(3))
def test_one_of_six_desks_registers_the_person_and_the_others_are_shown_the_record(clinic: SmallClinic, number: int) -> None:
    desks = [Actor.of_user(factories.user(role="desk", sites=(clinic.site,))) for _ in range(6)]

    def register(by: Actor) -> Patient:
        return records.register(
            last_name=f"Onceonly-{number}", first_name="Ada", birth_date=BORN, home_site=clinic.site, by=by, at=NOW
        )

    outcomes = together(*[lambda by=by: register(by) for by in desks])

    assert sorted(map(told, outcomes)) == ["Patient", *["possible_duplicate"] * 5]
    assert Patient.objects.filter(birth_date=BORN).count() == 1
    kept = Patient.objects.get(birth_date=BORN)
    assert [[row.pk for row in one.found] for one in outcomes if isinstance(one, PossibleDuplicate)] == [[kept.pk]] * 5
    assert AuditEvent.objects.filter(act="patients.register", outcome="done").count() == 1


def test_control_without_the_lock_two_desks_make_two_records(clinic: SmallClinic, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, both = people.same_person, threading.Barrier(2)

    def look(*names: Any) -> list[Patient]:
        found = looked(*names)
        both.wait(60)
        return found

    monkeypatch.setattr(people, "_one_at_a_time", lambda _birth_date: None)
    monkeypatch.setattr(people, "same_person", look)
    desks = [Actor.of_user(factories.user(role="desk", sites=(clinic.site,))) for _ in range(2)]
    given = {"last_name": "Twiceonly", "first_name": "Ada", "birth_date": BORN, "home_site": clinic.site, "at": NOW}
    outcomes = together(*[lambda by=by: records.register(**given, by=by) for by in desks])  # type: ignore[arg-type]
    assert sorted(map(told, outcomes)) == ["Patient", "Patient"]


def test_by_the_page_the_second_desk_sees_whom_the_first_has_just_registered(clinic: SmallClinic) -> None:
    clients = []
    for _ in range(2):
        client = Client()
        client.force_login(factories.user(role="desk", sites=(clinic.site,)))
        clients.append(client)
    typed = {
        "last_name": "Onceonly", "first_name": "Ada", "birth_date": BORN.isoformat(), "sex": "female", "language": "en",
        "home_site": str(clinic.site.pk),
    }  # fmt: skip

    def press(number: int) -> Any:
        return clients[number].post("/patients/new/", {**typed, "request_key": f"{number}" * 30})

    outcomes = together(lambda: press(0), lambda: press(1))
    assert sorted(one.status_code for one in outcomes) == [303, 409]  # type: ignore[union-attr]
    refused: Any = next(one for one in outcomes if getattr(one, "status_code", 0) == 409)
    assert "Onceonly" in refused.content.decode()
    assert Patient.objects.get(birth_date=BORN).record_number in refused.content.decode()
