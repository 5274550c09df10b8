"""The problem treated has its page; which papers for the payer are on file is said by who collects them, and nothing else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.test import Client

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import problems, records
from patients.models import Coverage, FactChange, Presentation
from procedures import tables
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import rechecking
from scheduling.models import AppointmentFinding, DeskTask
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic, local

DAY = timedelta(days=1)
Enter = Callable[..., Client]
COVERED = "radicular_pain_or_neurogenic_claudication_from_disc_osteophyte_or_stenosis"
NAMED, IMPACT = "baseline_scale_named", "severe_functional_impact"
IMAGING = "history_exam_and_concordant_imaging"


@cache
def files() -> Any:
    return tables.read()


@pytest.fixture
def ruled(clinic: SmallClinic) -> SmallClinic:
    load_rules(files(), RuleReport())
    Coverage.objects.create(
        patient=clinic.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare", state="NY",
    )  # fmt: skip
    return clinic


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def biller(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))


@pytest.fixture
def problem(ruled: SmallClinic, nurse: Actor) -> Presentation:
    values = {"name": "Sciatica left", "icd10": "M54.16", "side": "left", "levels": ["L4-L5"], "on_file": [NAMED]}
    return records.record(kind=Presentation, patient=ruled.patient, values=values, by=nurse, at=NOW)


def facts(clinic: SmallClinic, rest: str = "new/") -> str:
    return f"/patients/{clinic.patient.public_id}/record/presentations/{rest}"


def papers(clinic: SmallClinic) -> str:
    return f"/patients/{clinic.patient.public_id}/payer-papers/"


def typed(**other: Any) -> dict[str, Any]:
    given = {
        "name": "Sciatica left", "indication": COVERED, "icd10": "m54.16", "side": "left", "levels": "L4-5",
        "pain_since": str(TODAY - 60 * DAY), "conservative_since": str(TODAY - 50 * DAY), "imaging_on": str(TODAY - 20 * DAY),
        f"paper_{IMAGING}": "yes", f"paper_{NAMED}": "yes", f"paper_{IMPACT}": "yes", "request_key": uuid.uuid4().hex,
    }  # fmt: skip
    return {**given, **other}


def test_a_nurse_writes_a_problem_down_and_its_papers(ruled: SmallClinic, signed_in: Enter) -> None:
    nurse = signed_in("nurse", ruled.site)
    assert nurse.post(facts(ruled), typed()).status_code == 303

    row = Presentation.objects.get()
    assert (row.name, row.indication, row.icd10, row.side, row.levels) == (
        "Sciatica left", COVERED, "M54.16", "left", ["L4-L5"],
    )  # fmt: skip
    assert (row.pain_since, row.on_file, row.missing) == (TODAY - 60 * DAY, [NAMED, IMAGING, IMPACT], [])
    assert FactChange.objects.filter(patient=ruled.patient, kind="presentation").count() == 1
    listed = nurse.get(f"/patients/{ruled.patient.public_id}/record/").content.decode()
    assert "Problems treated" in listed
    assert "M54.16, L4-L5, left" in listed


def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(ruled: SmallClinic, signed_in: Enter) -> None:
    nurse, ahead = signed_in("nurse", ruled.site), str(ruled.site.day_at(web.now()) + 2 * DAY)  # as pages do
    for wrong in (
        {"icd10": "back"}, {"levels": "L9"}, {"pain_since": ahead}, {"conservative_since": ahead},
        {"imaging_on": ahead}, {"ended_on": str(TODAY - 61 * DAY)}, {"name": " "}, {"indication": "made_up"},
        {"provocation_tests": "21"}, {f"paper_{NAMED}": "perhaps"},
    ):  # fmt: skip
        shown = nurse.post(facts(ruled), typed(**wrong))
        assert shown.status_code == 422
        assert list(shown.context["form"].errors) == list(wrong)
        told = shown.content.decode()
        assert f'value="{COVERED}" selected' in told or "indication" in wrong
        assert str(TODAY - 20 * DAY) in told or "imaging_on" in wrong
    assert not Presentation.objects.exists()
    assert nurse.post(facts(ruled), typed(pain_since=str(TODAY), ended_on=str(TODAY))).status_code == 303  # the edge itself


def test_a_problem_is_changed_under_its_version_and_marked_as_a_mistake(
    problem: Presentation, ruled: SmallClinic, signed_in: Enter
) -> None:
    physician, address = signed_in("physician", ruled.site), facts(ruled, f"{problem.public_id}/")
    shown = physician.get(address)
    assert shown.context["form"].initial[f"paper_{NAMED}"] == "yes"
    assert physician.post(address, typed(version="1", name="Sciatica")).status_code == 303
    stale = physician.post(address, typed(version="1", name="Other"))
    assert (stale.status_code, stale.context["refusal"].code) == (409, "stale")
    problem.refresh_from_db()
    assert (problem.name, problem.version, problem.on_file) == ("Sciatica", 2, [NAMED, IMAGING, IMPACT])
    gone = {"act": "mistake", "version": "2", "error_reason": "Another patient", "request_key": uuid.uuid4().hex}
    assert physician.post(address, gone).status_code == 303
    assert not Presentation.objects.of(ruled.patient).exists()


def test_a_word_that_no_rule_asks_for_any_more_is_not_lost(problem: Presentation, ruled: SmallClinic, signed_in: Enter) -> None:
    Presentation.objects.filter(pk=problem.pk).update(on_file=["old_paper"], indication="old_word")
    physician, address = signed_in("physician", ruled.site), facts(ruled, f"{problem.public_id}/")
    start = {name: value for name, value in physician.get(address).context["form"].initial.items() if value is not None}
    assert physician.post(address, {**start, "note": "Seen", "version": "1"}).status_code == 303
    problem.refresh_from_db()
    assert (problem.on_file, problem.indication, problem.note) == (["old_paper"], "old_word", "Seen")


def test_the_biller_says_which_papers_are_there_and_changes_nothing_else(
    problem: Presentation, ruled: SmallClinic, signed_in: Enter
) -> None:
    biller = signed_in("biller", ruled.site)
    shown = biller.get(papers(ruled))
    assert "Sciatica left" in shown.content.decode()
    assert AuditEvent.objects.filter(act="patients.read_payer_papers").count() == 1
    said = {
        "problem": str(problem.public_id), "version": "1", f"paper_{NAMED}": "yes", f"paper_{IMAGING}": "yes",
        f"paper_{IMPACT}": "no", "name": "Hijacked", "icd10": "Z99", "request_key": uuid.uuid4().hex,
    }  # fmt: skip
    assert biller.post(papers(ruled), said).status_code == 303
    problem.refresh_from_db()
    assert (problem.on_file, problem.missing, problem.version) == ([NAMED, IMAGING], [IMPACT], 2)
    assert (problem.name, problem.icd10) == ("Sciatica left", "M54.16")
    assert FactChange.objects.filter(kind="presentation").count() == 2
    stale = biller.post(papers(ruled), {**said, f"paper_{IMPACT}": "yes", "request_key": uuid.uuid4().hex})
    assert (stale.status_code, stale.context["parts"][0]["version"]) == (409, "2")
    assert stale.context["parts"][0]["form"][f"paper_{IMPACT}"].value() == "yes"
    assert biller.get(facts(ruled, f"{problem.public_id}/")).status_code == 403
    assert biller.post(facts(ruled), typed()).status_code == 403


def test_others_may_not_say_which_papers_are_there(problem: Presentation, ruled: SmallClinic, signed_in: Enter) -> None:
    for role in ("desk", "manager", "admin", "auditor"):
        assert signed_in(role, ruled.site).get(papers(ruled)).status_code == 403
    assert signed_in("biller", factories.site()).get(papers(ruled)).status_code == 404
    said = {"problem": str(uuid.uuid4()), "version": "1"}
    unknown = signed_in("biller", ruled.site).post(papers(ruled), said)
    assert (unknown.status_code, unknown.context["refusal"].code) == (422, "problem_unknown")


def test_the_verb_asks_for_its_own_permission(problem: Presentation, biller: Actor, by: Actor) -> None:
    with pytest.raises(records.MayNotRecord):
        problems.keep_papers(problem=problem, on_file=[], missing=[], by=by, at=NOW)
    with pytest.raises(records.MayNotRecord):
        records.amend_fact(row=problem, changes={"name": "Other"}, by=biller, at=NOW)
    with pytest.raises(records.FieldRefused) as both:
        problems.keep_papers(problem=problem, on_file=[NAMED], missing=[NAMED], by=biller, at=NOW)
    assert both.value.field == "missing"
    assert problems.keep_papers(problem=problem, on_file=[NAMED], missing=[], by=biller, at=NOW).version == 1


def test_only_what_this_payer_asks_for_is_listed(ruled: SmallClinic) -> None:
    found = {word for group in problems.wanted(patient=ruled.patient, on=TODAY) for word in group.words}
    assert {NAMED, "pain_over_si_joint_below_l5"} <= found
    assert "radicular_pain" not in found  # another payer's
    Coverage.objects.all().delete()
    assert "radicular_pain" in {word for group in problems.wanted(patient=ruled.patient, on=TODAY) for word in group.words}


def test_the_api_says_the_same_and_no_more(problem: Presentation, ruled: SmallClinic, signed_in: Enter) -> None:
    biller = signed_in("biller", ruled.site)
    listed = biller.get(f"/api/v1/patients/{ruled.patient.public_id}/payer-papers/").json()["results"]
    assert [(one["name"], one["on_file"]) for one in listed] == [("Sciatica left", [NAMED])]
    address = f"/api/v1/payer-papers/{problem.public_id}/"
    body = json.dumps({"missing": [IMPACT], "name": "Hijacked"})

    def patch(tag: str) -> Any:
        headers = {"If-Match": tag, "Idempotency-Key": uuid.uuid4().hex}
        return biller.patch(address, body, content_type="application/json", headers=headers)

    kept = patch('"1"')
    assert (kept.status_code, kept.json()["on_file"], kept.json()["missing"]) == (200, [NAMED], [IMPACT])
    assert patch('"1"').status_code in (409, 412)
    problem.refresh_from_db()
    assert (problem.name, problem.version) == ("Sciatica left", 2)
    assert signed_in("desk", ruled.site).patch(address, body, content_type="application/json").status_code == 403


def test_the_line_of_a_case_leads_to_the_papers_and_the_facts_close_the_task(
    ruled: SmallClinic, signed_in: Enter, biller: Actor, nurse: Actor
) -> None:
    epidural = factories.procedure(code="esi_tf_lumbar", family="esi", approach="transforaminal")
    case = factories.appointment(
        of=ruled.patient, at_site=ruled.site, for_procedure=epidural, starts_at=local(TODAY + 14 * DAY, "9:00"), side="left",
        levels=["L4-L5"], resources=[ruled.room],
    )  # fmt: skip

    def asked() -> set[str]:
        rechecking.recheck([ruled.patient.pk], at=NOW)
        waiting = AppointmentFinding.objects.filter(appointment=case, severity="pending", gone_at=None)
        return {code for code in waiting.values_list("code", flat=True) if code.startswith("mcr_esi_initial")}

    assert asked()
    for role, opens in (("biller", True), ("nurse", True), ("desk", False)):
        client = signed_in(role, ruled.site)
        shown = client.get(f"/appointments/{case.public_id}/").content.decode()
        assert (papers(ruled) in shown) is opens
        if opens:
            assert client.get(papers(ruled)).status_code == 200
    assert papers(ruled) in signed_in("biller", ruled.site).get("/tasks/").content.decode()
    values = {
        "name": "Sciatica", "indication": COVERED, "pain_since": TODAY - 28 * DAY, "conservative_since": TODAY - 28 * DAY,
    }  # fmt: skip
    row = records.record(kind=Presentation, patient=ruled.patient, values=values, by=nurse, at=NOW)
    assert asked()
    problems.keep_papers(problem=row, on_file=[NAMED, IMAGING, IMPACT], missing=[], by=biller, at=NOW)
    assert not asked()
    assert not DeskTask.objects.filter(appointment=case, kind="papers", done_at=None).exists()
