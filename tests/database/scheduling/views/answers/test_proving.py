"""What is personal is shown only after the birth date, which may be tried a few times. TRUST L10."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from patients import records
from patients.models import Medication
from procedures import tables
from procedures.models import RuleRow
from scheduling import answers, clearing, links
from scheduling.models import Appointment, Link
from tests import factories
from tests.database.scheduling.views.answers.phones import Phone, phone_for, proven
from tests.factories import NOW


def test_medicines_are_shown_only_after_the_birth_date(visit: Appointment, phone: Phone) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    type(visit.procedure).objects.filter(pk=visit.procedure_id).update(bleeding_class="intermediate")
    Appointment.objects.filter(pk=visit.pk).update(
        **{name: getattr(visit, name) + timedelta(days=14) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    )
    nurse = Actor.of_user(factories.user(role="nurse", sites=(visit.site,)))
    thinner = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    records.record(kind=Medication, patient=visit.patient, values=thinner, by=nurse, at=NOW)
    phone.get()
    assert "Your medicine plan is ready" not in phone.page
    said = {"is_agreed": True, "answered_by": "Dr. Heart", "how": "telephone"}
    clearing.answer(appointment=visit, drug="apixaban", by=nurse, at=NOW, **said)
    phone.get()
    assert "Your medicine plan is ready" in phone.page
    phone.get("plan/")
    assert "Apixaban" not in phone.page
    assert proven(phone, date(1958, 2, 3)).status_code == 422
    assert "Apixaban" not in phone.page
    assert proven(phone, date(1958, 3, 2)).status_code == 200
    assert "Apixaban" in phone.page
    cookie = phone.client.cookies["clinic-proof"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (True, "Lax", "/l/", 900)


def test_a_medicine_whose_restart_is_left_open_is_shown_with_its_last_dose_only(visit: Appointment) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    type(visit.procedure).objects.filter(pk=visit.procedure_id).update(bleeding_class="intermediate")
    for row in RuleRow.objects.filter(table="antithrombotics", section="drugs", row_id="clopidogrel"):
        row.data["restart_after"] = {}
        row.save()
    Appointment.objects.filter(pk=visit.pk).update(
        **{name: getattr(visit, name) + timedelta(days=14) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    )
    nurse = Actor.of_user(factories.user(role="nurse", sites=(visit.site,)))
    thinner = {"kind": "antithrombotic", "drug": "clopidogrel", "name": "Clopidogrel"}
    records.record(kind=Medication, patient=visit.patient, values=thinner, by=nurse, at=NOW)
    said = {"is_agreed": True, "answered_by": "Dr. Heart", "how": "telephone"}
    clearing.answer(appointment=visit, drug="clopidogrel", by=nurse, at=NOW, **said)
    link = links.read(secret=phone_for(visit).secret, at=NOW)
    (line,) = answers.medicine_plan(link, NOW)
    assert (line.medicine, bool(line.last_dose), line.restart) == ("Clopidogrel", True, "")


def test_proof_ends_after_a_quarter_of_an_hour_and_serves_its_own_link_only(
    visit: Appointment, phone: Phone, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(phone, date(1958, 3, 2))
    phone.get("plan/")
    assert "There is no plan for your medicines here yet" in phone.page
    other = phone_for(visit)
    other.client.cookies = phone.client.cookies
    other.get("plan/")
    assert "Please tell us your date of birth first" in other.page
    later = datetime.now(tz=UTC).timestamp() + 16 * 60
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    phone.get("plan/")
    assert "Please tell us your date of birth first" in phone.page


def test_birth_date_can_be_tried_five_times(visit: Appointment, phone: Phone) -> None:
    for day in range(3, 8):
        assert proven(phone, date(1958, 3, day)).status_code == 422
    assert proven(phone, date(1958, 3, 2)).status_code == 422
    assert "This was tried too often" in phone.page
    assert "+1 518 555 0100" in phone.page
    phone.get()
    assert "Yes, I will come" in phone.page


@pytest.mark.parametrize("typed", [{}, {"year": "x", "month": "3", "day": "2"}, {"year": "1958", "month": "13", "day": "2"}])
def test_what_is_no_date_counts_as_wrong(visit: Appointment, phone: Phone, typed: dict[str, str]) -> None:
    assert phone.client.post(f"/l/{phone.secret}/plan/", typed).status_code == 422
    assert Link.objects.get(digest=Link.digest_of(phone.secret)).wrong_proofs == 1
