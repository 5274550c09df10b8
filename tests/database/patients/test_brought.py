"""What a session brought beside its scores is asked where a rule reads it, and billing says what was billed with KX."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from patients import amending, brought, facts, records
from patients.models import Amendment, FactChange, PerformedProcedure
from procedures import tables
from procedures.rules import Request
from procedures.rules.facts import Session
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from tests import factories
from tests.factories import NEW_YORK, NOW, TODAY, SmallClinic

DAY = timedelta(days=1)
DONE_ON = TODAY - 20 * DAY
Enter = Callable[..., Client]
FAMILIES = {
    "esi_tf_lumbar": "esi", "mbb_lumbar": "mbb_diagnostic", "facet_rfa_lumbar": "facet_rfa", "scs_trial": "scs_trial",
    "tpi": "tpi",
}  # fmt: skip


@cache
def files() -> Any:
    return tables.read()


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def biller(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))


@pytest.fixture
def session(clinic: SmallClinic, nurse: Actor) -> Callable[..., PerformedProcedure]:
    load_rules(files(), RuleReport())

    def make(code: str, role: str = "therapeutic", **values: Any) -> PerformedProcedure:
        procedure = factories.procedure(code=code, family=FAMILIES[code])
        given = {"procedure": procedure, "site": clinic.site, "done_on": DONE_ON, "side": "left", "role": role, **values}
        return records.record(kind=PerformedProcedure, patient=clinic.patient, values=given, by=nurse, at=NOW)

    return make


def counted(clinic: SmallClinic) -> Session:
    request = Request(on=TODAY + 7 * DAY, procedure="esi_tf_lumbar", family="esi")
    [found] = facts.facts_of(clinic.patient, request, at=NOW, zone=ZoneInfo("America/New_York")).sessions
    return found


def said(row: PerformedProcedure, **other: Any) -> dict[str, Any]:
    return {"act": "brought", "read_version": str(row.version), "request_key": uuid.uuid4().hex, **other}


@pytest.mark.parametrize(
    ("code", "role", "asked"),
    [
        ("esi_tf_lumbar", "therapeutic", ("function_improved", "medication_reduced")),
        ("facet_rfa_lumbar", "therapeutic", ("function_improved",)),
        ("mbb_lumbar", "diagnostic", ("relief_matched_agent",)),
        ("scs_trial", "therapeutic", ("medication_reduction", "lead_removed_on")),
        ("tpi", "therapeutic", ()),
    ],
)
def test_only_what_is_read_of_such_work_is_asked(
    clinic: SmallClinic,
    session: Callable[..., PerformedProcedure],
    signed_in: Enter,
    code: str,
    role: str,
    asked: tuple[str, ...],
) -> None:
    row = session(code, role)
    assert brought.asked_of(row) == asked
    nurse = signed_in("nurse", clinic.site)
    shown = nurse.get(f"/performed/{row.public_id}/")
    assert ("What it brought" in shown.content.decode()) is bool(asked)
    assert tuple(field.name for field in shown.context["brought"].main) == asked if asked else shown.context["brought"] is None
    listed = nurse.get(f"/patients/{clinic.patient.public_id}/scores/new/").content.decode()
    assert (f"/performed/{row.public_id}/#brought" in listed) is bool(asked)
    desk = signed_in("desk", clinic.site).get(f"/patients/{clinic.patient.public_id}/scores/new/").content.decode()
    assert "#brought" not in desk


def test_the_first_word_needs_no_reason_and_rules_read_it(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row = session("mbb_lumbar", "diagnostic", levels=["L4-L5"])
    assert counted(clinic).matched_agent is None
    address, nurse = f"/performed/{row.public_id}/", signed_in("nurse", clinic.site)
    before = FactChange.objects.filter(kind="performedprocedure").count()
    assert nurse.post(address, said(row, relief_matched_agent="no")).status_code == 303

    assert counted(clinic).matched_agent is False
    assert FactChange.objects.filter(kind="performedprocedure").count() > before
    made = Amendment.objects.get()
    assert (made.changes, made.reason) == (
        [["Relief lasted as the anaesthetic does", "", "no"]], brought.FIRST_SAID,
    )  # fmt: skip
    row.refresh_from_db()
    silent = nurse.post(address, said(row, relief_matched_agent="yes"))
    assert (silent.status_code, list(silent.context["brought"].errors)) == (422, ["why"])
    assert silent.context["brought"]["relief_matched_agent"].value() == "yes"
    assert nurse.post(address, said(row, relief_matched_agent="yes", why="Diary read again")).status_code == 303
    assert counted(clinic).matched_agent is True
    stale = nurse.post(address, said(row, relief_matched_agent="no", why="Late"))
    assert (stale.status_code, stale.context["brought_version"]) == (409, 3)
    same = nurse.post(address, said(row, read_version="3", relief_matched_agent="yes"))
    assert (same.status_code, same.context["refusal"].code) == (409, "nothing_differs")


def test_a_trial_says_less_medicine_in_percent_and_the_day_of_its_leads(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row, ahead = session("scs_trial"), str(web.now().astimezone(NEW_YORK).date() + 2 * DAY)  # pages go by the clock on the wall
    address, nurse = f"/performed/{row.public_id}/", signed_in("nurse", clinic.site)
    for wrong in (
        {"lead_removed_on": str(DONE_ON - DAY)}, {"lead_removed_on": ahead}, {"medication_reduction": "100.01"},
        {"medication_reduction": "-101"},
    ):  # fmt: skip
        shown = nurse.post(address, said(row, **wrong))
        assert (shown.status_code, list(shown.context["brought"].errors)) == (422, list(wrong))
    told = {"medication_reduction": "50", "lead_removed_on": str(DONE_ON)}
    assert nurse.post(address, said(row, **told)).status_code == 303
    found = counted(clinic)
    assert (found.medication_reduction, found.lead_removed_on) == (50, DONE_ON)
    assert Amendment.objects.get().changes == [
        ["Less medicine, percent", "", "50"], ["Leads removed on", "", DONE_ON.isoformat()],
    ]  # fmt: skip


def test_gains_of_an_epidural_are_yes_no_or_not_known(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row = session("esi_tf_lumbar", levels=["L4-L5"])
    told = {"function_improved": "yes", "medication_reduced": ""}
    assert signed_in("physician", clinic.site).post(f"/performed/{row.public_id}/", said(row, **told)).status_code == 303
    assert (counted(clinic).function_improved, counted(clinic).medication_reduced) == (True, None)


def test_the_verb_keeps_to_its_fields_and_its_permission(
    session: Callable[..., PerformedProcedure], nurse: Actor, biller: Actor
) -> None:
    row = session("mbb_lumbar", "diagnostic")
    with pytest.raises(records.FieldRefused) as unknown:
        brought.tell(performed=row, said={"side": "right"}, by=nurse, at=NOW, version=1)
    assert unknown.value.field == "side"
    with pytest.raises(records.MayNotRecord):
        brought.tell(performed=row, said={"relief_matched_agent": True}, by=biller, at=NOW, version=1)


def test_the_indication_of_a_session_is_amended_on_its_form(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row = session("esi_tf_lumbar", levels=["L4-L5"], indication="an_old_word")
    address, physician = f"/performed/{row.public_id}/", signed_in("physician", clinic.site)
    start = {name: "" if value is None else value for name, value in physician.get(address).context["form"].initial.items()}
    assert start["indication"] == "an_old_word"
    changed = {**start, "indication": "post_laminectomy_syndrome", "reason": "From the letter", "request_key": uuid.uuid4().hex}
    assert physician.post(address, changed).status_code == 303
    assert counted(clinic).indication == "post_laminectomy_syndrome"
    assert Amendment.objects.get().changes == [["For the payer it was", "an_old_word", "post_laminectomy_syndrome"]]


def test_billing_says_what_was_billed_without_kx_and_it_counts(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row = session("mbb_lumbar", "diagnostic", levels=["L4-L5"])
    biller, cover = signed_in("biller", clinic.site), f"/patients/{clinic.patient.public_id}/coverage/"
    address = f"/performed/{row.public_id}/kx/"
    assert address in biller.get(cover).content.decode()
    assert address not in signed_in("nurse", clinic.site).get(cover).content.decode()
    assert counted(clinic).has_kx

    def post(version: int, has_kx: str) -> Any:
        return biller.post(address, {"version": version, "has_kx": has_kx, "request_key": uuid.uuid4().hex})

    assert post(1, "no").status_code == 303
    assert not counted(clinic).has_kx
    assert Amendment.objects.get().changes == [["Billed with KX", "", "no"]]
    assert (post(1, "yes").status_code, post(2, "no").status_code, post(2, "perhaps").status_code) == (409, 409, 422)
    assert post(2, "").status_code == 303
    row.refresh_from_db()
    assert (row.has_kx, row.version, row.side) == (None, 3, "left")
    assert signed_in("nurse", clinic.site).post(address, {"version": 3, "has_kx": "no"}).status_code == 403
    assert signed_in("biller", factories.site()).post(address, {"version": 3, "has_kx": "no"}).status_code == 404


def test_kx_is_no_question_of_a_treatment(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter, nurse: Actor
) -> None:
    row = session("esi_tf_lumbar")
    biller = signed_in("biller", clinic.site)
    refused = biller.post(f"/performed/{row.public_id}/kx/", {"version": 1, "has_kx": "no"})
    assert (refused.status_code, refused.context["refusal"].code) == (422, "no_block")
    assert "KX flag" not in biller.get(f"/patients/{clinic.patient.public_id}/coverage/").content.decode()
    with pytest.raises(records.MayNotRecord):
        amending.bill_kx(performed=row, has_kx=False, by=nurse, at=NOW, version=1)


def test_the_api_amends_it_with_a_reason(
    clinic: SmallClinic, session: Callable[..., PerformedProcedure], signed_in: Enter
) -> None:
    row = session("scs_trial")
    body = {"medication_reduction": "40.00", "lead_removed_on": str(DONE_ON), "reason": "From the letter"}
    headers = {"If-Match": '"1"', "Idempotency-Key": uuid.uuid4().hex}
    answer = signed_in("nurse", clinic.site).patch(
        f"/api/v1/performed/procedures/{row.public_id}/", json.dumps(body), content_type="application/json", headers=headers
    )
    assert answer.status_code == 200
    row.refresh_from_db()
    assert (row.medication_reduction, row.lead_removed_on) == (Decimal(40), date.fromisoformat(str(DONE_ON)))
