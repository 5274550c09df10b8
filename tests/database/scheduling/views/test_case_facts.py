"""What only a case can say, asked where a rule turns on it: while booking, on the case's own page and through the API."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from patients.models import Allergy, Coverage, Patient, Recorded
from procedures import tables
from procedures.models import Procedure
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import booking, rechecking
from scheduling.assessing import Details
from scheduling.models import Appointment, AppointmentFinding, CaseDetails, DeskTask
from scheduling.views import doors
from tests.database.scheduling.views.conftest import People, opening
from tests.factories import NOW, SmallClinic

DAY = timedelta(days=1)
BOOK = "/book/"
KINDS: dict[str, dict[str, Any]] = {
    "modic": {"family": "bvn_ablation", "category": "rfa"},
    "lesion": {"family": "facet_rfa_cooled", "category": "rfa"},
    "contrast": {"equipment": ["c_arm", "contrast"]},
}


@cache
def files() -> Any:
    return tables.read()


def put(model: type[Recorded], patient: Patient, /, **values: Any) -> Any:
    return model._default_manager.create(patient=patient, recorded_at=NOW, **values)


@pytest.fixture
def what(clinic: SmallClinic) -> Callable[[str], None]:
    """Return what makes the clinic's procedure one of a kind, paid by Medicare, under the product's rules."""
    load_rules(files(), RuleReport())
    put(Coverage, clinic.patient, payer="M", payer_rules="medicare_multi_mac_2026", plan_type="original_medicare")

    def make(kind: str) -> None:
        Procedure.objects.filter(pk=clinic.procedure.pk).update(**KINDS[kind])
        clinic.procedure.refresh_from_db()

    return make


def asked(clinic: SmallClinic, **other: Any) -> dict[str, Any]:
    return {
        "patient": str(clinic.patient.public_id), "procedure": clinic.procedure.code, "side": "left", "sedation": "none",
        "request_key": uuid.uuid4().hex, **other,
    }  # fmt: skip


def said_of(case: Appointment) -> dict[str, str]:
    return dict(AppointmentFinding.objects.filter(appointment=case, gone_at=None).values_list("code", "severity"))


@pytest.mark.parametrize(
    ("kind", "fields", "bad", "good", "code"),
    [
        ("modic", {"modic_type"}, {"modic_type": "3"}, {"modic_type": "2"}, "mcr_bvn_lifetime"),
        (
            "lesion", {"technique", "temperature_c"}, {"temperature_c": "80"}, {"temperature_c": "80.1"},
            "mcr_facet_rfa_thermal",
        ),
    ],
)  # fmt: skip
def test_booking_asks_what_the_payers_rule_turns_on_and_both_answers_decide(
    clinic: SmallClinic, people: People, what: Callable[[str], None], kind: str, fields: set[str], bad: dict[str, str],
    good: dict[str, str], code: str,
) -> None:  # fmt: skip
    what(kind)
    token = doors.token_of(opening(clinic))

    def page(**said: str) -> Any:
        return people.owner.post(BOOK, asked(clinic, act="look", opening=token, **said)).context["page"]

    def names(page: Any) -> set[str]:
        return {field.name for field in page.said}

    silent = page()
    assert fields <= names(silent)
    assert "Say what is planned" in {wait.title for wait in silent.waits}
    assert code not in {line.code for line in silent.lines if line.severity == "deny"}
    assert code in {line.code for line in page(**bad).lines if line.severity == "deny"}
    assert code not in {line.code for line in page(**good).lines if line.severity == "deny"}
    put_away = people.owner.post(BOOK, asked(clinic, act="look", **good)).context["page"]
    assert fields <= names(put_away)
    Coverage.objects.filter(patient=clinic.patient).update(payer_rules="none")
    assert not fields & names(page())
    assert names(page(**good)) >= set(good)  # what was said stays, so that it can be taken back


def test_reaction_to_contrast_asks_for_contrast_and_premedication_where_contrast_is_usual(
    clinic: SmallClinic, people: People, what: Callable[[str], None]
) -> None:
    what("contrast")
    Coverage.objects.filter(patient=clinic.patient).update(payer_rules="none", plan_type="self_pay")

    token = doors.token_of(opening(clinic))

    def page(**said: str) -> Any:
        return people.owner.post(BOOK, asked(clinic, act="look", opening=token, **said)).context["page"]

    def codes(page: Any) -> set[str]:
        return {line.code for line in page.lines if line.severity in ("deny", "warn")}

    names = {field.name for field in page().said}
    assert not names & {"contrast", "premedication"}
    put(Allergy, clinic.patient, agent="iodinated_contrast", name="Contrast", severity="moderate")
    waiting = page()
    assert {"contrast", "premedication"} <= {field.name for field in waiting.said}
    assert "Premedication before contrast" in {wait.title for wait in waiting.waits}
    assert "contrast_mild_reaction" in codes(page(premedication="none"))
    assert "contrast_mild_reaction" not in codes(page(premedication="oral_prednisone"))
    without = page(contrast="none")
    assert "contrast_mild_reaction" not in codes(without)
    assert "Premedication before contrast" not in {wait.title for wait in without.waits}


def test_what_was_said_is_kept_with_the_case_asked_again_on_its_page_and_by_night(
    clinic: SmallClinic, people: People, what: Callable[[str], None]
) -> None:
    what("modic")
    people.owner.post(BOOK, asked(clinic, act="book", opening=doors.token_of(opening(clinic))))
    case = Appointment.objects.get()
    assert said_of(case)["mcr_bvn_lifetime:not yet said"] == "pending"
    assert "Modic" in DeskTask.objects.get(appointment=case, kind="plan").note
    url = f"/appointments/{case.public_id}/rules/"
    assert "modic_type" in {field.name for field in people.owner.get(url).context["fields"]}
    assert people.owner.post(url, {"act": "plan", "modic_type": "4"}).status_code == 422
    assert people.owner.post(url, {"act": "plan", "modic_type": "3"}).status_code == 303
    assert said_of(case)["mcr_bvn_lifetime"] == "deny"
    assert people.owner.post(url, {"act": "plan", "modic_type": "1", "drug": "none"}).status_code == 303
    rechecking.recheck([clinic.patient.pk], at=NOW + DAY)
    assert said_of(case)["mcr_bvn_lifetime"] == "info"
    assert not DeskTask.objects.filter(appointment=case, kind="plan", done_at=None).exists()


def test_what_was_said_moves_and_comes_back_with_the_case(
    clinic: SmallClinic, what: Callable[[str], None], by: Actor, book: Callable[..., Appointment]
) -> None:
    what("modic")
    details = Details(technique="cooled", temperature_c=Fraction(82), contrast="none", premedication="none", modic_type=1)
    case = book(target=booking.Target(side="left", details=details))
    moved = booking.reschedule(appointment=case, opening=opening(clinic, "13:00"), by=by, at=NOW)
    assert said_of(moved)["mcr_bvn_lifetime"] == "info"
    booking.cancel(appointment=moved, reason="other", asked_by="patient", by=by, at=NOW)
    back = booking.reinstate(appointment=Appointment.objects.get(pk=case.pk), by=by, at=NOW)
    assert said_of(back)["mcr_bvn_lifetime"] == "info"
    kept = CaseDetails.objects.get(appointment=back)
    assert (kept.technique, kept.temperature_c, kept.contrast, kept.modic_type) == ("cooled", 82, "none", 1)


def test_api_takes_gives_and_names_what_a_rule_turns_on(
    clinic: SmallClinic, what: Callable[[str], None], signed_in: Callable[..., Client]
) -> None:
    what("modic")
    desk = signed_in("desk", clinic.site)
    start = opening(clinic).starts_at.isoformat()
    body = {
        "patient": str(clinic.patient.public_id), "procedure": clinic.procedure.code, "side": "left", "starts_at": start,
        "site": str(clinic.site.public_id), "details": {"modic_type": 3},
    }  # fmt: skip
    refused = desk.post("/api/v1/appointments/", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (422, "rules_refused")
    assert "mcr_bvn_lifetime" in str(refused.json())
    for wrong in ({"temperature_c": "110.1"}, {"technique": "fire"}, {"contrast": "ink"}, {"modic_type": 4}):
        assert desk.post("/api/v1/appointments/", {**body, "details": wrong}, content_type="application/json").status_code == 400
    made = desk.post(
        "/api/v1/appointments/", {**body, "details": {"modic_type": 2, "temperature_c": "85"}}, content_type="application/json"
    )  # fmt: skip
    assert made.status_code == 201
    address = f"/api/v1/appointments/{made.json()['id']}"
    read = desk.get(f"{address}/rules/").json()
    assert "modic_type" in read["asks"]
    assert (read["planned"]["temperature_c"], read["planned"]["modic_type"]) == ("85.0", 2)
    planned = desk.patch(
        f"{address}/plan/", {"temperature_c": "60", "technique": "cooled", "modic_type": 3}, content_type="application/json",
        headers={"If-Match": made["ETag"]},
    ).json()  # fmt: skip
    assert ("mcr_bvn_lifetime", "deny") in {(one["code"], one["severity"]) for one in planned["findings"]}
    assert (planned["planned"]["technique"], planned["planned"]["temperature_c"]) == ("cooled", "60.0")
