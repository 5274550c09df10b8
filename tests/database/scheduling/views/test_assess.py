"""Trying a case by form: the page's answer is that of `manage.py assess`, explained, and every fault stands at its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from patients import records
from patients.models import Coverage, Medication, Patient, PerformedProcedure
from procedures import cases, tables
from procedures.cases import judged, read_case, written_case
from procedures.rules.book import Switches
from scheduling.forms import AssessForm
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import SmallClinic

BOOK = tables.book_of_files()
FOLDER = Path(__file__).parents[3] / "data" / "cases"
ZONE = ZoneInfo("America/New_York")
WRITTEN = [case for path in sorted(FOLDER.glob("*.yaml")) for case in cases.read_cases(path, BOOK, zone=ZONE)]
# What only a file can say: other rules.
BY_FORM = [case for case in WRITTEN if case.switches == Switches()]
BLOCK = {
    "request-procedure": "mbb_lumbar", "request-levels": "L4-L5", "request-side": "left", "request-date": "2027-01-11",
    "coverage-payer_rules": "medicare_multi_mac_2026", "more-as_of": "2027-01-04",
}  # fmt: skip
BEFORE = {
    "history-many": "1", "history-0-procedure": "mbb_lumbar", "history-0-levels": "L4-L5", "history-0-side": "left",
    "history-0-date": "2026-12-28", "history-0-relief": "85",
}  # fmt: skip


def typed(form: AssessForm) -> dict[str, Any]:
    """Return what a browser would send of a form as it is shown."""
    found: dict[str, Any] = {}
    for shown in form.parts:
        if shown.count_name:
            found[shown.count_name] = str(len(shown.rows))
        for one in shown.all:
            for name in one.fields:
                value = one[name].value()
                if value not in (None, "", []):
                    found[one.add_prefix(name)] = value
    return found


@pytest.fixture
def physician(people: People, clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("physician", clinic.site)


def answer(client: Client, data: Mapping[str, Any]) -> Any:
    response = client.post("/assess/", data)
    assert response.status_code == 200, response.context["form"].errors
    return response.context["answer"]


def test_there_are_many_cases_to_type() -> None:
    assert len(BY_FORM) > 200


def test_every_written_case_typed_into_the_form_is_judged_the_same() -> None:
    for case in BY_FORM:
        written = written_case(case.facts, BOOK, case_id="case")
        data = typed(AssessForm(BOOK, case=written))
        form = AssessForm(BOOK, _query(data))
        assert form.is_valid(), (case.id, form.errors)
        again = read_case(form.case(case.facts.booked_on), BOOK, zone=case.facts.zone)
        assert judged(again, BOOK)["findings"] == judged(case, BOOK)["findings"], case.id


def _query(data: Mapping[str, Any]) -> Any:
    query = QueryDict(mutable=True)
    for name, value in data.items():
        query.setlist(name, value if isinstance(value, list) else [str(value)])
    return query


def test_second_block_is_refused_inside_the_interval_with_its_session_window_limit_and_source(physician: Client) -> None:
    told = answer(physician, {**BLOCK, **BEFORE, "history-0-date": "2026-12-29"})

    assert told.decision == "denied"
    interval = next(step for step in told.refusing if step.code == "mcr_facet_mbb2_interval")
    assert str(interval.earliest) == "2027-01-12"
    cap = next(step for step in told.steps if step.code == "mcr_facet_dx_cap")
    assert (cap.counted, cap.adds, cap.limit) == (1, 1, 4)
    assert cap.sessions == ("2026-12-29 MBB lumbar L4-L5 left",)
    assert cap.window
    assert cap.source
    assert str(told.covered_from) == "2027-01-12"


def test_second_block_is_allowed_on_the_day_the_interval_ends(physician: Client) -> None:
    told = answer(physician, {**BLOCK, **BEFORE, "history-0-date": "2026-12-28"})

    assert (told.decision, str(told.covered_from)) == ("allowed", "2027-01-11")


def test_answer_is_read_on_the_page(physician: Client) -> None:
    page = physician.post("/assess/", {**BLOCK, **BEFORE, "history-0-date": "2026-12-29"}).content.decode()

    for words in ("Not allowed", "Tuesday 12 January 2027", "29 Dec 2026 MBB lumbar L4-L5 left", "mcr_facet_dx_cap", "format: 1"):
        assert words in page


def test_fault_stands_at_its_field(physician: Client) -> None:
    response = physician.post("/assess/", {**BLOCK, "request-levels": "C4-C5", **BEFORE, "history-0-procedure": ""})

    form = response.context["form"]
    assert response.status_code == 422
    assert [(anchor, label) for anchor, label, _ in form.errors] == [
        ("id_request-levels", "Levels"),
        ("id_history-0-procedure", "Procedure"),
    ]


@pytest.mark.parametrize(
    ("field", "typed_in", "anchor"),
    [
        ("coverage-authorizations-1-decided", "2027-13-01", "id_coverage-authorizations-1-decided"),
        ("history-1-follow_up", "soon 60", "id_history-1-follow_up"),
        ("patient-age", "Infinity", "id_patient-age"),
        ("coverage-state", "Texas", "id_coverage-state"),
        ("more-as_of", "2027-02-01", "id_request-date"),
        ("request-dose_mg", "1e300", "id_request-dose_mg"),
    ],
)
def test_each_kind_of_fault_finds_its_row_and_field(physician: Client, field: str, typed_in: str, anchor: str) -> None:
    many = {f"{part}-many": "2" for part in ("history", "coverage-authorizations")}
    row = {
        "history-1-procedure": "mbb_lumbar",
        "history-1-levels": "L4-L5",
        "history-1-side": "left",
        "history-1-date": "2026-12-01",
    }
    held = {"coverage-authorizations-1-covers": "mbb_diagnostic", "coverage-authorizations-1-status": "approved"}
    held["coverage-authorizations-1-decided"] = "2026-12-01"

    response = physician.post("/assess/", {**BLOCK, **many, **row, **held, field: typed_in})

    assert response.status_code == 422
    assert [one[0] for one in response.context["form"].errors] == [anchor]


def test_more_rows_are_given_without_scripts_and_nothing_typed_is_lost(physician: Client) -> None:
    response = physician.post("/assess/", {**BLOCK, **BEFORE, "more": "history"})

    shown = next(shown for shown in response.context["form"].parts if shown.part.path == "history")
    assert (len(shown.rows), shown.filled, shown.is_open, response.context["answer"]) == (2, 1, True, None)
    assert response.content.count(b"autofocus") == 1


def test_only_what_is_asked_for_is_drawn(physician: Client) -> None:
    shown = physician.get("/assess/").context["form"].parts

    assert sum(len(one.fields) for part in shown for one in part.all) < 60
    assert all(not part.rows for part in shown if part.part.is_rows)


def test_procedures_of_one_day_are_judged_together_and_their_faults_found(physician: Client) -> None:
    both = {
        **BLOCK, **BEFORE, "request-procedures-many": "1", "request-procedures-0-procedure": "esi_il_lumbar",
        "request-procedures-0-levels": "L4-L5",
    }  # fmt: skip
    told = answer(physician, both)
    assert "mcr_esi_same_day" in {step.code for step in told.refusing}

    wrong = physician.post("/assess/", {**both, "request-levels": "X9", "request-procedures-0-levels": "Y9"})
    assert [one[0] for one in wrong.context["form"].errors] == ["id_request-levels", "id_request-procedures-0-levels"]
    alone = {name: value for name, value in both.items() if name not in ("request-procedure", "request-levels", "request-side")}
    told = answer(physician, alone)
    assert "mcr_esi_same_day" not in {step.code for step in told.steps}


def test_rows_have_an_end(physician: Client) -> None:
    response = physician.post("/assess/", {**BLOCK, "history-many": "999999", "more": "history"})

    assert max(len(shown.rows) for shown in response.context["form"].parts) == 40


def test_page_is_for_those_who_see_the_rules(signed_in: Callable[..., Client], clinic: SmallClinic) -> None:
    seen = {role: signed_in(role, clinic.site).get("/assess/").status_code for role in ("physician", "biller", "manager", "desk")}

    assert seen == {"physician": 200, "biller": 200, "manager": 200, "desk": 403}


def test_trying_a_case_writes_nothing_about_anybody(physician: Client) -> None:
    before = Patient.objects.count()

    answer(physician, BLOCK)

    assert Patient.objects.count() == before


@pytest.fixture
def on_file(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Patient:
    """Return a patient with coverage, a blood thinner, a session that helped, and nothing known of allergies."""
    nurse = Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))
    biller = Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))
    catalogue = {"procedure": factories.procedure(code="mbb_lumbar", family="mbb_diagnostic"), "site": clinic.site}
    session = {**catalogue, "done_on": date(2026, 8, 31), "side": "left", "levels": ["L4-L5"], "role": "diagnostic"}
    plan = {"payer": "Medicare", "payer_rules": "medicare_multi_mac_2026", "plan_type": "original_medicare", "state": "CA"}
    thinner = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    for kind, values, by in ((PerformedProcedure, session, nurse), (Medication, thinner, nurse), (Coverage, plan, biller)):
        records.record(kind=kind, patient=clinic.patient, values=values, by=by, at=factories.NOW)
    return clinic.patient


def shown(page: Any) -> set[str]:
    data = typed(page.context["form"])
    return {str(data.get(name)) for name in ("history-0-procedure", "medications-0-drug", "coverage-state")} - {"None"}


def test_patient_on_file_fills_the_form_and_says_what_is_not_known(physician: Client, on_file: Patient) -> None:
    page = physician.get(f"/assess/?patient={on_file.public_id}")

    assert shown(page) == {"mbb_lumbar", "apixaban", "CA"}
    assert page.context["start"].unknown == (
        "allergies", "implants", "conditions", "pregnancy", "infection", "GLP-1 medicines", "vaccines",
    )  # fmt: skip
    assert AuditEvent.objects.filter(act="scheduling.try_rules", patient_id=on_file.public_id).count() == 1


def test_form_of_a_patient_is_judged_with_what_was_on_file(physician: Client, on_file: Patient) -> None:
    page = physician.get(f"/assess/?patient={on_file.public_id}")

    told = answer(physician, {**typed(page.context["form"]), **BLOCK, "request-date": "2026-09-13", "more-as_of": "2026-09-12"})

    interval = next(step for step in told.refusing if step.code == "mcr_facet_mbb2_interval")
    assert str(interval.earliest) == "2026-09-14"


@pytest.mark.parametrize(
    ("role", "seen", "hidden"),
    [("biller", {"CA"}, 2), ("manager", {"apixaban", "CA"}, 1), ("physician", {"mbb_lumbar", "apixaban", "CA"}, 0)],
)
def test_each_role_is_given_only_what_it_may_see(
    signed_in: Callable[..., Client], clinic: SmallClinic, on_file: Patient, role: str, seen: set[str], hidden: int
) -> None:
    page = signed_in(role, clinic.site).get(f"/assess/?patient={on_file.public_id}")

    assert (shown(page), len(page.context["start"].hidden)) == (seen, hidden)


def test_patient_of_another_site_is_not_found(signed_in: Callable[..., Client], on_file: Patient) -> None:
    stranger = signed_in("physician", factories.site())

    assert stranger.get(f"/assess/?patient={on_file.public_id}").status_code == 404
    assert stranger.get("/assess/?patient=no-id").status_code == 404


def test_session_booked_for_the_day_asked_for_or_later_is_left_out_and_an_earlier_one_counts(physician: Client) -> None:
    booked = {**BEFORE, "history-0-status": "booked"}

    assert answer(physician, {**BLOCK, **booked, "history-0-date": "2027-01-11"}).decision == "allowed"
    assert answer(physician, {**BLOCK, **booked, "history-0-date": "2027-01-10"}).decision == "denied"


def test_patient_of_whom_nobody_knows_who_pays_is_tried_without_a_payer(physician: Client, clinic: SmallClinic) -> None:
    page = physician.get(f"/assess/?patient={clinic.patient.public_id}")

    assert "who pays" in page.context["start"].unknown
    assert "coverage" not in page.context["start"].case
