"""Coverage and authorisations: added in seconds, amended, drawn down by what was performed, given back by a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.actors import Actor
from patients import coverage, records
from patients.models import Authorization, AuthorizationUse, Coverage, FactChange, Patient, PerformedProcedure
from procedures import tables
from procedures.models import Procedure
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from tests import factories
from tests.factories import NOW, TODAY, SmallClinic

PLAN = {"payer": "Payer", "payer_rules": "medicare_multi_mac_2026", "plan_type": "original_medicare"}
DAY = timedelta(days=1)


@pytest.fixture
def biller(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


@pytest.fixture
def block(db: None) -> Procedure:
    return factories.procedure(code="mbb_lumbar", family="mbb_diagnostic", cpt_primary=["64493"])


@pytest.fixture
def plan(clinic: SmallClinic, biller: Actor) -> Coverage:
    return records.record(kind=Coverage, patient=clinic.patient, values=PLAN, by=biller, at=NOW)


@pytest.fixture
def authorize(clinic: SmallClinic, plan: Coverage, biller: Actor) -> Callable[..., Authorization]:
    def make(**values: Any) -> Authorization:
        given = {"coverage": plan, "covers": "mbb_diagnostic", "status": "approved", "decided_on": TODAY - 9 * DAY, **values}
        return records.record(kind=Authorization, patient=clinic.patient, values=given, by=biller, at=NOW)

    return make


@pytest.fixture
def perform(clinic: SmallClinic, block: Procedure, nurse: Actor) -> Callable[..., PerformedProcedure]:
    def make(**values: Any) -> PerformedProcedure:
        given = {"procedure": block, "site": clinic.site, "done_on": TODAY, "side": "left", "levels": ["L4-L5"], **values}
        return records.record(kind=PerformedProcedure, patient=clinic.patient, values=given, by=nurse, at=NOW)

    return make


def test_what_was_performed_draws_one_unit_and_says_so(authorize: Any, perform: Any, nurse: Actor) -> None:
    row, before = authorize(units=2), FactChange.objects.count()

    use = coverage.draw_down(performed=(done := perform()), by=nurse, at=NOW)

    assert use is not None
    assert (use.authorization_id, use.performed_id, use.units, use.used_on) == (row.pk, done.pk, 1, TODAY)
    assert FactChange.objects.filter(kind="authorizationuse").count() == 1
    assert FactChange.objects.count() == before + 2  # what was performed, and the unit


def test_last_unit_is_drawn_and_no_other(authorize: Any, perform: Any, nurse: Actor) -> None:
    authorize(units=1)

    assert coverage.draw_down(performed=perform(), by=nurse, at=NOW) is not None
    assert coverage.draw_down(performed=perform(), by=nurse, at=NOW) is None


def test_unit_comes_back_when_what_was_performed_was_a_mistake(authorize: Any, perform: Any, nurse: Actor) -> None:
    row, done = authorize(units=1), perform()
    coverage.draw_down(performed=done, by=nurse, at=NOW)
    assert coverage.units_used([row.pk]) == {row.pk: 1}

    records.mark_in_error(row=done, reason="another patient's", by=nurse, at=NOW)

    assert coverage.units_used([row.pk]) == {}
    assert AuthorizationUse.objects.get().is_in_error
    assert coverage.draw_down(performed=perform(), by=nurse, at=NOW) is not None


@pytest.mark.parametrize(
    ("values", "is_drawn"),
    [
        ({"covers": "mbb_lumbar"}, True),
        ({"covers": "esi"}, False),
        ({"codes": ["64493"]}, True),
        ({"codes": ["64490"]}, False),
        ({"side": "left"}, True),
        ({"side": "right"}, False),
        ({"side": "bilateral"}, True),
        ({"levels": ["L4-L5", "L5-S1"]}, True),
        ({"levels": ["L5-S1"]}, False),
        ({"valid_until": TODAY}, True),
        ({"valid_until": TODAY - DAY}, False),
        ({"valid_from": TODAY}, True),
        ({"valid_from": TODAY + DAY}, False),
        ({"decided_on": TODAY}, True),
        ({"decided_on": TODAY + DAY}, False),
        ({"status": "pending"}, False),
        ({"status": "refused"}, False),
        ({"case": "00000000-0000-0000-0000-000000000007"}, False),
    ],
)
def test_only_what_fits_is_drawn(authorize: Any, perform: Any, nurse: Actor, values: dict[str, Any], is_drawn: bool) -> None:
    authorize(**values)

    assert (coverage.draw_down(performed=perform(), by=nurse, at=NOW) is not None) is is_drawn


@pytest.fixture
def rules(clinic: SmallClinic) -> None:
    load_rules(tables.read(), RuleReport())


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("covers", "family", "is_drawn"),
    [("scs_trial", "scs_implant", True), ("scs_implant", "scs_trial", True),
     ("scs_trial", "esi", False), ("mbb_diagnostic", "scs_implant", False)],
)  # fmt: skip
def test_one_word_of_the_payer_for_trial_and_implant_is_drawn_for_either(
    authorize: Any, perform: Any, nurse: Actor, covers: str, family: str, is_drawn: bool
) -> None:
    authorize(covers=covers)
    work = factories.procedure(family=family)
    assert (coverage.draw_down(performed=perform(procedure=work), by=nurse, at=NOW) is not None) is is_drawn


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("days", "values", "is_drawn"),
    [(120, {}, True), (121, {}, False), (121, {"valid_until": TODAY}, True)],
)
def test_approval_without_an_end_is_good_for_as_many_days_as_the_payer_says(
    authorize: Any, perform: Any, nurse: Actor, days: int, values: dict[str, Any], is_drawn: bool
) -> None:
    authorize(**{"decided_on": TODAY - days * DAY, **values})
    assert (coverage.draw_down(performed=perform(), by=nurse, at=NOW) is not None) is is_drawn


@pytest.mark.usefixtures("rules")
def test_payer_that_says_no_days_limits_none(authorize: Any, perform: Any, nurse: Actor) -> None:
    authorize(decided_on=TODAY - 500 * DAY, covers="tpi")
    assert coverage.draw_down(performed=perform(procedure=factories.procedure(family="tpi")), by=nurse, at=NOW) is not None


def test_authorisation_of_one_side_is_not_for_both(authorize: Any, perform: Any, nurse: Actor) -> None:
    authorize(side="left")

    assert coverage.draw_down(performed=perform(side="bilateral"), by=nurse, at=NOW) is None


def test_what_ends_soonest_is_drawn_first_and_what_is_bound_to_the_case_before_it(
    authorize: Any, perform: Any, nurse: Actor
) -> None:
    case = "00000000-0000-0000-0000-000000000009"
    endless, soon, bound = authorize(), authorize(valid_until=TODAY + DAY, units=1), authorize(case=case, units=1)

    drawn = [coverage.draw_down(performed=perform(appointment=case if first else None), by=nurse, at=NOW) for first in (1, 0, 0)]

    assert [use.authorization_id for use in drawn if use] == [bound.pk, soon.pk, endless.pk]


def test_page_shows_what_is_left_and_asks_the_same_for_many(
    authorize: Any, perform: Any, nurse: Actor, signed_in: Callable[..., Client], clinic: SmallClinic
) -> None:
    authorize(units=2, number="A-1182")
    coverage.draw_down(performed=perform(), by=nurse, at=NOW)
    client = signed_in("biller", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/coverage/"
    client.get(address)
    with CaptureQueriesContext(connection) as one:
        page = client.get(address)
    assert [(line.number, line.left, line.units, line.used_on) for line in page.context["found"].held] == [
        ("A-1182", 1, 2, (TODAY,))
    ]
    for _ in range(3):
        authorize()
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(one)


def typed(plan: Coverage, **changes: Any) -> dict[str, Any]:
    held = {"coverage": str(plan.public_id), "covers": "mbb_diagnostic", "status": "approved", "decided_on": "2026-09-01"}
    return {**held, "units": "2", "levels": "l4-l5, L5-S1", "codes": "64493", "request_key": "0123456789abcdef", **changes}


def test_plan_and_authorisation_are_added_by_form(
    signed_in: Callable[..., Client], clinic: SmallClinic, block: Procedure
) -> None:
    client, start = signed_in("desk", clinic.site), f"/patients/{clinic.patient.public_id}/coverage/"
    first = {"payer": "Payer", "payer_rules": "none", "plan_type": "commercial", "state": "ca", "rank": "1"}

    assert client.post(f"{start}plans/new/", {**first, "request_key": "0123456789abcdee"}).status_code == 303
    plan = Coverage.objects.get()
    assert (plan.state, plan.plan_type) == ("CA", "commercial")
    assert client.post(f"{start}authorizations/new/", typed(plan)).status_code == 303
    row = Authorization.objects.get()
    assert (row.coverage_id, row.levels, row.codes, row.units) == (plan.pk, ["L4-L5", "L5-S1"], ["64493"], 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"levels": "somewhere"}, "levels"),
        ({"codes": "6449"}, "codes"),
        ({"decided_on": ""}, "decided_on"),
        ({"valid_from": "2026-09-02", "valid_until": "2026-09-01"}, "valid_until"),
        ({"units": "0"}, "units"),
        ({"coverage": "another"}, "coverage"),
    ],
)
def test_authorisation_that_cannot_be_is_refused_at_its_field(
    signed_in: Callable[..., Client], clinic: SmallClinic, plan: Coverage, block: Procedure, changes: dict[str, Any], field: str
) -> None:
    address = f"/patients/{clinic.patient.public_id}/coverage/authorizations/new/"

    response = signed_in("desk", clinic.site).post(address, typed(plan, **changes))

    assert (response.status_code, list(response.context["form"].errors)) == (422, [field])
    assert not Authorization.objects.exists()


def test_authorisation_is_amended_and_marked_as_a_mistake(
    signed_in: Callable[..., Client], clinic: SmallClinic, plan: Coverage, authorize: Any, block: Procedure
) -> None:
    row, client = authorize(), signed_in("biller", clinic.site)
    address = f"/patients/{clinic.patient.public_id}/coverage/authorizations/{row.public_id}/"
    assert client.get(address).status_code == 200

    assert client.post(address, typed(plan, version="1", valid_until="2026-12-01")).status_code == 303
    row.refresh_from_db()
    assert (row.valid_until, row.version) == (date(2026, 12, 1), 2)
    stale = client.post(address, typed(plan, version="1", units="9", request_key="0123456789abcdeg"))
    assert stale.status_code == 409
    gone = {"act": "mistake", "version": "2", "error_reason": "wrong patient", "request_key": "0123456789abcdeh"}
    assert client.post(address, gone).status_code == 303
    row.refresh_from_db()
    assert row.is_in_error


def test_without_a_plan_the_form_asks_who_pays_first(signed_in: Callable[..., Client], clinic: SmallClinic) -> None:
    response = signed_in("desk", clinic.site).get(f"/patients/{clinic.patient.public_id}/coverage/authorizations/new/")

    assert response["Location"].endswith("/coverage/plans/new/")


def test_nurse_sees_coverage_and_changes_none(signed_in: Callable[..., Client], clinic: SmallClinic, plan: Coverage) -> None:
    nurse, start = signed_in("nurse", clinic.site), f"/patients/{clinic.patient.public_id}/coverage/"

    assert nurse.get(start).status_code == 200
    assert nurse.get(f"{start}plans/new/").status_code == 403


def test_coverage_of_a_patient_of_another_site_is_not_found(signed_in: Callable[..., Client], clinic: SmallClinic) -> None:
    stranger = signed_in("biller", factories.site())

    assert stranger.get(f"/patients/{clinic.patient.public_id}/coverage/").status_code == 404


def api(client: Client, method: str, address: str, data: Any, **headers: str) -> Any:
    return client.generic(method, address, data=json.dumps(data), content_type="application/json", headers=headers)


def test_api_records_lists_amends_and_takes_back(
    signed_in: Callable[..., Client], clinic: SmallClinic, plan: Coverage, block: Procedure, perform: Any, nurse: Actor
) -> None:
    client, start = signed_in("biller", clinic.site), f"/api/v1/patients/{clinic.patient.public_id}"
    body = {
        "coverage": str(plan.public_id),
        "covers": "mbb_diagnostic",
        "status": "approved",
        "decided_on": "2026-09-01",
        "units": 3,
    }

    made = api(client, "POST", f"{start}/authorizations/", body)
    assert made.status_code == 201, made.content
    coverage.draw_down(performed=perform(), by=nurse, at=NOW)
    listed = client.get(f"{start}/authorizations/").json()
    assert [(one["id"], one["units_left"]) for one in listed["results"]] == [(made.json()["id"], 2)]
    one = f"/api/v1/authorizations/{made.json()['id']}/"
    assert api(client, "PATCH", one, {"side": "left"}).status_code == 428
    changed = api(client, "PATCH", one, {"side": "left"}, **{"If-Match": made["ETag"]})
    assert (changed.status_code, changed.json()["side"]) == (200, "left")
    gone = api(client, "DELETE", one, {"reason": "twice"}, **{"If-Match": changed["ETag"]})
    assert (gone.status_code, gone.json()["id"]) == (200, made.json()["id"])
    assert client.get(f"{start}/authorizations/").json()["results"] == []
    assert [row["payer"] for row in client.get(f"{start}/coverage/").json()["results"]] == ["Payer"]


def test_api_refuses_a_plan_of_another_patient(signed_in: Callable[..., Client], clinic: SmallClinic, plan: Coverage) -> None:
    other: Patient = factories.patient(home=clinic.site, last_name="Other")
    body = {"coverage": str(plan.public_id), "covers": "esi"}

    refused = api(signed_in("biller", clinic.site), "POST", f"/api/v1/patients/{other.public_id}/authorizations/", body)

    assert refused.status_code == 400
    assert not Authorization.objects.exists()


@pytest.mark.parametrize(
    ("begins", "ends", "told"),
    [
        (None, None, "no dates"),
        (TODAY, None, "from 2026-09-14"),
        (None, TODAY, "until 2026-09-14"),
        (TODAY, TODAY + DAY, "2026-09-14 to 2026-09-15"),
    ],
)
def test_a_stretch_of_days_is_told_with_the_ends_it_has(begins: date | None, ends: date | None, told: str) -> None:
    assert coverage.span(begins, ends) == told
