"""What the desk, a physician and a biller see of the rules: while booking, on a case, and on the list of what is to be done."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from pain_clinic.accounts.actors import Actor
from patients.models import Asked, Condition, Coverage, Medication, Patient, PerformedProcedure, Recorded
from procedures import tables
from procedures.models import RuleRow
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import desk_tasks, rechecking
from scheduling.models import Appointment, AppointmentFinding, CaseDetails, DeskTask, RuleOverride
from scheduling.views import covered, doors
from tests import factories
from tests.database.scheduling.views.conftest import People, opening
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)
BOOK = "/book/"


@cache
def files() -> Any:
    return tables.read()


@pytest.fixture
def ruled(clinic: SmallClinic) -> SmallClinic:
    load_rules(files(), RuleReport())
    return clinic


def put(model: type[Recorded], patient: Patient, /, **values: Any) -> Any:
    return model._default_manager.create(patient=patient, recorded_at=NOW, **values)


def asked(clinic: SmallClinic, **other: Any) -> dict[str, Any]:
    return {
        "patient": str(clinic.patient.public_id), "procedure": clinic.procedure.code, "side": "left", "sedation": "none",
        "request_key": uuid.uuid4().hex, **other,
    }  # fmt: skip


def a_case(clinic: SmallClinic, on: date = TODAY + 14 * DAY) -> Appointment:
    case = factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, starts_at=local(on, "9:00"), side="left",
        resources=[clinic.room],
    )  # fmt: skip
    rechecking.recheck([clinic.patient.pk], at=NOW)
    return case


def test_booking_page_says_what_waits_by_whose_work_and_asks_only_what_matters(ruled: SmallClinic, people: People) -> None:
    page = people.owner.post(BOOK, asked(ruled, choose=doors.token_of(opening(ruled)))).context["page"]
    assert page.can_book
    assert page.lines == () or {line.severity for line in page.lines} <= {"info"}
    assert {(wait.title, wait.role) for wait in page.waits} >= {
        ("Ask the patient", "Nurse"), ("Papers for the payer", "Billing"), ("Say what is planned", "Physician"),
    }  # fmt: skip
    assert [field.name for field in page.said] == ["drug", "dose_mg"]


def test_days_and_moments_of_findings_are_read_as_people_write_them(
    ruled: SmallClinic, people: People, signed_in: Callable[..., Client]
) -> None:
    put(Condition, ruled.patient, kind="infection", ended_on=TODAY, antibiotics_until=TODAY)
    put(Medication, ruled.patient, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel")
    token = doors.token_of(opening(ruled))
    seen = people.owner.post(BOOK, asked(ruled, choose=token))
    assert any("2026-09-21" in line.message for line in seen.context["page"].lines)  # as rules and the API say it
    given = {line.code: line for line in seen.context["page"].lines if line.severity in ("warn", "deny")}
    reasons = {f"reason_{code}": "clinical_judgement" for code in given} | {f"text_{code}": "Agreed." for code in given}
    physician = signed_in("physician", ruled.site)
    later = doors.token_of(opening(ruled, "13:00"))
    booked = physician.post(BOOK, asked(ruled, act="book", opening=later, waive=list(given), **reasons))
    assert booked.status_code == 303
    pages = [
        seen,
        *(physician.get(f"{booked['Location']}{part}") for part in ("", "print/", "rules/")),
        physician.get("/findings/"),
    ]
    for page in pages:
        shown = re.sub(r"<[^>]*>", "", page.content.decode())
        assert "21 Sep 2026" in shown
        assert re.findall(r".{0,30}20\d\d-\d\d-\d\d.{0,10}", shown) == []


def test_what_was_said_while_booking_is_kept_and_nothing_waits_for_it(ruled: SmallClinic, people: People) -> None:
    token = doors.token_of(opening(ruled))
    said = {"drug": "dexamethasone", "dose_mg": "8", "rationale": "The pain is back", "site_reason": "Needs the C-arm"}
    people.owner.post(BOOK, asked(ruled, act="book", opening=token, **said))
    kept = CaseDetails.objects.get(appointment=Appointment.objects.get())
    assert (kept.drug, kept.dose_mg) == ("dexamethasone", 8)
    assert (kept.rationale, kept.site_reason, kept.bilateral_reason) == ("The pain is back", "Needs the C-arm", "")
    assert not DeskTask.objects.filter(kind="plan").exists()
    again = people.owner.post(BOOK, asked(ruled, act="look", drug="none", dose_mg="4"))
    assert again.status_code == 422


@pytest.mark.parametrize(("side", "first"), [("left", "rationale"), ("bilateral", "bilateral_reason")])
def test_reasons_that_payers_ask_for_can_be_written_while_booking(
    ruled: SmallClinic, people: People, side: str, first: str
) -> None:
    page = people.owner.post(BOOK, asked(ruled, act="look") | {"side": side}).context["page"]
    assert (page.reasons[0].name, page.has_reasons) == (first, False)
    written = people.owner.post(BOOK, asked(ruled, act="look", rationale="Back") | {"side": side}).context["page"]
    assert written.has_reasons


def test_refused_booking_is_overridden_in_the_page_by_role_reason_and_words(
    ruled: SmallClinic, people: People, signed_in: Callable[..., Client]
) -> None:
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    token = doors.token_of(opening(ruled))
    page = people.owner.post(BOOK, asked(ruled, choose=token)).context["page"]
    stop = next(line for line in page.lines if line.code == "active_infection")
    assert (stop.severity, stop.can_waive, page.can_book) == ("deny", False, False)
    assert stop.source
    physician = signed_in("physician", ruled.site)
    later = doors.token_of(opening(ruled, "13:00"))  # the desk holds the other one
    seen = physician.post(BOOK, asked(ruled, choose=later)).context["page"]
    assert next(line for line in seen.lines if line.code == "active_infection").can_waive
    reason = {"waive": "active_infection", "reason_active_infection": "clinical_judgement", "text_active_infection": "Healing."}
    booked = physician.post(BOOK, asked(ruled, act="book", opening=seen.chosen.token, hold=str(seen.hold.public_id), **reason))
    assert booked.status_code == 303
    assert RuleOverride.objects.get().code == "active_infection"


@pytest.mark.parametrize(("day", "told"), [(date(2026, 12, 31), "Thu 31 Dec"), (date(2027, 12, 9), "Thu 9 Dec 2027")])
def test_a_first_covered_day_of_another_year_says_so(day: date, told: str) -> None:
    assert covered.from_when(date(2026, 12, 24), day) == f"Free on Thu 24 Dec, covered from {told}."


def test_page_says_from_when_on_it_is_covered_and_leaves_out_the_rest_when_asked(ruled: SmallClinic, people: People) -> None:
    put(Condition, ruled.patient, kind="infection", ended_on=TODAY, antibiotics_until=TODAY)
    put(Medication, ruled.patient, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel")
    first = people.owner.post(BOOK, asked(ruled, act="look")).context["page"]
    # Seven days after a dose that is taken as long as nobody stops it: from Monday a week on.
    assert first.covered == "Free on Mon 14 Sep, covered from Mon 21 Sep."
    assert first.first_free.starts_at.date() == TODAY
    assert (first.first_covered.starts_at.date(), first.days[0].openings[0].worst) == (TODAY + 7 * DAY, "deny")
    only = people.owner.post(BOOK, asked(ruled, act="look", covered="1")).context["page"]
    assert min(day.day for day in only.days) == TODAY + 7 * DAY
    assert "still taken" in only.uncovered[0].message


def test_page_says_when_waiting_alone_does_not_help(ruled: SmallClinic, people: People) -> None:
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    page = people.owner.post(BOOK, asked(ruled, act="look", covered="1")).context["page"]
    assert (page.covered, page.days, page.first_covered) == ("Waiting alone does not help.", (), None)


def test_case_can_be_planned_and_waived_after_it_was_booked(
    ruled: SmallClinic, people: People, signed_in: Callable[..., Client]
) -> None:
    case = a_case(ruled)
    url = f"/appointments/{case.public_id}/rules/"
    assert b"Nothing, as things are now" in people.owner.get(url).content
    assert people.owner.post(url, {"act": "plan", "drug": "none", "driver": "yes"}).status_code == 303
    assert CaseDetails.objects.get().has_driver is True
    assert people.owner.post(url, {"act": "plan", "drug": "sugar"}).status_code == 422
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    rechecking.recheck([ruled.patient.pk], at=NOW)
    physician = signed_in("physician", ruled.site)
    shown = physician.get(url)
    assert [line.code for line in shown.context["lines"]] == ["active_infection"]
    reason = {"act": "waive", "waive": "active_infection", "reason_active_infection": "urgent", "text_active_infection": "Seen."}
    assert people.owner.post(url, reason).status_code == 422
    assert physician.post(url, {**reason, "text_active_infection": ""}).status_code == 422
    assert physician.post(url, reason).status_code == 303
    assert physician.get(url).context["lines"] == ()
    assert b"went on" in physician.get(f"/appointments/{case.public_id}/").content


def test_biller_sees_what_the_payer_asks_and_nothing_of_the_body(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    put(Medication, ruled.patient, kind="antithrombotic", drug="apixaban", name="Apixaban")
    put(Coverage, ruled.patient, payer="M", payer_rules="medicare_multi_mac_2026", plan_type="original_medicare")
    case = a_case(ruled)
    biller = signed_in("biller", ruled.site)
    shown = biller.get(f"/appointments/{case.public_id}/")
    assert {wait.title for wait in shown.context["case"].waits} == {"Papers for the payer"}
    for page in (shown, biller.get("/tasks/"), biller.get("/tasks/?role=all"), biller.get("/tasks/?role=nurse")):
        assert b"pixaban" not in page.content
        assert b"infection" not in page.content
    assert b"Papers for the payer" in biller.get("/tasks/").content
    clinical = DeskTask.objects.get(kind="rules")
    assert biller.post(f"/tasks/{clinical.public_id}/take/").status_code == 404
    desk = signed_in("desk", ruled.site)
    assert b"pixaban" in desk.get(f"/appointments/{case.public_id}/").content


def test_unusable_rule_is_told_on_the_pages_and_breaks_none(ruled: SmallClinic, people: People) -> None:
    case = a_case(ruled)
    RuleRow.objects.filter(row_id="mcr_tpi_cap").update(data={})
    shown = people.owner.get(f"/appointments/{case.public_id}/rules/")
    assert [line.code for line in shown.context["lines"]] == ["rules_unreadable"]
    page = people.owner.post(BOOK, asked(ruled, choose=doors.token_of(opening(ruled)))).context["page"]
    assert [line.code for line in page.lines] == ["rules_unreadable"]


def test_tasks_are_listed_by_owner_and_due_day(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    put(Condition, ruled.patient, kind="infection", began_on=TODAY)
    case = a_case(ruled)
    desk = signed_in("desk", ruled.site)
    rows = desk.get("/tasks/?kind=cases").context["page"].rows
    assert [row.title for row in rows] == ["A rule speaks against a booked case"]
    assert rows[0].case_url == f"/appointments/{case.public_id}/"
    nurse = signed_in("nurse", ruled.site)
    assert [row.title for row in nurse.get("/tasks/").context["page"].rows] == ["Ask the patient"]
    everybody = desk.get("/tasks/?role=all&kind=cases").context["page"].rows
    assert [row.due_at for row in everybody] == sorted(row.due_at for row in everybody)
    assert len(everybody) == 5


def test_who_is_a_manager_too_sees_on_the_first_page_that_the_rules_could_not_be_asked(
    ruled: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    a_case(ruled)
    told = {"patient": ruled.patient, "role": "manager", "by": Actor.system("rules"), "at": NOW, "reason": "rules_down"}
    desk_tasks.open_task(kind="rules_down", **told)
    title = "The rules could not be asked"
    doctor, both = (factories.user(role="physician", sites=(ruled.site,)) for _ in range(2))
    both.groups.add(Group.objects.get(name="manager"))

    alone = signed_in("", user=doctor).get("/tasks/").context["page"]
    assert title not in [row.title for row in alone.rows]
    (tab,) = [tab for tab in alone.roles if tab.label == "Manager"]
    followed = signed_in("", user=doctor).get(tab.url).context["page"]
    assert [row.title for row in followed.rows] == [title]
    assert [tab.label for tab in (*followed.roles, *followed.tabs) if tab.is_current] == ["Manager", "Rules not asked"]

    client = signed_in("", user=both)
    assert [row.title for row in client.get("/tasks/").context["page"].rows] == [title]
    assert [row.title for row in client.get("/tasks/?role=manager").context["page"].rows] == [title]
    assert title not in [row.title for row in client.get("/tasks/?role=physician").context["page"].rows]
    DeskTask.objects.filter(kind="rules_down").update(done_at=NOW, outcome="mended")
    assert client.get("/tasks/?role=manager").context["page"].empty == "The rules could be asked about everybody."


def test_board_marks_a_case_that_waits_and_one_against_which_a_rule_stands(
    ruled: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    case = a_case(ruled)
    desk = signed_in("desk", ruled.site)
    url = f"/board/?site={ruled.site.slug}&day={case.local_date.isoformat()}&by=room"
    marks = ("mark-wait", "Waits for something.", "mark-rule", "A rule stands against it.")

    def shown() -> list[str]:
        content = desk.get(url).content.decode()
        return [mark for mark in marks if mark in content]

    assert shown() == list(marks[:2])
    AppointmentFinding.objects.filter(appointment=case).update(gone_at=NOW)
    assert shown() == []
    told = {"appointment": case, "code": "active_infection", "message": "Infected.", "found_at": NOW}
    AppointmentFinding.objects.create(**told, severity="deny", stands=True)
    assert shown() == list(marks[2:])


def held_until_next_week(clinic: SmallClinic) -> None:
    """Let the patient take something that has to be held for a week."""
    put(Asked, clinic.patient, topic="infection", asked_on=TODAY)
    put(Medication, clinic.patient, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel")


def test_move_page_says_from_when_on_it_is_covered_and_marks_the_days_before(
    ruled: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    held_until_next_week(ruled)
    case = a_case(ruled)
    page = signed_in("desk", ruled.site).get(f"/appointments/{case.public_id}/move/")
    form, first = page.context["case"].move, TODAY + 7 * DAY
    assert form.covered == "Free on Mon 14 Sep, covered from Mon 21 Sep."
    assert [line.code for line in form.uncovered] == ["antithrombotic_hold:clopidogrel"]
    marks = [(line.starts_at.date() < first, line.worst) for line in form.nearby]
    assert set(marks) == {(True, "deny"), (False, "")}
    assert "covered from" in page.content.decode()


def test_move_page_says_nothing_of_it_where_the_first_free_day_is_covered(
    ruled: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    case = a_case(ruled)
    form = signed_in("desk", ruled.site).get(f"/appointments/{case.public_id}/move/").context["case"].move
    assert (form.covered, form.uncovered, {line.worst for line in form.nearby}) == ("", (), {""})


def test_times_near_one_that_was_refused_are_marked(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    held_until_next_week(ruled)
    case = a_case(ruled)
    asked_for = {"version": case.version, "day": TOMORROW.isoformat(), "time": "9:00", "minutes": "", "act": "preview"}
    answered = signed_in("desk", ruled.site).post(f"/appointments/{case.public_id}/move/", {**asked_for, "time": "05:00"})
    near = answered.context["case"].move.nearby
    assert {line.worst for line in near} == {"deny"}


def test_reinstating_says_from_when_on_another_time_is_covered(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    held_until_next_week(ruled)
    case = a_case(ruled, TODAY + 2 * DAY)
    gone = {"status": "cancelled", "cancel_reason": "other", "asked_by": "patient", "cancelled_at": NOW}
    Appointment.objects.filter(pk=case.pk).update(**gone)
    case.allocations.update(released_at=NOW)
    form = signed_in("desk", ruled.site).get(f"/appointments/{case.public_id}/reinstate/").context["case"].reinstate
    assert form.covered == "Free on Mon 14 Sep, covered from Mon 21 Sep."
    assert {line.worst for line in form.others if line.starts_at.date() >= TODAY + 7 * DAY} == {""}
    assert "deny" in {line.worst for line in form.others}


def test_case_shows_its_role_where_somebody_has_said_so(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    case = a_case(ruled)
    desk = signed_in("desk", ruled.site)
    url = f"/appointments/{case.public_id}/"
    assert desk.get(url).context["case"].role == ""
    CaseDetails.objects.create(appointment=case, role="diagnostic")
    panel = {"HX-Request": "true", "HX-Target": "case-panel"}
    for page, headers in ((url, {}), (f"{url}print/", {}), (url, panel)):
        assert "<dt>Role</dt><dd>Diagnostic</dd>" in desk.get(page, headers=headers).content.decode()


def test_api_filters_by_coverage_and_says_from_when_on(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    put(Asked, ruled.patient, topic="infection", asked_on=TODAY)
    put(Medication, ruled.patient, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel")
    desk = signed_in("desk", ruled.site)
    body = {"procedure": ruled.procedure.code, "side": "left", "patient": str(ruled.patient.public_id), "limit": 1}

    def search(client: Client, **more: Any) -> Any:
        return client.post("/api/v1/openings/", {**body, **more}, content_type="application/json")

    plain = search(desk).json()
    assert (plain["free_from"], plain["covered_from"]) == (TODAY.isoformat(), (TODAY + 7 * DAY).isoformat())
    assert [one["code"] for one in plain["not_covered_because"]] == ["antithrombotic_hold:clopidogrel"]
    covered = search(desk, covered=True).json()
    assert covered["openings"][0]["starts_at"].startswith((TODAY + 7 * DAY).isoformat())
    assert search(signed_in("biller", ruled.site)).json()["not_covered_because"] == []
    del body["patient"]
    assert search(desk).json()["covered_from"] is None
    assert search(desk, covered=True).status_code == 400


def test_api_books_with_details_and_refuses_what_is_none(ruled: SmallClinic, signed_in: Callable[..., Client]) -> None:
    desk = signed_in("desk", ruled.site)
    body = {
        "procedure": ruled.procedure.code, "side": "left", "patient": str(ruled.patient.public_id),
        "site": str(ruled.site.public_id), "starts_at": local(TOMORROW, "9:00").isoformat(),
    }  # fmt: skip

    def book(**details: Any) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return desk.post("/api/v1/appointments/", {**body, "details": details}, content_type="application/json", headers=headers)

    assert book(drug="sugar").status_code == 400
    assert book(dose_mg="4").status_code == 400
    assert book(drug="dexamethasone", dose_mg="4", has_driver=True).status_code == 201
    assert CaseDetails.objects.get().drug == "dexamethasone"


def test_performed_elsewhere_counts_at_booking(ruled: SmallClinic, people: People) -> None:
    put(PerformedProcedure, ruled.patient, procedure=ruled.procedure, is_elsewhere=True, done_on=TODAY - DAY, side="left")
    page = people.owner.post(BOOK, asked(ruled, choose=doors.token_of(opening(ruled)))).context["page"]
    assert "min_interval_steroid" in {line.code for line in page.lines}
