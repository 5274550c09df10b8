"""The rules break down on what is on file about one patient: every door says so, allows nothing by it and leads to the facts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from structlog.testing import capture_logs

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients.models import Clearance, FactChange, Medication
from procedures import tables
from procedures.models import RuleRow
from procedures.rules import Waiver
from scheduling import answers, booking, clearing, effects, openings, rechecking, visits
from scheduling.assessing import NOT_ASKED, RulesNotAsked, asking_of
from scheduling.models import Appointment, CaseDetails, DeskTask, Message, RuleOverride, TaskKind
from tests import factories
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

BY = Actor.system("tests")
ANSWER = {"act": "answer", "apixaban-is_agreed": "yes", "apixaban-answered_by": "Dr. Heart", "apixaban-how": "telephone"}
TITLE = "The rules could not be asked"
Spoil = Callable[[Appointment], Any]


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def case(clinic: SmallClinic) -> Appointment:
    """Return a case tomorrow of a patient who takes a blood thinner."""
    tables.load(by=BY, at=NOW)
    type(clinic.procedure).objects.filter(pk=clinic.procedure.pk).update(bleeding_class="intermediate")
    clinic.procedure.refresh_from_db()
    Medication.objects.create(
        patient=clinic.patient, recorded_at=NOW, kind="antithrombotic", drug="apixaban", name="Apixaban"
    )  # fmt: skip
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(TOMORROW, "9:00"),
        resources=clinic.resources, side="left",
    )  # fmt: skip


def details_spoilt(case: Appointment) -> CaseDetails:
    """Put on file of the case what cannot be read."""
    return CaseDetails.objects.create(appointment=case, intake={"clear_liquids": "after lunch"})


def patient_spoilt(case: Appointment) -> Clearance:
    """Put on file of the patient what no rule survives."""
    return Clearance.objects.create(
        patient=case.patient, recorded_at=NOW, medication=Medication.objects.get(), answer="given",
        answered_on=TODAY, answered_by="Dr. Heart", has_times=True, last_dose="soon", restart="later",
    )  # fmt: skip


both = pytest.mark.parametrize("spoil", [details_spoilt, patient_spoilt])


def url(case: Appointment, path: str = "") -> str:
    return f"/appointments/{case.public_id}/{path}"


def form(case: Appointment, **other: Any) -> dict[str, Any]:
    return {"version": Appointment.objects.get(pk=case.pk).version, "request_key": uuid.uuid4().hex, **other}


@both
def test_page_of_the_rules_opens_and_says_that_nobody_knows(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], spoil: Spoil
) -> None:
    client = signed_in("physician", clinic.site)
    assert "refusal" not in client.get(url(case, "rules/")).content.decode()
    spoil(case)
    with capture_logs() as lines:
        page = client.get(url(case, "rules/"))
    told = page.content.decode()
    assert (page.status_code, page.context["refusal"].title, page.context["lines"]) == (200, TITLE, ())
    assert ("Nothing is allowed by that" in told, "not ready" in told, "Nothing, as things are now" in told) == (
        True, True, False,
    )  # fmt: skip
    assert "tell a manager" in told
    assert f"/patients/{case.patient.public_id}/" in told
    (line,) = [line for line in lines if line["event"] == "rules_broke_down"]
    assert (line["kind"], line["subject"], type(line["exc_info"])) == ("appointment", str(case.public_id), ValueError)


@both
def test_page_of_the_blood_thinners_opens_and_plans_nothing(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], spoil: Spoil
) -> None:
    client = signed_in("nurse", clinic.site)
    assert "Apixaban" in client.get(url(case, "medicines/")).content.decode()
    spoil(case)
    page = client.get(url(case, "medicines/"))
    told = page.content.decode()
    assert (page.status_code, page.context["refusal"].title, page.context["plan"]) == (200, TITLE, None)
    assert ("None is taken" in told, "nobody has asked" in told, "Every prescriber has agreed" in told) == (False, False, False)
    assert "Hold nothing" in told
    letter = client.get(url(case, "medicines/apixaban/letter.pdf"))
    assert (letter.status_code, letter.context["refusal"].code) == (422, "rules_not_asked")


@both
def test_no_word_about_a_blood_thinner_is_taken_and_what_was_typed_stays(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], spoil: Spoil
) -> None:
    client = signed_in("nurse", clinic.site)
    spoil(case)
    kept = Clearance.objects.count()
    for act in ("ask", "keep", "answer"):
        refused = client.post(url(case, "medicines/apixaban/"), ANSWER | {"act": act})
        assert (refused.status_code, refused.context["refusal"].code) == (422, "rules_not_asked")
    assert 'value="Dr. Heart"' in refused.content.decode()
    told = client.post(url(case, "medicines/tell/"))
    assert (told.status_code, told.context["refusal"].code) == (422, "rules_not_asked")
    assert (Clearance.objects.count(), Message.objects.count()) == (kept, 0)


@both
def test_a_case_is_not_moved_and_its_page_says_why(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], spoil: Spoil
) -> None:
    client = signed_in("physician", clinic.site)
    spoil(case)
    there = client.get(url(case, "move/"))
    assert (there.status_code, {line.worst for line in there.context["case"].move.nearby}) == (200, {"deny"})
    wanted = {"day": f"{TOMORROW}", "time": "11:00"}
    shown = client.post(url(case, "move/"), form(case, act="preview", **wanted)).context["case"].move
    assert (shown.can_move, TITLE in repr(shown)) == (False, True)
    waiver = {"waive": "rules_not_asked", "reason_rules_not_asked": "clinical_judgement", "text_rules_not_asked": "I know."}
    refused = client.post(url(case, "move/"), form(case, act="move", **wanted, **waiver))
    assert (refused.status_code, TITLE in refused.content.decode()) == (422, True)
    case.refresh_from_db()
    assert case.starts_at == local(TOMORROW, "9:00")


@both
def test_a_further_case_of_the_patient_is_not_booked_and_nobody_waives_that(
    case: Appointment, clinic: SmallClinic, spoil: Spoil
) -> None:
    place = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, "11:00"), site=clinic.site, at=NOW).opening
    assert place is not None
    wish: dict[str, Any] = {
        "patient": clinic.patient, "procedure": clinic.procedure, "target": booking.Target(side="right"), "opening": place,
        "by": Actor.of_user(factories.user(role="physician", sites=(clinic.site,))), "at": NOW,
    }  # fmt: skip
    assert NOT_ASKED not in booking.preview(**wish)
    spoil(case)
    assert NOT_ASKED in booking.preview(**wish)
    waivers = [waiver_of(key) for key in (NOT_ASKED.key, *(one.key for one in booking.preview(**wish)))]
    with pytest.raises(booking.RulesRefused) as refusal:
        booking.book(**wish, waivers=waivers)
    assert refusal.value.standing == (NOT_ASKED,)
    assert Appointment.objects.count() == 1


def waiver_of(key: str) -> Waiver:
    return Waiver(key, "clinical_judgement", "I know him.")


@both
def test_nothing_is_waived_while_nobody_knows_what_stands(case: Appointment, clinic: SmallClinic, spoil: Spoil) -> None:
    spoil(case)
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    with pytest.raises(RulesNotAsked):
        rechecking.waive(appointment=case, waivers=[waiver_of("consent_missing")], by=physician, at=NOW)
    assert not RuleOverride.objects.exists()


def test_what_is_planned_is_kept_and_a_task_says_that_the_rules_were_not_asked(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    details_spoilt(case)
    client = signed_in("nurse", clinic.site)
    assert client.post(url(case, "rules/"), {"act": "plan", "driver_name": "Ann"}).status_code == 303
    assert CaseDetails.objects.get().driver_name == "Ann"
    task = DeskTask.objects.get(kind=TaskKind.RULES, appointment=case, done_at=None)
    assert task.note == rechecking.NOT_ASKED
    assert FactChange.objects.filter(patient=case.patient, done_at=None, failures=1).exists()


def test_the_pages_know_again_once_the_facts_are_mended_where_the_page_leads(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    row = details_spoilt(case)
    Appointment.objects.filter(pk=case.pk).update(sedation="moderate")
    client = signed_in("nurse", clinic.site)
    there = url(case, "checklist/before/")
    assert there in client.get(url(case, "rules/")).content.decode()
    typed = {"intake_clear_liquids": f"{NOW:%Y-%m-%d}T06:00", "act": "save", "request_key": uuid.uuid4().hex}
    assert client.post(there, typed).status_code in (302, 303)
    row.refresh_from_db()
    assert row.intake["clear_liquids"] != "after lunch"
    assert [client.get(url(case, path)).context["refusal"] for path in ("rules/", "medicines/")] == [None, None]


@both
def test_api_says_it_as_a_finding_of_the_rules_and_refuses_a_plan(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], spoil: Spoil
) -> None:
    client = signed_in("nurse", clinic.site)
    spoil(case)
    read = client.get(f"/api/v1{url(case, 'rules/')}")
    assert read.status_code == 200
    assert [(one["code"], one["severity"], one["is_waived"]) for one in read.json()["findings"]] == [
        ("rules_not_asked", "deny", False)
    ]
    sent = {"headers": {"If-Match": '"1"', "Idempotency-Key": uuid.uuid4().hex}, "content_type": "application/json"}
    for answer in (
        client.get(f"/api/v1{url(case, 'medicines/')}"),
        client.post(f"/api/v1{url(case, 'medicines/apixaban/ask/')}", {}, **sent),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "rules_not_asked")


def test_trying_a_case_of_the_patient_does_not_begin_with_facts_that_cannot_be_read(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    client, there = signed_in("physician", clinic.site), f"/assess/?patient={case.patient.public_id}"
    assert client.get(there).status_code == 200
    details_spoilt(case)
    page = client.get(there)
    assert (page.status_code, page.context["refusal"].title, page.context["start"]) == (422, TITLE, None)


@both
def test_patient_is_offered_no_other_time(case: Appointment, spoil: Spoil) -> None:
    at = local(TODAY, "0:01")
    Appointment.objects.filter(pk=case.pk).update(version=1)
    assert answers.offers(appointment=Appointment.objects.get(pk=case.pk), by=BY, at=at) is not None
    spoil(case)
    assert answers.offers(appointment=Appointment.objects.get(pk=case.pk), by=BY, at=at) == ()


@both
def test_a_change_of_a_rule_is_looked_at_without_the_case_and_says_that_it_is_not_the_whole(
    case: Appointment, desk: User, spoil: Spoil
) -> None:
    row = RuleRow.objects.filter(row_id="active_infection").first() or RuleRow.objects.order_by("pk")[0]
    assert effects.effect_of(rows=[row], user=desk, at=NOW).is_whole
    spoil(case)
    found = effects.effect_of(rows=[row], user=desk, at=NOW)
    assert (found.coming, found.asked, found.is_whole) == (1, 0, False)


def test_fast_is_not_judged_where_the_rules_cannot_be_asked(case: Appointment) -> None:
    Appointment.objects.filter(pk=case.pk).update(sedation="moderate")
    case.refresh_from_db()
    details_spoilt(case)
    assert [one.code for one in visits.fast_of(appointment=case, at=NOW).standing] == ["fasting_not_judged"]


def test_verbs_about_a_blood_thinner_refuse_in_words(case: Appointment, clinic: SmallClinic) -> None:
    patient_spoilt(case)
    with pytest.raises(RulesNotAsked, match="tell a manager"):
        clearing.ask(appointment=case, drug="apixaban", by=BY, at=NOW)


@pytest.mark.parametrize("error", [RuntimeError("over"), DatabaseError("slow"), booking.HoldEnded(), RulesNotAsked()])
def test_what_is_no_fault_of_the_facts_rises_as_it_is(case: Appointment, error: Exception) -> None:
    with pytest.raises(type(error)) as risen, capture_logs() as lines, asking_of(case):
        raise error
    assert (risen.value, lines) == (error, [])
