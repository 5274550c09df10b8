"""What was done elsewhere is written down on a page, asked when it is a double, and counted as if it had been done here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from patients import elsewhere, facts, records
from patients.models import FactChange, GivenDrug, PerformedProcedure
from procedures.models import Procedure
from procedures.rules import Request
from procedures.rules.facts import Session
from tests import factories
from tests.factories import NEW_YORK, NOW, TODAY, SmallClinic

DAY = timedelta(days=1)
Enter = Callable[..., Client]


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def epidural(db: None) -> Procedure:
    return factories.procedure(
        code="esi_tf_lumbar", name="Lumbar transforaminal", family="esi", approach="transforaminal", level_scheme="foramina",
    )  # fmt: skip


def page(clinic: SmallClinic) -> str:
    return f"/patients/{clinic.patient.public_id}/elsewhere/new/"


def typed(**other: Any) -> dict[str, Any]:
    given = {
        "procedure": "esi_tf_lumbar", "done_on": str(TODAY - 30 * DAY), "where_elsewhere": "County hospital", "side": "left",
        "levels": "L4-5", "drug_0": "steroid:dexamethasone", "dose_0": "10", "request_key": uuid.uuid4().hex,
    }  # fmt: skip
    return {**given, **other}


def sessions(clinic: SmallClinic) -> tuple[Session, ...]:
    request = Request(on=TODAY + 7 * DAY, procedure="esi_tf_lumbar", family="esi")
    return facts.facts_of(clinic.patient, request, at=NOW, zone=ZoneInfo("America/New_York")).sessions


def test_a_nurse_writes_it_down_from_the_history_and_rules_count_it(
    clinic: SmallClinic, epidural: Procedure, signed_in: Enter
) -> None:
    nurse = signed_in("nurse", clinic.site)
    assert page(clinic) in nurse.get(f"/patients/{clinic.patient.public_id}/").content.decode()
    assert nurse.get(page(clinic)).status_code == 200
    assert nurse.post(page(clinic), typed()).status_code == 303

    row = PerformedProcedure.objects.get()
    assert (row.procedure_id, row.is_elsewhere, row.where_elsewhere, row.origin, row.site_id) == (
        epidural.pk, True, "County hospital", "elsewhere", None,
    )  # fmt: skip
    assert (row.side, row.levels, row.role) == ("left", ["L4-L5"], "therapeutic")
    assert set(FactChange.objects.values_list("kind", flat=True)) == {"performedprocedure", "givendrug"}
    [session] = sessions(clinic)
    assert (session.family, session.regions, session.is_elsewhere) == ("esi", {"lumbar_sacral"}, True)
    assert (session.drug, session.dose_mg) == ("dexamethasone", 10)


def test_a_name_of_its_own_counts_in_the_family_that_was_said(clinic: SmallClinic, epidural: Procedure, signed_in: Enter) -> None:
    named = {"procedure": "", "other_name": "Epidural abroad", "other_family": "esi"}
    assert signed_in("physician", clinic.site).post(page(clinic), typed(**named)).status_code == 303

    row = PerformedProcedure.objects.get()
    assert (row.procedure_id, row.other_name, row.other_family) == (None, "Epidural abroad", "esi")
    [session] = sessions(clinic)
    assert (session.family, session.regions, session.called) == ("esi", {"lumbar_sacral"}, "Epidural abroad")


def test_a_diagnostic_block_is_one_unless_somebody_says_otherwise(clinic: SmallClinic, signed_in: Enter) -> None:
    factories.procedure(code="mbb_lumbar", family="mbb_diagnostic", level_scheme="facet_nerves")
    factories.procedure(code="facet_ia_lumbar", family="facet_injection", level_scheme="facet_joints")
    nurse = signed_in("nurse", clinic.site)
    either = nurse.post(page(clinic), typed(procedure="facet_ia_lumbar"))
    assert (either.status_code, list(either.context["form"].errors)) == (422, ["role"])
    block = {"procedure": "mbb_lumbar", "drug_0": "", "dose_0": ""}
    nurse.post(page(clinic), typed(**block))
    nurse.post(page(clinic), typed(**block, role="therapeutic", done_on=str(TODAY)))

    assert list(PerformedProcedure.objects.order_by("pk").values_list("role", flat=True)) == ["diagnostic", "therapeutic"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"done_on": str(web.now().astimezone(NEW_YORK).date() + 2 * DAY)}, "done_on"),
        ({"done_on": ""}, "done_on"),
        ({"done_on": "1900-01-01"}, "done_on"),
        ({"procedure": ""}, "procedure"),
        ({"other_name": "Also this"}, "other_name"),
        ({"other_family": "esi"}, "other_family"),
        ({"levels": "L9"}, "levels"),
        ({"levels": "C5-C6"}, "levels"),
        ({"levels": ""}, "levels"),
        ({"side": "midline"}, "side"),
        ({"side": ""}, "side"),
        ({"region": "knee"}, "region"),
        ({"drug_0": ""}, "drug_0"),
        ({"dose_0": "-1"}, "dose_0"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_nothing_typed_is_lost(
    clinic: SmallClinic, epidural: Procedure, signed_in: Enter, wrong: dict[str, str], field: str
) -> None:
    shown = signed_in("nurse", clinic.site).post(page(clinic), typed(**wrong))

    assert (shown.status_code, list(shown.context["form"].errors)) == (422, [field])
    assert "County hospital" in shown.content.decode()
    assert not PerformedProcedure.objects.exists()


def test_today_is_not_to_come_and_a_place_that_nobody_knows_may_be_left_out(
    clinic: SmallClinic, epidural: Procedure, signed_in: Enter
) -> None:
    nurse = signed_in("nurse", clinic.site)
    assert nurse.post(page(clinic), typed(done_on=str(TODAY), levels="", side="", is_unplaced="1")).status_code == 303
    assert nurse.post(page(clinic), typed(levels="C5-C6", side="", is_unplaced="1")).status_code == 422
    assert [one.regions for one in sessions(clinic)] == [frozenset()]


def test_a_double_of_procedure_and_day_asks(clinic: SmallClinic, epidural: Procedure, signed_in: Enter) -> None:
    nurse = signed_in("nurse", clinic.site)
    nurse.post(page(clinic), typed())
    asked = nurse.post(page(clinic), typed(side="right"))
    assert (asked.status_code, asked.context["refusal"].code) == (409, "possible_double")
    assert 'name="is_another"' in asked.content.decode()
    assert PerformedProcedure.objects.count() == 1
    assert nurse.post(page(clinic), typed(side="right", is_another="1")).status_code == 303
    assert nurse.post(page(clinic), typed(done_on=str(TODAY - 29 * DAY))).status_code == 303  # another day is another one
    named = {"procedure": "", "other_name": "Epidural abroad"}
    assert nurse.post(page(clinic), typed(**named)).status_code == 303
    assert nurse.post(page(clinic), typed(**{**named, "other_name": "epidural  ABROAD"})).status_code == 409
    assert PerformedProcedure.objects.count() == 4


def test_pressing_twice_records_once(clinic: SmallClinic, epidural: Procedure, signed_in: Enter) -> None:
    nurse, same = signed_in("nurse", clinic.site), typed()
    assert [nurse.post(page(clinic), same).status_code for _ in range(2)] == [303, 303]
    assert PerformedProcedure.objects.count() == 1


def test_only_who_records_what_was_done_may(clinic: SmallClinic, epidural: Procedure, signed_in: Enter, by: Actor) -> None:
    for role in ("desk", "biller", "manager"):
        assert signed_in(role, clinic.site).post(page(clinic), typed()).status_code == 403
    assert signed_in("nurse", factories.site()).get(page(clinic)).status_code == 404
    with pytest.raises(records.MayNotRecord):
        elsewhere.record(patient=clinic.patient, values={"other_name": "x", "done_on": TODAY}, by=by, at=NOW)
    assert not PerformedProcedure.objects.exists()


def test_today_is_that_of_the_patients_own_site(clinic: SmallClinic, nurse: Actor) -> None:
    evening = NOW.replace(hour=2) + DAY  # in New York still the day before
    local = evening.astimezone(ZoneInfo(clinic.site.time_zone)).date()
    assert local < evening.date()
    with pytest.raises(records.FieldRefused) as refusal:
        elsewhere.record(
            patient=clinic.patient, values={"other_name": "x", "done_on": evening.date()}, by=nurse, at=evening
        )  # fmt: skip
    assert (refusal.value.code, refusal.value.field) == ("in_the_future", "done_on")
    assert elsewhere.record(patient=clinic.patient, values={"other_name": "x", "done_on": local}, by=nurse, at=evening)


def test_a_mistake_takes_its_steroid_along(clinic: SmallClinic, epidural: Procedure, nurse: Actor, signed_in: Enter) -> None:
    values = {"procedure": epidural, "done_on": TODAY - DAY, "side": "left", "levels": ["L4-L5"]}
    drug = elsewhere.Given("steroid", "triamcinolone", Decimal(40))
    row = elsewhere.record(patient=clinic.patient, values=values, drugs=(drug,), by=nurse, at=NOW)
    physician, address = signed_in("physician", clinic.site), f"/performed/{row.public_id}/"
    assert "elsewhere" in physician.get(address).content.decode()
    gone = {"act": "mistake", "version": "1", "error_reason": "Another patient", "request_key": uuid.uuid4().hex}
    assert physician.post(address, {**gone, "error_reason": ""}).status_code == 422
    assert physician.post(address, gone).status_code == 303

    assert sessions(clinic) == ()
    assert GivenDrug.objects.get().is_in_error
    assert physician.get(address).status_code == 404


def test_what_was_done_here_is_not_marked_as_a_mistake_on_its_page(clinic: SmallClinic, nurse: Actor, signed_in: Enter) -> None:
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": TODAY, "side": "left"}
    row = records.record(kind=PerformedProcedure, patient=clinic.patient, values=values, by=nurse, at=NOW)
    address = f"/performed/{row.public_id}/"
    gone = {"act": "mistake", "version": "1", "error_reason": "Not so", "request_key": uuid.uuid4().hex}
    assert signed_in("physician", clinic.site).post(address, gone).status_code == 422
    row.refresh_from_db()
    assert not row.is_in_error


def test_the_api_refuses_what_cannot_be_and_asks_nothing(clinic: SmallClinic, epidural: Procedure, signed_in: Enter) -> None:
    nurse, address = signed_in("nurse", clinic.site), f"/api/v1/patients/{clinic.patient.public_id}/performed/procedures/"

    def post(**other: Any) -> Any:
        body = {"procedure": "esi_tf_lumbar", "is_elsewhere": True, "done_on": "2026-01-02", "side": "left", **other}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return nurse.post(address, json.dumps(body), content_type="application/json", headers=headers)

    assert post(levels=["L4-L5"]).status_code == 201
    assert post(levels=["L4-L5"]).status_code == 201
    assert post().status_code == 201
    assert post(levels=["C5-C6"]).status_code == 422
    assert post(done_on=str(web.now().astimezone(NEW_YORK).date() + 2 * DAY)).status_code == 422
    assert post(procedure=None, other_name="Epidural", other_family="dragons").status_code == 422
    assert date(2026, 1, 2) == PerformedProcedure.objects.order_by("pk").values_list("done_on", flat=True)[0]
