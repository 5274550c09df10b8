"""Who opens a history, in how many statements, that reading it is recorded, and what odd addresses get."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import history, records
from patients.models import Medication
from tests import factories
from tests.database.patients.history.making import Enter, fill, page_of, statements
from tests.factories import SmallClinic


@pytest.mark.parametrize(
    ("role", "sees"), [("physician", True), ("nurse", True), ("desk", False), ("manager", False), ("biller", False)]
)
def test_clinical_content_is_shown_to_those_who_care_for_patients(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], tell: Callable[..., Any], role: str, sees: bool
) -> None:
    session(date(2026, 6, 1), after={14: 2})
    tell(Medication, kind="opioid", drug="oxycodone", name="Secretoxy", daily_amount=10)

    answer = signed_in(role, clinic.site).get(f"/patients/{clinic.patient.public_id}/")

    text = answer.content.decode()
    assert (answer.status_code, "L4-L5" in text, "Secretoxy" in text) == (200, sees, sees)


@pytest.mark.parametrize("query", ["?what=scores", "?what=medicines&page=2", "?at=L4-L5&side=left", "?as=table&span=all"])
def test_no_filter_of_a_history_gives_the_desk_more(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], query: str
) -> None:
    """TRUST Z7: what a role does not see, it neither filters nor counts."""
    session(date(2026, 6, 1), after={14: 2})
    desk, address = signed_in("desk", clinic.site), f"/patients/{clinic.patient.public_id}/"

    plain, asked = desk.get(address), desk.get(f"{address}{query}")

    assert (plain.context["page"], asked.status_code) == (asked.context["page"], 200)
    assert "L4-L5" not in asked.content.decode()


def test_another_sites_patient_is_not_there(clinic: SmallClinic, signed_in: Enter) -> None:
    elsewhere = signed_in("physician", factories.site())

    assert elsewhere.get(f"/patients/{clinic.patient.public_id}/").status_code == 404
    assert not AuditEvent.objects.filter(act=history.READ).exists()


def test_opening_a_history_is_recorded_once_in_the_same_call(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    before = AuditEvent.objects.count()

    doctor.get(f"/patients/{clinic.patient.public_id}/?what=scores")

    event = AuditEvent.objects.latest("pk")
    assert AuditEvent.objects.count() == before + 1
    assert (event.act, event.patient_id, event.outcome) == (history.READ, clinic.patient.public_id, "done")


@pytest.mark.parametrize(
    "query", ["", "?what=scores", "?what=messages", "?what=visits", "?at=L4-L5&side=left", "?span=all&as=table", "?page=3"]
)
def test_a_long_history_asks_as_often_as_a_new_patient(clinic: SmallClinic, signed_in: Enter, at: datetime, query: str) -> None:
    doctor = signed_in("physician", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/{query}"
    new = statements(doctor, address)

    fill(clinic, at)

    assert statements(doctor, address) == new


@pytest.mark.parametrize("panel", ["upcoming/", "messages/"])
def test_the_panels_ask_as_often_for_many_as_for_one(clinic: SmallClinic, signed_in: Enter, at: datetime, panel: str) -> None:
    doctor = signed_in("physician", clinic.site)
    fill(clinic, at)
    address = f"/patients/{clinic.patient.public_id}/{panel}"
    many = statements(doctor, address)

    assert many <= 25
    assert statements(doctor, address) == many


def test_what_was_recorded_by_mistake_is_on_no_part_of_the_page(
    clinic: SmallClinic, signed_in: Enter, session: Callable[..., Any], doctor: Actor, at: datetime
) -> None:
    done = session(date(2026, 6, 1), after={14: 2})
    records.mark_in_error(row=done, reason="Other patient", by=doctor, at=at)

    page = page_of(clinic, signed_in, "?what=procedures")

    assert (page.timeline.entries, page.map.is_empty, page.chart.marks) == ((), True, ())


@pytest.mark.parametrize("query", ["?page=-1", "?page=x", "?page=999999999", "?at=L4-L5'--", "?span=9y", "?side=up", "?as=x"])
def test_an_address_that_means_nothing_opens_the_usual_page(clinic: SmallClinic, signed_in: Enter, query: str) -> None:
    assert page_of(clinic, signed_in, query).timeline.entries == ()


def test_htmx_gets_the_part_that_changes(clinic: SmallClinic, signed_in: Enter) -> None:
    doctor = signed_in("physician", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/"

    part = doctor.get(address, headers={"HX-Request": "true"}).content.decode()

    assert part.startswith('<div id="history"')
    assert "<html" not in part
